"""SQLite's log is put into its file while commits go on, and begins anew."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from sqlalchemy import Engine

from pilotfish.core.effects import Insert
from pilotfish.core.records import EntryRecord
from pilotfish.core.units import Micros, Usdc
from pilotfish.store.batch import write
from pilotfish.store.checkpoints import Checkpoints
from pilotfish.store.database import open_database

COMMITS = 400


def entries(number: int) -> list[Insert]:
    return [
        Insert(
            EntryRecord(
                id=10 * number + i, portfolio="main", at=Micros(1), kind="buy", amount_micro=Usdc(1), leader="l" * 40,
                token_id="1" * 70, fill_id=None,
            )
        )
        for i in range(10)
    ]  # fmt: skip


def committed(database: Engine, checkpoints: Checkpoints) -> int:
    """Many commits, each told; the size of the log after them."""
    for number in range(COMMITS):
        with database.begin() as c:
            write(c, [*entries(number)])
        checkpoints.committed(10)
        checkpoints.finish()
    return Path(f"{database.url.database}-wal").stat().st_size


def test_the_log_gets_into_the_file_beside_commits_and_begins_anew(tmp_path: Path) -> None:
    often = open_database(f"sqlite:///{tmp_path / 'often.db'}")
    never = open_database(f"sqlite:///{tmp_path / 'never.db'}")
    short = committed(often, Checkpoints(often, rows=20, seconds=0.0, long=100))
    long = committed(never, Checkpoints(never, rows=10**9))
    assert short < long / 2
    with sqlite3.connect(f"file:{tmp_path / 'often.db'}?mode=ro&immutable=1", uri=True) as alone:
        in_file = alone.execute("SELECT count(*) FROM ledger_entries").fetchone()[0]
    assert in_file > 10 * COMMITS / 2
    for database in (often, never):
        database.dispose()


def test_a_database_that_cannot_be_reached_costs_no_commit(tmp_path: Path) -> None:
    database = open_database(f"sqlite:///{tmp_path / 'there.db'}")
    gone = open_database(f"sqlite:///{tmp_path / 'gone' / 'x.db'}")
    gone.dispose()
    for file in (tmp_path / "gone").iterdir():
        file.unlink()
    (tmp_path / "gone").rmdir()
    checkpoints = Checkpoints(gone, rows=1, seconds=0.0)
    for number in range(3):
        with database.begin() as c:
            write(c, [*entries(number)])
        checkpoints.committed(10)
        checkpoints.finish()
    with database.connect() as c:
        assert c.exec_driver_sql("SELECT count(*) FROM ledger_entries").scalar() == 30
    database.dispose()
