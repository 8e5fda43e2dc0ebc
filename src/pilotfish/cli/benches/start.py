"""How long a start takes, and how much memory, and how long a report of a period, in a database with many trades."""

from __future__ import annotations

import multiprocessing
import tempfile
import time
from pathlib import Path

import msgspec
from sqlalchemy import Engine as Database
from sqlalchemy import delete

from pilotfish.cli.benches import pages as bench_pages
from pilotfish.cli.benches.figure import Figure, Options, figure, measured, peak_mib, same
from pilotfish.core.drive import played
from pilotfish.core.engine import Engine
from pilotfish.core.recall import KEEP
from pilotfish.core.settings import Globals, policy_from
from pilotfish.core.units import SECOND
from pilotfish.store import report, restore
from pilotfish.store import tables as t
from pilotfish.store.database import open_database, open_to_read

ROUNDS = 5
WITHIN = 8 * 86_400 * SECOND
"""The trades are taken to be of so long: what is kept in memory is the same share of them."""


class Started(msgspec.Struct, frozen=True):
    """Seconds of a start (of the process: work, not waiting) and its memory in MiB, from the first import on."""

    wall: float
    work: float
    mib: float
    trades: int


class Found(msgspec.Struct, frozen=True):
    """Starts; and seconds of reports of the last day, and of one that goes through all decisions."""

    starts: list[Started]
    since: list[float]
    through_all: float


def measure(trades: int = bench_pages.MANY) -> Found:
    """Fill a database, check that both ways of a report say the same, then time them and a start."""
    with tempfile.TemporaryDirectory(prefix="pilotfish-bench-") as folder:
        url = f"sqlite:///{Path(folder) / 'bench.db'}"
        database = open_database(url)
        bench_pages.fill_database(database, trades)
        spent, through_all = _reports(database, trades)
        database.dispose()
        return Found(started(url, trades, ROUNDS), spent, through_all)


def started(url: str, trades: int, rounds: int) -> list[Started]:
    """So many starts, each in a process of its own."""
    with multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
        return pool.starmap(start, [(url, trades)] * rounds, chunksize=1)


def start(url: str, trades: int) -> Started:
    """What a worker reads when it starts, taken in by an engine; in a process of its own."""
    database = open_to_read(url)
    assert database is not None
    at = bench_pages.at_of(trades)
    keep = KEEP * (at - bench_pages.at_of(0)) // WITHIN
    began = time.perf_counter()
    with database.connect() as c:
        first = restore.restored(c, {"main": policy_from({})}, Globals(), at, keep=keep)
    played(Engine(), first)
    wall = time.perf_counter() - began
    return Started(wall, time.process_time(), peak_mib(), len(first.trades))


def _reports(database: Database, trades: int) -> tuple[list[float], float]:
    since = bench_pages.at_of(trades) - 86_400 * SECOND
    spent = []
    for _ in range(ROUNDS):
        with database.connect() as c:
            began = time.process_time()
            told = report.report(c, since=since)
            spent.append(time.process_time() - began)
    with database.connect() as c:
        c.execute(delete(t.settled_stretches))
        began = time.process_time()
        whole = report.report(c, since=since)
        through_all = time.process_time() - began
        same("report", told, whole)
        c.rollback()
    return spent, through_all


def figures(options: Options) -> list[Figure]:
    """A start, and a report of a period, with so many trades of the last eight days."""
    told = measure(options.trades)
    starts = measured([1 / one.work for one in told.starts])
    note = f"{max(one.mib for one in told.starts):.0f} MiB, {1 / starts.rate:.2f} s of work"
    reports = measured([1 / seconds for seconds in told.since])
    return [
        figure("start with what is in the database", "starts/s", starts, f"{options.trades:,} trades", None, note),
        figure("report --since a day", "reports/s", reports, "all gone through", 1 / told.through_all),
    ]
