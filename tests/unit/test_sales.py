"""What is being sold: asked for, out, and what became of it."""

from __future__ import annotations

from pathlib import Path

from pilotfish.core import events as ev
from pilotfish.store import commands_store
from pilotfish.store.copies import State
from pilotfish.store.database import snapshot
from pilotfish.store.views.sales import read_sales
from tests.desk import LEADER, NO_TOKEN, TOKEN, Desk, usd
from tests.unit.test_ideal import OPEN, world
from tests.unit.test_round_trips import trade_at

KEY = (LEADER, TOKEN)


def test_a_sale_by_hand_is_told_from_the_request_to_what_it_got(tmp_path: Path) -> None:
    desk = Desk(dict(OPEN))
    with world(desk, tmp_path) as made:
        trade_at(desk, "BUY", 1, 0.49)
        made.store()
        with made.database.begin() as c:
            asked = {"portfolio": "main", "token_id": TOKEN, "leader": LEADER}
            commands_store.ask(c, "close", asked, at=desk.at, by="test")
            commands_store.ask(c, "close", {**asked, "portfolio": "other"}, at=desk.at, by="test")
        with snapshot(made.database) as c:
            told = read_sales(c, "main", 0)
            assert [a.covers(LEADER, TOKEN) for a in told.asked] == [True]
            assert not told.asked[0].covers(LEADER, NO_TOKEN)
            assert (told.out, told.by_hand) == ({}, {})

        desk.bids = [(0.49, 20.0)]
        desk.send(ev.CloseAsked(at=desk.at, portfolio="main"))
        desk.advance(2)
        made.store()
        with snapshot(made.database) as c:
            told = read_sales(c, "main", 0)
            assert told.out[KEY].cause == "close"
            assert (told.out[KEY].shares_micro, told.out[KEY].filled_shares_micro) == (usd(50), usd(20))
            assert told.by_hand[KEY].became.state is State.OUT

        desk.advance(4000)
        made.store()
        with snapshot(made.database) as c:
            told = read_sales(c, "main", 0)
            assert told.out == {}
            became = told.by_hand[KEY].became
            assert (became.state, became.partly, became.our_shares_micro) == (State.FILLED, True, usd(20))
            assert became.why == "nobody bid within the limit"
            assert read_sales(c, "main", desk.at).by_hand == {}, "long ago"
            assert read_sales(c, "other", 0).by_hand == {}, "of another portfolio"
