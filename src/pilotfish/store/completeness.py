"""What is missing of leaders' histories, for pages, ``status`` and ``verify``."""

from __future__ import annotations

from sqlalchemy import Connection, func, select

from pilotfish.core.units import SECOND
from pilotfish.store import tables as t
from pilotfish.store.queries import Row
from pilotfish.store.views.base import iso

MOST = 1_000
"""Gaps that are looked at, the newest first."""


def incomplete(c: Connection) -> list[Row]:
    """Stretches of which not all rows could be had, by leader and time, neighbouring ones as one.

    ``from`` and ``to`` are the first and the last second; ``told`` says it in words. What is from before the present
    follow of a leader is left out: nothing from then is taken in any more.
    """
    g = t.history_gaps.c
    newest = select(g.leader, g.from_ts, g.to_ts, t.leaders.c.label).where(g.is_open)
    newest = newest.outerjoin(t.leaders, t.leaders.c.wallet == g.leader)
    newest = newest.outerjoin(t.cursors, t.cursors.c.leader == g.leader)
    newest = newest.where(g.to_ts >= func.coalesce(t.cursors.c.floor_ts, 0)).order_by(g.from_ts.desc()).limit(MOST)
    found: list[tuple[str, str, int, int]] = []
    for r in sorted(c.execute(newest), key=lambda r: (r.leader, r.from_ts)):
        if found and found[-1][0] == r.leader and r.from_ts <= found[-1][3] + 1:
            wallet, label, low, high = found.pop()
            found.append((wallet, label, low, max(high, r.to_ts)))
        else:
            found.append((r.leader, r.label or "", r.from_ts, r.to_ts))
    return [_row(*each) for each in found]


def _row(wallet: str, label: str, low: int, high: int) -> Row:
    name = f"{label} ({wallet})" if label else wallet
    begin, end = (str(iso(second * SECOND))[:19] for second in (low, high))
    return {
        "leader": wallet,
        "label": label,
        "from": iso(low * SECOND),
        "to": iso(high * SECOND),
        "told": f"history of {name} incomplete between {begin} and {end} UTC",
    }
