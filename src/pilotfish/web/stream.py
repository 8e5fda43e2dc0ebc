"""``/api/v1/stream``: server-sent events, pushed within a second: ``decision`` for each new one, ``status`` when the
figures or the lights change."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Annotated

import msgspec
from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import StreamingResponse

from pilotfish.store import names, worker_state
from pilotfish.store.database import snapshot
from pilotfish.store.portfolios_store import MAIN
from pilotfish.store.views.feed import FeedRow
from pilotfish.web import rest
from pilotfish.web.reader import Reader, Snapshot
from pilotfish.web.site import Site

LOOK_SECONDS = 0.25
KEEP_ALIVE_SECONDS = 15.0
MOST_PORTFOLIOS = 50
"""Portfolios that the figures of an event are all of."""


def router(site: Site, reader: Reader) -> APIRouter:
    """The stream."""
    api = APIRouter(prefix="/api/v1", tags=["reading"], dependencies=[Depends(rest.known_parameters)])

    def known(name: str) -> str:
        with snapshot(site.database) as c:
            return names.portfolio(c, name)

    @api.get("/stream", response_class=StreamingResponse)
    async def stream(
        request: Request,
        seconds: Annotated[int, Query(ge=0, le=86_400, description="End after so long; 0 = at once.")] = 86_400,
        portfolio: Annotated[str | None, Query(max_length=100)] = None,
    ) -> StreamingResponse:
        """Events as they happen: `event: decision` and `event: status`, each with JSON data. Of more than 50 portfolios
        `status` has `main` and the one that is asked for."""
        name = await asyncio.to_thread(known, portfolio or MAIN)
        return StreamingResponse(
            _events(request, reader, seconds, name),
            media_type="text/event-stream",
            headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
        )

    return api


async def _events(request: Request, reader: Reader, seconds: int, portfolio: str) -> AsyncIterator[str]:
    until = time.monotonic() + seconds
    seen: dict[int, FeedRow] = {}
    status, spoken = b"", time.monotonic()
    snapshot = await reader.first_look()
    while True:
        for row in reversed([r for r in snapshot.feed if r.portfolio == portfolio]):
            if seen.get(row.id) != row:
                seen[row.id] = row
                spoken = time.monotonic()
                yield f"event: decision\nid: {row.id}\ndata: {msgspec.json.encode(row).decode()}\n\n"
        while len(seen) > 1000:
            del seen[next(iter(seen))]
        now = msgspec.json.encode(_status(snapshot, portfolio))
        if now != status:
            status, spoken = now, time.monotonic()
            yield f"event: status\ndata: {now.decode()}\n\n"
        if time.monotonic() - spoken > KEEP_ALIVE_SECONDS:
            spoken = time.monotonic()
            yield ": still here\n\n"
        if time.monotonic() >= until or await request.is_disconnected():
            return
        await asyncio.sleep(LOOK_SECONDS)
        snapshot = reader.look()


def _status(s: Snapshot, portfolio: str) -> dict[str, object]:
    """Of very many portfolios only ``main`` and the one that is asked for: all would be half a megabyte at each
    change."""
    all_of_them = len(s.portfolios) <= MOST_PORTFOLIOS
    return {
        "running": worker_state.alive(s.worker, s.worker_age),
        "healthy": {name: part.healthy for name, part in s.worker.sources().items()} if s.worker else {},
        "mode": s.worker.mode.as_json() if s.worker else {},
        "portfolios": [p for p in s.portfolios if all_of_them or p.name in (MAIN, portfolio)],
    }
