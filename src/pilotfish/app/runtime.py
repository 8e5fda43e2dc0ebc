"""The worker: feeds, live loop, store and what people change, put together, and their life cycle.

Events come in through one queue and are applied one at a time (``live``); what people change (settings, leaders,
resets) is found in the database by ``control`` within a second and comes through the same queue.
"""

from __future__ import annotations

import asyncio
import gc
import os
import sys
import time
from dataclasses import dataclass
from functools import partial

import aiohttp
import structlog
from sqlalchemy import Engine as Database

from pilotfish.app import ending, standby
from pilotfish.app.alerts import Alerts
from pilotfish.app.book_recording import BookRecording, RecordLimits, spool_of
from pilotfish.app.config import process_value
from pilotfish.app.control import Control
from pilotfish.app.daily import summary
from pilotfish.app.dashboard import DashboardStatus
from pilotfish.app.health import Health
from pilotfish.app.journal import Journal
from pilotfish.app.journal_format import folder_of
from pilotfish.app.journal_segments import Limits
from pilotfish.app.lease import Lease
from pilotfish.app.live import Live
from pilotfish.app.modes import InForce
from pilotfish.app.pacing import Pacing
from pilotfish.app.settling import keep_settled
from pilotfish.app.watchdog import Stall, StalledError, Watch, Watchdog, stack_of
from pilotfish.app.wiring import Feeds, wire
from pilotfish.app.worth_keeping import worth_keeping
from pilotfish.core.engine import Engine
from pilotfish.core.exit_codes import ExitCode, WorkerDiedError
from pilotfish.core.problem import Problem
from pilotfish.core.settings import Value
from pilotfish.feeds.hub import Fatal, Hub
from pilotfish.polymarket.http import make_session
from pilotfish.store.database import place_beside
from pilotfish.store.fence import Fence
from pilotfish.store.writer import Writer

log = structlog.get_logger(__name__)

FOLLOW_BOOKS_SECONDS = 5.0
SELDOM_SECONDS = 30.0
"""Where leaders hold so much that finding out what is worth keeping takes long."""
SWITCH_SECONDS = 0.0002
"""How long the loop and the writer's thread, which asks for the interpreter after each statement, may keep it from each
other."""


@dataclass(frozen=True, slots=True)
class _Parts:
    """What lives from the start of a worker to its end."""

    feeds: Feeds
    live: Live
    health: Health
    control: Control


