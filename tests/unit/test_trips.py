"""Positions from flat to flat: every order, every filter, and sums that agree with the rows and with the books."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest
from sqlalchemy import Engine, insert

from pilotfish.core import events as ev
from pilotfish.core.fees import FeeSchedule
from pilotfish.core.units import MICRO, SECOND
from pilotfish.store import tables as t
from pilotfish.store.database import snapshot
from pilotfish.store.mapping import Values
from pilotfish.store.round_trips import ENDED_MEANING, ENDED_WORDS, TripCounts, TripSum
from pilotfish.store.views.trips import (
    Sort,
    Trip,
    TripFilter,
    TripState,
    all_trips,
    read_trip,
    read_trips,
    sold_since,
    trips_of,
)
from tests.desk import LEADER, NO_TOKEN, START, TOKEN, Desk, usd
from tests.fresh import fresh_database
from tests.unit.test_ideal import OPEN, world
from tests.unit.test_round_trips import trade_at

LEADERS = [f"0x{i:040x}" for i in range(3)]
TOKENS = [str(100 + i) for i in range(8)]
BESIDE = {TOKENS[2]: (TOKENS[3],), TOKENS[3]: (TOKENS[2],)}
"""Two tokens of one market."""
KEYS: dict[Sort, Callable[[Trip], float | str | None]] = {
    Sort.TITLE: lambda r: r.title,
    Sort.SHARES: lambda r: r.shares_micro,
    Sort.COST: lambda r: r.cost_micro,
    Sort.WORTH: lambda r: r.worth_micro,
    Sort.UNREALIZED: lambda r: r.unrealized_pnl_micro,
    Sort.REALIZED: lambda r: r.realized_pnl_micro,
    Sort.RETURN: lambda r: r.gain_micro / r.paid_micro,
    Sort.OPENED: lambda r: r.opened_at,
    Sort.CLOSED: lambda r: r.closed_at,
    Sort.END: lambda r: r.market_end if r.state is TripState.OPEN else r.closed_at,
    Sort.ENTRY: lambda r: r.cost_micro / r.shares_micro,
    Sort.EXIT: lambda r: (
        r.worth_micro / r.shares_micro if r.number else None if r.mark_price is None else r.mark_price * MICRO
    ),
    Sort.FEES: lambda r: r.fees_micro,
    Sort.LASTED: lambda r: r.lasted_ms,
}


def _position(dice: random.Random, leader: str, token: str) -> Values:
    held = dice.choice([0, dice.randrange(1, 10**9)])
    paid = dice.randrange(10**6, 10**9)
    return {
        "portfolio": "main", "leader": leader, "token_id": token, "condition_id": "", "outcome": "Yes",
        "shares_micro": held, "cost_micro": dice.randrange(1, paid) if held else 0, "realized_pnl_micro": 0,
        "fees_micro": 0, "mark_price_micro": dice.choice([None, dice.randrange(1, MICRO)]),
        "unmarked_since": dice.choice([None, START]), "status": "open" if held else "closed",
        "opened_at": START + dice.randrange(10**9), "trip_bought_micro": 2 * held,
        "trip_paid_micro": paid if held else 0,
        "trip_got_micro": dice.randrange(10**6) if held else 0, "trip_fees_micro": 10 if held else 0,
    }  # fmt: skip


def _trip(dice: random.Random) -> Values:
    paid, got = dice.randrange(1, 10**9), dice.randrange(10**9)
    opened = START + dice.randrange(10**9)
    return {
        "portfolio": dice.choice(["main", "main", "other"]), "leader": dice.choice(LEADERS),
        "token_id": dice.choice(TOKENS), "opened_at": opened, "closed_at": opened + 1000 * dice.randrange(10**6),
        "bought_micro": dice.randrange(1, 10**9), "paid_micro": paid, "got_micro": got, "fees_micro": 5,
        "pnl_micro": got - paid, "ended": dice.choice(list(ENDED_WORDS)),
    }  # fmt: skip


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    dice = random.Random(7)
    made = fresh_database(tmp_path_factory.mktemp("trips") / "x.db")
    with made.begin() as c:
        for n, token in enumerate(TOKENS[:6]):
            c.execute(insert(t.markets).values(
                token_id=token, condition_id="0x1" if token in BESIDE else f"0xa{n}", outcome="Yes",
                title=f"Will 100% of {'abcdef'[5 - n]} come?",
                slug="s", category="", closed=False, accepting_orders=True, tick_micro=10_000, fee_rate_ppm=0,
                delay_ms=0, end_at=START + n * SECOND if n % 2 else None, fetched_at=START,
            ))  # fmt: skip
        c.execute(insert(t.positions), [_position(dice, leader, token) for leader in LEADERS for token in TOKENS])
        c.execute(insert(t.round_trips), [_trip(dice) for _ in range(120)])
        c.execute(insert(t.portfolios).values(name="main", bankroll_micro=usd(10_000), created_at=START))
    yield made
    made.dispose()


@pytest.mark.slow
@pytest.mark.parametrize("state", [*TripState, None])
@pytest.mark.parametrize("sort", Sort)
@pytest.mark.parametrize("descending", [True, False])
def test_rows_come_in_the_order_of_any_figure_and_what_has_none_comes_last(
    database: Engine, state: TripState | None, sort: Sort, descending: bool
) -> None:
    f = TripFilter(portfolio="main", state=state)
    with snapshot(database) as c:
        whole = list(all_trips(c, f, sort=sort, descending=descending))
        pages = [
            read_trips(c, f, TripCounts(), sort=sort, descending=descending, limit=7, offset=n).rows
            for n in range(0, len(whole) + 7, 7)
        ]
    assert [row for page in pages for row in page] == whole
    assert len(whole) > 10
    assert len({(r.number, r.leader, r.token_id) for r in whole}) == len(whole)
    key = KEYS[sort]
    told = [x for r in whole if (x := key(r)) is not None]
    assert told == sorted(told, reverse=descending)
    assert [key(r) for r in whole][len(told) :] == [None] * (len(whole) - len(told))


@pytest.mark.parametrize("state", [*TripState, None])
@pytest.mark.parametrize(
    "more", [{}, {"leader": LEADERS[1]}, {"words": "100% of"}, {"words": "OF B"}, {"words": "nothing"},
             {"leader": LEADERS[0], "market": TOKENS[2]}, {"market": "5"}, {"market": TOKENS[1], "words": "of e"},
             {"market": TOKENS[1], "words": "of f"}]
)  # fmt: skip
def test_the_totals_are_of_all_that_match_and_not_of_the_page(
    database: Engine, state: TripState | None, more: dict[str, str]
) -> None:
    f = msgspec.structs.replace(TripFilter(portfolio="main", state=state), **more)
    with snapshot(database) as c:
        rows = list(all_trips(c, f, sort=Sort.COST))
        total = read_trips(c, f, TripCounts(), sort=Sort.COST, limit=1).total
    for row in rows:
        assert row.leader == more.get("leader", row.leader)
        assert more.get("words", "").lower() in (row.title or "").lower()
        assert more.get("market", row.token_id) in (row.token_id, *BESIDE.get(row.token_id, ()))
    assert total.trips == len(rows)
    assert ("words" in more and more["words"] == "nothing") <= (rows == [])
    for name in ("cost_micro", "worth_micro", "unrealized_pnl_micro", "realized_pnl_micro", "paid_micro", "fees_micro",
                 "gain_micro"):  # fmt: skip
        assert getattr(total, name) == sum(getattr(r, name) for r in rows), name
    assert total.unmarked_micro == sum(r.worth_micro for r in rows if r.unmarked_since)


def test_what_round_trips_come_to_is_kept_up_by_portfolio_leader_and_token(database: Engine) -> None:
    kept = TripCounts()
    with snapshot(database) as c:
        main, other = kept.total(c, "main"), kept.total(c, "other")
        assert main.trips + other.trips == 120
        assert main == kept.total(c, "main", resolved=True).plus(kept.total(c, "main", resolved=False))
        parts = [kept.total(c, "main", leader=leader) for leader in LEADERS]
        assert main == parts[0].plus(parts[1]).plus(parts[2])
        assert kept.total(c, "main", tokens=["no such"]) == TripSum()


def test_a_position_bought_and_sold_three_times_is_three_round_trips_that_agree_with_the_books(tmp_path: Path) -> None:
    desk = Desk({**OPEN, "take_profit_bps": 5000}, fee=FeeSchedule(40_000))
    with world(desk, tmp_path) as made:
        trade_at(desk, "BUY", 1, 0.49)
        trade_at(desk, "SELL", 2, 0.60)
        trade_at(desk, "BUY", 3, 0.40)
        desk.send(ev.CloseAsked(at=desk.at, portfolio="main"))
        desk.advance(2)
        trade_at(desk, "BUY", 4, 0.39)
        desk.sell(5, 30, 0.40)
        desk.buy(6, 100, 0.40, token_id=NO_TOKEN, order_hash="0x6")
        desk.send(ev.MarketSeen(at=desk.at, market=desk.market(NO_TOKEN, closed=True, payout=MICRO)))
        made.store()
        books = desk.engine.state.desks["main"].positions
        with snapshot(made.database) as c:
            rows = list(all_trips(c, TripFilter(portfolio="main", state=None), sort=Sort.OPENED, descending=False))
            assert [(r.token_id, r.state, r.ended) for r in rows] == [
                (TOKEN, TripState.CLOSED, "leader"),
                (TOKEN, TripState.CLOSED, "close"),
                (TOKEN, TripState.OPEN, None),
                (NO_TOKEN, TripState.RESOLVED, "resolved"),
            ]
            for token in (TOKEN, NO_TOKEN):
                mine = [r for r in rows if r.token_id == token]
                book = books[(LEADER, token)]
                assert sum(r.realized_pnl_micro for r in mine) == book.realized_pnl
                assert sum(r.fees_micro for r in mine) == book.fees
            held, paid = rows[2], rows[3]
            assert (held.shares_micro, held.cost_micro) == (books[(LEADER, TOKEN)].shares, books[(LEADER, TOKEN)].cost)
            assert held.paid_micro > held.cost_micro, "a part was sold"
            assert held.gain_micro == held.worth_micro - held.cost_micro + held.realized_pnl_micro
            assert paid.payout == 1.0
            assert int(paid.worth_micro) == int(paid.shares_micro)
            assert rows[0].lasted_ms == 6000
            for row in rows:
                assert read_trip(c, "main", LEADER, row.token_id, row.number) == row
            assert trips_of(c, "main", LEADER, TOKEN) == [rows[1], rows[0]]
            assert read_trip(c, "main", LEADER, NO_TOKEN, 0) is None
            assert read_trip(c, "main", LEADER, TOKEN, paid.number) is None


def test_round_trips_that_were_just_sold_are_listed_with_what_is_held_and_not_added_up(database: Engine) -> None:
    f = TripFilter(portfolio="main")
    with snapshot(database) as c:
        held = read_trips(c, f, TripCounts(), sort=Sort.COST, limit=100)
        last = sold_since(c, "main", START + 10**9)
        assert last == sorted(last, key=lambda r: r.number)
        assert {r.state for r in last} == {TripState.CLOSED}
        some = tuple(r.number for r in last if r.leader == LEADERS[0])[:3]
        more = msgspec.structs.replace(f, besides=some)
        both = read_trips(c, more, TripCounts(), sort=Sort.COST, limit=100)
        assert both.total == held.total
        assert {r.number for r in both.rows} == {0, *some}
        assert [r for r in both.rows if not r.number] == held.rows
        assert [r.cost_micro for r in both.rows] == sorted((r.cost_micro for r in both.rows), reverse=True)
        others = msgspec.structs.replace(more, leader=LEADERS[1])
        assert {r.number for r in read_trips(c, others, TripCounts(), sort=Sort.COST, limit=100).rows} == {0}


def test_every_way_in_which_a_round_trip_ends_has_words() -> None:
    rules = {"take_profit", "stop_loss", "close", "dust", "reorg"}
    assert set(ENDED_WORDS) == set(ENDED_MEANING) == {"leader", "resolved"} | rules
