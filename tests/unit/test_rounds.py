"""The one shape of a feed's loop: nothing but being cancelled ends it."""

from __future__ import annotations

import asyncio

import pytest

from pilotfish.feeds import hub as hubs
from pilotfish.feeds.hub import Hub


async def test_a_round_that_fails_is_said_and_counted_and_the_next_one_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hubs, "FIRST_PAUSE", 0.001)
    hub, done = Hub(), asyncio.Event()
    told: list[str] = []
    rounds = 0

    async def one() -> float:
        nonlocal rounds
        rounds += 1
        if rounds <= 3:
            raise RecursionError(f"fault {rounds}")
        done.set()
        return 0.0

    task = hub.spawn(hub.rounds("a part", one, told.append), "rounds")
    async with asyncio.timeout(5):
        await done.wait()
    assert told == ["RecursionError: fault 1", "RecursionError: fault 2", "RecursionError: fault 3"]
    assert (hub.faults["a part"].count, hub.faults["a part"].error) == (3, "RecursionError: fault 3")
    assert hub.counts["faults"] == 3
    assert not task.done()
    await hub.close()
    assert task.cancelled()


async def test_faults_that_go_on_are_tried_at_growing_intervals_within_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []
    stop = asyncio.Event()

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 9:
            stop.set()
            await asyncio.Event().wait()

    monkeypatch.setattr(asyncio, "sleep", sleep)
    hub = Hub()

    async def one() -> float:
        raise ValueError("again")

    hub.spawn(hub.rounds("a part", one), "rounds")
    async with asyncio.timeout(5):
        await stop.wait()
    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    await hub.close()
