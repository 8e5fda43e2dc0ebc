"""Won and lost count round trips, from flat to flat: never fewer than before, and what made nothing is neither."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, select

from pilotfish.core import events as ev
from pilotfish.core.effects import WipePaper
from pilotfish.core.units import MICRO
from pilotfish.store import tables as t
from pilotfish.store.batch import write
from pilotfish.store.round_trips import TripCounts
from pilotfish.store.verify import verify
from pilotfish.store.views.portfolios import read_portfolios
from tests.desk import TOKEN, Desk
from tests.unit.test_ideal import OPEN, World, world


def counted(database: Engine, trips: TripCounts | None = None) -> tuple[int, int]:
    """(won, lost) of portfolio main, as everything shows it; counted anew, and from the last look."""
    with database.connect() as c:
        assert verify(c) == []
        (p,) = read_portfolios(c)
        if trips is not None:
            assert read_portfolios(c, trips) == [p]
    return p.won, p.lost


def trade_at(desk: Desk, side: str, n: int, bid: float) -> None:
    desk.bids, desk.asks = [(bid, 1e6)], [(round(bid + 0.01, 4), 1e6)]
    desk.advance(5)
    if side == "BUY":
        desk.buy(n, 100, round(bid + 0.01, 4), order_hash=f"0x{n:x}")
    else:
        desk.sell(n, 10_000, bid)


def trips_of(made: World) -> list[tuple[str, int]]:
    with made.database.connect() as c:
        return [(r.ended, r.pnl_micro) for r in c.execute(select(t.round_trips).order_by(t.round_trips.c.id))]


def test_a_round_trip_that_was_won_stays_won_when_the_token_is_bought_again(tmp_path: Path) -> None:
    desk, trips = Desk(dict(OPEN)), TripCounts()
    with world(desk, tmp_path) as made:
        seen = []
        for n, (side, bid) in enumerate(
            [("BUY", 0.49), ("SELL", 0.60), ("BUY", 0.49), ("SELL", 0.40), ("BUY", 0.39), ("SELL", 0.40)], start=1
        ):
            trade_at(desk, side, n, bid)
            made.store()
            seen.append(counted(made.database, trips))
        assert seen == [(0, 0), (1, 0), (1, 0), (1, 1), (1, 1), (1, 1)], "0.40 for 0.40 is neither"


@pytest.mark.parametrize("restarted", [False, True])
def test_how_a_round_trip_ended_is_written_with_it(tmp_path: Path, restarted: bool) -> None:
    desk = Desk({**OPEN, "take_profit_bps": 5000, "stop_loss_bps": 5000})
    with world(desk, tmp_path) as made:

        def bought(n: int) -> None:
            trade_at(desk, "BUY", n, 0.40)
            if restarted:
                made.restart()

        bought(1)
        trade_at(desk, "SELL", 2, 0.40)
        bought(3)
        desk.send(ev.CloseAsked(at=desk.at, portfolio="main"))
        desk.advance(2)
        bought(4)
        desk.bids, desk.asks = [(0.80, 1e6)], [(0.81, 1e6)]
        for _ in range(8):
            desk.send(desk.book_event(TOKEN))
            desk.advance(10)
        bought(5)
        desk.send(ev.MarketSeen(at=desk.at, market=desk.market(TOKEN, closed=True, payout=MICRO)))
        made.store()
        assert [ended for ended, _ in trips_of(made)] == ["leader", "close", "take_profit", "resolved"]
        assert counted(made.database) == (2, 2)


def test_a_reset_begins_to_count_anew(tmp_path: Path) -> None:
    desk, trips = Desk(dict(OPEN)), TripCounts()
    with world(desk, tmp_path) as made:
        for n, (side, bid) in enumerate([("BUY", 0.49), ("SELL", 0.60), ("BUY", 0.49), ("SELL", 0.60)], start=1):
            trade_at(desk, side, n, bid)
        made.store()
        assert counted(made.database, trips) == (2, 0)
        before = len(desk.effects)
        desk.send(ev.PaperReset(at=desk.at))
        with made.database.begin() as c:
            wiped = [e for e in desk.effects[before:] if not isinstance(e, (ev.TimerFired,))]
            write(c, [e for e in wiped if isinstance(e, WipePaper)])
        made.store()
        assert counted(made.database, trips) == (0, 0)
        for n, (side, bid) in enumerate([("BUY", 0.49), ("SELL", 0.30), ("BUY", 0.49), ("SELL", 0.30)], start=5):
            trade_at(desk, side, n, bid)
        made.store()
        assert counted(made.database, trips) == (0, 2)


@pytest.mark.slow
@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.lists(st.tuples(st.sampled_from(["BUY", "SELL", "part", "restart"]), st.integers(20, 70)), max_size=20),
    st.sampled_from([None, 0, MICRO]),
)
def test_won_and_lost_are_never_fewer_and_add_up_to_what_was_realised(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, int]], payout: int | None
) -> None:
    desk, trips, last = Desk(dict(OPEN)), TripCounts(), (0, 0)
    with world(desk, tmp_path_factory.mktemp("books")) as made:
        for n, (what, cents) in enumerate(steps, start=1):
            if what == "restart":
                made.restart()
            elif what == "part":
                desk.sell(n, 30, cents / 100)
            else:
                trade_at(desk, what, n, cents / 100)
            made.store()
            now = counted(made.database, trips)
            assert now >= last
            assert now[0] >= last[0] and now[1] >= last[1]
            last = now
        if payout is not None:
            desk.send(ev.MarketSeen(at=desk.at, market=desk.market(TOKEN, closed=True, payout=payout)))
            made.store()
        position = desk.engine.state.desks["main"].positions.get(("0x" + "a1" * 20, TOKEN))
        if position is not None and position.shares == 0:
            assert sum(pnl for _, pnl in trips_of(made)) == position.realized_pnl
