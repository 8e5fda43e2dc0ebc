"""The Data API, polled from a cursor per leader.

Whose turn it is says :mod:`~pilotfish.feeds.schedule`. Each poll reads everything from ``cursor − overlap`` on, all
pages, and hands it to the engine as one window; the engine moves the cursor in the same commit as the trades, so a
crash can only re-read, never skip. Rows can be later than the overlap:
:class:`~pilotfish.feeds.late_rows.LateRows` reads the last hours again, slowly.
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
from pilotfish.feeds.schedule import Pace, Schedule
from pilotfish.polymarket.data_api import ActivityWindow, DataApi
from pilotfish.polymarket.http import VenueError

log = structlog.get_logger(__name__)

SIMULATED_LAG_SEC = 5
SHARE = 0.85
"""The part of the service's rate that polls may take, where they need it; the rest is for holdings, second readings and
look-ups."""
LOOK_SECONDS = 1.0
"""How often the schedule is looked at even if nothing is due: settings may have changed."""
STATUS_SECONDS = 10.0
STATUS_STALE = 120.0
"""What the service said of its own lag counts for this long."""
NAMED = 3
"""Leaders that a message names; the rest is counted."""
REPORTED = 10_000


@dataclass(slots=True)
class Cursor:
    """Where the polling of one leader stands (epoch seconds), and how it goes.

    ``begins_at`` is since when it is polled, ``asked_at`` when the last poll began, ``ok_at`` when the last one
    succeeded, ``page_at`` when the last page came (steady s). ``resume_ts``: where a reading that was too long goes on.
    ``gaps``: seconds (from, to) of which not all rows could be had.
    """

    leader: str
    floor_ts: int
    cursor_ts: int
    begins_at: float
    gaps: set[Gap] = field(default_factory=set)
    asked_at: float | None = None
    ok_at: float | None = None
    page_at: float | None = None
    last_ok_at: float | None = None
    resume_ts: int | None = None
    interval_s: float | None = None
    error: str = ""
    polls: int = 0

    def silent_for(self, now: float) -> float:
        """Seconds until ``now`` (steady s) since this leader could last be polled, or polling them began. A page of a
        reading that is under way counts while nothing has failed."""
        return now - max(self.begins_at, self.ok_at or 0.0, (self.page_at or 0.0) if not self.error else 0.0)


@dataclass(frozen=True, slots=True)
class _Polled:
    """What one poll brought: so many new trades, in so many requests; ``more``: there is more to read at once."""

    ok: bool
    trades: int = 0
    requests: int = 1
    more: bool = False


class Poller:
    """One schedule for all leaders, within the rate of the service."""

    def __init__(self, hub: Hub, api: DataApi) -> None:
        self.hub = hub
        self.api = api
        self.cursors: dict[str, Cursor] = {}
        self.changes = 0
        """How often somebody was followed, or no longer."""
        self.labels: Mapping[str, str] = {}
        """Wallet -> what people call the leader, for messages."""
        self.last_ok_at: float | None = None
        self.started_at = hub.clock.wall()
        self.schedule = Schedule(self._pace())
        self._lag: tuple[int, float] | None = None
        self._asking: asyncio.Task[None] | None = None
        self._polls: dict[str, asyncio.Task[None]] = {}
        self._wake = asyncio.Event()
        self._reported: set[str] = set()

    def start(self) -> None:
        """Begin asking the service for its own state."""
        self.hub.spawn(self.hub.rounds("the API's status", self._ask_status), "api-status", essential=True)

    def follow(self, leader: str, floor_ts: int, cursor_ts: int, gaps: Iterable[Gap] = ()) -> None:
        """Poll a leader from now on."""
        self.unfollow(leader)
        self.changes += 1
        self.cursors[leader] = Cursor(leader, floor_ts, cursor_ts, self.hub.clock.steady(), set(gaps))
        self.schedule.add(leader, self._now())
        self._wake.set()
        if self._asking is None:
            self._asking = self.hub.spawn(self.hub.rounds("the polls", self._look), "polls", essential=True)

    def unfollow(self, leader: str) -> None:
        """Stop polling a leader."""
        if self.cursors.pop(leader, None) is not None:
            self.changes += 1
        self.schedule.remove(leader)
        task = self._polls.pop(leader, None)
        if task is not None:
            task.cancel()

    def _now(self) -> int:
        return round(self.hub.clock.steady() * SECOND)

    def _pace(self) -> Pace:
        return Pace(
            interval=self.hub.number("poll_interval_ms") * 1000,
            stagger=self.hub.number("leader_stagger_ms") * 1000,
            slot=round(SECOND / (SHARE * self.api.service.per_second)),
        )

    @property
    def serving_lag(self) -> int | None:
        """How many seconds the service says that it is behind; ``None`` where it does not say, or no longer."""
        if self._lag is None or self.hub.clock.steady() - self._lag[1] > STATUS_STALE:
            return None
        return self._lag[0]

    async def _look(self) -> float:
        """Ask those whose turn it is, and wait until somebody else's may be."""
        self._wake.clear()
        pace = self._pace()
        self.schedule.keep(pace, self._now())
        self.api.service.throttle.keep_free(min(len(self.cursors) / pace.interval, 1 / pace.slot) * SECOND)
        names, again = self.schedule.due(self._now())
        for name in names:
            self._polls[name] = self.hub.spawn(self._ask(self.cursors[name]), f"poll-{name[:10]}")
        pause = LOOK_SECONDS if again is None else min(LOOK_SECONDS, max(0, again - self._now()) / SECOND)
        try:
            async with asyncio.timeout(pause):
                await self._wake.wait()
        except TimeoutError:
            pass
        return 0.0

    async def _ask(self, cursor: Cursor) -> None:
        """One poll of one leader, whatever comes of it."""
        began = self.hub.clock.steady()
        if cursor.asked_at is not None:
            cursor.interval_s = began - cursor.asked_at
        cursor.asked_at = began
        try:
            polled = await self._poll(cursor)
        except Exception as problem:
            self._failed(cursor, self.hub.fault(f"poll of {cursor.leader}", problem))
            polled = _Polled(ok=False)
        if self.cursors.get(cursor.leader) is cursor:
            del self._polls[cursor.leader]
            self.schedule.answered(
                cursor.leader, self._now(), ok=polled.ok, trades=polled.trades, requests=polled.requests,
                more=polled.more,
            )  # fmt: skip
            self._wake.set()

    def _failed(self, cursor: Cursor, error: str) -> None:
        if cursor.error != error:
            log.warning("poll failed; the cursor stays", leader=cursor.leader, error=error)
        cursor.error = error
        self.hub.counts["polls_failed"] += 1

    async def _poll(self, cursor: Cursor) -> _Polled:
        start = max(cursor.floor_ts, cursor.cursor_ts - self.hub.number("poll_overlap_sec"))
        if cursor.resume_ts is not None:
            start = cursor.resume_ts
        pages = [0]

        def heard() -> None:
            pages[0] += 1
            cursor.page_at = self.hub.clock.steady()

        try:
            window = await self.api.activity(cursor.leader, start, heard=heard, first=True)
        except VenueError as problem:
            self._failed(cursor, str(problem))
            return _Polled(ok=False, requests=max(1, pages[0]))
        if cursor.error:
            log.info("poll works again", leader=cursor.leader)
        cursor.error, cursor.polls = "", cursor.polls + 1
        cursor.ok_at, cursor.resume_ts = self.hub.clock.steady(), window.through
        cursor.last_ok_at = self.last_ok_at = self.hub.clock.wall()
        self.hub.counts["polls"] += 1
        window = self.lagged(window)
        reached = window.last_ts + 1 if window.last_ts is not None else 0
        known = cursor.cursor_ts * SECOND
        await self.hand_over(cursor, window, max(cursor.cursor_ts, reached))
        trades = sum((fill.traded_at or 0) >= known for fill in window.fills)
        return _Polled(ok=True, trades=trades, requests=pages[0], more=not window.complete)

    def lagged(self, window: ActivityWindow) -> ActivityWindow:
        """The window as it is to be taken: with ``simulate_api_lag`` as an API that lags would have shown it."""
        lags = self.hub.flag("simulate_api_lag")
        return _lagged(window, int(self.hub.clock.wall()) - SIMULATED_LAG_SEC) if lags else window

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

    @property
    def round_s(self) -> float:
        """Seconds in which everybody is asked once: the interval, or what the service's limit allows."""
        return self.schedule.round / SECOND

    @property
    def per_second(self) -> float:
        """Polls a second, at the most."""
        return SECOND / self.schedule.pace.slot

    @property
    def oldest_s(self) -> float | None:
        """Seconds since that leader was last polled well for whom it is longest ago; ``None`` without leaders."""
        return self.schedule.oldest(self._now()) / SECOND if self.cursors else None

    def patience(self) -> float:
        """Seconds that a leader may go without a poll: the setting, or two rounds of the schedule where it is slower
        (a longer interval, or so many leaders that the service's limit stretches it)."""
        return max(self.hub.number("api_health_stale_ms") / 1000, 2 * self.round_s)

    def healthy(self) -> tuple[bool, str]:
        """Whether the API is to be relied on, and why (not): by the leaders' own polls, and what it says of its lag."""
        limit = self.hub.number("api_max_serving_lag_sec")
        if self.serving_lag is not None and self.serving_lag > limit:
            return False, f"the service says that it is {self.serving_lag} s behind (limit {limit} s)"
        patience = self.patience()
        now = self.hub.clock.steady()
        late = [(age, c) for c in self.cursors.values() if (age := c.silent_for(now)) > patience]
        if late:
            return False, self._silence(sorted(late, key=lambda x: -x[0]), patience)
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
