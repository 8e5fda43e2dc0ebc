"""How fast a service is asked, over real sockets: the limit of all, those of single routes, and who comes first."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestServer

from pilotfish.polymarket.http import Service, make_session

AT_ONCE = 10
"""Requests that a slow limit lets through at once."""


async def ended(tasks: list[asyncio.Task[Any]]) -> None:
    """End requests that still wait for their turn."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


@asynccontextmanager
async def service(per_second: float, **routes: float) -> AsyncIterator[tuple[Service, list[tuple[float, str]]]]:
    """A service with limits, and what it was asked: when, and which path."""
    asked: list[tuple[float, str]] = []

    async def answer(request: web.Request) -> web.Response:
        asked.append((time.monotonic(), request.path))
        return web.json_response({})

    app = web.Application()
    app.add_routes([web.get("/{tail:.*}", answer)])
    async with TestServer(app) as server, make_session() as session:
        limits = {f"/{name}": limit for name, limit in routes.items()}
        yield (
            Service(session, "data", str(server.make_url("")).rstrip("/"), per_second=per_second, routes=limits),
            asked,
        )


async def test_a_route_with_a_limit_of_its_own_keeps_to_it_and_holds_up_no_other() -> None:
    async with service(1000, slow=0.02) as (asking, asked):
        slow = [asyncio.create_task(asking.get("/slow")) for _ in range(3)]
        await asyncio.gather(*(asking.get("/fast") for _ in range(60)))
        assert [path for _, path in asked].count("/fast") == 60
        assert [path for _, path in asked].count("/slow") <= 1, "the next is due after fifty seconds"
        await ended(slow)
    async with service(1000, slow=20) as (asking, asked):
        began = time.monotonic()
        await asyncio.gather(*(asking.get("/slow") for _ in range(20)))
        assert time.monotonic() - began >= (20 - AT_ONCE) / 20 - 0.01


async def test_what_is_kept_free_is_for_those_who_come_first() -> None:
    async with service(100) as (asking, asked):
        asking.throttle.keep_free(90)
        began = time.monotonic()
        others = [asyncio.create_task(asking.get("/other")) for _ in range(200)]
        await asyncio.gather(*(asking.get("/poll", first=True) for _ in range(60)))
        most = AT_ONCE + 10 * (time.monotonic() - began) + 1
        assert [path for _, path in asked].count("/other") <= most
        await ended(others)
