"""Is it working: judges the sources, tells the engine when that changes, and publishes the worker's state for pages."""

from __future__ import annotations

import asyncio
import hashlib
import os
import socket
import time
from collections.abc import Callable

import msgspec
import structlog

from pilotfish.app.alerts import Alerts, SourceHealth
from pilotfish.app.book_recording import BookRecording
from pilotfish.app.dashboard import DashboardStatus
from pilotfish.app.journal import Journal
from pilotfish.app.logs import redact
from pilotfish.app.modes import InForce
from pilotfish.app.pacing import Pacing
from pilotfish.app.provider_use import ProviderUse
from pilotfish.app.wiring import Feeds
from pilotfish.core.events import HealthChanged
from pilotfish.core.trade import Source
from pilotfish.feeds.hub import Hub
from pilotfish.store import worker_state as ws
from pilotfish.store.listed import listed
from pilotfish.store.mapping import Plain
from pilotfish.store.writer import MAX_BACKLOG, Writer

log = structlog.get_logger(__name__)

JUDGE_SECONDS = 0.25
SELDOM_SECONDS = 1.0
"""With ten thousand leaders as seldom."""
PUBLISH_SECONDS = 0.5
LEADERS_SECONDS = 15.0
"""How polling each leader goes is published at least so often; of a few as often as the rest."""
STALLS_TOLD = 5
"""Parts that do not move which an alert names."""
_STARTING = SourceHealth(False, "starting")


