"""What a wallet held by its activity: every kind of move counts, and what a row does not say is not guessed."""

from __future__ import annotations

from pilotfish.core.trade import Side
from pilotfish.core.units import MICRO
from pilotfish.history.balances import Balances, balances
from pilotfish.history.records import Deed, PastMarket

SETTLED = PastMarket(condition_id="0xa", tokens=("1", "2"), payouts=(MICRO, 0))
OPEN = PastMarket(condition_id="0xb", tokens=("3", "4"))
MARKETS = {m.condition_id: m for m in (SETTLED, OPEN)}


def deed(kind: str, amount: int, /, *, condition: str = "0xa", **more: object) -> Deed:
    given = {
        "kind": kind,
        "at": 1,
        "tx_hash": "",
        "condition_id": condition,
        "usdc_size": amount,
        "shares": amount,
        **more,
    }
    return Deed(**given)  # type: ignore[arg-type]


def traded(side: Side, shares: int, usdc: int, *, token: str = "1", fee: int = 0) -> Deed:
    return deed("TRADE", usdc + fee, token_id=token, side=side, shares=shares, usdc=usdc)


def after(*deeds: Deed) -> Balances:
    return balances(deeds, MARKETS.get)


def test_buying_and_selling_count_at_average_cost_and_fees_only_in_cash() -> None:
    found = after(traded(Side.BUY, 10, 4, fee=1), traded(Side.BUY, 10, 8), traded(Side.SELL, 10, 9))
    assert (found.shares, found.realized, found.cash, found.fees) == ({"1": 10}, 3, -4, 1)


def test_a_split_brings_both_outcomes_and_a_merge_takes_them() -> None:
    found = after(deed("SPLIT", 10, condition="0xb"), deed("MERGE", 4, condition="0xb"))
    assert (found.shares, found.cash, found.realized, found.unsure) == ({"3": 6, "4": 6}, -6, 0, set())


def test_a_redemption_takes_winners_for_what_was_paid_and_losers_for_nothing() -> None:
    found = after(traded(Side.BUY, 10, 6), traded(Side.BUY, 5, 2, token="2"), deed("REDEEM", 10))
    assert (found.shares, found.cash, found.realized) == ({"1": 0, "2": 0}, 2, 2)
    assert after(deed("REDEEM", 10)).shares["1"] == -10, "they were held from before"
    assert after(deed("REDEEM", 10, condition="0xb")).unsure == {"0xb"}, "not known to be settled"


def test_rewards_are_cash_and_nothing_else() -> None:
    found = after(deed("REWARD", 7, condition=""), deed("MAKER_REBATE", 2, condition=""))
    assert (found.shares, found.cash, found.credits, found.realized) == ({}, 9, 9, 0)


def test_what_a_row_does_not_say_makes_its_market_unsure() -> None:
    bought = traded(Side.BUY, 10, 6, token="2")
    converted = after(bought, deed("CONVERSION", 10))
    assert (converted.shares["2"], converted.unsure) == (0, {"0xa"}), "the second outcome goes; what comes is not said"
    assert after(deed("SPLIT", 10, condition="0xz")).unsure == {"0xz"}, "a market that is not known"
    assert after(deed("MIGRATION", 10)).unsure == {"0xa"}
