"""Figures over many rows: what the overview, ``status``, the demo's result and the latency page show."""

from __future__ import annotations

import time
from itertools import pairwise
from typing import Any

from sqlalchemy import Connection, case, func, select

from pilotfish.core.units import price_of
from pilotfish.store import tables as t
from pilotfish.store.queries import Row, decimal, iso

CURVE_POINTS = 400
LAG_SAMPLE = 20_000


def counts(c: Connection) -> Row:
    """Trades by who saw them first, decisions by reason, fills and open positions."""
    first = {
        r.first_source: r.n
        for r in c.execute(select(t.trades.c.first_source, func.count().label("n")).group_by(t.trades.c.first_source))
    }
    both = c.execute(
        select(func.count()).where(
            t.trades.c.first_seen_by_api_at.is_not(None), t.trades.c.first_seen_by_polygon_at.is_not(None)
        )
    ).scalar_one()
    decided: dict[str, dict[str, int]] = {"copy": {}, "skip": {}, "wait": {}, "exit": {}}
    grouped = select(t.decisions.c.action, t.decisions.c.reason, func.count().label("n"))
    for r in c.execute(grouped.group_by(t.decisions.c.action, t.decisions.c.reason)):
        decided[r.action][r.reason] = r.n
    return {
        "trades": sum(first.values()),
        "trades_by_first_source": {"api": first.get("api", 0), "polygon": first.get("polygon", 0)},
        "seen_by_both": both,
        "decisions": {
            "copied": sum(decided["copy"].values()),
            "skipped": dict(sorted(decided["skip"].items())),
            "waiting": sum(decided["wait"].values()),
            "own_exits": sum(decided["exit"].values()),
        },
        "fills": c.execute(select(func.count()).select_from(t.fills)).scalar_one(),
        "open_positions": c.execute(select(func.count()).where(t.positions.c.shares_micro > 0)).scalar_one(),
    }


def portfolios(c: Connection) -> list[Row]:
    """Each portfolio with its latest valuation."""
    newest = select(func.max(t.equity_snapshots.c.id)).group_by(t.equity_snapshots.c.portfolio)
    last = {r.portfolio: r for r in c.execute(select(t.equity_snapshots).where(t.equity_snapshots.c.id.in_(newest)))}
    shut = _shut(c)
    result = []
    for p in c.execute(select(t.portfolios).order_by(t.portfolios.c.name)):
        e = last.get(p.name)
        result.append(
            {
                "name": p.name,
                "bankroll_micro": p.bankroll_micro,
                "equity_micro": e.equity_micro if e else p.bankroll_micro,
                "cash_micro": e.cash_micro if e else p.bankroll_micro,
                "positions_value_micro": e.positions_value_micro if e else 0,
                "exposure_micro": e.cost_micro if e else 0,
                "realized_pnl_micro": e.realized_pnl_micro if e else 0,
                "unrealized_pnl_micro": e.unrealized_pnl_micro if e else 0,
                "fees_micro": e.fees_micro if e else 0,
                "open_positions": e.open_positions if e else 0,
                "peak_micro": (e.peak_micro if e else None) or p.bankroll_micro,
                "drawdown_micro": (e.drawdown_micro if e else None) or 0,
                "won": shut.get(p.name, (0, 0))[0],
                "lost": shut.get(p.name, (0, 0))[1],
                "status": p.status,
                "follows_all": p.follows_all,
                "note": p.note or "",
                "created_at": iso(p.created_at),
                "reset_at": iso(p.reset_at),
                "valued_at": iso(e.at) if e else None,
            }
        )
    return result


def _shut(c: Connection) -> dict[str, tuple[int, int]]:
    """Positions that are closed or resolved: won and lost, by portfolio."""
    p = t.positions.c
    won = func.sum(case((p.realized_pnl_micro > 0, 1), else_=0))
    query = select(p.portfolio, won.label("won"), func.count().label("n")).where(p.shares_micro == 0)
    return {r.portfolio: (int(r.won or 0), r.n - int(r.won or 0)) for r in c.execute(query.group_by(p.portfolio))}


