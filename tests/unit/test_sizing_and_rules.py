"""Sizes in every mode, the guardrails that need more than one trade, exits by rule and by hand, several portfolios.
Each result is worked out on paper beside it."""

from __future__ import annotations

from typing import Any

import pytest

from pilotfish.core import events as ev
from pilotfish.core.effects import Answered
from pilotfish.core.fees import FeeSchedule
from pilotfish.core.settings import BY_NAME, Value, parse, policy_from
from pilotfish.core.sizing import latency_ms
from pilotfish.core.units import MICRO, SECOND
from tests.desk import LEADER, OTHER, START, TOKEN, Desk, chain_fill, usd

DAY = 86_400


def policy(**given: object) -> dict[str, Value]:
    """Settings as a person writes them."""
    return {name: parse(BY_NAME[name], value) for name, value in given.items()}


def bought(desk: Desk) -> list[int]:
    """Shares of all BUY fills."""
    return [f["shares_micro"] for f in desk.rows("fills") if f["side"] == "BUY"]


def spent(desk: Desk) -> list[int]:
    """USDC of all BUY fills, without fees."""
    return [f["usdc_micro"] for f in desk.rows("fills") if f["side"] == "BUY"]


# -- sizing ----------------------------------------------------------------------------------------------------


def test_fixed_shares_buys_so_many_shares_once_per_order_also_at_a_worse_price() -> None:
    desk = Desk(policy(sizing_mode="fixed_shares", fixed_shares=40), asks=[(0.50, 30), (0.51, 1000)])
    desk.buy(1, 100, 0.50, order_hash="0xaa")
    desk.buy(2, 100, 0.50, order_hash="0xaa")
    assert bought(desk) == [usd(40)]
    assert spent(desk) == [usd(30 * 0.50 + 10 * 0.51)]
    assert desk.reasons == ["COPY", "SKIP_SAME_ORDER"]


def test_leader_ratio_takes_its_part_of_each_fill() -> None:
    desk = Desk(policy(sizing_mode="leader_ratio", leader_ratio="0.1"))
    desk.buy(1, 100, 0.50, order_hash="0xaa")
    desk.buy(2, 60, 0.50, order_hash="0xaa")
    assert spent(desk) == [usd(5), usd(3)]


def test_bankroll_ratio_spends_the_same_part_of_our_equity_as_of_his_positions() -> None:
    desk = Desk(policy(sizing_mode="bankroll_ratio", bankroll=2000))
    desk.buy(1, 100, 0.50)
    assert desk.reasons == ["SKIP_LEADER_VALUE"]
    desk.send(ev.HoldingsSnapshot(at=desk.at, leader=LEADER, as_of=desk.at, holdings=(), value=usd(10_000)))
    desk.buy(2, 400, 0.50)
    assert desk.reasons[1] == "COPY"
    assert spent(desk) == [usd(40)], "200 of his 10,000 is 2 %; 2 % of our 2,000 is 40"


@pytest.mark.parametrize(("shares", "size"), [(100, 25), (1999, 25), (2000, 50), (20_000, 12.5)])
def test_tiers_multiply_by_the_notional_of_his_fill(shares: float, size: float) -> None:
    desk = Desk(policy(size_tiers="0:1, 1000:2, 10000:0.5", per_trade_cap_usdc=0))
    desk.buy(1, shares, 0.50)
    assert spent(desk) == [usd(size)]


def test_the_largest_size_cuts() -> None:
    desk = Desk(policy(sizing_mode="leader_ratio", leader_ratio="1", max_copy_usdc=30))
    desk.buy(1, 200, 0.50)
    assert spent(desk) == [usd(30)]


