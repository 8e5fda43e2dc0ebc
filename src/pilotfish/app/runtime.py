"""The worker: wires feeds, engine and store together, and keeps their life cycle.

Events come in through one queue, are applied one at a time, and their rows go to the writer. What people change
(settings, leaders, resets) is found in the database by ``control`` and taken up within a second.
"""

from __future__ import annotations

import asyncio
import heapq
from typing import Any

import aiohttp
import structlog
from sqlalchemy import Engine as Database

from pilotfish.app import ending
from pilotfish.app.alerts import Alerts
from pilotfish.app.config import process_value
from pilotfish.app.control import Control
from pilotfish.app.dashboard import DashboardStatus
from pilotfish.app.health import Health
from pilotfish.app.journal import Journal
from pilotfish.app.journal_format import folder_of
from pilotfish.app.journal_segments import Limits
from pilotfish.app.lease import Lease
from pilotfish.app.modes import EffectiveMode
from pilotfish.app.worth_keeping import worth_keeping
from pilotfish.core import effects as fx
from pilotfish.core import events as ev
from pilotfish.core.engine import Engine
from pilotfish.core.exit_codes import ExitCode, WorkerDiedError
from pilotfish.core.problem import Problem
from pilotfish.core.settings import Value
from pilotfish.core.timers import Timer
from pilotfish.core.units import SECOND
from pilotfish.feeds.books import Books
from pilotfish.feeds.hub import Fatal, Hub
from pilotfish.feeds.late_rows import LateRows
from pilotfish.feeds.local_books import LocalBooks
from pilotfish.feeds.markets import Markets
from pilotfish.feeds.poller import Poller
from pilotfish.feeds.reconcile import Reconcile
from pilotfish.feeds.watcher import Watcher
from pilotfish.polymarket.clob import Clob
from pilotfish.polymarket.data_api import DataApi
from pilotfish.polymarket.gamma import Gamma
from pilotfish.polymarket.http import Service, make_session
from pilotfish.polymarket.polygon import PolygonHttp
from pilotfish.store.writer import MAX_BACKLOG, Writer, WriterFailedError

log = structlog.get_logger(__name__)

TICK_SECONDS = 2.0
FOLLOW_BOOKS_SECONDS = 5.0


class EngineBrokenError(Exception):
    """The engine met what must not be; the cause is in ``__cause__``, or in the worker's fault."""


