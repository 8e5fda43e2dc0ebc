"""Virtual time: order, answers, timers, and what ends a run that gets nowhere."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from pilotfish.core import effects as fx
from pilotfish.core import events as ev
from pilotfish.core.book import make_book
from pilotfish.core.drive import Ask, Drive
from pilotfish.core.engine import Engine
from pilotfish.core.records import FillRecord
from pilotfish.core.settings import policy_from
from pilotfish.core.timers import ApiOverdue, OrderDue
from pilotfish.core.trade import Source
from pilotfish.core.units import MICRO, SECOND
from tests.desk import CONDITION, LEADER, START, TOKEN, chain_fill


class Run:
    """An engine with one portfolio and one leader in a world of one good market."""

    def __init__(self) -> None:
        self.seen: list[ev.Event] = []
        self.effects: list[fx.Effect] = []
        self.asked: list[tuple[Ask, int]] = []
        self.drive = Drive(Engine(), self.answer, self.take, most=500)
        self.drive.at = START
        policy = policy_from({})
        main = ev.PortfolioState(name="main", bankroll=policy.bankroll, cash=policy.bankroll, policy=policy)
        self.drive.push(ev.Restored(at=START, portfolios=(main,)))
        self.drive.push(ev.HealthChanged(at=START, source=Source.POLYGON, healthy=True))
        second = START // SECOND
        self.drive.push(
            ev.LeaderFollowed(
                at=START, leader=LEADER, follow_from=START, floor_ts=second, cursor_ts=second, is_new=True
            ),
        )

    def take(self, event: ev.Event, effects: list[fx.Effect]) -> None:
        self.seen.append(event)
        self.effects += effects

    def answer(self, ask: Ask, at: int) -> Sequence[ev.Event]:
        self.asked.append((ask, at))
        match ask:
            case fx.NeedMarket(token_id):
                market = ev.Market(token_id=token_id, condition_id=CONDITION, fetched_at=at)
                return [ev.MarketSeen(at=at + 120_000, market=market)]
            case fx.NeedBook(token_id):
                levels = [(490_000, 10**9)], [(500_000, 10**9)]
                book = make_book(token_id, *levels, requested_at=at, received_at=at)
                return [ev.BookSeen(at=at + 30_000, book=book)]
            case _:
                return []

    def buy(self, at: int) -> None:
        self.drive.push(ev.ChainFillSeen(at=at, fill=chain_fill(1, "BUY", 100, 0.5, traded_at=START)))


def test_a_copy_goes_from_the_log_over_market_and_book_to_its_fill_at_the_instants_that_follow() -> None:
    run = Run()
    run.buy(START + SECOND)
    run.drive.run(START + 60 * SECOND)
    assert run.drive.at == START + 60 * SECOND
    (fill,) = [e.record for e in run.effects if isinstance(e, fx.Insert) and isinstance(e.record, FillRecord)]
    market, book, latency, again = 120_000, 30_000, 300_000, 30_000
    assert fill.filled_at == START + SECOND + market + book + latency + again
    assert fill.usdc_micro == 25 * MICRO
    assert [type(a).__name__ for a, _ in run.asked] == ["NeedHoldings", "NeedMarket", "NeedBook", "NeedBook"]
    assert run.asked[-1][1] == START + SECOND + market + book + latency


def test_time_never_goes_back_and_what_is_due_in_the_past_happens_now() -> None:
    run = Run()
    run.buy(START + SECOND)
    run.drive.run(START + 60 * SECOND)
    run.drive.push(ev.Tick(at=START))
    run.drive.run(START + 60 * SECOND)
    instants = [e.at for e in run.seen]
    assert instants == sorted(instants)
    assert run.seen[-1] == ev.Tick(at=START + 60 * SECOND)


def test_events_of_one_instant_come_in_the_order_in_which_they_were_pushed() -> None:
    run = Run()
    at = START + 5 * SECOND
    for name in ("a", "b", "c"):
        run.drive.push(ev.BookMissing(at=at, token_id=TOKEN, detail=name))
    run.drive.push(ev.BookMissing(at=at - 1, token_id=TOKEN, detail="first"))
    run.drive.run(at)
    assert [e.detail for e in run.seen if isinstance(e, ev.BookMissing)] == ["first", "a", "b", "c"]


def test_a_run_in_pieces_is_the_run_at_once() -> None:
    whole, pieces = Run(), Run()
    for run in (whole, pieces):
        run.buy(START + SECOND)
    whole.drive.run(START + 20 * SECOND)
    for n in range(1, 201):
        pieces.drive.run(START + n * SECOND // 10)
    assert pieces.effects == whole.effects
    assert pieces.drive.events == whole.drive.events
    assert pieces.drive.timers == whole.drive.timers


def test_a_world_that_goes_on_for_ever_is_found_out() -> None:
    run = Run()
    second = START // SECOND
    again = ev.LeaderFollowed(
        at=START, leader=LEADER, follow_from=START, floor_ts=second, cursor_ts=second, is_new=True
    )
    run.drive = Drive(Engine(), lambda ask, at: [again], most=500)
    run.drive.push(ev.Restored(at=START, portfolios=()))
    run.drive.push(again)
    with pytest.raises(RuntimeError, match="goes on for ever"):
        run.drive.settle()


def test_what_runs_and_what_was_asked_for_is_known_until_it_is_over() -> None:
    run = Run()
    run.buy(START + SECOND)
    run.drive.run(START + SECOND + 100_000)
    assert run.drive.asks == {fx.NeedHoldings(LEADER, bootstrap=True): 1, fx.NeedMarket(TOKEN): 1}
    run.drive.run(START + SECOND + 160_000)
    assert run.drive.asks == {fx.NeedHoldings(LEADER, bootstrap=True): 1}
    assert [type(timer) for timer in run.drive.timers] == [ApiOverdue, OrderDue]
    run.drive.run(START + 60 * SECOND)
    assert run.drive.timers == {}


def test_an_engine_refuses_what_happened_before() -> None:
    engine = Engine()
    engine.apply(ev.Restored(at=START, portfolios=()))
    with pytest.raises(AssertionError, match="time goes back"):
        engine.apply(ev.Tick(at=START - 1))