def test_below_the_minimum_sizes_are_skipped_saved_up_or_raised() -> None:
    small: dict[str, object] = {"sizing_mode": "leader_ratio", "leader_ratio": "0.01", "min_copy_usdc": 2}
    desk = Desk(policy(**small))
    desk.buy(1, 100, 0.50)
    assert (desk.reasons, spent(desk)) == (["SKIP_BELOW_MIN"], [])
    desk = Desk(policy(**small, below_min="raise"))
    desk.buy(1, 100, 0.50)
    assert (desk.reasons, spent(desk)) == (["COPY"], [usd(2)])
    desk = Desk(policy(**small, below_min="accumulate"))
    for n in range(1, 6):
        desk.buy(n, 100, 0.50)
    assert desk.reasons == ["SKIP_ACCUMULATING", "SKIP_ACCUMULATING", "SKIP_ACCUMULATING", "COPY", "SKIP_ACCUMULATING"]
    assert spent(desk) == [usd(2)], "four times 0.50"


def test_his_sell_shrinks_what_was_saved_up() -> None:
    desk = Desk(policy(sizing_mode="leader_ratio", leader_ratio="0.01", min_copy_usdc=2, below_min="accumulate"))
    for n in range(1, 4):
        desk.buy(n, 100, 0.50)
    assert desk.rows("savings")[-1]["usdc_micro"] == usd(1.5)
    desk.sell(4, 200)
    assert desk.rows("savings")[-1]["usdc_micro"] == usd(0.5), "he sold two thirds"
    desk.buy(5, 100, 0.50)
    desk.buy(6, 200, 0.50)
    assert spent(desk) == [usd(2)]


def test_a_latency_is_drawn_around_its_median_and_is_the_same_in_every_replay() -> None:
    p = policy_from(policy(order_latency_ms=300, order_latency_p99_ms=2000))
    draws = [latency_ms(p, n) for n in range(0, 1_000_000, 1000)]
    assert draws == sorted(draws)
    assert draws[0] == 150
    assert draws[500] == 300
    assert abs(draws[990] - 2000) < 30
    assert 500 <= sum(d <= 300 for d in draws) <= 550
    assert latency_ms(policy_from(policy(order_latency_ms=300)), 999_999) == 300


# -- guardrails ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"only_categories": "Politics, crypto"}, "COPY"),
        ({"only_categories": "sports"}, "SKIP_FILTERED"),
        ({"skip_categories": "crypto"}, "SKIP_FILTERED"),
        ({"skip_categories": "bitcoin price"}, "SKIP_FILTERED"),
        ({"skip_categories": "sports"}, "COPY"),
        ({"only_keywords": "bitcoin"}, "COPY"),
        ({"only_keywords": "election, ether"}, "SKIP_FILTERED"),
        ({"skip_keywords": "BITCOIN above"}, "SKIP_FILTERED"),
    ],
)
def test_categories_tags_and_words_of_the_title_filter(given: dict[str, object], reason: str) -> None:
    desk = Desk(policy(**given))
    market = desk.market(TOKEN, category="Crypto", tags=("bitcoin price",), title="Bitcoin above 100k?")
    desk.send(ev.MarketSeen(at=desk.at, market=market))
    desk.buy(1)
    assert desk.reasons == [reason]


def test_caps_of_leader_total_day_positions_and_outcome() -> None:
    for given, reason in (
        ({"per_leader_cap_usdc": 30}, "SKIP_CAP_LEADER"),
        ({"total_cap_usdc": 30}, "SKIP_CAP_TOTAL"),
        ({"daily_cap_usdc": 30}, "SKIP_CAP_DAILY"),
        ({"max_buys_per_outcome": 1}, "SKIP_BUYS_PER_OUTCOME"),
    ):
        desk = Desk(policy(**given, cap_mode="skip"))
        desk.buy(1, order_hash="0x01")
        desk.buy(2, order_hash="0x02")
        assert desk.reasons == ["COPY", reason], given
    desk = Desk(policy(max_open_positions=1))
    desk.buy(1, order_hash="0x01")
    desk.buy(2, order_hash="0x02")
    desk.buy(3, order_hash="0x03", token_id="2002")
    assert desk.reasons == ["COPY", "COPY", "SKIP_CAP_POSITIONS"]


