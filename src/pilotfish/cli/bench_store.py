"""How fast trades become durable: the writer with many events to a commit against one commit a trade, the same rows in
both; and how much of a database they are."""

from __future__ import annotations

import gc
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
from sqlalchemy import Engine as Database
from sqlalchemy import func, insert, select

from pilotfish.cli import bench_mix
from pilotfish.core.drive import Drive
from pilotfish.core.effects import Effect
from pilotfish.core.engine import Engine
from pilotfish.store import tables as t
from pilotfish.store.database import open_database
from pilotfish.store.exports import rows
from pilotfish.store.writer import Writer

TRADES, SINGLE = 10_000, 500
ROUNDS = 5
CHECKED = ("trades", "decisions", "intents", "fills", "holdings", "ledger", "positions")


class Durable(msgspec.Struct, frozen=True):
    """Trades a second, each the median of its rounds with (lowest, highest): the writer alone in groups and with one
    commit a trade, and the engine with the writer beside it."""

    grouped: float
    grouped_spread: tuple[float, float]
    single: float
    whole: float
    whole_spread: tuple[float, float]


def effects_of(n: int) -> list[list[Effect]]:
    """What the engine asks for, by event, from the first event to the last of ``n`` trades."""
    found: list[list[Effect]] = []
    _drive(n, found.append)
    return found


def _drive(n: int, take: Callable[[list[Effect]], None]) -> None:
    drive = Drive(Engine(), bench_mix.answer, lambda _event, effects: take(effects))
    for event in bench_mix.begin():
        drive.push(event)
    last = 0
    for event in bench_mix.trades(n):
        drive.push(event)
        last = event.at
    drive.run(last)


@contextmanager
def new_database(url: str = "") -> Iterator[Database]:
    """An empty database: in a folder of its own, or the one that ``url`` names."""
    with tempfile.TemporaryDirectory(prefix="pilotfish-bench-") as folder:
        database = open_database(url or f"sqlite:///{Path(folder) / 'bench.db'}")
        with database.begin() as c:
            c.execute(insert(t.portfolios).values(name=bench_mix.PORTFOLIO, bankroll_micro=bench_mix.BANKROLL))
        yield database
        database.dispose()


def _written(database: Database, batches: list[list[Effect]], *, grouped: bool) -> float:
    """Seconds until all is durable."""
    writer = Writer(database)
    gc.collect()
    gc.freeze()  # what the measurement itself keeps is not gone through again and again
    started = time.perf_counter()
    writer.start()
    for batch in batches:
        writer.submit(batch)
        if not grouped:
            writer.flush()
    writer.flush(600.0)
    spent = time.perf_counter() - started
    writer.stop()
    gc.unfreeze()
    return spent


def _whole(database: Database, n: int) -> float:
    """Seconds from the first event to the last trade's decision being durable, the engine's work included."""
    writer = Writer(database)
    writer.start()
    started = time.perf_counter()
    _drive(n, writer.submit)
    writer.flush(600.0)
    spent = time.perf_counter() - started
    writer.stop()
    return spent


def same_rows(first: Database, second: Database) -> bool:
    """True if both hold the same trades, decisions, orders, fills and books."""
    with first.connect() as a, second.connect() as b:
        return all(list(rows(a, kind)) == list(rows(b, kind)) for kind in CHECKED)


def measure(make: Callable[[], object] | None = None, url: Callable[[], str] = str) -> Durable:
    """Check that both ways write the same, then time them. ``url`` gives a new database for each round; empty = SQLite
    in a folder."""
    few, many = effects_of(SINGLE), effects_of(TRADES)
    with new_database(url()) as one, new_database(url()) as other:
        _written(one, few, grouped=True)
        _written(other, few, grouped=False)
        assert same_rows(one, other), "both ways write the same rows"
    grouped, single, whole = [], [], []
    for _ in range(ROUNDS):
        with new_database(url()) as database:
            grouped.append(TRADES / _written(database, many, grouped=True))
            with database.connect() as c:
                assert c.execute(select(func.count()).select_from(t.trades)).scalar() == TRADES
        with new_database(url()) as database:
            single.append(SINGLE / _written(database, few, grouped=False))
        with new_database(url()) as database:
            whole.append(TRADES / _whole(database, TRADES))
    return Durable(
        statistics.median(grouped), (min(grouped), max(grouped)), statistics.median(single),
        statistics.median(whole), (min(whole), max(whole)),
    )  # fmt: skip
