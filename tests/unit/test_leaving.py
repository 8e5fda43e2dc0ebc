"""Leaving a leader ends what waited for them."""

from __future__ import annotations

from pilotfish.core import events as ev
from pilotfish.core.trade import Source
from tests.desk import LEADER, Desk, chain_fill


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
    again.engine = type(again.engine)()
    again.tables, again.effects = {"decisions": {waiting["id"]: dict(waiting)}}, []
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
