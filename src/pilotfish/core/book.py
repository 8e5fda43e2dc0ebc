"""An order book as integers, walking it, and the memory of what we already took from it."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from pilotfish.core.trade import Side
from pilotfish.core.units import BPS, MICRO, ceil_div


class Level(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One price level: price and size in millionths."""

    price: int
    size: int


class Book(msgspec.Struct, frozen=True, kw_only=True):
    """A token's book, best level first on both sides.

    ``requested_at`` and ``received_at`` (µs) bound the instant that it describes.
    """

    token_id: str
    bids: tuple[Level, ...]
    asks: tuple[Level, ...]
    requested_at: int
    received_at: int
    tick: int = 10_000
    min_size: int = 5 * MICRO
    hash: str = ""

    @property
    def best_bid(self) -> int | None:
        """Highest bid, or ``None`` for an empty side."""
        return self.bids[0].price if self.bids else None

    @property
    def best_ask(self) -> int | None:
        """Lowest ask, or ``None`` for an empty side."""
        return self.asks[0].price if self.asks else None

    @property
    def mid2(self) -> int | None:
        """Twice the mid price (an integer), or ``None`` for a one-sided book."""
        if not self.bids or not self.asks:
            return None
        return self.bids[0].price + self.asks[0].price

    @property
    def spread_bps(self) -> int | None:
        """Spread over mid in basis points, rounded up; ``None`` for a one-sided book."""
        mid2 = self.mid2
        if mid2 is None or mid2 == 0:
            return None
        return ceil_div(2 * (self.asks[0].price - self.bids[0].price) * BPS, mid2)


def make_book(
    token_id: str,
    bids: list[tuple[int, int]],
    asks: list[tuple[int, int]],
    *,
    requested_at: int,
    received_at: int,
    tick: int = 10_000,
    min_size: int = 5 * MICRO,
    hash: str = "",
) -> Book:
    """Build a book from levels in any order; empty and impossible levels are left out, equal prices are added up."""
    return Book(
        token_id=token_id,
        bids=_side(bids, best_last=True),
        asks=_side(asks, best_last=False),
        requested_at=requested_at,
        received_at=received_at,
        tick=tick,
        min_size=min_size,
        hash=hash,
    )


def _side(levels: list[tuple[int, int]], *, best_last: bool) -> tuple[Level, ...]:
    merged: dict[int, int] = {}
    for price, size in levels:
        if 0 < price < MICRO and size > 0:
            merged[price] = merged.get(price, 0) + size
    return tuple(Level(p, merged[p]) for p in sorted(merged, reverse=best_last))


@dataclass(slots=True, frozen=True)
class Take:
    """Shares taken at one price."""

    price: int
    shares: int


class LiquidityMemory:
    """What we took at a level is gone until that level is refreshed (its size changes).

    So two copies, or two portfolios' retries of one copy, cannot eat the same shares.
    """

    __slots__ = ("_taken",)

    def __init__(self) -> None:
        self._taken: dict[str, dict[tuple[str, Side, int], tuple[int, int]]] = {}
        """Token -> (who, side, price) -> (size of the level then, shares taken)."""

    def available(self, who: str, token_id: str, side: Side, level: Level) -> int:
        """Shares of ``level`` still there for ``who`` (a portfolio)."""
        mine = self._taken.get(token_id)
        if mine is None:
            return level.size
        size, taken = mine.get((who, side, level.price), (0, 0))
        return level.size - taken if size == level.size else level.size

    def take(self, who: str, token_id: str, side: Side, level: Level, shares: int) -> None:
        """Remember that ``who`` took ``shares`` at ``level``."""
        mine = self._taken.setdefault(token_id, {})
        size, taken = mine.get((who, side, level.price), (0, 0))
        mine[(who, side, level.price)] = (level.size, (taken if size == level.size else 0) + shares)

    def refresh(self, book: Book) -> None:
        """Forget levels that the new book shows changed or gone."""
        mine = self._taken.get(book.token_id)
        if mine is None:
            return
        now = {(Side.BUY, lv.price): lv.size for lv in book.asks}
        now |= {(Side.SELL, lv.price): lv.size for lv in book.bids}
        for key in [k for k, (size, _) in mine.items() if now.get((k[1], k[2])) != size]:
            del mine[key]
        if not mine:
            del self._taken[book.token_id]


def bid_value(book: Book, shares: int) -> int:
    """What the bid side would pay for ``shares``, best level first, rounded down; nothing beyond its depth."""
    value = 0
    for level in book.bids:
        taken = min(shares, level.size)
        value += taken * level.price
        shares -= taken
        if shares <= 0:
            break
    return value // MICRO


def walk_buy(
    book: Book, budget: int, limit: int, memory: LiquidityMemory, who: str, most_shares: int = 0
) -> list[Take]:
    """Levels a BUY takes: best ask first, at most ``budget`` USDC and ``most_shares`` (0 = any)."""
    wanted = most_shares or 2**80
    takes: list[Take] = []
    for level in book.asks:
        if level.price > limit or budget <= 0 or wanted <= 0:
            break
        free = memory.available(who, book.token_id, Side.BUY, level)
        shares = min(free, budget * MICRO // level.price, wanted)
        if shares > 0:
            takes.append(Take(level.price, shares))
            budget -= ceil_div(shares * level.price, MICRO)
            wanted -= shares
            if shares < free:
                break
    return takes


def walk_sell(book: Book, shares: int, limit: int, memory: LiquidityMemory, who: str) -> list[Take]:
    """Levels a SELL takes: best bid first, at most ``shares``, no level below ``limit``."""
    takes: list[Take] = []
    for level in book.bids:
        if level.price < limit or shares <= 0:
            break
        taken = min(shares, memory.available(who, book.token_id, Side.SELL, level))
        if taken > 0:
            takes.append(Take(level.price, taken))
            shares -= taken
    return takes
