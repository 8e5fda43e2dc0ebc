"""The daily summary: what the last 24 hours brought, in a few lines."""

from __future__ import annotations

from collections import Counter

from sqlalchemy import Connection, Engine, func, select

from pilotfish.core.numerals import count, gain, money, plural
from pilotfish.core.reasons import words
from pilotfish.core.units import SECOND
from pilotfish.store import tables as t
from pilotfish.store.database import snapshot
from pilotfish.store.views.foremost import foremost
from pilotfish.store.views.portfolios import Portfolio, read_portfolios

DAY = 86_400 * SECOND
MOST_REASONS = 3
MOST_PORTFOLIOS = 10


def summary(database: Engine, now: int) -> list[str]:
    """Lines for people about the 24 hours before ``now`` (µs): a line a portfolio, and why the rest was not copied; of
    many portfolios those that moved most in either direction."""
    since = now - DAY
    with snapshot(database) as c:
        seen = c.execute(select(func.count()).where(t.trades.c.traded_at >= since)).scalar_one()
        lines = [f"the last 24 hours: {plural(seen, 'trade')} of leaders"]
        active = [one for one in read_portfolios(c) if one.status == "active"]
        before = _worth(c, since)
        moved = {one.name: one.equity_micro - before.get(one.name, one.bankroll_micro) for one in active}
        some = foremost(active, MOST_PORTFOLIOS, lambda one: moved[one.name])
        for one in some:
            lines += _portfolio(c, one, since, moved[one.name])
        if len(some) < len(active):
            together = sum(moved.values()) - sum(moved[one.name] for one in some)
            lines.append(f"and {count(len(active) - len(some))} more portfolios: {gain(together)} together")
    return lines


def _worth(c: Connection, at: int) -> dict[str, int]:
    """What each portfolio was worth then (µs)."""
    p, e = t.portfolios.c, t.equity_snapshots.c
    latest = (
        select(e.id).where(e.portfolio == p.name, e.at <= at).order_by(e.at.desc()).limit(1).correlate(t.portfolios)
    )
    wanted = e.id.in_(select(latest.scalar_subquery()).select_from(t.portfolios))
    found = c.execute(select(e.portfolio, e.equity_micro).where(wanted))
    return {row.portfolio: row.equity_micro for row in found}


def _portfolio(c: Connection, one: Portfolio, since: int, moved: int) -> list[str]:
    d, f = t.decisions.c, t.fills.c
    decided: Counter[tuple[str, str]] = Counter()
    rows = select(d.action, d.reason, func.count()).where(d.portfolio == one.name, d.decided_at >= since)
    for action, reason, n in c.execute(rows.group_by(d.action, d.reason)):
        decided[action, reason] += n
    fills = c.execute(select(func.count()).where(f.portfolio == one.name, f.filled_at >= since)).scalar_one()
    copied = sum(n for (action, _), n in decided.items() if action == "copy")
    of = plural(sum(decided.values()), "decision")
    lines = [
        f"{one.name}: {money(one.equity_micro)} USDC ({gain(moved)}), {count(copied)} of {of} copied,"
        f" {plural(fills, 'fill')}, {count(one.open_positions)} open"
    ]
    skipped = Counter({reason: n for (action, reason), n in decided.items() if action == "skip"})
    if skipped:
        most = sorted(skipped.items(), key=lambda item: (-item[1], item[0]))[:MOST_REASONS]
        lines.append("not copied: " + "; ".join(f"{words(reason)} ({count(n)})" for reason, n in most))
    return lines
