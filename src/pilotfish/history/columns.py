"""Records as columns of Parquet and back. What each column means is in ``records``; ``docs/history.md`` lists them.

Amounts and prices are 64-bit integers in millionths, times 64-bit epoch seconds, ids text.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import pyarrow as pa

from pilotfish.core.fees import FeeSchedule
from pilotfish.core.trade import Side
from pilotfish.history.records import Deed, HeldToken, PastMarket, PricePoint, Print

BATCH = 50_000
"""Rows that are taken out of a file at once."""
_SIDES: dict[str | None, Side | None] = {None: None, "BUY": Side.BUY, "SELL": Side.SELL}
_INT, _TEXT, _FLAG = pa.int64(), pa.string(), pa.bool_()
_TEXTS, _INTS = pa.list_(pa.string()), pa.list_(pa.int64())


class Shape(NamedTuple):
    """How a kind of record is kept."""

    schema: pa.Schema
    row: Callable[[Any], Mapping[str, Any]]
    record: Callable[..., Any]


def _plain(names: Sequence[str]) -> Callable[[Any], Mapping[str, Any]]:
    return lambda record: {name: getattr(record, name) for name in names}


def _deed(side: str | None, **more: Any) -> Deed:
    return Deed(side=_SIDES[side], **more)


def _print(side: str, **more: Any) -> Print:
    return Print(side=Side(side), **more)


def _market_row(m: PastMarket) -> Mapping[str, Any]:
    row = {name: getattr(m, name) for name in PastMarket.__struct_fields__ if name != "fee"}
    return {**row, "fee_rate_ppm": m.fee.rate_ppm, "fee_half_exponent": m.fee.half_exponent}


def _market(
    tokens: list[str], outcomes: list[str], tags: list[str], payouts: list[int] | None, fee_rate_ppm: int,
    fee_half_exponent: int, **more: Any,
) -> PastMarket:  # fmt: skip
    return PastMarket(
        tokens=tuple(tokens),
        outcomes=tuple(outcomes),
        tags=tuple(tags),
        payouts=tuple(payouts) if payouts is not None else None,
        fee=FeeSchedule(fee_rate_ppm, fee_half_exponent),
        **more,
    )


_DEED = {
    "kind": _TEXT, "at": _INT, "tx_hash": _TEXT, "condition_id": _TEXT, "token_id": _TEXT, "side": _TEXT,
    "shares": _INT, "usdc": _INT, "usdc_size": _INT, "size": _TEXT, "price": _TEXT, "outcome": _TEXT, "title": _TEXT,
    "slug": _TEXT, "event_slug": _TEXT, "is_combo": _FLAG,
}  # fmt: skip
_PRINT = {
    "at": _INT, "tx_hash": _TEXT, "wallet": _TEXT, "condition_id": _TEXT, "token_id": _TEXT, "side": _TEXT,
    "shares": _INT, "price": _INT,
}  # fmt: skip
_POINT = {"at": _INT, "price": _INT}
_HELD = {"token_id": _TEXT, "condition_id": _TEXT, "shares": _INT}
_MARKET = {
    "condition_id": _TEXT, "tokens": _TEXTS, "outcomes": _TEXTS, "title": _TEXT, "slug": _TEXT, "event": _TEXT,
    "category": _TEXT, "tags": _TEXTS, "fee_rate_ppm": _INT, "fee_half_exponent": _INT, "tick": _INT, "delay_ms": _INT,
    "end_at": _INT, "closed_at": _INT, "resolved_at": _INT, "payouts": _INTS, "is_combo": _FLAG,
}  # fmt: skip

SHAPES: dict[str, Shape] = {
    "activity": Shape(pa.schema(list(_DEED.items())), _plain(tuple(_DEED)), _deed),
    "tape": Shape(pa.schema(list(_PRINT.items())), _plain(tuple(_PRINT)), _print),
    "prices": Shape(pa.schema(list(_POINT.items())), _plain(tuple(_POINT)), PricePoint),
    "positions": Shape(pa.schema(list(_HELD.items())), _plain(tuple(_HELD)), HeldToken),
    "markets": Shape(pa.schema(list(_MARKET.items())), _market_row, _market),
}
"""The kinds of history, in the order in which a pull reads them."""
SNAPSHOTS = ("positions", "markets")
"""Kinds of which only the newest counts: a file of theirs is of one second."""


def table_of(kind: str, records: Sequence[Any], told: Mapping[str, str]) -> pa.Table:
    """Records as a table; ``told`` becomes metadata of the file."""
    shape = SHAPES[kind]
    rows = [shape.row(record) for record in records]
    columns = {field.name: [row[field.name] for row in rows] for field in shape.schema}
    return pa.table(columns, schema=shape.schema.with_metadata(told or None))


def records_of(kind: str, batch: pa.RecordBatch) -> Iterator[Any]:
    """The records of a batch."""
    names = batch.schema.names
    make = SHAPES[kind].record
    for values in zip(*(column.to_pylist() for column in batch.columns), strict=True):
        yield make(**dict(zip(names, values, strict=True)))
