"""However many tabs are open, what they show is read once, and while nobody looks nothing is read."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from pathlib import Path

import pytest
from sqlalchemy import Connection, Engine, event, text

from pilotfish.web.reader import Reader
from pilotfish.web.shared import Shared
from tests.fresh import fresh_database


@pytest.fixture
def database(tmp_path: Path) -> Engine:
    return fresh_database(tmp_path / "x.db")


async def test_ten_tabs_that_ask_at_once_share_one_read(database: Engine) -> None:
    shared, reads = Shared(database), Counter[str]()
    gate = threading.Event()

    def read(c: Connection) -> int:
        reads["a"] += 1
        gate.wait(10)
        return int(c.execute(text("SELECT 7")).scalar_one())

    asked = [asyncio.create_task(shared.get("a", 60, read)) for _ in range(10)]
    await asyncio.sleep(0)
    gate.set()
    assert await asyncio.gather(*asked) == [7] * 10
    assert await shared.get("a", 60, read) == 7
    assert reads["a"] == 1
    shared.forget()
    assert await shared.get("a", 60, read) == 7
    assert reads["a"] == 2, "somebody changed something: read anew"


async def test_a_read_that_fails_is_told_and_tried_again(database: Engine) -> None:
    shared, reads = Shared(database), Counter[str]()

    def read(c: Connection) -> int:
        reads["a"] += 1
        if reads["a"] == 1:
            c.execute(text("SELECT * FROM nowhere"))
        return 1

    with pytest.raises(Exception, match="nowhere"):
        await shared.get("a", 60, read)
    assert await shared.get("a", 60, read) == 1


async def test_the_overview_is_read_for_all_tabs_together_and_only_while_somebody_looks(database: Engine) -> None:
    statements: list[str] = []
    event.listen(database, "before_cursor_execute", lambda *a: statements.append(a[2]))
    reader = Reader(database, every=0.01, looked_at_for=0.2)

    async def rounds(tabs: int) -> float:
        """Statements a round of reading, while so many tabs look all the time."""
        statements.clear()
        seen: set[float] = set()
        async with asyncio.timeout(20):
            while len(seen) < 8:
                for _ in range(tabs):
                    seen.add(reader.look().at)
                await asyncio.sleep(0.005)  # between two looks
        return len(statements) / len(seen)

    async def reads_on() -> bool:
        """True if the reader read something within three times as long as it goes on after the last look."""
        before = len(statements)
        await asyncio.sleep(0.6)  # what is waited for is that nothing happens
        return len(statements) > before

    task = asyncio.create_task(reader.run())
    one, ten = await rounds(1), await rounds(10)
    assert ten < 1.5 * one
    assert await reads_on(), "for a while after the last look"
    assert not await reads_on(), "nobody looks: nothing is read"
    assert (await rounds(1)) > 0, "somebody looks again"
    task.cancel()
