"""Everything that is kept, for other people's tools: as rows, and as CSV that a spreadsheet takes for what it is."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple, TypeAlias

import msgspec
from sqlalchemy import Connection, Select, Table, select

from pilotfish.core.records import (
    AdjustmentRecord,
    EntryRecord,
    HoldingRecord,
    IntentRecord,
    PositionRecord,
    TradeRecord,
)
from pilotfish.store import report
from pilotfish.store import tables as t
from pilotfish.store.interned import as_text
from pilotfish.store.mapping import R, read, read_rows, table_of
from pilotfish.store.sources import listened
from pilotfish.store.views.base import View
from pilotfish.store.views.decisions import Decision, StoredDecision, decisions
from pilotfish.store.views.latency import SeenRow, TradeLatency, trade_latency
from pilotfish.store.views.look_backs import LookBackWhole, read_every
from pilotfish.store.views.orders import Fill, Intent, StoredFill, fill, intent
from pilotfish.store.views.positions import (
    Adjustment,
    Holding,
    LedgerEntry,
    Position,
    adjustment,
    holding,
    ledger_entry,
    position,
)
from pilotfish.store.views.report import Shortfall
from pilotfish.store.views.searches import SearchedWallet, SearchWhole, read_every_search, read_every_wallet
from pilotfish.store.views.trades import LeaderTrade, leader_trade
from pilotfish.store.views.valuations import Valuation, read_valuations

STREAMED = 1_000
"""Rows fetched at a time."""
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
Reading: TypeAlias = Callable[[Connection, str | None, str | None], Iterator[View]]
"""Reads all rows of a kind: of a portfolio and a leader, ``None`` = any."""


def _of(
    statement: Select[tuple[object, ...]], table: Table, portfolio: str | None, leader: str | None, *order: str
) -> Select[tuple[object, ...]]:
    """A statement on a table, of a portfolio or leader where the table has such a column, fetched in pieces."""
    for name, value in (("portfolio", portfolio), ("leader", leader)):
        if value is not None and name in table.c:
            statement = statement.where(table.c[name] == value)
    return statement.order_by(*(as_text(table.c[name]) for name in order)).execution_options(yield_per=STREAMED)


def _records(kind: type[R], c: Connection, portfolio: str | None, leader: str | None, *order: str) -> Iterator[R]:
    return read_rows(c, kind, _of(read(kind), table_of(kind), portfolio, leader, *order))


def _each(kind: type[R], shape: Callable[[R], View], *order: str) -> Reading:
    """Rows of a record's table, each in its shape."""
    return lambda c, portfolio, leader: map(shape, _records(kind, c, portfolio, leader, *order))


def _decisions(c: Connection, portfolio: str | None, leader: str | None) -> Iterator[View]:
    return decisions(c, _records(StoredDecision, c, portfolio, leader, "id"))


def _holdings(c: Connection, portfolio: str | None, leader: str | None) -> Iterator[View]:
    h = t.leader_holdings
    held = read(HoldingRecord).where(h.c.shares_micro > 0)
    return map(holding, read_rows(c, HoldingRecord, _of(held, h, portfolio, leader, "leader", "token_id")))


def _adjustments(c: Connection, portfolio: str | None, leader: str | None) -> Iterator[View]:
    """What a snapshot said and trades explain is kept for restarts, and corrects nothing."""
    a = t.holding_adjustments
    moved = read(AdjustmentRecord).where(a.c.delta_micro != 0)
    return map(adjustment, read_rows(c, AdjustmentRecord, _of(moved, a, portfolio, leader, "id")))


def _latency(c: Connection, portfolio: str | None, leader: str | None) -> Iterator[View]:
    heard = listened(c, "polygon")
    rows = read_rows(c, SeenRow, _of(select(t.trades), t.trades, portfolio, leader, "id"))
    return (trade_latency(r, heard) for r in rows)


def _equity(c: Connection, portfolio: str | None, leader: str | None) -> Iterator[View]:
    e = t.equity_snapshots
    return read_valuations(c, _of(select(e), e, portfolio, leader, "id"))


def _report(c: Connection, portfolio: str | None, leader: str | None) -> Iterator[View]:
    return iter(report.report(c, portfolio=portfolio, leader=leader, archived=True))


def _look_backs(c: Connection, _portfolio: str | None, leader: str | None) -> Iterator[View]:
    return read_every(c, leader)


def _searches(c: Connection, _portfolio: str | None, _leader: str | None) -> Iterator[View]:
    return read_every_search(c)


def _searched_wallets(c: Connection, _portfolio: str | None, leader: str | None) -> Iterator[View]:
    return read_every_wallet(c, leader)


class Exported(NamedTuple):
    """A kind of export: what a row of it is, and how all are read."""

    view: type[View]
    read: Reading


EXPORTED: dict[str, Exported] = {
    "trades": Exported(LeaderTrade, _each(TradeRecord, leader_trade, "id")),
    "decisions": Exported(Decision, _decisions),
    "intents": Exported(Intent, _each(IntentRecord, intent, "id")),
    "fills": Exported(Fill, _each(StoredFill, fill, "id")),
    "positions": Exported(Position, _each(PositionRecord, position, "portfolio", "leader", "token_id")),
    "holdings": Exported(Holding, _holdings),
    "ledger": Exported(LedgerEntry, _each(EntryRecord, ledger_entry, "id")),
    "adjustments": Exported(Adjustment, _adjustments),
    "latency": Exported(TradeLatency, _latency),
    "report": Exported(Shortfall, _report),
    "equity": Exported(Valuation, _equity),
    "look_backs": Exported(LookBackWhole, _look_backs),
    "searches": Exported(SearchWhole, _searches),
    "searched_wallets": Exported(SearchedWallet, _searched_wallets),
}
KINDS = tuple(EXPORTED)
"""What can be exported."""


def rows(c: Connection, kind: str, *, portfolio: str | None = None, leader: str | None = None) -> Iterator[View]:
    """All rows of a kind, of a portfolio or leader if named, oldest first; large kinds are read in pieces."""
    return EXPORTED[kind].read(c, portfolio, leader)


def csv_lines(found: Iterable[View], kind: type[View] | None = None) -> Iterator[str]:
    """CSV with a header, that of ``kind`` also where there are no rows. Nested values are JSON; what a spreadsheet
    would take for a formula gets an apostrophe."""
    text = io.StringIO()
    writer = csv.writer(text)
    if kind is not None:
        writer.writerow(kind.__struct_encode_fields__)
        yield text.getvalue()
        text.seek(0)
        text.truncate()
    for n, row in enumerate(found):
        if n == 0 and kind is None:
            writer.writerow(row.__struct_encode_fields__)
        writer.writerow([_cell(value) for value in msgspec.structs.astuple(row)])
        yield text.getvalue()
        text.seek(0)
        text.truncate()


def _cell(value: object) -> object:
    if isinstance(value, (list, dict, View)):
        value = msgspec.json.encode(value).decode()
    if isinstance(value, str) and value[:1] in _FORMULA:
        return "'" + value
    return value
