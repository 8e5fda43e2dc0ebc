"""Databases of every earlier version are brought up to date, whatever was in them."""

from __future__ import annotations

import os
import socket
import sqlite3
import time
from pathlib import Path

import msgspec
import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, Engine, insert, inspect, select, text
from structlog.testing import capture_logs

from pilotfish.store import database as store
from pilotfish.store import exports, holders
from pilotfish.store import tables as t
from pilotfish.store.backup import kept_tables
from pilotfish.store.database import DatabaseError, open_database, open_to_read, snapshot
from pilotfish.store.verify import verify
from tests.old_databases import FOLDER, ORDERS_FROM, opened, story

KEPT = [path.stem for path in sorted(FOLDER.glob("*.sql"))]
OF_OTHERS = {"decisions", "report", "equity", "fills"}
"""Exports that say more today than what earlier versions wrote down."""


def test_a_database_is_kept_of_every_version_before_this_one() -> None:
    assert set(store.revisions()) - set(KEPT) <= {store.HEAD}  # that of HEAD may change until it is given out
    assert len(KEPT) >= 11


@pytest.mark.slow
@pytest.mark.parametrize("revision", KEPT)
def test_a_database_of_every_version_is_taken_over_with_its_books_right(tmp_path: Path, revision: str) -> None:
    opened((FOLDER / f"{revision}.sql").read_text(), tmp_path / "old.db").dispose()
    database, told = open_database(f"sqlite:///{tmp_path / 'old.db'}"), story()
    with snapshot(database) as c:
        assert verify(c) == []
        found = {kind: [msgspec.to_builtins(row) for row in exports.rows(c, kind)] for kind in exports.KINDS}
    for kind, rows in found.items():
        if revision >= ORDERS_FROM or kind not in OF_OTHERS:
            assert rows == told.export(kind), kind
        assert len(rows) == len(told.export(kind)), kind
    database.dispose()


def test_whoever_waits_for_a_database_to_be_brought_up_to_date_is_told(tmp_path: Path) -> None:
    opened((FOLDER / f"{KEPT[0]}.sql").read_text(), tmp_path / "old.db").dispose()
    for said in (2, 0):
        with capture_logs() as lines:
            open_database(f"sqlite:///{tmp_path / 'old.db'}").dispose()
        told = [line for line in lines if "up to date" in line["event"]]
        assert len(told) == said
        if told:
            assert (told[0]["revision"], told[0]["to"]) == (KEPT[0], store.HEAD)
            assert told[0]["free"].endswith(" MB")
    with capture_logs() as lines:
        open_database(f"sqlite:///{tmp_path / 'new.db'}").dispose()
    assert lines == [], "a new one has nothing to be waited for"


@pytest.mark.filterwarnings("ignore:Skipped unsupported reflection of expression-based index")
@pytest.mark.slow
@pytest.mark.parametrize("revision", KEPT)
def test_a_migration_that_was_given_out_makes_what_it_made_then(tmp_path: Path, revision: str) -> None:
    kept = opened((FOLDER / f"{revision}.sql").read_text(), tmp_path / "old.db")
    made = open_database(f"sqlite:///{tmp_path / 'new.db'}", migrate=False)
    with store.one_writer(made) as c:
        store.migrate(c, revision)
    assert shape(kept) == shape(made)
    kept.dispose()
    made.dispose()


def shape(database: Engine) -> dict[str, tuple[list[tuple[str, str, bool]], list[str]]]:
    """Columns and indexes of every table."""
    found = inspect(database)
    return {
        table: (
            [(str(c["name"]), str(c["type"]), bool(c["nullable"])) for c in found.get_columns(table)],
            sorted(str(i["name"]) for i in found.get_indexes(table)),
        )
        for table in found.get_table_names()
    }


def test_a_newer_database_is_refused_by_name(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'x.db'}"
    database = open_database(url)
    with database.begin() as c:
        c.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    database.dispose()
    for opening in (open_database, open_to_read):
        with pytest.raises(DatabaseError, match=r"x\.db was written by a newer version .* \(revision 9999"):
            opening(url)


def test_a_python_with_too_old_a_sqlite_is_told_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    url = f"sqlite:///{tmp_path / 'x.db'}"
    open_database(url).dispose()
    monkeypatch.setattr(sqlite3, "sqlite_version_info", (3, 31, 1))
    monkeypatch.setattr(sqlite3, "sqlite_version", "3.31.1")
    for opening in (open_database, open_to_read):
        with pytest.raises(DatabaseError, match=r"this Python has SQLite 3\.31\.1, and 3\.33 or newer is needed"):
            opening(url)


