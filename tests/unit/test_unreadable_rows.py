"""What another version wrote and this one does not know is said by name, everywhere; nothing stops looking for it."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import Engine, update

from pilotfish.cli.benches import pages as bench_pages
from pilotfish.store import tables as t
from pilotfish.store.database import snapshot
from pilotfish.store.mapping import UnreadableRowError
from pilotfish.store.views.trades import TradeFilter, read_trades
from pilotfish.web import server
from pilotfish.web.reader import Reader
from pilotfish.web.site import Site
from tests.fresh import fresh_database

TOLD = "Invalid enum value 'SKIP_OF_TOMORROW'"


@pytest.fixture
def database(tmp_path: Path) -> Engine:
    """Its newest decision has a reason that came later."""
    made = fresh_database(tmp_path / "pilotfish.db")
    bench_pages.fill_database(made, 20)
    later(made, "SKIP_OF_TOMORROW")
    return made


def later(database: Engine, reason: str) -> None:
    with database.begin() as c:
        c.execute(update(t.decisions).where(t.decisions.c.id == 19).values(reason=reason))


def test_questions_and_rest_say_what_cannot_be_read(database: Engine) -> None:
    with snapshot(database) as c, pytest.raises(UnreadableRowError, match=f"{TOLD}.*use the newer"):
        read_trades(c, TradeFilter(), limit=5)
    rest = TestClient(server.application(Site(database, {}), Reader(database)))
    answer = rest.get("/api/v1/trades")
    assert (answer.status_code, answer.headers["content-type"]) == (503, "application/problem+json")
    assert TOLD in answer.json()["detail"]


async def test_pages_say_it_until_it_can_be_read(database: Engine) -> None:
    reader = Reader(database)
    reading = asyncio.create_task(reader.run())
    try:
        assert TOLD in (await reader.first_look()).error
        later(database, "SKIP_SPREAD")
        async with asyncio.timeout(30):
            while reader.look().error:
                await asyncio.sleep(0.05)
        assert reader.look().feed
    finally:
        reading.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await reading
