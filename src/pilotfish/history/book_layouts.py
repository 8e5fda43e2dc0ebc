"""Order books as others publish them, read into the folder of history.

*Snapshots*: a folder with ``markets.parquet`` and ``books.parquet``, one row a book, with lists of prices and sizes a
side, times in ms (the layout of the PyPI package ``resolvedkit``). *Events*: a Parquet file of snapshot, delta and
trade rows with ``is_reseed``, times in ms (the event stream of the ``marketlens`` client, by token). What was read once
is known by its content, and not read again. ``book_export`` writes both.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from pilotfish.core.problem import Problem
from pilotfish.core.trade import Side
from pilotfish.core.units import micro_from_decimal
from pilotfish.history import book_segments as seg
from pilotfish.history.book_columns import SCHEMA, batch_of
from pilotfish.history.folder import History
from pilotfish.history.records import PastMarket
from pilotfish.history.windows import State, Window
from pilotfish.polymarket.book_rows import BookRow, Heard

MARKETS, BOOKS = "markets.parquet", "books.parquet"
SIDES = ("UP", "DOWN")
"""The first and the second outcome of a market."""
BATCH = 10_000
MOST = 1e12
"""Shares that no level has."""
_CONDITION = re.compile(r"^0x[0-9a-f]{64}$")
_BOOK_COLUMNS = ("market_id", "ts", "side", "bid_px", "bid_sz", "ask_px", "ask_sz")
_MARKET_COLUMNS = (
    "market_id", "slug", "question", "category", "end_ts", "outcome_up", "outcome_down", "payout_up", "payout_down",
)  # fmt: skip
_EVENT_COLUMNS = ("type", "t", "token_id", "side", "price", "size", "bids", "asks", "is_reseed")


class LayoutError(Problem):
    """What was to be imported is of no layout that is read; the message names the file and what it lacks."""


class Imported(msgspec.Struct, kw_only=True):
    """What an import did. ``again``: it was there already; ``unreadable``: rows that were left out."""

    layout: str
    rows: int = 0
    markets: int = 0
    segments: int = 0
    unreadable: int = 0
    again: bool = False


def read_in(history: History, path: Path) -> Imported:
    """Read what is at a path into the folder of history, whichever layout it has. Raises :class:`LayoutError`, and
    :class:`~.folder.HistoryError` where it cannot be written."""
    if path.is_dir() and (path / BOOKS).exists():
        return _snapshots(history, path)
    if path.is_file():
        return _events(history, path)
    raise LayoutError(f"{path}: expected a folder with {MARKETS} and {BOOKS}, or one Parquet file of events")


def token_of(market_id: str, side: str, market: PastMarket | None) -> str:
    """The token of a side of a market: the venue's where the market is known, else digits made of both names."""
    if market is not None and len(market.tokens) == len(SIDES):
        return market.tokens[SIDES.index(side)]
    return str(int(hashlib.sha256(f"{market_id}:{side}".encode()).hexdigest(), 16))


# -- one row a book ----------------------------------------------------------------------------------------------------


def _snapshots(history: History, folder: Path) -> Imported:
    told = Imported(layout="snapshots")
    tokens: dict[tuple[str, str], str] = {}
    markets = _file(folder / MARKETS, _MARKET_COLUMNS) if (folder / MARKETS).exists() else None
    for row in markets.read().to_pylist() if markets is not None else ():
        name = str(row["market_id"])
        known = history.market(name) if _CONDITION.match(name) else None
        for side in SIDES:
            tokens[(name, side)] = token_of(name, side, known)
        if known is None and _CONDITION.match(name):
            _put_market(history, row, (tokens[(name, SIDES[0])], tokens[(name, SIDES[1])]))
            told.markets += 1

    def rows() -> Iterator[BookRow]:
        for batch in _file(folder / BOOKS, _BOOK_COLUMNS).iter_batches(BATCH, columns=list(_BOOK_COLUMNS)):
            for row in batch.to_pylist():
                name, side = str(row["market_id"]), str(row["side"])
                try:
                    if side not in SIDES:
                        raise ValueError(side)
                    token = tokens.setdefault((name, side), token_of(name, side, None))
                    yield BookRow(
                        token_id=token,
                        at=int(row["ts"]) * 1000,
                        kind=Heard.ANSWER,
                        venue_ms=int(row["ts"]),
                        bid_prices=_digits(row["bid_px"]),
                        bid_sizes=_digits(row["bid_sz"]),
                        ask_prices=_digits(row["ask_px"]),
                        ask_sizes=_digits(row["ask_sz"]),
                    )
                except (ValueError, TypeError):
                    told.unreadable += 1

    _write(history, _run_of(folder / BOOKS), rows(), told)
    return told


