"""A backup of a database while it is used: all tables as they were at one instant, without secrets."""

from __future__ import annotations

import warnings
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import JSON, Column, Connection, Engine, LargeBinary, MetaData, Select, Table, select
from sqlalchemy.exc import SAWarning
from sqlalchemy.types import TypeEngine

from pilotfish import __version__
from pilotfish.core.settings import ALL, Kind
from pilotfish.store import archive, tables
from pilotfish.store.archive import Manifest
from pilotfish.store.database import HEAD, revision_of, snapshot
from pilotfish.store.interned import Code, Hex, Name, as_text
from pilotfish.store.mapping import UnreadableRowError
from pilotfish.store.packed import Trace
from pilotfish.store.payloads import PayloadAlone
from pilotfish.store.verify import verify

IDS = "ids"
"""The one row of ``worker_status`` that is no state of a process: which ids were given."""
SECRETS = tuple(s.name for s in ALL if s.kind is Kind.SECRET)
STREAMED = 1_000
"""Rows fetched at a time."""


def backup(database: Engine, path: Path, *, replace: bool = False) -> Manifest:
    """Write everything that is kept into a file; whoever writes to the database meanwhile is not held up.

    Tables of an older version are taken as they are: restoring brings them up to date. What is not in it: secrets, what
    processes say of themselves, and what lies beside the database (journal, history, recorded books).
    Raises :class:`~pilotfish.store.archive.ArchiveError`.
    """
    with snapshot(database) as c, archive.writing(path, replace=replace) as out:
        revision = revision_of(c) or HEAD
        for table in kept_tables(c):
            rows = c.execute(_rows(table).execution_options(yield_per=STREAMED))
            out.add(table.name, [column.name for column in table.columns], rows)
        found = sorted(checked(c)) if revision == HEAD else None
        return out.close(
            pilotfish=__version__,
            revision=revision,
            backend=database.dialect.name,
            made_at=datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
            left_out=_left_out(c),
            differing=None if found is None else len(found),
            differences=tuple(found or ())[: archive.MOST_DIFFERENCES],
        )


def checked(c: Connection) -> list[str]:
    """What ``verify`` finds; that it cannot read a row is a difference, and no reason to go without a backup."""
    try:
        return list(verify(c))
    except UnreadableRowError as problem:
        return [str(problem)]


def kept_tables(c: Connection) -> list[Table]:
    """Our tables as the database has them, whatever its revision."""
    found = MetaData()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SAWarning)  # indexes on expressions, which no row depends on
        found.reflect(c, only=lambda name, _: name in tables.metadata.tables)
    names = found.tables.get(tables.names.name)
    if names is not None:
        found.remove(names)  # rows have them as texts
    for table in found.tables.values():
        for column in table.columns:
            column.type = _type_of(column, c.dialect.name, numbered=names is not None)
    return [found.tables[name] for name in sorted(found.tables)]


def _type_of(column: Column[Any], dialect: str, *, numbered: bool) -> TypeEngine[Any]:
    """How a column's values are read and written: packed texts as what they say, whichever way they are kept; nothing
    as nothing, and not as the word null. ``numbered``: names are kept by their numbers."""
    known = tables.metadata.tables[column.table.name].columns.get(column.name)
    holds_bytes = dialect == "sqlite" or isinstance(column.type, LargeBinary)
    if known is not None and isinstance(known.type, (PayloadAlone, Trace)) and holds_bytes:
        return known.type if numbered or isinstance(known.type, Trace) else PayloadAlone()
    if known is not None and numbered and isinstance(known.type, (Name, Hex, Code)):
        return known.type
    if isinstance(column.type, JSON) and column.nullable:
        return JSON(none_as_null=True)
    found: TypeEngine[Any] = column.type
    return found


def _rows(table: Table) -> Select[tuple[object, ...]]:
    rows = select(table).order_by(*(as_text(column) for column in table.primary_key.columns))
    if table.name == tables.settings.name:
        return rows.where(table.c.name.not_in(SECRETS))
    if table.name == tables.worker_status.name:
        return rows.where(table.c.name == IDS)
    return rows


def _left_out(c: Connection) -> tuple[str, ...]:
    s = tables.settings.c
    return tuple(sorted(c.execute(select(s.name).where(s.name.in_(SECRETS)).distinct()).scalars()))
