"""Many runs through one past, shared out over processes: in each, all of them go through it side by side."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

from pilotfish.backtest.run import Job, Played, Whole, play_all

SHARED_FROM = 20_000
"""Deeds, each counted for every run, from which other processes are worth their start."""
KEPT = 3
"""So many runs one takes as long as whose books are kept."""


def side_by_side(
    whole: Whole, here: Sequence[Job], rest: Sequence[Job], processes: int, told: Callable[[int, int], None]
) -> tuple[list[Played], list[Played]]:
    """All runs, in their order: those of ``here``, whose sinks belong to this process, and the ``rest``, anywhere.
    ``told`` hears how many of how many are done."""
    of = len(here) + len(rest)
    groups = _groups(len(here) * KEPT, len(rest), processes if len(whole.past.deeds) * of >= SHARED_FROM else 1)
    mine, *others = [[rest[n] for n in group] for group in groups]

    def so_far(done: int, deeds: int) -> None:
        told(min(of - 1, done * of // max(1, deeds)), of)

    if not others:
        played = play_all(whole, [*here, *mine], so_far)
        parts = [played[len(here) :]]
    else:
        # Started anew rather than forked: this process has threads, and clients of object stores, that a fork breaks.
        with ProcessPoolExecutor(len(others), get_context("spawn")) as pool:
            away = [pool.submit(play_all, whole, jobs) for jobs in others]
            played = play_all(whole, [*here, *mine], so_far)
            parts = [played[len(here) :], *(one.result() for one in away)]
    told(of, of)
    found = {n: one for group, part in zip(groups, parts, strict=True) for n, one in zip(group, part, strict=True)}
    return played[: len(here)], [found[n] for n in range(len(rest))]


def _groups(load: int, jobs: int, processes: int) -> list[list[int]]:
    """Which jobs run where, this process first: each goes where least is to be done; ``load`` is here already."""
    groups: list[list[int]] = [[] for _ in range(max(1, processes))]
    loads = [load, *(0 for _ in groups[1:])]
    for n in range(jobs):
        least = loads.index(min(loads))
        groups[least].append(n)
        loads[least] += 1
    return [groups[0], *(group for group in groups[1:] if group)]
