"""A curve of equity: as many points as are asked for at most, the newest included, and level where nothing changed."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import Connection, Engine, insert

from pilotfish.core.units import SECOND
from pilotfish.store import tables as t
from pilotfish.store.database import empty_database
from pilotfish.store.views.base import iso
from pilotfish.store.views.portfolios import read_equity

AT = 1_800_000_000 * SECOND
MINUTE = 60 * SECOND


@pytest.fixture
def database() -> Iterator[Engine]:
    made = empty_database()
    yield made
    made.dispose()


def valued(c: Connection, *figures: tuple[int, int]) -> None:
    """What a portfolio was worth at minutes."""
    others = dict.fromkeys(
        ("cash_micro", "positions_value_micro", "cost_micro", "realized_pnl_micro", "unrealized_pnl_micro",
         "fees_micro", "open_positions"), 0,
    )  # fmt: skip
    rows = [{"portfolio": "main", "at": AT + minute * MINUTE, "equity_micro": n, **others} for minute, n in figures]
    c.execute(insert(t.equity_snapshots), rows)


def curve(c: Connection, points: int) -> list[tuple[str, int]]:
    return [(p.at, p.equity_micro) for p in read_equity(c, "main", points)]


def test_a_figure_that_held_for_long_is_told_again_right_before_the_next(database: Engine) -> None:
    with database.begin() as c:
        valued(c, (0, 10), (1, 11), (2, 12), (62, 5), (63, 6))
        assert curve(c, 100) == [
            (iso(AT), 10), (iso(AT + MINUTE), 11), (iso(AT + 2 * MINUTE), 12),
            (iso(AT + 62 * MINUTE - SECOND), 12), (iso(AT + 62 * MINUTE), 5), (iso(AT + 63 * MINUTE), 6),
        ]  # fmt: skip


def test_of_many_figures_one_that_held_for_long_is_told_twice_and_points_are_no_more(database: Engine) -> None:
    with database.begin() as c:
        valued(c, *((n, n) for n in range(300)), *((n, n) for n in range(700, 1_001)))
        found = curve(c, 101)
        assert found[0] == (iso(AT), 0)
        assert found[-1] == (iso(AT + 1_000 * MINUTE), 1_000)
        assert len(found) <= 101
        held = [at for at, equity in found if equity == 299]
        assert held == [iso(AT + 299 * MINUTE), iso(AT + 690 * MINUTE)], (
            "level until the last instant before it changed"
        )
        assert [equity for _, equity in found] == sorted(equity for _, equity in found)


def test_from_an_instant_on_it_begins_with_what_was_worth_then(database: Engine) -> None:
    def since(minute: float, points: int = 100) -> list[tuple[str, int]]:
        at = round(AT + minute * MINUTE)
        return [(p.at, p.equity_micro) for p in read_equity(c, "main", points, since=at)]

    with database.begin() as c:
        valued(c, (0, 10), (1, 11), (62, 5), (63, 6))
        assert since(-5) == curve(c, 100)
        assert since(61.5)[:2] == [(iso(AT + 61 * MINUTE + 30 * SECOND), 11), (iso(AT + 62 * MINUTE), 5)]
        assert since(30) == [
            (iso(AT + 30 * MINUTE), 11), (iso(AT + 62 * MINUTE - SECOND), 11), (iso(AT + 62 * MINUTE), 5),
            (iso(AT + 63 * MINUTE), 6),
        ]  # fmt: skip
        assert since(90) == [(iso(AT + 90 * MINUTE), 6)]
        assert since(30, points=2)[0] == (iso(AT + 30 * MINUTE), 11)
