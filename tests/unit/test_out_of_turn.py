"""What comes in another order than it happened: a SELL after the BUYs that followed it, a reorg after a reset, and what
a wait or a reset must not carry over."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilotfish.core import events as ev
from pilotfish.core.trade import LeaderFill, Source
from pilotfish.core.units import SECOND
from tests.desk import START, TOKEN, Desk, api_fill, chain_fill, usd


@pytest.mark.parametrize("sold, left", [(100, 50), (50, 75)])
@pytest.mark.parametrize("late", [False, True])
def test_a_sell_that_comes_late_sells_nothing_of_what_was_bought_after_it(late: bool, sold: int, left: int) -> None:
    desk = Desk(holdings={})
    desk.buy(1)
    desk.advance(10)
    sale = api_fill(2, "SELL", sold, 0.49, traded_at=desk.at // SECOND * SECOND)
    if not late:
        desk.api(sale)
    desk.advance(2)
    desk.buy(3, 200)
    desk.advance(3)
    if late:
        desk.api(sale)
    desk.advance(3)
    assert desk.held() == usd(left)
    assert desk.reasons == ["COPY", "COPY", "COPY"]


def test_a_late_sell_leaves_a_later_buy_that_is_still_out_as_it_is() -> None:
    desk = Desk(settings={"order_latency_ms": 5_000}, holdings={})
    desk.buy(1)
    desk.advance(10)
    sale = api_fill(2, "SELL", 100, 0.49, traded_at=desk.at // SECOND * SECOND)
    desk.advance(2)
    desk.chain_buy(3)
    desk.api(sale)
    desk.advance(10)
    assert desk.held() == usd(50)


def test_a_late_sell_and_a_sell_of_what_was_bought_after_it_leave_nothing() -> None:
    desk = Desk(holdings={})
    desk.buy(1)
    desk.advance(10)
    sale = api_fill(2, "SELL", 100, 0.49, traded_at=desk.at // SECOND * SECOND)
    desk.advance(2)
    desk.buy(3)
    desk.advance(2)
    desk.sell(4, 100)
    desk.api(sale)
    desk.advance(3)
    assert (desk.leader_holds(), desk.held()) == (0, 0)


@pytest.mark.parametrize("first, second", [(100, 100), (100, 50), (50, 150), (40, 7)])
@pytest.mark.parametrize("bought", [0, 60])
def test_two_sells_that_come_in_the_other_order_leave_what_they_leave_in_theirs(
    first: float, second: float, bought: float
) -> None:
    left = []
    for turned in (False, True):
        desk = Desk(holdings={})
        desk.buy(1, 200)
        desk.advance(10)
        sales = [api_fill(2, "SELL", first, 0.49, traded_at=desk.at // SECOND * SECOND)]
        if not turned:
            desk.api(sales.pop())
        desk.advance(2)
        if bought:
            desk.buy(3, bought)
        desk.advance(2)
        desk.sell(4, second)
        for sale in sales:
            desk.api(sale)
        desk.advance(3)
        left.append((desk.held(), desk.leader_holds()))
    assert abs(left[0][0] - left[1][0]) <= 2, "but for the rounding of two divisions"
    assert left[0][1] == left[1][1]


@given(
    trades=st.lists(st.tuples(st.sampled_from(["BUY", "SELL"]), st.integers(1, 300)), min_size=2, max_size=6),
    late=st.integers(0, 4),
    by=st.integers(1, 5),
)
def test_a_trade_that_comes_late_leaves_us_with_what_it_would_have_in_its_turn(
    trades: list[tuple[str, int]], late: int, by: int
) -> None:
    """A late SELL ends as in its turn. After a late BUY we hold no more than in its turn, and less only where a SELL
    before it sold too much of other BUYs: that is not bought back."""
    late = min(late, len(trades) - 1)
    fills = [
        chain_fill(n + 1, side, shares, 0.50 if side == "BUY" else 0.49, traded_at=START + n * SECOND)
        for n, (side, shares) in enumerate(trades)
    ]
    turned = fills[:]
    turned.insert(late + by, turned.pop(late))
    ended = []
    for order in (fills, turned):
        desk = Desk(holdings={}, settings={"order_latency_ms": 100})
        desk.advance(len(fills))
        for fill in order:
            desk.chain(fill)
            desk.advance(0.5)
        desk.advance(2)
        ended.append((desk.held(), desk.leader_holds()))
    (in_turn, theirs), (ours, of_theirs) = ended
    assert theirs == of_theirs
    rounding = usd(0.1)
    assert ours <= in_turn + rounding
    assert trades[late][0] == "BUY" or ours >= in_turn - rounding


def test_a_buy_that_comes_after_the_sell_that_followed_it_leaves_nothing_behind() -> None:
    desk = Desk(holdings={})
    desk.advance(3)
    desk.chain(chain_fill(2, "SELL", 100, 0.49, traded_at=START + 2 * SECOND))
    desk.chain(chain_fill(1, "BUY", 100, 0.50, traded_at=START + SECOND))
    desk.advance(3)
    assert desk.held() == 0
    assert desk.reasons == ["SKIP_NO_POSITION", "COPY"]
    assert [(i["state"], i["reason"]) for i in desk.rows("intents")] == [("cancelled", "CANCELLED_LEADER_SOLD")]
    assert desk.engine.state.desks["main"].spent_today == 0


def test_a_late_sell_says_that_it_is_one() -> None:
    desk = Desk(holdings={})
    desk.buy(1)
    desk.advance(10)
    sale = api_fill(2, "SELL", 50, 0.49, traded_at=desk.at // SECOND * SECOND)
    desk.advance(2)
    desk.buy(3)
    desk.api(sale)
    trace = {check: value for check, value, _, _ in desk.rows("decisions")[-1]["trace"]}
    assert (trace["held_shares_micro"], trace["later_trades"], trace["sell_shares_micro"]) == (usd(100), 1, usd(25))


def test_a_trade_from_before_a_reset_that_is_taken_back_sells_nothing_of_what_was_bought_since() -> None:
    desk = Desk(holdings={})
    desk.buy(1)
    wiped = desk.last_fill
    desk.send(ev.PaperReset(at=desk.at))
    desk.buy(2)
    assert desk.held() == usd(50)
    desk.chain(wiped, removed=True)
    desk.advance(400)
    assert desk.held() == usd(50)
    assert [(i["side"], i["state"]) for i in desk.rows("intents")][1:] == [("BUY", "filled")]


def test_of_a_trade_that_is_taken_back_only_what_is_left_of_it_is_sold() -> None:
    desk = Desk(holdings={})
    desk.buy(1)
    taken_back = desk.last_fill
    desk.sell(2, 50)
    desk.buy(3)
    assert desk.held() == usd(75)
    desk.chain(taken_back, removed=True)
    desk.advance(300)
    assert desk.held() == usd(50)


def test_after_a_reset_the_stop_for_a_days_loss_counts_from_the_fresh_bankroll() -> None:
    desk = Desk(settings={"daily_loss_stop_usdc": usd(5)}, holdings={})
    desk.buy(1)
    desk.send(ev.PaperReset(at=desk.at))
    desk.buy(2)
    desk.bids, desk.asks = [(0.20, 100_000)], [(0.21, 100_000)]
    desk.send(desk.book_event("1001"))
    desk.value()
    desk.buy(3, price=0.21)
    assert desk.reasons == ["COPY", "COPY", "SKIP_DAILY_LOSS"]


def test_a_buy_that_comes_while_its_source_is_down_is_skipped_whatever_it_would_wait_behind() -> None:
    desk = Desk(settings={"trigger_mode": "polygon"}, holdings={})
    desk.buy(1)
    desk.advance(5)
    desk.send(ev.HealthChanged(at=desk.at, source=Source.POLYGON, healthy=False))
    desk.api(api_fill(2, "SELL", 50, 0.49, traded_at=desk.at // SECOND * SECOND))
    desk.advance(12)
    desk.api(api_fill(3, "BUY", 100, 0.50, traded_at=desk.at // SECOND * SECOND))
    assert desk.reasons == ["COPY", "WAIT_POLYGON_UNHEALTHY", "SKIP_POLYGON_UNHEALTHY"]
    desk.send(ev.HealthChanged(at=desk.at, source=Source.POLYGON, healthy=True))
    desk.advance(20)
    assert desk.reasons == ["COPY", "COPY", "SKIP_POLYGON_UNHEALTHY"]
    assert desk.held() == usd(25)


# -- what only waited did not come late ------------------------------------------------------------------------------


def decided_at_once(*fills: LeaderFill) -> Desk:
    desk = Desk(holdings={}, settings={"order_latency_ms": 1_000})
    desk.chain(*fills)
    desk.advance(3)
    return desk


def decided_after_a_wait(*fills: LeaderFill) -> Desk:
    """No book comes for the first of them, so that the others wait behind it."""
    desk = Desk(holdings={}, settings={"order_latency_ms": 1_000}, answer_books=False)
    desk.chain(*fills)
    assert {d["action"] for d in desk.rows("decisions")} == {"wait"}
    desk.answer_books = True
    desk.send(desk.book_event(TOKEN))
    desk.advance(3)
    return desk


@pytest.mark.parametrize("sold, left", [(50, 25), (100, 0), (1, 49.5)])
def test_a_sell_that_comes_while_the_buy_before_it_waits_takes_its_part_of_it_once(sold: float, left: float) -> None:
    fills = chain_fill(1, "BUY", 100, 0.50), chain_fill(2, "SELL", sold, 0.49)
    for desk in (decided_at_once(*fills), decided_after_a_wait(*fills)):
        assert desk.held() == usd(left)
        assert not [check for d in desk.rows("decisions") for check, *_ in d["trace"] if check == "later_trades"]
