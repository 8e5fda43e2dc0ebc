"""``backup`` and ``restore``: everything that is kept, in one file, from one database to another."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import typer
from sqlalchemy import Engine, inspect
from sqlalchemy.exc import SQLAlchemyError

from pilotfish.app.config import process_value
from pilotfish.app.lease import Lease
from pilotfish.cli import session
from pilotfish.cli.printed import say
from pilotfish.core.numerals import plural
from pilotfish.store import tables, unwritable
from pilotfish.store.archive import Manifest, reading
from pilotfish.store.backup import backup as write_backup
from pilotfish.store.database import (
    DatabaseError,
    nothing_recorded,
    open_database,
    open_to_read,
    shown,
)  # fmt: skip
from pilotfish.store.listed import listed
from pilotfish.store.outage import is_outage
from pilotfish.store.refill import refill

_FILE = typer.Argument(metavar="FILE", help="The file.")
NOT_IN_IT = "The journal, pulled history and recorded books are files beside the database; copy their folders as well."
SHOWN = 3
"""Differences that are named."""


def backup(
    file: Path = _FILE,
    replace: bool = typer.Option(False, "--replace", help="Write over a file that is there."),
    as_json: bool = typer.Option(False, "--json", help="Print JSON."),
) -> None:
    """Write everything that the database holds into a file, while a worker runs or not. Secrets are left out; the same
    file restores into SQLite and PostgreSQL."""
    env = session.begin()
    configured = process_value(env, "database_url")
    database = open_to_read(configured, older=True)
    if database is None:
        raise session.NothingRecordedError(nothing_recorded(configured))
    manifest = write_backup(session.opened(database), file, replace=replace)
    if as_json:
        session.print_json({"file": str(file), "bytes": file.stat().st_size, **_figures(manifest)})
        return
    say(f"{file}: {_told(manifest)}, {file.stat().st_size / 2**20:.1f} MiB")
    if manifest.differing:
        first = listed(manifest.differences, SHOWN, "; ", of=manifest.differing)
        say(f"note: verify finds {plural(manifest.differing, 'difference')}: {first}")
    if manifest.left_out:
        say(f"note: secrets are not in it: {', '.join(manifest.left_out)}")
    say(NOT_IN_IT)


def restore(
    file: Path = _FILE,
    replace: bool = typer.Option(False, "--replace", help="Take away what the database holds first."),
    as_json: bool = typer.Option(False, "--json", help="Print JSON."),
) -> None:
    """Put a backup into an empty database and verify it; nothing changes unless all of it is there and right. Exit code
    0 if the books agree."""
    env = session.begin()
    with reading(file):
        pass  # a file that is no backup makes no database
    database = session.opened(open_database(process_value(env, "database_url"), migrate=False))
    try:
        with _alone(database):
            manifest, differences = refill(database, file, replace=replace)
    except SQLAlchemyError as problem:
        if not is_outage(problem):
            raise
        why = unwritable.why(database.url) or f"{str(problem).splitlines()[0][:200]}. Look at the server or the disk"
        raise DatabaseError(f"nothing was restored into {shown(database.url)}: {why}, then do it again.") from None
    if as_json:
        session.print_json({"verify": differences or "ok", "database": shown(database.url), **_figures(manifest)})
    else:
        say(f"{shown(database.url)} holds what {file} held: {_told(manifest)}")
        for line in differences or ["ok: identities, decisions, positions, cash and holdings agree"]:
            say(line)
        if manifest.left_out:
            say(f"note: secrets are not in it; set them again: {', '.join(manifest.left_out)}")
    raise typer.Exit(1 if differences else 0)


@contextlib.contextmanager
def _alone(database: Engine) -> Iterator[None]:
    """While no worker runs on the database, and none starts."""
    with database.connect() as c:
        used = inspect(c).has_table(tables.worker_status.name)
    if not used:
        yield
        return
    lease = Lease(database)
    lease.take()
    try:
        yield
    finally:
        lease.release()


def _figures(manifest: Manifest) -> dict[str, object]:
    return {
        "rows": {name: dumped.rows for name, dumped in manifest.tables.items()},
        "revision": manifest.revision,
        "made_at": manifest.made_at,
        "left_out": manifest.left_out,
        "differing": manifest.differing,
    }


def _told(manifest: Manifest) -> str:
    rows = {name: dumped.rows for name, dumped in manifest.tables.items()}
    parts = [
        plural(rows.get(name, 0), word)
        for name, word in (("leaders", "leader"), ("trades", "trade"), ("fills", "fill"))
    ]
    return f"{', '.join(parts)} and {plural(sum(rows.values()), 'row')} in all, of {manifest.made_at}"
