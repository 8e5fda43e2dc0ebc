"""Whoever executes orders: rejects, parts, doubles, fills after a cancel and nonsense leave the books right."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilotfish.core import events as ev
from pilotfish.core.book import Take
from pilotfish.core.effects import Refused
from pilotfish.core.engine import Engine
from pilotfish.core.fees import NO_FEE
from pilotfish.core.orders import OPEN, TRANSITIONS, CancelOrder, Execution, How, Order, OrderState, PlaceOrder
from pilotfish.core.settings import policy_from
from pilotfish.core.trade import Side, Source
from pilotfish.core.units import MICRO, SECOND, cost_of, proceeds_of
from tests.desk import LEADER, TOKEN, Desk, usd


class External(Desk):
    """A desk whose orders are filled by the test, not by the paper venue."""

    def __post_init__(self) -> None:
        super().__post_init__()
        policy = self.engine.state.desks["main"].policy
        self.begin(Engine(paper=False), self.at)
        state = ev.PortfolioState(name="main", bankroll=policy.bankroll, cash=policy.bankroll, policy=policy)
        self.effects.clear()
        self.tables.clear()
        self.send(ev.Restored(at=self.at, portfolios=(state,)))
        self.send(ev.HealthChanged(at=self.at, source=Source.POLYGON, healthy=True))
        self.follow_leader(LEADER)

    def placed(self) -> list[PlaceOrder]:
        """Every order that was sent out."""
        return [e for e in self.effects if isinstance(e, PlaceOrder)]

    def cancelled(self) -> list[int]:
        """Every order that was taken back."""
        return [e.order_id for e in self.effects if isinstance(e, CancelOrder)]

    def fill(self, order_id: int, number: int, shares: float, price: float = 0.50, fee: int = 0) -> None:
        """Tell of a fill."""
        order = next(o for o in reversed(self.placed()) if o.order_id == order_id)
        amount, at = usd(shares), usd(price)
        of = cost_of if order.side is Side.BUY else proceeds_of
        execution = Execution(takes=(Take(at, amount),), shares=amount, usdc=of(amount, at), fee=fee, schedule=NO_FEE,
                              mid2=2 * at, limit=order.limit)  # fmt: skip
        self.send(ev.OrderFilled(at=self.at, order_id=order_id, number=number, execution=execution))

    def end(self, order_id: int, how: How) -> None:
        """Tell of an end."""
        self.send(ev.OrderEnded(at=self.at, order_id=order_id, how=how))

    def state(self, order_id: int) -> tuple[str, Any]:
        """State and reason of an order."""
        row = self.tables["intents"][order_id]
        return row["state"], row["reason"]

    def check(self) -> None:
        """The books agree with the ledger, and nothing is negative."""
        desk = self.engine.state.desks["main"]
        assert desk.cash == desk.bankroll + sum(r["amount_micro"] for r in self.rows("ledger_entries")) >= 0
        bought = {True: 0, False: 0}
        for row in self.rows("fills"):
            bought[row["side"] == "BUY"] += row["shares_micro"]
        dust = sum(r["shares_micro"] for r in self.rows("ledger_entries") if r["kind"] in ("dust", "settle"))
        assert self.held() == bought[True] - bought[False] - dust >= 0
        filled: dict[int, int] = {}
        for row in self.rows("fills"):
            filled[row["intent_id"]] = filled.get(row["intent_id"], 0) + row["shares_micro"]
        for row in self.rows("intents"):
            assert row["filled_shares_micro"] == filled.get(row["id"], 0)


def test_an_exit_that_is_tried_again_shows_how_often_no_book_came_and_when_it_is_tried_next() -> None:
    desk = Desk(holdings={})
    desk.buy(1)
    desk.answer_books = False
    desk.sell(2, 100)
    row = desk.rows("intents")[-1]
    assert (row["state"], row["attempts"]) == ("pending", 0)
    desk.send(ev.BookMissing(at=desk.at, token_id=TOKEN))
    assert (row["state"], row["attempts"], row["due_at"]) == ("pending", 1, desk.at + SECOND)
    desk.answer_books, desk.bids, desk.asks = True, [(0.10, 100)], [(0.99, 100)]
    desk.advance(1)
    assert (row["state"], row["attempts"], row["due_at"]) == ("working", 1, desk.at + SECOND)
    desk.bids = [(0.49, 1000)]
    tried = desk.at + SECOND
    desk.advance(1)
    assert (row["state"], row["attempts"], row["due_at"], desk.held()) == ("filled", 1, tried, 0)


def test_an_order_goes_out_as_an_effect_and_what_comes_back_is_booked() -> None:
    desk = External()
    desk.chain_buy(1)
    (order,) = desk.placed()
    assert (order.side, order.budget, order.limit, order.account) == (Side.BUY, usd(25), 510_000, "main")
    assert order.due_at == desk.at + 300_000
    desk.fill(order.order_id, 1, 20)
    assert desk.state(order.order_id) == ("working", None)
    desk.fill(order.order_id, 2, 30)
    desk.end(order.order_id, How.FILLED)
    assert desk.state(order.order_id) == ("filled", None)
    assert desk.held() == usd(50)
    desk.check()


@pytest.mark.parametrize(
    ("how", "state"),
    [
        (How.REJECTED, ("failed", "FAILED_REJECTED")),
        (How.UNFILLED, ("cancelled", "UNFILLED_PRICE")),
        (How.NO_BOOK, ("failed", "FAILED_NO_BOOK")),
        (How.NO_CASH, ("cancelled", "CANCELLED_NO_CASH")),
    ],
)
def test_an_order_that_is_not_filled_says_why_and_gives_its_cash_back(how: How, state: tuple[str, str]) -> None:
    desk = External()
    desk.chain_buy(1)
    desk.end(1, how)
    assert desk.state(1) == state
    assert desk.engine.state.desks["main"].free_cash() == usd(10_000)
    assert desk.engine.state.desks["main"].spent_today == 0


def test_a_fill_told_twice_is_one_and_one_that_cannot_be_is_refused_and_shown() -> None:
    desk = External()
    desk.chain_buy(1)
    desk.fill(1, 1, 20)
    desk.fill(1, 1, 20)
    assert desk.held() == usd(20)
    assert not [e for e in desk.effects if isinstance(e, Refused)]
    desk.fill(1, 3, 20)
    desk.fill(1, 2, 100_000)
    desk.end(1, How.PARTIAL)
    desk.fill(1, 2, 1)
    assert len([e for e in desk.effects if isinstance(e, Refused)]) == 3
    assert desk.held() == usd(20)
    desk.check()


def test_a_fill_may_come_between_our_cancelling_and_the_end() -> None:
    desk = External()
    desk.chain_buy(1, 100)
    desk.advance(1)
    desk.chain_sell(2, 100)
    assert desk.cancelled() == [1]
    assert desk.state(1)[0] == "pending", "an order ends when whoever has it says so"
    desk.fill(1, 1, 10)
    desk.end(1, How.CANCELLED)
    assert desk.state(1) == ("cancelled", "CANCELLED_LEADER_SOLD")
    assert desk.held() == usd(10)
    desk.check()


def test_a_fill_on_a_trade_that_a_reorg_took_back_is_booked_marked_and_left_again() -> None:
    desk = External()
    desk.chain_buy(1)
    desk.chain(desk.last_fill, removed=True)
    assert desk.cancelled() == [1]
    desk.fill(1, 1, 10)
    desk.end(1, How.CANCELLED)
    assert desk.rows("fills")[0]["status"] == "orphaned"
    way_out = desk.placed()[-1]
    assert (way_out.side, way_out.shares) == (Side.SELL, usd(10))
    desk.fill(way_out.order_id, 1, 10, 0.49)
    desk.end(way_out.order_id, How.FILLED)
    assert desk.held() == 0
    desk.check()


def test_what_ended_stays_ended() -> None:
    order = Order(id=1, decision_id=1, trade_id=1, portfolio="p", leader=LEADER, token_id=TOKEN, condition_id="",
                  side=Side.BUY, shares=0, budget=1, limit_price=1, leader_price=1, traded_at=0, created_at=0,
                  due_at=0, give_up_at=0)  # fmt: skip
    for first, then in itertools.product(OrderState, OrderState):
        order.state = first
        if then in TRANSITIONS[first]:
            order.move(then)
            assert order.state is then
        else:
            with pytest.raises(AssertionError, match="cannot go from"):
                order.move(then)
    assert all(not TRANSITIONS[state] for state in set(OrderState) - OPEN)


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("buy"), st.integers(1, 3), st.just(0)),
            st.tuples(st.just("sell"), st.integers(1, 100), st.just(0)),
            st.tuples(st.just("fill"), st.integers(0, 5), st.integers(-1, 120)),
            st.tuples(st.just("again"), st.integers(0, 5), st.integers(1, 60)),
            st.tuples(st.just("tried"), st.integers(0, 5), st.integers(1, 3)),
            st.tuples(st.just("end"), st.integers(0, 5), st.sampled_from(list(How))),
            st.tuples(st.just("settle"), st.just(0), st.just(0)),
        ),
        max_size=40,
    )
)
def test_whatever_an_executor_tells_the_books_stay_right(story: list[tuple[str, int, Any]]) -> None:
    desk = External(policy_values())
    for n, (what, a, b) in enumerate(story, start=1):
        desk.at += SECOND
        if what == "buy":
            desk.chain_buy(n, 10 * a)
        elif what == "sell":
            desk.chain_sell(n, a)
        elif what == "settle":
            desk.send(ev.MarketSeen(at=desk.at, market=desk.market(TOKEN, payout=MICRO, closed=True)))
        elif desk.placed():
            order = desk.placed()[a % len(desk.placed())]
            known = desk.engine.state.desks["main"].intents.get(order.order_id)
            number = known.fills if known else 0
            if what == "end":
                desk.end(order.order_id, b)
            elif what == "tried":
                limit = order.limit if b > 1 else None
                desk.send(ev.OrderTried(at=desk.at, order_id=order.order_id, attempts=b, due_at=desk.at, limit=limit))
            else:
                desk.fill(order.order_id, number + (what == "fill"), b)
        desk.check()


def policy_values() -> dict[str, Any]:
    """A small bankroll, so that cash matters."""
    assert policy_from({}).fixed_usdc == usd(25)
    return {"bankroll": usd(60)}
