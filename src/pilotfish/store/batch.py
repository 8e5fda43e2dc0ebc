"""What one commit holds: row effects put together into as few statements as keeps their meaning."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from sqlalchemy import Connection, delete

from pilotfish.core.effects import Delete, Insert, RowEffect, Update, Upsert, WipePaper
from pilotfish.core.records import Record, TradeRaw
from pilotfish.store import tables
from pilotfish.store.mapping import Plain, Values, row_of
from pilotfish.store.statements import Row, Statements, Way, key_columns, key_of, statements_of

Writable: TypeAlias = RowEffect | Plain


def write(connection: Connection, effects: Sequence[Writable]) -> None:
    """Write row effects in as few statements as keeps their meaning.

    Within one group an update of a row that is also inserted is merged into the insert, and of several updates or
    upserts of one row the last one counts. A wipe is a barrier.
    """
    batch = _Batch(statements_of(connection))
    for effect in effects:
        kind = type(effect)
        if kind is Insert:
            batch.insert(effect.record)  # type: ignore[union-attr]
        elif kind is Update:
            batch.update(effect.record)  # type: ignore[union-attr]
        elif kind is Upsert:
            batch.upsert(effect.record)  # type: ignore[union-attr]
        else:
            match effect:
                case Plain(table, row):
                    batch.put(table, row)
                case Delete(key):
                    batch.delete(key)
                case WipePaper(portfolio):
                    batch.flush(connection)
                    for table_ in tables.PAPER_TABLES:
                        connection.execute(delete(table_).where(table_.c.portfolio == portfolio))
    batch.flush(connection)


_Key: TypeAlias = object
"""A row's primary key: the value, or a tuple of them where it has several columns."""


class _Batch:
    def __init__(self, statements: Statements) -> None:
        self._statements = statements
        self._ways: dict[type[Record], Way] = {}
        self._begin()

    def _begin(self) -> None:
        self._inserts: dict[type[Record], list[Record]] = {}
        self._updates: dict[type[Record], dict[int, Record]] = {}
        """The last change of each row; those of rows that are inserted here become part of them."""
        self._upserts: dict[str, dict[_Key, Record | Values]] = {}
        self._deletes: dict[str, dict[_Key, None]] = {}

    def _way(self, kind: type[Record]) -> Way:
        way = self._ways.get(kind)
        if way is None:
            way = self._ways[kind] = self._statements.way(kind)
        return way

    def insert(self, record: Record) -> None:
        kind = type(record)
        records = self._inserts.get(kind)
        if records is None:
            records = self._inserts[kind] = []
        records.append(record)

    def update(self, record: Record) -> None:
        kind = type(record)
        number: int = record.id  # type: ignore[attr-defined]
        self._updates.setdefault(kind, {})[number] = record

    def upsert(self, record: Record) -> None:
        """The last one of a row counts; of columns that only an earlier one names, that one."""
        kind = type(record)
        key = key_of(kind)(record)
        rows = self._upserts.setdefault(kind.table, {})
        before = rows.get(key)
        if before is None or type(before) is kind:
            rows[key] = record
        else:
            rows[key] = {**_values(before), **row_of(record)}

    def put(self, table: str, row: Values) -> None:
        """The same with a row that is no record."""
        names = key_columns(table)
        key = row[names[0]] if len(names) == 1 else tuple([row[name] for name in names])
        rows = self._upserts.setdefault(table, {})
        before = rows.get(key)
        rows[key] = row if before is None else {**_values(before), **row}

    def delete(self, record: Record) -> None:
        """What was upserted before is not written at all; what is upserted after is written after the deletion."""
        kind = type(record)
        key = key_of(kind)(record)
        self._upserts.get(kind.table, {}).pop(key, None)
        self._deletes.setdefault(kind.table, {})[key] = None

    def flush(self, connection: Connection) -> None:
        s = self._statements
        for kind, records in self._inserts.items():
            way = self._way(kind)
            changes = [(self._way(k), by_id) for k, by_id in self._updates.items() if k.table == kind.table]
            rows = s.payloads(records, self._inserts) if kind is TradeRaw else way.rows(records, changes)
            s.insert(connection, kind.table, way.columns, rows)
        for kind, by_id in self._updates.items():
            if by_id:
                way = self._way(kind)
                s.update(connection, kind.table, way.columns, way.rows(by_id.values()))
        for table, keys in self._deletes.items():
            s.delete(connection, table, keys)
        for table, by_key in self._upserts.items():
            by_kind: dict[type[Record], list[Record]] = {}
            alike: dict[tuple[str, ...], list[Row]] = {}
            for what in by_key.values():
                if isinstance(what, Record):
                    by_kind.setdefault(type(what), []).append(what)
                else:
                    columns = tuple(what)
                    alike.setdefault(columns, []).append(s.row(table, columns, what.values()))
            for kind, records in by_kind.items():
                way = self._way(kind)
                s.upsert(connection, table, way.columns, way.rows(records))
            for columns, rows in alike.items():
                s.upsert(connection, table, columns, rows)
        self._begin()


def _values(what: Record | Values) -> Values:
    return row_of(what) if isinstance(what, Record) else what
