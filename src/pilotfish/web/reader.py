"""One reader for all open tabs: what pages show is read some times a second while somebody looks, on its own
connection; less often where it costs much."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from dataclasses import dataclass, field

import structlog
from sqlalchemy import Engine, select
from sqlalchemy.exc import SQLAlchemyError

from pilotfish.store import tables, worker_state
from pilotfish.store.database import snapshot
from pilotfish.store.mapping import UnreadableRowError
from pilotfish.store.round_trips import TripCounts
from pilotfish.store.views.feed import FeedRow, read_feed
from pilotfish.store.views.latency import Latency, read_latency
from pilotfish.store.views.leaders import Leader, read_leaders
from pilotfish.store.views.portfolios import Portfolio, read_portfolios
from pilotfish.store.views.sources import Gap, read_gaps
from pilotfish.store.worker_state import StandbyState, WorkerState

log = structlog.get_logger(__name__)

EVERY = 0.3
RESTS, LONGEST = 10.0, 3.0
"""A reading that costs much is rested from for so many times its cost, and so many seconds at most."""
LOOKED_AT_FOR = 5.0
"""Seconds after the last look until reading stops."""
LATENCY_EVERY = 2.0
FEED_ROWS, MOST_FEED_ROWS = 60, 600
STALLED_SECONDS = 12.0
"""A reading that takes so long has hung: what is shown is old."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What the overview shows. ``worker_age`` in seconds; ``standbys`` wait to take over; ``portfolios`` take part,
    those ``archived`` did; ``error`` says why the database cannot be read."""

    at: float = 0.0
    worker: WorkerState | None = None
    worker_age: float | None = None
    standbys: tuple[StandbyState, ...] = ()
    portfolios: list[Portfolio] = field(default_factory=list)
    archived: frozenset[str] = frozenset()
    feed: list[FeedRow] = field(default_factory=list)
    leaders: list[Leader] = field(default_factory=list)
    former: list[Leader] = field(default_factory=list)
    latency: Latency | None = None
    incomplete: list[Gap] = field(default_factory=list)
    error: str = ""

    def portfolio(self, name: str) -> Portfolio | None:
        """One active portfolio's figures."""
        return next((p for p in self.portfolios if p.name == name), None)

    @property
    def everybody(self) -> list[Leader]:
        """Leaders that are followed, then those that were."""
        return [*self.leaders, *self.former]


def pause_after(cost: float, every: float) -> float:
    """Seconds until the next reading, after one that took a core so many."""
    return max(every, min(RESTS * cost, LONGEST))


class Reader:
    """Keeps :attr:`snapshot` fresh while :meth:`look` is being called."""

    def __init__(self, database: Engine, *, every: float = EVERY, looked_at_for: float = LOOKED_AT_FOR) -> None:
        self._database = database
        self._every, self._looked_at_for = every, looked_at_for
        self._trips = TripCounts()
        self._looked_at = 0.0
        self._slow_at = 0.0
        self._pause = every
        """Seconds until the next reading."""
        self._began: float | None = None
        """When the reading that is under way began (monotonic s)."""
        self._wanted = asyncio.Event()
        self._fresh = asyncio.Event()
        self._at_once = asyncio.Event()
        """Somebody needs what a reading from now on would find."""
        self.snapshot = Snapshot()

    def look(self) -> Snapshot:
        """The newest snapshot; keeps the reader going."""
        self._looked_at = time.monotonic()
        self._wanted.set()
        return self.snapshot

    def stalled_for(self) -> float:
        """Seconds since a reading began that does not come to an end; 0 while all is well."""
        began = self._began
        taken = 0.0 if began is None else time.monotonic() - began
        return taken if taken > STALLED_SECONDS else 0.0

    async def first_look(self) -> Snapshot:
        """A snapshot that is not older than a moment, for a page that is just opened."""
        self.look()
        if time.time() - self.snapshot.at > 2 * self._pause:
            self._fresh.clear()
            try:
                async with asyncio.timeout(3.0):
                    await self._fresh.wait()
            except TimeoutError:
                log.warning("the database answers slowly")
        return self.snapshot

    async def knowing(self, portfolio: str) -> Snapshot:
        """The same, where a page is about a portfolio: one that was just made is in it."""
        found = await self.first_look()
        if found.error or self._knows(portfolio) or not await asyncio.to_thread(self._there, portfolio):
            return found
        try:
            async with asyncio.timeout(3.0):
                while not self._knows(portfolio):  # the reading that is under way may have begun before
                    self._fresh.clear()
                    self._at_once.set()
                    await self._fresh.wait()
        except TimeoutError:
            log.warning("the database answers slowly")
        return self.snapshot

    def _knows(self, portfolio: str) -> bool:
        s = self.snapshot
        return portfolio in s.archived or any(p.name == portfolio for p in s.portfolios)

    def _there(self, portfolio: str) -> bool:
        name = tables.portfolios.c.name
        try:
            with snapshot(self._database) as c:
                return c.execute(select(name).where(name == portfolio)).first() is not None
        except SQLAlchemyError:
            return False  # the next reading says so

    async def run(self) -> None:
        """Read for ever, while somebody looks."""
        self._wanted, self._fresh, self._at_once = asyncio.Event(), asyncio.Event(), asyncio.Event()
        while True:
            if time.monotonic() - self._looked_at > self._looked_at_for:
                self._wanted.clear()
                await self._wanted.wait()
            try:
                self._began = time.monotonic()
                self.snapshot = await asyncio.to_thread(self._read)
            except (SQLAlchemyError, UnreadableRowError) as problem:
                error = str(problem).splitlines()[0][:200]
                if not self.snapshot.error:
                    log.error("the database cannot be read", error=error)
                self.snapshot = Snapshot(at=time.time(), error=error)
            finally:
                self._began = None
            self._fresh.set()
            with suppress(TimeoutError):
                async with asyncio.timeout(self._pause):
                    await self._at_once.wait()
            self._at_once.clear()

    def _read(self) -> Snapshot:
        began = time.thread_time()
        try:
            return self._looked()
        finally:
            self._pause = pause_after(time.thread_time() - began, self._every)

    def _looked(self) -> Snapshot:
        slow = time.monotonic() - self._slow_at > LATENCY_EVERY
        before = self.snapshot
        with snapshot(self._database) as c:
            worker, age = worker_state.read(c)
            every = read_portfolios(c, self._trips)
            portfolios = [p for p in every if p.status == "active"]
            latency = before.latency
            if slow:
                latency = read_latency(c)
                self._slow_at = time.monotonic()
            feed = min(MOST_FEED_ROWS, FEED_ROWS * max(1, len(portfolios)))
            return Snapshot(
                at=time.time(),
                worker=worker,
                worker_age=age,
                standbys=tuple(worker_state.standbys(c)),
                portfolios=portfolios,
                archived=frozenset(p.name for p in every if p.status != "active"),
                feed=read_feed(c, feed),
                leaders=read_leaders(c),
                former=read_leaders(c, "former"),
                latency=latency,
                incomplete=read_gaps(c),
            )
