"""Recorded books as columns: the rows of ``polymarket.book_rows``, by token and then in the order of their arrival."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from pilotfish.polymarket.book_rows import BookRow, Heard

_TEXTS = pa.list_(pa.string())
SCHEMA = pa.schema(
    [
        ("token_id", pa.string()), ("number", pa.int64()), ("at", pa.int64()), ("venue_ms", pa.int64()),
        ("kind", pa.string()), ("is_reseed", pa.bool_()), ("side", pa.string()), ("price", pa.string()),
        ("size", pa.string()), ("bid_prices", _TEXTS), ("bid_sizes", _TEXTS), ("ask_prices", _TEXTS),
        ("ask_sizes", _TEXTS), ("tick", pa.string()), ("min_size", pa.string()), ("since", pa.int64()),
        ("detail", pa.string()),
    ]
)  # fmt: skip
"""``number`` counts the rows of a segment as they came."""
_NAMES = [name for name in SCHEMA.names if name != "number"]
_LISTS = frozenset(("bid_prices", "bid_sizes", "ask_prices", "ask_sizes"))


def batch_of(rows: Sequence[BookRow], first: int) -> pa.RecordBatch:
    """Rows as a batch; ``first`` is the number of the first one."""
    columns = [
        list(range(first, first + len(rows))) if name == "number" else [getattr(row, name) for row in rows]
        for name in SCHEMA.names
    ]
    return pa.record_batch([pa.array(c, f.type) for c, f in zip(columns, SCHEMA, strict=True)], schema=SCHEMA)


def in_order(table: pa.Table) -> pa.Table:
    """The rows of a segment by token and then by arrival."""
    return table.sort_by([("token_id", "ascending"), ("number", "ascending")])


def of_tokens(table: pa.Table, tokens: Iterable[str]) -> pa.Table:
    """The rows of some tokens."""
    return table.filter(pc.is_in(table.column("token_id"), pa.array(list(tokens), pa.string())))


def rows_of(batch: pa.RecordBatch | pa.Table) -> Iterator[BookRow]:
    """The rows of a batch."""
    for values in zip(*(batch.column(name).to_pylist() for name in _NAMES), strict=True):
        row = dict(zip(_NAMES, values, strict=True))
        row["kind"] = Heard(row["kind"])
        for name in _LISTS:
            row[name] = tuple(row[name])
        yield BookRow(**row)
