"""What machines look at: ``/healthz`` (this process: whether it serves, and can still read), ``/readyz`` (whether
copying goes on: the worker that writes, its parts and feeds by mode, the database; and what the worker does that this
process runs beside), ``/metrics``."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse, PlainTextResponse
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from sqlalchemy.exc import SQLAlchemyError

from pilotfish import __version__
from pilotfish.core.numerals import duration
from pilotfish.core.units import MICRO
from pilotfish.store import worker_state
from pilotfish.store.database import snapshot
from pilotfish.store.views.portfolios import Portfolio, read_portfolios
from pilotfish.store.worker_state import WorkerState
from pilotfish.web.keepers import role_of
from pilotfish.web.reader import Reader
from pilotfish.web.site import Site


def router(site: Site, reader: Reader) -> APIRouter:
    """All probes."""
    probes = APIRouter(include_in_schema=False)
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Books(site))

    @probes.get("/healthz")
    async def healthz() -> Response:
        """On the loop itself: no answer is an answer, too."""
        stalled = reader.stalled_for()
        if stalled:
            why = [f"the database has not answered for {duration(round(stalled * 1000))}"]
            return JSONResponse({"status": "stalled", "version": __version__, "why": why}, 503)
        return JSONResponse({"status": "ok", "version": __version__})

    @probes.get("/readyz")
    def readyz() -> Response:
        try:
            with snapshot(site.database) as c:
                worker, age = worker_state.read(c)
                waiting = worker_state.standbys(c)
        except SQLAlchemyError:
            return JSONResponse({"ready": False, "why": ["the database cannot be read"]}, 503)
        why = worker_state.not_ready(worker, age)
        writes = worker.process if worker is not None and worker_state.alive(worker, age) else None
        told = {"ready": not why, "why": why, "role": role_of(worker, age, waiting).value, "writes": writes,
                "standby": [one.process for one in waiting]}  # fmt: skip
        return JSONResponse(told, 503 if why else 200)

    @probes.get("/metrics")
    def metrics() -> Response:
        return PlainTextResponse(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)

    return probes


_AMOUNTS: tuple[tuple[str, str, Callable[[Portfolio], int]], ...] = (
    ("equity", "Equity", lambda p: p.equity_micro),
    ("cash", "Cash", lambda p: p.cash_micro),
    ("exposure", "Cost of open positions", lambda p: p.exposure_micro),
    ("realized_pnl", "Realised profit", lambda p: p.realized_pnl_micro),
    ("unrealized_pnl", "Unrealised profit", lambda p: p.unrealized_pnl_micro),
    ("fees", "Fees paid", lambda p: p.fees_micro),
    ("drawdown", "Deepest fall below a peak", lambda p: p.drawdown_micro),
)
"""What a portfolio's gauges are called, say, and show."""


