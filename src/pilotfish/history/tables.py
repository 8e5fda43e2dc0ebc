"""History as Arrow, for questions in SQL: every kind whole, each second from the one file that counts."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa

from pilotfish.history.book_columns import SCHEMA
from pilotfish.history.book_segments import KIND as BOOKS
from pilotfish.history.book_segments import segments
from pilotfish.history.columns import BATCH, SHAPES, SNAPSHOTS
from pilotfish.history.folder import History
from pilotfish.history.spans import Spans

KINDS = (*SHAPES, BOOKS)
"""What can be asked for."""
KEY = "key"
"""The column before the kind's own: the wallet, market or token of the window; of recorded books the day."""


def schema(kind: str) -> pa.Schema:
    """The columns of a kind (``docs/history.md``), after its key."""
    own = SCHEMA if kind == BOOKS else SHAPES[kind].schema
    return pa.schema([pa.field(KEY, pa.string()), *own])


def reader(history: History, kind: str) -> pa.RecordBatchReader:
    """All that is kept of a kind, as a stream. Raises ``HistoryError`` for a damaged file."""
    found = _books(history) if kind == BOOKS else _windows(history, kind)
    return pa.RecordBatchReader.from_batches(schema(kind), (_keyed(kind, key, batch) for key, batch in found))


def _windows(history: History, kind: str) -> Iterator[tuple[str, pa.RecordBatch]]:
    for key in history.keys(kind):
        if kind in SNAPSHOTS:
            newest = history.newest(kind, key)
            if newest is not None:
                yield from ((key, batch) for batch in history.batches(kind, key, newest))
            continue
        windows = history.windows(kind, key)
        if windows:
            whole = (min(w.from_at for w in windows), max(w.to_at for w in windows))
            yield from ((key, batch) for batch in history.columns(kind, key, Spans([whole])))


def _books(history: History) -> Iterator[tuple[str, pa.RecordBatch]]:
    for segment in segments(history):
        with history.parquet(BOOKS, segment.day, segment.name) as file:
            yield from ((segment.day, batch) for batch in file.iter_batches(BATCH))


def _keyed(kind: str, key: str, batch: pa.RecordBatch) -> pa.RecordBatch:
    keys = pa.repeat(pa.scalar(key, pa.string()), batch.num_rows)
    return pa.RecordBatch.from_arrays([keys, *batch.columns], schema=schema(kind))
