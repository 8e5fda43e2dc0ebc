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
from sqlalchemy.exc import SQLAlchemyError

from pilotfish.app.alerts import Alerts
from pilotfish.app.config import process_value
from pilotfish.app.control import Control
from pilotfish.app.health import Health
from pilotfish.app.lease import Lease
from pilotfish.app.modes import EffectiveMode
from pilotfish.app.worth_keeping import worth_keeping
from pilotfish.core import effects as fx
from pilotfish.core import events as ev
from pilotfish.core.engine import Engine
from pilotfish.core.settings import Value
from pilotfish.core.units import SECOND
from pilotfish.feeds.books import Books
from pilotfish.feeds.hub import Hub
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
from pilotfish.store.writer import MAX_BACKLOG, Writer

log = structlog.get_logger(__name__)

TICK_SECONDS = 2.0
FOLLOW_BOOKS_SECONDS = 5.0


class Worker:
    """One running worker. ``environment`` holds the parsed settings of the environment."""

    def __init__(self, database: Database, environment: dict[str, Value]) -> None:
        self.database = database
        self.environment = environment
        self.hub = Hub()
        self.engine = Engine()
        self.writer = Writer(database)
        self.lease = Lease(database)
        self.started_at = self.hub.now()
        self.mode: EffectiveMode | None = None
        self._timers: list[tuple[int, str]] = []
        self._timer_wake = asyncio.Event()
        self.control = Control(self)
        self.alerts = Alerts(self)
        self._stop = asyncio.Event()
        self._session: aiohttp.ClientSession | None = None

    def request_stop(self) -> None:
        """Ask the worker to stop cleanly."""
        self._stop.set()

    async def run(self) -> None:
        """Run until :meth:`request_stop`; everything taken in is durable when this returns."""
        self.lease.take()
        self.writer.start()
        self._session = make_session()
        try:
            self._wire(self._session)
            await self._start()
            stopping = asyncio.create_task(self._stop.wait(), name="stop")
            applying = asyncio.create_task(self._apply_forever(), name="engine")
            await asyncio.wait([stopping, applying], return_when=asyncio.FIRST_COMPLETED)
            stopping.cancel()
            if applying.done():
                applying.result()
            applying.cancel()
            await asyncio.gather(applying, return_exceptions=True)
        finally:
            await self.watcher.stop()
            await self.hub.close()
            self._drain()
            await self._session.close()
            if not await asyncio.to_thread(self.writer.stop):
                log.error("not everything could be written before stopping; the API cursor will bring it again")
            self._release()

    def _release(self) -> None:
        try:
            self.lease.release()
        except SQLAlchemyError as problem:
            log.warning("the worker's lease stays until it is stale", error=str(problem)[:200])

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
            self.hub.spawn(work, name)

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
        while not self.hub.queue.empty():
            self.apply(self.hub.queue.get_nowait())

    def apply(self, event: ev.Event) -> None:
        """Apply one event: its rows go to the writer, its questions to the feeds."""
        effects = self.engine.apply(event)
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
                    heapq.heappush(self._timers, (effect.at, effect.key))
                    self._timer_wake.set()
                case fx.Insert("decisions", row) | fx.Update("decisions", row):
                    self._log_decision(row)
                case _:
                    pass
        if self.alerts.wanted:
            self.alerts.see(effects)
        self.writer.submit(effects)

    def _log_decision(self, row: dict[str, Any]) -> None:
        self.hub.counts[f"decision_{row['action']}"] += 1
        if row["action"] != "wait":
            log.info("decision", id=row["id"], trade=row.get("trade_id"), action=row["action"], reason=row["reason"])

    async def _run_timers(self) -> None:
        while True:
            now = self.hub.now()
            while self._timers and self._timers[0][0] <= now:
                at, key = heapq.heappop(self._timers)
                await self.hub.emit(ev.TimerFired(at=max(at, self.hub.now()), key=key))
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
