"""How fast trades become durable: the writer with many events to a commit against one commit a trade, the same rows in
both."""

from __future__ import annotations

import gc
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
from sqlalchemy import Engine as Database
from sqlalchemy import func, insert, select

from pilotfish.cli.benches import mix as bench_mix
from pilotfish.cli.benches.figure import Figure, Measured, Options, figure, measured, same
from pilotfish.core.drive import Drive
from pilotfish.core.effects import Effect
from pilotfish.core.engine import Engine
from pilotfish.core.events import Event
from pilotfish.store import tables as t
from pilotfish.store.database import open_database
from pilotfish.store.exports import rows
from pilotfish.store.writer import Writer

TRADES, SINGLE = 10_000, 500
ROUNDS = 5
CHECKED = ("trades", "decisions", "intents", "fills", "holdings", "ledger", "positions")


class Durable(msgspec.Struct, frozen=True):
    """Trades a second: the writer alone in groups and with one commit a trade, and the engine with the writer beside
    it."""

    grouped: Measured
    single: Measured
    whole: Measured


def effects_of(n: int) -> list[list[Effect]]:
    """What the engine asks for, by event, from the first event to the last of ``n`` trades."""
    found: list[list[Effect]] = []
    _drive(_events(n), found.append)
    return found


def _events(n: int) -> list[Event]:
    return [*bench_mix.begin(), *bench_mix.trades(n)]


def _drive(events: list[Event], take: Callable[[list[Effect]], None]) -> None:
    drive = Drive(Engine(), bench_mix.answer, lambda _event, effects: take(effects))
    for event in events:
        drive.push(event)
    drive.run(events[-1].at)


@contextmanager
def new_database(url: str = "") -> Iterator[Database]:
    """An empty database: in a folder of its own, or the one that ``url`` names."""
    with tempfile.TemporaryDirectory(prefix="pilotfish-bench-") as folder:
        database = open_database(url or f"sqlite:///{Path(folder) / 'bench.db'}")
        with database.begin() as c:
            c.execute(insert(t.portfolios).values(name=bench_mix.PORTFOLIO, bankroll_micro=bench_mix.BANKROLL))
        yield database
        database.dispose()


def written(database: Database, batches: list[list[Effect]], *, grouped: bool) -> float:
    """Write effects, event by event; seconds until all is durable."""
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


def _whole(database: Database, events: list[Event]) -> float:
    """Seconds from the first event to the last trade's decision being durable, the engine's work included."""
    writer = Writer(database)
    gc.collect()
    gc.freeze()
    writer.start()
    started = time.perf_counter()
    _drive(events, writer.submit)
    writer.flush(600.0)
    spent = time.perf_counter() - started
    writer.stop()
    gc.unfreeze()
    return spent


def _exported(database: Database) -> list[object]:
    """Trades, decisions, orders, fills and books."""
    with database.connect() as c:
        return [row for kind in CHECKED for row in rows(c, kind)]


def measure(url: Callable[[], str] = str) -> Durable:
    """Check that both ways write the same, then time them. ``url`` gives a new database for each round; empty = SQLite
    in a folder."""
    few, many, events = effects_of(SINGLE), effects_of(TRADES), _events(TRADES)
    with new_database(url()) as one, new_database(url()) as other:
        written(one, few, grouped=True)
        written(other, few, grouped=False)
        same("rows", *(_exported(database) for database in (one, other)))
    grouped, single, whole = [], [], []
    for _ in range(ROUNDS):
        with new_database(url()) as database:
            grouped.append(TRADES / written(database, many, grouped=True))
            with database.connect() as c:
                assert c.execute(select(func.count()).select_from(t.trades)).scalar() == TRADES
        with new_database(url()) as database:
            single.append(SINGLE / written(database, few, grouped=False))
        with new_database(url()) as database:
            whole.append(TRADES / _whole(database, events))
    return Durable(measured(grouped), measured(single), measured(whole))


def figures(_options: Options) -> list[Figure]:
    """Trades of many leaders, a good part of them copied and filled, until all is durable in SQLite."""
    told = measure()
    return [
        figure("durable trades, the writer", "trades/s", told.grouped, "one commit a trade", told.single),
        figure("durable trades, engine beside it", "trades/s", told.whole, "one commit a trade", told.single),
    ]
