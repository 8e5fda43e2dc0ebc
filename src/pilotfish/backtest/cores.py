"""Many jobs on all cores of this machine: the results in the order of the jobs, whatever process was done first.

A process that dies (killed, out of memory) costs nothing but time: its jobs run again.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context, parent_process
from typing import TypeVar

J = TypeVar("J")
R = TypeVar("R")
TRIES = 3
"""Times that jobs run side by side and a process dies among them; then each runs alone, to find out which it was."""


def on_cores(
    work: Callable[[J], R],
    jobs: Sequence[J],
    processes: int,
    *,
    lost: Callable[[J], R],
    told: Callable[[int], None] = lambda _done: None,
) -> list[R]:
    """``work(job)`` of every job, in so many processes (below 2: in this one). ``lost`` is what becomes of a job whose
    process dies each time; ``told`` hears how many are done. What ``work`` raises ends all, and so does Ctrl-C: what
    runs is waited for, what does not is dropped."""
    found: dict[int, R] = {}

    def keep(place: int, result: R) -> None:
        found[place] = result
        told(len(found))

    if processes < 2 or len(jobs) < 2:
        for place, job in enumerate(jobs):
            keep(place, work(job))
        return [found[place] for place in range(len(jobs))]
    for _ in range(TRIES):
        left = {place: job for place, job in enumerate(jobs) if place not in found}
        if not left or _round(work, left, processes, keep):
            break
    for place in [place for place in range(len(jobs)) if place not in found]:
        if not _round(work, {place: jobs[place]}, 1, keep):
            keep(place, lost(jobs[place]))
    return [found[place] for place in range(len(jobs))]


def _round(work: Callable[[J], R], jobs: dict[int, J], processes: int, keep: Callable[[int, R], None]) -> bool:
    """Run these jobs; False where a process died before all were done."""
    # Started anew rather than forked: this process has threads, of which a fork would copy the locks only.
    pool = ProcessPoolExecutor(min(processes, len(jobs)), get_context("spawn"), initializer=_begin)
    try:
        places: dict[Future[R], int] = {pool.submit(work, job): place for place, job in jobs.items()}
        for future in as_completed(places):
            keep(places[future], future.result())
    except BrokenProcessPool:
        return False
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
    return True


def _begin() -> None:
    """Ctrl-C at a terminal reaches every process; it is the first one's to say what ends. However that one ends, this
    one ends with it: who waits for the next job of a process that was killed waits for ever."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, name="parent", daemon=True).start()


def _end_with_parent() -> None:
    parent = parent_process()
    assert parent is not None, "a pool's process has one that started it"
    parent.join()
    os._exit(1)