class Health:
    """Judges every quarter of a second; publishes when asked."""

    def __init__(
        self,
        hub: Hub,
        feeds: Feeds,
        writer: Writer,
        mode: InForce,
        alerts: Alerts,
        dashboard: DashboardStatus,
        journal: Journal,
        recording: BookRecording,
        remembered: Callable[[], int],
    ) -> None:
        self.hub = hub
        self.started_at = hub.now()
        self._feeds = feeds
        self._writer = writer
        self._mode = mode
        self._alerts = alerts
        self._dashboard = dashboard
        self._journal = journal
        self._recording = recording
        self._remembered = remembered
        self.use = ProviderUse(hub, feeds.watcher.used)
        self._last: dict[Source, SourceHealth] = {}
        self._listening: dict[str, int] = {}
        """Source -> since when it is listened to."""
        self._took_over: ws.TookOver | None = None
        self._leaders_pacing = Pacing(PUBLISH_SECONDS, LEADERS_SECONDS)
        self._leaders_due = 0.0
        """When the leaders are published again (steady s)."""

    async def run(self) -> None:
        """Judge for ever."""
        pacing = Pacing(JUDGE_SECONDS, SELDOM_SECONDS)
        while True:
            pacing.begin()
            api, polygon = self._feeds.poller.healthy(), self._polygon()
            pause = pacing.pause()
            await self._judge(Source.API, *api)
            await self._judge(Source.POLYGON, *polygon)
            self.hub.beat(pause)
            await asyncio.sleep(pause)

    def _polygon(self) -> tuple[bool, str]:
        return (False, "off in mode api") if self._mode.api_only else self._feeds.watcher.healthy()

    def chain_off(self) -> str:
        """Why the chain is not listened to, in words; empty while it is."""
        whys = ["mode api"] if self._mode.api_only else []
        whys += [] if self._feeds.watcher.configured else ["no POLYGON_WS_URL"]
        return ", and ".join(whys)

    async def _judge(self, source: Source, healthy: bool, detail: str) -> None:
        before = self._last.get(source)
        self._last[source] = SourceHealth(healthy, redact(detail))
        if before is None or before.healthy != healthy:
            if before is not None or healthy:
                (log.info if healthy else log.warning)("health", source=source.value, healthy=healthy, detail=detail)
            event = HealthChanged(at=self.hub.now(), source=source, healthy=healthy, detail=redact(detail))
            await self.hub.emit(event)

    def sources(self) -> dict[str, SourceHealth]:
        """What alerts watch: by a person's name for it, whether it works, and the detail (without secrets)."""
        names = {Source.API: "the Data API"}
        if self._mode.mode is not None and not self.chain_off():
            names[Source.POLYGON] = "Polygon"
        found = {name: self._last[source] for source, name in names.items() if source in self._last}
        found["the database"] = SourceHealth(self._writes(), redact(self._writer.failure or ""))
        hung = [f"{name} has not moved for {seconds:.0f} s" for name, seconds in self.hub.stalled.items()]
        found["the worker"] = SourceHealth(not hung, listed(hung, STALLS_TOLD, "; "))
        if self._dashboard.enabled:
            found["the dashboard"] = SourceHealth(self._dashboard.healthy, redact(self._dashboard.detail))
        return found

    def _writes(self) -> bool:
        return self._writer.failure is None and self._writer.fatal is None

    def go_on(self, last: ws.WorkerState | None, over: str) -> None:
        """Go on with what the worker before has counted. ``over``: from whom this one took over, empty = it did not."""
        if last is not None:
            self.use.go_on(last.provider)
            self._took_over = last.took_over
        if over:
            self._took_over = ws.TookOver(at=time.time(), pid=os.getpid(), host=socket.gethostname(), over=over)

    # -- the worker's state ------------------------------------------------------------------------------------

    def snapshot(self) -> ws.WorkerState:
        """Everything that the status page and ``pilotfish status`` show."""
        hub = self.hub
        alerts = msgspec.convert(self._alerts.status, ws.AlertsState, from_attributes=True)
        return ws.WorkerState(
            pid=os.getpid(),
            host=socket.gethostname(),
            started_at=self.started_at,
            took_over=self._took_over,
            mode=self._mode.mode.state() if self._mode.mode is not None else ws.ModeState(),
            api=self._api(),
            polygon=self._chain(),
            books=self._books(),
            database=self._database(),
            journal=msgspec.convert(self._journal.status, ws.JournalState, from_attributes=True),
            recording=msgspec.convert(self._recording.status, ws.RecordingState, from_attributes=True),
            dashboard=msgspec.convert(self._dashboard, ws.DashboardState, from_attributes=True),
            alerts=msgspec.structs.replace(alerts, error=redact(alerts.error)),
            provider=self.use.state(),
            counts=dict(hub.counts),
            bad_inputs=hub.bad_inputs,
            faults={
                name: ws.FaultState(error=redact(f.error), at=f.at / 1e6, count=f.count)
                for name, f in hub.faults.items()
            },
            tasks=hub.tasks,
            remembered=self._remembered(),
            stalled={name: round(seconds, 1) for name, seconds in hub.stalled.items()},
        )

    def _leaders(self) -> dict[str, object]:
        found = {
            c.leader: ws.LeaderState(
                cursor_ts=c.cursor_ts,
                last_ok_at=c.last_ok_at,
                asked_every_s=round(c.interval_s, 3) if c.interval_s is not None else None,
                error=redact(c.error) if c.error else "",
                gaps=tuple(sorted(c.gaps)),
            )
            for c in self._feeds.poller.cursors.values()
        }
        told: dict[str, object] = msgspec.to_builtins(found)
        return told

    def _api(self) -> ws.ApiState:
        poller, told = self._feeds.poller, self._last.get(Source.API, _STARTING)
        asked = self._feeds.data.health
        pauses = [c.interval_s for c in poller.cursors.values() if c.interval_s is not None]
        return ws.ApiState(
            healthy=told.healthy,
            detail=told.detail,
            version=poller.api.version,
            last_ok_at=poller.last_ok_at,
            serving_lag_seconds=poller.serving_lag,
            poll_interval_s=round(max(pauses), 3) if pauses else None,
            leaders=len(poller.cursors),
            round_s=round(poller.round_s, 3) if poller.cursors else None,
            oldest_poll_s=round(oldest, 3) if (oldest := poller.oldest_s) is not None else None,
            polls_per_second=round(poller.per_second, 2),
            requests=asked.requests,
            errors=asked.errors,
            throttled=asked.throttled,
        )

    def _chain(self) -> ws.ChainState:
        chain, told = self._feeds.watcher.status, self._last.get(Source.POLYGON, _STARTING)
        filtered, unfiltered = self._feeds.watcher.logs_a_day()
        return ws.ChainState(
            enabled=self._mode.mode is not None and not self._mode.api_only,
            off=self.chain_off(),
            healthy=told.healthy,
            detail=told.detail,
            state=chain.state,
            connected_at=chain.connected_at,
            last_log_at=chain.last_log_at,
            last_block_at=chain.last_block_at,
            last_block=chain.last_block,
            reconnects=chain.reconnects,
            logs=chain.logs,
            counterparty_logs=chain.counterparty_logs,
            receipts=chain.receipts,
            watched=chain.watched,
            unfiltered=chain.unfiltered,
            subscriptions=chain.subscriptions,
            filtered_a_day=filtered,
            unfiltered_a_day=unfiltered,
        )

    def _books(self) -> ws.BooksState:
        http, local = self._feeds.clob.health, self._feeds.books.local.status
        failed_last = (http.last_error_at or 0) > (http.last_ok_at or 0)
        return ws.BooksState(
            healthy=(http.last_ok_at is not None and not failed_last) or local.connected > 0,
            last_ok_at=http.last_ok_at,
            detail=redact(http.last_error) if failed_last else "",
            idle=http.requests == 0 and not local.frames,
            local=msgspec.convert(local, ws.LocalState, from_attributes=True),
        )

    def _database(self) -> ws.DatabaseState:
        w = self._writer
        return ws.DatabaseState(
            healthy=self._writes(),
            detail=redact(w.failure or (str(w.fatal)[:300] if w.fatal else "")),
            last_ok_at=w.last_commit_at,
            backlog=w.backlog,
            commits=w.commits,
            failures=w.failures,
        )

    def publish(self) -> None:
        """Write the state and new bad inputs; they go through the writer like everything else. Nothing is added while
        the writer is far behind."""
        if self._writer.backlog > MAX_BACKLOG:
            return
        now = self.hub.now()
        rows: list[Plain] = [
            Plain("worker_status", {"name": ws.NAME, "at": now, "data": self.snapshot().as_json()}),
        ]
        if self.hub.clock.steady() >= self._leaders_due:
            self._leaders_pacing.begin()
            rows.append(Plain("worker_status", {"name": ws.LEADERS, "at": now, "data": self._leaders()}))
            self._leaders_due = self.hub.clock.steady() + self._leaders_pacing.pause()
        for source, on in (("api", True), ("polygon", not self.chain_off())):
            if on:
                since = self._listening.setdefault(source, now)
                rows.append(Plain("listening", {"source": source, "since": since, "until": now}))
            else:
                self._listening.pop(source, None)
        while self.hub.bad:
            bad = self.hub.bad.popleft()
            rows.append(
                Plain(
                    "bad_inputs",
                    {
                        "fingerprint": _fingerprint(bad.source + bad.payload),
                        "at": bad.at,
                        "source": bad.source,
                        "error": redact(bad.error),
                        "payload": redact(bad.payload.replace("\0", "")),
                        "count": 1,
                    },
                )
            )
        self._writer.submit(rows)


def _fingerprint(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
