"""The Data API, polled from a cursor per leader.

Each poll reads everything from ``cursor − overlap`` on, all pages, and hands it to the engine as one window; the engine
moves the cursor in the same commit as the trades, so a crash can only re-read, never skip. Rows can be later than the
overlap: :class:`~pilotfish.feeds.late_rows.LateRows` reads the last hours again, slowly.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

import structlog

from pilotfish.core.events import ApiWindowRead
from pilotfish.core.gaps import Gap, after_reading
from pilotfish.core.units import SECOND
from pilotfish.feeds.hub import Hub
from pilotfish.polymarket.data_api import ActivityWindow, DataApi
from pilotfish.polymarket.http import VenueError

log = structlog.get_logger(__name__)

SIMULATED_LAG_SEC = 5
AT_ONCE = 0.02
"""Seconds until the next poll where a poll could not read everything."""
STATUS_SECONDS = 10.0
STATUS_STALE = 120.0
"""What the service said of its own lag counts for this long."""
NAMED = 3
"""Leaders that a message names; the rest is counted."""
REPORTED = 10_000


@dataclass(slots=True)
class Cursor:
    """Where the polling of one leader stands (epoch seconds), and how it goes.

    ``begins_at`` is when the first poll is due, ``ok_at`` when the last one succeeded, ``page_at`` when the last page
    came (steady s). ``resume_ts``: where a reading that was too long goes on. ``gaps``: seconds (from, to) of which
    not all rows could be had.
    """

    leader: str
    floor_ts: int
    cursor_ts: int
    begins_at: float
    gaps: set[Gap] = field(default_factory=set)
    ok_at: float | None = None
    page_at: float | None = None
    last_ok_at: float | None = None
    resume_ts: int | None = None
    interval_s: float | None = None
    error: str = ""
    polls: int = 0

    def silent_for(self, now: float) -> float:
        """Seconds until ``now`` (steady s) since this leader could last be polled, or should first have been. A page of
        a reading that is under way counts while nothing has failed."""
        since = [self.begins_at, self.ok_at or 0.0, (self.page_at or 0.0) if not self.error else 0.0]
        return now - max(since)


class Poller:
    """One task per leader; the service's limiter keeps them together below the documented limit."""

    def __init__(self, hub: Hub, api: DataApi) -> None:
        self.hub = hub
        self.api = api
        self.cursors: dict[str, Cursor] = {}
        self.labels: Mapping[str, str] = {}
        """Wallet -> what people call the leader, for messages."""
        self.last_ok_at: float | None = None
        self.started_at = hub.clock.wall()
        self._lag: tuple[int, float] | None = None
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._reported: set[str] = set()

    def start(self) -> None:
        """Begin asking the service for its own state."""
        self.hub.spawn(self.hub.rounds("the API's status", self._ask_status), "api-status", essential=True)

    def follow(self, leader: str, floor_ts: int, cursor_ts: int, gaps: Iterable[Gap] = ()) -> None:
        """Poll a leader from now on."""
        self.unfollow(leader)
        delay = len(self._tasks) * self.hub.number("leader_stagger_ms") / 1000
        cursor = self.cursors[leader] = Cursor(leader, floor_ts, cursor_ts, self.hub.clock.steady() + delay, set(gaps))
        polling = self._poll_forever(cursor, delay)
        self._tasks[leader] = self.hub.spawn(polling, f"poll-{leader[:10]}", essential=True)

    def unfollow(self, leader: str) -> None:
        """Stop polling a leader."""
        self.cursors.pop(leader, None)
        task = self._tasks.pop(leader, None)
        if task is not None:
            task.cancel()

    @property
    def serving_lag(self) -> int | None:
        """How many seconds the service says that it is behind; ``None`` where it does not say, or no longer."""
        if self._lag is None or self.hub.clock.steady() - self._lag[1] > STATUS_STALE:
            return None
        return self._lag[0]

    async def _poll_forever(self, cursor: Cursor, delay: float) -> None:
        await asyncio.sleep(delay)
        before: list[float] = []

        async def one() -> float:
            started = self.hub.clock.steady()
            if before:
                cursor.interval_s = started - before.pop()
            before.append(started)
            if await self._poll(cursor):
                return AT_ONCE
            pause = self.hub.number("poll_interval_ms") / 1000 - (self.hub.clock.steady() - started)
            return max(0.05, pause * self.hub.chance.uniform(0.98, 1.02))

        await self.hub.rounds(f"poll of {cursor.leader}", one, lambda error: self._failed(cursor, error))

    def _failed(self, cursor: Cursor, error: str) -> None:
        if cursor.error != error:
            log.warning("poll failed; the cursor stays", leader=cursor.leader, error=error)
        cursor.error = error
        self.hub.counts["polls_failed"] += 1

    async def _poll(self, cursor: Cursor) -> bool:
        """One poll; True if there is more to read at once."""
        start = max(cursor.floor_ts, cursor.cursor_ts - self.hub.number("poll_overlap_sec"))
        if cursor.resume_ts is not None:
            start = cursor.resume_ts
        try:
            window = await self.api.activity(cursor.leader, start, heard=lambda: self._heard(cursor))
        except VenueError as problem:
            self._failed(cursor, str(problem))
            return False
        if cursor.error:
            log.info("poll works again", leader=cursor.leader)
        cursor.error, cursor.polls = "", cursor.polls + 1
        cursor.ok_at, cursor.resume_ts = self.hub.clock.steady(), window.through
        cursor.last_ok_at = self.last_ok_at = self.hub.clock.wall()
        self.hub.counts["polls"] += 1
        window = self.lagged(window)
        reached = window.last_ts + 1 if window.last_ts is not None else 0
        await self.hand_over(cursor, window, max(cursor.cursor_ts, reached))
        return not window.complete

    def lagged(self, window: ActivityWindow) -> ActivityWindow:
        """The window as it is to be taken: with ``simulate_api_lag`` as an API that lags would have shown it."""
        lags = self.hub.flag("simulate_api_lag")
        return _lagged(window, int(self.hub.clock.wall()) - SIMULATED_LAG_SEC) if lags else window

    def _heard(self, cursor: Cursor) -> None:
        cursor.page_at = self.hub.clock.steady()

    async def hand_over(self, cursor: Cursor, window: ActivityWindow, cursor_ts: int, end: int | None = None) -> None:
        """Give the engine what was read of a leader, up to ``end`` (``None`` = now), with where the cursor goes."""
        self._report_bad(cursor.leader, window)
        read_to = window.through - 1 if window.through is not None else end
        news = bool(window.fills or window.moves or window.gaps or cursor.gaps)
        if news or cursor_ts > cursor.cursor_ts:
            event = ApiWindowRead(
                at=self.hub.now(),
                leader=cursor.leader,
                fills=window.fills,
                cursor_ts=cursor_ts,
                moves=window.moves,
                read_from=window.start,
                read_to=read_to,
                gaps=window.gaps,
            )
            await self.hub.emit(event)
        cursor.gaps = after_reading(cursor.gaps, window.start, read_to, window.gaps)
        cursor.cursor_ts = max(cursor.cursor_ts, cursor_ts)

    def _report_bad(self, leader: str, window: ActivityWindow) -> None:
        for payload, error in window.bad_rows:
            if payload not in self._reported:
                self._reported.add(payload)
                self.hub.bad_input("api", f"activity row of {leader}: {error}", payload)
        if len(self._reported) > REPORTED:
            self._reported.clear()

    async def _ask_status(self) -> float:
        try:
            lag = await self.api.serving_lag_seconds()
            self._lag = (lag, self.hub.clock.steady()) if lag is not None else None
            if lag is not None and not self.cursors:
                self.last_ok_at = self.hub.clock.wall()
        except VenueError as problem:
            log.debug("status not available", error=str(problem))
        return STATUS_SECONDS * self.hub.chance.uniform(0.9, 1.1)

    # -- health ------------------------------------------------------------------------------------------------

    def patience(self) -> float:
        """Seconds that a leader may go without a poll: the setting, or two rounds of the schedule where it is slower
        (a longer interval, or so many leaders that the service's limit stretches it)."""
        round_s = max(self.hub.number("poll_interval_ms") / 1000, len(self.cursors) / self.api.service.per_second)
        return max(self.hub.number("api_health_stale_ms") / 1000, 2 * round_s)

    def healthy(self) -> tuple[bool, str]:
        """Whether the API is to be relied on, and why (not): by the leaders' own polls, and what it says of its lag."""
        limit = self.hub.number("api_max_serving_lag_sec")
        if self.serving_lag is not None and self.serving_lag > limit:
            return False, f"the service says that it is {self.serving_lag} s behind (limit {limit} s)"
        patience = self.patience()
        now = self.hub.clock.steady()
        silent = sorted(((c.silent_for(now), c) for c in self.cursors.values()), key=lambda x: -x[0])
        late = [(age, c) for age, c in silent if age > patience]
        if late:
            return False, self._silence(late, patience)
        since = self.last_ok_at if self.last_ok_at is not None else self.started_at
        age = self.hub.clock.wall() - since
        if not self.cursors and self.last_ok_at is not None and age > max(patience, 3 * STATUS_SECONDS):
            return False, f"no answer for {age:.0f} s: {self.api.service.health.last_error or 'no status'}"
        said = f"answered {age:.0f} s ago" if self.last_ok_at is not None else "no answer yet"
        said = f"{self.api.version}, {said}"
        stretched = patience > self.hub.number("api_health_stale_ms") / 1000
        return True, said + (f"; polls may take {patience:.0f} s, two rounds" if stretched and self.cursors else "")

    def _silence(self, late: list[tuple[float, Cursor]], patience: float) -> str:
        age, first = late[0]
        names = ", ".join(self.name_of(c.leader) for _, c in late[:NAMED])
        more = f" and {len(late) - NAMED} more" if len(late) > NAMED else ""
        error = first.error or self.api.service.health.last_error or "the poll hangs"
        stretched = patience > self.hub.number("api_health_stale_ms") / 1000
        allowed = f" (a round of the leaders' polls allows {patience:.0f} s)" if stretched else ""
        return f"no answer for {age:.0f} s{allowed} about {names}{more}: {error}"

    def name_of(self, leader: str) -> str:
        """A leader for a message: what people call them, and the wallet."""
        label = self.labels.get(leader, "")
        return f"{label} ({leader})" if label else leader


def _lagged(window: ActivityWindow, newest: int) -> ActivityWindow:
    """The window as an API that lags would have shown it: without trades after ``newest``."""
    fills = tuple(f for f in window.fills if (f.traded_at or 0) <= newest * SECOND)
    last = max((f.traded_at or 0) // SECOND for f in fills) if fills else None
    return replace(window, fills=fills, last_ts=last)