def test_the_daily_loss_stop_holds_until_the_next_utc_day() -> None:
    desk = Desk(policy(daily_loss_stop_usdc=10, buy_max_slippage_bps=0))
    desk.buy(1, order_hash="0x01")
    desk.bids, desk.asks = [(0.29, 1000)], [(0.30, 1000)]
    desk.send(desk.book_event(TOKEN))
    desk.buy(2, 100, 0.30, order_hash="0x02")
    assert desk.reasons == ["COPY", "SKIP_DAILY_LOSS"], "50 shares at 0.29 are worth 14.50, 10.50 less than paid"
    day = -desk.at // SECOND % DAY
    desk.advance(day + 1)
    desk.send(ev.Tick(at=desk.at))
    desk.buy(3, 100, 0.30, order_hash="0x03")
    assert desk.reasons[2] == "COPY"


def test_a_leaders_own_settings_count_for_his_trades_only() -> None:
    base = policy_from({})
    own = policy_from(policy(fixed_usdc=5))
    desk = Desk()
    desk.follow_leader(OTHER)
    changed = policy_from({})
    changed = type(changed)(**{**{f: getattr(base, f) for f in base.__struct_fields__}, "by_leader": {OTHER: own}})
    desk.send(ev.PolicyChanged(at=desk.at, portfolio="main", policy=changed))
    desk.buy(1)
    desk.buy(2, leader=OTHER)
    assert spent(desk) == [usd(25), usd(5)]


# -- exits of our own ------------------------------------------------------------------------------------------


def test_take_profit_sells_when_the_bids_pay_so_much_more_than_the_cost() -> None:
    desk = Desk(policy(take_profit_bps=2000))
    desk.buy(1)
    desk.bids, desk.asks = [(0.59, 1000)], [(0.60, 1000)]
    desk.send(desk.book_event(TOKEN))
    assert desk.held() == usd(50), "50 × 0.59 = 29.50 is 18 % above 25"
    desk.bids, desk.asks = [(0.61, 30), (0.60, 1000)], [(0.62, 1000)]
    desk.send(desk.book_event(TOKEN))
    desk.advance(4.9)
    assert desk.reasons == ["COPY"], "a rule looks twice, five seconds apart"
    desk.advance(2)
    assert desk.held() == 0
    assert desk.reasons == ["COPY", "EXIT_TAKE_PROFIT"]
    assert desk.cash == usd(10_000 - 25 + 30 * 0.61 + 20 * 0.60)


def test_stop_loss_sells_once_and_not_in_a_paused_portfolio() -> None:
    desk = Desk(policy(stop_loss_bps=1000))
    desk.buy(1)
    desk.bids, desk.asks = [(0.44, 1000)], [(0.45, 1000)]
    for _ in range(3):
        desk.send(desk.book_event(TOKEN))
    desk.advance(7)
    assert desk.reasons == ["COPY", "EXIT_STOP_LOSS"]
    assert desk.held() == 0
    assert desk.cash == usd(10_000 - 25 + 50 * 0.44)
    desk.sell(2, 100)
    assert desk.reasons[-1] == "SKIP_NO_POSITION"


def test_a_person_closes_positions_by_hand() -> None:
    desk = Desk()
    desk.buy(1)
    desk.buy(2, token_id="2002")
    desk.send(ev.CloseAsked(at=desk.at, portfolio="main", leader=LEADER, token_id=TOKEN))
    desk.send(ev.CloseAsked(at=desk.at, portfolio="main", leader=LEADER, token_id=TOKEN))
    desk.advance(1)
    assert (desk.held(), desk.held("2002")) == (0, usd(50))
    assert desk.reasons == ["COPY", "COPY", "EXIT_BY_HAND"]
    desk.send(ev.CloseAsked(at=desk.at, portfolio="main"))
    desk.advance(1)
    assert desk.held("2002") == 0


