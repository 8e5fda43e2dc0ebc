"""Recorded order books in the layouts that others read: ``book_layouts`` says what they are."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pilotfish.history.book_layouts import BOOKS, MARKETS, SIDES, batches
from pilotfish.history.folder import History
from pilotfish.history.records import PastMarket
from pilotfish.history.standing import Standing
from pilotfish.polymarket.book_rows import BookRow, Heard

_LEVELS = pa.list_(pa.struct([("price", pa.string()), ("size", pa.string())]))
EVENTS = pa.schema(
    [
        ("type", pa.string()), ("t", pa.int64()), ("t_us", pa.int64()), ("venue_ms", pa.int64()),
        ("token_id", pa.string()), ("side", pa.string()), ("price", pa.string()), ("size", pa.string()),
        ("bids", _LEVELS), ("asks", _LEVELS), ("is_reseed", pa.bool_()),
    ]
)  # fmt: skip
_FLOATS = pa.list_(pa.float64())
_BOOKS_SCHEMA = pa.schema(
    [
        ("market_id", pa.string()), ("ts", pa.int64()), ("side", pa.string()), ("bid_px", _FLOATS),
        ("bid_sz", _FLOATS), ("ask_px", _FLOATS), ("ask_sz", _FLOATS),
    ]
)  # fmt: skip
_MARKETS_SCHEMA = pa.schema(
    [
        ("market_id", pa.string()), ("slug", pa.string()), ("question", pa.string()), ("category", pa.string()),
        ("timeframe", pa.string()), ("start_ts", pa.int64()), ("end_ts", pa.int64()), ("outcome_up", pa.string()),
        ("outcome_down", pa.string()), ("payout_up", pa.float64()), ("payout_down", pa.float64()),
    ]
)  # fmt: skip


def write_events(rows: Iterable[BookRow], path: Path) -> int:
    """Write rows as events; gives how many. Answers are snapshots that nothing follows from; a gap is a row of its own,
    and the next snapshot says ``is_reseed``."""
    written = 0
    with pq.ParquetWriter(path, EVENTS, compression="zstd") as out:
        for batch in batches(rows):
            out.write_table(pa.Table.from_pylist([_told(row) for row in batch], schema=EVENTS))
            written += len(batch)
    return written


def _told(row: BookRow) -> dict[str, Any]:
    whole = row.kind in (Heard.SNAPSHOT, Heard.ANSWER)
    return {
        "type": row.kind.value, "t": row.at // 1000, "t_us": row.at, "venue_ms": row.venue_ms,
        "token_id": row.token_id, "side": row.side or None, "price": row.price or None, "size": row.size or None,
        "bids": _objects(row.bid_prices, row.bid_sizes) if whole else None,
        "asks": _objects(row.ask_prices, row.ask_sizes) if whole else None,
        "is_reseed": row.is_reseed or row.kind is Heard.ANSWER,
    }  # fmt: skip


def write_snapshots(history: History, rows: Iterable[BookRow], folder: Path) -> tuple[int, set[str]]:
    """Write one row for every book that rows lead to, and the markets; gives how many, and the tokens that were left
    out since their market is not known. ``rows`` are in the order of :func:`~.books.rows_between`."""
    folder.mkdir(parents=True, exist_ok=True)
    placed = {
        token: (market, SIDES[index])
        for name in history.keys("markets")
        if (market := history.market(name)) is not None and len(market.tokens) == len(SIDES)
        for index, token in enumerate(market.tokens)
    }
    written, unplaced, used = 0, set[str](), dict[str, PastMarket]()
    standing = Standing()

    def books() -> Iterator[dict[str, Any]]:
        for row in rows:
            standing.see(row)
            where = placed.get(row.token_id)
            if where is None:
                unplaced.add(row.token_id)
                continue
            market, side = where
            whole = row if row.kind is Heard.ANSWER else standing.whole(row.token_id, row.at)
            if whole is None or row.kind in (Heard.TRADE, Heard.GAP, Heard.TICK):
                continue
            used[market.condition_id] = market
            yield {
                "market_id": market.condition_id, "ts": row.at // 1000, "side": side,
                "bid_px": [float(p) for p in whole.bid_prices], "bid_sz": [float(s) for s in whole.bid_sizes],
                "ask_px": [float(p) for p in whole.ask_prices], "ask_sz": [float(s) for s in whole.ask_sizes],
            }  # fmt: skip

    with pq.ParquetWriter(folder / BOOKS, _BOOKS_SCHEMA, compression="zstd") as out:
        for batch in batches(books()):
            out.write_table(pa.Table.from_pylist(batch, schema=_BOOKS_SCHEMA))
            written += len(batch)
    told = [_market_row(used[name]) for name in sorted(used)]
    pq.write_table(pa.Table.from_pylist(told, schema=_MARKETS_SCHEMA), folder / MARKETS, compression="zstd")
    return written, unplaced


def _market_row(m: PastMarket) -> dict[str, Any]:
    end = m.end_at or m.closed_at or m.resolved_at or 0
    outcomes = (*m.outcomes, "", "")
    paid = (m.payouts[0] / 1e6, m.payouts[1] / 1e6) if m.payouts is not None else (None, None)
    return {
        "market_id": m.condition_id, "slug": m.slug, "question": m.title, "category": m.category, "timeframe": "",
        "start_ts": None, "end_ts": end * 1000, "outcome_up": outcomes[0], "outcome_down": outcomes[1],
        "payout_up": paid[0], "payout_down": paid[1],
    }  # fmt: skip


def _objects(prices: Iterable[str], sizes: Iterable[str]) -> list[dict[str, str]]:
    return [{"price": price, "size": size} for price, size in zip(prices, sizes, strict=True)]