def _put_market(history: History, row: Mapping[str, Any], tokens: tuple[str, str]) -> None:
    end = int(row["end_ts"]) // 1000
    paid = (row["payout_up"], row["payout_down"])
    settled = paid[0] is not None and paid[1] is not None
    category = str(row["category"] or "").lower()
    market = PastMarket(
        condition_id=str(row["market_id"]),
        tokens=tokens,
        outcomes=(str(row["outcome_up"]), str(row["outcome_down"])),
        title=str(row["question"] or ""),
        slug=str(row["slug"] or ""),
        event=str(row["market_id"]),
        category=category,
        tags=(category,) if category else (),
        end_at=end,
        closed_at=end if settled else None,
        resolved_at=end if settled else None,
        payouts=(_micro(paid[0]), _micro(paid[1])) if settled else None,
    )
    history.write("markets", market.condition_id, Window(end, end, State.COMPLETE), [market])


# -- events ------------------------------------------------------------------------------------------------------------


def _events(history: History, path: Path) -> Imported:
    told = Imported(layout="events")
    file = _file(path, _EVENT_COLUMNS)

    def rows() -> Iterator[BookRow]:
        for batch in file.iter_batches(BATCH):
            for row in batch.to_pylist():
                try:
                    yield _event(row)
                except (ValueError, TypeError, KeyError, msgspec.MsgspecError):
                    told.unreadable += 1

    _write(history, _run_of(path), rows(), told)
    return told


def _event(row: Mapping[str, Any]) -> BookRow:
    kind, side = Heard(row["type"]), _side_of(row["side"])
    bids, asks = _levels(row["bids"]), _levels(row["asks"])
    prices = kind in (Heard.DELTA, Heard.TRADE, Heard.TICK)
    found = BookRow(
        token_id=str(row["token_id"]),
        at=int(row.get("t_us") or int(row["t"]) * 1000),
        kind=kind,
        venue_ms=int(row.get("venue_ms") or row["t"]),
        is_reseed=bool(row["is_reseed"]),
        side=side,
        price=_text(row["price"]) if prices else "",
        size=_text(row["size"]) if prices else "",
        bid_prices=tuple(p for p, _ in bids),
        bid_sizes=tuple(s for _, s in bids),
        ask_prices=tuple(p for p, _ in asks),
        ask_sizes=tuple(s for _, s in asks),
    )
    if kind is Heard.DELTA and side not in ("BUY", "SELL"):
        raise ValueError(f"side {row['side']!r}")
    for text in (found.price, found.size, *found.bid_prices, *found.bid_sizes, *found.ask_prices, *found.ask_sizes):
        if text:
            micro_from_decimal(text)
    return found


def _side_of(value: object) -> str:
    """BUY or SELL; some write the side of the book, and in lower case."""
    text = str(value or "").upper()
    return {"BID": Side.BUY.value, "ASK": Side.SELL.value}.get(text, text)


def _levels(value: Any) -> list[tuple[str, str]]:
    """Levels as objects, as pairs, or as the JSON of either."""
    given = msgspec.json.decode(value) if isinstance(value, str | bytes) and value else value or []
    return [
        (_text(x["price"]), _text(x["size"])) if isinstance(x, Mapping) else (_text(x[0]), _text(x[1])) for x in given
    ]


# -- parts -------------------------------------------------------------------------------------------------------------


def _file(path: Path, columns: Iterable[str]) -> pq.ParquetFile:
    try:
        file = pq.ParquetFile(path)
    except (pa.ArrowInvalid, OSError) as problem:
        raise LayoutError(f"{path} cannot be read as Parquet ({str(problem).splitlines()[0][:160]})") from None
    lacking = [name for name in columns if name not in file.schema_arrow.names]
    if lacking:
        raise LayoutError(f"{path} has no column {', '.join(lacking)}; it has {', '.join(file.schema_arrow.names)}")
    return file


def _run_of(path: Path) -> str:
    """A name made of the content: the same data is one run, however often it is read."""
    digest = hashlib.sha256()
    with path.open("rb") as source:
        while block := source.read(2**20):
            digest.update(block)
    return f"i{digest.hexdigest()[:12]}"


def _write(history: History, run: str, rows: Iterable[BookRow], told: Imported) -> None:
    """Write rows as segments of a run, each by token and arrival."""
    if any(s.run == run for s in seg.segments(history)):
        told.again = True
        return
    ready: list[pa.RecordBatch] = []
    waiting = 0
    for batch in batches(rows):
        ready.append(batch_of(batch, waiting))
        waiting += len(batch)
        told.rows += len(batch)
        if waiting >= seg.SEGMENT_ROWS:
            told.segments += 1
            seg.write(history, run, told.segments, pa.Table.from_batches(ready, SCHEMA))
            ready, waiting = [], 0
    if ready:
        told.segments += 1
        seg.write(history, run, told.segments, pa.Table.from_batches(ready, SCHEMA))


def batches(rows: Iterable[Any]) -> Iterator[list[Any]]:
    batch: list[Any] = []
    for row in rows:
        batch.append(row)
        if len(batch) >= BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


def _digits(values: Sequence[float]) -> tuple[str, ...]:
    """Numbers in the digits that they are written in. Raises :class:`ValueError` for what is no amount."""
    if not all(0 <= value < MOST for value in values):
        raise ValueError(f"{values} are no prices or sizes")
    return tuple(map(str, values))


def _text(value: object) -> str:
    """A number in the digits that it is written in."""
    return "" if value is None else str(value)


def _micro(value: float) -> int:
    return micro_from_decimal(str(value))
