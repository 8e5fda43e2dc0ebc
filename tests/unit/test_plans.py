"""What a start, a look-up and a settled report ask is found by indexes, in a database as its migrations make it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, event, insert

from pilotfish.core.recall import Forgotten
from pilotfish.core.settings import Globals, policy_from
from pilotfish.core.units import SECOND
from pilotfish.store import recalled, report, restore
from pilotfish.store import tables as t
from pilotfish.store.views.portfolios import read_portfolios
from tests.fresh import fresh_database

AT = 1_800_000_000 * SECOND
GROWS = ("trades", "decisions", "intents", "fills", "ledger_entries", "equity_snapshots")
FORGOTTEN = Forgotten("0x1", "1", AT, ("0x2",), True)
ASKED: dict[str, Callable[[Connection], object]] = {
    "start": lambda c: restore.restored(c, {"main": policy_from({})}, Globals(), AT, keep=SECOND),
    "look-up": lambda c: recalled.past(c, ["main"], [FORGOTTEN], AT),
    "next stretch": report.next_stretch,
    "report of a period": lambda c: report.report(c, since=AT),
    "report on a leader": lambda c: report.report(c, leader="0x1"),
    "portfolios": read_portfolios,
}


@pytest.mark.parametrize("what", ASKED)
def test_nothing_is_gone_through_from_end_to_end(tmp_path: Path, what: str) -> None:
    database = fresh_database(tmp_path / "x.db")
    scans: list[str] = []
    asked = 0

    def explain(c: Connection, _cursor: object, statement: str, values: Any, *_: object) -> None:
        nonlocal asked
        if statement.startswith("SELECT"):
            asked += 1
            told = c.connection.cursor()
            told.execute("EXPLAIN QUERY PLAN " + statement, values)
            scans.extend(f"{row[3]}: {statement}" for row in told.fetchall() if whole(row[3]))

    with database.begin() as c:
        c.execute(insert(t.portfolios).values(name="main", bankroll_micro=1))
        event.listen(database, "before_cursor_execute", explain)
        ASKED[what](c)
    assert asked > 2
    assert scans == []
    database.dispose()


def whole(step: str) -> bool:
    """True for a step of a plan that goes through all rows of a table that grows; an index may hold few of them."""
    words = step.split()
    return words[0] == "SCAN" and words[1] in GROWS and "USING INDEX" not in step
