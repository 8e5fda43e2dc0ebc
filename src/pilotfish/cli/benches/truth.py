"""``bench truth``: what discovery makes of worlds whose truth is known, against what is promised of it."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from rich.progress import Progress

from pilotfish.backtest.judgement import Verdict
from pilotfish.cli.benches.figure import Figure, Options
from pilotfish.sim.known_truth import Run, covered, crowded, jobs_of, locally, look
from pilotfish.sim.past_people import Kind, crowd

SEEDS = 20
"""Crowds, each of 200 coin flippers and 5 skilled on 300 events each."""
WORLDS = 20
"""Worlds a seed in which the interval is tried."""
VERDICTS = {
    Kind.FIRST_SECOND: Verdict.NOT_COPYABLE,
    Kind.VALUE: Verdict.COPYABLE,
    Kind.GAMBLER: Verdict.CANNOT_TELL,
    Kind.MARKET_MAKER: Verdict.NOT_COPYABLE,
    Kind.ONE_EVENT: Verdict.CANNOT_TELL,
}
"""What each kind has to come out as."""


def measured(seeds: int) -> Iterator[tuple[str, float, str, str, float]]:
    """What was measured: its name, the figure, its unit, what it is held against, and that figure."""
    with _running("kinds") as run:
        right, tried = _kinds(seeds, run)
    yield "kinds judged right", right, "looks", "of", tried
    with _running("crowds") as run:
        crowds = [crowded(seed, run) for seed in range(1, seeds + 1)]
    flippers, found = sum(c.flippers_found for c in crowds), sum(c.found for c in crowds)
    called = flippers + found
    yield "flippers among those called copyable", 100 * flippers / max(1, called), "%", "at most", 10
    yield "skilled found of 5, in the worst crowd", min(c.found for c in crowds), "people", "at least", 4
    yield "skilled found of all", found, "people", "of", sum(c.skilled for c in crowds)
    with _running("intervals") as run:
        coverage = covered(WORLDS * seeds, run)
    yield f"90 % interval holds the truth, of {coverage.worlds}", coverage.percent, "%", "85 to 95", 90


def _kinds(seeds: int, run: Run) -> tuple[int, int]:
    wanted = list(VERDICTS) * seeds
    jobs = [
        job for seed in range(1, seeds + 1) for kind in VERDICTS for job in jobs_of(seed, crowd(seed, kind, 1))
    ]  # fmt: skip
    found = [one.judgement.verdict if one.judgement is not None else None for one in run(look, jobs)]
    return sum(VERDICTS[kind] is verdict for kind, verdict in zip(wanted, found, strict=True)), len(wanted)


@contextmanager
def _running(what: str) -> Iterator[Run]:
    """Runs on all cores, with a bar at a terminal."""
    with Progress(transient=True, disable=not sys.stderr.isatty()) as bar:
        task = bar.add_task(what, total=None)
        yield locally(os.cpu_count() or 1, lambda done: bar.update(task, completed=done))


def figures(options: Options) -> list[Figure]:
    """What discovery finds in worlds whose truth is known, against what is promised of it."""
    return [
        Figure(name=name, unit=unit, ours=round(ours, 2), against=against, theirs=promised, ratio=None, note="")
        for name, ours, unit, against, promised in measured(options.seeds)
    ]
