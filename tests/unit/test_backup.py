"""A backup holds everything that the database holds, restores whole or not at all, and is no way out for secrets."""

from __future__ import annotations

import json
import re
import threading
import zipfile
from pathlib import Path
from typing import Any

import msgspec
import pytest
from sqlalchemy import Engine, func, insert, select, text, update
from typer.testing import CliRunner

from pilotfish.cli import app
from pilotfish.cli.benches.pages import fill_database
from pilotfish.store import archive, exports, settings_store
from pilotfish.store import tables as t
from pilotfish.store.archive import ArchiveError
from pilotfish.store.backup import backup, kept_tables
from pilotfish.store.database import open_database, snapshot
from pilotfish.store.listed import listed
from pilotfish.store.refill import refill
from tests.fresh import fresh_database
from tests.old_databases import FOLDER, opened, story

pytestmark = pytest.mark.slow

TOPIC = "ntfys://a-topic-that-nobody-may-know"


def everything(database: Engine) -> dict[str, Any]:
    """All exports, and the row that counts ids."""
    found: dict[str, Any]
    with snapshot(database) as c:
        found = {k: [msgspec.to_builtins(r) for r in exports.rows(c, k)] for k in exports.KINDS}
        found["ids"] = c.execute(select(t.worker_status).where(t.worker_status.c.name == "ids")).first()
    return found


def empty(tmp_path: Path, name: str = "new.db") -> Engine:
    return open_database(f"sqlite:///{tmp_path / name}", migrate=False)


def test_a_backup_restores_everything_into_an_empty_database(tmp_path: Path) -> None:
    told = story()
    made = backup(told.database, tmp_path / "x.pilotfish")
    new = empty(tmp_path)
    manifest, differences = refill(new, tmp_path / "x.pilotfish")
    assert (manifest, differences) == (made, [])
    assert everything(new) == everything(told.database)
    assert made.tables["trades"].rows == len(told.export("trades")) > 10
    again = backup(new, tmp_path / "y.pilotfish")
    assert again.tables == made.tables
    assert (tmp_path / "x.pilotfish").stat().st_mode & 0o077 == 0
    new.dispose()


def test_a_backup_is_of_one_instant_though_somebody_writes_meanwhile(tmp_path: Path) -> None:
    database = fresh_database(tmp_path / "a.db")
    fill_database(database, 3_000)
    stop = threading.Event()

    def write() -> None:
        n = 0
        while not stop.is_set():
            n += 1
            with database.begin() as c:  # one of each or none: a backup that saw half of it would be of two instants
                c.execute(insert(t.audit).values(at=n, by="w", deed="x", portfolio="", leader="", detail=""))
                c.execute(insert(t.commands).values(kind="w", payload={}, created_at=n, by="w"))

    writer = threading.Thread(target=write)
    writer.start()
    try:
        made = [backup(database, tmp_path / f"{n}.pilotfish") for n in range(3)]
    finally:
        stop.set()
        writer.join()
    for manifest in made:
        assert manifest.tables["audit"].rows == manifest.tables["commands"].rows
        assert manifest.tables["trades"].rows == 3_000
    with database.connect() as c:
        assert len(c.execute(select(t.audit.c.id)).all()) > 0
    database.dispose()


def test_what_is_nothing_is_nothing_again_and_not_the_word_null(tmp_path: Path) -> None:
    told = story().database
    with told.begin() as c:
        c.execute(insert(t.look_backs).values(
            wallet="0x1", name="", asked_at=1, by="x", days=3, values={}, state="waiting", attempts=0, stage="", done=0,
            of=0, requests=0, result=None,
        ))  # fmt: skip
    backup(told, tmp_path / "x.pilotfish")
    new = empty(tmp_path)
    refill(new, tmp_path / "x.pilotfish")
    with new.connect() as c:
        assert c.execute(text("SELECT count(*) FROM look_backs WHERE result IS NULL AND error IS NULL")).scalar() == 1
    new.dispose()


