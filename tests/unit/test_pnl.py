"""Profit by day, week and month adds up to the profit, whenever it is asked for."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine, delete, insert

from pilotfish.store import tables as t
from pilotfish.store.views.pnl import DAY, Period, read_pnl
from tests.fresh import fresh_database

BANKROLL = 10_000_000_000
START = int(datetime(2026, 2, 27, 22, tzinfo=UTC).timestamp()) * 1_000_000
HOUR = DAY // 24


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    made = fresh_database(tmp_path_factory.mktemp("pnl") / "x.db")
    with made.begin() as c:
        c.execute(insert(t.portfolios).values(name="main", bankroll_micro=BANKROLL, created_at=START))
    yield made
    made.dispose()


def worth(database: Engine, figures: list[tuple[int, int]]) -> None:
    """The portfolio was worth so much at so many hours from its start."""
    with database.begin() as c:
        c.execute(delete(t.equity_snapshots))
        for hours, equity in figures:
            c.execute(
                insert(t.equity_snapshots).values(
                    portfolio="main", at=START + hours * HOUR, equity_micro=equity, cash_micro=equity,
                    positions_value_micro=0, cost_micro=0, realized_pnl_micro=0, unrealized_pnl_micro=0, fees_micro=0,
                    open_positions=0,
                )
            )  # fmt: skip


def made(database: Engine, period: Period, hours: int) -> list[tuple[str, int]]:
    with database.connect() as c:
        return [(row.begins, row.pnl_micro) for row in read_pnl(c, "main", period, START + hours * HOUR)]


def test_each_day_is_measured_against_the_end_of_the_day_before(database: Engine) -> None:
    worth(database, [(1, BANKROLL + 5), (3, BANKROLL + 7), (30, BANKROLL - 1)])
    assert made(database, Period.DAY, 51) == [
        ("2026-02-27", 5), ("2026-02-28", 2), ("2026-03-01", -8), ("2026-03-02", 0),
    ]  # fmt: skip
    assert made(database, Period.MONTH, 51) == [("2026-02-01", 7), ("2026-03-01", -8)]
    assert made(database, Period.WEEK, 51) == [("2026-02-23", -1), ("2026-03-02", 0)]


def test_a_portfolio_that_was_never_valued_has_made_nothing(database: Engine) -> None:
    worth(database, [])
    assert made(database, Period.DAY, 1) == [("2026-02-27", 0)]
    with database.connect() as c:
        assert read_pnl(c, "nobody", Period.DAY, START) == []


@given(
    st.lists(st.tuples(st.integers(0, 24 * 500), st.integers(0, 2 * BANKROLL)), max_size=20),
    st.integers(0, 24 * 30),
    st.sampled_from(Period),
)
def test_periods_add_up_to_what_was_won_or_lost(
    database: Engine, figures: list[tuple[int, int]], after: int, period: Period
) -> None:
    figures.sort(key=lambda pair: pair[0])
    worth(database, figures)
    last = figures[-1] if figures else (0, BANKROLL)
    rows = made(database, period, last[0] + after)
    if last[0] + after < 24 * 399:
        assert sum(pnl for _, pnl in rows) == last[1] - BANKROLL
    assert [begins for begins, _ in rows] == sorted({begins for begins, _ in rows})


@pytest.mark.parametrize(
    ("began", "days"),
    [
        (datetime(2028, 2, 28, 12, tzinfo=UTC), ["2028-02-28", "2028-02-29", "2028-03-01"]),
        (datetime(2026, 2, 28, 12, tzinfo=UTC), ["2026-02-28", "2026-03-01", "2026-03-02"]),
        (datetime(2026, 3, 28, 12, tzinfo=UTC), ["2026-03-28", "2026-03-29", "2026-03-30"]),
        (datetime(2026, 10, 24, 12, tzinfo=UTC), ["2026-10-24", "2026-10-25", "2026-10-26"]),
    ],
)
@pytest.mark.parametrize("zone", ["UTC", "America/New_York", "Europe/Berlin"])
def test_days_are_of_utc_with_24_hours_each_over_leap_days_and_changes_of_the_clock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, began: datetime, days: list[str], zone: str
) -> None:
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    start = int(began.timestamp()) * 1_000_000
    database = fresh_database(tmp_path / "x.db")
    with database.begin() as c:
        c.execute(insert(t.portfolios).values(name="main", bankroll_micro=BANKROLL, created_at=start))
        for hours, gain in ((1, 1), (11, 2), (12, 10), (35, 20), (36, 100), (40, 200)):
            c.execute(
                insert(t.equity_snapshots).values(
                    portfolio="main", at=start + hours * HOUR, equity_micro=BANKROLL + gain, cash_micro=BANKROLL,
                    positions_value_micro=0, cost_micro=0, realized_pnl_micro=0, unrealized_pnl_micro=0, fees_micro=0,
                    open_positions=0,
                )
            )  # fmt: skip
        rows = read_pnl(c, "main", Period.DAY, start + 41 * HOUR)
    database.dispose()
    monkeypatch.undo()
    time.tzset()
    assert [(row.begins, row.pnl_micro) for row in rows] == list(zip(days, (2, 18, 180), strict=True))
