"""Keeps the accounts of the report up with what can change no more, so that a report of a period need not go through
all decisions."""

from __future__ import annotations

import asyncio

import structlog
from sqlalchemy import Engine as Database

from pilotfish.feeds.hub import Hub
from pilotfish.store.database import snapshot
from pilotfish.store.mapping import Plain
from pilotfish.store.outage import is_outage
from pilotfish.store.report import next_stretch
from pilotfish.store.writer import MAX_BACKLOG, Writer

log = structlog.get_logger(__name__)

PAUSE_SECONDS = 15.0
NEXT_SECONDS = 1.0
"""Between two stretches, while there is another one: an older database has many."""


async def keep_settled(hub: Hub, database: Database, writer: Writer) -> None:
    """Write one stretch after the other; never ends. Nothing is added while the writer is far behind."""
    while True:
        rows: list[Plain] = []
        if writer.backlog < MAX_BACKLOG // 2:
            hub.progress()
            rows = await asyncio.to_thread(_next, database)
            writer.submit(rows)
        pause = NEXT_SECONDS if rows else PAUSE_SECONDS
        hub.beat(pause)
        await asyncio.sleep(pause)


def _next(database: Database) -> list[Plain]:
    try:
        with snapshot(database) as c:
            return next_stretch(c)
    except Exception as problem:
        if not is_outage(problem):
            raise
        log.warning("cannot read what is to be settled; trying again", error=type(problem).__name__)
        return []
