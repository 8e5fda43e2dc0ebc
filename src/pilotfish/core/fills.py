"""An intent against a book: what a fill-and-kill taker order would have got, and what copying cost.

No book, no fill: never the leader's price, never the mid.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from pilotfish.core.book import Book, LiquidityMemory, Take, in_steps, share_step, walk_buy, walk_sell
from pilotfish.core.fees import FeeSchedule, taker_fee
from pilotfish.core.trade import BUY, Side
from pilotfish.core.units import MICRO, ceil_div, cost_of, proceeds_of


class PaperFill(msgspec.Struct, frozen=True, gc=False):
    """What was taken. ``usdc`` is paid (BUY) or received (SELL), without ``fee``; ``mid2`` is twice the mid then."""

    takes: tuple[Take, ...]
    shares: int
    usdc: int
    fee: int
    mid2: int


def simulate_buy(
    book: Book, budget: int, limit: int, cash: int, fee: FeeSchedule,
    memory: LiquidityMemory, who: str, most_shares: int = 0,
) -> PaperFill | None:  # fmt: skip
    """Spend at most ``budget`` within ``limit``, never more than ``cash`` with the fee, and buy at most
    ``most_shares`` (0 = any number); ``None`` = nothing."""
    takes = walk_buy(book, budget, limit, memory, who, most_shares)
    usdc, charged = _cost(takes), taker_fee(takes, fee)
    if usdc + charged > cash:
        takes = _affordable(takes, cash, fee, share_step(book.tick))
        usdc, charged = _cost(takes), taker_fee(takes, fee)
    return _fill(takes, usdc, charged, book) if takes else None


def _total(takes: Sequence[Take], fee: FeeSchedule) -> int:
    return _cost(takes) + taker_fee(takes, fee)


def _cost(takes: Sequence[Take]) -> int:
    return sum([cost_of(t.shares, t.price) for t in takes])


def _affordable(takes: list[Take], cash: int, fee: FeeSchedule, step: int) -> list[Take]:
    """As much of ``takes`` as ``cash`` pays for with its fee: the best levels whole, of the next a part.

    What is paid grows with the shares, so halving the range finds the part: as many rounds as its size has bits.
    """
    while takes and _total(takes, fee) > cash:
        last = takes.pop()
        low, high = 0, last.shares
        while low < high:
            middle = (low + high + 1) // 2
            if _total([*takes, Take(last.price, middle)], fee) <= cash:
                low = middle
            else:
                high = middle - 1
        if low:
            return in_steps([*takes, Take(last.price, low)], step)
    return in_steps(takes, step)


def simulate_sell(
    book: Book, shares: int, limit: int, fee: FeeSchedule, memory: LiquidityMemory, who: str
) -> PaperFill | None:
    """Sell at most ``shares`` within ``limit``; ``None`` = nothing."""
    takes = walk_sell(book, shares, limit, memory, who)
    if not takes:
        return None
    usdc = sum([proceeds_of(t.shares, t.price) for t in takes])
    return _fill(takes, usdc, min(usdc, taker_fee(takes, fee)), book)


def _fill(takes: list[Take], usdc: int, fee: int, book: Book) -> PaperFill:
    shares = sum([t.shares for t in takes])
    mid2 = book.mid2 or 2 * takes[0].price
    return PaperFill(tuple(takes), shares, usdc, fee, mid2)


def costs(side: Side, shares: int, usdc: int, mid2: int, leader_price: int) -> tuple[int, int]:
    """(delay, spread and impact) of ``shares`` for ``usdc`` against a leader's price; ``mid2`` is twice the mid.

    They add up exactly to what the shares cost more, or brought less, than at the leader's price.
    """
    if side is BUY:
        mid_value = ceil_div(shares * mid2, 2 * MICRO)
        return mid_value - cost_of(shares, leader_price), usdc - mid_value
    mid_value = shares * mid2 // (2 * MICRO)
    return proceeds_of(shares, leader_price) - mid_value, mid_value - usdc
