"""Counts kept up from the last look: decisions by portfolio, leader, action, reason and class, of which what is final
is counted once and only what still waits is counted again; orders of copies by what became of them; and trades by who
saw them first."""

from __future__ import annotations

import threading
from collections import Counter
from typing import NamedTuple

from sqlalchemy import Connection, case, func, select, text

from pilotfish.store import copies
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


class Order(NamedTuple):
    """What copies are counted by."""

    portfolio: str
    leader: str
    state: str


class CopyCounts:
    """Orders of copies by what became of them: what has ended is counted once, what is out again at each look. One for
    each database that is read from."""

    def __init__(self) -> None:
        self._ended: Counter[Order] = Counter()
        self._upto = 0
        self._resets: dict[str, int] = {}
        self._lock = threading.Lock()

    def read(self, c: Connection) -> Counter[Order]:
        """All orders of copies that are there, counted."""
        i, p = t.intents.c, t.portfolios.c
        with self._lock:
            newest = int(c.execute(select(func.max(i.id))).scalar() or 0)
            resets = {r.name: r.reset_at or 0 for r in c.execute(select(p.name, p.reset_at))}
            if newest < self._upto or any(resets.get(name) != at for name, at in self._resets.items()):
                self._ended, self._upto = Counter(), 0
            self._resets = resets
            first = c.execute(select(func.min(i.id + 0)).where(i.state.in_(("pending", "working")))).scalar()
            ended = newest if first is None else int(first) - 1
            if ended > self._upto:
                self._ended += self._count(c, self._upto, ended)
                self._upto = ended
            return self._ended + self._count(c, self._upto, newest) if newest > self._upto else Counter(self._ended)

    def states(self, c: Connection, portfolio: str | None = None) -> Counter[str]:
        """The same by state alone, of one portfolio or of all."""
        found: Counter[str] = Counter()
        for order, n in self.read(c).items():
            if portfolio in (None, order.portfolio):
                found[order.state] += n
        return found

    def _count(self, c: Connection, above: int, upto: int) -> Counter[Order]:
        i, d = t.intents.c, t.decisions.c
        by = (i.portfolio, i.leader, copies.STATE.label("became"))
        query = select(*by, func.count().label("n")).join(t.decisions, d.id == i.decision_id)
        mine = (i.id > above, i.id <= upto, d.action == "copy", copies.IS_THE_ORDER)
        return Counter({Order(r[0], r[1], r[2]): r.n for r in c.execute(query.where(*mine).group_by(*by))})


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
