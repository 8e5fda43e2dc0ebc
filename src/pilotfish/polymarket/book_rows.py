"""What was heard of order books, one row a fact, in the venue's own digits: what a recording of books is made of."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from enum import StrEnum
from functools import lru_cache
from typing import Any

import msgspec

from pilotfish.core.units import micro_from_decimal
from pilotfish.polymarket import wire


class Heard(StrEnum):
    """Kinds of rows. A ``snapshot`` is a whole book, from which on every change follows as a ``delta``; an ``answer``
    is a whole book as it was read once, over HTTP, and nothing is known of what followed. ``asked``: the worker needed
    the book at this instant and took the kept one. After a ``gap`` nothing is known of a token before its next snapshot
    or answer."""

    SNAPSHOT = "snapshot"
    DELTA = "delta"
    ANSWER = "answer"
    ASKED = "asked"
    TICK = "tick"
    TRADE = "trade"
    GAP = "gap"


class BookRow(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One fact about a token's book.

    ``at``: our clock (µs); ``venue_ms``: the venue's own, 0 = not said. ``is_reseed``: a snapshot that does not follow
    from the row before it (the first one, after a gap or a reconnect). ``side``, ``price`` and ``size`` are those of a
    delta (the size at that price is so much now; BUY = a bid) or a trade; ``price`` of a tick change is the new tick.
    The four lists are a whole book, best level first. ``since``: of an answer when it was asked for, of a gap from when
    on nothing is sure (µs, 0 = since ``at``). ``detail``: why there is a gap.
    """

    token_id: str
    at: int
    kind: Heard
    venue_ms: int = 0
    is_reseed: bool = False
    side: str = ""
    price: str = ""
    size: str = ""
    bid_prices: tuple[str, ...] = ()
    bid_sizes: tuple[str, ...] = ()
    ask_prices: tuple[str, ...] = ()
    ask_sizes: tuple[str, ...] = ()
    tick: str = ""
    min_size: str = ""
    since: int = 0
    detail: str = ""


@lru_cache(65_536)
def micro(text: str) -> int:
    """A price or size in millionths; the same few are read again and again. Raises :class:`ValueError`."""
    return micro_from_decimal(text)


def digits(value: object) -> str:
    """A number as the venue wrote it; "" for what is none."""
    if isinstance(value, Decimal):
        return str(value)
    return wire.text_of(value, 100)


def levels(side: Any, *, best_first: bool) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Prices and sizes of one side of a payload that ``clob.parse_book`` has taken, lowest price first, or last."""
    found = [level for level in side or () if isinstance(level, Mapping)]
    found.sort(key=lambda level: Decimal(digits(level.get("price"))), reverse=best_first)
    return (
        tuple(digits(level.get("price")) for level in found),
        tuple(digits(level.get("size")) for level in found),
    )


def whole(payload: Mapping[str, Any], token_id: str, at: int, kind: Heard, **more: Any) -> BookRow:
    """A whole book as a row, in its own digits. ``payload`` is one that ``clob.parse_book`` has taken."""
    bid_prices, bid_sizes = levels(payload.get("bids"), best_first=True)
    ask_prices, ask_sizes = levels(payload.get("asks"), best_first=False)
    stamp = digits(payload.get("timestamp"))
    return BookRow(
        token_id=token_id,
        at=at,
        kind=kind,
        venue_ms=int(stamp) if wire.is_digits(stamp) and len(stamp) <= 15 else 0,
        bid_prices=bid_prices,
        bid_sizes=bid_sizes,
        ask_prices=ask_prices,
        ask_sizes=ask_sizes,
        tick=digits(payload.get("tick_size")),
        min_size=digits(payload.get("min_order_size")),
        **more,
    )
