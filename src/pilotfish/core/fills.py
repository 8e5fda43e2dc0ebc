"""An intent against a book: what a fill-and-kill taker order would have got, and what copying cost.

No book, no fill: never the leader's price, never the mid.
"""

from __future__ import annotations

from dataclasses import dataclass

from pilotfish.core.book import Book, LiquidityMemory, Take, walk_buy, walk_sell
from pilotfish.core.fees import FeeSchedule, taker_fee
from pilotfish.core.trade import Side
from pilotfish.core.units import MICRO, ceil_div, cost_of, proceeds_of


@dataclass(frozen=True, slots=True)
class PaperFill:
    """What was taken. ``usdc`` is paid (BUY) or received (SELL), without ``fee``.

    ``delay_cost`` is leader's price → mid at our order, ``spread_cost`` mid → our average; positive = it cost us.
    The two add up to the difference between our price and the leader's on these shares.
    """

    takes: tuple[Take, ...]
    shares: int
    usdc: int
    fee: int
    delay_cost: int
    spread_cost: int
    mid2: int


def simulate_buy(
    book: Book, budget: int, limit: int, cash: int, fee: FeeSchedule, leader_price: int,
    memory: LiquidityMemory, who: str, most_shares: int = 0,
) -> PaperFill | None:  # fmt: skip
    """Spend at most ``budget`` within ``limit``, never more than ``cash`` with the fee, and buy at most
    ``most_shares`` (0 = any number); ``None`` = nothing."""
    takes = walk_buy(book, budget, limit, memory, who, most_shares)
    while takes:
        usdc = sum(cost_of(t.shares, t.price) for t in takes)
        charge = taker_fee(takes, fee)
        if usdc + charge <= cash:
            break
        last = takes.pop()
        spent = usdc - cost_of(last.shares, last.price)
        left = cash - spent - taker_fee(takes, fee)
        unit_cost = last.price * (MICRO + fee.rate_ppm)
        fewer = min(last.shares - 1, max(0, left) * MICRO * MICRO // unit_cost - 2)
        if fewer > 0:
            takes.append(Take(last.price, fewer))
    if not takes:
        return None
    return _fill(Side.BUY, takes, usdc, charge, book, leader_price)


def simulate_sell(
    book: Book, shares: int, limit: int, fee: FeeSchedule, leader_price: int, memory: LiquidityMemory, who: str
) -> PaperFill | None:
    """Sell at most ``shares`` within ``limit``; ``None`` = nothing."""
    takes = walk_sell(book, shares, limit, memory, who)
    if not takes:
        return None
    usdc = sum(proceeds_of(t.shares, t.price) for t in takes)
    return _fill(Side.SELL, takes, usdc, min(usdc, taker_fee(takes, fee)), book, leader_price)


def commit(fill: PaperFill, side: Side, book: Book, memory: LiquidityMemory, who: str) -> None:
    """Remember the liquidity that the fill used up."""
    levels = {lv.price: lv for lv in (book.asks if side is Side.BUY else book.bids)}
    for take in fill.takes:
        memory.take(who, book.token_id, side, levels[take.price], take.shares)


def _fill(side: Side, takes: list[Take], usdc: int, fee: int, book: Book, leader_price: int) -> PaperFill:
    shares = sum(t.shares for t in takes)
    mid2 = book.mid2 or 2 * takes[0].price
    delay, spread = costs(side, shares, usdc, mid2, leader_price)
    return PaperFill(tuple(takes), shares, usdc, fee, delay, spread, mid2)


def costs(side: Side, shares: int, usdc: int, mid2: int, leader_price: int) -> tuple[int, int]:
    """(delay, spread and impact) of ``shares`` for ``usdc`` against a leader's price; ``mid2`` is twice the mid.

    They add up exactly to what the shares cost more, or brought less, than at the leader's price.
    """
    if side is Side.BUY:
        mid_value = ceil_div(shares * mid2, 2 * MICRO)
        return mid_value - cost_of(shares, leader_price), usdc - mid_value
    mid_value = shares * mid2 // (2 * MICRO)
    return proceeds_of(shares, leader_price) - mid_value, mid_value - usdc
