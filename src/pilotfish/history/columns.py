"""Records as columns of Parquet and back. What each column means is in ``records``; ``docs/history.md`` lists them.

Amounts and prices are 64-bit integers in millionths, times 64-bit epoch seconds, ids text.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from operator import attrgetter
from typing import Any, NamedTuple, cast

import pyarrow as pa

from pilotfish.core.fees import FeeSchedule
from pilotfish.core.trade import Side
from pilotfish.history.records import Deed, HeldToken, PastMarket, PricePoint, Print

BATCH = 8_192
"""Rows that are taken out of a file at once."""
SIDES: dict[str | None, Side | None] = {None: None, "BUY": Side.BUY, "SELL": Side.SELL}
_INT, _TEXT, _FLAG = pa.int64(), pa.string(), pa.bool_()
_TEXTS, _INTS = pa.list_(pa.string()), pa.list_(pa.int64())


class Shape(NamedTuple):
    """How a kind of record is kept: ``fields`` gives a record's values in the order of ``schema``, ``record`` takes
    them."""

    schema: pa.Schema
    fields: tuple[str, ...]
    record: Callable[..., Any]


def _deed(
    kind: str, at: int, tx_hash: str, condition_id: str, token_id: str, side: str | None, *more: Any
) -> Deed:  # fmt: skip
    return Deed(kind, at, tx_hash, condition_id, token_id, SIDES[side], *more)


def _print(at: int, tx_hash: str, wallet: str, condition_id: str, token_id: str, side: str, *more: int) -> Print:
    return Print(at, tx_hash, wallet, condition_id, token_id, Side(side), *more)


def _held(token_id: str, condition_id: str, shares: int) -> HeldToken:
    return HeldToken(token_id=token_id, condition_id=condition_id, shares=shares)


def _market(*values: Any) -> PastMarket:
    told = dict(zip(_MARKET, values, strict=True))
    fee = FeeSchedule(told.pop("fee_rate_ppm"), told.pop("fee_half_exponent"))
    for name in ("tokens", "outcomes", "tags", "payouts"):
        told[name] = tuple(told[name]) if told[name] is not None else None
    return PastMarket(fee=fee, **told)


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

_OF_FEE = {"fee_rate_ppm": "fee.rate_ppm", "fee_half_exponent": "fee.half_exponent"}

SHAPES: dict[str, Shape] = {
    "activity": Shape(pa.schema(list(_DEED.items())), tuple(_DEED), _deed),
    "tape": Shape(pa.schema(list(_PRINT.items())), tuple(_PRINT), _print),
    "prices": Shape(pa.schema(list(_POINT.items())), tuple(_POINT), PricePoint),
    "positions": Shape(pa.schema(list(_HELD.items())), tuple(_HELD), _held),
    "markets": Shape(
        pa.schema(list(_MARKET.items())),
        tuple(_OF_FEE.get(name, name) for name in _MARKET),
        _market,
    ),
}
"""The kinds of history, in the order in which a pull reads them."""
SNAPSHOTS = ("positions", "markets")
"""Kinds of which only the newest counts: a file of theirs is of one second."""


def table_of(kind: str, records: Sequence[Any], told: Mapping[str, str]) -> pa.Table:
    """Records as a table; ``told`` becomes metadata of the file."""
    shape = SHAPES[kind]
    columns = [
        pa.array(list(map(attrgetter(name), records)), field.type)
        for name, field in zip(shape.fields, shape.schema, strict=True)
    ]
    return pa.Table.from_arrays(columns, schema=shape.schema.with_metadata(told or None))


def records_of(kind: str, batch: pa.RecordBatch) -> Iterator[Any]:
    """The records of a batch."""
    return map(SHAPES[kind].record, *(values_of(column) for column in batch.columns))


def values_of(column: pa.Array) -> list[Any]:
    """A column's values, ``None`` where there is none; by numpy where nothing is missing: several times faster."""
    if column.null_count or pa.types.is_nested(column.type):
        return cast(list[Any], column.to_pylist())
    return cast(list[Any], column.to_numpy(zero_copy_only=False).tolist())
