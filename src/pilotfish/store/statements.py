"""How rows get into a database: for SQLite one prepared statement for many rows, for PostgreSQL ``COPY`` for new rows
and one statement for all rows that change.

Rows are tuples in the order of their columns, each value as the driver takes it; nothing on the way looks at it again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache, partial
from itertools import chain
from operator import attrgetter, itemgetter
from typing import TYPE_CHECKING, Any, TypeAlias, cast

import msgspec
from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    Connection,
    Dialect,
    LargeBinary,
    Table,
    TypeDecorator,
    bindparam,
    delete,
)

from pilotfish.core.records import Record, TradeRaw
from pilotfish.store import tables
from pilotfish.store.interned import PLACES, Code, Hex, Name, bytes_of
from pilotfish.store.mapping import columns_of, enums_of
from pilotfish.store.numbers import Numbers, numbers_of
from pilotfish.store.payloads import pack

if TYPE_CHECKING:
    import psycopg

Row: TypeAlias = tuple[Any, ...]
AT_A_STEP = (64, 8, 1)
"""Rows that one step of SQLite takes. Python's lock is let go of and waited for at each step, and a loop that is busy
gives it back late: row by row, a commit took twice as long as its work."""
_Stored: TypeAlias = Callable[[Any], object]
"""How the database takes a value that is not ``None``."""


@dataclass(slots=True, frozen=True)
class Way:
    """How records of a kind become rows: ``columns`` and where each stands; ``by_id`` if the rows are known by it."""

    columns: tuple[str, ...]
    places: dict[str, int]
    by_id: bool
    _stored: tuple[tuple[int, _Stored], ...]

    def rows(self, records: Iterable[Record], changes: Sequence[tuple[Way, dict[int, Record]]] = ()) -> list[Row]:
        """Records as rows, with what changes of them say, by how those become rows and the records' ids. Changes that
        are used are taken out: they need not be written."""
        if not self.by_id:
            return [self._stored_as(list(msgspec.structs.astuple(record))) for record in records]
        of = [(by_id, [(i, self.places[name]) for i, name in enumerate(way.columns)]) for way, by_id in changes]
        rows = []
        for record in records:
            row = list(msgspec.structs.astuple(record))
            for by_id, moves in of:
                change = by_id.pop(record.id, None)  # type: ignore[attr-defined]
                if change is not None:
                    said = msgspec.structs.astuple(change)
                    for i, place in moves:
                        row[place] = said[i]
            rows.append(self._stored_as(row))
        return rows

    def _stored_as(self, row: list[object]) -> Row:
        for place, stored in self._stored:
            value = row[place]
            if value is not None:
                row[place] = stored(value)
        return tuple(row)


class Statements:
    """The ways into one kind of database."""

    def __init__(self, dialect: Dialect, numbers: Numbers) -> None:
        self._dialect = dialect
        self._numbers = numbers
        self._copies = dialect.name == "postgresql"
        self._ways: dict[type[Record], Way] = {}

    def begin(self, c: Connection) -> None:
        """Use the transaction that a connection is in; before anything else is asked for."""
        if not self._copies:
            self._numbers.begin(c)

    def way(self, kind: type[Record]) -> Way:
        """How records of a kind become rows."""
        known = self._ways.get(kind)
        if known is None:
            columns = columns_of(kind)
            known = self._ways[kind] = Way(
                columns,
                {name: place for place, name in enumerate(columns)},
                "id" in columns,
                tuple(self._changed(kind.table, columns, frozenset(enums_of(kind)))),
            )
        return known

    def payloads(self, raws: Iterable[Any], inserted: Mapping[type[Record], Iterable[Any]]) -> list[Row]:
        """Payloads as rows, on SQLite packed against the trades that are inserted with them."""
        way = self.way(TradeRaw)
        if self._copies:
            return way.rows(raws)
        new = {r.id: r for kind, records in inserted.items() if kind.table == tables.trades.name for r in records}
        rows = []
        for raw in raws:
            of = new.get(raw.trade_id)
            trade = None if of is None else (of.tx_hash, of.leader, of.token_id)
            rows.append((raw.trade_id, PLACES["source"][raw.source], pack(raw.payload, trade)))
        return rows

    def row(self, table: str, columns: Sequence[str], values: Iterable[object]) -> Row:
        """Values in the order of ``columns`` as a row."""
        row = list(values)
        for place, stored in self._changed(table, columns, frozenset()):
            if row[place] is not None:
                row[place] = stored(row[place])
        return tuple(row)

    def _changed(self, table: str, columns: Sequence[str], enums: frozenset[str]) -> list[tuple[int, _Stored]]:
        """The places of columns whose values the driver does not take as they are."""
        known = tables.metadata.tables[table].c
        found = []
        for place, name in enumerate(columns):
            stored = self._stored(known[name])
            if stored is None and name in enums:
                stored = str.__str__  # the text of a member, and of any other text itself
            if stored is not None:
                found.append((place, stored))
        return found

    def _stored(self, column: Column[Any]) -> _Stored | None:
        kind = column.type.dialect_impl(self._dialect)
        if isinstance(kind, Name):
            return self._numbers.__getitem__
        if isinstance(kind, Hex):
            return None if self._copies else bytes_of
        if isinstance(kind, Code):
            return None if self._copies else PLACES[kind.kind].__getitem__
        if isinstance(kind, Boolean):
            return None if self._copies else int
        if isinstance(kind, JSON):
            return _json
        if isinstance(kind, LargeBinary):
            return None
        if isinstance(kind, TypeDecorator):
            return partial(kind.process_bind_param, dialect=self._dialect)
        return cast("_Stored | None", kind.bind_processor(self._dialect))

    def insert(self, c: Connection, table: str, columns: tuple[str, ...], rows: list[Row]) -> None:
        """New rows."""
        if self._copies:
            with _driver(c).cursor().copy(f"COPY {table} ({_listed(columns)}) FROM STDIN") as copy:
                for row in rows:
                    copy.write_row(row)
            return
        _together(c, f"INSERT INTO {table} ({_listed(columns)}) VALUES {{rows}}", len(columns), rows)

    def update(self, c: Connection, table: str, columns: tuple[str, ...], rows: list[Row]) -> None:
        """New values for rows that are there, by their ``id``."""
        named = [name for name in columns if name != "id"]
        if self._copies:
            sets = ", ".join(f'"{name}" = v."{name}"' for name in named)
            _all_at_once(
                c, f"UPDATE {table} AS t SET {sets} FROM ({{rows}}) AS v WHERE t.id = v.id", table, columns, rows
            )
            return
        found_by = _found_by(table)
        for some in ([n for n in named if n not in found_by], [n for n in named if n in found_by]):
            if some:
                _set(c, table, some, columns, rows, only_changed=some[0] in found_by)

    def upsert(self, c: Connection, table: str, columns: tuple[str, ...], rows: list[Row]) -> None:
        """New rows, or new values for those of the same key."""
        keys = key_columns(table)
        sets = ", ".join(f'"{name}" = excluded."{name}"' for name in columns if name not in keys)
        conflict = f"ON CONFLICT ({_listed(keys)}) DO UPDATE SET {sets}"
        begin = f"INSERT INTO {table} ({_listed(columns)})"
        if self._copies:
            _all_at_once(c, f"{begin} {{rows}} {conflict}", table, columns, rows)
            return
        _together(c, f"{begin} VALUES {{rows}} {conflict}", len(columns), rows)

    def delete(self, c: Connection, name: str, keys: Iterable[object]) -> None:
        """The rows with these keys; none there is none removed."""
        table = tables.metadata.tables[name]
        where = [column == bindparam(f"k_{column.name}", type_=column.type) for column in table.primary_key]
        names = key_columns(name)
        gone = [key if isinstance(key, tuple) else (key,) for key in keys]
        bound = [
            {f"k_{n}": str(v) if isinstance(v, str) else v for n, v in zip(names, key, strict=True)} for key in gone
        ]
        c.execute(delete(table).where(*where), bound)


def _together(c: Connection, statement: str, width: int, rows: list[Row]) -> None:
    """Run a statement of SQLite over rows, as many at a step as there are and :data:`AT_A_STEP` has."""
    done = 0
    for size in AT_A_STEP:
        end = len(rows) - (len(rows) - done) % size
        if end > done:
            some = rows[done:end] if size == 1 else [
                tuple(chain.from_iterable(rows[i : i + size])) for i in range(done, end, size)
            ]  # fmt: skip
            c.exec_driver_sql(statement.format(rows=_slots(width, size)), some)
            done = end


@cache
def _slots(width: int, rows: int) -> str:
    return ", ".join([f"({', '.join('?' * width)})"] * rows)


def _set(
    c: Connection, table: str, some: list[str], columns: tuple[str, ...], rows: list[Row], *, only_changed: bool
) -> None:
    """Set some columns on SQLite; ``only_changed``: of rows in which one of them differs."""
    given = {name: f"v.column{place}" for place, name in enumerate(("id", *some), 1)}
    sets = ", ".join(f'"{name}" = {given[name]}' for name in some)
    differs = " OR ".join(f'{table}."{name}" IS NOT {given[name]}' for name in some)
    where = f"{table}.id = {given['id']}" + (f" AND ({differs})" if only_changed else "")
    values = itemgetter(*(columns.index(name) for name in given))
    statement = f"UPDATE {table} SET {sets} FROM (VALUES {{rows}}) AS v WHERE {where}"
    _together(c, statement, len(given), list(map(values, rows)))


@cache
def _found_by(table: str) -> frozenset[str]:
    """The columns that rows of a table are found by. SQLite writes the entries of an index anew when a column of it is
    set, also to what it was."""
    return frozenset(c.name for index in tables.metadata.tables[table].indexes for c in index.columns)


def _driver(c: Connection) -> psycopg.Connection[Any]:
    driver: psycopg.Connection[Any] | None = c.connection.driver_connection
    assert driver is not None
    return driver


def _all_at_once(c: Connection, statement: str, table: str, columns: tuple[str, ...], rows: list[Row]) -> None:
    """Run a PostgreSQL statement over all rows: each column's values are one array."""
    by_column = [list(values) for values in zip(*rows, strict=True)]
    _driver(c).execute(statement.format(rows=_unnested(c.dialect, table, columns)), by_column)


