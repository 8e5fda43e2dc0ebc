"""What a trade costs the engine and the store, and a start, against load: what ``tools/load_chart.py`` draws.

In the process's own time, so that what else runs on the machine hardly shows.
"""

from __future__ import annotations

import gc
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from pilotfish.cli.benches import engine_mix, pages
from pilotfish.cli.benches import start as bench_start
from pilotfish.cli.benches.figure import Figure, Measured, Options, figure, measured
from pilotfish.cli.benches.store import effects_of, new_database
from pilotfish.core.effects import Effect
from pilotfish.core.numerals import plural
from pilotfish.store.database import open_database
from pilotfish.store.writer import Writer

ROUNDS = 3
TRADES = 4_000
LEADERS = (1, 10, 100, 1_000, 10_000)
IN_ONE_COMMIT = (1, 10, 100, 1_000)
PER_COMMIT = 300
"""Commits at least that are timed for each load, or all trades."""
REMEMBERED = (1_000, 10_000, 100_000, 1_000_000)


class Curve(NamedTuple):
    """One part's cost: what the load counts, what is done, and how much of it in a second at each load."""

    part: str
    load: str
    done: str
    rates: dict[int, Measured]


def curves(most: int) -> list[Curve]:
    """The cost of a trade in engine and store, and of a start with at most ``most`` trades in the database."""
    return [Curve("engine", "leader", "trades", _engine()), Curve("store, at once", "trade", "trades", _store()),
            Curve("start, in the database", "trade", "starts", _start(most))]  # fmt: skip


def figures(options: Options) -> list[Figure]:
    """Each load against the smallest."""
    return [figure_of(curve, load) for curve in curves(options.trades) for load in curve.rates]


def figure_of(curve: Curve, load: int) -> Figure:
    """One load of a curve against its smallest."""
    one, least = curve.rates[load], min(curve.rates)
    name, note = f"{curve.part}: {plural(load, curve.load)}", f"{1e6 / one.rate:.1f} µs"
    return figure(name, f"{curve.done}/s", one, plural(least, curve.load), curve.rates[least], note)


def _engine() -> dict[int, Measured]:
    found = {}
    for leaders in LEADERS:
        mixed = engine_mix.mix(TRADES, leaders=leaders)
        found[leaders] = measured([mixed.trades / engine_mix.spent(mixed) for _ in range(ROUNDS)])
    return found


def _store() -> dict[int, Measured]:
    batches = effects_of(TRADES)
    found = {}
    for together in IN_ONE_COMMIT:
        some = batches[: min(len(batches), PER_COMMIT * together * 3)]
        found[together] = measured([_written(some, together) for _ in range(ROUNDS)])
    return found


def _written(batches: list[list[Effect]], together: int) -> float:
    """Trades a second of the process's own time, with so many trades' effects in a commit."""
    with new_database() as database:
        writer = Writer(database)
        gc.collect()
        began = time.process_time()
        writer.start()
        trades = 0
        for batch in batches:
            before, trades = trades, trades + _trades(batch)
            writer.submit(batch)
            if trades // together > before // together:
                writer.flush()
        writer.flush(600.0)
        spent = time.process_time() - began
        writer.stop()
    return trades / spent


def _trades(batch: list[Effect]) -> int:
    return sum(type(getattr(effect, "record", None)).__name__ == "TradeRecord" for effect in batch)


def _start(most: int) -> dict[int, Measured]:
    found = {}
    for trades in [n for n in REMEMBERED if n <= most]:
        with tempfile.TemporaryDirectory(prefix="pilotfish-bench-") as folder:
            url = f"sqlite:///{Path(folder) / 'bench.db'}"
            database = open_database(url)
            pages.fill_database(database, trades)
            database.dispose()
            found[trades] = measured([1 / one.work for one in bench_start.started(url, trades, ROUNDS)])
    return found
