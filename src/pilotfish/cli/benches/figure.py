"""What a bench gives: figures, each measured side by side with something and shown as a ratio, since absolute figures
are the machine's; and how they are measured."""

from __future__ import annotations

import resource
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import msgspec

from pilotfish.cli.printed import Column, Table

ROUNDS = 7


class Figure(msgspec.Struct, frozen=True, kw_only=True):
    """What was measured. ``unit`` is a rate (higher is better), ``ratio`` > 1 = ours is faster.

    ``spread``: how far the repetitions lie apart, in percent of their median (half of what is between the quartiles).
    ``aim``: the ratio to reach, where there is one.
    """

    name: str
    unit: str
    ours: float
    against: str
    theirs: float | None
    ratio: float | None
    note: str
    spread: float | None = None
    aim: float | None = None


class Options(msgspec.Struct, frozen=True):
    """What a person may say of a bench: how many trades ``pages`` and ``backtest`` have, how many crowds ``truth``."""

    trades: int
    seeds: int


class Measured(NamedTuple):
    """Items per second, the median of several rounds; how far the rounds lie apart, in percent of it."""

    rate: float
    spread: float


FIGURES: Table[Figure] = Table(
    Column("bench", lambda f: f.name, 1),
    Column("ours", lambda f: f"{f.ours:,.0f} {f.unit}", 2, right=True),
    Column("±", lambda f: f"{f.spread:.0f} %" if f.spread is not None else "", 6, right=True),
    Column("against", lambda f: f.against, 5, least=12),
    Column("theirs", lambda f: f"{f.theirs:,.0f} {f.unit}" if f.theirs is not None else f.note, 4, right=True),
    Column(
        "ratio", lambda f: f"{f.ratio:.{1 if f.ratio >= 10 else 2}f}×" if f.ratio is not None else "", 3, right=True
    ),
    Column("aim", lambda f: f"{f.aim:g}×" if f.aim is not None else "", 7, right=True),
)


def figure(
    name: str, unit: str, ours: float | Measured, against: str, theirs: float | Measured | None, note: str = "",
    aim: float | None = None,
) -> Figure:  # fmt: skip
    """A figure of what was measured on both sides."""
    spread = ours.spread if isinstance(ours, Measured) else None
    mine = ours.rate if isinstance(ours, Measured) else ours
    other = theirs.rate if isinstance(theirs, Measured) else theirs
    return Figure(
        name=name,
        unit=unit,
        ours=round(mine, 1),
        against=against,
        theirs=round(other, 1) if other else None,
        ratio=round(mine / other, 2) if other else None,
        note=note,
        spread=round(spread, 1) if spread is not None else None,
        aim=aim,
    )


def measured(rates: list[float]) -> Measured:
    """Several rounds as one figure."""
    middle = statistics.median(rates)
    low, _, high = statistics.quantiles(rates, n=4, method="inclusive") if len(rates) > 1 else (middle, middle, middle)
    return Measured(middle, 50 * (high - low) / middle)


def rates(
    sides: Mapping[str, Callable[[], object]], items: int, rounds: int = ROUNDS,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, Measured]:  # fmt: skip
    """Items per second of each side: rounds in turn, so that a busy machine is unfair to all alike. ``clock``: for work
    of this thread alone its own time (``time.thread_time``), which other processes cost less."""
    found: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(rounds):
        for name, work in sides.items():
            started = clock()
            work()
            found[name].append(items / (clock() - started))
    return {name: measured(each) for name, each in found.items()}


class DifferentError(Exception):
    """Two sides of a bench do not give the same: nothing is worth being timed."""


def same(what: str, ours: object, theirs: object) -> None:
    """Both sides give the same, before anything is timed. Raises :class:`DifferentError`."""
    if ours != theirs:
        raise DifferentError(f"{what}: ours gives {str(ours)[:300]}, theirs {str(theirs)[:300]}")


def peak_mib() -> float:
    """The most memory that this process had so far, in MiB. Linux counts what its parent had when it was made, unless
    it is asked for what the process's own program had."""
    status = Path("/proc/self/status")
    if status.exists():
        own = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(own.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024 if sys.platform != "darwin" else 1024**2)