def test_a_closing_by_hand_counts_its_exits_in_right_words() -> None:
    desk = Desk()
    for n, token in enumerate((TOKEN, "2002", "2003"), 1):
        desk.buy(n, token_id=token)
    for command, (token_id, told) in enumerate(((TOKEN, "1 exit begun: 50.00 of "), (None, "2 exits begun: 50.00 of "),
                                                (None, "0 exits begun: nothing of that is held"))):  # fmt: skip
        did = desk.send(ev.CloseAsked(at=desk.at, portfolio="main", token_id=token_id, command=command))
        (answer,) = (effect for effect in did if isinstance(effect, Answered))
        assert answer.text.startswith(told)
        desk.advance(1)


# -- marks -----------------------------------------------------------------------------------------------------


def test_a_position_is_worth_what_the_bids_would_pay_for_all_of_it() -> None:
    desk = Desk()
    desk.buy(1)
    desk.bids = [(0.48, 20), (0.40, 20)]
    desk.send(desk.book_event(TOKEN))
    desk.advance(1)
    desk.send(ev.Tick(at=desk.at))
    last = desk.rows("equity_snapshots")[-1]
    assert last["positions_value_micro"] == usd(20 * 0.48 + 20 * 0.40), "nobody bids for the last ten"
    assert last["equity_micro"] == usd(10_000 - 25 + 17.6)
    assert last["drawdown_micro"] == usd(25 - 17.6)
    assert last["peak_micro"] == usd(10_000)


# -- portfolios ------------------------------------------------------------------------------------------------


def beside(desk: Desk, name: str, follows: tuple[str, ...] | None = None, **given: object) -> None:
    """A second portfolio on the same stream."""
    p = policy_from(policy(**given))
    state = ev.PortfolioState(name=name, bankroll=p.bankroll, cash=p.bankroll, policy=p, follows=follows)
    desk.send(ev.PortfolioAdded(at=desk.at, state=state))


def fills_of(desk: Desk, name: str) -> list[dict[str, Any]]:
    return [f for f in desk.rows("fills") if f["portfolio"] == name]


def test_two_portfolios_decide_every_trade_each_by_its_own_policy() -> None:
    desk = Desk(fee=FeeSchedule(rate_ppm=40_000))
    beside(desk, "small", fixed_usdc=5, bankroll=100)
    beside(desk, "careful", max_spread_bps=100, max_spread_ticks=0)
    beside(desk, "others", follows=(OTHER,))
    desk.buy(1)
    reasons = {d["portfolio"]: d["reason"] for d in desk.rows("decisions")}
    assert reasons == {"main": "COPY", "small": "COPY", "careful": "SKIP_SPREAD"}
    assert fills_of(desk, "main")[0]["usdc_micro"] == usd(25)
    assert fills_of(desk, "small")[0]["usdc_micro"] == usd(5)
    state = desk.engine.state.desks
    assert state["small"].cash == usd(95) - fills_of(desk, "small")[0]["fee_micro"]
    desk.sell(2, 50)
    assert [fills_of(desk, n)[1]["shares_micro"] for n in ("main", "small")] == [usd(25), usd(5)]


def test_portfolios_do_not_eat_each_others_liquidity_since_only_one_of_them_would_be_real() -> None:
    desk = Desk(asks=[(0.50, 60)])
    beside(desk, "twin")
    desk.buy(1)
    assert [f["shares_micro"] for f in desk.rows("fills")] == [usd(50), usd(50)]


def test_an_archived_portfolio_takes_part_no_longer_and_its_open_intents_end() -> None:
    desk = Desk()
    beside(desk, "twin", order_latency_ms=5000)
    desk.buy(1)
    desk.send(ev.PortfolioArchived(at=desk.at, portfolio="twin"))
    desk.advance(10)
    assert [i["reason"] for i in desk.rows("intents") if i["portfolio"] == "twin"] == ["CANCELLED_ARCHIVED"]
    desk.buy(2, order_hash="0x02")
    assert [d["portfolio"] for d in desk.rows("decisions")] == ["main", "twin", "main"]


