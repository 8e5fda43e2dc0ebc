"""How much: a BUY's budget by policy, a SELL's shares by proportion (DESIGN.md section 6)."""

from __future__ import annotations

from pilotfish.core.settings import Policy
from pilotfish.core.units import BPS, MICRO, PPM, ceil_div


def buy_budget(policy: Policy, leader_usdc: int) -> int:
    """USDC to spend on a copy of a leader's fill of ``leader_usdc``, before caps. Rounded down."""
    if policy.sizing_mode == "leader_ratio":
        return leader_usdc * policy.leader_ratio // PPM
    return policy.fixed_usdc


def sell_shares(held: int, sold: int, leader_before: int | None) -> int:
    """Shares to sell when the leader sells ``sold`` of ``leader_before``: held × sold / before, rounded down.

    Everything, dust included, when he sells all, more than we knew of, or we know of none.
    """
    if not leader_before or sold >= leader_before:
        return held
    return held * sold // leader_before


def shrink(amount: int, sold: int, leader_before: int | None) -> int:
    """What is left of a pending BUY's ``amount`` when the leader sells ``sold`` of ``leader_before``."""
    if not leader_before or sold >= leader_before:
        return 0
    return amount - ceil_div(amount * sold, leader_before)


def buy_limit(leader_usdc: int, leader_shares: int, worse_bps: int, tick: int) -> int:
    """Highest price to pay: the leader's exact price plus ``worse_bps``, down to a whole tick, below 1."""
    limit = leader_usdc * MICRO * (BPS + worse_bps) // (leader_shares * BPS)
    return min(limit // tick * tick, MICRO - tick)


def sell_limit(leader_usdc: int, leader_shares: int, worse_bps: int, tick: int) -> int:
    """Lowest price to take: the leader's exact price less ``worse_bps``, up to a whole tick, at least one tick."""
    limit = ceil_div(leader_usdc * MICRO * max(0, BPS - worse_bps), leader_shares * BPS)
    return max(ceil_div(limit, tick) * tick, tick)
