"""The dashboard's process."""

from __future__ import annotations

import asyncio
import faulthandler
import os
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import structlog
import uvicorn
from fastapi import FastAPI
from sqlalchemy import Engine
from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from pilotfish import __version__
from pilotfish.app.job_keeper import Keeper
from pilotfish.app.silence import Silence
from pilotfish.app.watchdog import LAST_RESORT_SECONDS, Stall, Watchdog
from pilotfish.core.exit_codes import ExitCode
from pilotfish.core.settings import Value
from pilotfish.store import look_backs_store, searches_store
from pilotfish.web import (
    addresses,
    api,
    api_look_backs,
    api_searches,
    api_writes,
    docs_page,
    login,
    probes,
    rest,
    stream,
)
from pilotfish.web.answers import Application
from pilotfish.web.auth import Doors
from pilotfish.web.pages import (
    discover,
    latency,
    leaders,
    look_back,
    look_backs,
    orders,
    overview,
    parts,
    portfolios,
    position_parts,
    positions,
    preview_part,
    settings,
    trades,
)
from pilotfish.web.reader import Reader
from pilotfish.web.site import Site
from pilotfish.web.view import Views

log = structlog.get_logger(__name__)

SWITCH_SECONDS = 0.0005
"""How long a thread that reads may keep the loop that serves waiting; Python's own 5 ms add up over a page."""
PAGES = (
    overview, leaders, look_backs, look_back, discover, preview_part, trades, orders, positions, position_parts,
    latency, portfolios, settings,
)  # fmt: skip
LONG_WORK = {
    look_backs_store.JOBS.kind: look_backs_store.JOBS.anything_to_do,
    searches_store.JOBS.kind: searches_store.next_in_line,
}
"""What has a process of its own, and whether there is any of it to do."""
GZIP_FROM = 1_000
"""Bytes from which an answer is worth packing."""


class Assets(StaticFiles):
    """Our own files; what is asked for by its digest never changes."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        """One file."""
        answer = await super().get_response(path, scope)
        if scope["query_string"] and answer.status_code == 200:
            answer.headers["Cache-Control"] = "public, max-age=31536000, immutable"
        return answer


def _hung(stall: Stall) -> None:
    """End a process that serves nothing any more, so that who started it starts it anew."""
    log.critical("the dashboard hangs and ends itself", told=stall.told(), calls=stall.stack)
    os._exit(ExitCode.STALLED)


def application(
    site: Site, reader: Reader, keepers: Sequence[Keeper] = (), *, own_process: bool = False
) -> FastAPI:  # fmt: skip
    """REST, probes and fragments, without doors and pages. ``keepers``: what looks after the processes for long work;
    without one it waits. ``own_process``: it may be ended where it hangs."""

    @asynccontextmanager
    async def life(_app: FastAPI) -> AsyncIterator[None]:
        dog = Watchdog(_hung, last_resort=LAST_RESORT_SECONDS) if own_process else None
        if dog is not None:
            dog.start()
        await asyncio.to_thread(site.count_up)
        tasks = [
            asyncio.create_task(reader.run(), name="reader"),
            asyncio.create_task(site.warm_up(), name="warm-up"),
        ]
        tasks += [asyncio.create_task(keeper.run(), name=keeper.kind) for keeper in keepers]
        tasks.append(asyncio.create_task(Silence(site.database, site.environment).run(), name="silence"))
        yield
        if dog is not None:
            dog.stop()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await site.close()

    app = Application(
        title="pilotfish", version=__version__, docs_url=None, redoc_url=None, openapi_url="/api/openapi.json",
        lifespan=life,
    )  # fmt: skip

    app.state.views = Views(site, reader)
    app.mount("/static", Assets(directory=addresses.STATIC), name="static")
    app.add_middleware(GZipMiddleware, minimum_size=GZIP_FROM)
    rest.install(app)
    for page in PAGES:
        app.include_router(page.pages)
    for router in (
        api.router(site), stream.router(site, reader), api_writes.router(site, site.preview),
        api_look_backs.router(site), api_searches.router(site), probes.router(site, reader),
        login.router(site.sessions), parts.router(), docs_page.router(app),
    ):  # fmt: skip
        app.include_router(router)
    rest.refuse_the_rest(app)
    return app


def build(
    database: Engine, environment: dict[str, Value], keepers: Sequence[Keeper] = (), *, own_process: bool = False
) -> Doors:
    """The whole dashboard behind its doors."""
    site, reader = Site(database, environment), Reader(database)
    app = application(site, reader, keepers, own_process=own_process)
    return Doors(app, site.sessions, site.allowed_hosts, site.proxies)


def serve(database: Engine, environment: dict[str, Value], host: str, port: int) -> None:
    """Serve until SIGINT or SIGTERM."""
    faulthandler.enable()
    sys.setswitchinterval(SWITCH_SECONDS)
    keepers = [Keeper(database, environment, kind, to_do) for kind, to_do in LONG_WORK.items()]
    uvicorn.run(
        build(database, environment, keepers, own_process=True),
        host=host,
        port=port,
        log_level="warning",
        access_log=False,
        timeout_graceful_shutdown=1,
        server_header=False,
        proxy_headers=False,  # the doors know which proxies to believe
    )
