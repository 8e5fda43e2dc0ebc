"""How late a trade is, and what may still be done about it: one home for the class, the catch-up age and the catch-up
price, for the decision as for the second look at an order after a restart."""

from __future__ import annotations

from pilotfish.core.settings import Policy
from pilotfish.core.sizing import buy_limit
from pilotfish.core.trade import TradeClass
from pilotfish.core.units import SECOND


def classify(traded_at: int, at: int, max_live_lag_sec: int, *, backfill: bool = False) -> TradeClass:
    """Backfill stays backfill; otherwise live while young enough at ``at`` (µs), else catch-up."""
    if backfill:
        return TradeClass.BACKFILL
    return TradeClass.LIVE if at - traded_at <= max_live_lag_sec * SECOND else TradeClass.CATCH_UP


def too_old(traded_at: int, at: int, policy: Policy) -> bool:
    """True for a missed BUY that is not made up for any more."""
    return at - traded_at > policy.catch_up_buy_max_age_sec * SECOND


def worse_allowed_bps(policy: Policy) -> int:
    """How much worse than the leader's price a missed BUY may be, in basis points."""
    return 0 if policy.catch_up_buy_require_better_price else policy.catch_up_buy_max_worse_bps


def catch_up_limit(leader_usdc: int, leader_shares: int, policy: Policy, tick: int) -> int:
    """The highest price that a missed BUY may pay, from the exact amounts of the leader's fill."""
    return buy_limit(leader_usdc, leader_shares, worse_allowed_bps(policy), tick)
