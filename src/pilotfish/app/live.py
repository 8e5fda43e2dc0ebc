"""The live loop: takes one event after the other from the hub's queue and applies it. The only door to the engine while
a worker runs: feeds, timers and what people change all come through the queue.

The rows of an event go to the writer, what it asks for to the feeds, and what became of a person's request into the
same commit as its rows.
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable
from typing import Any

import msgspec
import structlog
from sqlalchemy import Engine as Database

from pilotfish.app.alerts import Alerts
from pilotfish.app.journal import Journal
from pilotfish.app.wiring import Feeds
from pilotfish.core import effects as fx
from pilotfish.core import events as ev
from pilotfish.core.engine import Engine
from pilotfish.core.recall import Forgotten, with_past
from pilotfish.core.records import CommandDone, DecisionChange, DecisionRecord
from pilotfish.core.timers import Timer
from pilotfish.core.units import SECOND, Micros
from pilotfish.feeds.hub import Hub
from pilotfish.feeds.parts import WAITS
from pilotfish.store.database import snapshot
from pilotfish.store.outage import is_outage
from pilotfish.store.recalled import past
from pilotfish.store.writer import MAX_BACKLOG, Writer, WriterFailedError

log = structlog.get_logger(__name__)

TICK_SECONDS = 2.0
AGAIN_SECONDS = 1.0
"""Between two tries to look the past up."""
TURN_SECONDS = 0.02
"""How long events are applied one after the other before others on the loop have their turn."""
LONGEST_PAUSE = 60.0
"""Seconds after which timers are looked at even if none is due."""


class EngineBrokenError(Exception):
    """The engine met what must not be; the cause is in ``__cause__``, or in the worker's fault."""


