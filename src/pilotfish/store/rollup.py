"""Counts kept up from the last look: decisions by portfolio, leader, action, reason and class, of which what is final
is counted once and only what still waits is counted again; and trades by who saw them first."""

from __future__ import annotations

import threading
from collections import Counter
from typing import NamedTuple

from sqlalchemy import Connection, case, func, select, text

from pilotfish.store import tables as t


class Group(NamedTuple):
    """What decisions are counted by."""

    portfolio: str
    leader: str
    action: str
    reason: str
    kind: str
    further: bool = False
    """On a further fill of an order, where sizes go by order."""


class DecisionCounts:
    """One for each database that is read from."""

    def __init__(self) -> None:
        self._final: Counter[Group] = Counter()
        self._upto = 0
        self._lock = threading.Lock()

    def read(self, c: Connection) -> Counter[Group]:
        """All decisions ever, counted."""
        d = t.decisions.c
        with self._lock:
            newest = int(c.execute(select(func.max(d.id))).scalar() or 0)
            if newest < self._upto:
                self._final, self._upto = Counter(), 0
            waiting = c.execute(select(func.min(d.id)).where(d.action == "wait")).scalar()
            final = newest if waiting is None else int(waiting) - 1
            if final > self._upto:
                self._final += self._count(c, self._upto, final)
                self._upto = final
            return self._final + self._count(c, self._upto, newest) if newest > self._upto else Counter(self._final)

    def _count(self, c: Connection, above: int, upto: int) -> Counter[Group]:
        d = t.decisions.c
        further = case((d.sized_by_order.is_(True) & d.order_decision_id.is_not(None), 1), else_=0).label("further")
        by = (d.portfolio, d.leader, d.action, d.reason, d["class"], further)
        query = (
            select(*by, func.count().label("n")).where(d.id > above, d.id <= upto).group_by(*by[:-1], text("further"))
        )
        return Counter(
            {Group(r[0], r[1] or "", r[2], r[3], r[4] or "", bool(r.further)): r.n for r in c.execute(query)}
        )


class TradeCounts:
    """Trades by who saw them first. One for each database that is read from."""

    def __init__(self) -> None:
        self._first: Counter[str] = Counter()
        self._upto = 0
        self._lock = threading.Lock()

    def read(self, c: Connection) -> Counter[str]:
        """All trades ever, by first source."""
        tr = t.trades.c
        with self._lock:
            newest = int(c.execute(select(func.max(tr.id))).scalar() or 0)
            if newest < self._upto:
                self._first, self._upto = Counter(), 0
            query = select(tr.first_source, func.count()).where(tr.id > self._upto, tr.id <= newest)
            self._first += Counter({r[0]: r[1] for r in c.execute(query.group_by(tr.first_source))})
            self._upto = newest
            return Counter(self._first)
