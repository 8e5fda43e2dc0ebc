"""Pages of rows, filtered and continued by key, so that a page costs the same in a million rows as in a hundred."""

from __future__ import annotations

from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Connection, Select, and_, func, select
from sqlalchemy.sql.elements import TextClause

from pilotfish.store import copies
from pilotfish.store import tables as t
from pilotfish.store.names import labels
from pilotfish.store.queries import Row, position, trade
from pilotfish.store.views.base import decimal, iso

TITLES = 300
"""Tokens that a search for words of a market's title takes in."""


class TradeFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which trades; ``None`` or empty = any. ``portfolio`` is whose decisions are shown, and filtered by; ``state`` is
    what became of them (:class:`~pilotfish.store.copies.State`; all but ``reset``)."""

    portfolio: str = "main"
    leader: str | None = None
    token_id: str | None = None
    words: str | None = None
    side: str | None = None
    source: str | None = None
    kind: str | None = None
    action: str | None = None
    reason: str | None = None
    status: str | None = None
    state: str | None = None


def trades(c: Connection, f: TradeFilter, *, limit: int, before: int | None = None) -> tuple[list[Row], int | None]:
    """Leaders' trades, newest first, each with ``decision`` of the portfolio (or ``None``) and the market's title; and
    the id to continue before (``None`` = that was all)."""
    tr, d, i = t.trades.c, t.decisions.c, t.intents.c
    action, order_state = _asked_for(f)
    by_decision = bool(action or f.reason)
    of_leader = i.leader if order_state else d.leader if by_decision else tr.leader
    wanted: list[ColumnElement[bool] | TextClause] = [
        column == value
        for column, value in (
            (of_leader, f.leader), (tr.token_id, f.token_id), (tr.side, f.side), (tr.first_source, f.source),
            (tr["class"], f.kind), (d.action, action), (d.reason, f.reason),
        )
        if value
    ]  # fmt: skip
    if f.status:
        wanted.append(tr.retracted_at.is_(None) if f.status == "active" else tr.retracted_at.is_not(None))
    if f.words:
        like = "%" + "".join(f"\\{x}" if x in "%_\\" else x for x in f.words.lower()) + "%"
        found = select(t.markets.c.token_id).where(func.lower(t.markets.c.title).like(like, escape="\\"))
        tokens = list(c.execute(found.limit(TITLES)).scalars())
        if not tokens:
            return [], None
        wanted.append(tr.token_id.in_(tokens))
    of_market = (t.markets, t.markets.c.token_id == tr.token_id)
    of_portfolio = and_(d.trade_id == tr.id, d.portfolio == f.portfolio)
    columns = select(
        t.trades, d.id.label("decision_id"), d.action, d.reason, d.decided_at,
        t.markets.c.title.label("market_title"), t.markets.c.outcome.label("market_outcome"),
    )  # fmt: skip
    statement: Select[Any]
    order: ColumnElement[int]
    if order_state:
        joined = t.intents.join(t.trades, tr.id == i.trade_id).join(t.decisions, d.id == i.decision_id)
        statement = columns.select_from(joined.outerjoin(*of_market))
        wanted += [i.portfolio == f.portfolio, copies.CONDITIONS[order_state]]
        order = i.trade_id
    elif by_decision:
        statement = columns.select_from(t.decisions.join(t.trades, d.trade_id == tr.id).outerjoin(*of_market))
        wanted.append(d.portfolio == f.portfolio)
        order = d.trade_id
    else:
        statement = columns.select_from(t.trades.outerjoin(t.decisions, of_portfolio).outerjoin(*of_market))
        order = tr.id
    if before is not None:
        wanted.append(order < before)
    rows = list(c.execute(statement.where(*wanted).order_by(order.desc()).limit(limit + 1)))
    page = rows[:limit]
    results = copies.of(c, [(r.decision_id, r.action) for r in page if r.decision_id is not None])
    names = labels(c)
    return [_trade_row(r, results, names) for r in page], page[-1].id if len(rows) > limit else None


def _asked_for(f: TradeFilter) -> tuple[str | None, copies.State | None]:
    """The action, and the state of the order, that a filter asks for."""
    if not f.state:
        return f.action, None
    state = copies.State(f.state)
    if state in copies.CONDITIONS:
        return f.action, state
    return {copies.State.SKIPPED: "skip", copies.State.WAITING: "wait"}[state], None


def _trade_row(r: Any, results: dict[int, Row], names: dict[str, str]) -> Row:
    seen = [x for x in (r.first_seen_by_api_at, r.first_seen_by_polygon_at) if x is not None]
    decided = None
    if r.decision_id is not None:
        decided = {"id": r.decision_id, "action": r.action, "reason": r.reason, "decided_at": iso(r.decided_at)}
        decided |= results[r.decision_id]
    return {
        **trade(r),
        "title": r.title or r.market_title,
        "outcome": r.outcome or r.market_outcome,
        "label": names.get(r.leader, ""),
        "lag_ms": max(0, (min(seen) - r.traded_at) // 1000) if seen else None,
        "decision": decided,
    }


POSITION_SORTS = {
    "cost": t.positions.c.cost_micro, "opened": t.positions.c.opened_at, "closed": t.positions.c.closed_at,
    "realized": t.positions.c.realized_pnl_micro, "shares": t.positions.c.shares_micro,
    "end": t.markets.c.end_at, "title": t.markets.c.title,
}  # fmt: skip


def positions(
    c: Connection, *, portfolio: str | None = None, leader: str | None = None, status: str | None = "open",
    sort: str = "cost", descending: bool = True, limit: int | None = 100, offset: int = 0,
) -> tuple[list[Row], int]:  # fmt: skip
    """Positions with their market, and how many there are. ``status``: open, closed, resolved; ``None`` = any.
    ``limit`` ``None`` = all."""
    p = t.positions.c
    wanted = [p.status == status if status and status != "open" else p.shares_micro > 0] if status else []
    wanted += [column == value for column, value in ((p.portfolio, portfolio), (p.leader, leader)) if value]
    joined = t.positions.outerjoin(t.markets, t.markets.c.token_id == p.token_id)
    column = POSITION_SORTS.get(sort, p.cost_micro)
    order = column.desc().nulls_last() if descending else column.asc().nulls_last()
    total = c.execute(select(func.count()).select_from(t.positions).where(*wanted)).scalar_one()
    columns = select(t.positions, t.markets.c.title, t.markets.c.slug, t.markets.c.end_at, t.markets.c.payout_micro)
    statement = columns.select_from(joined).where(*wanted).order_by(order, p.token_id, p.leader, p.portfolio)
    names = labels(c)
    rows = [
        {
            **position(r),
            "title": r.title,
            "slug": r.slug,
            "label": names.get(r.leader, ""),
            "market_end": iso(r.end_at),
            "payout": decimal(r.payout_micro),
        }
        for r in c.execute(statement.limit(limit).offset(offset))
    ]
    return rows, total


def holdings(c: Connection, leader: str, portfolio: str, limit: int = 100) -> list[Row]:
    """What a leader holds beside what was copied from him, the largest first."""
    h, p = t.leader_holdings.c, t.positions.c
    ours = and_(p.leader == h.leader, p.token_id == h.token_id, p.portfolio == portfolio)
    statement = (
        select(h.token_id, h.shares_micro, p.shares_micro.label("ours"), p.cost_micro, p.mark_price_micro,
               t.markets.c.title, t.markets.c.outcome, t.marks.c.bid_micro)
        .select_from(t.leader_holdings.outerjoin(t.positions, ours)
                     .outerjoin(t.markets, t.markets.c.token_id == h.token_id)
                     .outerjoin(t.marks, t.marks.c.token_id == h.token_id))
        .where(h.leader == leader, h.shares_micro > 0)
        .order_by(func.coalesce(p.shares_micro, 0).desc(), h.shares_micro.desc())
        .limit(limit)
    )  # fmt: skip
    return [
        {
            "token_id": r.token_id,
            "title": r.title,
            "outcome": r.outcome,
            "shares_micro": r.shares_micro,
            "our_shares_micro": r.ours or 0,
            "our_cost_micro": r.cost_micro or 0,
            "bid": decimal(r.bid_micro),
        }
        for r in c.execute(statement)
    ]


def audit(c: Connection, limit: int = 100) -> list[Row]:
    """Who changed which setting, newest first."""
    a = t.settings_audit
    return [
        {
            "at": iso(r.at), "name": r.name, "portfolio": r.portfolio, "leader": r.leader, "old": r.old, "new": r.new,
            "by": r.by,
        }
        for r in c.execute(select(a).order_by(a.c.id.desc()).limit(limit))
    ]  # fmt: skip