class Worker:
    """One running worker. ``environment`` holds the parsed settings of the environment."""

    def __init__(self, database: Database, environment: dict[str, Value]) -> None:
        self.database = database
        self.environment = environment
        self.hub = Hub()
        self.engine = Engine()
        self.writer = Writer(database, self._writer_ended)
        self.journal = Journal(folder_of(database.url), self._journal_limits)
        self.dashboard = DashboardStatus()
        self.lease = Lease(database)
        self.started_at = self.hub.now()
        self.mode: EffectiveMode | None = None
        self._timers: list[tuple[int, int, Timer]] = []
        """A heap of (at, number, timer); the number keeps those of one instant in the order in which they were set."""
        self._timers_set = 0
        self._broken = False
        self._timer_wake = asyncio.Event()
        self.control = Control(self)
        self.alerts = Alerts(self)
        self._stop = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None

    def request_stop(self) -> None:
        """Ask the worker to stop cleanly."""
        self._stop.set()

    async def run(self) -> None:
        """Run until :meth:`request_stop`; everything taken in is durable when this returns.

        Raises :class:`~pilotfish.core.exit_codes.WorkerDiedError` after a fault that nothing can go on after: what was
        queued before it is stored, the cause stands in the database, and an alert is sent.
        """
        self._loop = asyncio.get_running_loop()
        session = make_session()
        self._wire(session)
        try:
            self.lease.take()
        except BaseException:
            await session.close()
            raise
        refused: Problem | None = None
        try:
            self.writer.start()
            await self._work()
        except Problem as problem:
            refused = problem
        except Exception as problem:
            self.hub.fail("start", problem)
        await self._end(session, refused)
        if self.hub.fatal is not None:
            raise WorkerDiedError(f"the worker ended: {self.hub.fatal}", self._code(self.hub.fatal))
        if refused is not None:
            raise refused

    async def _work(self) -> None:
        await self._start()
        self.hub.spawn(self._apply_forever(), "engine", essential=True)
        waits = [asyncio.create_task(event.wait()) for event in (self._stop, self.hub.failed)]
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        for wait in waits:
            wait.cancel()

    async def _end(self, session: aiohttp.ClientSession, refused: Problem | None) -> None:
        await self.watcher.stop()
        await self.hub.close()
        self._drain()
        await session.close()
        stored = await asyncio.to_thread(self.writer.stop, ending.STORE_SECONDS)
        await asyncio.to_thread(self.journal.close, stored=stored)
        if not stored:
            unstored = f"{self.writer.backlog} events are not stored; the API cursor will bring them again"
            self.hub.fail("writer", self.writer.fatal or ending.UnstoredError(unstored))
        fault = self.hub.fatal
        told, code = (str(refused), ExitCode.PROBLEM) if refused else ("", ExitCode.OK)
        if fault is not None:
            told, code = str(fault), self._code(fault)
        if code is not ExitCode.TAKEN_OVER:
            await ending.write_down(self, told, code)
        await ending.within(ending.NOTE_SECONDS, self.lease.release, "the lease")
        if fault is not None:
            await ending.tell(self, str(fault))

    def _code(self, fault: Fatal) -> ExitCode:
        return ending.code_of(fault.cause, by_writer=self.writer.fatal is not None)

    def _writer_ended(self, problem: BaseException) -> None:
        """On the writer's thread."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self.hub.fail, "writer", problem)

    def _journal_limits(self) -> Limits:
        hub = self.hub
        return Limits(hub.flag("journal"), hub.number("journal_max_mb"), hub.number("journal_max_days"))

    def _wire(self, session: aiohttp.ClientSession) -> None:
        env, hub = self.environment, self.hub
        self.services = {
            "data": Service(session, "data", process_value(env, "data_api_url"), per_second=80),
            "gamma": Service(session, "gamma", process_value(env, "gamma_api_url"), per_second=25),
            "clob": Service(session, "clob", process_value(env, "clob_http_url"), per_second=120),
        }
        data = DataApi(self.services["data"])
        self.poller = Poller(hub, data)
        self.reconcile = Reconcile(hub, data, self.poller)
        clob = Clob(self.services["clob"])
        self.markets = Markets(hub, Gamma(self.services["gamma"]), data, clob)
        market_url = process_value(env, "clob_market_ws_url")
        self.books = Books(
            hub, clob, lambda reread: LocalBooks(hub, session, market_url, reread=reread, resolved=self.markets.ask)
        )
        http = process_value(env, "polygon_http_url")
        look_up = PolygonHttp(Service(session, "polygon", http, per_second=10, attempts=1)) if http else None
        self.watcher = Watcher(
            hub, session, process_value(env, "polygon_ws_url"), process_value(env, "exchange_addresses"), look_up
        )
        self.health = Health(self)

    # -- start -------------------------------------------------------------------------------------------------

    async def _start(self) -> None:
        self.control.start(self.hub.now())
        self.poller.start()
        for work, name in (
            (self._run_timers(), "timers"),
            (self._tick(), "tick"),
            (self.control.run(), "control"),
            (self.alerts.run(), "alerts"),
            (self.health.run(), "health"),
            (self.books.local.run(), "local-books"),
            (self._follow_books(), "followed-books"),
            (self.books.value_held(self._held), "marks"),
            (self.books.value_missed(self._missed), "missed-marks"),
            (self.markets.refresh(lambda: self._held() | self._missed()), "held-markets"),
            (self.reconcile.run(), "reconcile"),
            (LateRows(self.hub, self.poller).run(), "late-rows"),
        ):
            self.hub.spawn(work, name, essential=True)

    def _held(self) -> set[str]:
        return {
            token for desk in self.engine.state.desks.values() for (_, token), p in desk.positions.items() if p.shares
        }

    def _missed(self) -> set[str]:
        """What leaders bought and nobody here holds; the report values it, too."""
        return {token for desk in self.engine.state.desks.values() for _, token in desk.missed} - self._held()

    async def _follow_books(self) -> None:
        """Keep the books of what followed leaders hold, as far as there is room: their next trade may be in it."""
        while True:
            self.books.local.fill_up(worth_keeping(self.engine.state, self.reconcile.is_worthless))
            await asyncio.sleep(FOLLOW_BOOKS_SECONDS)

    # -- the engine's loop -------------------------------------------------------------------------------------

    async def _apply_forever(self) -> None:
        while True:
            event = await self.hub.queue.get()
            if self.writer.backlog > MAX_BACKLOG:
                await asyncio.to_thread(self.writer.wait_below, MAX_BACKLOG)
            self.apply(event)

    def _drain(self) -> None:
        """What is in the queue when everything has stopped; nothing more after a fault of the engine or the writer."""
        while not self._broken and self.writer.fatal is None and not self.hub.queue.empty():
            try:
                self.apply(self.hub.queue.get_nowait())
            except Exception as problem:
                self.hub.fail("engine", problem)
                return

    def apply(self, event: ev.Event) -> None:
        """Apply one event: its rows go to the writer, its questions to the feeds.

        An unforeseen error in it ends the worker, and nothing is applied any more: what the engine knows may be half
        of what it should.
        """
        during = f"at {type(event).__name__}"
        if self._broken:
            raise EngineBrokenError(f"{during}, after an earlier fault")
        entered = self.journal.enter(event)
        try:
            effects = self.engine.apply(event)
        except Exception as problem:
            self._broken = True
            self.hub.fail("engine", problem, during)
            raise EngineBrokenError(during) from problem
        try:
            self.writer.submit(effects, self.journal.leave(entered, effects))
        except WriterFailedError as problem:
            self.hub.fail("writer", self.writer.fatal or problem, during)
            raise
        self.hub.counts["events"] += 1
        for effect in effects:
            match effect:
                case fx.NeedBook():
                    self.books.ask(effect.token_id)
                case fx.NeedMarket():
                    self.markets.ask(effect.token_id)
                case fx.NeedHoldings():
                    self.reconcile.ask(effect.leader, bootstrap=effect.bootstrap)
                case fx.CheckChain():
                    self.hub.counts["logs_missing"] += 1
                    log.warning("a log is missing", detail=effect.detail)
                    self.watcher.doubt(effect.detail)
                case fx.SetTimer():
                    self._timers_set += 1
                    heapq.heappush(self._timers, (effect.at, self._timers_set, effect.timer))
                    self._timer_wake.set()
                case fx.Insert("decisions", row) | fx.Update("decisions", row):
                    self._log_decision(row)
                case _:
                    pass
        if self.alerts.wanted:
            self.alerts.see(effects)

    def _log_decision(self, row: dict[str, Any]) -> None:
        self.hub.counts[f"decision_{row['action']}"] += 1
        if row["action"] != "wait":
            log.info("decision", id=row["id"], trade=row.get("trade_id"), action=row["action"], reason=row["reason"])

    async def _run_timers(self) -> None:
        while True:
            now = self.hub.now()
            while self._timers and self._timers[0][0] <= now:
                at, _, timer = heapq.heappop(self._timers)
                await self.hub.emit(ev.TimerFired(at=max(at, self.hub.now()), timer=timer))
            self._timer_wake.clear()
            pause = (self._timers[0][0] - now) / SECOND if self._timers else 60.0
            try:
                async with asyncio.timeout(max(0.001, min(pause, 60.0))):
                    await self._timer_wake.wait()
            except TimeoutError:
                continue

    async def _tick(self) -> None:
        while True:
            await self.hub.emit(ev.Tick(at=self.hub.now()))
            await asyncio.sleep(TICK_SECONDS)