@lru_cache(maxsize=256)
def _unnested(dialect: Dialect, table: str, columns: tuple[str, ...]) -> str:
    known = tables.metadata.tables[table].c
    types = {name: known[name].type.compile(dialect) for name in columns}
    taken = ", ".join(f'"{name}"::{kind} AS "{name}"' for name, kind in types.items())
    arrays = ", ".join("%s::text[]" if kind == "JSON" else f"%s::{kind}[]" for kind in types.values())
    return f"SELECT {taken} FROM unnest({arrays}) AS rows({_listed(columns)})"


@lru_cache(maxsize=512)
def _listed(columns: tuple[str, ...]) -> str:
    return ", ".join(f'"{name}"' for name in columns)


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()


@cache
def key_columns(table: str) -> tuple[str, ...]:
    """The columns of a table's primary key."""
    keyed: Table = tables.metadata.tables[table]
    return tuple(c.name for c in keyed.primary_key)


@cache
def key_of(kind: type[Record]) -> Callable[[Record], object]:
    """What reads a record's key: a value, or a tuple of them where it has several columns."""
    by_column = {field.encode_name: field.name for field in msgspec.structs.fields(kind)}
    return attrgetter(*(by_column[name] for name in key_columns(kind.table)))


def statements_of(c: Connection) -> Statements:
    """The ways into a database, for the transaction that ``c`` is in; made once for an engine."""
    kept = vars(c.engine)
    known: Statements | None = kept.get("pilotfish_statements")
    if known is None:
        known = kept["pilotfish_statements"] = Statements(c.dialect, numbers_of(c.engine))
    known.begin(c)
    return known
