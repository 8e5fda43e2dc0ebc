"""Databases as earlier versions wrote them, one a revision of the tables: ``python -m tests.old_databases`` adds those
that are missing to ``tests/contract/fixtures/databases``, and changes none that is there.

Each is the SQL text of a small SQLite file: tables as the migrations of its day made them, and the rows of a seeded
story, reduced to what that version knew.
"""

from __future__ import annotations

import sqlite3
import warnings
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, MetaData, Table, create_engine, insert, select
from sqlalchemy.exc import SAWarning

from pilotfish.store import database
from pilotfish.store import tables as t
from pilotfish.store.backup import kept_tables
from pilotfish.store.database import snapshot
from pilotfish.store.interned import as_text
from tests.story import Story, play

FOLDER = Path(__file__).parent / "contract" / "fixtures" / "databases"
SEED = 3
ORDERS_FROM = "0007"
"""From here on decisions know their order."""
PACKED_FROM = "0013"
"""From here on traces and payloads are kept packed."""


def story() -> Story:
    """What is in each of them."""
    return play(SEED, minutes=2, deeds=14)


def old_database(path: Path, revision: str, told: Story) -> None:
    """Write a story into a file as the version of ``revision`` would have."""
    engine = database.open_database(f"sqlite:///{path}", migrate=False)
    with database.one_writer(engine) as c:
        database.migrate(c, revision)
        before = {table.name: table for table in kept_tables(c)} if revision >= PACKED_FROM else _as_declared(c)
        with snapshot(told.database) as now:
            for name, table in before.items():
                if name not in t.metadata.tables or name == t.worker_status.name:
                    continue
                known = t.metadata.tables[name]
                rows = [
                    dict(r._mapping)
                    for r in now.execute(select(known).order_by(*map(as_text, known.primary_key.columns)))
                ]
                reduced = [_reduced(name, row, revision, set(table.c.keys())) for row in rows]
                if reduced:
                    c.execute(insert(table), reduced)
    engine.dispose()


def _as_declared(c: Connection) -> dict[str, Table]:
    found = MetaData()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SAWarning)  # indexes on expressions
        found.reflect(c)
    return dict(found.tables)


def _reduced(name: str, row: dict[str, Any], revision: str, columns: set[str]) -> dict[str, Any]:
    if name == t.decisions.name and revision < ORDERS_FROM and row["reason"] == "SKIP_SAME_ORDER":
        row = {**row, "wanted_usdc_micro": 0}
    return {key: value for key, value in row.items() if key in columns}


def sql_of(path: Path) -> str:
    """A SQLite file as text."""
    with sqlite3.connect(path) as connection:
        return "\n".join(connection.iterdump()) + "\n"


def opened(text: str, path: Path) -> Engine:
    """A SQLite file from its text, as it was: nothing is brought up to date."""
    with sqlite3.connect(path) as connection:
        connection.executescript(text)
    connection.close()
    return create_engine(f"sqlite:///{path}")


def main() -> None:
    """Write those that are missing."""
    import tempfile

    told = story()
    FOLDER.mkdir(parents=True, exist_ok=True)
    for revision in database.revisions():
        target = FOLDER / f"{revision}.sql"
        if target.exists():
            continue
        with tempfile.TemporaryDirectory() as folder:
            old_database(Path(folder) / "old.db", revision, told)
            target.write_text(sql_of(Path(folder) / "old.db"))


if __name__ == "__main__":
    main()
