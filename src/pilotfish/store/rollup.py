"""Counts kept up from the last look: decisions by portfolio, leader, action, reason and class, of which what is final
is counted once and only what still waits is counted again; orders of copies by what became of them; and trades by who
saw them first."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

import msgspec
from sqlalchemy import Connection, case, func, select, text

from pilotfish.core.reasons import Action, Reason
from pilotfish.core.trade import Source, TradeClass
from pilotfish.store import copies
from pilotfish.store import tables as t
from pilotfish.store.copies import State
from pilotfish.store.mapping import read_rows


class Group(NamedTuple):
    """What decisions are counted by."""

    portfolio: str
    leader: str
    action: Action
    reason: Reason
    kind: TradeClass | None
    further: bool
    """On a further fill of an order, where sizes go by order."""


class _Decisions(msgspec.Struct, frozen=True):
    portfolio: str
    leader: str | None
    action: Action
    reason: Reason
    kind: TradeClass | None
    further: int
    n: int


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
        by = (d.portfolio, d.leader, d.action, d.reason, d["class"])
        query = select(*by[:-1], d["class"].label("kind"), further, func.count().label("n"))
        query = query.where(d.id > above, d.id <= upto).group_by(*by, text("further"))
        return Counter(
            {
                Group(r.portfolio, r.leader or "", r.action, r.reason, r.kind, bool(r.further)): r.n
                for r in read_rows(c, _Decisions, query)
            }
        )


class Order(NamedTuple):
    """What copies are counted by."""

    portfolio: str
    leader: str
    state: State


class _Orders(msgspec.Struct, frozen=True):
    portfolio: str
    leader: str
    became: State
    n: int


class _Reset(msgspec.Struct, frozen=True):
    name: str
    reset_at: int | None


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
            resets = {r.name: r.reset_at or 0 for r in read_rows(c, _Reset, select(p.name, p.reset_at))}
            if newest < self._upto or any(resets.get(name) != at for name, at in self._resets.items()):
                self._ended, self._upto = Counter(), 0
            self._resets = resets
            first = c.execute(select(func.min(i.id + 0)).where(t.INTENT_OUT)).scalar()
            ended = newest if first is None else int(first) - 1
            if ended > self._upto:
                self._ended += self._count(c, self._upto, ended)
                self._upto = ended
            return self._ended + self._count(c, self._upto, newest) if newest > self._upto else Counter(self._ended)

    def states(self, c: Connection, portfolio: str | None = None) -> Counter[State]:
        """The same by state alone, of one portfolio or of all."""
        if portfolio is not None:
            return self.of_each(c, (portfolio,))[portfolio]
        found: Counter[State] = Counter()
        for order, n in self.read(c).items():
            found[order.state] += n
        return found

    def of_each(self, c: Connection, portfolios: Iterable[str]) -> dict[str, Counter[State]]:
        """The same of some portfolios, each by itself."""
        found: dict[str, Counter[State]] = {name: Counter() for name in portfolios}
        for order, n in self.read(c).items():
            if (mine := found.get(order.portfolio)) is not None:
                mine[order.state] += n
        return found

    def _count(self, c: Connection, above: int, upto: int) -> Counter[Order]:
        i, d = t.intents.c, t.decisions.c
        by = (i.portfolio, i.leader, copies.STATE.label("became"))
        query = select(*by, func.count().label("n")).join(t.decisions, d.id == i.decision_id)
        mine = (i.id > above, i.id <= upto, d.action == "copy", copies.IS_THE_ORDER)
        found = read_rows(c, _Orders, query.where(*mine).group_by(*by))
        return Counter({Order(r.portfolio, r.leader, r.became): r.n for r in found})


class _Firsts(msgspec.Struct, frozen=True):
    first_source: Source
    n: int


class TradeCounts:
    """Trades by who saw them first. One for each database that is read from."""

    def __init__(self) -> None:
        self._first: Counter[Source] = Counter()
        self._upto = 0
        self._lock = threading.Lock()

    def read(self, c: Connection) -> Counter[Source]:
        """All trades ever, by first source."""
        tr = t.trades.c
        with self._lock:
            newest = int(c.execute(select(func.max(tr.id))).scalar() or 0)
            if newest < self._upto:
                self._first, self._upto = Counter(), 0
            query = select(tr.first_source, func.count().label("n")).where(tr.id > self._upto, tr.id <= newest)
            found = read_rows(c, _Firsts, query.group_by(tr.first_source))
            self._first += Counter({r.first_source: r.n for r in found})
            self._upto = newest
            return Counter(self._first)
