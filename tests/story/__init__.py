"""A seeded story with every kind of trouble, played in virtual time through the real engine and the real store.

``play(seed)`` plays it; with ``restarts`` the worker is killed after so many commits and made anew from the store.
``python -m tests.story SEED MINUTES DEEDS`` prints what came of it, digested kind by kind.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
from sqlalchemy import Connection, Engine, insert, select

from pilotfish.core import effects as fx
from pilotfish.core import events as ev
from pilotfish.core.drive import Drive
from pilotfish.core.engine import Engine as Core
from pilotfish.core.recall import Forgotten
from pilotfish.core.settings import Globals, Policy, policy_from
from pilotfish.core.trade import Source
from pilotfish.store import exports, following, leaders_store, portfolios_store, recalled, restore
from pilotfish.store import tables as t
from pilotfish.store.batch import write
from pilotfish.store.database import snapshot
from pilotfish.store.verify import verify
from tests.fresh import fresh_in_memory
from tests.story.deeds import make_world
from tests.story.script import Script, make_script
from tests.story.world import BEGIN, World

MAIN = portfolios_store.MAIN


class Killed(Exception):  # noqa: N818 - the end of a process, not an error of this program
    """The worker was killed right after a commit."""


@dataclass
class Story:
    """One seed's world and script, the store, and the engine that lives at the moment."""

    seed: int
    world: World
    script: Script
    database: Engine
    policies: dict[str, Policy] = field(default_factory=lambda: {MAIN: policy_from({})})
    healthy: dict[Source, bool] = field(default_factory=lambda: {Source.API: True, Source.POLYGON: False})
    commits: int = 0
    effects: Any = field(default_factory=hashlib.sha256)
    """Digest of everything that came out, byte for byte."""
    core: Core = field(default_factory=Core)
    keep: int | None = None
    """How long (µs) trades stay in memory; ``None`` = as long as without a store."""
    watch: Callable[[ev.Event, list[fx.Effect]], None] | None = None
    """Sees each event and its effects, too."""
    _rest: list[ev.Event] = field(default_factory=list)
    """What of the script is still to come."""
    _kill_at: int = 0

    def play(self, restarts: Sequence[int] = ()) -> None:
        """Play it to its end, killed after each of these numbers of commits."""
        with self.database.begin() as c:
            portfolios_store.ensure_main(c, self.policies[MAIN], BEGIN)
        self._rest = list(self.script.events)
        kills = [*restarts, 0]
        at = BEGIN
        for kill in kills:
            self._kill_at = kill
            try:
                self._run(at)
            except Killed as killed:
                at = int(killed.args[0])

    def _run(self, at: int) -> None:
        self.core = Core()
        drive = Drive(self.core, self.world.answer, self._commit, look_up=self._look_up)
        drive.at = at
        with snapshot(self.database) as c:
            drive.push(restore.restored(c, dict(self.policies), Globals(), at, keep=self.keep))
            for leader in following.leaders(c):
                again = following.follow_again(c, leader, at) if leader.status != "removed" else None
                if again is not None:
                    drive.push(again)
            self._rest = [self._as_left(c, event) for event in self._rest]
        for source, healthy in self.healthy.items():
            drive.push(ev.HealthChanged(at=at, source=source, healthy=healthy))
        for event in self._rest:
            drive.push(event)
        drive.run(self.script.until)

    def _look_up(self, forgotten: tuple[Forgotten, ...]) -> tuple[ev.Past, ...]:
        with snapshot(self.database) as c:
            return recalled.past(c, list(self.core.state.desks), forgotten, self.core.at)

    def _as_left(self, c: Connection, event: ev.Event) -> ev.Event:
        """Who was left in a run before and is followed again starts from what the books say that they held."""
        if not (isinstance(event, ev.LeaderFollowed) and event.is_new):
            return event
        row = next((r for r in following.leaders(c) if r.wallet == event.leader and r.status == "removed"), None)
        was = following.follow_again(c, row, event.at) if row is not None else None
        return event if was is None else msgspec.structs.replace(event, holdings=was.holdings)

    def _commit(self, event: ev.Event, effects: list[fx.Effect]) -> None:
        """What an event did, and what people had entered before it, is one commit; then the worker may be killed."""
        rows = [e for e in effects if isinstance(e, fx.RowEffect)]
        self.effects.update(msgspec.json.encode(effects))
        if self.watch is not None:
            self.watch(event, effects)
        with self.database.begin() as c:
            self._entered(c, event)
            write(c, rows)
        self.commits += 1
        if self._rest and _told(event, self._rest[0]):
            self._rest.pop(0)
        if self.commits == self._kill_at:
            raise Killed(event.at)

    def _entered(self, c: Connection, event: ev.Event) -> None:
        """The rows that people's commands leave before the worker takes them up."""
        match event:
            case ev.LeaderFollowed(is_new=True):
                leaders_store.add(c, event.leader, "", event.at, by="story")
            case ev.LeaderRemoved():
                leaders_store.set_status(c, event.leader, "removed", event.at, by="story")
            case ev.LeaderPaused():
                leaders_store.set_status(c, event.leader, "paused" if event.paused else "active", event.at, by="story")
            case ev.PolicyChanged():
                self.policies[event.portfolio] = event.policy
            case ev.PortfolioAdded(state=state):
                self.policies[state.name] = state.policy
                values = {"name": state.name, "bankroll_micro": state.bankroll, "created_at": event.at}
                c.execute(insert(t.portfolios).values(follows_all=state.follows is None, **values))
                if state.follows is not None:
                    portfolios_store.set_follows(c, state.name, state.follows, at=event.at, by="story")
            case ev.FollowsChanged():
                portfolios_store.set_follows(c, event.portfolio, event.leaders, at=event.at, by="story")
            case ev.PortfolioArchived():
                del self.policies[event.portfolio]
                portfolios_store.archive(c, event.portfolio, at=event.at, by="story")
            case ev.HealthChanged():
                self.healthy[event.source] = event.healthy
            case _:
                pass

    # -- looking ---------------------------------------------------------------------------------------------------

    def export(self, kind: str) -> list[dict[str, Any]]:
        """All rows of a kind, as ``pilotfish export`` gives them."""
        with snapshot(self.database) as c:
            return [msgspec.to_builtins(row) for row in exports.rows(c, kind)]

    def digests(self) -> dict[str, str]:
        """Each kind of export as JSON, and everything that the engine asked for, digested."""
        found = {kind: hashlib.sha256(msgspec.json.encode(self.export(kind))).hexdigest() for kind in exports.KINDS}
        return {**found, "effects": self.effects.hexdigest()}

    def differences(self) -> list[str]:
        """What ``pilotfish verify`` finds."""
        with snapshot(self.database) as c:
            return list(verify(c))

    def stuck(self) -> list[str]:
        """Decisions that wait and orders that are open."""
        with snapshot(self.database) as c:
            waiting = c.execute(
                select(t.decisions.c.id, t.decisions.c.reason, t.decisions.c.portfolio)
                .where(t.decisions.c.action == "wait").order_by(t.decisions.c.id)
            )  # fmt: skip
            open_ = c.execute(
                select(t.intents.c.id, t.intents.c.state, t.intents.c.side, t.intents.c.portfolio, t.intents.c.trade_id)
                .where(t.intents.c.state.in_(("pending", "working"))).order_by(t.intents.c.id)
            )  # fmt: skip
            return [
                *(f"decision {r.id} of {r.portfolio}: {r.reason}" for r in waiting),
                *(f"{r.side} order {r.id} of {r.portfolio} on trade {r.trade_id}: {r.state}" for r in open_),
            ]


def _told(event: ev.Event, told: ev.Event) -> bool:
    """True if ``event`` is what was ``told``, as it stands or with what came with it of the past."""
    if isinstance(event, ev.ChainFillSeen | ev.ApiWindowRead) and event.past:
        return msgspec.structs.replace(event, past=()) == told
    return event is told


def make(seed: int, minutes: int = 10, deeds: int = 90, database: Engine | None = None) -> Story:
    """The story of a seed, not yet played; on SQLite in memory unless an empty ``database`` is given."""
    world = make_world(seed, minutes, deeds)
    return Story(seed, world, make_script(world, minutes), database or fresh_in_memory())


def play(seed: int, restarts: Sequence[int] = (), *, minutes: int = 10, deeds: int = 90) -> Story:
    """The story of a seed, played."""
    story = make(seed, minutes, deeds)
    story.play(restarts)
    return story


__all__ = ["Story", "make", "play"]
