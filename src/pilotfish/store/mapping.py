"""The one way between records and rows: a record's fields are its table's columns; enums are their values.

The writer turns records into rows with it; restoring, verifying, views and exports read rows as records.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum
from functools import cache
from operator import attrgetter
from typing import NamedTuple, TypeAlias, TypeVar, get_args

import msgspec
from sqlalchemy import BigInteger, ColumnElement, Connection, Executable, Select, Table, cast, func, select

from pilotfish.core.problem import Problem
from pilotfish.core.records import Record
from pilotfish.store import tables

Values: TypeAlias = dict[str, object]
"""Column -> value, as the database takes it."""
R = TypeVar("R", bound=Record)
S = TypeVar("S", bound=msgspec.Struct)
S2 = TypeVar("S2", bound=msgspec.Struct)


class UnreadableRowError(Problem):
    """A row holds what this version does not know, such as a reason that came later."""


class Plain(NamedTuple):
    """A row that is no record of the engine's: what the worker says of itself and of its inputs. Upserted."""

    table: str
    row: Values


def row_of(record: Record) -> Values:
    """A record as a row."""
    names, values, enums = _way(type(record))
    row: Values = dict(zip(names, values(record), strict=True))
    for name in enums:
        value = row[name]
        if isinstance(value, Enum):
            row[name] = value.value
    return row


@cache
def _way(kind: type[Record]) -> tuple[tuple[str, ...], attrgetter[tuple[object, ...]], tuple[str, ...]]:
    """How a record becomes a row: its columns, what reads them, and which of them may hold an enum."""
    fields = msgspec.structs.fields(kind)
    return columns_of(kind), attrgetter(*(f.name for f in fields)), enums_of(kind)


def _holds_enum(kind: object) -> bool:
    return (isinstance(kind, type) and issubclass(kind, Enum)) or any(_holds_enum(part) for part in get_args(kind))


@cache
def enums_of(kind: type[Record]) -> tuple[str, ...]:
    """The columns of a record that may hold an enum."""
    return tuple(f.encode_name for f in msgspec.structs.fields(kind) if _holds_enum(f.type))


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


def read_rows(c: Connection, kind: type[S], statement: Executable) -> Iterator[S]:
    """What a statement finds, typed: a record, or any struct whose fields are among the statement's columns. Columns
    that the struct does not have are left out. Raises :class:`UnreadableRowError`."""
    found = c.execute(statement)
    names = tuple(str(name) for name in found.keys())  # noqa: SIM118 - a result is no dictionary
    for row in found:
        yield _typed(dict(zip(names, row, strict=True)), kind)


def read_pairs(c: Connection, kind: type[S], beside: type[S2], statement: Executable) -> Iterator[tuple[S, S2]]:
    """What a statement on joined tables finds: each row twice, typed as with :func:`read_rows`, as the row of one table
    and as what is beside it."""
    found = c.execute(statement)
    names = tuple(str(name) for name in found.keys())  # noqa: SIM118 - a result is no dictionary
    for row in found:
        values = dict(zip(names, row, strict=True))
        yield _typed(values, kind), _typed(values, beside)


def read_row(c: Connection, kind: type[S], statement: Executable) -> S | None:
    """The first that a statement finds, typed as with :func:`read_rows`; ``None`` = nothing."""
    row = c.execute(statement).first()
    return None if row is None else _typed({str(name): value for name, value in row._mapping.items()}, kind)


def _typed(values: Values, kind: type[S]) -> S:
    try:
        return msgspec.convert(values, kind)
    except msgspec.ValidationError as problem:
        raise UnreadableRowError(
            f"a row cannot be read ({problem}): another version wrote it; use the newer of the two everywhere"
        ) from None


def newest(kind: type[Record], limit: int, before: int | None, **equal: object) -> Select[tuple[object, ...]]:
    """A statement that reads the newest records of a kind that has ids. ``before``: only smaller ids; ``equal``:
    columns and what they must be, ``None`` = any."""
    columns = table_of(kind).c
    wanted = [columns[name] == value for name, value in equal.items() if value is not None]
    if before is not None:
        wanted.append(columns.id < before)
    return read(kind).where(*wanted).order_by(columns.id.desc()).limit(limit)


def total(column: ColumnElement[int]) -> ColumnElement[int]:
    """The sum of a column, whole on every database: PostgreSQL's own of large numbers is a decimal."""
    return cast(func.sum(column), BigInteger)
