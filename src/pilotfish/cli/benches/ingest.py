"""``bench ingest``: an observation to a trade, a decision with its trace and a holding, durable in SQLite."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from sqlalchemy import Engine as Database
from sqlalchemy import insert

from pilotfish.cli.benches.figure import Figure, Options, figure, measured
from pilotfish.cli.benches.stream import AT, LAST, driven, events
from pilotfish.core import events as ev
from pilotfish.core.effects import Effect
from pilotfish.core.engine import Engine
from pilotfish.store import tables as t
from pilotfish.store.database import open_database
from pilotfish.store.writer import Writer


def durable_in(n: int, database: Database, *, grouped: bool) -> float:
    """Seconds from the first of ``n`` trades to the last one's decision being durable."""
    with database.begin() as c:
        c.execute(insert(t.portfolios).values(name="main", bankroll_micro=10**10, created_at=AT))
    writer = Writer(database)
    writer.start()

    def store(_event: ev.Event, effects: list[Effect]) -> None:
        writer.submit(effects)
        if not grouped:
            writer.flush()

    drive = driven(Engine(), events(n), store)
    started = time.perf_counter()
    drive.run(LAST)
    writer.flush(120.0)
    spent = time.perf_counter() - started
    writer.stop()
    database.dispose()
    return spent


def figures(_options: Options) -> list[Figure]:
    """Observation → trade, decision with trace and holding, durable in SQLite: group commit against single commits."""
    rates: dict[bool, list[float]] = {True: [], False: []}
    for _ in range(3):
        for grouped, n in ((True, 6_000), (False, 600)):
            with tempfile.TemporaryDirectory(prefix="pilotfish-bench-") as folder:
                database = open_database(f"sqlite:///{Path(folder) / 'bench.db'}")
                rates[grouped].append(n / durable_in(n, database, grouped=grouped))
    ours, single = measured(rates[True]), measured(rates[False])
    drive = driven(Engine(), events(20_000))
    started = time.perf_counter()
    drive.run(LAST)
    alone = 20_000 / (time.perf_counter() - started)
    return [
        figure("ingest to durable decision", "trades/s", ours, "one commit a trade", single),
        figure("engine alone", "trades/s", alone, "with the store", ours),
    ]
