"""Everything enters the engine through the queue: also what people change, and also at the start."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from sqlalchemy import Engine as Database
from sqlalchemy import insert, select

from pilotfish.app.config import environment
from pilotfish.app.runtime import Worker
from pilotfish.core import events as ev
from pilotfish.core.trade import Source
from pilotfish.feeds import hub as hubs
from pilotfish.store import commands_store, leaders_store
from pilotfish.store import tables as t
from pilotfish.store.database import open_database
from pilotfish.store.verify import verify
from tests.rig import Stand
from tests.rig import until_async as until

pytestmark = pytest.mark.slow
LEADERS = 25


def works(folder: Path, prepare: Callable[[Database], None], act: Callable[[Worker], Awaitable[None]]) -> Database:
    """Run a worker on a quiet venue, do something while it runs, and stop it; its books agree at the end."""
    stand = Stand(folder, "--scenario", "quiet")
    database = open_database(f"sqlite:///{folder / 'x.db'}")
    prepare(database)

    async def whole() -> None:
        env = environment({**stand.urls, "POLL_INTERVAL_MS": "2000", "LEADER_STAGGER_MS": "0"})
        worker = Worker(database, env)
        running = asyncio.create_task(worker.run())
        try:
            await until("it runs", lambda: worker.writer.commits or running.done())
            await act(worker)
        finally:
            worker.request_stop()
            await asyncio.wait_for(running, 20)

    try:
        asyncio.run(whole())
    finally:
        stand.close()
    with database.connect() as c:
        assert verify(c) == []
    return database


def wallet(n: int) -> str:
    return f"0x{n:040x}"


def follow(database: Database) -> None:
    with database.begin() as c:
        for n in range(1, LEADERS + 1):
            leaders_store.add(c, wallet(n), f"leader {n}", at=time.time_ns() // 1000, by="test")


def test_a_start_that_queues_more_than_the_queue_holds_goes_through(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hubs, "QUEUE_BOUND", 3)

    async def act(worker: Worker) -> None:
        await until("everybody is followed", lambda: len(worker.engine.state.leaders) == LEADERS)
        assert set(worker.engine.state.leaders) == {wallet(n) for n in range(1, LEADERS + 1)}

    works(tmp_path, follow, act).dispose()


def test_what_a_person_asks_for_is_answered_once_with_its_rows(tmp_path: Path) -> None:
    def ask(database: Database, kind: str, **payload: object) -> int:
        with database.begin() as c:
            return commands_store.ask(c, kind, payload, at=time.time_ns() // 1000, by="test")

    async def act(worker: Worker) -> None:
        database = worker.database
        asked = [
            await asyncio.to_thread(ask, database, kind, **payload)
            for kind, payload in (
                ("reset", {"portfolio": "main"}),
                ("close", {"portfolio": "main"}),
                ("close", {"portfolio": "nobody"}),
                ("dance", {}),
            )
        ]
        told = [await asyncio.to_thread(commands_store.wait, database, number, 10.0) for number in asked]
        assert told == [
            "done",
            "0 exits begun: nothing of that is held, or it is being sold already",
            "0 exits begun: no portfolio nobody takes part",
            "unknown command dance",
        ]
        with database.connect() as c:
            reset_at = c.execute(select(t.portfolios.c.reset_at).where(t.portfolios.c.name == "main")).scalar()
            done_at = c.execute(select(t.commands.c.done_at).where(t.commands.c.id == asked[0])).scalar()
        assert reset_at == done_at, "done is said with what was done, by one event"

    works(tmp_path, lambda _: None, act).dispose()


def test_an_event_that_waited_in_the_queue_happens_when_its_turn_comes(tmp_path: Path) -> None:
    async def act(worker: Worker) -> None:
        before = worker.engine.at
        late = [
            ev.HealthChanged(at=1, source=Source.API, healthy=False, detail="stamped long ago"),
            ev.HealthChanged(at=2, source=Source.API, healthy=True, detail="and this one"),
        ]
        for event in late:
            await worker.hub.emit(event)
        await until("both are applied", lambda: worker.hub.queue.empty())
        assert worker.hub.fatal is None
        assert worker.engine.at >= before

    database = works(tmp_path, lambda _: None, act)
    with database.connect() as c:
        rows = {r.detail: r.at for r in c.execute(select(t.health_events))}
    assert rows["stamped long ago"] > 2
    assert rows["and this one"] >= rows["stamped long ago"]
    database.dispose()


def test_what_was_asked_for_before_the_start_is_done_by_it(tmp_path: Path) -> None:
    def prepare(database: Database) -> None:
        with database.begin() as c:
            c.execute(insert(t.commands).values(kind="reset", payload={}, created_at=1, by="test"))

    async def act(worker: Worker) -> None:
        def done() -> object:
            with worker.database.connect() as c:
                return c.execute(select(t.commands.c.result)).scalar()

        assert await until("it is answered", done) == "done"

    works(tmp_path, prepare, act).dispose()
