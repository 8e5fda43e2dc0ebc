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
    """One book. ``doubt``: why it must not be used; ``confirmed_at``: when (monotonic s) the venue last agreed. Levels
    are changed by :meth:`put` and :meth:`replace` alone, which keep up with the best prices."""

    token_id: str
    bids: dict[int, int] = field(default_factory=dict)
    asks: dict[int, int] = field(default_factory=dict)
    top_bid: int = 0
    """Best bid, 0 for an empty side."""
    top_ask: int = 0
    tick: int = 10_000
    min_size: int = 5 * MICRO
    owner: Channel | None = None
    doubt: Doubt = Doubt.NO_SNAPSHOT
    confirmed_at: float = 0.0
    unexplained: set[tuple[Side, int]] = field(default_factory=set)
    """Levels on which the book over HTTP was another one, and of which the channel has said nothing since."""
    pending: list[tuple[int, ws.Change]] | None = None
    """Changes since a re-read over HTTP was asked for; ``None`` = none is under way."""
    _whole: Book | None = None
    """The book as it was last given, while no level has changed since."""

    def side(self, side: Side) -> dict[int, int]:
        """The bids for a BUY, the asks for a SELL."""
        return self.bids if side is Side.BUY else self.asks

    def put(self, side: Side, price: int, size: int) -> None:
        """The size at a price is another one now, 0 = gone."""
        self._whole = None
        if side is Side.BUY:
            if size:
                self.bids[price] = size
                if price > self.top_bid:
                    self.top_bid = price
            elif self.bids.pop(price, 0) and price == self.top_bid:
                self.top_bid = max(self.bids, default=0)
        elif size:
            self.asks[price] = size
            if price < self.top_ask or not self.top_ask:
                self.top_ask = price
        elif self.asks.pop(price, 0) and price == self.top_ask:
            self.top_ask = min(self.asks, default=0)

    def replace(self, bids: dict[int, int], asks: dict[int, int]) -> None:
        """The whole book is another one now."""
        self._whole = None
        self.bids, self.asks = bids, asks
        self.top_bid, self.top_ask = max(bids, default=0), min(asks, default=0)

    def best(self) -> tuple[int, int]:
        """Best bid and ask; 0 for an empty side."""
        return self.top_bid, self.top_ask

    @property
    def is_crossed(self) -> bool:
        """True for a book that cannot be: a bid at or above an ask."""
        return bool(self.top_bid and self.top_ask and self.top_bid >= self.top_ask)

    def as_book(self, now: int, age: float) -> Book:
        """The book as of ``age`` seconds before ``now`` (µs)."""
        requested_at = now - round(age * SECOND)
        same = self._whole
        if same is None or (same.tick, same.min_size) != (self.tick, self.min_size):
            same = self._whole = make_book(
                self.token_id,
                list(self.bids.items()),
                list(self.asks.items()),
                requested_at=requested_at,
                received_at=now,
                tick=self.tick,
                min_size=self.min_size,
            )
            return same
        return Book(
            token_id=self.token_id,
            bids=same.bids,
            asks=same.asks,
            requested_at=requested_at,
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
    silent: bool = False
    """Ended by us, because nothing came for too long."""
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