@pytest.mark.parametrize("revision", ["0015", "0016"])
def test_a_step_back_and_forth_leaves_every_row_as_it_was(tmp_path: Path, revision: str) -> None:
    database = opened((FOLDER / f"{revision}.sql").read_text(), tmp_path / "old.db")
    with database.connect() as c:
        before = rows_of(c)
    store.upgrade(database)
    with database.connect() as c:
        assert rows_of(c) == before
    stepped_back(database, "0015")
    with database.connect() as c:
        assert rows_of(c) == before
        hashes = c.execute(text("SELECT typeof(tx_hash), typeof(leader), typeof(side) FROM trades LIMIT 1")).one()
        assert tuple(hashes) == ("text", "text", "text")
    store.upgrade(database)
    with database.connect() as c:
        assert rows_of(c) == before
        assert verify(c) == []
    database.dispose()


def stepped_back(database: Engine, revision: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(store.__file__).parent / "migrations"))
    with store.one_writer(database) as c:
        config.attributes["connection"] = c
        command.downgrade(config, revision)


def rows_of(c: Connection) -> dict[str, list[dict[str, object]]]:
    """All rows of all tables, by the texts that they say."""
    found = {}
    for table in kept_tables(c):
        rows = [dict(row._mapping) for row in c.execute(select(table))]
        found[table.name] = sorted(rows, key=lambda row: str(sorted(row.items(), key=lambda pair: pair[0])))
    return found


@pytest.mark.parametrize("revision", [KEPT[0], KEPT[-2], KEPT[-1]])
def test_views_and_triggers_that_somebody_made_are_no_obstacle_and_stay(tmp_path: Path, revision: str) -> None:
    made = opened((FOLDER / f"{revision}.sql").read_text(), tmp_path / "old.db")
    with made.begin() as c:
        c.exec_driver_sql("CREATE VIEW mine AS SELECT count(*) AS n FROM trades")
        c.exec_driver_sql("CREATE TABLE seen (id)")
        c.exec_driver_sql("CREATE TRIGGER told AFTER INSERT ON fills BEGIN INSERT INTO seen SELECT new.id; END")
        before = c.exec_driver_sql("SELECT n FROM mine").scalar_one()
        assert before > 0
    made.dispose()
    database = open_database(f"sqlite:///{tmp_path / 'old.db'}")
    with database.begin() as c:
        assert c.exec_driver_sql("SELECT n FROM mine").scalar_one() == before
        if revision >= KEPT[-2]:
            fill = c.execute(select(t.fills)).first()
            assert fill is not None
            c.execute(insert(t.fills).values({**fill._mapping, "id": 987_654}))
            assert c.exec_driver_sql("SELECT id FROM seen").scalars().all() == [987_654]
    database.dispose()


@pytest.mark.parametrize("lives", [True, False])
def test_a_database_that_an_older_versions_worker_writes_to_is_left_as_it_is(tmp_path: Path, *, lives: bool) -> None:
    made = opened((FOLDER / f"{KEPT[-2]}.sql").read_text(), tmp_path / "old.db")
    owner = {"host": socket.gethostname(), "pid": os.getpid() if lives else 2**22 + 1, "started": None, "token": "x"}
    with made.begin() as c:
        c.execute(insert(t.worker_status).values(name=holders.WORKER, at=1, data=owner))
    if lives:
        with pytest.raises(
            DatabaseError, match=rf"an older version .* worker runs \(process {os.getpid()} on .*stop it"
        ):
            open_database(f"sqlite:///{tmp_path / 'old.db'}")
    else:
        open_database(f"sqlite:///{tmp_path / 'old.db'}").dispose()
    with made.connect() as c:
        assert store.revision_of(c) == (KEPT[-2] if lives else store.HEAD)
    made.dispose()


@pytest.mark.parametrize(("away", "lives"), [(1, True), (60, False)])
def test_of_a_worker_on_another_machine_the_age_of_its_last_sign_tells(away: int, *, lives: bool) -> None:
    at = time.time_ns() // 1000 - away * 1_000_000
    assert holders.lives({"host": "elsewhere", "pid": 1}, at) is lives
