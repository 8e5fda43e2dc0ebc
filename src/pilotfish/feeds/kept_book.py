"""What is kept of one order book and of one connection to the market channel: records, and what is worked out of them
alone. Who keeps them is ``local_books``."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from enum import StrEnum

import aiohttp

from pilotfish.core.book import Book, make_book
from pilotfish.core.trade import Side
from pilotfish.core.units import MICRO, SECOND
from pilotfish.polymarket import market_ws as ws


class Doubt(StrEnum):
    """Why a kept book must not be used."""

    NONE = ""
    NO_SNAPSHOT = "no snapshot yet"
    NO_CONNECTION = "no connection"
    UNPROVEN = "its connection was wrong and is not compared yet"
    CROSSED = "crossed"
    OTHER_OVER_HTTP = "the HTTP book was another one"
    OTHER_PRICES = "its best prices are not those that the venue says"
    UNREADABLE = "a snapshot or frame that could not be read"


@dataclass(slots=True)
class KeptBook:
    """One book. ``doubt``: why it must not be used; ``confirmed_at``: when (monotonic s) the venue last agreed."""

    token_id: str
    bids: dict[int, int] = field(default_factory=dict)
    asks: dict[int, int] = field(default_factory=dict)
    tick: int = 10_000
    min_size: int = 5 * MICRO
    owner: Channel | None = None
    doubt: Doubt = Doubt.NO_SNAPSHOT
    confirmed_at: float = 0.0
    unexplained: set[tuple[Side, int]] = field(default_factory=set)
    """Levels on which the book over HTTP was another one, and of which the channel has said nothing since."""
    pending: list[tuple[int, ws.Change]] | None = None
    """Changes since a re-read over HTTP was asked for; ``None`` = none is under way."""

    def side(self, side: Side) -> dict[int, int]:
        """The bids for a BUY, the asks for a SELL."""
        return self.bids if side is Side.BUY else self.asks

    def best(self) -> tuple[int, int]:
        """Best bid and ask; 0 for an empty side."""
        return max(self.bids, default=0), min(self.asks, default=0)

    @property
    def is_crossed(self) -> bool:
        """True for a book that cannot be: a bid at or above an ask."""
        bid, ask = self.best()
        return bool(bid and ask and bid >= ask)

    def as_book(self, now: int, age: float) -> Book:
        """The book as of ``age`` seconds before ``now`` (µs)."""
        return make_book(
            self.token_id,
            list(self.bids.items()),
            list(self.asks.items()),
            requested_at=now - round(age * SECOND),
            received_at=now,
            tick=self.tick,
            min_size=self.min_size,
        )


@dataclass(eq=False, slots=True)
class Channel:
    """One connection, subscribed to ``tokens``; it is made again under the same record when it was lost."""

    tokens: frozenset[str]
    task: asyncio.Task[None] | None = None
    heard_at: float = 0.0
    ready: bool = False
    socket: aiohttp.ClientWebSocketResponse | None = None
    wrong: set[str] = field(default_factory=set)
    """Tokens on which it was proven wrong: until one of its books was compared, none of them is used."""
    suspected: set[str] = field(default_factory=set)
    """Tokens whose book over HTTP was another one a moment ago: until that is explained, none of its books is used."""
    failures: int = 0
    first_frame: asyncio.Event = field(default_factory=asyncio.Event)
    ended: bool = False


def apply(side: dict[int, int], change: ws.Change) -> None:
    """Take a change into one side of a book."""
    if change.size:
        side[change.price] = change.size
    else:
        side.pop(change.price, None)


def difference(side: Side, one: dict[int, int], other: dict[int, int]) -> set[tuple[Side, int]]:
    """The levels on which one side of two books is not the same."""
    return {(side, price) for price in one.keys() | other.keys() if one.get(price) != other.get(price)}
