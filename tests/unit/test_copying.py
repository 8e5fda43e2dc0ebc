"""From a leader's trade to our position: sizes, proportional sells, orders, catch-up, modes, reorgs, resets."""

from __future__ import annotations

import pytest

from pilotfish.core import events as ev
from pilotfish.core.fees import FeeSchedule
from pilotfish.core.settings import TriggerMode, policy_from
from pilotfish.core.trade import Source
from pilotfish.core.units import MICRO, SECOND
from tests.desk import LEADER, NO_TOKEN, OTHER, START, TOKEN, Desk, api_fill, chain_fill, usd


def health(desk: Desk, source: Source, healthy: bool) -> None:
    desk.send(ev.HealthChanged(at=desk.at, source=source, healthy=healthy))


def change(desk: Desk, **settings: object) -> None:
    policy = policy_from({**desk.settings, **settings})  # type: ignore[dict-item]
    desk.send(ev.PolicyChanged(at=desk.at, portfolio="main", policy=policy))


# -- buys ------------------------------------------------------------------------------------------------------


def test_a_buy_spends_the_fixed_size_at_the_ask_and_pays_the_fee_on_top() -> None:
    desk = Desk(fee=FeeSchedule(50_000))
    desk.buy(1, 100)
    assert desk.held() == usd(50)
    (fill,) = desk.rows("fills")
    assert (fill["usdc_micro"], fill["fee_micro"]) == (usd(25), usd(0.625))
    assert desk.cash == usd(10_000 - 25.625)


def test_ratio_sizes_follow_each_fill_and_the_venues_minimum_holds() -> None:
    desk = Desk(settings={"sizing_mode": "leader_ratio", "leader_ratio": 100_000})
    desk.buy(1, 100, order_hash="0x01")
    desk.buy(2, 10, order_hash="0x01")
    assert desk.reasons == ["COPY", "SKIP_BELOW_MIN"]
    assert desk.held() == usd(10)


def test_a_fixed_size_is_spent_once_per_order_and_again_for_the_next_order() -> None:
    desk = Desk()
    for n in range(1, 5):
        desk.buy(n, 10, order_hash="0xaa")
    desk.buy(5, 10, order_hash="0xbb")
    assert desk.reasons == ["COPY", "SKIP_SAME_ORDER", "SKIP_SAME_ORDER", "SKIP_SAME_ORDER", "COPY"]
    assert desk.held() == usd(100)


