"""Rows as people read them: pages, REST, commands and exports all take them from here.

Amounts in millionths end in ``_micro``, times are ISO 8601 UTC with microseconds, prices are decimals.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, TypeAlias

from sqlalchemy import Connection, Select, Table, and_, select

from pilotfish.core.units import MICRO, price_of, proceeds_of
from pilotfish.store import copies
from pilotfish.store import tables as t
from pilotfish.store.sources import listened

Row = dict[str, Any]
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
STREAMED = 1_000
"""Rows fetched at a time."""


def iso(micros: int | None) -> str | None:
    """µs since the epoch as ISO 8601 UTC."""
    if micros is None:
        return None
    return (_EPOCH + timedelta(microseconds=micros)).isoformat(timespec="microseconds").replace("+00:00", "Z")


def decimal(micro: int | None) -> float | None:
    """Millionths as a number for JSON."""
    return None if micro is None else micro / MICRO


def trade(r: Any) -> Row:
    """A leader's trade."""
    return {
        "id": r.id,
        "leader": r.leader,
        "tx_hash": r.tx_hash,
        "token_id": r.token_id,
        "condition_id": r.condition_id,
        "outcome": r.outcome,
        "title": r.title,
        "side": r.side,
        "shares_micro": r.shares_micro,
        "usdc_micro": r.usdc_micro,
        "price": decimal(price_of(r.usdc_micro, r.shares_micro)),
        "fee_micro": r.fee_micro,
        "occurrence": r.occurrence,
        "order_hash": r.order_hash,
        "role": r.role,
        "exchange": r.exchange,
        "block_number": r.block_number,
        "log_index": r.log_index,
        "traded_at": iso(r.traded_at),
        "traded_at_estimated": r.traded_at_estimated,
        "first_source": r.first_source,
        "first_seen_by_api_at": iso(r.first_seen_by_api_at),
        "first_seen_by_polygon_at": iso(r.first_seen_by_polygon_at),
        "api_lagged": r.api_lagged,
        "is_backfill": r._mapping["class"] == "backfill",
        "class": r._mapping["class"],
        "leader_pre_sell_shares_micro": r.leader_pre_sell_shares_micro,
        "status": "active" if r.retracted_at is None else "retracted",
    }


def decision(r: Any) -> Row:
    """A portfolio's decision on a trade, with its trace."""
    return {
        "id": r.id,
        "trade_id": r.trade_id,
        "adjustment_id": r.adjustment_id,
        "rule": r.rule,
        "portfolio": r.portfolio,
        "leader": r.leader,
        "token_id": r.token_id,
        "side": r.side,
        "action": r.action,
        "reason": r.reason,
        "class": r._mapping["class"],
        "wanted_usdc_micro": r.wanted_usdc_micro,
        "granted_usdc_micro": r.granted_usdc_micro,
        "decided_at": iso(r.decided_at),
        "trace": [{"check": c, "value": value, "limit": limit, "passed": ok} for c, value, limit, ok in r.trace],
    }


def intent(r: Any) -> Row:
    """What a copy set out to do, and how far it got."""
    return {
        "id": r.id,
        "decision_id": r.decision_id,
        "trade_id": r.trade_id or None,
        "portfolio": r.portfolio,
        "leader": r.leader,
        "token_id": r.token_id,
        "side": r.side,
        "shares_micro": r.shares_micro,
        "budget_micro": r.budget_micro,
        "filled_shares_micro": r.filled_shares_micro,
        "limit_price": decimal(r.limit_price_micro),
        "leader_price": decimal(r.leader_price_micro),
        "state": r.state,
        "reason": r.reason,
        "attempts": r.attempts,
        "created_at": iso(r.created_at),
        "due_at": iso(r.due_at),
    }


def fill(r: Any) -> Row:
    """A paper fill."""
    return {
        "id": r.id,
        "intent_id": r.intent_id,
        "portfolio": r.portfolio,
        "leader": r.leader,
        "token_id": r.token_id,
        "side": r.side,
        "shares_micro": r.shares_micro,
        "usdc_micro": r.usdc_micro,
        "price": decimal(r.price_micro),
        "fee_micro": r.fee_micro,
        "leader_price": decimal(r.leader_price_micro),
        "filled_at": iso(r.filled_at),
        "levels": [{"price": decimal(price), "shares_micro": shares} for price, shares in r.levels],
        "delay_cost_micro": r.delay_cost_micro,
        "spread_cost_micro": r.spread_cost_micro,
        "status": r.status,
    }