def equity(c: Connection, portfolio: str, points: int = CURVE_POINTS) -> list[Row]:
    """A portfolio's equity over time, thinned to about ``points`` and always ending with the newest."""
    mine = t.equity_snapshots.c.portfolio == portfolio
    total = c.execute(select(func.count()).select_from(t.equity_snapshots).where(mine)).scalar_one()
    step = max(1, total // points)
    number = func.row_number().over(order_by=t.equity_snapshots.c.id.desc()).label("number")
    numbered = select(t.equity_snapshots, number).where(mine).subquery()
    chosen = select(numbered).where((numbered.c.number - 1) % step == 0).order_by(numbered.c.id)
    return [
        {
            "at": iso(r.at),
            "equity_micro": r.equity_micro,
            "cash_micro": r.cash_micro,
            "realized_pnl_micro": r.realized_pnl_micro,
            "unrealized_pnl_micro": r.unrealized_pnl_micro,
        }
        for r in c.execute(chosen)
    ]


def feed(c: Connection, limit: int, portfolio: str | None = None) -> list[Row]:
    """What just happened: the newest decisions with their trades, and what the copies got."""
    newest = select(t.decisions).order_by(t.decisions.c.id.desc()).limit(limit)
    if portfolio is not None:
        newest = newest.where(t.decisions.c.portfolio == portfolio)
    d = newest.subquery()
    statement = (
        select(
            d.c.id,
            d.c.trade_id,
            d.c.adjustment_id,
            d.c.portfolio,
            d.c.action,
            d.c.reason,
            d.c.decided_at,
            func.coalesce(t.trades.c.leader, t.holding_adjustments.c.leader).label("leader"),
            t.trades.c.side,
            func.coalesce(t.trades.c.shares_micro, -t.holding_adjustments.c.delta_micro).label("shares_micro"),
            t.holding_adjustments.c.cause,
            t.trades.c.usdc_micro,
            func.coalesce(t.trades.c.traded_at, t.holding_adjustments.c.at).label("traded_at"),
            t.trades.c.first_source,
            t.trades.c.first_seen_by_api_at,
            t.trades.c.first_seen_by_polygon_at,
            t.trades.c.title,
            t.trades.c.outcome,
            t.leaders.c.label,
            t.markets.c.title.label("market_title"),
            t.markets.c.outcome.label("market_outcome"),
        )
        .outerjoin(t.trades, t.trades.c.id == d.c.trade_id)
        .outerjoin(t.holding_adjustments, t.holding_adjustments.c.id == d.c.adjustment_id)
        .outerjoin(t.leaders, t.leaders.c.wallet == func.coalesce(t.trades.c.leader, t.holding_adjustments.c.leader))
        .outerjoin(
            t.markets, t.markets.c.token_id == func.coalesce(t.trades.c.token_id, t.holding_adjustments.c.token_id)
        )
        .order_by(d.c.id.desc())
    )
    rows = list(c.execute(statement))
    got = _results(c, [r.id for r in rows if r.action == "copy"])
    return [_feed_row(r, got.get(r.id)) for r in rows]


def _results(c: Connection, decisions: list[int]) -> dict[int, Any]:
    """Intent state and what was filled, by decision."""
    if not decisions:
        return {}
    statement = (
        select(
            t.intents.c.decision_id,
            func.min(t.intents.c.state).label("state"),
            func.sum(t.fills.c.shares_micro).label("shares"),
            func.sum(t.fills.c.usdc_micro).label("usdc"),
        )
        .outerjoin(t.fills, t.fills.c.intent_id == t.intents.c.id)
        .where(t.intents.c.decision_id.in_(decisions), t.intents.c.trade_id != 0)
        .group_by(t.intents.c.decision_id)
    )
    return {r.decision_id: r for r in c.execute(statement)}


def _feed_row(r: Any, got: Any | None) -> Row:
    seen = [x for x in (r.first_seen_by_api_at, r.first_seen_by_polygon_at) if x is not None]
    return {
        "id": r.id,
        "trade_id": r.trade_id,
        "portfolio": r.portfolio,
        "action": r.action,
        "reason": r.reason,
        "decided_at": iso(r.decided_at),
        "leader": r.leader,
        "label": r.label or "",
        "title": r.title or r.market_title or "",
        "outcome": r.outcome or r.market_outcome or "",
        "side": r.side or r.cause,
        "shares_micro": r.shares_micro,
        "price": decimal(price_of(r.usdc_micro, r.shares_micro)) if r.usdc_micro is not None else None,
        "traded_at": iso(r.traded_at),
        "first_source": r.first_source or "api",
        "seen_by_both": len(seen) == 2,
        "source_gap_ms": (seen[0] - seen[1]) // 1000 if len(seen) == 2 else None,
        "lag_ms": max(0, (min(seen) - r.traded_at) // 1000) if seen else None,
        "intent_state": got.state if got else None,
        "our_shares_micro": int(got.shares) if got and got.shares is not None else None,
        "our_price": decimal(price_of(int(got.usdc), int(got.shares))) if got and got.shares else None,
    }


def latency(c: Connection) -> Row:
    """How far apart the two sources were, over the newest trades that both saw (positive = chain first)."""
    gap = t.trades.c.first_seen_by_api_at - t.trades.c.first_seen_by_polygon_at
    both = (
        select(gap.label("gap"), t.trades.c.id)
        .where(t.trades.c.first_seen_by_api_at.is_not(None), t.trades.c.first_seen_by_polygon_at.is_not(None))
        .order_by(t.trades.c.id.desc())
        .limit(LAG_SAMPLE)
    ).subquery()
    gaps = sorted(int(g) // 1000 for g in c.execute(select(both.c.gap)).scalars())
    missing = c.execute(
        select(
            func.sum(case((t.trades.c.first_seen_by_api_at.is_(None), 1), else_=0)).label("api"),
            func.sum(case((t.trades.c.first_seen_by_polygon_at.is_(None), 1), else_=0)).label("polygon"),
            func.sum(case((t.trades.c.api_lagged, 1), else_=0)).label("lagged"),
        ).where(t.trades.c["class"] != "backfill")
    ).one()
    return {
        "seen_by_both": len(gaps),
        "chain_first": sum(1 for g in gaps if g > 0),
        "api_first": sum(1 for g in gaps if g <= 0),
        "api_behind_chain_ms": {f"p{p}": _percentile(gaps, p) for p in (50, 90, 99)},
        "histogram": _histogram(gaps),
        "only_polygon": int(missing.api or 0),
        "only_api": int(missing.polygon or 0),
        "api_lagged": int(missing.lagged or 0),
    }


BUCKETS_MS = (-10_000, -5_000, -2_000, -1_000, 0, 1_000, 2_000, 3_000, 5_000, 8_000, 13_000, 21_000, 60_000)
"""Edges of the histogram: below 0 the API was first."""


def _histogram(gaps: list[int]) -> list[Row]:
    """How many trades the API was behind the chain by: from ``from_ms`` (inclusive) to ``to_ms`` (exclusive)."""
    edges: list[int | None] = [None, *BUCKETS_MS, None]
    return [
        {
            "from_ms": low,
            "to_ms": high,
            "trades": sum((low is None or g >= low) and (high is None or g < high) for g in gaps),
        }
        for low, high in pairwise(edges)
    ]


def _percentile(ordered: list[int], p: int) -> int | None:
    return ordered[min(len(ordered) - 1, len(ordered) * p // 100)] if ordered else None


def worker(c: Connection) -> tuple[Row | None, float | None]:
    """What the worker last said of itself, and how many seconds ago."""
    row = c.execute(select(t.worker_status).where(t.worker_status.c.name == "worker")).first()
    if row is None:
        return None, None
    data: Row = row.data
    return data, max(0.0, time.time() - row.at / 1e6)


def bad_inputs(c: Connection, limit: int = 50) -> list[Row]:
    """Inputs that could not be used, newest first."""
    rows = c.execute(select(t.bad_inputs).order_by(t.bad_inputs.c.at.desc()).limit(limit))
    return [{"at": iso(r.at), "source": r.source, "error": r.error, "payload": r.payload} for r in rows]
