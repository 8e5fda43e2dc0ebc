"""What a position's history says agrees with its row, to the millionth, whatever happened to it."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection

from pilotfish.core import events as ev
from pilotfish.core.fees import FeeSchedule
from pilotfish.core.trade import Side
from pilotfish.core.units import MICRO
from pilotfish.store.copies import State
from pilotfish.store.database import snapshot
from pilotfish.store.views.history import History, read_history
from pilotfish.store.views.trips import Sort, TripFilter, TripState, all_trips
from tests.desk import LEADER, TOKEN, Desk
from tests.unit.test_ideal import OPEN, world
from tests.unit.test_round_trips import trade_at


def histories(c: Connection) -> list[History]:
    """Of every row, the oldest first; each agrees with its row."""
    found = []
    for row in all_trips(c, TripFilter(portfolio="main", state=None), sort=Sort.OPENED, descending=False):
        history = read_history(c, "main", row.leader, row.token_id, row.number)
        assert history is not None
        sums = history.sums
        assert history.trip == row
        assert (sums.paid_micro, sums.fees_micro) == (row.paid_micro, row.fees_micro)
        if row.state is TripState.OPEN:
            assert sums.held_micro == row.shares_micro
            assert sums.balance_micro + row.cost_micro == row.realized_pnl_micro
            assert sums.balance_micro + row.worth_micro == row.gain_micro
        else:
            assert (sums.held_micro, sums.bought_micro, sums.got_micro) == (0, row.shares_micro, row.worth_micro)
            assert sums.balance_micro == row.realized_pnl_micro
        assert sum(m.amount_micro for m in history.moves) == sums.balance_micro
        assert history.moves[-1].held_micro == sums.held_micro
        filled = [f for o in history.orders for f in o.fills]
        assert sum(f.fee_micro for f in filled) == row.fees_micro
        assert {f.at for f in filled} <= {m.at for m in history.moves}
        found.append(history)
    return found


def test_a_history_tells_orders_fills_the_result_and_every_entry_of_one_round_trip(tmp_path: Path) -> None:
    desk = Desk({**OPEN, "sell_max_slippage_bps": 100}, fee=FeeSchedule(40_000))
    with world(desk, tmp_path) as made:
        trade_at(desk, "BUY", 1, 0.49)
        trade_at(desk, "SELL", 2, 0.60)
        trade_at(desk, "BUY", 3, 0.40)
        desk.bids = []
        desk.sell(4, 30, 0.40)
        desk.advance(4000)
        desk.bids = [(0.40, 1e6)]
        desk.send(ev.CloseAsked(at=desk.at, portfolio="main"))
        desk.advance(2)
        trade_at(desk, "BUY", 5, 0.39)
        desk.send(ev.MarketSeen(at=desk.at, market=desk.market(TOKEN, closed=True, payout=MICRO)))
        made.store()
        with snapshot(made.database) as c:
            first, second, third = histories(c)
        assert [(o.side, o.cause, o.state) for o in second.orders] == [
            (Side.BUY, "leader", State.FILLED),
            (Side.SELL, "leader", State.NOT_FILLED),
            (Side.SELL, "close", State.FILLED),
        ]
        assert second.orders[1].why == "nobody bid within the limit"
        assert [m.kind for m in second.moves] == ["buy", "fee", "sell", "fee"]
        assert [m.kind for m in third.moves] == ["buy", "fee", "settle"]
        assert third.moves[-1].price == 1.0
        assert [o.number for o in second.others] == [third.trip.number, first.trip.number]


@pytest.mark.parametrize("number", [7, 0])
def test_there_is_no_history_of_what_there_was_not(tmp_path: Path, number: int) -> None:
    desk = Desk(dict(OPEN))
    with world(desk, tmp_path) as made, snapshot(made.database) as c:
        assert read_history(c, "main", LEADER, TOKEN, number) is None


@pytest.mark.slow
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.lists(st.tuples(st.sampled_from(["BUY", "SELL", "part", "dust", "hand"]), st.integers(20, 70)), max_size=15),
    st.sampled_from([None, 0, MICRO // 2]),
)
def test_the_sums_of_every_history_agree_with_its_row(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, int]], payout: int | None
) -> None:
    desk = Desk(dict(OPEN), fee=FeeSchedule(70_000))
    with world(desk, tmp_path_factory.mktemp("books")) as made:
        for n, (what, cents) in enumerate(steps, start=1):
            if what == "part":
                desk.sell(n, 30, cents / 100)
            elif what == "hand":
                desk.send(ev.CloseAsked(at=desk.at, portfolio="main"))
                desk.advance(2)
            elif what == "dust":
                desk.bids = [(cents / 100, 12.3456)]
                desk.sell(n, 12.35, cents / 100)
            else:
                trade_at(desk, what, n, cents / 100)
        if payout is not None:
            desk.send(ev.MarketSeen(at=desk.at, market=desk.market(TOKEN, closed=True, payout=payout)))
        made.store()
        with snapshot(made.database) as c:
            histories(c)
