"""Rows of a market's tape as what takers took, worked out in columns.

The venue's rows name both sides of each match and not who took. In a transaction the one order on one side that meets
several on the other is the taker's; of one against one the tick test decides: a trade above the last one was bought,
one below it sold, one at the same price goes the way of the last (C. Lee and M. Ready, "Inferring Trade Direction from
Intraday Data", Journal of Finance 46, 1991). Buying one outcome at p is selling the other at 1 − p, so a market has
one tape: everything is said of its first token.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pilotfish.core.trade import Side
from pilotfish.core.units import MICRO

COLUMNS = ("at", "tx_hash", "wallet", "token_id", "side", "shares", "price")
"""What is looked at of a row."""
Whole = NDArray[np.int64]
Flags = NDArray[np.bool_]


class Took(msgspec.Struct, frozen=True, gc=False):
    """What a taker took at one price: ``up`` = bought the first token (or sold the second). ``price`` and ``shares`` in
    millionths, of the first token; ``theirs``: the leader had a part in it."""

    at: int
    up: bool
    price: int
    shares: int
    theirs: bool


class Before(NamedTuple):
    """How a tape stood before some rows: the price of the last take (0 = none yet), and whether it was bought."""

    price: int = 0
    up: bool = True


class _Rows(NamedTuple):
    """Rows by second and transaction: ``match`` counts transactions; ``up``: the row bought the first token or sold the
    second; ``price`` is of the first token."""

    at: Whole
    match: Whole
    up: Flags
    price: Whole
    shares: Whole
    mine: Flags


def seconds_of(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """The same rows, a second never in two batches."""
    rest: pa.RecordBatch | None = None
    for batch in batches:
        whole = batch if rest is None else pa.concat_batches([rest, batch])
        ats = whole.column("at").to_numpy()
        last = int(np.searchsorted(ats, ats[-1])) if len(ats) else 0
        if last:
            yield whole.slice(0, last)
        rest = whole.slice(last)
    if rest is not None and rest.num_rows:
        yield rest


def takes_of(batch: pa.RecordBatch, first_token: str, wallet: str, before: Before) -> tuple[list[Took], Before]:
    """What was taken in some whole seconds of a tape, oldest first, and how the tape stood after them. ``wallet`` is
    the leader's, whose own trades nobody else can have."""
    if not batch.num_rows:
        return [], before
    rows = _in_order(batch, first_token, wallet)
    matches = int(rows.match[-1]) + 1
    ups = np.bincount(rows.match, rows.up, matches)
    sizes = np.bincount(rows.match, minlength=matches)
    downs = sizes - ups
    real = (rows.price > 0) & (rows.price < MICRO)
    # What is taken are the makers' rows, on the other side than the taker; where there are none, the taker's own.
    if_up = np.where((downs > 0)[rows.match], ~rows.up, rows.up) & real
    if_down = np.where((ups > 0)[rows.match], rows.up, ~rows.up) & real
    up = _directions(rows, ups, downs, if_up, if_down, before)
    taken = np.where(up[rows.match], if_up, if_down)
    last_up = bool(up[-1])
    sign = np.where(up[rows.match], 1, -1)
    order = np.lexsort((sign * rows.shares, sign * rows.price, rows.match))
    order = order[taken[order]]
    theirs = np.bincount(rows.match, rows.mine, matches) > 0
    match = rows.match[order]
    found = map(
        Took, rows.at[order].tolist(), up[match].tolist(), rows.price[order].tolist(), rows.shares[order].tolist(),
        theirs[match].tolist(),
    )  # fmt: skip
    last = int(rows.price[order[-1]]) if len(order) else before.price
    return list(found), Before(last, last_up)


def _in_order(batch: pa.RecordBatch, first_token: str, wallet: str) -> _Rows:
    """Rows by second, and in a second by transaction."""
    at = batch.column("at").to_numpy()
    tx = batch.column("tx_hash")
    changed = _changed(at, tx)
    starts = np.flatnonzero(changed)
    begun = at[starts]
    several = np.flatnonzero(begun[1:] == begun[:-1])
    if len(several):
        crowded = np.isin(at, begun[several])
        places = np.flatnonzero(crowded)
        hashes = tx.filter(pa.array(crowded)).to_pylist()
        ranked = sorted(range(len(places)), key=lambda n: (at[places[n]], hashes[n]))
        order = np.arange(len(at))
        order[places] = places[ranked]
        batch = batch.take(pa.array(order))
        changed = _changed(at, batch.column("tx_hash"))
    first = _equal(batch, "token_id", first_token)
    price = batch.column("price").to_numpy()
    return _Rows(
        at=at,
        match=np.cumsum(changed) - 1,
        up=_equal(batch, "side", Side.BUY.value) == first,
        price=np.where(first, price, MICRO - price),
        shares=batch.column("shares").to_numpy(),
        mine=_equal(batch, "wallet", wallet),
    )


def _changed(at: Whole, tx: pa.Array) -> Flags:
    """Where another transaction begins."""
    changed = np.ones(len(at), np.bool_)
    other = pc.not_equal(tx.slice(1), tx.slice(0, len(tx) - 1)).to_numpy(zero_copy_only=False)
    changed[1:] = other | (at[1:] != at[:-1])
    return changed


def _equal(batch: pa.RecordBatch, name: str, value: str) -> Flags:
    # A scalar of Arrow's own: of a plain text it would look each time whether pandas is installed.
    found: Any = pc.equal(batch.column(name), pa.scalar(value, pa.string())).to_numpy(zero_copy_only=False)
    return np.asarray(found, np.bool_)


def _directions(rows: _Rows, ups: Any, downs: Any, if_up: Flags, if_down: Flags, before: Before) -> Flags:
    """Whether the taker of each transaction bought the first token."""
    bought = (downs == 0) | ((ups == 1) & (downs > 1))
    sold = ~bought & ((ups == 0) | ((downs == 1) & (ups > 1)))
    unsure = ~bought & ~sold
    matches = len(bought)
    highest, lowest = np.zeros(matches, np.int64), np.full(matches, MICRO, np.int64)
    np.maximum.at(highest, rows.match[if_up], rows.price[if_up])
    np.minimum.at(lowest, rows.match[if_down], rows.price[if_down])
    lowest[lowest == MICRO] = 0
    down_rows = np.flatnonzero(~rows.up)[::-1]
    asked = np.zeros(matches, np.int64)
    asked[rows.match[down_rows]] = rows.price[down_rows]  # of several the first one's, which is written last
    up = bought | unsure
    # What a transaction leaves as the last price may hang on its own direction, which hangs on the price before it:
    # each round puts right at least the first that is not yet.
    while True:
        last = _held(np.where(up, highest, lowest), before.price)
        against = np.concatenate(([before.price], last[:-1]))
        told = np.where(bought, 1, np.where(sold, -1, 0))
        told[unsure & (against > 0) & (asked > against)] = 1
        told[unsure & (against > 0) & (asked < against)] = -1
        found = _held(told, 1 if before.up else -1) > 0
        if (found == up).all():
            return found
        up = found


def _held(values: Whole, begin: int) -> Whole:
    """Each value, or where it is 0 the last one before it that is not."""
    places = np.where(values != 0, np.arange(len(values)), -1)
    last = np.maximum.accumulate(places)
    return np.where(last >= 0, values[last], begin)
