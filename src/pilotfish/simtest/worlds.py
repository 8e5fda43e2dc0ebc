"""Many worlds, on all cores: each seed is a world; what fails is shrunk to the shortest story that still fails."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from functools import cache

import msgspec
from sqlalchemy import Engine as Database

from pilotfish.simtest.judge import judge
from pilotfish.simtest.run import BrokenPromise, Run
from pilotfish.simtest.steps import Step, told
from pilotfish.simtest.store import open_store
from pilotfish.simtest.world import make

CHUNK = 10
"""Worlds that a process is given at a time."""
TRIES = 300
"""How often a story is tried again, at most, to shorten it."""


class Failed(msgspec.Struct, frozen=True, kw_only=True):
    """A world in which a promise did not hold: which, what was seen, and the shortest story that shows it."""

    seed: int
    promise: str
    detail: str
    story: list[str]


@cache
def _store() -> Database:
    return open_store()


def play(story: list[Step], seed: int) -> BrokenPromise | None:
    """Play a story to its end and judge it; what did not hold, or ``None``."""
    run = Run(_store(), story, seed)
    try:
        run.play()
        judge(run)
    except BrokenPromise as broken:
        return broken
    except Exception as fault:  # a fault of any kind is a promise that does not hold
        return BrokenPromise("no fault", f"{type(fault).__name__}: {fault}")
    return None


def world(seed: int, minutes: int) -> Failed | None:
    """One world: what failed in it, or ``None``."""
    story = make(seed, minutes)
    broken = play(story, seed)
    if broken is None:
        return None
    shortest, last = shrink(story, seed, broken)
    return Failed(seed=seed, promise=last.promise, detail=last.detail, story=[told(step) for step in shortest])


def shrink(story: list[Step], seed: int, broken: BrokenPromise) -> tuple[list[Step], BrokenPromise]:
    """Leave out ever smaller parts of a story as long as the same promise is broken without them."""
    left, part = TRIES, max(1, len(story) // 2)
    while part and left:
        start = 0
        while start < len(story) and left:
            shorter = story[:start] + story[start + part :]
            left -= 1
            found = play(shorter, seed)
            if found is not None and found.promise == broken.promise:
                story, broken = shorter, found
            else:
                start += part
        part //= 2
    return story, broken


def _chunk(first: int, count: int, minutes: int) -> list[Failed]:
    return [failed for seed in range(first, first + count) if (failed := world(seed, minutes)) is not None]


def worlds(
    first: int, count: int, minutes: int, processes: int, progress: Callable[[int], None] = lambda done: None
) -> Iterator[Failed]:
    """Play ``count`` worlds from seed ``first`` on, on so many processes; yields what failed, as it is found."""
    if processes <= 1:
        for seed in range(first, first + count):
            failed = world(seed, minutes)
            progress(1)
            if failed is not None:
                yield failed
        return
    with ProcessPoolExecutor(processes) as pool:
        jobs = {
            pool.submit(_chunk, start, min(CHUNK, first + count - start), minutes): min(CHUNK, first + count - start)
            for start in range(first, first + count, CHUNK)
        }
        for job in as_completed(jobs):
            progress(jobs[job])
            yield from job.result()
