"""The stand-in venue's socket: one port, one prefix a service."""

from __future__ import annotations

import asyncio
import contextlib
import errno
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeAlias

from aiohttp import web
from aiohttp.typedefs import Middleware

from pilotfish.core.problem import Problem
from pilotfish.sim.controls import Controls
from pilotfish.sim.data_routes import DataRoutes, error
from pilotfish.sim.market_routes import MarketRoutes
from pilotfish.sim.market_ws import MarketChannel
from pilotfish.sim.rpc import Rpc
from pilotfish.sim.venue import Venue

_Handler: TypeAlias = Callable[[web.Request], Awaitable[web.StreamResponse]]


class PortError(Problem):
    """The port cannot be used; the message says what to do."""


def urls(port: int) -> dict[str, str]:
    """The environment that points a worker at the stand-in venue."""
    base = f"127.0.0.1:{port}"
    return {
        "DATA_API_URL": f"http://{base}/data",
        "GAMMA_API_URL": f"http://{base}/gamma",
        "CLOB_HTTP_URL": f"http://{base}/clob",
        "CLOB_MARKET_WS_URL": f"ws://{base}/ws/market",
        "POLYGON_WS_URL": f"ws://{base}/rpc",
        "POLYGON_HTTP_URL": f"http://{base}/rpc",
    }


def _middleware(venue: Venue) -> Middleware:
    @web.middleware
    async def count_and_spoil(request: web.Request, handler: _Handler) -> web.StreamResponse:
        service = request.path.split("/")[1]
        if service not in ("data", "gamma", "clob", "rpc"):
            return await handler(request)
        venue.note(service, request.path[len(service) + 1 :], dict(request.query))
        fault = venue.fault(service) or venue.fault(request.path[1:])
        if fault is None:
            return await handler(request)
        match fault.mode:
            case "status":
                code = {429: "rate_limited", 503: "dependency_unavailable", 404: "not_found"}.get(
                    fault.status, "internal"
                )
                return error(fault.status, code, "fault")
            case "html":
                return web.Response(text="<html><body>Bad gateway</body></html>", content_type="text/html")
            case "empty":
                return web.Response(text="")
            case "hang":
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(fault.gone.wait(), fault.seconds or 60)
                return await handler(request)
            case _:
                response = await handler(request)
                body = getattr(response, "text", "") or ""
                return web.Response(text=body[: len(body) // 2], content_type="application/json")

    return count_and_spoil


@asynccontextmanager
async def serve(venue: Venue, port: int) -> AsyncIterator[int]:
    """Serve a venue on localhost; gives the port (a free one for 0). Raises :class:`PortError`."""
    rpc, books = Rpc(venue), MarketChannel(venue)
    app = web.Application(middlewares=[_middleware(venue)], client_max_size=8 * 2**20)
    app.add_routes(DataRoutes(venue).routes())
    app.add_routes(MarketRoutes(venue).routes())
    app.add_routes(rpc.routes())
    app.add_routes(books.routes())
    app.add_routes(Controls(venue, rpc, books).routes())
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", port)
    try:
        await site.start()
    except OSError as problem:
        await runner.cleanup()
        why = "is in use" if problem.errno == errno.EADDRINUSE else str(problem)
        raise PortError(f"port {port} {why}; choose another with --port") from None
    bound: int = runner.addresses[0][1]
    loop = asyncio.create_task(venue.run(), name="venue")
    try:
        yield bound
    finally:
        loop.cancel()
        await asyncio.gather(loop, return_exceptions=True)
        await rpc.drop()
        await books.drop()
        await runner.cleanup()
