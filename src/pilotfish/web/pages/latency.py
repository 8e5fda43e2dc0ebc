"""Latency: chain against API, who was first, what is missing, and how long it took from a block to our fill."""

from __future__ import annotations

from typing import ClassVar

import msgspec
from fastapi import APIRouter
from sqlalchemy import Connection
from starlette.responses import Response

from pilotfish.store import settings_store, worker_state
from pilotfish.store.views.latency import (
    Latency,
    MissingTrade,
    Pace,
    read_lag_over_time,
    read_latency,
    read_missing,
    read_pace,
)
from pilotfish.store.views.sources import Outage, read_outages
from pilotfish.store.worker_state import ApiState, ChainState, ProviderState
from pilotfish.web.charts import Options, histogram_options, lag_options
from pilotfish.web.render import Page
from pilotfish.web.site import Site
from pilotfish.web.view import Looking

EVERY = 2.0
OUTAGES = 20
pages = APIRouter(include_in_schema=False)


class LatencyPage(Page, frozen=True, kw_only=True):
    """``patience_ms``: how long the API may take to confirm what the chain has shown; ``mode`` is the effective one;
    ``labels``: leaders' names by wallet; ``followed``: how many leaders are; ``working``: a worker runs; ``polled`` and
    ``chain``: how the two are asked, as the worker says; ``provider``: what that took of the provider's units today."""

    template: ClassVar[str] = "latency.html"
    title: ClassVar[str] = "latency"
    path: ClassVar[str] = "/latency"
    seconds: ClassVar[float] = EVERY

    sources: Latency
    pace: Pace
    bars: Options
    line: Options
    missing: list[MissingTrade]
    outages: list[Outage]
    polled: ApiState
    chain: ChainState
    provider: ProviderState
    mode: str
    patience_ms: int
    labels: dict[str, str]
    followed: int
    working: bool


@pages.get("/latency")
async def latency(view: Looking) -> Response:
    """The page."""
    shown = await view.site.shared.get("latency", EVERY, lambda c: _read(view.site, c))
    labels = {row.wallet: row.label for row in view.snapshot.everybody}
    return view.show(msgspec.structs.replace(shown, labels=labels, followed=len(view.snapshot.leaders)))


def _read(site: Site, c: Connection) -> LatencyPage:
    worker, age = worker_state.read(c)
    sources = read_latency(c)
    globals_ = settings_store.globals_of(site.environment, settings_store.load(c))
    return LatencyPage(
        sources=sources, pace=read_pace(c), bars=histogram_options(sources.histogram),
        line=lag_options(read_lag_over_time(c)), missing=read_missing(c), outages=read_outages(c, OUTAGES),
        mode=(worker.mode.effective or "") if worker is not None else "", labels={},
        followed=0, working=worker_state.alive(worker, age),
        patience_ms=globals_.api_lag_fallback_ms,
        polled=worker.api if worker is not None else ApiState(),
        chain=worker.polygon if worker is not None else ChainState(),
        provider=worker.provider if worker is not None else ProviderState(),
    )  # fmt: skip
