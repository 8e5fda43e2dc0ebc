"""What the worker says of itself: the one contract between it and whoever looks (pages, REST, commands, alerts).

It is written as JSON into ``worker_status`` and read back typed. Fields are only added: every one has a default, so
that what another version wrote can be read, too. Times are epoch seconds unless a name says otherwise.
"""

from __future__ import annotations

import time

import msgspec
import structlog
from sqlalchemy import Connection, select

from pilotfish.core.numerals import count, duration, percent
from pilotfish.store import tables as t
from pilotfish.store.interned import as_text

log = structlog.get_logger(__name__)

NAME = "worker"
LEADERS = "leaders"
"""The row of how polling each leader goes: of thousands it is large, so it is written less often than the rest, and
read by who wants it."""
STANDBY = "standby-"
"""What the names of the rows of standbys begin with."""
WARN_PERCENT = (80, 100)
"""At which parts of a provider's units of a day that is told."""
ALIVE_SECONDS = 5.0
"""A worker that said nothing for so long does not run."""


class ModeState(msgspec.Struct, frozen=True, kw_only=True):
    """Which trigger mode counts (``effective``), what environment and dashboard say, and which of them it is from."""

    env: str | None = msgspec.field(default=None, name="envTriggerMode")
    db: str | None = msgspec.field(default=None, name="dbTriggerMode")
    effective: str = msgspec.field(default="", name="effectiveTriggerMode")
    source: str = ""

    def as_json(self) -> dict[str, str | None]:
        """The fields under their names; nothing of a worker that has not said its mode yet."""
        found: dict[str, str | None] = msgspec.to_builtins(self) if self.effective else {}
        return found


class ApiState(msgspec.Struct, frozen=True, kw_only=True):
    """The Data API. ``serving_lag_seconds``: how far behind it says that it is.

    ``round_s``: seconds in which every leader is polled once, by the poll interval or by what the documented limit
    allows for that many (``polls_per_second`` at the most); ``oldest_poll_s``: since that leader was last polled well
    for whom it is longest ago; ``poll_interval_s``: the longest time between the last two polls of a leader.
    """

    healthy: bool = False
    detail: str = ""
    version: str = ""
    last_ok_at: float | None = None
    serving_lag_seconds: int | None = None
    poll_interval_s: float | None = None
    leaders: int = 0
    round_s: float | None = None
    oldest_poll_s: float | None = None
    polls_per_second: float | None = None
    requests: int = 0
    errors: int = 0
    throttled: int = 0

    def was(self, now: float) -> str:
        """The detail once the worker is gone: its own tells an age that has grown since."""
        return self.detail if self.last_ok_at is None else f"{self.version}, answered {_ago(self.last_ok_at, now)}"


class ChainState(msgspec.Struct, frozen=True, kw_only=True):
    """Polygon. ``off``: why it is not listened to, in words; empty while it is.

    ``unfiltered``: every fill of the venue is delivered, and those of the leaders are picked here. ``filtered_a_day``
    and ``unfiltered_a_day``: logs that the provider delivers in a day with wallet filters and without; ``None`` = not
    known yet. What is not measured now is what is known of the venue, at the least.
    """

    enabled: bool = False
    off: str = ""
    healthy: bool = False
    detail: str = ""
    state: str = "off"
    connected_at: float | None = None
    last_log_at: float | None = None
    last_block_at: float | None = None
    last_block: int | None = None
    reconnects: int = 0
    logs: int = 0
    counterparty_logs: int = 0
    receipts: int = 0
    watched: int = 0
    unfiltered: bool = False
    subscriptions: int = 0
    filtered_a_day: int | None = None
    unfiltered_a_day: int | None = None

    def was(self, now: float) -> str:
        """The detail once the worker is gone: its own tells an age that has grown since."""
        seen = self.last_block_at
        return self.detail if seen is None else f"block {self.last_block}, {_ago(seen, now)}"

    def delivery(self) -> str:
        """How logs are delivered, and what that costs against the other way, in words; empty while none are."""
        if not self.subscriptions:
            return ""
        filtered, every = (
            f"{n:,}" if n is not None else "not known yet" for n in (self.filtered_a_day, self.unfiltered_a_day)
        )
        if self.unfiltered:
            return f"no wallet filter; logs delivered a day: {every}, with filters it would be {filtered}"
        many = f"{self.subscriptions} subscription{'s' if self.subscriptions > 1 else ''} with wallet filters"
        return f"{many}; logs delivered a day: {filtered}, without filters it would be at least {every}"


class LocalState(msgspec.Struct, frozen=True, kw_only=True):
    """Books kept from the market channel."""

    connected: int = 0
    connected_at: float | None = None
    last_frame_at: float | None = None
    reconnects: int = 0
    frames: int = 0
    kept: int = 0
    used: int = 0
    doubts: int = 0
    proven_wrong: int = 0
    evicted: int = 0
    error: str = ""


