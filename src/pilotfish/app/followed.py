"""Whom the worker follows: taken up from the rows that people write, and handed to the engine and the feeds."""

from __future__ import annotations

import asyncio
from typing import TypeAlias

import structlog
from sqlalchemy import Engine as Database

from pilotfish.app.wiring import Feeds
from pilotfish.core import events as ev
from pilotfish.core.units import SECOND
from pilotfish.feeds.hub import Hub
from pilotfish.store import following

log = structlog.get_logger(__name__)

AT_ONCE = 500
"""Leaders who are looked up with one question."""
_Taken: TypeAlias = tuple[ev.LeaderRemoved | None, ev.LeaderFollowed]


class Followed:
    """The leaders as this worker has taken them up. ``started_at``: when it started (µs)."""

    def __init__(self, database: Database, hub: Hub, feeds: Feeds, started_at: int) -> None:
        self.hub = hub
        self._database = database
        self._feeds = feeds
        self._started_at = started_at
        self._leaders: dict[str, tuple[str, int]] = {}
        """Wallet -> status, and since when it is followed: left and followed again between two looks is a new start."""

    async def take(self, leaders: list[following.LeaderRow], *, known: bool) -> None:
        """Take up who came, was left, paused or resumed. ``known``: the first look of a run, in which the engine may
        know of leaders who were left meanwhile."""
        changed = [x for x in leaders if self._leaders.get(x.wallet) != (x.status, x.added_at)]
        if not changed and not known:
            return
        for begin in range(0, len(changed), AT_ONCE):
            some = changed[begin : begin + AT_ONCE]
            fresh = [x for x in some if x.wallet not in self._leaders and x.status != "removed"]
            taken = await asyncio.to_thread(self._all_taken_up, fresh, self.hub.now()) if fresh else {}
            for leader in some:
                await self._take_one(leader, taken.get(leader.wallet), known=known)
        self._feeds.watcher.watch(frozenset(w for w, (status, _) in self._leaders.items() if status != "removed"))

    async def _take_one(self, leader: following.LeaderRow, taken: _Taken | None, *, known: bool) -> None:
        """A leader as the row says. Polling begins after the engine's event is in the queue, so that the engine knows
        them before it hears of them."""
        before, since = self._leaders.get(leader.wallet, (None, leader.added_at))
        left_meanwhile = before in ("active", "paused") and since != leader.added_at
        if leader.status == "removed" or left_meanwhile:
            if before is not None or known:
                self._feeds.poller.unfollow(leader.wallet)
                self._feeds.reconcile.unfollow(leader.wallet)
                await self.hub.emit(ev.LeaderRemoved(at=self.hub.now(), leader=leader.wallet))
            if before is not None:
                log.info("leader removed", leader=leader.wallet)
        if leader.status == "removed":
            pass
        elif before in ("active", "paused") and not left_meanwhile:
            paused = leader.status == "paused"
            await self.hub.emit(ev.LeaderPaused(at=self.hub.now(), leader=leader.wallet, paused=paused))
            log.info("leader changed", leader=leader.wallet, status=leader.status)
        else:
            if taken is None:
                taken = await asyncio.to_thread(self._taken_up, leader, self.hub.now())
            await self._follow(leader, taken)
        self._leaders[leader.wallet] = (leader.status, leader.added_at)

    async def _follow(self, leader: following.LeaderRow, taken: _Taken) -> None:
        """From now on, or again after a restart."""
        ended, event = taken
        if ended is not None:
            await self.hub.emit(ended)
        self._feeds.reconcile.follow(leader.wallet, event.follow_from)
        await self.hub.emit(event)
        self._feeds.poller.follow(leader.wallet, event.floor_ts, event.cursor_ts, event.gaps)
        log.info(
            "following", leader=leader.wallet, label=leader.label, since=event.follow_from // SECOND, new=event.is_new
        )

    def _taken_up(self, leader: following.LeaderRow, now: int) -> _Taken:
        """Whom this worker has seen left."""
        with self._database.connect() as c:
            return following.taken_up(c, leader, now, started_at=self._started_at, left=True, warm_sec=self._warm_sec)

    def _all_taken_up(self, leaders: list[following.LeaderRow], now: int) -> dict[str, _Taken]:
        with self._database.connect() as c:
            return following.all_taken_up(c, leaders, now, started_at=self._started_at, warm_sec=self._warm_sec)

    @property
    def _warm_sec(self) -> int:
        return self.hub.number("warm_start_seconds") if self.hub.text("startup_mode") == "warm" else 0
