"""Overview: is it working, how are we doing, what just happened, what do we hold. Without leaders: how to begin."""

from __future__ import annotations

import time
from typing import Annotated, ClassVar, Literal, TypeAlias, get_args

import msgspec
from fastapi import APIRouter, Query
from sqlalchemy import Connection
from starlette.responses import Response

from pilotfish.core.numerals import duration
from pilotfish.core.units import SECOND
from pilotfish.store import worker_state
from pilotfish.store.portfolios_store import MAIN
from pilotfish.store.views.latency import Latency
from pilotfish.store.views.order_feed import read_happened
from pilotfish.store.views.order_rows import OrderRow
from pilotfish.store.views.pnl import Period, read_pnl
from pilotfish.store.views.portfolios import EquityPoint, Portfolio, read_equity, read_portfolios
from pilotfish.store.views.positions import PositionInMarket, read_positions
from pilotfish.store.views.report import Shortfall
from pilotfish.store.worker_state import BooksState, WorkerState
from pilotfish.web.charts import Options, equity_options, pnl_options
from pilotfish.web.reader import Snapshot
from pilotfish.web.render import Page
from pilotfish.web.site import Site
from pilotfish.web.view import Looking, View

HELD = 100
"""Open positions that are shown, those that cost most."""
CURVE_SECONDS = 2.0
EVERY = 0.4
HAPPENED = 60
"""Orders of leaders that are shown."""
Range: TypeAlias = Literal["hour", "day", "week", "month", "all"]
Curve: TypeAlias = Literal["equity", "day", "week", "month"]
_SECONDS: dict[Range, int] = {"hour": 3600, "day": 86_400, "week": 7 * 86_400, "month": 30 * 86_400}
pages = APIRouter(include_in_schema=False)


class Light(msgspec.Struct, frozen=True):
    """One light: ``state`` is ok, ill or off; ``sign`` where it has one of its own."""

    name: str
    state: str
    detail: str
    sign: str = ""


class Now(msgspec.Struct, frozen=True):
    """What the figures of a portfolio are made of, read at one instant, so that they agree with one another: ``total``
    is ``None`` until all decisions were gone through once."""

    mine: Portfolio | None
    held: list[PositionInMarket]
    happened: list[OrderRow]
    total: Shortfall | None


class Overview(Page, frozen=True, kw_only=True):
    """The overview of one portfolio. ``kind``: equity over ``reach`` of time (of ``reaches``), or profit by day, week
    or month; ``worst``: the deepest fall as (fallen, of), in millionths; ``waits``: nobody is followed, so it shows how
    to begin; ``followed``: how many leaders are; ``total``: what copying all of them came to, ``None`` until it is
    worked out."""

    template: ClassVar[str] = "overview.html"
    title: ClassVar[str] = "overview"
    path: ClassVar[str] = "/"
    seconds: ClassVar[float] = EVERY

    waits: bool
    followed: int
    lights: tuple[Light, ...]
    total: Shortfall | None
    mine: Portfolio | None
    curve: Options
    kind: Curve
    reach: Range
    reaches: tuple[str, ...]
    worst: tuple[int, int]
    sources: Latency | None
    happened: list[OrderRow]
    held: list[PositionInMarket]
    worker: WorkerState | None


@pages.get("/")
async def overview(
    view: Looking,
    kind: Annotated[Curve, Query(alias="curve")] = "equity",
    reach: Annotated[Range, Query(alias="range")] = "all",
) -> Response:
    """The page."""
    s = view.snapshot
    if s.portfolio(view.portfolio) is None:
        view.portfolio = MAIN
    name, shared = view.portfolio, view.site.shared
    now = await shared.get(("now", name), EVERY, lambda c: _read(view.site, c, name))
    if kind == "equity":
        since = int((time.time() - _SECONDS[reach]) * SECOND) if reach in _SECONDS else None
        curve = await shared.get(("equity", name, reach), CURVE_SECONDS, lambda c: read_equity(c, name, since=since))
        return view.show(_of(view, now, kind, reach, curve, None))
    period, today = Period(kind), time.time_ns() // 1000
    made = await shared.get(("pnl", name, kind), CURVE_SECONDS, lambda c: read_pnl(c, name, period, today))
    return view.show(_of(view, now, kind, reach, [], pnl_options(made)))


