"""Leaving a leader ends what waited for them."""

from __future__ import annotations

import msgspec

from pilotfish.core import events as ev
from pilotfish.core.trade import Source
from pilotfish.core.units import SECOND
from tests.desk import LEADER, TOKEN, Desk, chain_fill, usd


def test_what_waited_when_a_leader_was_left_is_never_copied_later() -> None:
    """The worker was stopped while an exit waited; the leader is left, and followed again after the next start."""
    desk = Desk(settings={"trigger_mode": "polygon"}, holdings={})
    desk.buy(1)
    desk.send(ev.HealthChanged(at=desk.at, source=Source.POLYGON, healthy=False))
    desk.chain(chain_fill(2, "SELL", 100, 0.49, traded_at=desk.at))
    (waiting,) = [d for d in desk.rows("decisions") if d["action"] == "wait"]
    held = desk.held()

    again = Desk(settings={"trigger_mode": "polygon"}, follow=False)
    main = desk.engine.state.desks["main"]
    trades = tuple(desk.engine.state.index)
    again.begin(type(again.engine)(), again.at)
    known = {t["id"]: dict(t) for t in desk.rows("trades")}
    again.tables, again.effects = {"decisions": {waiting["id"]: dict(waiting)}, "trades": known}, []
    state = ev.PortfolioState(
        name="main", bankroll=main.bankroll, cash=main.cash, policy=main.policy,
        positions=tuple(main.positions.values()),
        pending=(ev.PendingDecision(id=waiting["id"], portfolio="main", trade_id=waiting["trade_id"]),),
    )  # fmt: skip
    again.at = desk.at
    again.send(ev.Restored(at=again.at, portfolios=(state,), trades=trades, last_decision_id=9, last_trade_id=9))
    again.send(ev.LeaderRemoved(at=again.at, leader=LEADER))
    assert [d["reason"] for d in again.rows("decisions")] == ["SKIP_PAUSED"]
    again.send(ev.HealthChanged(at=again.at, source=Source.POLYGON, healthy=True))
    again.follow_leader(LEADER)
    again.advance(60)
    assert again.held() == held
    assert again.rows("intents") == []


def test_a_trade_that_a_reorg_took_back_before_its_leader_was_left_is_not_copied_when_it_is_mined_again() -> None:
    desk = Desk(holdings={}, answer_books=False)
    fill = chain_fill(1, "BUY", 100, 0.50, traded_at=desk.at)
    desk.chain(fill)
    desk.chain(fill, removed=True)
    desk.send(desk.book_event(TOKEN))
    assert desk.reasons == ["WAIT_REORG"]
    desk.send(ev.LeaderRemoved(at=desk.at, leader=LEADER))
    desk.at += SECOND
    desk.follow_leader(LEADER)
    desk.answer_books = True
    desk.chain(fill)
    desk.advance(60)
    assert desk.reasons == ["SKIP_PAUSED"]
    assert desk.rows("intents") == []


def test_following_again_goes_on_from_what_the_books_say_was_held() -> None:
    desk = Desk(follow=False)
    second = desk.at // SECOND
    again = ev.LeaderFollowed(
        at=desk.at, leader=LEADER, follow_from=desk.at, floor_ts=second, cursor_ts=second, is_new=True,
        holdings=((TOKEN, usd(101)),),
    )  # fmt: skip
    desk.send(again)
    now = ((TOKEN, usd(303)),)
    desk.send(ev.HoldingsSnapshot(at=desk.at, leader=LEADER, as_of=desk.at, holdings=now, bootstrap=True))
    (correction,) = desk.rows("holding_adjustments")
    assert (correction["before_micro"], correction["delta_micro"]) == (usd(101), usd(202))
    desk.buy(1, 7)
    desk.send(ev.LeaderRemoved(at=desk.at, leader=LEADER))
    desk.send(msgspec.structs.replace(again, at=desk.at))
    assert desk.leader_holds() == usd(310), "what this run has kept is newer than what was read"
