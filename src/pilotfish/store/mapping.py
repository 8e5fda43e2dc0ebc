"""The one way between records and rows: a record's fields are its table's columns; enums are their values.

The writer turns records into rows with it; restoring, verifying, views and exports read rows as records.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple, TypeAlias, TypeVar

import msgspec
from sqlalchemy import Row as SqlRow
from sqlalchemy import Select, Table, select

from pilotfish.core.records import Record
from pilotfish.store import tables

Values: TypeAlias = dict[str, object]
"""Column -> value, as the database takes it."""
R = TypeVar("R", bound=Record)


class Plain(NamedTuple):
    """A row that is no record of the engine's: what the worker says of itself and of its inputs. Upserted."""

    table: str
    row: Values


def row_of(record: Record) -> Values:
    """A record as a row."""
    row: Values = msgspec.to_builtins(record)
    return row


def record_of(kind: type[R], row: SqlRow[tuple[object, ...]]) -> R:
    """A row that has a record's columns, as that record."""
    return msgspec.convert({str(name): value for name, value in row._mapping.items()}, kind, strict=False)


@cache
def columns_of(kind: type[Record]) -> tuple[str, ...]:
    """The columns of a record, in its order."""
    return tuple(field.encode_name for field in msgspec.structs.fields(kind))


def table_of(kind: type[Record]) -> Table:
    """The table that a record belongs to."""
    return tables.metadata.tables[kind.table]


def read(kind: type[R]) -> Select[tuple[object, ...]]:
    """A statement that reads a record's columns."""
    table = table_of(kind)
    return select(*(table.c[name] for name in columns_of(kind)))