def _read(site: Site, c: Connection, portfolio: str) -> Now:
    return Now(
        mine=next(iter(read_portfolios(c, site.trips, portfolio)), None),
        held=read_positions(c, portfolio=portfolio, limit=HELD)[0],
        happened=read_happened(c, portfolio, HAPPENED),
        total=site.reports.of_portfolio(c, portfolio).total if site.reports.ready else None,
    )


def _of(
    view: View, now: Now, kind: Curve, reach: Range, curve: list[EquityPoint], made: Options | None
) -> Overview:  # fmt: skip
    s, mine = view.snapshot, now.mine
    return Overview(
        waits=not s.leaders, followed=len(s.leaders), lights=_lights(s), total=now.total,
        mine=mine, sources=s.latency,
        curve=made or equity_options(curve, mine.bankroll_micro if mine else 0), worst=_worst(curve), kind=kind,
        reach=reach, reaches=get_args(Range), happened=now.happened, held=now.held, worker=s.worker,
    )  # fmt: skip


def _worst(curve: list[EquityPoint]) -> tuple[int, int]:
    worst, of, best = 0, 1, 0
    for row in curve:
        best = max(best, row.equity_micro)
        if (best - row.equity_micro) * of > worst * best:
            worst, of = best - row.equity_micro, best
    return worst, of


def _lights(s: Snapshot) -> tuple[Light, ...]:
    w = s.worker
    if w is None:
        return ()
    stale = not worker_state.alive(w, s.worker_age)
    chain, api = w.polygon, w.api
    chain_told, api_told = chain.off or chain.detail, api.detail
    if stale:
        chain_told, api_told = chain.off or chain.was(s.at), api.was(s.at)
    elif api.serving_lag_seconds is not None:
        api_told += f", {api.serving_lag_seconds} s behind"
    name, source = w.mode.effective or "?", w.mode.source
    beaten = w.mode.env if source == "dashboard" else None
    told = f"from {source}" + (f", overrides environment {beaten}" if beaten and beaten != name else "")
    degraded = name == "both" and chain.healthy != api.healthy
    if degraded:
        told = f"degraded: only {'Polygon' if chain.healthy else 'the API'} is up"
    return (
        Light("Mode: " + name, "ill" if degraded else "ok", told, sign="⇄"),
        Light("Polygon", _state(chain.healthy, stale, off=bool(chain.off)), chain_told),
        Light("Data API", _state(api.healthy, stale), api_told),
        Light("Order books", _state(_books_work(w.books), stale), _books(w.books, s.at)),
        Light("Database", _state(w.database.healthy, stale),
              w.database.detail or f"last commit {_age(w.database.last_ok_at, s.at)}"),
    )  # fmt: skip


def _state(healthy: bool, stale: bool, *, off: bool = False) -> str:
    return "off" if off or stale else "ok" if healthy else "ill"


def _age(then: float | None, now: float) -> str:
    return "nothing yet" if then is None else f"{duration(round(1000 * max(0.0, now - then)))} ago"


def _books_work(books: BooksState) -> bool:
    """Over HTTP it goes on without the market channel, but slower: a lost channel is a problem to look at."""
    channel = books.local
    lost = channel.kept and not channel.connected and channel.error
    return bool((books.healthy or books.idle) and not lost)


def _books(books: BooksState, now: float) -> str:
    channel = books.local
    if channel.connected:
        return f"channel heard {_age(channel.last_frame_at, now)}, {channel.kept} books"
    if channel.kept and channel.error:
        return f"channel lost, read over HTTP {_age(books.last_ok_at, now)}: {channel.error}"
    return books.detail or ("not needed yet" if books.idle else f"read {_age(books.last_ok_at, now)}")
