"""Our orders as people read them: what each was for, what it got, what it cost and why it ended; and its history.

A page is continued by the order's number and costs the same in a million orders as in a hundred; totals are of the
newest :data:`MOST` that match.
"""

from __future__ import annotations

import msgspec
from msgspec.structs import asdict
from sqlalchemy import ColumnElement, Connection, Select, Subquery, func, select, union_all

from pilotfish.core.reasons import Action, Reason
from pilotfish.core.records import EntryRecord
from pilotfish.core.trade import Side
from pilotfish.core.units import Micros, Price, Usdc
from pilotfish.store import copies, names
from pilotfish.store import tables as t
from pilotfish.store.copies import Became, State
from pilotfish.store.mapping import read, read_rows, total
from pilotfish.store.views import markets
from pilotfish.store.views.base import Page, View, decimal, following, iso
from pilotfish.store.views.orders import Fill, StoredFill, fill
from pilotfish.store.views.positions import LedgerEntry, ledger_entry

MOST = 5_000
"""Orders that totals are of."""


class OrderFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which orders of a portfolio; ``None`` = any. ``market`` is any token of the market that is asked for."""

    portfolio: str = "main"
    leader: str | None = None
    state: State | None = None
    side: str | None = None
    market: str | None = None
    words: str | None = None


class OurOrder(Became, frozen=True):
    """An order of ours. ``action`` and ``reason`` are the decision's; ``fees_micro`` is what its fills paid;
    ``delay_ms`` is from the leader's trade to our first fill, ``trade_id`` that trade (``None`` = no trade is behind
    it)."""

    id: int
    decision_id: int
    trade_id: int | None
    leader: str
    label: str
    token_id: str
    title: str
    outcome: str
    side: Side
    limit_price: float
    leader_price: float
    created_at: str
    due_at: str
    action: Action
    reason: Reason
    fees_micro: Usdc
    delay_ms: int | None


class OurTotals(View, frozen=True, kw_only=True):
    """Orders by what became of them, what BUYs spent and SELLs brought, and the fees of both. ``more``: these are the
    newest, and there are others."""

    orders: int
    filled: int
    out: int
    not_filled: int
    bought_micro: Usdc
    sold_micro: Usdc
    fees_micro: Usdc
    more: bool


class OurOrderTraced(View, frozen=True, kw_only=True):
    """An order with its fills, and what they moved in the ledger."""

    order: OurOrder
    portfolio: str
    fills: list[Fill]
    entries: list[LedgerEntry]


class _Row(msgspec.Struct, frozen=True, kw_only=True):
    id: int
    decision_id: int
    trade_id: int
    portfolio: str
    leader: str
    token_id: str
    side: Side
    limit_price_micro: Price
    leader_price_micro: Price
    traded_at: Micros
    created_at: Micros
    due_at: Micros
    action: Action
    reason: Reason
    title: str | None
    outcome: str | None


class _Cost(msgspec.Struct, frozen=True):
    intent_id: int
    fees: int
    first_at: Micros


class _Count(msgspec.Struct, frozen=True):
    became: State
    n: int


class _Moved(msgspec.Struct, frozen=True):
    side: Side
    usdc: int
    fees: int


def read_our_orders(c: Connection, f: OrderFilter, *, limit: int, before: int | None = None) -> Page[OurOrder]:
    """A portfolio's orders, the newest first. ``before``: an order's number."""
    newest = _newest(c, f, limit + 1, before)
    chosen = _orders().where(t.intents.c.id.in_(select(newest.c.id))).order_by(t.intents.c.id.desc())
    rows = list(read_rows(c, _Row, chosen))
    return Page(data=_shown(c, rows[:limit]), next_before=following(rows, limit))


def read_our_totals(c: Connection, f: OrderFilter, most: int = MOST) -> OurTotals:
    """What the newest ``most`` orders that match add up to."""
    fills, newest = t.fills.c, _newest(c, f, most)
    by_state = select(newest.c.became, func.count().label("n")).group_by(newest.c.became)
    counts = {row.became: row.n for row in read_rows(c, _Count, by_state)}
    of_fills = select(newest.c.side, total(fills.usdc_micro).label("usdc"), total(fills.fee_micro).label("fees"))
    moved = of_fills.join(t.fills, fills.intent_id == newest.c.id).group_by(newest.c.side)
    by_side = {row.side: row for row in read_rows(c, _Moved, moved)}
    orders, oldest = sum(counts.values()), c.execute(select(func.min(newest.c.id))).scalar()
    return OurTotals(
        orders=orders,
        filled=counts.get(State.FILLED, 0),
        out=counts.get(State.OUT, 0),
        not_filled=counts.get(State.NOT_FILLED, 0),
        bought_micro=Usdc(by_side[Side.BUY].usdc if Side.BUY in by_side else 0),
        sold_micro=Usdc(by_side[Side.SELL].usdc if Side.SELL in by_side else 0),
        fees_micro=Usdc(sum(row.fees for row in by_side.values())),
        more=orders == most and c.execute(select(_newest(c, f, 1, oldest).c.id)).first() is not None,
    )


def read_our_order(c: Connection, order_id: int) -> OurOrderTraced | None:
    """One order with its history; ``None`` = no such."""
    rows = list(read_rows(c, _Row, _orders().where(t.intents.c.id == order_id)))
    if not rows:
        return None
    f, e = t.fills.c, t.ledger_entries.c
    fills = list(read_rows(c, StoredFill, read(StoredFill).where(f.intent_id == order_id).order_by(f.id)))
    of_fills = read(EntryRecord).where(e.fill_id.in_([one.id for one in fills])).order_by(e.id)
    return OurOrderTraced(
        order=_shown(c, rows)[0],
        portfolio=rows[0].portfolio,
        fills=[fill(one) for one in fills],
        entries=[ledger_entry(one) for one in read_rows(c, EntryRecord, of_fills)],
    )


def _orders() -> Select[tuple[object, ...]]:
    i, d, m = t.intents.c, t.decisions.c, t.markets.c
    return select(
        i.id, i.decision_id, i.trade_id, i.portfolio, i.leader, i.token_id, i.side, i.limit_price_micro,
        i.leader_price_micro, i.traded_at, i.created_at, i.due_at, d.action, d.reason, m.title, m.outcome,
    ).select_from(
        t.intents.join(t.decisions, d.id == i.decision_id).outerjoin(t.markets, m.token_id == i.token_id)
    )  # fmt: skip


def _newest(c: Connection, f: OrderFilter, limit: int, before: int | None = None) -> Subquery:
    """The newest orders that match: their numbers, sides, and what became of them. Without a leader or market, those of
    each state are found by an index of their own."""
    i = t.intents.c
    wanted: list[ColumnElement[bool]] = [i.portfolio == f.portfolio]
    wanted += [column == value for column, value in ((i.leader, f.leader), (i.side, f.side)) if value]
    if f.market:
        wanted.append(i.token_id.in_(markets.tokens_beside(c, f.market)))
    if f.words:
        wanted.append(i.token_id.in_(markets.tokens_by_words(c, f.words)))
    if before is not None:
        wanted.append(i.id < before)
    chosen = select(i.id, i.side, copies.STATE.label("became")).where(*wanted).order_by(i.id.desc()).limit(limit)
    if f.state is not None:
        return chosen.where(copies.CONDITIONS[f.state]).subquery()
    if f.leader or f.market or f.words:
        return chosen.subquery()
    parts = [chosen.where(copies.CONDITIONS[state]).subquery() for state in copies.ORDERS]
    every = union_all(*(select(part) for part in parts)).subquery()
    return select(every).order_by(every.c.id.desc()).limit(limit).subquery()


def _shown(c: Connection, rows: list[_Row]) -> list[OurOrder]:
    ids, f = [row.id for row in rows], t.fills.c
    became, labels = copies.of_orders(c, ids), names.labels(c)
    of_fills = select(f.intent_id, total(f.fee_micro).label("fees"), func.min(f.filled_at).label("first_at"))
    costs = read_rows(c, _Cost, of_fills.where(f.intent_id.in_(ids)).group_by(f.intent_id))
    cost = {one.intent_id: one for one in costs}
    return [_our_order(row, labels.get(row.leader, ""), became[row.id], cost.get(row.id)) for row in rows]


def _our_order(r: _Row, label: str, became: Became, cost: _Cost | None) -> OurOrder:
    return OurOrder(
        id=r.id,
        decision_id=r.decision_id,
        trade_id=r.trade_id or None,
        leader=r.leader,
        label=label,
        token_id=r.token_id,
        title=r.title or "",
        outcome=r.outcome or "",
        side=r.side,
        limit_price=decimal(r.limit_price_micro),
        leader_price=decimal(r.leader_price_micro),
        created_at=iso(r.created_at),
        due_at=iso(r.due_at),
        action=r.action,
        reason=r.reason,
        fees_micro=Usdc(cost.fees if cost is not None else 0),
        delay_ms=(cost.first_at - r.traded_at) // 1000 if cost is not None and r.trade_id else None,
        **asdict(became),
    )
