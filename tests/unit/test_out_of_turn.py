"""What comes in another order than it happened: a SELL after the BUYs that followed it, a reorg after a reset, and what
a wait or a reset must not carry over."""

from __future__ import annotations

import pytest

from pilotfish.core import events as ev
from pilotfish.core.trade import Source
from pilotfish.core.units import SECOND
from tests.desk import Desk, api_fill, usd


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