def test_a_database_that_is_not_empty_is_refused_unless_told(tmp_path: Path) -> None:
    told = story()
    backup(told.database, tmp_path / "x.pilotfish")
    other = fresh_database(tmp_path / "other.db")
    with other.begin() as c:
        c.execute(insert(t.leaders).values(wallet="0x1", label="", status="active", added_at=1, updated_at=1))
    before = everything(other)
    with pytest.raises(ArchiveError, match=r"is not empty \(1 row of leaders\).*--replace"):
        refill(other, tmp_path / "x.pilotfish")
    assert everything(other) == before
    refill(other, tmp_path / "x.pilotfish", replace=True)
    assert everything(other) == everything(told.database)
    other.dispose()


@pytest.mark.parametrize("how", ["cut", "changed", "short", "other", "newer", "newer format"])
def test_a_file_that_is_not_what_was_written_changes_nothing(tmp_path: Path, how: str) -> None:
    backup(story().database, tmp_path / "x.pilotfish")
    path = damaged(tmp_path / "x.pilotfish", how)
    new = fresh_database(tmp_path / "new.db")
    before = everything(new)
    with pytest.raises(ArchiveError) as refused:
        refill(new, path, replace=True)
    told = {"newer": "newer version", "newer format": "newer version", "other": "no backup", "cut": "cannot be read"}
    assert told.get(how, "damaged") in str(refused.value)
    assert everything(new) == before
    new.dispose()


def damaged(path: Path, how: str) -> Path:
    """A copy of a backup with something wrong with it."""
    made = path.with_suffix(f".{how.replace(' ', '-')}")
    if how == "cut":
        made.write_bytes(path.read_bytes()[:-500])
        return made
    with zipfile.ZipFile(path) as good, zipfile.ZipFile(made, "w") as bad:
        for name in good.namelist():
            data = good.read(name)
            if how == "changed" and name == "tables/trades.jsonl":
                data = data.replace(b"BUY", b"SEL", 1)
            elif how == "short" and name == "tables/fills.jsonl":
                data = b"\n".join(data.splitlines()[:-1]) + b"\n"
            elif name == archive.MANIFEST:
                if how == "other":
                    continue
                manifest = json.loads(data)
                if how == "newer":
                    manifest["revision"] = "9999"
                if how == "newer format":
                    manifest["format"] = 99
                data = json.dumps(manifest).encode()
            bad.writestr(name, data)
    return made


def test_secrets_are_not_in_a_backup_and_that_is_said(tmp_path: Path) -> None:
    database = fresh_database(tmp_path / "a.db")
    with database.begin() as c:
        settings_store.change(c, {"alert_urls": TOPIC, "fixed_usdc": 30}, at=1, by="x")
    manifest = backup(database, tmp_path / "x.pilotfish")
    assert manifest.left_out == ("alert_urls",)
    assert manifest.tables["settings"].rows == 1
    with zipfile.ZipFile(tmp_path / "x.pilotfish") as whole:
        assert not [name for name in whole.namelist() if TOPIC.encode() in whole.read(name)]
    database.dispose()


@pytest.mark.parametrize("revision", [path.stem for path in sorted(FOLDER.glob("*.sql"))])
def test_a_backup_of_an_older_version_restores_and_is_brought_up_to_date(tmp_path: Path, revision: str) -> None:
    old = opened((FOLDER / f"{revision}.sql").read_text(), tmp_path / "old.db")
    manifest = backup(old, tmp_path / "x.pilotfish")
    assert manifest.revision == revision
    old.dispose()
    new = empty(tmp_path)
    _, differences = refill(new, tmp_path / "x.pilotfish")
    assert differences == []
    upgraded = open_database(f"sqlite:///{tmp_path / 'old.db'}")
    assert everything(new) == everything(upgraded)
    new.dispose()
    upgraded.dispose()


def test_books_that_would_come_out_otherwise_are_not_put_in(tmp_path: Path) -> None:
    told = story()
    path = tmp_path / "x.pilotfish"
    backup(told.database, path)
    with zipfile.ZipFile(path) as good:
        parts = {name: good.read(name) for name in good.namelist()}
    rows = [json.loads(line) for line in parts["tables/ledger_entries.jsonl"].splitlines()][:-1]
    with archive.writing(path, replace=True) as out, archive.reading(_copy(tmp_path, parts)) as old:
        for name, dumped in old.manifest.tables.items():
            out.add(name, dumped.columns, rows if name == "ledger_entries" else old.rows(name))
        about = msgspec.to_builtins(old.manifest)
        out.close(**{key: value for key, value in about.items() if key not in ("format", "tables")})
    new = empty(tmp_path)
    with pytest.raises(ArchiveError, match=r"the books would differ from what they were: .*; .*; .* and \d+ more$"):
        refill(new, path)
    new.dispose()


