"""Whose order books are kept where leaders hold more tokens than there are places."""

from __future__ import annotations

from pilotfish.app.worth_keeping import worth_keeping
from pilotfish.core import events as ev
from pilotfish.core.units import SECOND
from tests.desk import LEADER, Desk, chain_fill, usd


def test_four_hundred_worthless_positions_leave_the_places_to_what_may_be_traded() -> None:
    worthless = {str(2000 + n) for n in range(400)}
    desk = Desk(holdings=dict.fromkeys([*worthless, "5", "6", "7", "8"], 10.0))
    desk.chain(chain_fill(1, "BUY", 10, 0.5, token_id="6", traded_at=desk.at - 60 * SECOND))
    desk.chain(chain_fill(2, "BUY", 10, 0.5, token_id="7", traded_at=desk.at // SECOND * SECOND))
    desk.advance(5)
    state = desk.engine.state
    desk.send(ev.MarketSeen(at=desk.at, market=desk.market("8", payout=usd(1), closed=True)))
    kept = worth_keeping(state, lambda leader, token: leader == LEADER and token in worthless)
    assert kept == ["7", "6", "5"]


def test_what_an_order_is_out_for_comes_first() -> None:
    desk = Desk(holdings={"5": 10.0}, settings={"order_latency_ms": 5000})
    desk.chain(chain_fill(1, "BUY", 100, 0.5, token_id="9", traded_at=desk.at // SECOND * SECOND))
    assert desk.engine.state.desks["main"].intents
    assert worth_keeping(desk.engine.state, lambda *_: False) == ["9", "5"]
