"""The live loop leaves everything else on the event loop its turn."""

from __future__ import annotations

import asyncio
from itertools import count
from pathlib import Path

from pilotfish.app.alerts import Alerts
from pilotfish.app.journal import Journal
from pilotfish.app.journal_segments import Limits
from pilotfish.app.live import Live
from pilotfish.app.wiring import wire
from pilotfish.core.engine import Engine
from pilotfish.core.events import Tick
from pilotfish.feeds.clock import Clock
from pilotfish.feeds.hub import Hub
from pilotfish.polymarket.http import make_session
from pilotfish.store.writer import Writer
from tests.fresh import fresh_database

EVENTS = 2_000


async def test_however_much_is_queued_everything_else_has_its_turn(tmp_path: Path) -> None:
    passed = count()
    hub = Hub(Clock(micros=lambda: 10**15, steady=lambda: next(passed) / 1000))  # each look takes a millisecond
    database, session, engine = fresh_database(tmp_path / "x.db"), make_session(), Engine()
    live = Live(
        hub, engine, Writer(database), wire(hub, session, {}, lambda _row: True), Alerts(hub, engine.state.markets),
        Journal(None, lambda: Limits(False, 1, 1)), database=database,
    )  # fmt: skip
    for n in range(EVENTS):
        hub.queue.put_nowait(Tick(at=10**15 + n))
    running = asyncio.create_task(live.run())
    turns = 0
    while not hub.queue.empty():
        turns += 1
        await asyncio.sleep(0)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await session.close()
    database.dispose()
    assert hub.counts["events"] == EVENTS
    assert turns > 20, "a watchdog would take a loop that applies a long queue for one that hangs"