class BooksState(msgspec.Struct, frozen=True, kw_only=True):
    """Order books, over HTTP and kept. ``idle``: none was needed yet."""

    healthy: bool = False
    last_ok_at: float | None = None
    detail: str = ""
    idle: bool = True
    local: LocalState = LocalState()


class DatabaseState(msgspec.Struct, frozen=True, kw_only=True):
    """The writer. ``backlog``: events that are not durable yet."""

    healthy: bool = True
    detail: str = ""
    last_ok_at: float | None = None
    backlog: int = 0
    commits: int = 0
    failures: int = 0


class JournalState(msgspec.Struct, frozen=True, kw_only=True):
    """The journal: where it is, and whether it is written. ``events`` are this run's; ``kept_bytes`` is all that is
    there."""

    state: str = "off"
    healthy: bool = True
    detail: str = ""
    folder: str = ""
    run: str = ""
    events: int = 0
    kept_bytes: int = 0


class RecordingState(msgspec.Struct, frozen=True, kw_only=True):
    """The recording of order books: where it goes, and whether it is written. ``rows`` are this run's, ``dropped``
    those that could not be taken; ``kept_bytes`` is all that is there."""

    state: str = "off"
    healthy: bool = True
    detail: str = ""
    folder: str = ""
    rows: int = 0
    dropped: int = 0
    kept_bytes: int = 0


class DashboardState(msgspec.Struct, frozen=True, kw_only=True):
    """The dashboard's process beside the worker. ``enabled`` is False without one."""

    enabled: bool = False
    healthy: bool = True
    detail: str = ""
    restarts: int = 0


class AlertsState(msgspec.Struct, frozen=True, kw_only=True):
    """Alerts: whether any are wanted, and how sending goes."""

    on: bool = False
    sent: int = 0
    failed: int = 0
    last_sent_at: float | None = None
    error: str = ""


class ProviderState(msgspec.Struct, frozen=True, kw_only=True):
    """What the provider of Polygon was asked for on a UTC day: calls by us, notifications (``events``) by it, and both
    in its units by the settings; ``of_units``: what its plan gives a day, 0 = not known."""

    day: str = ""
    calls: int = 0
    events: int = 0
    units: int = 0
    of_units: int = 0

    def told(self) -> str:
        """For people: what was used today, and of how much."""
        of = f" of {count(self.of_units)} ({percent(self.units, self.of_units)})" if self.of_units else ""
        asked = f"{count(self.events)} notifications, {count(self.calls)} calls"
        return f"{count(self.units)}{of} units of the Polygon provider used today, UTC ({asked})"

    def passed(self, before: int) -> bool:
        """True if 80 or 100 % of the day's units were passed since ``before`` of them were used."""
        return any(before * 100 < mark * self.of_units <= self.units * 100 for mark in WARN_PERCENT if self.of_units)


class LeaderState(msgspec.Struct, frozen=True, kw_only=True):
    """How polling a leader goes. ``asked_every_s``: seconds between the last two polls; ``gaps``: epoch seconds (from,
    to) of which not all rows could be had."""

    cursor_ts: int = 0
    last_ok_at: float | None = None
    asked_every_s: float | None = None
    error: str = ""
    gaps: tuple[tuple[int, int], ...] = ()


class FaultState(msgspec.Struct, frozen=True, kw_only=True):
    """An error of this program that one part met and went on after."""

    error: str = ""
    at: float = 0.0
    count: int = 0


class StandbyState(msgspec.Struct, frozen=True, kw_only=True):
    """A second worker on the same database that waits to take over."""

    host: str = ""
    pid: int = 0
    since: float = 0.0

    def as_json(self) -> dict[str, object]:
        """As it is stored and shown to machines."""
        found: dict[str, object] = msgspec.to_builtins(self)
        return found

    @property
    def process(self) -> str:
        """Which process it is, in words."""
        return process_told(self.pid, self.host)


class TookOver(msgspec.Struct, frozen=True, kw_only=True):
    """When a standby last took the database over: it (``pid`` on ``host``), and ``over`` from whom, in words."""

    at: float = 0.0
    pid: int = 0
    host: str = ""
    over: str = ""


class Ended(msgspec.Struct, frozen=True, kw_only=True):
    """How the worker ended. ``clean``: it was asked to."""

    at: float = 0.0
    clean: bool = False
    cause: str = ""
    exit_code: int = 0

    def told(self) -> str:
        """Its last word, for people."""
        ago = max(0.0, time.time() - self.at)
        when = (
            f"{ago:.0f} s ago" if ago < 120 else f"{ago / 60:.0f} min ago" if ago < 7200 else f"{ago / 3600:.0f} h ago"
        )
        return f"the worker was stopped {when}" if self.clean else f"{self.cause} ({when})"