def position(r: Any) -> Row:
    """Shares copied from one leader in one token."""
    return {
        "portfolio": r.portfolio,
        "leader": r.leader,
        "token_id": r.token_id,
        "condition_id": r.condition_id,
        "outcome": r.outcome,
        "shares_micro": r.shares_micro,
        "cost_micro": r.cost_micro,
        "realized_pnl_micro": r.realized_pnl_micro,
        "fees_micro": r.fees_micro,
        "mark_price": decimal(r.mark_price_micro),
        "unmarked_since": iso(r.unmarked_since),
        "value_micro": proceeds_of(r.shares_micro, r.mark_price_micro or 0),
        "unrealized_pnl_micro": proceeds_of(r.shares_micro, r.mark_price_micro or 0) - r.cost_micro,
        "status": r.status,
        "opened_at": iso(r.opened_at),
        "closed_at": iso(r.closed_at),
    }


def holding(r: Any) -> Row:
    """What a leader holds of a token."""
    return {
        "leader": r.leader,
        "token_id": r.token_id,
        "shares_micro": r.shares_micro,
        "updated_at": iso(r.updated_at),
    }


def adjustment(r: Any) -> Row:
    """A correction of a leader's holding that no trade explains, with its cause."""
    return {
        "id": r.id,
        "leader": r.leader,
        "token_id": r.token_id,
        "before_micro": r.before_micro,
        "delta_micro": r.delta_micro,
        "cause": r.cause,
        "tx_hash": r.tx_hash,
        "at": iso(r.at),
    }


def latency(r: Any) -> Row:
    """When each source saw a trade (``api_behind_polygon_ms`` > 0 = the chain was first)."""
    api, chain = r.first_seen_by_api_at, r.first_seen_by_polygon_at
    return {
        "id": r.id,
        "leader": r.leader,
        "tx_hash": r.tx_hash,
        "traded_at": iso(r.traded_at),
        "first_source": r.first_source,
        "first_seen_by_api_at": iso(api),
        "first_seen_by_polygon_at": iso(chain),
        "api_behind_polygon_ms": None if api is None or chain is None else (api - chain) // 1000,
        "api_lagged": r.api_lagged,
    }


def ledger_entry(r: Any) -> Row:
    """A movement of cash."""
    return {
        "id": r.id,
        "portfolio": r.portfolio,
        "at": iso(r.at),
        "kind": r.kind,
        "amount_micro": r.amount_micro,
        "leader": r.leader,
        "token_id": r.token_id,
        "fill_id": r.fill_id,
    }


KINDS: dict[str, tuple[Table, Callable[[Any], Row], tuple[str, ...]]] = {
    "trades": (t.trades, trade, ("id",)),
    "decisions": (t.decisions, decision, ("id",)),
    "intents": (t.intents, intent, ("id",)),
    "fills": (t.fills, fill, ("id",)),
    "positions": (t.positions, position, ("portfolio", "leader", "token_id")),
    "holdings": (t.leader_holdings, holding, ("leader", "token_id")),
    "ledger": (t.ledger_entries, ledger_entry, ("id",)),
    "adjustments": (t.holding_adjustments, adjustment, ("id",)),
    "latency": (t.trades, latency, ("id",)),
}
"""What can be exported: the table, the shape of a row, the order."""


def export(c: Connection, kind: str, **equal: object) -> Iterator[Row]:
    """All rows of a kind, oldest first, read in pieces so that any number fits in memory. ``equal``: columns and what
    they must be; ``None`` = any, and a column that the kind does not have is passed over."""
    table, shape, order = KINDS[kind]
    statement = select(table).order_by(*(table.c[name] for name in order))
    for name, value in equal.items():
        if value is not None and name in table.c:
            statement = statement.where(table.c[name] == value)
    if kind == "holdings":
        statement = statement.where(table.c.shares_micro > 0)
    elif kind == "adjustments":  # what a snapshot said and trades explain is kept for restarts, and corrects nothing
        statement = statement.where(table.c.delta_micro != 0)
    found = c.execution_options(yield_per=STREAMED).execute(statement)
    if kind == "latency":
        heard = listened(c, "polygon")
        yield from ({**latency(r), "polygon_on": heard.at(r.traded_at)} for r in found)
    elif kind == "decisions":
        yield from copies.with_states(c, map(decision, found))
    else:
        yield from map(shape, found)


