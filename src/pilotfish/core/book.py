"""An order book as integers, walking it, and the memory of what we already took from it."""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from pilotfish.core.trade import BUY, SELL, Side
from pilotfish.core.units import BPS, MAX_TRADE, MICRO, ceil_div


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

    def has(self, side: Side, price: int) -> bool:
        """True if there is a level of this price that a BUY, or a SELL, takes."""
        for level in self.asks if side is BUY else self.bids:  # noqa: SIM110 - half as fast with any()
            if level.price == price:
                return True
        return False

    @property
    def crossed(self) -> bool:
        """True where the best bid is at or above the best ask: a book that cannot be, which is no book."""
        return bool(self.bids and self.asks and self.bids[0].price >= self.asks[0].price)

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


LevelKey: TypeAlias = tuple[str, Side, int]
"""(portfolio, side, price): a BUY takes asks, a SELL takes bids."""


class Take(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Shares taken at one price."""

    price: int
    shares: int


_NONE: list[LevelKey] = []


class LiquidityMemory:
    """What a portfolio took of a level stays taken until the level has left the book (DESIGN.md section 7).

    Of a level there is ``max(0, size now - taken)``: a change of its size gives nothing back but its growth. So what
    all copies of one portfolio took between two disappearances of a level is never more than its largest size.
    """

    __slots__ = ("_taken",)

    def __init__(self) -> None:
        self._taken: dict[str, dict[LevelKey, int]] = {}
        """Token -> (who, side, price) -> shares taken."""

    def available(self, who: str, token_id: str, side: Side, level: Level) -> int:
        """Shares of ``level`` still there for ``who`` (a portfolio)."""
        mine = self._taken.get(token_id)
        return level.size if mine is None else self.left(mine, who, side, level)

    @staticmethod
    def left(taken: dict[LevelKey, int], who: str, side: Side, level: Level) -> int:
        """The same, of a token of which something was taken (:meth:`taken`)."""
        left = level.size - taken.get((who, side, level.price), 0)
        return left if left > 0 else 0

    def taken(self, token_id: str) -> dict[LevelKey, int] | None:
        """What was taken of a token's levels, by whomever; ``None`` where nothing was."""
        return self._taken.get(token_id)

    def take(self, who: str, token_id: str, side: Side, price: int, shares: int) -> int:
        """Remember that ``who`` took ``shares`` at ``price``; returns all that is taken there now."""
        mine = self._taken.setdefault(token_id, {})
        key = (who, side, price)
        mine[key] = mine.get(key, 0) + shares
        return mine[key]

    def refresh(self, book: Book) -> list[LevelKey]:
        """Forget levels that are no longer in the book; returns which."""
        mine = self._taken.get(book.token_id)
        if mine is None:
            return _NONE
        gone = [key for key in mine if not book.has(key[1], key[2])]
        for key in gone:
            del mine[key]
        if not mine:
            del self._taken[book.token_id]
        return gone

    def forget(self, who: str) -> None:
        """Forget all that ``who`` took: its paper state was wiped."""
        for token_id, mine in list(self._taken.items()):
            for key in [k for k in mine if k[0] == who]:
                del mine[key]
            if not mine:
                del self._taken[token_id]

    def drop(self, token_id: str) -> list[LevelKey]:
        """Forget a token that trades no longer; returns the levels that were remembered."""
        return list(self._taken.pop(token_id, {}))


def bid_value(book: Book, shares: int) -> int:
    """What the bid side would pay for ``shares``, best level first, rounded down; nothing beyond its depth."""
    value = 0
    for level in book.bids:
        price, size = level.price, level.size
        if shares <= size:
            return (value + shares * price) // MICRO
        value += size * price
        shares -= size
    return value // MICRO


CENT = MICRO // 100
"""A marketable BUY is placed in whole cents."""


def share_step(tick: int) -> int:
    """What the shares of a marketable BUY are a multiple of, in millionths.

    The venue takes as many decimals as the price has and two more, but never more than four: 0.001 at a tick of 0.1,
    0.0001 at all finer ones. (PROTOCOL.md section 5; the public client's rounding table, and the venue's refusal
    "market buy orders maker amount supports a max accuracy of 2 decimals, taker amount a max of 4 decimals": 9.98 USDC
    at 0.985 are 10.1319 shares, not 10.131979.)
    """
    return 1_000 if tick % 100_000 == 0 else 100


def walk_buy(
    book: Book, budget: int, limit: int, memory: LiquidityMemory, who: str, most_shares: int = 0
) -> list[Take]:
    """Levels a BUY takes: best ask first, at most ``budget`` USDC in whole cents and ``most_shares`` (0 = any), in
    all a multiple of :func:`share_step`."""
    money = budget // CENT * CENT * MICRO
    wanted = most_shares or MAX_TRADE
    mine = memory.taken(book.token_id)
    takes: list[Take] = []
    total = 0
    for level in book.asks:
        price, free = level.price, level.size
        if price > limit or money <= 0 or wanted <= 0:
            break
        if mine is not None:
            free = memory.left(mine, who, BUY, level)
        cost = free * price
        if free > wanted or cost > money:
            shares = min(money // price, wanted)
            if shares > 0:
                takes.append(Take(price, shares))
                total += shares
            break
        if free:
            takes.append(Take(price, free))
            total += free
            wanted -= free
            money -= cost + -cost % MICRO
    step = share_step(book.tick)
    return in_steps(takes, step) if total % step else takes


def in_steps(takes: list[Take], step: int) -> list[Take]:
    """``takes`` with the worst-priced shares left out that make their sum no multiple of ``step``."""
    excess = sum(t.shares for t in takes) % step
    kept = list(takes)
    while excess and kept:
        last = kept.pop()
        if last.shares > excess:
            kept.append(Take(last.price, last.shares - excess))
        excess = max(0, excess - last.shares)
    return kept


def walk_sell(book: Book, shares: int, limit: int, memory: LiquidityMemory, who: str) -> list[Take]:
    """Levels a SELL takes: best bid first, at most ``shares``, no level below ``limit``."""
    mine = memory.taken(book.token_id)
    takes: list[Take] = []
    for level in book.bids:
        price, free = level.price, level.size
        if price < limit or shares <= 0:
            break
        if mine is not None:
            free = memory.left(mine, who, SELL, level)
        if free > shares:
            free = shares
        if free > 0:
            takes.append(Take(price, free))
            shares -= free
    return takes
