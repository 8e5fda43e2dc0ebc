"""What just happened, and what could not be used: what the overview and ``status`` show of it."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, select

from pilotfish.core.units import price_of
from pilotfish.store import copies
from pilotfish.store import tables as t
from pilotfish.store.queries import Row
from pilotfish.store.views.base import decimal, iso


def feed(c: Connection, limit: int) -> list[Row]:
    """What just happened: the newest decisions with their trades, and what the copies got."""
    d = select(t.decisions).order_by(t.decisions.c.id.desc()).limit(limit).subquery()
    tr, moved = t.trades.c, t.holding_adjustments.c
    statement = (
        select(
            d, tr.shares_micro, tr.usdc_micro, tr.traded_at, tr.first_source, tr.first_seen_by_api_at,
            tr.first_seen_by_polygon_at, tr.title, tr.outcome, moved.cause, moved.delta_micro,
            moved.at.label("moved_at"), t.leaders.c.label, t.markets.c.title.label("market_title"),
            t.markets.c.outcome.label("market_outcome"),
        )
        .outerjoin(t.trades, tr.id == d.c.trade_id)
        .outerjoin(t.holding_adjustments, moved.id == d.c.adjustment_id)
        .outerjoin(t.leaders, t.leaders.c.wallet == d.c.leader)
        .outerjoin(t.markets, t.markets.c.token_id == d.c.token_id)
        .order_by(d.c.id.desc())
    )  # fmt: skip
    rows = list(c.execute(statement))
    became = copies.of(c, [(r.id, r.action) for r in rows])
    return [_feed_row(r, became[r.id]) for r in rows]


def _feed_row(r: Any, became: Row) -> Row:
    seen = [x for x in (r.first_seen_by_api_at, r.first_seen_by_polygon_at) if x is not None]
    moved = -r.delta_micro if r.delta_micro is not None else None
    ours = became["our_shares_micro"]
    return {
        "id": r.id,
        "trade_id": r.trade_id,
        "portfolio": r.portfolio,
        "action": r.action,
        "reason": r.reason,
        "decided_at": iso(r.decided_at),
        "leader": r.leader or "",
        "label": r.label or "",
        "title": r.title or r.market_title or "",
        "outcome": r.outcome or r.market_outcome or "",
        "side": r.cause or r.side or "",
        "shares_micro": r.shares_micro if r.shares_micro is not None else moved if moved is not None else ours,
        "price": decimal(price_of(r.usdc_micro, r.shares_micro)) if r.usdc_micro is not None else None,
        "traded_at": iso(r.traded_at if r.traded_at is not None else r.moved_at),
        "first_source": r.first_source or "api",
        "seen_by_both": len(seen) == 2,
        "source_gap_ms": (seen[0] - seen[1]) // 1000 if len(seen) == 2 else None,
        "lag_ms": max(0, (min(seen) - r.traded_at) // 1000) if seen else None,
        **became,
    }


def bad_inputs(c: Connection, limit: int = 50) -> list[Row]:
    """Inputs that could not be used, newest first."""
    rows = c.execute(select(t.bad_inputs).order_by(t.bad_inputs.c.at.desc()).limit(limit))
    return [{"at": iso(r.at), "source": r.source, "error": r.error, "payload": r.payload} for r in rows]
