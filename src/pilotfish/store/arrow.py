"""Exports as Arrow: the same rows under the same names, typed.

Amounts stay 64-bit integers in millionths, instants become timestamps (µs, UTC), and what is nested is JSON text, as in
CSV.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from itertools import islice
from typing import BinaryIO

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
from msgspec import inspect as kinds
from sqlalchemy import Connection

from pilotfish.store import exports
from pilotfish.store.views.base import INSTANT, View

BATCH = 20_000
"""Rows that are in memory at once."""
_WHEN = pa.timestamp("us", "UTC")
_PLAIN: tuple[tuple[type[kinds.Type], pa.DataType], ...] = (
    (kinds.BoolType, pa.bool_()), (kinds.IntType, pa.int64()), (kinds.FloatType, pa.float64()),
    (kinds.StrType, pa.string()), (kinds.EnumType, pa.string()), (kinds.LiteralType, pa.string()),
)  # fmt: skip


class _Column(msgspec.Struct, frozen=True):
    field: pa.Field
    nested: bool


@cache
def _columns(kind: str) -> tuple[_Column, ...]:
    told = kinds.type_info(exports.EXPORTED[kind].view)
    assert isinstance(told, kinds.StructType)
    return tuple(_column(field) for field in told.fields)


def _column(field: kinds.Field) -> _Column:
    kind = field.type
    nullable = isinstance(kind, kinds.UnionType) and any(isinstance(k, kinds.NoneType) for k in kind.types)
    if isinstance(kind, kinds.UnionType):
        left = [k for k in kind.types if not isinstance(k, kinds.NoneType)]
        kind = left[0] if len(left) == 1 else kinds.AnyType()
    if isinstance(kind, kinds.Metadata):
        when = (kind.extra_json_schema or {}).get("format") == INSTANT
        return _Column(pa.field(field.encode_name, _WHEN if when else pa.string(), nullable), nested=False)
    plain = next((arrow for known, arrow in _PLAIN if isinstance(kind, known)), None)
    return _Column(pa.field(field.encode_name, plain or pa.string(), nullable), nested=plain is None)


def schema(kind: str) -> pa.Schema:
    """The columns of a kind of export."""
    return pa.schema([column.field for column in _columns(kind)])


def batches(
    c: Connection, kind: str, *, portfolio: str | None = None, leader: str | None = None
) -> Iterator[pa.RecordBatch]:
    """All rows of a kind as :func:`~pilotfish.store.exports.rows` gives them, in pieces."""
    found = exports.rows(c, kind, portfolio=portfolio, leader=leader)
    while some := list(islice(found, BATCH)):
        yield _batch(kind, some)


def _batch(kind: str, rows: list[View]) -> pa.RecordBatch:
    values = zip(*(msgspec.structs.astuple(row) for row in rows), strict=True)
    arrays = [_array(column, list(cells)) for column, cells in zip(_columns(kind), values, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=schema(kind))


def _array(column: _Column, cells: list[object]) -> pa.Array:
    kind = column.field.type
    if column.nested:
        cells = [None if cell is None else msgspec.json.encode(cell).decode() for cell in cells]
    if kind == _WHEN:
        return pa.array(cells, pa.string()).cast(kind)
    return pa.array(cells, kind)


def reader(
    c: Connection, kind: str, *, portfolio: str | None = None, leader: str | None = None
) -> pa.RecordBatchReader:
    """The same as a stream, which is of the instant of ``c``'s transaction."""
    return pa.RecordBatchReader.from_batches(schema(kind), batches(c, kind, portfolio=portfolio, leader=leader))


def write_parquet(found: pa.RecordBatchReader, out: BinaryIO) -> None:
    """Write a stream as Parquet (zstd)."""
    with pq.ParquetWriter(out, found.schema, compression="zstd") as file:
        for batch in found:
            file.write_batch(batch)
