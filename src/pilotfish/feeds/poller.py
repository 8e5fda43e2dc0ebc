"""The Data API, polled from a cursor per leader.

Each poll reads everything from ``cursor − overlap`` on, all pages, ascending, and hands it to the engine as one
window; the engine moves the cursor in the same commit as the trades, so a crash can only re-read, never skip.
"""

from __future__ import annotations

import asyncio
import random
import time
from dataclasses import dataclass

import structlog

from pilotfish.core.events import ApiWindowRead
from pilotfish.core.units import SECOND
from pilotfish.feeds.hub import Hub
from pilotfish.polymarket.data_api import ActivityWindow, DataApi
from pilotfish.polymarket.http import VenueError

log = structlog.get_logger(__name__)

SIMULATED_LAG_SEC = 5


@dataclass(slots=True)
class Cursor:
    """Where the polling of one leader stands (epoch seconds), and how it goes."""

    leader: str
    floor_ts: int
    cursor_ts: int
    last_ok_at: float | None = None
    interval_s: float | None = None
    error: str = ""
    polls: int = 0


class Poller:
    """One task per leader; the service's limiter keeps them together below the documented limit."""

    def __init__(self, hub: Hub, api: DataApi) -> None:
        self.hub = hub
        self.api = api
        self.cursors: dict[str, Cursor] = {}
        self.last_ok_at: float | None = None
        self.serving_lag: int | None = None
        self.started_at = time.time()
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._reported: set[str] = set()

    def start(self) -> None:
        """Begin asking the service for its own state."""
        self.hub.spawn(self._watch_status(), "api-status", essential=True)

    def follow(self, leader: str, floor_ts: int, cursor_ts: int) -> None:
        """Poll a leader from now on."""
        self.unfollow(leader)
        self.cursors[leader] = Cursor(leader, floor_ts, cursor_ts)
        position = len(self._tasks)
        polling = self._poll_forever(self.cursors[leader], position)
        self._tasks[leader] = self.hub.spawn(polling, f"poll-{leader[:10]}", essential=True)

    def unfollow(self, leader: str) -> None:
        """Stop polling a leader."""
        self.cursors.pop(leader, None)
        task = self._tasks.pop(leader, None)
        if task is not None:
            task.cancel()

    async def _poll_forever(self, cursor: Cursor, position: int) -> None:
        await asyncio.sleep(position * self.hub.number("leader_stagger_ms") / 1000)
        previous: float | None = None
        while True:
            started = time.monotonic()
            if previous is not None:
                cursor.interval_s = started - previous
            previous = started
            more = await self._poll(cursor)
            pause = self.hub.number("poll_interval_ms") / 1000 - (time.monotonic() - started)
            await asyncio.sleep(0.02 if more else max(0.05, pause * random.uniform(0.98, 1.02)))

    async def _poll(self, cursor: Cursor) -> bool:
        """One poll; True if there is more to read at once."""
        start = max(cursor.floor_ts, cursor.cursor_ts - self.hub.number("poll_overlap_sec"))
        try:
            window = await self.api.activity(cursor.leader, start)
        except VenueError as problem:
            if cursor.error != str(problem):
                log.warning("poll failed; the cursor stays", leader=cursor.leader, error=str(problem))
            cursor.error = str(problem)
            self.hub.counts["polls_failed"] += 1
            return False
        if cursor.error:
            log.info("poll works again", leader=cursor.leader)
        cursor.error, cursor.polls = "", cursor.polls + 1
        cursor.last_ok_at = self.last_ok_at = time.time()
        self.hub.counts["polls"] += 1
        self._report_bad(cursor.leader, window)
        if self.hub.flag("simulate_api_lag"):
            window = _lagged(window, int(time.time()) - SIMULATED_LAG_SEC)
        moved = cursor.cursor_ts
        if window.last_ts is not None:
            moved = max(moved, window.last_ts + 1)
        if window.fills or window.moves or moved > cursor.cursor_ts:
            event = ApiWindowRead(
                at=self.hub.now(), leader=cursor.leader, fills=window.fills, cursor_ts=moved, moves=window.moves
            )
            await self.hub.emit(event)
        cursor.cursor_ts = moved
        return not window.complete

    def _report_bad(self, leader: str, window: ActivityWindow) -> None:
        for payload, error in window.bad_rows:
            if payload not in self._reported:
                self._reported.add(payload)
                self.hub.bad_input("api", f"activity row of {leader}: {error}", payload)
        if len(self._reported) > 10_000:
            self._reported.clear()

    async def _watch_status(self) -> None:
        while True:
            try:
                self.serving_lag = await self.api.serving_lag_seconds()
                if self.serving_lag is not None:
                    self.last_ok_at = time.time()
            except VenueError as problem:
                log.debug("status not available", error=str(problem))
            await asyncio.sleep(10 * random.uniform(0.9, 1.1))

    def healthy(self) -> tuple[bool, str]:
        """Whether the API is to be relied on, and why (not)."""
        stale = self.hub.number("api_health_stale_ms") / 1000
        limit = self.hub.number("api_max_serving_lag_sec")
        if self.serving_lag is not None and self.serving_lag > limit:
            return False, f"the service says that it is {self.serving_lag} s behind (limit {limit} s)"
        since = self.last_ok_at if self.last_ok_at is not None else self.started_at
        age = time.time() - since
        if age <= stale or (not self.cursors and self.last_ok_at is None):
            return True, f"{self.api.version}, last answer {age:.0f} s ago"
        last = self.api.service.health.last_error
        error = next((c.error for c in self.cursors.values() if c.error), last or "no poll succeeded")
        return False, f"no answer for {age:.0f} s: {error}"


def _lagged(window: ActivityWindow, newest: int) -> ActivityWindow:
    """The window as an API that lags would have shown it: without trades after ``newest``."""
    fills = tuple(f for f in window.fills if (f.traded_at or 0) <= newest * SECOND)
    last = max((f.traded_at or 0) // SECOND for f in fills) if fills else None
    return ActivityWindow(fills, window.moves, last, window.complete, window.bad_rows)
