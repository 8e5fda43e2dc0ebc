"""Fills that could not have been are not made: crossed books, marks without bids, ticks, dust, used-up liquidity."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilotfish.core import events as ev
from pilotfish.core import sizing
from pilotfish.core.settings import Value
from pilotfish.core.trade import Side
from pilotfish.core.units import MICRO
from tests.desk import CONDITION, LEADER, TOKEN, Desk, usd


def policy(**values: Value) -> dict[str, Value]:
    return dict(values)


def trace(desk: Desk, number: int = -1) -> dict[str, tuple[Any, Any, bool]]:
    """The trace of a decision: check -> (value, limit, passed)."""
    return {check: (value, limit, passed) for check, value, limit, passed in desk.rows("decisions")[number]["trace"]}


# -- books that cannot be --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("bid", "ask"), [(0.55, 0.53), (0.53, 0.53)], ids=["crossed", "locked"])
def test_a_crossed_or_locked_book_gives_no_fill_and_no_mark_and_is_read_again_within_bounds(
    bid: float, ask: float
) -> None:
    desk = Desk()
    desk.bids, desk.asks = [(bid, 1000)], [(ask, 1000)]
    desk.buy(1, price=0.53)
    assert desk.rows("fills") == []
    assert len(desk.asked_books) > 1, "it is read again"
    desk.advance(60)
    assert desk.reasons == ["SKIP_NO_BOOK"]
    assert len(desk.asked_books) < 10
    assert desk.rows("marks") == []


def test_a_book_that_is_crossed_when_the_order_arrives_is_waited_out() -> None:
    desk = Desk(policy(retry_interval_ms=1000, book_attempts=3))
    desk.chain_buy(1)
    desk.bids, desk.asks = [(0.55, 1000)], [(0.53, 1000)]
    desk.advance(1)
    assert desk.held() == 0
    desk.bids, desk.asks = [(0.49, 1000)], [(0.50, 1000)]
    desk.advance(2)
    assert desk.held() == usd(50)


# -- no bid is no mark -----------------------------------------------------------------------------------------


def test_without_bids_a_position_keeps_its_last_known_value_and_no_rule_fires() -> None:
    desk = Desk(policy(stop_loss_bps=3000, rule_confirm_sec=0))
    desk.buy(1)
    desk.send(desk.book_event(TOKEN))
    known = desk.rows("positions")[0]["mark_price_micro"]
    assert known == 490_000
    desk.bids = []
    desk.send(desk.book_event(TOKEN))
    since = desk.at
    desk.advance(30)
    desk.send(desk.book_event(TOKEN))
    desk.value()
    row = desk.rows("positions")[0]
    assert (row["mark_price_micro"], row["unmarked_since"]) == (known, since)
    assert desk.reasons == ["COPY"]
    figures = desk.rows("equity_snapshots")[-1]
    desk.send(ev.Tick(at=desk.at))
    figures = desk.rows("equity_snapshots")[-1]
    assert figures["positions_value_micro"] == figures["unmarked_value_micro"] == 50 * known
    assert figures["equity_micro"] == desk.cash + 50 * known
    desk.bids = [(0.48, 1000)]
    desk.send(desk.book_event(TOKEN))
    desk.value()
    row = desk.rows("positions")[0]
    assert (row["mark_price_micro"], row["unmarked_since"]) == (480_000, None)
    desk.send(ev.Tick(at=desk.at))
    assert desk.rows("equity_snapshots")[-1]["unmarked_value_micro"] == 0


def test_a_rule_that_sees_its_limit_passed_once_only_does_not_sell() -> None:
    desk = Desk(policy(stop_loss_bps=1000))
    desk.buy(1)
    desk.bids = [(0.20, 1000)]
    desk.send(desk.book_event(TOKEN))
    desk.bids = [(0.49, 1000)]
    desk.advance(30)
    assert desk.reasons == ["COPY"]
    desk.bids = [(0.20, 1000)]
    desk.send(desk.book_event(TOKEN))
    desk.advance(3)
    desk.bids = []
    desk.advance(30)
    assert desk.reasons == ["COPY"], "the second look found nobody bidding"


def test_a_stop_loss_has_a_limit_like_any_exit() -> None:
    desk = Desk(policy(stop_loss_bps=1000, sell_max_slippage_bps=500, sell_retry_sec=1))
    desk.buy(1)
    desk.bids = [(0.30, 1000)]
    desk.send(desk.book_event(TOKEN))
    desk.advance(5)
    assert desk.reasons == ["COPY", "EXIT_STOP_LOSS"]
    assert desk.rows("intents")[-1]["limit_price_micro"] == 290_000, "0.285 and one tick less, up to a whole tick"
    desk.bids = [(0.01, 1000)]
    desk.advance(3)
    assert desk.held() == usd(50)
    assert desk.rows("intents")[-1]["reason"] == "FAILED_LIMIT"


# -- ticks -----------------------------------------------------------------------------------------------------


def test_the_tick_that_became_finer_lets_an_exit_at_the_edge_through() -> None:
    desk = Desk()
    desk.bids, desk.asks = [(0.03, 5000)], [(0.04, 5000)]
    desk.buy(1, 1000, 0.04)
    assert desk.held() > 0
    desk.tick = 1_000
    desk.bids, desk.asks = [(0.003, 50_000)], [(0.005, 5000)]
    desk.sell(2, 1000, 0.004)
    assert desk.held() == 0, "one tick of 0.001 below 0.004 is allowed"
    assert desk.rows("intents")[-1]["limit_price_micro"] == 3_000


def test_a_buy_right_after_the_tick_became_finer_is_not_limited_below_the_leaders_price() -> None:
    desk = Desk(policy(buy_max_slippage_bps=0, buy_max_slippage_ticks=0))
    desk.bids, desk.asks = [(0.994, 5000)], [(0.995, 5000)]
    desk.buy(1, 1000, 0.995)
    assert desk.rows("intents")[0]["limit_price_micro"] == 995_000
    assert desk.held() == 25_125_600, "25 USDC at 0.995, in steps of 0.0001 share"


AMOUNTS = st.integers(1, 10**12)


@given(AMOUNTS, AMOUNTS, st.integers(0, 10_000), st.sampled_from([100, 1000, 2500, 5000, 10_000, 100_000]),
       st.integers(0, 5))  # fmt: skip
def test_rounding_puts_no_limit_on_the_wrong_side_of_the_leaders_own_price(
    usdc: int, shares: int, bps: int, tick: int, ticks: int
) -> None:
    usdc = min(usdc, shares)
    exact = Fraction(usdc * MICRO, shares)
    buy, sell = sizing.buy_limit(usdc, shares, bps, tick, ticks), sizing.sell_limit(usdc, shares, bps, tick, ticks)
    rounding = Fraction(2 * MICRO, shares)
    assert buy > exact - 1 - rounding and (sell < exact + 1 + rounding or sell == 1)
    assert buy <= max(exact + rounding, exact * (10_000 + bps) / 10_000 + rounding * 2, exact + rounding + ticks * tick)


@pytest.mark.parametrize(
    ("price", "ask", "bps", "ticks", "copied", "check"),
    [
        (0.03, 0.04, 300, 1, True, "slippage_ticks"),
        (0.03, 0.04, 300, 0, False, "slippage_bps"),
        (0.03, 0.05, 300, 1, False, "slippage_ticks"),
        (0.80, 0.82, 300, 1, True, "slippage_bps"),
        (0.80, 0.83, 300, 1, False, "slippage_bps"),
    ],
)
def test_of_slippage_in_basis_points_and_in_ticks_the_larger_counts_and_is_in_the_trace(
    price: float, ask: float, bps: int, ticks: int, copied: bool, check: str
) -> None:
    desk = Desk(policy(buy_max_slippage_bps=bps, buy_max_slippage_ticks=ticks, max_spread_bps=20_000))
    desk.bids, desk.asks = [(ask - 0.01, 5000)], [(ask, 5000)]
    desk.buy(1, 1000, price)
    assert desk.reasons == ["COPY" if copied else "SKIP_SLIPPAGE"]
    assert trace(desk)[check][2] is copied


@pytest.mark.parametrize(
    ("bid", "ask", "bps", "ticks", "copied", "check"),
    [
        (0.02, 0.03, 1000, 2, True, "spread_ticks"),
        (0.02, 0.03, 1000, 0, False, "spread_bps"),
        (0.01, 0.04, 1000, 2, False, "spread_ticks"),
        (0.48, 0.52, 1000, 2, True, "spread_bps"),
        (0.40, 0.52, 1000, 2, False, "spread_bps"),
    ],
)
def test_of_the_spread_in_basis_points_and_in_ticks_the_larger_counts_and_is_in_the_trace(
    bid: float, ask: float, bps: int, ticks: int, copied: bool, check: str
) -> None:
    desk = Desk(policy(max_spread_bps=bps, max_spread_ticks=ticks))
    desk.bids, desk.asks = [(bid, 5000)], [(ask, 5000)]
    desk.buy(1, 1000, ask)
    assert desk.reasons == ["COPY" if copied else "SKIP_SPREAD"]
    assert trace(desk)[check][2] is copied


def test_an_exit_may_go_a_tick_below_where_basis_points_forbid_any() -> None:
    desk = Desk(policy(max_spread_bps=20_000))
    desk.bids, desk.asks = [(0.02, 5000)], [(0.03, 5000)]
    desk.buy(1, 1000, 0.03)
    desk.sell(2, 1000, 0.03)
    assert desk.held() == 0
    desk = Desk(policy(max_spread_bps=20_000, sell_max_slippage_ticks=0, sell_retry_sec=0))
    desk.bids, desk.asks = [(0.02, 5000)], [(0.03, 5000)]
    desk.buy(1, 1000, 0.03)
    desk.sell(2, 1000, 0.03)
    assert desk.held() > 0


# -- dust ------------------------------------------------------------------------------------------------------


def test_a_sale_of_nearly_all_is_a_sale_of_all() -> None:
    for sold, left in ((49.01, 0), (48.0, None)):
        desk = Desk(holdings={TOKEN: 0})
        desk.buy(1, 49.0196)
        desk.sell(2, sold)
        if left is None:
            assert desk.held() > 0
        else:
            assert desk.held() == left
    desk = Desk(policy(exit_all_ratio=MICRO), holdings={TOKEN: 0})
    desk.buy(1, 49.0196)
    desk.sell(2, 49.01)
    assert desk.rows("fills")[-1]["shares_micro"] < usd(50)


def test_what_the_bids_leave_below_a_hundredth_share_is_written_off_with_an_entry_of_its_own() -> None:
    desk = Desk(holdings={TOKEN: 0})
    desk.buy(1)
    desk.bids = [(0.49, 49.997714)]
    desk.sell(2, 100)
    assert desk.held() == 0
    position = desk.rows("positions")[0]
    assert (position["status"], position["cost_micro"]) == ("closed", 0)
    entry = desk.rows("ledger_entries")[-1]
    assert (entry["kind"], entry["amount_micro"], entry["shares_micro"]) == ("dust", 0, 2286)
    assert desk.rows("intents")[-1]["dust_micro"] == 2286
    assert desk.engine.state.desks["main"].sums.open == 0
    assert position["realized_pnl_micro"] == desk.cash - usd(10_000)


def test_what_is_left_below_a_cent_is_written_off() -> None:
    desk = Desk(policy(max_spread_bps=20_000), holdings={TOKEN: 0})
    desk.bids, desk.asks, desk.tick = [(0.001, 24_991)], [(0.001, 100_000)], 1000
    desk.bids = [(0.0005, 1)]
    desk.tick = 100
    desk.buy(1, 100_000, 0.001)
    held = desk.held()
    assert held == usd(25_000)
    desk.bids = [(0.001, 24_991)]
    desk.asks = [(0.002, 1)]
    desk.sell(2, 100_000, 0.001)
    assert desk.held() == 0, "9 shares at 0.001 are less than a cent"
    assert desk.rows("ledger_entries")[-1]["kind"] == "dust"


def test_a_position_that_is_dust_already_is_closed_at_its_next_mark() -> None:
    desk = Desk(holdings={TOKEN: 0})
    desk.buy(1)
    position = desk.engine.state.desks["main"].positions[(LEADER, TOKEN)]
    position.shares, position.cost = 9_999, 5_000
    desk.engine.state.desks["main"].count(position)
    desk.send(desk.book_event(TOKEN))
    assert desk.held() == 0
    assert desk.reasons == ["COPY", "EXIT_DUST"]
    assert desk.rows("intents")[-1]["state"] == "filled"
    assert not desk.engine.state.desks["main"].intents


# -- liquidity over a restart, fees ----------------------------------------------------------------------------


def test_liquidity_that_was_taken_stays_taken_over_a_restart_and_comes_back_with_the_level() -> None:
    desk = Desk()
    desk.asks = [(0.50, 60)]
    desk.buy(1)
    taken = desk.rows("liquidity_taken")
    assert [(r["side"], r["price_micro"], r["taken_micro"]) for r in taken] == [("BUY", 500_000, usd(50))]
    again = Desk(follow=False)
    again.asks = desk.asks
    state = ev.PortfolioState(
        name="main", bankroll=usd(10_000), cash=usd(9_975), policy=again.engine.state.desks["main"].policy,
        taken=((TOKEN, Side.BUY, 500_000, usd(50)),),
    )  # fmt: skip
    again.begin(type(again.engine)(), again.at)
    again.send(ev.Restored(at=again.at, portfolios=(state,)))
    again.follow_leader(LEADER)
    again.buy(2)
    assert again.held() == usd(10)
    again.asks = [(0.51, 100)]
    again.send(again.book_event(TOKEN))
    assert again.rows("liquidity_taken") == []


def test_a_buy_ends_whatever_the_fee_and_however_little_cash_there_is() -> None:
    for halves in (0, 1, 2, 20):
        for cash in (30, 26, 25, 1):
            desk = Desk(policy(bankroll=usd(cash)))
            desk.fee = type(desk.fee)(rate_ppm=70_000, half_exponent=halves)
            desk.bids, desk.asks = [(0.04, 5000)], [(0.05, 5000)]
            desk.buy(1, 1000, 0.05)
            assert 0 <= desk.cash <= usd(cash)


def test_settled_tokens_are_forgotten_by_the_memory_of_liquidity() -> None:
    desk = Desk()
    desk.buy(1)
    desk.send(ev.MarketSeen(at=desk.at, market=desk.market(TOKEN, payout=MICRO, closed=True)))
    assert desk.rows("liquidity_taken") == []
    assert desk.rows("ledger_entries")[-1]["shares_micro"] == usd(50)
    assert desk.rows("positions")[0]["condition_id"] == CONDITION
