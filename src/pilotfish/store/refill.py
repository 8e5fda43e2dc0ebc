"""A backup into a database: all of it in one transaction, checked before it counts, or nothing."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from sqlalchemy import Connection, Engine, LargeBinary, func, insert, inspect, select, text
from sqlalchemy.exc import SQLAlchemyError

from pilotfish.core.numerals import plural
from pilotfish.store import archive
from pilotfish.store.archive import Archive, ArchiveError, Manifest
from pilotfish.store.backup import checked, kept_tables
from pilotfish.store.database import HEAD, migrate, one_writer, revisions, shown
from pilotfish.store.listed import listed
from pilotfish.store.numbers import numbers_of
from pilotfish.store.outage import is_outage
from pilotfish.store.tables import names, worker_status

VERSION = "alembic_version"
"""The table that says of which revision the others are."""
BATCH = 1_000
"""Rows written at a time."""
MOST_TOLD = 6
"""Tables that a refusal names."""
MOST_NEW = 3
"""New differences that a refusal names."""


def refill(database: Engine, path: Path, *, replace: bool = False) -> tuple[Manifest, list[str]]:
    """Put a backup into ``database``, bring its tables up to date and recompute the books; gives what it was, and what
    ``verify`` finds.

    Raises :class:`~pilotfish.store.archive.ArchiveError`, and changes nothing then: where the database holds rows
    already (unless ``replace``, which drops them), the backup is damaged or of a newer version, or the books differ
    from what they were when it was made.
    """
    with archive.reading(path) as found:
        manifest = found.manifest
        if manifest.revision not in revisions():
            if manifest.revision <= HEAD:
                raise ArchiveError(f"{path} is damaged: there is no revision {manifest.revision[:20]!r}")
            raise ArchiveError(
                f"{path} was written by a newer version of pilotfish (revision {manifest.revision[:20]}; this one knows"
                f" {HEAD}); use that version"
            )
        with one_writer(database) as c:
            _make_room(c, replace=replace)
            migrate(c, manifest.revision)
            _fill(c, found)
            migrate(c)
            differences = checked(c)
            if manifest.differs(differences):
                new = [d for d in differences if d not in manifest.differences]
                raise ArchiveError(f"{path}: the books would differ from what they were: {listed(new, MOST_NEW, '; ')}")
    return manifest, differences


def _make_room(c: Connection, *, replace: bool) -> None:
    """Take the tables away; raises :class:`ArchiveError` if somebody's rows are in them."""
    there = kept_tables(c)
    rows = {t.name: int(c.execute(select(func.count()).select_from(t)).scalar_one()) for t in there}
    rows.pop(worker_status.name, None)
    held = {name: n for name, n in rows.items() if n}
    if held and not replace:
        told = listed([plural(n, "row") + f" of {name}" for name, n in held.items()], MOST_TOLD)
        raise ArchiveError(
            f"{shown(c.engine.url)} is not empty ({told}); restore into an empty database (DATABASE_URL), or say"
            " --replace, which takes away what is there"
        )
    for table in (*there, names):
        table.drop(c, checkfirst=True)
    numbers_of(c.engine).forget_all()
    if inspect(c).has_table(VERSION):
        c.execute(text(f"DROP TABLE {VERSION}"))


def _fill(c: Connection, found: Archive) -> None:
    tables = {t.name: t for t in kept_tables(c)}
    for name, dumped in found.manifest.tables.items():
        table = tables.get(name)
        if table is None or not set(dumped.columns) <= set(table.c.keys()):
            raise ArchiveError(
                f"the backup holds {name[:60]!r} in a shape that revision {found.manifest.revision} has not"
            )
        binary = [n for n, column in enumerate(dumped.columns) if isinstance(table.c[column].type, LargeBinary)]
        rows = (dict(zip(dumped.columns, _bytes_in(row, binary), strict=True)) for row in found.rows(name))
        try:
            for some in _batches(rows):
                c.execute(insert(table), some)
        except (SQLAlchemyError, ValueError) as problem:
            if is_outage(problem):
                raise  # it says nothing of the backup
            told = str(problem).splitlines()[0][:200]
            raise ArchiveError(f"the rows of {name} cannot be taken in ({told}): the backup is damaged") from None
        if c.dialect.name == "postgresql" and "id" in table.c:
            c.execute(_COUNT_ON.bindparams(name=name), {"last": c.execute(select(func.max(table.c.id))).scalar()})


_COUNT_ON = text(
    "SELECT setval(pg_get_serial_sequence(:name, 'id'), :last)"
    " WHERE pg_get_serial_sequence(:name, 'id') IS NOT NULL AND CAST(:last AS bigint) IS NOT NULL"
)
"""PostgreSQL gives ids from a counter of its own, which rows that bring theirs do not move."""


def _bytes_in(row: list[object], places: list[int]) -> list[object]:
    """A row whose bytes are bytes again: JSON has them as base64."""
    for n in places:
        row[n] = None if row[n] is None else b64decode(str(row[n]), validate=True)
    return row


def _batches(rows: Iterator[dict[str, object]]) -> Iterator[list[dict[str, object]]]:
    while some := list(islice(rows, BATCH)):
        yield some