def newest(
    c: Connection, kind: str, *, limit: int, before_id: int | None = None, **equal: object
) -> tuple[list[Row], int | None]:
    """The newest rows of a kind that has ids, and the id to continue before (``None`` = that was all)."""
    table, shape, _ = KINDS[kind]
    statement: Select[Any] = select(table).order_by(table.c.id.desc()).limit(limit + 1)
    wanted = [table.c[name] == value for name, value in equal.items() if value is not None]
    if before_id is not None:
        wanted.append(table.c.id < before_id)
    rows = list(c.execute(statement.where(and_(*wanted)) if wanted else statement))
    page = rows[:limit]
    found = [shape(r) for r in page]
    if kind == "decisions":
        found = list(copies.with_states(c, found))
    return found, page[-1].id if len(rows) > limit else None


Whom: TypeAlias = Literal["followed", "former", "all"]
"""Leaders that are followed (paused ones too), that were followed once, or both."""


def leaders(c: Connection, whom: Whom = "followed") -> list[Row]:
    """Leaders in the order in which they were added. Formerly followed ones have the status ``removed`` and, as
    ``left_at``, when that was."""
    removed = t.leaders.c.status == "removed"
    statement = (
        select(t.leaders, t.cursors.c.follow_from, t.cursors.c.api_cursor_ts)
        .outerjoin(t.cursors, t.cursors.c.leader == t.leaders.c.wallet)
        .order_by(t.leaders.c.added_at, t.leaders.c.wallet)
    )
    if whom != "all":
        statement = statement.where(removed if whom == "former" else ~removed)
    return [
        {
            "wallet": r.wallet,
            "label": r.label,
            "status": r.status,
            "added_at": iso(r.added_at),
            "followed_from": iso(r.follow_from),
            "left_at": iso(r.updated_at) if r.status == "removed" else None,
            "api_cursor_ts": r.api_cursor_ts,
        }
        for r in c.execute(statement)
    ]


def trade_with_decisions(c: Connection, trade_id: int) -> Row | None:
    """One trade with its raw payload, and each portfolio's decision with intents and fills; ``None`` = no such."""
    row = c.execute(select(t.trades).where(t.trades.c.id == trade_id)).first()
    if row is None:
        return None
    raw = c.execute(select(t.trade_raw.c.payload).where(t.trade_raw.c.trade_id == trade_id)).scalar()
    decided = select(t.decisions).where(t.decisions.c.trade_id == trade_id).order_by(t.decisions.c.portfolio)
    rows = list(copies.with_states(c, [decision(d) for d in c.execute(decided)]))
    on = {"polygon_on": listened(c, "polygon").at(row.traded_at)}
    return {**trade(row), **on, "decisions": [with_intents(c, d) for d in rows], "raw": raw}


def with_intents(c: Connection, row: Row) -> Row:
    """A decision with its intents, each with its fills."""
    intents = [intent(i) for i in c.execute(select(t.intents).where(t.intents.c.decision_id == row["id"]))]
    for one in intents:
        filled = select(t.fills).where(t.fills.c.intent_id == one["id"]).order_by(t.fills.c.id)
        one["fills"] = [fill(f) for f in c.execute(filled)]
    return {**row, "intents": intents}


def decisions_of(c: Connection, trade_ids: list[int]) -> dict[int, list[Row]]:
    """What was decided on trades, and what became of it: by trade, a row for each portfolio."""
    d = t.decisions.c
    query = select(d.id, d.trade_id, d.portfolio, d.action, d.reason).where(d.trade_id.in_(trade_ids))
    rows = list(c.execute(query.order_by(d.portfolio)))
    became = copies.of(c, [(r.id, r.action) for r in rows])
    found: dict[int, list[Row]] = {}
    for r in rows:
        row = {"id": r.id, "portfolio": r.portfolio, "action": r.action, "reason": r.reason, **became[r.id]}
        found.setdefault(r.trade_id, []).append(row)
    return found
