"""What people change, taken up while the worker runs: settings, leaders, portfolios and commands, found as rows in the
database; and the worker's state, published there."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import structlog
from sqlalchemy import select, update
from sqlalchemy.exc import SQLAlchemyError

from pilotfish.app.config import process_value
from pilotfish.app.ending import TakenOverError
from pilotfish.app.modes import effective_mode
from pilotfish.core import events as ev
from pilotfish.core.settings import Policy
from pilotfish.core.units import SECOND
from pilotfish.store import portfolios_store, restore, settings_store
from pilotfish.store import tables as t
from pilotfish.store.outage import is_outage

if TYPE_CHECKING:
    from pilotfish.app.runtime import Worker

log = structlog.get_logger(__name__)

CONTROL_SECONDS = 0.5


class Control:
    """Looks twice a second."""

    def __init__(self, worker: Worker) -> None:
        self.worker = worker
        self._leaders: dict[str, tuple[str, int]] = {}
        """Wallet -> status, and since when it is followed: left and followed again between two looks is a new start."""
        self._policies: dict[str, Policy] = {}
        self._follows: dict[str, list[str] | None] = {}

    def start(self, now: int) -> None:
        """The state that the store knows becomes the engine's."""
        w = self.worker
        with w.database.begin() as c:
            stored = settings_store.load(c)
            main = settings_store.policy_of(w.environment, stored, portfolios_store.MAIN)
            portfolios_store.ensure_main(c, main, now)
            names = portfolios_store.active(c)
            self._follows = {n: portfolios_store.follows(c, n) for n in names}
            self._policies = {n: settings_store.policy_of(w.environment, stored, n) for n in names}
            first = restore.restored(c, self._policies, settings_store.globals_of(w.environment, stored), now)
            leaders = restore.leaders(c)
        self.take_settings(stored)
        w.apply(first)
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
            w.reconcile.ask_values()

    async def run(self) -> None:
        """Take up settings, leaders and commands from the database; publish the worker's state there."""
        while True:
            try:
                stored, leaders, follows, commands = await asyncio.to_thread(self._read)
                self.take_settings(stored)
                self._take_portfolios(stored, follows)
                await self._take_policies(stored)
                for leader in leaders:
                    self._take_leader(leader, known=False)
                self.worker.alerts.labels = {row.wallet: row.label for row in leaders}
                self.worker.poller.labels = self.worker.alerts.labels
                for command in commands:
                    await self._run_command(command)
                self.worker.health.publish()
                if not await asyncio.to_thread(self.worker.lease.renew):
                    raise TakenOverError("another worker took this database over")
            except (SQLAlchemyError, OSError) as problem:
                if not is_outage(problem):
                    raise
                self.worker.hub.counts["control_errors"] += 1
                log.error("cannot read the database for changes", error=str(problem).splitlines()[0][:200])
            await asyncio.sleep(CONTROL_SECONDS)

    def _read(
        self,
    ) -> tuple[settings_store.Stored, list[restore.LeaderRow], dict[str, list[str] | None], list[Any]]:
        with self.worker.database.connect() as c:
            commands = list(
                c.execute(select(t.commands).where(t.commands.c.done_at.is_(None)).order_by(t.commands.c.id))
            )
            follows = {name: portfolios_store.follows(c, name) for name in portfolios_store.active(c)}
            return settings_store.load(c), restore.leaders(c), follows, commands

    def take_settings(self, stored: settings_store.Stored) -> None:
        values = settings_store.effective(self.worker.environment, stored)
        self.worker.hub.settings = {name: e.value for name, e in values.items()}
        self.worker.alerts.take(self.worker.hub.settings)
        mode = effective_mode(self.worker.environment, stored.dashboard)
        if mode == self.worker.mode:
            return
        changed, self.worker.mode = self.worker.mode is not None, mode
        log.info("trigger mode changed" if changed else "trigger mode", **mode.log_fields())
        if mode.env is not None and mode.db is not None and mode.env != mode.db:
            log.warning("TRIGGER_MODE in the environment is overridden by the dashboard", **mode.log_fields())
        if mode.effective == "api":
            self.worker.hub.spawn(self.worker.watcher.stop(), "polygon-stop")
        else:
            self.worker.watcher.start()
            if not process_value(self.worker.environment, "polygon_ws_url"):
                log.warning("no POLYGON_WS_URL: the chain source stays off, copying relies on the Data API alone")

    def _take_portfolios(self, stored: settings_store.Stored, follows: dict[str, list[str] | None]) -> None:
        """New portfolios, archived ones, and whom each copies."""
        now = self.worker.hub.now()
        for name in [n for n in self._policies if n not in follows]:
            del self._policies[name], self._follows[name]
            self.worker.apply(ev.PortfolioArchived(at=now, portfolio=name))
            log.info("portfolio archived", portfolio=name)
        for name, leaders in follows.items():
            if name not in self._policies:
                policy = self._policies[name] = settings_store.policy_of(self.worker.environment, stored, name)
                self._follows[name] = leaders
                with self.worker.database.connect() as c:
                    state = restore.portfolio(c, name, policy, now)
                self.worker.apply(ev.PortfolioAdded(at=now, state=state))
                log.info("portfolio taken up", portfolio=name)
            elif leaders != self._follows[name]:
                self._follows[name] = leaders
                chosen = None if leaders is None else tuple(leaders)
                self.worker.apply(ev.FollowsChanged(at=now, portfolio=name, leaders=chosen))
                log.info("portfolio copies others", portfolio=name, leaders="all" if chosen is None else len(chosen))

    async def _take_policies(self, stored: settings_store.Stored) -> None:
        found = settings_store.globals_of(self.worker.environment, stored)
        if found != self.worker.engine.state.globals:
            await self.worker.hub.emit(ev.GlobalsChanged(at=self.worker.hub.now(), globals=found))
        for name in list(self._policies):
            policy = settings_store.policy_of(self.worker.environment, stored, name)
            if policy != self._policies[name]:
                if policy.sizing_mode == "bankroll_ratio":
                    self.worker.reconcile.ask_values()
                self._policies[name] = policy
                await self.worker.hub.emit(ev.PolicyChanged(at=self.worker.hub.now(), portfolio=name, policy=policy))
                log.info("settings taken up", portfolio=name)

    def _take_leader(self, leader: restore.LeaderRow, *, known: bool) -> None:
        before, since = self._leaders.get(leader.wallet, (None, leader.added_at))
        if (leader.status, leader.added_at) == (before, since):
            return
        now = self.worker.hub.now()
        self._leaders[leader.wallet] = (leader.status, leader.added_at)
        left_meanwhile = before in ("active", "paused") and since != leader.added_at
        if leader.status == "removed" or left_meanwhile:
            if before is not None or known:
                self.worker.poller.unfollow(leader.wallet)
                self.worker.reconcile.unfollow(leader.wallet)
                self.worker.apply(ev.LeaderRemoved(at=now, leader=leader.wallet))
            if before is not None:
                log.info("leader removed", leader=leader.wallet)
        if leader.status == "removed":
            pass
        elif before in ("active", "paused") and not left_meanwhile:
            self.worker.apply(ev.LeaderPaused(at=now, leader=leader.wallet, paused=leader.status == "paused"))
            log.info("leader changed", leader=leader.wallet, status=leader.status)
        else:
            with self.worker.database.connect() as c:
                event = was = restore.follow_again(c, leader, now)
            left = before is not None or (was is not None and was.follow_from < leader.added_at - SECOND)
            if event is None or left:  # of one who was left, history in between is never copied
                event = self._new_follow(leader, now, was.holdings if was is not None else ())
            self.worker.reconcile.follow(leader.wallet, event.follow_from)
            self.worker.apply(event)
            self.worker.poller.follow(leader.wallet, event.floor_ts, event.cursor_ts, event.gaps)
            log.info(
                "following",
                leader=leader.wallet,
                label=leader.label,
                since=event.follow_from // SECOND,
                new=event.is_new,
            )
        self.worker.watcher.watch(frozenset(w for w, (status, _) in self._leaders.items() if status != "removed"))

    def _new_follow(
        self, leader: restore.LeaderRow, now: int, holdings: tuple[tuple[str, int], ...]
    ) -> ev.LeaderFollowed:
        """A flat start reads nothing from before now; a warm start reads some history, as backfill. ``holdings`` are
        what the books say that they held when they were left: the first snapshot corrects them."""
        follow_from = leader.added_at if leader.added_at >= self.worker.started_at else now
        floor = follow_from // SECOND
        if self.worker.hub.text("startup_mode") == "warm":
            floor -= self.worker.hub.number("warm_start_seconds")
        return ev.LeaderFollowed(
            at=now,
            leader=leader.wallet,
            follow_from=follow_from,
            floor_ts=floor,
            cursor_ts=floor,
            is_new=True,
            paused=leader.status == "paused",
            holdings=holdings,
        )

    async def _run_command(self, command: Any) -> None:
        now = self.worker.hub.now()
        if command.kind == "reset":
            portfolio = command.payload.get("portfolio")
            self.worker.apply(ev.PaperReset(at=now, portfolio=portfolio))
            result = "done"
            log.warning("paper state reset", portfolio=portfolio or "all", by=command.by)
        elif command.kind == "close":
            what = {key: command.payload.get(key) for key in ("leader", "token_id")}
            asked = ev.CloseAsked(at=now, portfolio=str(command.payload.get("portfolio")), **what)
            before = self.worker.engine.state.ids["intent"]
            self.worker.apply(asked)
            result = f"{self.worker.engine.state.ids['intent'] - before} exits begun"
            log.info("closing by hand", by=command.by, result=result, **command.payload)
        else:
            result = f"unknown command {command.kind}"
        done = update(t.commands).where(t.commands.c.id == command.id).values(done_at=now, result=result)
        await asyncio.to_thread(self._finish_command, done)

    def _finish_command(self, statement: Any) -> None:
        if self.worker.writer.flush():
            with self.worker.database.begin() as c:
                c.execute(statement)
