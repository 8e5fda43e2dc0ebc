"""The slow second reading: the API shows rows up to an hour late, long after the overlap of the polls.

One leader after the other, spread over ``late_rows_interval_sec``, the last ``late_rows_reach_sec`` are read again and
handed over as a window whose cursor does not move; gaps in a leader's history that are not too old are tried again.
"""

from __future__ import annotations

import heapq

import structlog

from pilotfish.feeds.hub import Hub
from pilotfish.feeds.poller import Cursor, Poller
from pilotfish.polymarket.http import VenueError

log = structlog.get_logger(__name__)

LOOK_SECONDS = 2.0
AT_ONCE = 4
"""Answers of one piece of a reading: it is handed over before the next one is read, so that a busy leader's hours are
not in memory at once."""
GAPS_AT_ONCE = 3
GAP_REACH = 7 * 86_400
"""Seconds: older gaps are not tried again, since the identities of what is there are no longer in memory."""
SOON = 60.0
"""Seconds until a leader's first second reading, so that restarts leave none out, and until one that failed is tried
again."""


class LateRows:
    """Reads again what the poller has read."""

    def __init__(self, hub: Hub, poller: Poller) -> None:
        self.hub = hub
        self.poller = poller
        self._due: list[tuple[float, int, Cursor]] = []
        """A heap: when the next reading is due (steady s), a number that keeps the order, and of whom."""
        self._entries = 0
        self._known: dict[str, Cursor] = {}
        self._changes = 0

    async def run(self) -> None:
        """Read one leader after the other; never ends."""
        await self.hub.rounds("late rows", self.look)

    async def look(self) -> float:
        """Read the leader whose reading is due, if there is one; returns the pause after it in seconds."""
        interval = self.hub.number("late_rows_interval_sec")
        now = self.hub.clock.steady()
        self._take_up(min(interval, SOON))
        while self._due and self._known.get(self._due[0][2].leader) is not self._due[0][2]:
            heapq.heappop(self._due)
        if not interval or not self._due:
            return LOOK_SECONDS
        due, _, cursor = self._due[0]
        due = min(due, now + interval)
        if due > now:
            return min(LOOK_SECONDS, due - now)
        heapq.heappop(self._due)
        after = SOON
        try:
            await self.read(cursor)
            after = interval
            self.hub.counts["late_reads"] += 1
        except VenueError as problem:
            self.hub.counts["late_reads_failed"] += 1
            log.info("the second reading is tried again later", leader=cursor.leader, error=str(problem))
        finally:
            self._put(now + after, cursor)
        return min(LOOK_SECONDS, interval / (2 * max(1, len(self._known))))

    def _take_up(self, after: float) -> None:
        """Whoever has come since the last look."""
        if self._changes == self.poller.changes:
            return
        for leader, cursor in self.poller.cursors.items():
            if self._known.get(leader) is not cursor:
                self._put(cursor.begins_at + after, cursor)
        self._known, self._changes = dict(self.poller.cursors), self.poller.changes

    def _put(self, due: float, cursor: Cursor) -> None:
        self._entries += 1
        heapq.heappush(self._due, (due, self._entries, cursor))

    async def read(self, cursor: Cursor) -> None:
        """Read a leader's last hours again, and what is missing of their history."""
        now = int(self.hub.clock.wall())
        start = max(cursor.floor_ts, now - self.hub.number("late_rows_reach_sec"))
        windows: list[tuple[int, int | None]] = [(start, None)]
        old = sorted(g for g in cursor.gaps if g[1] < start and g[1] > now - GAP_REACH)
        windows += old[:GAPS_AT_ONCE]
        for low, high in windows:
            begin: int | None = max(cursor.floor_ts, low)
            while begin is not None:
                window = await self.poller.api.activity(cursor.leader, begin, high, most=AT_ONCE)
                if cursor is not self.poller.cursors.get(cursor.leader):
                    return
                await self.poller.hand_over(cursor, self.poller.lagged(window), cursor.cursor_ts, high)
                begin = window.through