def test_seen_by_the_api_only_a_burst_at_one_price_is_one_order() -> None:
    desk = Desk()
    for n in range(1, 4):
        desk.api(api_fill(n, "BUY", 12.345679 * n, 0.5, traded_at=desk.at // SECOND * SECOND))
        desk.advance(2)
    desk.api(api_fill(9, "BUY", 10, 0.495, traded_at=desk.at // SECOND * SECOND))
    desk.advance(1)
    desk.advance(61)
    desk.api(api_fill(10, "BUY", 10, 0.5, traded_at=desk.at // SECOND * SECOND))
    desk.advance(1)
    assert desk.reasons == ["COPY", "SKIP_SAME_ORDER", "SKIP_SAME_ORDER", "COPY", "COPY"]


def test_a_skip_does_not_use_the_order_up() -> None:
    desk = Desk(asks=[(0.60, 1000)])
    desk.buy(1, 10, order_hash="0xaa")
    desk.asks = [(0.50, 1000)]
    desk.advance(2)
    desk.buy(2, 10, order_hash="0xaa")
    assert desk.reasons == ["SKIP_SPREAD", "COPY"]


@pytest.mark.parametrize(
    ("settings", "market", "reason"),
    [
        ({"paused": True}, {}, "SKIP_PAUSED"),
        ({"copy_side": "sell"}, {}, "SKIP_SIDE"),
        ({"min_price": usd(0.6)}, {}, "SKIP_PRICE_RANGE"),
        ({"max_price": usd(0.4)}, {}, "SKIP_PRICE_RANGE"),
        ({"min_leader_usdc": usd(51)}, {}, "SKIP_LEADER_SIZE"),
        ({"max_spread_bps": 100, "max_spread_ticks": 0}, {}, "SKIP_SPREAD"),
        ({"per_trade_cap_usdc": usd(20), "cap_mode": "skip"}, {}, "SKIP_CAP_TRADE"),
        ({"daily_cap_usdc": usd(20), "cap_mode": "skip"}, {}, "SKIP_CAP_DAILY"),
        ({"bankroll": usd(20), "cap_mode": "skip"}, {}, "SKIP_CASH"),
        ({"min_depth_usdc": usd(60_000)}, {}, "SKIP_DEPTH"),
        ({}, {"closed": True}, "SKIP_MARKET_CLOSED"),
        ({}, {"accepting_orders": False}, "SKIP_MARKET_CLOSED"),
        ({}, {"payout": MICRO}, "SKIP_MARKET_CLOSED"),
        ({"min_time_to_end_sec": 100}, {"end_at": START + 50 * SECOND}, "SKIP_END_DATE"),
    ],
)
def test_each_guard_has_its_reason_and_its_line_in_the_trace(
    settings: dict[str, object], market: dict[str, object], reason: str
) -> None:
    desk = Desk(settings=settings)  # type: ignore[arg-type]
    desk.send(ev.MarketSeen(at=desk.at, market=desk.market(TOKEN, **market)))
    desk.buy(1, 100)
    assert desk.reasons == [reason]
    (decision,) = desk.rows("decisions")
    assert [line[3] for line in decision["trace"]].count(False) == 1
    assert decision["trace"][-1][3] is False
    assert not desk.rows("intents")


def test_caps_cut_a_buy_to_what_is_left() -> None:
    desk = Desk(settings={"per_market_cap_usdc": usd(40)})
    desk.buy(1, 100, order_hash="0x01")
    desk.buy(2, 100, order_hash="0x02")
    desk.buy(3, 100, order_hash="0x03")
    assert desk.reasons == ["COPY", "COPY", "SKIP_CAP_MARKET"]
    assert [f["usdc_micro"] for f in desk.rows("fills")] == [usd(25), usd(15)]


def test_slippage_is_against_the_leaders_price() -> None:
    desk = Desk(bids=[(0.51, 1000)], asks=[(0.52, 1000)])
    desk.buy(1, 100, 0.50)
    assert desk.reasons == ["SKIP_SLIPPAGE"]


def test_the_book_that_counts_is_the_one_after_the_latency() -> None:
    desk = Desk()
    desk.chain(chain_fill(1, "BUY", 100, 0.5))
    desk.asks = [(0.51, 1000)]
    desk.advance(1)
    assert desk.rows("fills")[0]["price_micro"] == usd(0.51)
    desk.chain(chain_fill(2, "BUY", 100, 0.51, traded_at=desk.at // SECOND * SECOND))
    desk.asks = [(0.60, 1000)]
    desk.advance(1)
    assert desk.rows("intents")[-1]["reason"] == "UNFILLED_PRICE"


def test_without_a_book_there_is_no_fill_and_the_wait_is_bounded() -> None:
    desk = Desk(answer_books=False)
    desk.chain(chain_fill(1, "BUY", 100, 0.5))
    for _ in range(3):
        assert desk.reasons == ["WAIT_BOOK"]
        desk.send(ev.BookMissing(at=desk.at, token_id=TOKEN))
        desk.advance(1.1)
    assert desk.reasons == ["SKIP_NO_BOOK"]


def test_an_unknown_market_is_looked_up_a_bounded_number_of_times() -> None:
    desk = Desk(answer_markets=False)
    desk.chain(chain_fill(1, "BUY", 100, 0.5))
    for _ in range(4):
        assert desk.reasons == ["WAIT_MARKET"]
        desk.send(ev.MarketMissing(at=desk.at, token_id=TOKEN))
        desk.advance(1.1)
    assert desk.reasons == ["SKIP_UNKNOWN_MARKET"]


def age_checks(desk: Desk) -> dict[str, tuple[int, int, bool]]:
    """Of the newest decision: what its trace says of ages."""
    newest = desk.tables["decisions"][max(desk.tables["decisions"])]
    return {c: (v, limit, passed) for c, v, limit, passed in newest["trace"] if c in ("market_age_sec", "book_age_ms")}


def test_a_trace_says_how_old_market_and_book_were_also_where_that_was_too_old() -> None:
    desk = Desk()
    desk.chain(chain_fill(1, "BUY", 100, 0.5))
    assert age_checks(desk) == {"market_age_sec": (0, 600, True), "book_age_ms": (0, 1500, True)}
    desk.advance(700)
    desk.answer_markets = desk.answer_books = False
    desk.chain(chain_fill(2, "BUY", 100, 0.5, traded_at=desk.at))
    assert desk.reasons[-1] == "WAIT_MARKET"
    assert age_checks(desk)["market_age_sec"] == (700, 600, False)
    for _ in range(4):
        desk.send(ev.MarketMissing(at=desk.at, token_id=TOKEN))
        desk.advance(1.1)
    assert desk.reasons[-1] == "WAIT_BOOK", "what cannot be had anew is used as it was"
    assert age_checks(desk)["market_age_sec"][2]
    age, limit, passed = age_checks(desk)["book_age_ms"]
    assert (age > 690_000, limit, passed) == (True, 1500, False)


# -- sells -----------------------------------------------------------------------------------------------------


def test_sell_s_of_l_held_sells_p_times_s_over_l() -> None:
    desk = Desk(holdings={TOKEN: 40}, settings={"fixed_usdc": usd(15)})
    desk.buy(1, 60)
    assert desk.held() == usd(30)
    desk.sell(2, 50)
    assert desk.held() == usd(15)


def test_several_sells_in_a_row_each_take_their_part_of_what_is_left() -> None:
    desk = Desk(holdings={})
    desk.buy(1, 100)
    desk.sell(2, 50)
    desk.sell(3, 25)
    desk.sell(4, 25)
    assert [f["shares_micro"] for f in desk.rows("fills")] == [usd(50), usd(25), usd(12.5), usd(12.5)]
    assert desk.held() == 0


def test_sells_in_one_burst_are_decided_one_after_the_other() -> None:
    desk = Desk(holdings={})
    desk.buy(1, 100)
    now = desk.at // SECOND * SECOND
    desk.chain(*(chain_fill(n, "SELL", 25, 0.49, traded_at=now) for n in (2, 3, 4)))
    desk.advance(1)
    assert desk.held() == usd(12.5)


def test_selling_more_than_held_or_an_unknown_holding_sells_everything_dust_included() -> None:
    desk = Desk(holdings={})
    desk.buy(1, 33.333333)
    desk.sell(2, 50)
    assert desk.held() == 0
    unknown = Desk(holdings={})
    unknown.buy(1, 10)
    unknown.engine.state.holdings.clear()
    unknown.sell(2, 1)
    assert unknown.held() == 0


def test_a_sell_touches_only_the_shares_copied_from_that_leader() -> None:
    desk = Desk(holdings={})
    desk.follow_leader(OTHER)
    desk.buy(1, 100)
    desk.buy(2, 100, leader=OTHER)
    desk.sell(3, 100)
    assert desk.held() == 0
    assert desk.held(leader=OTHER) == usd(50)


def test_a_leaders_sell_shrinks_a_pending_buy_and_a_quick_in_and_out_leaves_nothing() -> None:
    desk = Desk(holdings={})
    desk.chain(chain_fill(1, "BUY", 100, 0.5), chain_fill(2, "SELL", 100, 0.5, log_index=9))
    desk.advance(2)
    assert desk.held() == 0
    assert not desk.rows("fills")
    assert desk.rows("intents")[0]["reason"] == "CANCELLED_LEADER_SOLD"
    half = Desk(holdings={})
    half.chain(chain_fill(1, "BUY", 100, 0.5), chain_fill(2, "SELL", 50, 0.5, log_index=9))
    half.advance(2)
    assert half.held() == usd(25)


def test_selling_what_we_do_not_hold_is_skipped() -> None:
    desk = Desk(holdings={TOKEN: 500})
    desk.sell(1, 100)
    assert desk.reasons == ["SKIP_NO_POSITION"]


def test_a_partial_exit_is_retried_until_the_book_takes_the_rest() -> None:
    desk = Desk(holdings={})
    desk.buy(1, 100)
    desk.bids = [(0.49, 20), (0.20, 1000)]
    desk.sell(2, 100)
    assert desk.held() == usd(30)
    desk.bids = [(0.48, 100)]
    desk.advance(1.1)
    assert desk.held() == 0
    assert desk.rows("intents")[-1]["state"] == "filled"


def test_an_exit_without_a_book_is_retried_and_then_fails_visibly() -> None:
    desk = Desk(holdings={}, settings={"sell_retry_sec": 3})
    desk.buy(1, 100)
    desk.answer_books = False
    desk.sell(2, 100)
    for _ in range(6):
        desk.send(ev.BookMissing(at=desk.at, token_id=TOKEN))
        desk.advance(1.1)
    assert desk.rows("intents")[-1]["reason"] == "FAILED_NO_BOOK"
    assert desk.held() == usd(50)


# -- history, catch-up, modes ----------------------------------------------------------------------------------


def test_history_never_makes_an_intent() -> None:
    desk = Desk(holdings={})
    desk.api(*(api_fill(n, "BUY", 100, 0.5, traded_at=START - n * SECOND) for n in range(300, 0, -1)))
    desk.advance(400)
    assert set(desk.reasons) == {"SKIP_BACKFILL"}
    assert len(desk.rows("trades")) == 300
    assert not desk.rows("intents")


def test_nothing_from_before_the_floor_is_taken_in() -> None:
    desk = Desk(holdings={})
    desk.api(api_fill(1, "BUY", 100, 0.5, traded_at=START - 901 * SECOND))
    desk.chain(chain_fill(2, "BUY", 100, 0.5, traded_at=START - 901 * SECOND))
    assert not desk.rows("trades")


@pytest.mark.parametrize(
    ("age", "leader_price", "settings", "reason"),
    [
        (60, 0.50, {}, "COPY"),
        (60, 0.495, {}, "SKIP_CATCHUP_WORSE_PRICE"),
        (60, 0.4995, {"catch_up_buy_require_better_price": False}, "COPY"),
        (60, 0.4985, {"catch_up_buy_require_better_price": False}, "SKIP_CATCHUP_WORSE_PRICE"),
        (301, 0.60, {}, "SKIP_CATCHUP_TOO_OLD"),
        (60, 0.50, {"catch_up_buy_open_new": False}, "SKIP_CATCHUP_NEW_POSITION"),
        (15, 0.495, {}, "COPY"),
    ],
)
def test_a_missed_buy_obeys_the_catch_up_rules(
    age: int, leader_price: float, settings: dict[str, object], reason: str
) -> None:
    settings = {"max_spread_bps": 1000, **settings}
    desk = Desk(settings=settings)  # type: ignore[arg-type]
    desk.at += age * SECOND
    tick = desk.market(TOKEN, tick=1000)
    desk.send(ev.MarketSeen(at=desk.at, market=tick))
    desk.asks = [(0.50, 1000)]
    desk.api(api_fill(1, "BUY", 100, leader_price, traded_at=START))
    assert desk.reasons == [reason]


def test_a_missed_sell_is_never_too_old() -> None:
    desk = Desk(holdings={})
    desk.buy(1, 100)
    desk.advance(3000)
    desk.chain(chain_fill(2, "SELL", 50, 0.49, traded_at=START + 600 * SECOND))
    desk.advance(1)
    assert desk.held() == usd(25)


@pytest.mark.parametrize(
    ("mode", "strict", "down", "buy"),
    [
        ("both", False, Source.POLYGON, "COPY"),
        ("both", False, Source.API, "COPY"),
        ("both", True, Source.POLYGON, "SKIP_POLYGON_UNHEALTHY"),
        ("both", True, Source.API, "SKIP_API_UNHEALTHY"),
        ("polygon", False, Source.POLYGON, "SKIP_POLYGON_UNHEALTHY"),
        ("polygon", False, Source.API, "COPY"),
        ("api", False, Source.POLYGON, "COPY"),
    ],
)
def test_what_each_mode_does_with_a_buy_while_a_source_is_down(mode: str, strict: bool, down: Source, buy: str) -> None:
    desk = Desk(settings={"trigger_mode": TriggerMode(mode), "strict_both": strict})
    health(desk, down, False)
    desk.buy(1, 100)
    assert desk.reasons == [buy]


@pytest.mark.parametrize(("mode", "strict"), [("polygon", False), ("both", True)])
def test_a_sell_waits_for_health_and_then_runs(mode: str, strict: bool) -> None:
    desk = Desk(holdings={}, settings={"trigger_mode": TriggerMode(mode), "strict_both": strict})
    desk.buy(1, 100)
    health(desk, Source.POLYGON, False)
    desk.sell(2, 50)
    assert desk.reasons[-1] == "WAIT_POLYGON_UNHEALTHY"
    desk.advance(500)
    health(desk, Source.POLYGON, True)
    desk.advance(1)
    assert desk.reasons[-1] == "COPY"
    assert desk.held() == usd(25)


def test_in_mode_polygon_the_api_fills_gaps_as_catch_up() -> None:
    desk = Desk(settings={"trigger_mode": TriggerMode.POLYGON})
    desk.api(api_fill(1, "BUY", 100, 0.49, traded_at=START))
    assert desk.reasons == ["WAIT_CHAIN"]
    desk.advance(10.1)
    assert desk.reasons == ["SKIP_CATCHUP_WORSE_PRICE"]
    seen = Desk(settings={"trigger_mode": TriggerMode.POLYGON})
    seen.api(api_fill(1, "BUY", 100, 0.49, traded_at=START))
    seen.advance(2)
    seen.chain(chain_fill(1, "BUY", 100, 0.49))
    assert seen.reasons == ["COPY"]


# -- reorgs ----------------------------------------------------------------------------------------------------


def test_removed_before_our_fill_and_mined_again_in_another_block_copies_once() -> None:
    desk = Desk(holdings={})
    log = chain_fill(1, "BUY", 100, 0.5, log_index=5)
    desk.chain(log)
    desk.chain(log, removed=True)
    assert desk.leader_holds() == 0
    desk.advance(3)
    assert not desk.rows("fills")
    desk.chain(chain_fill(1, "BUY", 100, 0.5, log_index=8, block_number=101, block_hash="0x" + "2" * 64))
    desk.advance(2)
    assert len(desk.rows("trades")) == 1
    assert desk.rows("trades")[0]["retracted_at"] is None
    assert desk.leader_holds() == usd(100)
    assert desk.held() == usd(50)
    assert len(desk.rows("fills")) == 1


def test_removed_for_good_before_our_fill_leaves_nothing() -> None:
    desk = Desk(holdings={})
    log = chain_fill(1, "BUY", 100, 0.5)
    desk.chain(log)
    desk.chain(log, removed=True)
    desk.advance(61)
    assert desk.rows("intents")[0]["reason"] == "CANCELLED_REORG"
    assert desk.held() == 0
    assert desk.leader_holds() == 0


def test_removed_after_our_fill_marks_it_orphaned_and_leaves_the_position() -> None:
    desk = Desk(holdings={})
    log = chain_fill(1, "BUY", 100, 0.5)
    desk.chain(log)
    desk.advance(1)
    desk.chain(log, removed=True)
    desk.advance(1)
    assert desk.held() == usd(50)
    desk.advance(10)
    assert [f["status"] for f in desk.rows("fills")] == ["orphaned", "ok"]
    assert desk.held() == 0
    keep = Desk(holdings={}, settings={"orphan_policy": "keep"})
    keep.chain(log)
    keep.advance(1)
    keep.chain(log, removed=True)
    keep.advance(11)
    assert [f["status"] for f in keep.rows("fills")] == ["orphaned"]
    assert keep.held() == usd(50)


def test_mined_again_after_our_fill_revives_it() -> None:
    desk = Desk(holdings={})
    log = chain_fill(1, "BUY", 100, 0.5)
    desk.chain(log)
    desk.advance(1)
    desk.chain(log, removed=True)
    desk.chain(chain_fill(1, "BUY", 100, 0.5, log_index=7, block_number=102, block_hash="0x" + "3" * 64))
    desk.advance(20)
    assert [f["status"] for f in desk.rows("fills")] == ["ok"]
    assert desk.held() == usd(50)


# -- settlement, reset, restart --------------------------------------------------------------------------------


@pytest.mark.parametrize(("payout", "cash"), [(MICRO, 10_025), (0, 9_975), (MICRO // 2, 10_000)])
def test_a_resolved_market_pays_out(payout: int, cash: int) -> None:
    desk = Desk(holdings={})
    desk.buy(1, 100)
    desk.send(ev.MarketSeen(at=desk.at, market=desk.market(TOKEN, closed=True, payout=payout)))
    assert desk.held() == 0
    assert desk.cash == usd(cash)
    assert desk.rows("positions")[0]["status"] == "resolved"


def test_after_a_reset_the_next_trade_is_copied_as_on_a_fresh_start() -> None:
    desk = Desk(holdings={})
    desk.buy(1, 100, order_hash="0xaa")
    desk.send(ev.PaperReset(at=desk.at))
    assert desk.cash == usd(10_000)
    assert desk.held() == 0
    assert desk.leader_holds() == usd(100)
    desk.buy(2, 100, order_hash="0xaa")
    assert desk.reasons == ["COPY", "COPY"]
    assert desk.rows("fills")[-1]["id"] == 2


def test_a_pending_intent_is_decided_anew_after_a_restart() -> None:
    desk = Desk(holdings={})
    desk.chain(chain_fill(1, "BUY", 100, 0.49))
    (intent,) = desk.engine.state.desks["main"].intents.values()
    again = Desk(follow=False)
    again.at = START + 120 * SECOND
    state = ev.PortfolioState(
        name="main", bankroll=usd(10_000), cash=usd(10_000), policy=policy_from({}), intents=(intent,)
    )
    again.tables["intents"] = {intent.id: {}}
    again.begin(type(again.engine)(), again.at)
    again.send(ev.Restored(at=again.at, portfolios=(state,), last_intent_id=1))
    again.advance(1)
    assert again.rows("intents")[0]["state"] == "cancelled"
    assert not again.rows("fills")


def test_a_paused_leader_is_recorded_but_not_copied() -> None:
    desk = Desk(holdings={})
    desk.send(ev.LeaderPaused(at=desk.at, leader=LEADER, paused=True))
    desk.buy(1, 100)
    assert desk.reasons == ["SKIP_PAUSED"]
    desk.send(ev.LeaderPaused(at=desk.at, leader=LEADER, paused=False))
    desk.buy(2, 100)
    assert desk.reasons[-1] == "COPY"


def test_settings_count_from_the_next_decision_on() -> None:
    desk = Desk(holdings={})
    desk.buy(1, 100, order_hash="0x1")
    change(desk, fixed_usdc=usd(10))
    desk.buy(2, 100, order_hash="0x2")
    assert [f["usdc_micro"] for f in desk.rows("fills")] == [usd(25), usd(10)]


def test_combos_are_not_copied() -> None:
    desk = Desk(holdings={})
    desk.buy(1, 100, is_combo=True, token_id=NO_TOKEN)
    assert desk.reasons == ["SKIP_UNSUPPORTED"]


def test_the_same_events_give_the_same_effects() -> None:
    def run() -> str:
        desk = Desk(holdings={TOKEN: 10}, fee=FeeSchedule(70_000))
        desk.buy(1, 100)
        desk.sell(2, 30)
        desk.api(api_fill(1, "BUY", 100, 0.5), api_fill(2, "SELL", 30, 0.49, traded_at=START + SECOND))
        desk.advance(30)
        desk.send(ev.Tick(at=desk.at))
        return repr(desk.effects)

    assert run() == run()
