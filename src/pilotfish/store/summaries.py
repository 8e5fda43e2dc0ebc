"""Figures over many rows: what the overview, ``status``, the demo's result and the latency page show."""

from __future__ import annotations

from collections import Counter
from typing import Any

from sqlalchemy import BigInteger, Connection, func, literal, select

from pilotfish.core.reasons import NEVER_COPIED, Reason
from pilotfish.core.units import price_of, proceeds_of
from pilotfish.store import copies
from pilotfish.store import tables as t
from pilotfish.store.queries import Row, decimal, iso
from pilotfish.store.rollup import CopyCounts, DecisionCounts, TradeCounts
from pilotfish.store.round_trips import TripCounts

CURVE_POINTS = 400


def counts(
    c: Connection, decisions: DecisionCounts | None = None, trades: TradeCounts | None = None,
    orders: CopyCounts | None = None,
) -> Row:  # fmt: skip
    """Trades by who saw them first, decisions by reason, fills and open positions. ``copied`` counts decisions to copy;
    ``filled``, ``out`` and ``not_filled`` what became of their orders (those before a reset are gone)."""
    first = (trades or TradeCounts()).read(c)
    once = c.execute(select(func.count()).select_from(t.trades).where(t.SEEN_ONCE)).scalar_one()
    became = (orders or CopyCounts()).states(c)
    decided: dict[str, Counter[str]] = {name: Counter() for name in ("copy", "skip", "wait", "exit")}
    for group, n in (decisions or DecisionCounts()).read(c).items():
        decided[group.action][group.reason] += n
    return {
        "trades": sum(first.values()),
        "trades_by_first_source": {"api": first.get("api", 0), "polygon": first.get("polygon", 0)},
        "seen_by_both": sum(first.values()) - once,
        "decisions": {
            "copied": sum(decided["copy"].values()),
            **{state.value: became[state] for state in copies.ORDERS},
            "skipped": dict(sorted(decided["skip"].items())),
            "waiting": sum(decided["wait"].values()),
            "own_exits": sum(decided["exit"].values()),
        },
        "fills": c.execute(select(func.count()).select_from(t.fills)).scalar_one(),
        "open_positions": c.execute(select(func.count()).where(t.positions.c.shares_micro > 0)).scalar_one(),
    }


def portfolios(c: Connection, trips: TripCounts | None = None) -> list[Row]:
    """Each portfolio with its latest valuation; ``won`` and ``lost`` count round trips, from flat to flat."""
    snapshots = t.equity_snapshots
    newest = snapshots.c.at.desc(), snapshots.c.id.desc()
    ended = (trips or TripCounts()).read(c)
    result = []
    for p in c.execute(select(t.portfolios).order_by(t.portfolios.c.created_at, t.portfolios.c.name)).all():
        e = c.execute(select(snapshots).where(snapshots.c.portfolio == p.name).order_by(*newest).limit(1)).first()
        result.append(
            {
                "name": p.name,
                "bankroll_micro": p.bankroll_micro,
                "equity_micro": e.equity_micro if e else p.bankroll_micro,
                "cash_micro": e.cash_micro if e else p.bankroll_micro,
                "positions_value_micro": e.positions_value_micro if e else 0,
                "unmarked_value_micro": (e.unmarked_value_micro if e else None) or 0,
                "equity_pessimistic_micro": (e.equity_micro - (e.unmarked_value_micro or 0)) if e else p.bankroll_micro,
                "exposure_micro": e.cost_micro if e else 0,
                "realized_pnl_micro": e.realized_pnl_micro if e else 0,
                "unrealized_pnl_micro": e.unrealized_pnl_micro if e else 0,
                "fees_micro": e.fees_micro if e else 0,
                "open_positions": e.open_positions if e else 0,
                "peak_micro": (e.peak_micro if e else None) or p.bankroll_micro,
                "drawdown_micro": (e.drawdown_micro if e else None) or 0,
                "won": ended.get(p.name, (0, 0))[0],
                "lost": ended.get(p.name, (0, 0))[1],
                "status": p.status,
                "follows_all": p.follows_all,
                "note": p.note or "",
                "created_at": iso(p.created_at),
                "reset_at": iso(p.reset_at),
                "valued_at": iso(e.at) if e else None,
            }
        )
    return result


