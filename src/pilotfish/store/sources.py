"""When each source was listened to. What a source did not show of a time at which it was off is not missing."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, and_, or_, select, true

from pilotfish.core.units import SECOND
from pilotfish.store import tables as t
from pilotfish.store import worker_state

SLACK = 2 * SECOND
"""A period's end is written twice a second: what came so soon after it is within it."""
PERIODS = 200
"""Newest periods of a source that are looked at; before them it counts as listened to."""


@dataclass(frozen=True, slots=True)
class Listened:
    """A source's periods, in order and apart from each other, in µs. Before ``known_from`` nothing was written down,
    and it counts as listened to (``None`` = nothing ever was)."""

    periods: tuple[tuple[int, int], ...]
    known_from: int | None

    def at(self, when: int) -> bool:
        """True if the source was listened to at that time."""
        if self.known_from is None or when < self.known_from:
            return True
        n = bisect_right(self.periods, (when, 2**63)) - 1
        return n >= 0 and when <= self.periods[n][1] + SLACK

    def during(self, when: ColumnElement[int]) -> ColumnElement[bool]:
        """The same, as a condition on a column."""
        if self.known_from is None:
            return true()
        return or_(when < self.known_from, *(and_(when >= a, when <= b + SLACK) for a, b in self.periods))


def listened(c: Connection, source: str) -> Listened:
    """When a source (``api``, ``polygon``) was listened to. One that never was, as far as is written down, was not
    before that either."""
    p = t.listening.c
    first = c.execute(select(p.since).order_by(p.since).limit(1)).scalar()
    newest = select(p.since, p.until).where(p.source == source).order_by(p.since.desc()).limit(PERIODS)
    found = sorted((r.since, r.until) for r in c.execute(newest))
    if first is not None and not found:
        return Listened((), 0)
    return Listened(tuple(found), found[0][0] if len(found) == PERIODS else first)


def off(c: Connection) -> dict[str, str]:
    """Sources that are off now -> why, in words; none before a worker has run."""
    worker, _ = worker_state.read(c)
    return {"polygon": worker.polygon.off} if worker is not None and worker.polygon.off else {}


def percentiles(values: Iterable[int], *wanted: int) -> dict[str, int | None]:
    """Percentiles by their names, ``p50`` and so on; ``None`` of nothing."""
    ordered = sorted(values)
    return {f"p{p}": ordered[min(len(ordered) - 1, len(ordered) * p // 100)] if ordered else None for p in wanted}