class _Books(Collector):
    """Reads what the database says when it is scraped."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def collect(self) -> Iterator[Metric]:
        with snapshot(self._site.database) as c:
            worker, age = worker_state.read(c)
            waiting = worker_state.standbys(c)
            portfolios = read_portfolios(c, self._site.trips)
            counts = self._site.counts.read(c)
            orders = self._site.copy_counts.read(c)
        up = GaugeMetricFamily("pilotfish_worker_up", "1 while the worker runs")
        up.add_metric([], float(worker_state.alive(worker, age)))
        yield up
        info = GaugeMetricFamily("pilotfish_info", "1, with the version as a label", labels=["version"])
        info.add_metric([__version__], 1.0)
        yield info
        if age is not None:
            yield _gauge("pilotfish_worker_age_seconds", "Time since the worker's last sign of life", age)
        yield _gauge("pilotfish_standbys", "Workers that wait to take over", len(waiting))
        if worker is not None:
            last = worker.took_over.at if worker.took_over is not None else 0.0
            yield _gauge("pilotfish_last_takeover_timestamp_seconds", "When a standby last took over; 0 = never", last)
            yield from _sources(worker)
        decisions = CounterMetricFamily(
            "pilotfish_decisions", "Decisions", labels=["portfolio", "leader", "action", "reason"]
        )
        totals: dict[tuple[str, str, str, str], int] = {}
        for group, n in counts.items():
            key = (group.portfolio, group.leader, group.action, group.reason)
            totals[key] = totals.get(key, 0) + n
        for labels, n in totals.items():
            decisions.add_metric(list(labels), n)
        yield decisions
        became = GaugeMetricFamily(
            "pilotfish_copies", "Orders of copies, by what became of them", labels=["portfolio", "leader", "state"]
        )
        for order, n in orders.items():
            became.add_metric(list(order), n)
        yield became
        for name, meaning, amount in _AMOUNTS:
            gauge = GaugeMetricFamily(f"pilotfish_{name}_usdc", f"{meaning}, USDC", labels=["portfolio"])
            for p in portfolios:
                gauge.add_metric([p.name], amount(p) / MICRO)
            yield gauge
        held = GaugeMetricFamily("pilotfish_open_positions", "Open positions", labels=["portfolio"])
        for p in portfolios:
            held.add_metric([p.name], p.open_positions)
        yield held


def _sources(worker: WorkerState) -> Iterator[Metric]:
    healthy = GaugeMetricFamily("pilotfish_source_healthy", "1 while a source works", labels=["source"])
    for name, part in worker.sources().items():
        healthy.add_metric([name], float(part.healthy))
    yield healthy
    events = CounterMetricFamily("pilotfish_events", "What the worker has counted since it started", labels=["what"])
    for name, n in worker.counts.items():
        events.add_metric([name], n)
    yield events
    for name, value, meaning in (
        ("pilotfish_logs", worker.polygon.logs, "Logs received"),
        ("pilotfish_reconnects", worker.polygon.reconnects, "Reconnects to Polygon"),
        ("pilotfish_api_requests", worker.api.requests, "Requests to the Data API"),
        ("pilotfish_api_errors", worker.api.errors, "Failed requests to the Data API"),
        ("pilotfish_commits", worker.database.commits, "Commits"),
    ):
        counter = CounterMetricFamily(name, meaning)
        counter.add_metric([], value)
        yield counter
    chain = worker.polygon
    for name, gauge_value, meaning in (
        ("pilotfish_leaders_polled", worker.api.leaders, "Leaders that are polled"),
        ("pilotfish_poll_round_seconds", worker.api.round_s, "In so many seconds every leader is polled once"),
        (
            "pilotfish_poll_oldest_seconds",
            worker.api.oldest_poll_s,
            "Since the leader was polled for whom it is longest",
        ),
        ("pilotfish_log_subscriptions", chain.subscriptions, "Subscriptions to logs of the chain"),
        ("pilotfish_logs_unfiltered", float(chain.unfiltered), "1 while every fill of the venue is delivered"),
        ("pilotfish_logs_a_day_filtered", chain.filtered_a_day, "Logs a day that wallet filters deliver"),
        ("pilotfish_logs_a_day_unfiltered", chain.unfiltered_a_day, "Logs a day that come without wallet filters"),
    ):
        if gauge_value is not None:
            yield _gauge(name, meaning, gauge_value)
    yield _gauge("pilotfish_write_backlog", "Events that are not durable yet", worker.database.backlog)
    yield _gauge("pilotfish_watched_leaders", "Leaders that the chain is watched for", worker.polygon.watched)
    yield _gauge("pilotfish_bad_inputs", "Inputs since the start that could not be used", worker.bad_inputs)
    if worker.api.serving_lag_seconds is not None:
        lag = worker.api.serving_lag_seconds
        yield _gauge("pilotfish_api_serving_lag_seconds", "How far behind the Data API says that it is", lag)
    used = worker.provider
    yield _gauge("pilotfish_provider_units", "Units of the Polygon provider used this UTC day", used.units)
    yield _gauge("pilotfish_provider_units_daily", "Units that its plan gives a day; 0 = not known", used.of_units)


def _gauge(name: str, meaning: str, value: float) -> Metric:
    gauge = GaugeMetricFamily(name, meaning)
    gauge.add_metric([], value)
    return gauge