def equity(c: Connection, portfolio: str, points: int = CURVE_POINTS, since: int | None = None) -> list[Row]:
    """A portfolio's equity over time: the last figure at each of ``points`` evenly spaced instants, the newest one
    included; all figures where there are no more. One index look-up a point, however many there are."""
    e = t.equity_snapshots.c
    mine = [e.portfolio == portfolio, *([e.at >= since] if since is not None else [])]
    first, last = c.execute(select(func.min(e.at), func.max(e.at)).where(*mine)).one()
    if first is None:
        return []
    some = list(c.execute(select(t.equity_snapshots).where(*mine).order_by(e.at, e.id).limit(points + 1)))
    if len(some) > points:
        step = max(1, -(-(last - first) // (points - 1)))
        instant = select(literal(first, BigInteger).label("at")).cte("instants", recursive=True)
        instants = instant.union_all(select(instant.c.at + step).where(instant.c.at < last))
        latest = (
            select(e.id).where(e.portfolio == portfolio, e.at <= instants.c.at).order_by(e.at.desc(), e.id.desc())
            .limit(1).correlate(instants).scalar_subquery()
        )  # fmt: skip
        chosen = select(latest.label("id")).select_from(instants).distinct().subquery()
        some = list(c.execute(select(t.equity_snapshots).join(chosen, chosen.c.id == e.id).order_by(e.at, e.id)))
    return [
        {
            "at": iso(r.at),
            "equity_micro": r.equity_micro,
            "cash_micro": r.cash_micro,
            "realized_pnl_micro": r.realized_pnl_micro,
            "unrealized_pnl_micro": r.unrealized_pnl_micro,
        }
        for r in some
    ]


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


def leaders(
    c: Connection, portfolio: str, decisions: DecisionCounts | None = None, orders: CopyCounts | None = None
) -> dict[str, Row]:
    """Wallet -> what a portfolio decided on their trades, and what it made of them. ``copied`` counts decisions to
    copy; ``filled``, ``out`` and ``not_filled`` what became of their orders."""
    result: dict[str, Row] = {}

    def of(wallet: str) -> Row:
        fresh = {
            "trades": 0, "backfill": 0, "copied": 0, "orders": 0, "orders_copied": 0, "filled": 0, "out": 0,
            "not_filled": 0, "skipped": {},
            "realized_pnl_micro": 0, "unrealized_pnl_micro": 0,
            "fees_micro": 0, "cost_micro": 0, "value_micro": 0, "open_positions": 0, "last_trade_at": None,
        }  # fmt: skip
        return result.setdefault(wallet, fresh)

    for group, n in (decisions or DecisionCounts()).read(c).items():
        if group.portfolio != portfolio or not group.leader or group.action == "exit":
            continue
        row = of(group.leader)
        if group.kind == "backfill" or group.reason == Reason.SKIP_BACKFILL:
            row["backfill"] += n
            continue
        row["trades"] += n
        if group.reason not in NEVER_COPIED:
            row["orders"] += 0 if group.further else n
            row["orders_copied"] += n if group.action == "copy" else 0
        if group.action == "copy":
            row["copied"] += n
        elif group.action == "skip":
            row["skipped"][group.reason] = row["skipped"].get(group.reason, 0) + n
    for order, n in (orders or CopyCounts()).read(c).items():
        if order.portfolio == portfolio:
            of(order.leader)[order.state] += n
    p = t.positions.c
    for r in c.execute(select(t.positions).where(p.portfolio == portfolio)):
        row = of(r.leader)
        worth = proceeds_of(r.shares_micro, r.mark_price_micro or 0)
        row["realized_pnl_micro"] += r.realized_pnl_micro
        row["fees_micro"] += r.fees_micro
        row["cost_micro"] += r.cost_micro
        row["value_micro"] += worth
        row["unrealized_pnl_micro"] += worth - r.cost_micro
        row["open_positions"] += r.shares_micro > 0
    tr = t.trades.c
    for wallet in c.execute(select(t.leaders.c.wallet)).scalars():
        last = select(tr.traded_at).where(tr.leader == wallet).order_by(tr.traded_at.desc()).limit(1)
        of(wallet)["last_trade_at"] = iso(c.execute(last).scalar())
    for row in result.values():
        row["skipped"] = dict(sorted(row["skipped"].items(), key=lambda item: -item[1]))
    return result
