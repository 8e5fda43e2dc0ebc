"""Loops that must not end: whatever way one ends, it is a fault by its name, unless it was told to end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from pilotfish.feeds.hub import Hub


async def _returns() -> None:
    return


async def _fails() -> None:
    raise ZeroDivisionError("unforeseen")


async def _waits_for_what_was_cancelled() -> None:
    other = asyncio.create_task(asyncio.sleep(60))
    asyncio.get_running_loop().call_soon(other.cancel)
    await other


async def _runs_out_of_memory() -> None:
    raise MemoryError


@pytest.mark.parametrize(
    ("work", "told"),
    [
        (_returns, "marks: EndedError: it ended, and it must not"),
        (_fails, "marks: ZeroDivisionError: unforeseen"),
        (_waits_for_what_was_cancelled, "marks: EndedError: it ended, and it must not"),
        (_runs_out_of_memory, "marks: MemoryError"),
    ],
)
def test_an_essential_task_that_ends_in_any_way_is_a_fault_unless_it_was_told_to(
    work: Callable[[], Coroutine[Any, Any, None]], told: str
) -> None:
    async def ends() -> Hub:
        hub = Hub()
        hub.spawn(asyncio.sleep(3600), "told-to-end", essential=True)
        hub.spawn(work(), "marks", essential=True)
        await asyncio.wait_for(hub.failed.wait(), 5)
        await hub.close()
        return hub

    assert str(asyncio.run(ends()).fatal) == told


def test_being_told_to_end_and_an_error_of_a_single_task_are_no_faults() -> None:
    async def ends() -> Hub:
        hub = Hub()
        hub.spawn(asyncio.sleep(3600), "loop", essential=True)
        once = hub.spawn(_fails(), "one-book")
        await asyncio.wait([once])
        await asyncio.sleep(0)
        await hub.close()
        return hub

    hub = asyncio.run(ends())
    assert hub.fatal is None
    assert hub.counts["task_errors"] == 1
    assert hub.essential == frozenset()
