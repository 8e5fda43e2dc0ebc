"""Is it working: judges the sources, tells the engine when that changes, and publishes the state for pages."""

from __future__ import annotations

import asyncio
import hashlib
import os
from typing import TYPE_CHECKING, Any

import msgspec
import structlog

from pilotfish.app.logs import redact
from pilotfish.core.effects import Insert, Upsert
from pilotfish.core.events import HealthChanged
from pilotfish.core.trade import Source
from pilotfish.store import summaries
from pilotfish.store.writer import MAX_BACKLOG

if TYPE_CHECKING:
    from pilotfish.app.runtime import Worker

log = structlog.get_logger(__name__)

JUDGE_SECONDS = 0.25


class Health:
    """Judges every quarter of a second; publishes when asked."""

    def __init__(self, worker: Worker) -> None:
        self.worker = worker
        self._last: dict[Source, tuple[bool, str]] = {}
        self._published_bad = 0
        self._listening: dict[str, int] = {}
        """Source -> since when it is listened to."""

    async def run(self) -> None:
        """Judge for ever."""
        while True:
            await self._judge(Source.API, *self.worker.poller.healthy())
            await self._judge(Source.POLYGON, *self._polygon())
            await asyncio.sleep(JUDGE_SECONDS)

    def _polygon(self) -> tuple[bool, str]:
        if self.worker.mode is not None and self.worker.mode.effective == "api":
            return False, "off in mode api"
        return self.worker.watcher.healthy()

    def chain_off(self) -> str:
        """Why the chain is not listened to, in words; empty while it is."""
        whys = ["mode api"] if self.worker.mode is not None and self.worker.mode.effective == "api" else []
        whys += [] if self.worker.watcher.configured else ["no POLYGON_WS_URL"]
        return ", and ".join(whys)

    async def _judge(self, source: Source, healthy: bool, detail: str) -> None:
        before = self._last.get(source)
        self._last[source] = (healthy, detail)
        if before is None or before[0] != healthy:
            if before is not None or healthy:
                (log.info if healthy else log.warning)("health", source=source.value, healthy=healthy, detail=detail)
            event = HealthChanged(at=self.worker.hub.now(), source=source, healthy=healthy, detail=redact(detail))
            await self.worker.hub.emit(event)

    def sources(self) -> dict[str, tuple[bool, str]]:
        """What alerts watch: by a person's name for it, whether it works, and the detail (without secrets)."""
        w = self.worker
        names = {Source.API: "the Data API"}
        if w.mode is not None and w.mode.effective != "api" and w.watcher.configured:
            names[Source.POLYGON] = "Polygon"
        found = {name: self._last[source] for source, name in names.items() if source in self._last}
        found["the database"] = (w.writer.failure is None and w.writer.fatal is None, w.writer.failure or "")
        if w.dashboard.enabled:
            found["the dashboard"] = (w.dashboard.healthy, w.dashboard.detail)
        return {name: (healthy, redact(detail)) for name, (healthy, detail) in found.items()}

    def snapshot(self) -> dict[str, Any]:
        """Everything that the status page and ``pilotfish status`` show; times in epoch seconds."""
        w = self.worker
        chain, mode = w.watcher.status, w.mode
        api_ok, api_detail = self._last.get(Source.API, (False, "starting"))
        chain_ok, chain_detail = self._last.get(Source.POLYGON, (False, "starting"))
        clob = w.services["clob"].health
        local = w.books.local.status
        polls = [c for c in w.poller.cursors.values() if c.interval_s is not None]
        return {
            "pid": os.getpid(),
            "started_at": w.started_at,
            "mode": mode.log_fields() if mode else {},
            "api": {
                "healthy": api_ok,
                "detail": redact(api_detail),
                "version": w.poller.api.version,
                "last_ok_at": w.poller.last_ok_at,
                "serving_lag_seconds": w.poller.serving_lag,
                "poll_interval_s": round(max((c.interval_s or 0) for c in polls), 3) if polls else None,
                "requests": w.services["data"].health.requests,
                "errors": w.services["data"].health.errors,
                "throttled": w.services["data"].health.throttled,
            },
            "polygon": {
                "enabled": mode is not None and mode.effective != "api",
                "off": self.chain_off(),
                "healthy": chain_ok,
                "detail": redact(chain_detail),
                "state": chain.state,
                "connected_at": chain.connected_at,
                "last_log_at": chain.last_log_at,
                "last_block_at": chain.last_block_at,
                "last_block": chain.last_block,
                "reconnects": chain.reconnects,
                "logs": chain.logs,
                "counterparty_logs": chain.counterparty_logs,
                "receipts": chain.receipts,
                "watched": chain.watched,
            },
            "books": {
                "healthy": (clob.last_ok_at is not None and (clob.last_error_at or 0) <= clob.last_ok_at)
                or local.connected > 0,
                "last_ok_at": clob.last_ok_at,
                "detail": redact(clob.last_error) if (clob.last_error_at or 0) > (clob.last_ok_at or 0) else "",
                "idle": clob.requests == 0 and not local.frames,
                "local": msgspec.to_builtins(local),
            },
            "database": {
                "healthy": w.writer.failure is None and w.writer.fatal is None,
                "detail": redact(w.writer.failure or (str(w.writer.fatal)[:300] if w.writer.fatal else "")),
                "last_ok_at": w.writer.last_commit_at,
                "backlog": w.writer.backlog,
                "commits": w.writer.commits,
                "failures": w.writer.failures,
            },
            "journal": {**msgspec.to_builtins(w.journal.status), "healthy": w.journal.status.healthy},
            "dashboard": msgspec.to_builtins(w.dashboard),
            "alerts": {**msgspec.to_builtins(w.alerts.status), "error": redact(w.alerts.status.error)},
            "leaders": {
                c.leader: {
                    "cursor_ts": c.cursor_ts,
                    "last_ok_at": c.last_ok_at,
                    "error": redact(c.error),
                    "gaps": sorted(c.gaps),
                }
                for c in w.poller.cursors.values()
            },
            "counts": dict(w.hub.counts),
            "faults": {
                name: {"error": redact(f.error), "at": f.at / 1e6, "count": f.count} for name, f in w.hub.faults.items()
            },
        }

    def publish(self) -> None:
        """Write the snapshot and new bad inputs; they go through the writer like everything else. Nothing is added
        while the writer is far behind."""
        if self.worker.writer.backlog > MAX_BACKLOG:
            return
        now = self.worker.hub.now()
        rows: list[Insert | Upsert] = [
            Upsert("worker_status", {"name": "worker", "at": now, "data": self.snapshot()}),
        ]
        for source, on in (("api", True), ("polygon", not self.chain_off())):
            if on:
                since = self._listening.setdefault(source, now)
                rows.append(Upsert("listening", {"source": source, "since": since, "until": now}))
            else:
                self._listening.pop(source, None)
        while self.worker.hub.bad:
            bad = self.worker.hub.bad.popleft()
            rows.append(
                Upsert(
                    "bad_inputs",
                    {
                        "fingerprint": _fingerprint(bad.source + bad.payload),
                        "at": bad.at,
                        "source": bad.source,
                        "error": redact(bad.error),
                        "payload": bad.payload.replace("\0", ""),
                        "count": 1,
                    },
                )
            )
        self.worker.writer.submit(rows)


def not_ready(worker: dict[str, Any] | None, age: float | None) -> list[str]:
    """Why copying cannot go on, in words; empty = it can."""
    if worker is None or age is None:
        return ["no worker has run yet"]
    ended = summaries.ended(worker)
    if ended is not None:
        return [ended]
    if not summaries.alive(worker, age):
        return [f"the worker said nothing for {age:.0f} s"]
    why = []
    if not worker["database"]["healthy"]:
        why.append(f"the database: {worker['database']['detail']}")
    mode = worker["mode"].get("effectiveTriggerMode")
    api, chain = worker["api"]["healthy"], worker["polygon"]["healthy"]
    if mode == "api" and not api:
        why.append(f"the Data API: {worker['api']['detail']}")
    if mode == "polygon" and not chain:
        why.append(f"Polygon: {worker['polygon']['detail']}")
    if mode == "both" and not (api or chain):
        why.append(f"the Data API: {worker['api']['detail']}; Polygon: {worker['polygon']['detail']}")
    return why


def _fingerprint(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