def test_whom_a_portfolio_copies_counts_from_the_next_trade() -> None:
    desk = Desk()
    beside(desk, "twin")
    desk.buy(1)
    desk.send(ev.FollowsChanged(at=desk.at, portfolio="twin", leaders=(OTHER,)))
    desk.buy(2, order_hash="0x02")
    assert [d["portfolio"] for d in desk.rows("decisions")] == ["main", "twin", "main"]
    assert len(fills_of(desk, "twin")) == 1


def test_a_reset_of_one_portfolio_leaves_the_other() -> None:
    desk = Desk()
    beside(desk, "twin")
    desk.buy(1)
    desk.send(ev.PaperReset(at=desk.at, portfolio="twin"))
    state = desk.engine.state.desks
    assert state["twin"].cash == usd(10_000)
    assert state["main"].cash == usd(9_975)
    assert desk.at > START
    assert desk.held() == 50 * MICRO


def test_positions_that_pending_buys_will_open_count_as_open() -> None:
    """Three BUYs within one latency: a limit of one must hold although nothing is filled yet."""
    for given in ({"max_open_positions": 1}, {"max_positions_per_leader": 1}):
        desk = Desk(policy(**given))
        for n, token in ((1, TOKEN), (2, TOKEN), (3, "2002")):
            desk.chain(chain_fill(n, "BUY", 100, 0.50, traded_at=desk.at, order_hash=f"0x0{n}", token_id=token))
        desk.advance(2)
        assert desk.reasons == ["COPY", "COPY", "SKIP_CAP_POSITIONS"], given
        trace = desk.rows("decisions")[-1]["trace"][-1]
        assert trace[1:] == [1, 1, False]


def test_a_limit_of_positions_per_leader_leaves_other_leaders_alone() -> None:
    desk = Desk(policy(max_positions_per_leader=1))
    desk.follow_leader(OTHER)
    desk.buy(1, order_hash="0x01")
    desk.buy(2, order_hash="0x02", token_id="2002")
    desk.buy(3, order_hash="0x03", token_id="2002", leader=OTHER)
    assert desk.reasons == ["COPY", "SKIP_CAP_POSITIONS", "COPY"]


def test_markets_that_end_too_late_are_left_alone() -> None:
    desk = Desk(policy(max_time_to_end_sec=3600))
    for n, seconds, reason in ((1, 3599, "COPY"), (2, 3601, "SKIP_END_DATE")):
        token = str(3000 + n)
        desk.send(ev.MarketSeen(at=desk.at, market=desk.market(token, end_at=desk.at + seconds * SECOND)))
        desk.chain(chain_fill(n, "BUY", 100, 0.50, traded_at=desk.at, order_hash=f"0x0{n}", token_id=token))
        assert desk.reasons[-1] == reason


def test_what_was_not_spent_in_the_end_counts_towards_no_daily_cap() -> None:
    """25 + 25 fit into 50 a day. The first finds nothing on offer when it arrives, so a third fits, too."""
    desk = Desk(policy(daily_cap_usdc=50, cap_mode="skip"))
    desk.chain(chain_fill(1, "BUY", 100, 0.50, traded_at=desk.at, order_hash="0x01"))
    desk.asks = [(0.70, 1000)]
    desk.advance(1)
    assert desk.rows("intents")[0]["reason"] == "UNFILLED_PRICE"
    desk.asks = [(0.50, 1000)]
    desk.advance(5)
    for n in (2, 3, 4):
        desk.buy(n, order_hash=f"0x0{n}")
    assert desk.reasons == ["COPY", "COPY", "COPY", "SKIP_CAP_DAILY"]
