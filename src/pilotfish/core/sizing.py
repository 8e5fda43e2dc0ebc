"""How much: a BUY's budget by policy, a SELL's shares by proportion (DESIGN.md section 6)."""

from __future__ import annotations

import hashlib

import msgspec

from pilotfish.core.settings import Policy
from pilotfish.core.trade import Trade
from pilotfish.core.units import BPS, MAX_TRADE, MICRO, PPM, ceil_div

FINEST = 100
"""The venue's finest tick, 0.0001."""


def wanted_usdc(policy: Policy, trade: Trade, leader_value: int | None, equity: int) -> int | None:
    """USDC that a copy of a leader's BUY should spend at their price, before minimums and caps. Rounded down,
    and no more than any trade may be (:data:`MAX_TRADE`), whatever the leader's value and the settings make of it.

    ``leader_value`` is what their positions are worth, ``equity`` what ours and our cash are; ``None`` = the mode needs
    their value and it is not known.
    """
    if policy.sizing_mode == "fixed_usdc":
        wanted = policy.fixed_usdc
    elif policy.sizing_mode == "fixed_shares":
        wanted = ceil_div(policy.fixed_shares * trade.usdc, trade.shares)
    elif policy.sizing_mode == "leader_ratio":
        wanted = trade.usdc * policy.leader_ratio // PPM
    elif not leader_value:
        return None
    else:
        wanted = trade.usdc * max(0, equity) * policy.bankroll_ratio // (leader_value * PPM)
    return min(MAX_TRADE, wanted * tier(policy, trade.usdc) // PPM)


def ideal_usdc(policy: Policy, trade: Trade, leader_value: int | None, bankroll: int) -> int:
    """USDC of a leader's BUY that the ideal takes: it depends on how sizes are set, on their trade and on nothing that
    guards have a hand in, so bankroll_ratio goes by the bankroll; 0 while the leader's value is not known."""
    return wanted_usdc(policy, trade, leader_value, bankroll) or 0


def by_order(policy: Policy) -> bool:
    """True where a size is spent once an order of the leader, however many fills it is eaten in."""
    return policy.sizing_mode in ("fixed_usdc", "fixed_shares")


def tier(policy: Policy, leader_usdc: int) -> int:
    """The multiplier (in millionths) for a leader's fill of ``leader_usdc``."""
    factor = PPM
    for low, times in policy.size_tiers:
        if leader_usdc >= low:
            factor = times
    return factor


def worded(policy: Policy, leader_usdc: int) -> str:
    """How the size of a copy comes about, for its trace."""
    return f"{policy.sizing_mode} x {tier(policy, leader_usdc) / PPM:g}"


def latency_ms(policy: Policy, draw: int) -> int:
    """How long an order takes to reach the book. ``draw`` (0 … 999,999) places it in the distribution.

    The lower half lies between half the median and the median; above it grows with the third power, so that one order
    in a hundred takes ``order_latency_p99_ms`` or longer.
    """
    median, slow = policy.order_latency_ms, policy.order_latency_p99_ms
    if slow <= median:
        return median
    if draw < PPM // 2:
        return median // 2 + median * draw // PPM
    above = draw - PPM // 2
    return median + (slow - median) * above**3 // 490_000**3


def latency_of(policy: Policy, *order: object) -> int:
    """The same (ms), drawn by what names the ``order``; where all take equally long nothing is drawn."""
    spread = policy.order_latency_p99_ms > policy.order_latency_ms
    return latency_ms(policy, draw(*order)) if spread else policy.order_latency_ms


def draw(*parts: object) -> int:
    """A number from 0 to 999,999 that depends on nothing but ``parts``, evenly spread."""
    text = "|".join(str(p) for p in parts).encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "big") % PPM


def sells_all(sold: int, leader_before: int | None, exit_all_ratio: int = PPM) -> bool:
    """True where the leader sells all: all that was known of, or at least ``exit_all_ratio`` (millionths) of it."""
    return not leader_before or sold * PPM >= leader_before * min(exit_all_ratio, PPM)


def sell_shares(held: int, sold: int, leader_before: int | None, exit_all_ratio: int = PPM) -> int:
    """Shares to sell when the leader sells ``sold`` of ``leader_before``: held × sold / before, rounded down.

    Everything, dust included, when they sell (nearly) all, more than we knew of, or we know of none.
    """
    if not leader_before or sells_all(sold, leader_before, exit_all_ratio):
        return held
    return held * sold // leader_before


def shrink(amount: int, sold: int, leader_before: int | None, exit_all_ratio: int = PPM) -> int:
    """What is left of a pending BUY's ``amount`` when the leader sells ``sold`` of ``leader_before``."""
    if not leader_before or sells_all(sold, leader_before, exit_all_ratio):
        return 0
    return amount - ceil_div(amount * sold, leader_before)


def their_price(leader_usdc: int, leader_shares: int, *, up: bool = False) -> int:
    """The leader's price in millionths, rounded down, or ``up``; a whole :data:`FINEST` where the rounding of the
    amounts themselves (two millionths of a USDC) explains the difference to it: 0.407407 USDC for 1.234567 shares was
    a price of 0.33."""
    value = leader_usdc * MICRO
    whole = (2 * value + leader_shares * FINEST) // (2 * leader_shares * FINEST) * FINEST
    if abs(value - leader_shares * whole) <= 2 * MICRO:
        return whole
    return ceil_div(value, leader_shares) if up else value // leader_shares


def is_priced(leader_usdc: int, leader_shares: int, tick: int) -> bool:
    """True where the amounts of a leader's fill say its price: a millionth of a USDC more or less moves it by half a
    tick at most. One millionth of a share for one millionth of a USDC may have been at any price."""
    return leader_usdc > 0 and leader_shares * tick >= 2 * MICRO


class Slack(msgspec.Struct, frozen=True, gc=False):
    """How far below a leader's fill of ``usdc`` for ``shares`` an exit may go: the larger of basis points and ticks.
    ``tick`` is the market's where it is known when the order goes out; else any tick of a book is finer."""

    usdc: int
    shares: int
    bps: int
    ticks: int
    tick: int

    def limit(self, tick: int) -> int:
        """The lowest price to take where prices have this tick."""
        return sell_limit(self.usdc, self.shares, self.bps, tick, self.ticks)


def buy_limit(leader_usdc: int, leader_shares: int, worse_bps: int, tick: int, worse_ticks: int = 0) -> int:
    """Highest price to pay: the leader's price plus the larger of ``worse_bps`` and ``worse_ticks``, down to a whole
    tick and below 1. Rounding to ticks never puts it below their own price."""
    price = their_price(leader_usdc, leader_shares)
    worse, by_ticks = price * (BPS + worse_bps) // BPS, price + worse_ticks * tick
    if worse < by_ticks:
        worse = by_ticks
    limit = min(worse // tick * tick, MICRO - tick)
    return limit if limit > price else price


def sell_limit(leader_usdc: int, leader_shares: int, worse_bps: int, tick: int, worse_ticks: int = 0) -> int:
    """Lowest price to take: the leader's price less the larger of ``worse_bps`` and ``worse_ticks``, up to a whole
    tick, at least one. Rounding to ticks never puts it above their own price."""
    price = their_price(leader_usdc, leader_shares, up=True)
    worse, by_ticks = -(-price * max(0, BPS - worse_bps) // BPS), price - worse_ticks * tick
    if worse > by_ticks:
        worse = by_ticks
    limit = -(-worse // tick) * tick if worse > tick else tick
    return max(1, limit if limit < price else price)
