"""Commands that read change nothing: no database where there is none, none brought up to date, none written to."""

from __future__ import annotations

import json
import shutil
import sqlite3
from pathlib import Path

import pytest

from pilotfish.cli import session
from pilotfish.core.settings import ALL
from pilotfish.store.database import DatabaseError, open_database, open_to_read
from tests.rig import WALLET, Pilot

LISTS = (("report",), ("trades",), ("positions", "list"), ("leaders", "list"), ("portfolio", "list"))
SHOWN = (
    *LISTS, ("latency",), ("verify",),
)  # fmt: skip


@pytest.fixture
def nowhere(tmp_path: Path) -> Pilot:
    """A pilot whose database has neither file nor folder."""
    pilot = Pilot(tmp_path, {})
    pilot.environment["DATABASE_URL"] = f"sqlite:///{tmp_path / 'no' / 'folder' / 'x.db'}"
    return pilot


def test_reading_commands_say_that_nothing_is_recorded_and_leave_nothing_behind(nowhere: Pilot) -> None:
    for command in SHOWN:
        assert "Nothing has been recorded yet" in nowhere.cli(*command), command
    assert "Nothing has been recorded yet" in nowhere.cli("status", code=1)
    assert "Nothing has been recorded yet" in nowhere.cli("leaders", "show", WALLET, code=1)
    for command in LISTS:
        assert json.loads(nowhere.cli(*command, "--json")) == [], command
    for kind in ("trades", "positions", "report", "equity"):
        assert nowhere.export(kind) == []
    assert json.loads(nowhere.cli("verify", "--json")) == {"verify": "ok"}
    assert json.loads(nowhere.cli("latency", "--json"))["seen_by_both"] == 0
    status = json.loads(nowhere.cli("status", "--json", code=1))
    assert (status["running"], status["worker"], status["leaders"]) == (False, None, [])
    rows = json.loads(nowhere.cli("settings", "list", "--json"))
    assert {row["name"] for row in rows} == {setting.name for setting in ALL}
    assert nowhere.cli("settings", "get", "fixed_usdc") == "25\n"
    assert "nothing has been recorded yet" in nowhere.cli("doctor", "--json", code=None).lower()
    assert list(nowhere.folder.iterdir()) == []


def test_changing_what_cannot_be_there_makes_no_database_either(nowhere: Pilot) -> None:
    for command in (
        ("leaders", "remove", WALLET), ("leaders", "pause", WALLET), ("leaders", "add", "0x12"),
        ("portfolio", "archive", "x"), ("portfolio", "follow", "x", "--all"), ("portfolio", "reset", "x", "--yes"),
        ("reset", "--yes"), ("positions", "close", "main", "--yes"), ("settings", "unset", "fixed_usdc"),
        ("settings", "set", "fixed_usd", "5"), ("settings", "set", "fixed_usdc", "lots"),
        ("settings", "set", "fixed_usdc", "5", "--portfolio", "x"),
    ):  # fmt: skip
        nowhere.cli(*command, code=1)
    assert list(nowhere.folder.iterdir()) == []
    nowhere.cli("settings", "set", "fixed_usdc", "5")
    assert nowhere.cli("settings", "get", "fixed_usdc") == "5\n", "what is new makes the database"


def test_an_empty_file_is_left_as_it_is(tmp_path: Path) -> None:
    pilot = Pilot(tmp_path, {})
    (tmp_path / "pilotfish.db").touch()
    assert json.loads(pilot.cli("leaders", "list", "--json")) == []
    assert [(f.name, f.stat().st_size) for f in tmp_path.iterdir()] == [("pilotfish.db", 0)]


@pytest.mark.parametrize(
    "command", ["leaders list", "status --json", "verify", "leaders add " + WALLET, "doctor --json"]
)
def test_a_file_that_is_none_of_ours_is_refused_by_name_and_left_alone(tmp_path: Path, command: str) -> None:
    pilot = Pilot(tmp_path, {})
    path = tmp_path / "pilotfish.db"
    newer = open_database(pilot.environment["DATABASE_URL"])
    with newer.begin() as c:
        c.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    newer.dispose()
    for name, told in (("newer", "newer version"), ("foreign", "another program"), ("corrupt", "cannot open")):
        if name == "foreign":
            path.unlink()
            with sqlite3.connect(path) as other:
                other.execute("CREATE TABLE songs (title TEXT)")
            other.close()
        if name == "corrupt":
            path.write_bytes(b"not a database at all, whatever its name says " * 50)
        before = path.read_bytes()
        with pytest.raises(DatabaseError, match=told) as refused:
            open_to_read(pilot.environment["DATABASE_URL"])
        assert str(path) in str(refused.value)
        shown = pilot.cli(*command.split(), code=1)
        assert ("doctor" not in command) or told in shown
        assert path.read_bytes() == before, name


def test_an_older_database_is_named_by_reading_and_brought_up_to_date_by_writing(tmp_path: Path) -> None:
    pilot = Pilot(tmp_path, {})
    made = open_database(pilot.environment["DATABASE_URL"])
    with made.begin() as c:
        c.exec_driver_sql("UPDATE alembic_version SET version_num = '0000'")
    made.dispose()
    with pytest.raises(DatabaseError, match="older version"):
        open_to_read(pilot.environment["DATABASE_URL"])
    pilot.cli("leaders", "list", code=1)


def test_reading_opens_a_file_that_nobody_may_write(tmp_path: Path) -> None:
    """As on a read-only disk: nothing but the file itself is there, and it is never written to."""
    pilot = Pilot(tmp_path, {})
    pilot.cli("leaders", "add", WALLET)
    database = session.database({"database_url": pilot.environment["DATABASE_URL"]})
    with database.connect() as c:
        c.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    database.dispose()
    other = tmp_path / "disk"
    other.mkdir()
    shutil.copy(tmp_path / "pilotfish.db", other / "pilotfish.db")
    pilot.environment["DATABASE_URL"] = f"sqlite:///{other / 'pilotfish.db'}"
    before = (other / "pilotfish.db").read_bytes()
    (other / "pilotfish.db").chmod(0o444)
    other.chmod(0o555)
    try:
        assert [row["wallet"] for row in json.loads(pilot.cli("leaders", "list", "--json"))] == [WALLET]
    finally:
        other.chmod(0o755)
    assert (other / "pilotfish.db").read_bytes() == before


def test_nothing_can_be_written_on_what_was_opened_to_read(tmp_path: Path) -> None:
    pilot = Pilot(tmp_path, {})
    pilot.cli("leaders", "add", WALLET)
    engine = open_to_read(pilot.environment["DATABASE_URL"])
    assert engine is not None
    with engine.connect() as c, pytest.raises(Exception, match="readonly"):
        c.exec_driver_sql("DELETE FROM leaders")
    engine.dispose()
