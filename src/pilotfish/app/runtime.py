"""The worker: wires feeds, engine and store together, and keeps their life cycle.

Events come in through one queue, are applied one at a time, and their rows go to the writer. What people change
(settings, leaders, resets) is found in the database and taken up within a second.
"""

from __future__ import annotations

import asyncio
import heapq
from typing import Any

import aiohttp
import structlog
from sqlalchemy import Engine as Database
from sqlalchemy import select, update
from sqlalchemy.exc import SQLAlchemyError

from pilotfish.app.config import process_value
from pilotfish.app.health import Health
from pilotfish.app.lease import Lease
from pilotfish.app.modes import EffectiveMode, effective_mode
from pilotfish.core import effects as fx
from pilotfish.core import events as ev
from pilotfish.core.engine import Engine
from pilotfish.core.settings import Policy, Value
from pilotfish.core.units import SECOND
from pilotfish.feeds.books import Books
from pilotfish.feeds.hub import Hub
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
from pilotfish.store import portfolios_store, restore, settings_store
from pilotfish.store import tables as t
from pilotfish.store.writer import MAX_BACKLOG, Writer

log = structlog.get_logger(__name__)

CONTROL_SECONDS = 0.5
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
        self._leaders: dict[str, str] = {}
        self._policies: dict[str, Policy] = {}
        self._follows: dict[str, list[str] | None] = {}
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
        now = self.hub.now()
        with self.database.begin() as c:
            stored = settings_store.load(c)
            main = settings_store.policy_of(self.environment, stored, portfolios_store.MAIN)
            portfolios_store.ensure_main(c, main, now)
            names = portfolios_store.active(c)
            self._follows = {n: portfolios_store.follows(c, n) for n in names}
            self._policies = {n: settings_store.policy_of(self.environment, stored, n) for n in names}
            first = restore.restored(c, self._policies, now)
            leaders = restore.leaders(c)
        self._take_settings(stored)
        self._apply(first)
        log.info(
            "state restored",
            portfolios=len(names),
            trades=len(first.trades),
            open_intents=sum(len(p.intents) for p in first.portfolios),
            waiting=sum(len(p.pending) for p in first.portfolios),
        )
        for leader in leaders:
            self._take_leader(leader, known=True)
        if any(p.sizing_mode == "bankroll_ratio" for p in self._policies.values()):
            self.reconcile.ask_values()
        self.poller.start()
        for work, name in (
            (self._run_timers(), "timers"),
            (self._tick(), "tick"),
            (self._control(), "control"),
            (self.health.run(), "health"),
            (self.books.local.run(), "local-books"),
            (self._follow_books(), "followed-books"),
            (self.books.value_held(self._held), "marks"),
            (self.books.value_missed(self._missed), "missed-marks"),
            (self.markets.refresh(lambda: self._held() | self._missed()), "held-markets"),
            (self.reconcile.run(), "reconcile"),
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
            holdings = self.engine.state.holdings.items()
            self.books.local.fill_up([token for (_, token), h in holdings if h.shares and not self._paid(token)])
            await asyncio.sleep(FOLLOW_BOOKS_SECONDS)

    def _paid(self, token_id: str) -> bool:
        market = self.engine.state.markets.get(token_id)
        return market is not None and market.payout is not None

    # -- the engine's loop -------------------------------------------------------------------------------------

    async def _apply_forever(self) -> None:
        while True:
            event = await self.hub.queue.get()
            if self.writer.backlog > MAX_BACKLOG:
                await asyncio.to_thread(self.writer.wait_below, MAX_BACKLOG)
            self._apply(event)

    def _drain(self) -> None:
        while not self.hub.queue.empty():
            self._apply(self.hub.queue.get_nowait())

    def _apply(self, event: ev.Event) -> None:
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

    # -- what people change ------------------------------------------------------------------------------------

    async def _control(self) -> None:
        """Take up settings, leaders and commands from the database; publish the worker's state there."""
        while True:
            try:
                stored, leaders, follows, commands = await asyncio.to_thread(self._read_control)
                self._take_settings(stored)
                self._take_portfolios(stored, follows)
                await self._take_policies(stored)
                for leader in leaders:
                    self._take_leader(leader, known=False)
                for command in commands:
                    await self._run_command(command)
                self.health.publish()
                if not await asyncio.to_thread(self.lease.renew):
                    log.critical("another worker took this database over; stopping")
                    self.request_stop()
            except SQLAlchemyError as problem:
                self.hub.counts["control_errors"] += 1
                log.error("cannot read the database for changes", error=str(problem).splitlines()[0][:200])
            await asyncio.sleep(CONTROL_SECONDS)

    def _read_control(
        self,
    ) -> tuple[settings_store.Stored, list[restore.LeaderRow], dict[str, list[str] | None], list[Any]]:
        with self.database.connect() as c:
            commands = list(
                c.execute(select(t.commands).where(t.commands.c.done_at.is_(None)).order_by(t.commands.c.id))
            )
            follows = {name: portfolios_store.follows(c, name) for name in portfolios_store.active(c)}
            return settings_store.load(c), restore.leaders(c), follows, commands

    def _take_settings(self, stored: settings_store.Stored) -> None:
        values = settings_store.effective(self.environment, stored)
        self.hub.settings = {name: e.value for name, e in values.items()}
        mode = effective_mode(self.environment, stored.dashboard)
        if mode == self.mode:
            return
        changed, self.mode = self.mode is not None, mode
        log.info("trigger mode changed" if changed else "trigger mode", **mode.log_fields())
        if mode.env is not None and mode.db is not None and mode.env != mode.db:
            log.warning("TRIGGER_MODE in the environment is overridden by the dashboard", **mode.log_fields())
        if mode.effective == "api":
            self.hub.spawn(self.watcher.stop(), "polygon-stop")
        else:
            self.watcher.start()
            if not process_value(self.environment, "polygon_ws_url"):
                log.warning("no POLYGON_WS_URL: the chain source stays off, copying relies on the Data API alone")

    def _take_portfolios(self, stored: settings_store.Stored, follows: dict[str, list[str] | None]) -> None:
        """New portfolios, archived ones, and whom each copies."""
        now = self.hub.now()
        for name in [n for n in self._policies if n not in follows]:
            del self._policies[name], self._follows[name]
            self._apply(ev.PortfolioArchived(at=now, portfolio=name))
            log.info("portfolio archived", portfolio=name)
        for name, leaders in follows.items():
            if name not in self._policies:
                policy = self._policies[name] = settings_store.policy_of(self.environment, stored, name)
                self._follows[name] = leaders
                with self.database.connect() as c:
                    state = restore.portfolio(c, name, policy, now)
                self._apply(ev.PortfolioAdded(at=now, state=state))
                log.info("portfolio taken up", portfolio=name)
            elif leaders != self._follows[name]:
                self._follows[name] = leaders
                chosen = None if leaders is None else tuple(leaders)
                self._apply(ev.FollowsChanged(at=now, portfolio=name, leaders=chosen))
                log.info("portfolio copies others", portfolio=name, leaders="all" if chosen is None else len(chosen))

    async def _take_policies(self, stored: settings_store.Stored) -> None:
        for name in list(self._policies):
            policy = settings_store.policy_of(self.environment, stored, name)
            if policy != self._policies[name]:
                if policy.sizing_mode == "bankroll_ratio":
                    self.reconcile.ask_values()
                self._policies[name] = policy
                await self.hub.emit(ev.PolicyChanged(at=self.hub.now(), portfolio=name, policy=policy))
                log.info("settings taken up", portfolio=name)

    def _take_leader(self, leader: restore.LeaderRow, *, known: bool) -> None:
        before = self._leaders.get(leader.wallet)
        if leader.status == before:
            return
        now = self.hub.now()
        self._leaders[leader.wallet] = leader.status
        if leader.status == "removed":
            if before is not None:
                self.poller.unfollow(leader.wallet)
                self.reconcile.unfollow(leader.wallet)
                self._apply(ev.LeaderRemoved(at=now, leader=leader.wallet))
                log.info("leader removed", leader=leader.wallet)
        elif before in ("active", "paused"):
            self._apply(ev.LeaderPaused(at=now, leader=leader.wallet, paused=leader.status == "paused"))
            log.info("leader changed", leader=leader.wallet, status=leader.status)
        else:
            event = None
            if known or before is None:
                with self.database.connect() as c:
                    event = restore.follow_again(c, leader, now)
                if event is not None and event.follow_from < leader.added_at - SECOND:
                    event = None
            event = event or self._new_follow(leader, now)
            self.reconcile.follow(leader.wallet, event.follow_from)
            self._apply(event)
            self.poller.follow(leader.wallet, event.floor_ts, event.cursor_ts)
            log.info(
                "following",
                leader=leader.wallet,
                label=leader.label,
                since=event.follow_from // SECOND,
                new=event.is_new,
            )
        self.watcher.watch(frozenset(w for w, status in self._leaders.items() if status != "removed"))

    def _new_follow(self, leader: restore.LeaderRow, now: int) -> ev.LeaderFollowed:
        """A flat start reads nothing from before now; a warm start reads some history, as backfill."""
        follow_from = leader.added_at if leader.added_at >= self.started_at else now
        floor = follow_from // SECOND
        if self.hub.text("startup_mode") == "warm":
            floor -= self.hub.number("warm_start_seconds")
        return ev.LeaderFollowed(
            at=now,
            leader=leader.wallet,
            follow_from=follow_from,
            floor_ts=floor,
            cursor_ts=floor,
            is_new=True,
            paused=leader.status == "paused",
        )

    async def _run_command(self, command: Any) -> None:
        now = self.hub.now()
        if command.kind == "reset":
            portfolio = command.payload.get("portfolio")
            self._apply(ev.PaperReset(at=now, portfolio=portfolio))
            result = "done"
            log.warning("paper state reset", portfolio=portfolio or "all", by=command.by)
        elif command.kind == "close":
            what = {key: command.payload.get(key) for key in ("leader", "token_id")}
            asked = ev.CloseAsked(at=now, portfolio=str(command.payload.get("portfolio")), **what)
            before = self.engine.state.ids["intent"]
            self._apply(asked)
            result = f"{self.engine.state.ids['intent'] - before} exits begun"
            log.info("closing by hand", by=command.by, result=result, **command.payload)
        else:
            result = f"unknown command {command.kind}"
        done = update(t.commands).where(t.commands.c.id == command.id).values(done_at=now, result=result)
        await asyncio.to_thread(self._finish_command, done)

    def _finish_command(self, statement: Any) -> None:
        self.writer.flush()
        with self.database.begin() as c:
            c.execute(statement)