class Live:
    """Owns the engine's time: events are applied in the order in which they were queued, none before the last one."""

    def __init__(
        self, hub: Hub, engine: Engine, writer: Writer, feeds: Feeds, alerts: Alerts, journal: Journal,
        database: Database,
    ) -> None:  # fmt: skip
        self.hub = hub
        self._engine = engine
        self._writer = writer
        self._feeds = feeds
        self._alerts = alerts
        self._journal = journal
        self._database = database
        self._timers: list[tuple[int, int, Timer]] = []
        """A heap of (at, number, timer); the number keeps those of one instant in the order in which they were set."""
        self._timers_set = 0
        self._timer_wake = asyncio.Event()
        self._broken = False
        self._acts: dict[type, Callable[[Any], None]] = {
            fx.NeedBook: self._need_book,
            fx.NeedMarket: self._need_market,
            fx.NeedHoldings: self._need_holdings,
            fx.CheckChain: self._check_chain,
            fx.SetTimer: self._set_timer,
            fx.Refused: self._refused,
            fx.Answered: self._answered,
            fx.Insert: self._written,
            fx.Update: self._written,
        }
        """What effects ask for, other than rows."""

    async def run(self) -> None:
        """Apply what comes; never ends. Nothing is taken in while the writer is far behind. However much is queued,
        everything else on the loop gets its turn."""
        turn = self.hub.clock.steady()
        while True:
            if self.hub.clock.steady() - turn > TURN_SECONDS:
                await asyncio.sleep(0)  # a queue that is not empty gives its next event without
                turn = self.hub.clock.steady()
            if self._writer.backlog > MAX_BACKLOG:
                self.hub.beat(WAITS)
                await asyncio.to_thread(self._writer.wait_below, MAX_BACKLOG)
            self.hub.beat(TICK_SECONDS)
            event = await self.hub.queue.get()
            forgotten = self._engine.recall.forgotten(event)
            self._take(await self._with_past(event, forgotten) if forgotten else event)

    def drain(self) -> None:
        """What is in the queue when everything has stopped; nothing more after a fault of the engine or the writer."""
        while not self._broken and self._writer.fatal is None and not self.hub.queue.empty():
            try:
                event = self.hub.queue.get_nowait()
                self._take(with_past(self._engine.recall, event, self._look_up))
            except Exception as problem:
                self.hub.fail("engine", problem)
                return

    async def _with_past(self, event: ev.Event, forgotten: tuple[Forgotten, ...]) -> ev.Event:
        """The event with what it needs of the past; waits while the database is out."""
        while True:
            self.hub.progress()
            try:
                found = await asyncio.to_thread(self._look_up, forgotten)
            except Exception as problem:
                if not is_outage(problem):
                    self._broken = True
                    self.hub.fail("engine", problem, f"looking up the past for {type(event).__name__}")
                    raise EngineBrokenError("looking up the past") from problem
                log.error("cannot look up the past; trying again", error=type(problem).__name__)
                await asyncio.sleep(AGAIN_SECONDS)
                continue
            return msgspec.structs.replace(event, past=found)

    def _look_up(self, forgotten: tuple[Forgotten, ...]) -> tuple[ev.Past, ...]:
        """What the store knows, with everything in it that was applied so far."""
        while self._writer.backlog and self._writer.fatal is None:
            self._writer.flush()
        with snapshot(self._database) as c:
            return past(c, list(self._engine.state.desks), forgotten, self._engine.at)

    def _take(self, event: ev.Event) -> None:
        """Apply one event.

        Events are stamped when they are made and may wait in the queue: one that is behind happens now. An unforeseen
        error ends the worker, and nothing is applied any more: what the engine knows may be half of what it should.
        """
        during = f"at {type(event).__name__}"
        if self._broken:
            raise EngineBrokenError(f"{during}, after an earlier fault")
        if event.at < self._engine.at:
            event = msgspec.structs.replace(event, at=self._engine.at)
        entered = self._journal.enter(event)
        try:
            effects = self._engine.apply(event)
        except Exception as problem:
            self._broken = True
            self.hub.fail("engine", problem, during)
            raise EngineBrokenError(during) from problem
        rows: list[fx.Effect] = effects
        if any(type(e) is fx.Answered for e in effects):
            rows = [*effects, *(answered(e, event.at) for e in effects if isinstance(e, fx.Answered))]
        try:
            self._writer.submit(rows, self._journal.leave(entered, effects))
        except WriterFailedError as problem:
            self.hub.fail("writer", self._writer.fatal or problem, during)
            raise
        self.hub.counts["events"] += 1
        acts = self._acts
        for effect in effects:
            act = acts.get(type(effect))
            if act is not None:
                act(effect)
        if self._alerts.wanted:
            self._alerts.see(effects)

    # -- what effects ask for ----------------------------------------------------------------------------------

    def _need_book(self, effect: fx.NeedBook) -> None:
        self._feeds.books.ask(effect.token_id)

    def _need_market(self, effect: fx.NeedMarket) -> None:
        self._feeds.markets.ask(effect.token_id)

    def _need_holdings(self, effect: fx.NeedHoldings) -> None:
        self._feeds.reconcile.ask(effect.leader, bootstrap=effect.bootstrap)

    def _check_chain(self, effect: fx.CheckChain) -> None:
        self.hub.counts["logs_missing"] += 1
        log.warning("a log is missing", detail=effect.detail)
        self._feeds.watcher.doubt(effect.detail)

    def _set_timer(self, effect: fx.SetTimer) -> None:
        self._timers_set += 1
        heapq.heappush(self._timers, (effect.at, self._timers_set, effect.timer))
        if self._timers[0][1] == self._timers_set:
            self._timer_wake.set()

    def _refused(self, effect: fx.Refused) -> None:
        self.hub.bad_input(effect.source, effect.error, effect.payload)

    def _answered(self, effect: fx.Answered) -> None:
        log.info("a request is done", command=effect.command, result=effect.text)

    def _written(self, effect: fx.Insert | fx.Update) -> None:
        if isinstance(effect.record, DecisionChange):
            self._log_decision(effect.record)

    def _log_decision(self, d: DecisionChange) -> None:
        self.hub.counts[f"decision_{d.action}"] += 1
        if d.action != "wait":
            trade = d.trade_id if isinstance(d, DecisionRecord) else None
            log.info("decision", id=d.id, trade=trade, action=d.action, reason=d.reason.value)

    # -- time --------------------------------------------------------------------------------------------------

    async def run_timers(self) -> None:
        """Queue what the engine has set when it is due; never ends."""
        while True:
            now = self.hub.now()
            while self._timers and self._timers[0][0] <= now:
                at, _, timer = heapq.heappop(self._timers)
                await self.hub.emit(ev.TimerFired(at=max(at, self.hub.now()), timer=timer))
            self._timer_wake.clear()
            pause = (self._timers[0][0] - self.hub.now()) / SECOND if self._timers else LONGEST_PAUSE
            pause = max(0.001, min(pause, LONGEST_PAUSE))
            self.hub.beat(pause)
            try:
                async with asyncio.timeout(pause):
                    await self._timer_wake.wait()
            except TimeoutError:
                continue

    async def tick(self) -> None:
        """Queue the regular heartbeat; never ends."""
        while True:
            await self.hub.emit(ev.Tick(at=self.hub.now()))
            self.hub.beat(TICK_SECONDS)
            await asyncio.sleep(TICK_SECONDS)


def answered(answer: fx.Answered, at: int) -> fx.Update:
    """The row of a request that is done (µs)."""
    return fx.Update(CommandDone(id=answer.command, done_at=Micros(at), result=answer.text))
