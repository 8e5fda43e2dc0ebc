"""What people change, taken up while the worker runs: settings, leaders, portfolios and commands, found as rows in the
database. All of it becomes events in the queue: nothing here touches the engine."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import structlog
from sqlalchemy import Connection, select
from sqlalchemy import Engine as Database
from sqlalchemy.exc import SQLAlchemyError

from pilotfish.app import take_in
from pilotfish.app.alerts import Alerts
from pilotfish.app.config import process_value
from pilotfish.app.followed import Followed
from pilotfish.app.health import Health
from pilotfish.app.lease import Lease
from pilotfish.app.live import answered
from pilotfish.app.modes import InForce, effective_mode
from pilotfish.app.pacing import Pacing
from pilotfish.app.wiring import Feeds
from pilotfish.core import events as ev
from pilotfish.core.effects import Answered
from pilotfish.core.recall import KEEP
from pilotfish.core.settings import Globals, Policy, Value
from pilotfish.feeds.hub import Hub
from pilotfish.store import audit, following, portfolios_store, restore, settings_store, worker_state
from pilotfish.store import tables as t
from pilotfish.store.fence import TakenOverError
from pilotfish.store.outage import is_outage
from pilotfish.store.writer import Writer

log = structlog.get_logger(__name__)

CONTROL_SECONDS = 0.5
LONGEST_SECONDS = 10.0
"""What people want is read again at least so often, also where nobody has written down that it changed."""


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What people want. ``policies``: of the portfolios that take part; ``follows``: whom each copies, ``None`` = all;
    ``written``: the numbers of the newest deed and change of a setting that are in it; ``pause``: for how many seconds
    it holds if there is no newer one."""

    stored: settings_store.Stored
    globals_: Globals
    policies: dict[str, Policy]
    leaders: list[following.LeaderRow]
    follows: dict[str, list[str] | None]
    written: tuple[int, int]
    pause: float


@dataclass(frozen=True, slots=True)
class _Found:
    """What one look into the database has found. ``wanted``: ``None`` = nobody has written down that it changed."""

    wanted: _Wanted | None
    commands: list[Any]