class WorkerState(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that the status page and ``pilotfish status`` show of the worker: the process ``pid`` on ``host``.
    ``started_at`` is in µs; ``took_over``: the last time that a standby took over, this worker or one before;
    ``bad_inputs`` counts what could not be used since then; ``stalled``: parts that have not moved, and for how many
    seconds; ``tasks`` of its loop; ``remembered``: trades whose identity is in memory."""

    pid: int = 0
    host: str = ""
    started_at: int = 0
    took_over: TookOver | None = None
    mode: ModeState = ModeState()
    api: ApiState = ApiState()
    polygon: ChainState = ChainState()
    books: BooksState = BooksState()
    database: DatabaseState = DatabaseState()
    journal: JournalState = JournalState()
    recording: RecordingState = RecordingState()
    dashboard: DashboardState = DashboardState()
    alerts: AlertsState = AlertsState()
    provider: ProviderState = ProviderState()
    leaders: dict[str, LeaderState] = {}
    counts: dict[str, int] = {}
    bad_inputs: int = 0
    faults: dict[str, FaultState] = {}
    stalled: dict[str, float] = {}
    tasks: int = 0
    remembered: int = 0
    ended: Ended | None = None

    def as_json(self) -> dict[str, object]:
        """As it is stored and shown to machines."""
        found: dict[str, object] = msgspec.to_builtins(self)
        return {**found, "mode": self.mode.as_json()}

    @property
    def process(self) -> str:
        """Which process it is, in words."""
        return process_told(self.pid, self.host)

    def sources(self) -> dict[str, ApiState | ChainState | BooksState | DatabaseState]:
        """What copying stands on, by name."""
        return {"api": self.api, "polygon": self.polygon, "books": self.books, "database": self.database}


def _ago(then: float, now: float) -> str:
    return f"{duration(round(1000 * max(0.0, now - then)))} ago"


def process_told(pid: int, host: str) -> str:
    """A process, in words."""
    return f"process {pid} on {host}" if host else f"process {pid}"


def of(data: object) -> WorkerState | None:
    """A stored state; ``None`` where it cannot be read as one."""
    try:
        return msgspec.convert(data, WorkerState, strict=False)
    except msgspec.ValidationError as problem:
        log.warning("the worker's state in the database cannot be read", error=str(problem))
        return None


def read(c: Connection, *, leaders: bool = False) -> tuple[WorkerState | None, float | None]:
    """What the worker last said of itself, and how many seconds ago; with how polling each of the ``leaders`` goes only
    where that is wanted."""
    told = t.worker_status.c
    data, at = c.execute(select(told.data, told.at).where(told.name == NAME)).first() or (None, 0)
    if data is not None and leaders and not data.get("leaders"):
        each = c.execute(select(told.data).where(told.name == LEADERS)).scalar()
        data = {**data, "leaders": each or {}}
    state = of(data) if data is not None else None
    return (state, max(0.0, time.time() - at / 1e6)) if state is not None else (None, None)


def standbys(c: Connection) -> list[StandbyState]:
    """Who waits to take over, and said so a moment ago."""
    told = t.worker_status.c
    since = time.time_ns() // 1000 - int(ALIVE_SECONDS * 1e6)
    standing = select(told.data).where(told.name.like(f"{STANDBY}%"), told.at >= since)
    rows = c.execute(standing.order_by(as_text(told.name)))
    return [msgspec.convert(row.data, StandbyState, strict=False) for row in rows]


def alive(worker: WorkerState | None, age: float | None) -> bool:
    """True while a worker runs: it spoke a moment ago, and did not say that it ended."""
    return worker is not None and age is not None and age < ALIVE_SECONDS and worker.ended is None


def not_ready(worker: WorkerState | None, age: float | None) -> list[str]:
    """Why copying cannot go on, in words; empty = it can."""
    if worker is None or age is None:
        return ["no worker has run yet"]
    if worker.ended is not None:
        return [worker.ended.told()]
    if not alive(worker, age):
        return [f"the worker said nothing for {age:.0f} s"]
    why = [f"{part} has not moved for {seconds:.0f} s" for part, seconds in sorted(worker.stalled.items())]
    if not worker.database.healthy:
        why.append(f"the database: {worker.database.detail}")
    mode, api, chain = worker.mode.effective, worker.api, worker.polygon
    if mode == "api" and not api.healthy:
        why.append(f"the Data API: {api.detail}")
    if mode == "polygon" and not chain.healthy:
        why.append(f"Polygon: {chain.detail}")
    if mode == "both" and not (api.healthy or chain.healthy):
        why.append(f"the Data API: {api.detail}; Polygon: {chain.detail}")
    return why
