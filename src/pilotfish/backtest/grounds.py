"""What a look back goes by beside the past itself: what was recorded and measured here, or else what is assumed."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from pilotfish.backtest.assumptions import BANDS, Assumptions, Band
from pilotfish.backtest.source import Seen
from pilotfish.history.book_track import BookTrack


class Grounds(msgspec.Struct, frozen=True, kw_only=True):
    """Recorded ``books`` by token, when the worker had ``seen`` the trades, the ``bands``, and in words what those rest
    on (``basis``)."""

    books: Mapping[str, BookTrack] = {}
    seen: Seen = {}
    bands: Mapping[Band, Assumptions] = msgspec.field(default_factory=lambda: BANDS)
    basis: str = ""


ASSUMED = Grounds()
"""Nothing was recorded or measured."""