class Control:
    """Looks twice a second, and publishes the worker's state as often. ``over``: whom the database was taken over from,
    in words."""

    def __init__(
        self, database: Database, environment: Mapping[str, Value], hub: Hub, feeds: Feeds, writer: Writer,
        mode: InForce, alerts: Alerts, health: Health, lease: Lease, over: str,
    ) -> None:  # fmt: skip
        self.hub = hub
        self._database = database
        self._environment = dict(environment)
        self._feeds = feeds
        self._writer = writer
        self._mode = mode
        self._alerts = alerts
        self._health = health
        self._lease = lease
        self._over = over
        self._followed = Followed(database, hub, feeds, health.started_at)
        self._resolved = settings_store.Policies(self._environment)
        self._policies: dict[str, Policy] = {}
        self._globals = Globals()
        self._follows: dict[str, list[str] | None] = {}
        self._pacing = Pacing(CONTROL_SECONDS, LONGEST_SECONDS)
        self._written: tuple[int, int] | None = None
        self._holds_until = 0.0
        """What was last read of what people want holds until then (steady s) if nobody writes that it changed."""
        self._asked: set[int] = set()
        """Commands that are in the queue, or whose answer is not stored yet."""

    async def start(self, now: int) -> None:
        """The state that the store knows becomes the engine's: the first events of the run."""
        stored, first, leaders = await asyncio.to_thread(self._read_first, now)
        self._take_settings(stored)
        await self.hub.emit(first)
        log.info(
            "state restored",
            portfolios=len(first.portfolios),
            trades=len(first.trades),
            open_intents=sum(len(p.intents) for p in first.portfolios),
            waiting=sum(len(p.pending) for p in first.portfolios),
        )
        await self._followed.take(leaders, known=True)
        if any(p.sizing_mode == "bankroll_ratio" for p in self._policies.values()):
            self._feeds.reconcile.ask_values()

    def _read_first(self, now: int) -> tuple[settings_store.Stored, ev.Restored, list[following.LeaderRow]]:
        with self._database.begin() as c:
            last, _ = worker_state.read(c)
            self._health.go_on(last, self._over)
            stored = settings_store.load(c)
            main = settings_store.policy_of(self._environment, stored, portfolios_store.MAIN)
            portfolios_store.ensure_main(c, main, now)
            self._follows = portfolios_store.everyones_follows(c)
            self._policies = self._resolved.of(stored, self._follows)
            self._globals = settings_store.globals_of(self._environment, stored)
            return stored, restore.restored(c, self._policies, self._globals, now, keep=KEEP), following.leaders(c)

    async def run(self) -> None:
        """Take up settings, leaders and commands from the database; never ends. What it finds waits while the queue is
        full."""

        async def one() -> None:
            await self._take(await asyncio.to_thread(self._read))

        await self._for_ever(one, "cannot read the database for changes")

    async def keep_published(self) -> None:
        """Publish the worker's state; never ends, and waits for nobody: however much is queued, a worker that works
        says so."""

        async def one() -> None:
            self._health.publish()

        await self._for_ever(one, "cannot publish the worker's state")

    async def keep_lease(self) -> None:
        """Keep the lease, from the very beginning; never ends. Who stands by takes a worker that does not for dead."""

        async def one() -> None:
            if not await asyncio.to_thread(self._lease.renew):
                raise TakenOverError

        await self._for_ever(one, "cannot keep the lease in the database")

    async def _for_ever(self, one: Callable[[], Awaitable[None]], without: str) -> None:
        """One look after the other; while the database is out, that is said and tried again."""
        while True:
            self.hub.progress()
            try:
                await one()
            except (SQLAlchemyError, OSError) as problem:
                if not is_outage(problem):
                    raise
                self.hub.counts["control_errors"] += 1
                log.error(without, error=str(problem).splitlines()[0][:200])
            self.hub.beat(CONTROL_SECONDS)
            await asyncio.sleep(CONTROL_SECONDS)

    def _read(self) -> _Found:
        asked = select(t.commands).where(t.commands.c.done_at.is_(None)).order_by(t.commands.c.id)
        with self._database.connect() as c:
            commands, written = list(c.execute(asked)), audit.newest(c)
            if written == self._written and time.monotonic() < self._holds_until:
                return _Found(None, commands)
            return _Found(self._read_wanted(c, written), commands)

    def _read_wanted(self, c: Connection, written: tuple[int, int]) -> _Wanted:
        self._pacing.begin()
        stored, leaders = settings_store.load(c), following.leaders(c)
        follows = portfolios_store.everyones_follows(c)
        policies = self._resolved.of(stored, follows)
        globals_ = settings_store.globals_of(self._environment, stored)
        return _Wanted(stored, globals_, policies, leaders, follows, written, self._pacing.pause())

    async def _take(self, found: _Found) -> None:
        if found.wanted is not None:
            await self._take_wanted(found.wanted)
        self._asked &= {command.id for command in found.commands}
        for command in found.commands:
            if command.id not in self._asked:
                self._asked.add(command.id)
                await self._ask(command)

    async def _take_wanted(self, wanted: _Wanted) -> None:
        """Only what is taken up whole counts as read."""
        self._take_settings(wanted.stored)
        await self._take_portfolios(wanted.policies, wanted.follows)
        await self._take_policies(wanted.globals_, wanted.policies)
        await self._followed.take(wanted.leaders, known=False)
        self._alerts.labels = {row.wallet: row.label for row in wanted.leaders}
        self._feeds.poller.labels = self._alerts.labels
        self._written, self._holds_until = wanted.written, time.monotonic() + wanted.pause

    # -- settings and portfolios -------------------------------------------------------------------------------

    def _take_settings(self, stored: settings_store.Stored) -> None:
        values = settings_store.effective(self._environment, stored)
        self.hub.settings = {name: e.value for name, e in values.items()}
        self._alerts.take(self.hub.settings)
        mode = effective_mode(self._environment, stored.dashboard)
        if mode == self._mode.mode:
            return
        changed, self._mode.mode = self._mode.mode is not None, mode
        log.info("trigger mode changed" if changed else "trigger mode", **mode.log_fields())
        if mode.env is not None and mode.db is not None and mode.env != mode.db:
            log.warning("TRIGGER_MODE in the environment is overridden by the dashboard", **mode.log_fields())
        if mode.api_only:
            self.hub.spawn(self._feeds.watcher.stop(), "polygon-stop")
        else:
            self._feeds.watcher.start()
            if not process_value(self._environment, "polygon_ws_url"):
                log.warning("no POLYGON_WS_URL: the chain source stays off, copying relies on the Data API alone")

    async def _take_portfolios(self, policies: dict[str, Policy], follows: dict[str, list[str] | None]) -> None:
        """New portfolios, archived ones, and whom each copies."""
        for name in [n for n in self._policies if n not in follows]:
            del self._policies[name], self._follows[name]
            await self.hub.emit(ev.PortfolioArchived(at=self.hub.now(), portfolio=name))
            log.info("portfolio archived", portfolio=name)
        for name, leaders in follows.items():
            if name not in self._policies:
                policy = policies[name]
                state = await asyncio.to_thread(self._portfolio, name, policy)
                self._policies[name], self._follows[name] = policy, leaders
                await self.hub.emit(ev.PortfolioAdded(at=self.hub.now(), state=state))
                log.info("portfolio taken up", portfolio=name)
            elif leaders != self._follows[name]:
                self._follows[name] = leaders
                chosen = None if leaders is None else tuple(leaders)
                await self.hub.emit(ev.FollowsChanged(at=self.hub.now(), portfolio=name, leaders=chosen))
                log.info("portfolio copies others", portfolio=name, leaders="all" if chosen is None else len(chosen))

    def _portfolio(self, name: str, policy: Policy) -> ev.PortfolioState:
        with self._database.connect() as c:
            return restore.portfolio(c, name, policy, self.hub.now())

    async def _take_policies(self, globals_: Globals, policies: dict[str, Policy]) -> None:
        if globals_ != self._globals:
            self._globals = globals_
            await self.hub.emit(ev.GlobalsChanged(at=self.hub.now(), globals=globals_))
        for name, policy in policies.items():
            if policy is not self._policies[name] and policy != self._policies[name]:
                if policy.sizing_mode == "bankroll_ratio":
                    self._feeds.reconcile.ask_values()
                self._policies[name] = policy
                await self.hub.emit(ev.PolicyChanged(at=self.hub.now(), portfolio=name, policy=policy))
                log.info("settings taken up", portfolio=name)

    # -- commands ----------------------------------------------------------------------------------------------

    async def _ask(self, command: Any) -> None:
        """Queue what a person asked for. The engine's answer is stored with what came of it (``live``): a request that
        a worker did not get to, or whose rows were not stored, is asked again after the next start."""
        now, payload = self.hub.now(), command.payload if isinstance(command.payload, dict) else {}
        portfolio, leader, token_id = (payload.get(key) for key in ("portfolio", "leader", "token_id"))
        match command.kind:
            case "reset":
                log.warning("paper state is to be reset", portfolio=portfolio or "all", by=command.by)
                await self.hub.emit(ev.PaperReset(at=now, portfolio=portfolio, command=command.id))
            case "close":
                log.info("positions are to be closed by hand", by=command.by, **payload)
                await self.hub.emit(
                    ev.CloseAsked(
                        at=now, portfolio=str(portfolio), leader=leader, token_id=token_id, command=command.id
                    )
                )
            case take_in.TAKE_IN:
                self.hub.spawn(self._take_in(command.id, payload), "take-in")
            case _:
                self._writer.submit([answered(Answered(command.id, f"unknown command {command.kind}"), now)])

    async def _take_in(self, number: int, payload: Mapping[str, object]) -> None:
        """What was missed, as backfill; beside the look into the database, since the venue has to be asked."""
        failed = await take_in.take_in(self.hub, self._feeds.poller, payload, number)
        if failed:
            log.warning("what was missed could not be taken in", error=failed)
            self._writer.submit([answered(Answered(number, f"nothing taken in: {failed}"), self.hub.now())])