def test_a_refusal_names_whole_tables_and_counts_those_beyond(tmp_path: Path) -> None:
    told = story()
    backup(told.database, tmp_path / "x.pilotfish")
    with pytest.raises(ArchiveError) as refused:
        refill(told.database, tmp_path / "x.pilotfish")
    (inside,) = re.findall(r"is not empty \((.*)\); restore", str(refused.value))
    items, more = re.fullmatch(r"(.*) and (\d+) more", inside).groups()  # type: ignore[union-attr]
    assert all(re.fullmatch(r"[\d,]+ rows? of [a-z_]+", item) for item in items.split(", "))
    with told.database.connect() as c:
        filled = [table for table in kept_tables(c) if c.execute(select(func.count()).select_from(table)).scalar()]
    assert int(more) + len(items.split(", ")) == len(filled) - 1, "the worker's own row is not told of"


@pytest.mark.parametrize(
    ("many", "shown"), [(0, ""), (2, "i0; i1"), (3, "i0; i1; i2"), (1_500, "i0; i1; i2 and 1,497 more")]
)
def test_a_list_is_cut_between_its_items(many: int, shown: str) -> None:
    assert listed([f"i{n}" for n in range(many)], 3, "; ") == shown


def _copy(tmp_path: Path, parts: dict[str, bytes]) -> Path:
    path = tmp_path / "copy.pilotfish"
    with zipfile.ZipFile(path, "w") as out:
        for name, data in parts.items():
            out.writestr(name, data)
    return path


def test_what_cannot_be_written_leaves_nothing_behind(tmp_path: Path) -> None:
    database = story().database
    (tmp_path / "x.pilotfish").write_text("mine")
    with pytest.raises(ArchiveError, match="is there already"):
        backup(database, tmp_path / "x.pilotfish")
    with pytest.raises(ArchiveError, match="cannot be written"):
        backup(database, tmp_path / "nowhere" / "x.pilotfish")
    assert [p.name for p in tmp_path.iterdir()] == ["x.pilotfish"]
    assert (tmp_path / "x.pilotfish").read_text() == "mine"


def test_a_row_that_cannot_be_read_is_backed_up_all_the_same(tmp_path: Path) -> None:
    database = story().database
    with database.begin() as c:
        c.execute(update(t.fills).values(side="NONE"))
    manifest = backup(database, tmp_path / "x.pilotfish")
    assert manifest.differing == 1
    new = empty(tmp_path)
    _, differences = refill(new, tmp_path / "x.pilotfish")
    assert "cannot be read" in differences[0]
    new.dispose()


def test_the_commands_say_what_they_did(tmp_path: Path) -> None:
    env = {"DATABASE_URL": f"sqlite:///{tmp_path / 'a.db'}"}
    file = str(tmp_path / "x.pilotfish")
    nothing = CliRunner().invoke(app, ["backup", file], env=env)
    assert nothing.exit_code == 1
    database = open_database(env["DATABASE_URL"])
    with database.begin() as c:
        settings_store.change(c, {"alert_urls": TOPIC}, at=1, by="x")
        c.execute(insert(t.leaders).values(wallet="0x1", label="", status="active", added_at=1, updated_at=1))
    database.dispose()
    done = CliRunner().invoke(app, ["backup", file], env=env)
    assert done.exit_code == 0, done.output
    assert "1 leader, 0 trades" in done.output
    assert "secrets are not in it: alert_urls" in done.output
    other = {"DATABASE_URL": f"sqlite:///{tmp_path / 'b.db'}"}
    restored = CliRunner().invoke(app, ["restore", file, "--json"], env=other)
    assert restored.exit_code == 0, restored.output
    assert json.loads(restored.stdout)["verify"] == "ok"
    assert json.loads(restored.stdout)["rows"]["leaders"] == 1
    assert CliRunner().invoke(app, ["restore", file], env=other).exit_code == 1
    assert CliRunner().invoke(app, ["restore", file, "--replace"], env=other).exit_code == 0