class Worker:
    """One running worker. ``environment`` holds the parsed settings of the environment. ``last_resort``: seconds
    after which the process is ended where the interpreter itself hangs; 0 = never."""

    def __init__(self, database: Database, environment: dict[str, Value], *, last_resort: float = 0.0) -> None:
        self.database = database
        self.environment = environment
        self.hub = Hub()
        self.engine = Engine()
        self.writer = Writer(database, self._writer_ended)
        self.journal = Journal(folder_of(database.url), self._journal_limits)
        place = process_value(environment, "history_url") or place_beside(database.url)
        self.recording = BookRecording(place, spool_of(database.url), self._record_limits, self.hub.now)
        self.dashboard = DashboardStatus()
        self.lease = Lease(database)
        self.alerts = Alerts(self.hub, self.engine.state.markets)
        self._last_resort = last_resort
        self._stop = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ending_since: float | None = None
        self._over = ""
        """Whom the database was taken over from, in words."""

    def request_stop(self) -> None:
        """Ask the worker to stop cleanly."""
        self._stop.set()

    async def run(self) -> None:
        """Run until :meth:`request_stop`; everything taken in is durable when this returns. While another worker has
        a PostgreSQL database, wait to take over.

        Raises :class:`~pilotfish.core.exit_codes.WorkerDiedError` after a fault that nothing can go on after: what was
        queued before it is stored, the cause stands in the database, and an alert is sent.
        """
        self._loop = asyncio.get_running_loop()
        taken = await standby.take(self.lease, self.database, self._stop)
        if taken is None:
            return
        fence, self._over = taken
        session = make_session()
        parts = self._put_together(session)
        refused: Problem | None = None
        dog = Watchdog(partial(self._hung, parts, fence), self._beside_the_loop, last_resort=self._last_resort)
        try:
            dog.start()
            self.writer.start(fence)
            self.recording.start()
            await self._work(parts)
        except Problem as problem:
            refused = problem
        except Exception as problem:
            self.hub.fail("start", problem)
        try:
            await self._end(parts, session, fence, refused)
        finally:
            dog.stop()
        if self.hub.fatal is not None:
            raise WorkerDiedError(f"the worker ended: {self.hub.fatal}", self._code(self.hub.fatal))
        if refused is not None:
            raise refused

    def _put_together(self, session: aiohttp.ClientSession) -> _Parts:
        mode, hub = InForce(), self.hub
        feeds = wire(hub, session, self.environment, self.recording.take)
        health = Health(
            hub, feeds, self.writer, mode, self.alerts, self.dashboard, self.journal, self.recording,
            lambda: len(self.engine.state.index),
        )  # fmt: skip
        return _Parts(
            feeds=feeds,
            live=Live(hub, self.engine, self.writer, feeds, self.alerts, self.journal, database=self.database),
            health=health,
            control=Control(self.database, self.environment, hub, feeds, self.writer, mode, self.alerts, health,
                            self.lease, self._over),
        )  # fmt: skip

    async def _work(self, parts: _Parts) -> None:
        """From the first event on, until asked to stop or something ended that must not. The loop runs before anything
        is queued: the queue is bounded, and a start may queue more than it holds."""
        self.hub.spawn(parts.live.run(), "engine", essential=True)
        self.hub.spawn(parts.control.keep_lease(), "lease", essential=True)
        starting = asyncio.create_task(self._start(parts), name="start")
        ends = [asyncio.create_task(event.wait()) for event in (self._stop, self.hub.failed)]
        try:
            await asyncio.wait([starting, *ends], return_when=asyncio.FIRST_COMPLETED)
            if starting.done():
                starting.result()
                await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (starting, *ends):
                task.cancel()
            await asyncio.gather(starting, *ends, return_exceptions=True)

    async def _end(self, parts: _Parts, session: aiohttp.ClientSession, fence: Fence, refused: Problem | None) -> None:
        self._ending_since = time.monotonic()
        await parts.feeds.watcher.stop()
        await self.hub.close()
        parts.live.drain()
        await session.close()
        stored = await asyncio.to_thread(self.writer.stop, ending.STORE_SECONDS)
        await asyncio.to_thread(self.journal.close, stored=stored)
        await asyncio.to_thread(self.recording.close)
        if not stored:
            unstored = f"{self.writer.backlog} events are not stored; the API cursor will bring them again"
            self.hub.fail("writer", self.writer.fatal or ending.UnstoredError(unstored))
        fault = self.hub.fatal
        told, code = (str(refused), ExitCode.PROBLEM) if refused else ("", ExitCode.OK)
        if fault is not None:
            told, code = str(fault), self._code(fault)
        if code is not ExitCode.TAKEN_OVER:
            await ending.write_down(self.database, fence, parts.health.snapshot(), told, code)
        await ending.within(ending.NOTE_SECONDS, self.lease.release, "the lease")
        if fault is not None:
            await ending.tell(self.alerts.urls or str(self.environment.get("alert_urls", "")), str(fault))

    # -- what hangs, on the watchdog's thread --------------------------------------------------------------------

    def _beside_the_loop(self) -> Stall | None:
        """The writer, and an end that does not come."""
        if self._ending_since is not None:
            taken = time.monotonic() - self._ending_since
            return Stall("ending in order", taken, []) if taken > ending.END_SECONDS else None
        return Stall("the writer", self.writer.stuck_for(), stack_of(self.writer.thread))

    def _hung(self, parts: _Parts, fence: Fence, stall: Stall) -> None:
        """Say where it hangs, store what can be stored, and end this process."""
        log.critical("the worker hangs and ends itself", told=stall.told(), calls=stall.stack)
        fault = self.hub.fatal or Fatal(stall.what, StalledError(stall.told()))
        if not self.writer.stuck_for():
            self.writer.stop(ending.STORE_SECONDS)
        code, urls = self._code(fault), self.alerts.urls or str(self.environment.get("alert_urls", ""))
        ending.at_once(self.database, fence, parts.health.snapshot, str(fault), code, urls)
        os._exit(code)

    def _code(self, fault: Fatal) -> ExitCode:
        return ending.code_of(fault.cause, by_writer=self.writer.fatal is not None)

    def _writer_ended(self, problem: BaseException) -> None:
        """On the writer's thread."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self.hub.fail, "writer", problem)

    def _journal_limits(self) -> Limits:
        hub = self.hub
        return Limits(hub.flag("journal"), hub.number("journal_max_mb"), hub.number("journal_max_days"))

    def _record_limits(self) -> RecordLimits:
        hub = self.hub
        return RecordLimits(hub.flag("record_books"), hub.number("books_max_gib"), hub.number("books_max_days"))

    async def _start(self, parts: _Parts) -> None:
        feeds = parts.feeds
        await parts.control.start(self.hub.now())
        if self._over:
            self.alerts.note(f"this worker took over from {self._over}, which was silent or had ended")
        feeds.poller.start()
        for work, name in (
            (parts.live.run_timers(), "timers"),
            (parts.live.tick(), "tick"),
            (parts.control.run(), "control"),
            (parts.control.keep_published(), "state"),
            (self.alerts.run(parts.health.sources, parts.health.use.state, self._summary), "alerts"),
            (parts.health.run(), "health"),
            (Watch(self.hub).run(), "watch"),
            (feeds.books.local.run(), "local-books"),
            (self._follow_books(feeds), "followed-books"),
            (feeds.books.value_held(self._held), "marks"),
            (feeds.books.value_missed(self._missed), "missed-marks"),
            (feeds.markets.refresh(lambda: self._held() | self._missed()), "held-markets"),
            (feeds.reconcile.run(), "reconcile"),
            (feeds.late_rows.run(), "late-rows"),
            (keep_settled(self.hub, self.database, self.writer), "settled"),
        ):
            self.hub.spawn(work, name, essential=True)
        _collect_seldom()
        sys.setswitchinterval(SWITCH_SECONDS)

    def _summary(self) -> list[str]:
        return summary(self.database, self.hub.now())

    # -- what feeds look after, from what the engine knows -------------------------------------------------------

    def _held(self) -> set[str]:
        return {
            token for desk in self.engine.state.desks.values() for (_, token), p in desk.positions.items() if p.shares
        }

    def _missed(self) -> set[str]:
        """What leaders bought and nobody here holds; the report values it, too."""
        return {token for desk in self.engine.state.desks.values() for token in desk.missed} - self._held()

    async def _follow_books(self, feeds: Feeds) -> None:
        """Keep the books of what followed leaders hold, as far as there is room: their next trade may be in it."""
        pacing = Pacing(FOLLOW_BOOKS_SECONDS, SELDOM_SECONDS)
        while True:
            pacing.begin()
            feeds.books.local.fill_up(worth_keeping(self.engine.state, feeds.reconcile.is_worthless))
            pause = pacing.pause()
            self.hub.beat(pause)
            await asyncio.sleep(pause)


def _collect_seldom() -> None:
    """What a start has put into memory stays: the collector need not look at it again and again, and looks at what is
    new after thousands of objects instead of hundreds: more would hold up whoever trades just then, by half a
    microsecond for each."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(5_000, 10, 50)
