"""The assumptions that a backtest goes by here: what was measured on this machine, where there is enough of it."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import msgspec
from sqlalchemy import Connection

from pilotfish.backtest.assumptions import BANDS, Assumptions, Band
from pilotfish.backtest.calibration import by_calibration, kept
from pilotfish.backtest.delays import by_measured
from pilotfish.backtest.grounds import Grounds
from pilotfish.backtest.source import Seen
from pilotfish.core.numerals import count
from pilotfish.history.books import books_of
from pilotfish.history.folder import History
from pilotfish.history.records import Past
from pilotfish.store.views import sightings


def grounds_of(c: Connection, history: History, past: Past, spool: Path | None, delay_us: int | None = None) -> Grounds:
    """Everything that is known here beside the past itself. ``spool``: where books are being recorded; ``delay_us``
    (µs): a delay of one's own, which goes before what was seen."""
    bands, basis = bands_in_force(c, history, delay_us)
    seen, told = seen_here(c, past) if delay_us is None else ({}, "")
    return Grounds(books=books_of(history, past, spool), seen=seen, bands=bands, basis=told + basis)


def bands_in_force(c: Connection, history: History, delay_us: int | None = None) -> tuple[dict[Band, Assumptions], str]:
    """The band, and in words what it rests on: spreads and depth as recorded books had them, delays as the worker
    measured them, where there is enough of both; ``delay_us`` (µs) is a delay of one's own, for all of them."""
    bands, spreads = by_calibration(BANDS, kept(history))
    if delay_us is None:
        bands, delays = by_measured(bands, sightings.delays(c))
        return bands, f"{delays}, {spreads}"
    own = {band: msgspec.structs.replace(assumed, delay_us=delay_us) for band, assumed in bands.items()}
    return own, f"the delay as given, {spreads}"


def seen_here(c: Connection, past: Past) -> tuple[Seen, str]:
    """When the worker saw the trades of a past that it saw in time, and that in words; empty where it saw none."""
    known = sightings.first_seen(c, past.wallet)
    trades = Counter((d.tx_hash, d.token_id, d.side, d.shares) for d in past.deeds if d.kind == "TRADE")
    seen = {key: at for key, at in known.items() if key[4] <= trades[key[:4]]}
    if not seen:
        return {}, ""
    return seen, f"{count(len(seen))} of {count(trades.total())} trades seen when the worker saw them, else "
