"""What a wallet held and what its positions cost it, worked out from its activity (PROTOCOL.md section 8)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from pilotfish.core.trade import Side
from pilotfish.core.units import MICRO, proceeds_of
from pilotfish.history.records import Deed, PastMarket

CREDITS = ("REWARD", "YIELD", "MAKER_REBATE", "TAKER_REBATE", "REFERRAL_REWARD")
"""Kinds of activity that only bring money."""


@dataclass(slots=True)
class Balances:
    """Shares by token, and what they cost, at average cost; amounts in millionths.

    ``realized`` is what sales, merges and redemptions brought above that, without fees; ``cash`` what came in less what
    went out, with them; ``fees`` the part of it that were fees, ``credits`` the part that were rewards and rebates.
    ``unsure`` are tokens of markets with moves whose effect their rows do not say, ``short`` those of which more went
    than had come: of these less than nothing is held, or (``never_short``) nothing, as the venue would show it.
    """

    shares: dict[str, int] = field(default_factory=dict)
    cost: dict[str, int] = field(default_factory=dict)
    conditions: dict[str, str] = field(default_factory=dict)
    realized: int = 0
    cash: int = 0
    fees: int = 0
    credits: int = 0
    unsure: set[str] = field(default_factory=set)
    short: set[str] = field(default_factory=set)
    never_short: bool = False

    def come(self, token: str, shares: int, usdc: int) -> None:
        """Shares that came for so much."""
        self.shares[token] = self.shares.get(token, 0) + shares
        self.cost[token] = self.cost.get(token, 0) + usdc

    def go(self, token: str, shares: int, usdc: int) -> None:
        """Shares that went for so much."""
        held = self.shares.get(token, 0)
        if shares > held:
            self.short.add(token)
        cost = self.cost.get(token, 0)
        part = cost * min(shares, held) // held if held > 0 else 0
        self.shares[token] = max(0, held - shares) if self.never_short else held - shares
        self.cost[token] = cost - part
        self.realized += usdc - part

    def forget(self, token: str) -> None:
        """A token of which nothing is held, and nothing more is to be said."""
        for what in (self.shares, self.cost, self.conditions):
            what.pop(token, None)
        self.short.discard(token)


def balances(
    deeds: Iterable[Deed], market_of: Callable[[str], PastMarket | None], before: Balances | None = None
) -> Balances:
    """What a wallet held after these deeds, oldest first, having held ``before``. ``market_of`` gives a condition's
    market, without which a move of it changes nothing that is known and makes it unsure."""
    found = before if before is not None else Balances()
    for deed in deeds:
        if deed.kind == "TRADE":
            _trade(found, deed)
        elif deed.kind in CREDITS:
            found.cash += deed.usdc_size
            found.credits += deed.usdc_size
        elif deed.condition_id:
            _move(found, deed, market_of(deed.condition_id))
    return found


def _trade(found: Balances, deed: Deed) -> None:
    fee = abs(deed.usdc_size - deed.usdc)
    found.fees += fee
    found.conditions[deed.token_id] = deed.condition_id
    if deed.side is Side.BUY:
        found.come(deed.token_id, deed.shares, deed.usdc)
        found.cash -= deed.usdc + fee
    else:
        found.go(deed.token_id, deed.shares, deed.usdc)
        found.cash += deed.usdc - fee


def _move(found: Balances, deed: Deed, market: PastMarket | None) -> None:
    tokens = market.tokens if market is not None else ()
    for token in tokens:
        found.conditions[token] = deed.condition_id
    if not tokens or deed.kind == "CONVERSION":
        found.unsure.add(deed.condition_id)
    match deed.kind:
        case "SPLIT":
            found.cash -= deed.usdc_size
            for token in tokens:
                found.come(token, deed.shares, deed.usdc_size // len(tokens))
        case "MERGE":
            found.cash += deed.usdc_size
            for token in tokens:
                found.go(token, deed.shares, deed.usdc_size // len(tokens))
        case "REDEEM":
            found.cash += deed.usdc_size
            _redeem(found, deed, market)
        case "CONVERSION" if len(tokens) > 1:
            held = found.shares.get(tokens[1], 0)
            found.go(tokens[1], min(deed.shares, max(0, held)), 0)
        case _:
            found.unsure.add(deed.condition_id)


def _redeem(found: Balances, deed: Deed, market: PastMarket | None) -> None:
    """All that was held of a market went: of the one outcome that pays, as much as was paid for."""
    if market is None or market.payouts is None:
        found.unsure.add(deed.condition_id)
    paying = [n for n, paid in enumerate(market.payouts or ()) if paid] if market is not None else []
    for n, token in enumerate(market.tokens if market is not None else ()):
        held = max(0, found.shares.get(token, 0))
        if market is not None and market.payouts is not None and paying == [n]:
            found.go(token, deed.usdc_size * MICRO // market.payouts[n], deed.usdc_size)
        elif held:
            found.go(token, held, proceeds_of(held, market.payouts[n]) if market and market.payouts else 0)
