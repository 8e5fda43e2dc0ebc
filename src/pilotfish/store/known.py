"""What the store knows of trades and of leaders' orders, as the core has it: for a start, and for a single event."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from itertools import islice
from typing import TypeVar

import msgspec
from sqlalchemy import ColumnElement, Connection, ScalarSelect, func, or_, select

from pilotfish.core.leader_orders import ORDER_LIFE, ORDERS_KEPT, LeaderOrder, begun_by
from pilotfish.core.reasons import Action
from pilotfish.core.recording import trade_of
from pilotfish.core.records import TradeRecord
from pilotfish.core.trade import Trade, TradeKey
from pilotfish.core.units import SECOND, Micros, Shares
from pilotfish.store import tables as t
from pilotfish.store.mapping import read_rows

DAY = 86_400 * SECOND
KEEP_IDENTITIES = 8 * DAY
AT_ONCE = 500
"""Values in one question to the database."""
FEW = 8
"""So many portfolios are asked one by one."""
V = TypeVar("V", int, str)


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """What a snapshot said of a holding."""

    token_id: str
    said_micro: Shares
    as_of: Micros
    cause: str


def trades_where(c: Connection, which: ColumnElement[bool]) -> dict[int, Trade]:
    """Trades by id."""
    # + 0: SQLite would go through all trades by their ids instead of asking an index which are wanted
    query = select(t.trades).where(which).order_by(t.trades.c.id + 0)
    return {row.id: trade_of(row) for row in read_rows(c, TradeRecord, query)}


def trades_by(c: Connection, column: ColumnElement[V], values: Collection[V]) -> dict[int, Trade]:
    """Trades that have one of these values, by id."""
    found: dict[int, Trade] = {}
    left = iter(sorted(values))
    while some := list(islice(left, AT_ONCE)):
        found |= trades_where(c, column.in_(some))
    return found


def whole_keys(trades: tuple[Trade, ...]) -> tuple[Trade, ...]:
    """Keys whose occurrences are consecutive from 1 (all trades of a key share a block, so this drops none)."""
    counts: dict[TradeKey, int] = {}
    whole = []
    for trade in sorted(trades, key=lambda x: (x.occurrence, x.id)):
        if counts.get(trade.key, 0) + 1 == trade.occurrence:
            counts[trade.key] = trade.occurrence
            whole.append(trade)
    return tuple(whole)


class _OfOrder(msgspec.Struct, frozen=True, kw_only=True):
    """A decision on a fill of a leader's order."""

    id: int
    order_decision_id: int | None
    action: Action
    trade_id: int


def orders(c: Connection, name: str, at: int, trades: Mapping[int, Trade]) -> tuple[LeaderOrder, ...]:
    """The leaders' orders of which something was filled lately, oldest first, as they would be without a restart."""
    d, tr = t.decisions.c, t.trades.c
    mine = [d.portfolio == name, d.sized_by_order.is_not(None), d.decided_at > func.coalesce(reset_at(name), 0)]
    lately = or_(tr.traded_at >= at - ORDER_LIFE, d.action == "wait")
    alive = select(func.coalesce(d.order_decision_id, d.id)).join(t.trades, tr.id == d.trade_id).where(*mine, lately)
    theirs = (*mine, or_(d.id.in_(alive), d.order_decision_id.in_(alive)))
    fills = select(d.id, d.order_decision_id, d.action, d.trade_id).join(t.trades, tr.id == d.trade_id).where(*theirs)
    rows = list(read_rows(c, _OfOrder, fills.order_by(d.id)))
    if any(r.trade_id not in trades for r in rows):
        trades = trades_where(c, tr.id.in_(select(d.trade_id).where(*theirs)))
    found = _from_fills(rows, trades)
    kept: Counter[tuple[str, str]] = Counter()
    newest = []
    for order in sorted(found.values(), key=lambda o: -o.decision_id):
        kept[(order.leader, order.token_id)] += 1
        if kept[(order.leader, order.token_id)] <= ORDERS_KEPT:
            newest.append(order)
    return tuple(reversed(newest))


def whose_orders(c: Connection, portfolios: Collection[str], leader: str, token_id: str) -> list[str]:
    """Those of ``portfolios`` that may know orders of a leader in a token: of many, each has decided on few leaders, so
    those that did are asked for first."""
    if len(portfolios) <= FEW:
        return list(portfolios)
    d, tr = t.decisions.c, t.trades.c
    decided = select(d.portfolio).select_from(t.decisions.join(t.trades, tr.id == d.trade_id)).distinct()
    decided = decided.where(tr.leader == leader, tr.token_id == token_id, d.sized_by_order.is_not(None))
    found = set(c.execute(decided).scalars())
    return [name for name in portfolios if name in found]


def orders_of(c: Connection, name: str, at: int, leader: str, token_id: str) -> tuple[LeaderOrder, ...]:
    """The same of one leader and token."""
    d, tr = t.decisions.c, t.trades.c
    of_trades = t.decisions.join(t.trades, tr.id == d.trade_id)
    mine = (
        tr.leader == leader, tr.token_id == token_id, t.unindexed(d.portfolio) == name, d.sized_by_order.is_not(None),
        d.decided_at > func.coalesce(reset_at(name), 0),
    )  # fmt: skip
    newest = select(d.id).select_from(of_trades).where(*mine, d.order_decision_id.is_(None))
    firsts = set(c.execute(newest.order_by(d.id.desc()).limit(ORDERS_KEPT)).scalars())
    if not firsts:
        return ()
    fills = select(d.id, d.order_decision_id, d.action, d.trade_id).select_from(of_trades)
    fills = fills.where(*mine, d.id >= min(firsts)).order_by(d.id)
    rows = [r for r in read_rows(c, _OfOrder, fills) if (r.order_decision_id or r.id) in firsts]
    found = _from_fills(rows, trades_by(c, t.trades.c.id, {r.trade_id for r in rows}))
    waiting = {r.order_decision_id or r.id for r in rows if r.action is Action.WAIT}
    return tuple(o for n, o in sorted(found.items()) if o.last_at >= at - ORDER_LIFE or n in waiting)


def _from_fills(rows: Iterable[_OfOrder], trades: Mapping[int, Trade]) -> dict[int, LeaderOrder]:
    """Orders by the decision on their first fill, from decisions on their fills in order."""
    found: dict[int, LeaderOrder] = {}
    for r in rows:
        trade, number = trades[r.trade_id], r.order_decision_id or r.id
        order = found.get(number)
        if order is None:
            order = found[number] = begun_by(trade, number)
        order.see(trade)
        order.spent = order.spent or r.action is Action.COPY
    return found


def reset_at(name: str) -> ScalarSelect[int | None]:
    """When a portfolio was last reset (µs), if it was."""
    return select(t.portfolios.c.reset_at).where(t.portfolios.c.name == name).scalar_subquery()
