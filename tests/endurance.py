"""What a worker stands: kills, power cuts, a full disk, and a long time under load with faults. Real processes on the
stand-in venue, whose truth is known; each returns what it found, and raises where a promise was broken.

Small ones run as tests, large ones by ``make kill`` and ``make soak``.
"""

from __future__ import annotations

import random
import resource
import shutil
import signal
import sqlite3
import statistics
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from sqlalchemy import ColumnElement, func, select

from pilotfish.store import tables as t
from pilotfish.store.database import open_database, open_to_read, snapshot
from pilotfish.store.verify import verify
from tests.rig import WALLET, WALLET_2, Pilot, Stand, until

LEADERS = (WALLET, WALLET_2)
LEAST = 60
"""Fills of every run, however short."""
PATIENCE = 300.0
"""Seconds until everything that was made must be stored, after the last kill."""


class Load:
    """Leaders who trade in several markets, so and so often a second, until told to stop or the venue ends."""

    def __init__(self, stand: Stand, per_second: float, seed: int) -> None:
        self._stand, self._every, self._chance = stand, 1 / per_second, random.Random(seed)
        self._tokens = [stand.market(question=f"Market {n}?") for n in range(6)]
        self._held: dict[tuple[str, str], int] = {}
        """(leader, token) -> hundredths of shares; nobody sells what they do not have."""
        self._bought: deque[tuple[float, tuple[str, str], int]] = deque()
        self._over = threading.Event()
        self.made = 0
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        due = time.monotonic()
        while not self._over.wait(max(0.0, due - time.monotonic())):
            due += self._every * self._chance.uniform(0.2, 1.8)
            whose = (self._chance.choice(LEADERS), self._chance.choice(self._tokens))
            count = 2 if self._chance.random() < 0.1 else 1  # identical fills of one transaction
            self._settle()
            role, held = "maker" if count > 1 else "taker", self._held.get(whose, 0)
            sells = held > 100 * count and self._chance.random() < 0.45
            shares = self._chance.randint(1, held // count if sells else 20_000)
            try:
                self._stand.fill(
                    whose[1], "SELL" if sells else "BUY", shares / 100, 0.5, wallet=whose[0], count=count, role=role
                )
            except OSError:
                return
            if sells:
                self._held[whose] = held - shares * count
            else:
                self._bought.append((time.monotonic(), whose, shares * count))
            self.made += count

    def _settle(self) -> None:
        """Within a second the order of several blocks, which no chain has, would decide what a leader holds."""
        while self._bought and time.monotonic() - self._bought[0][0] > 2.5:
            _, whose, shares = self._bought.popleft()
            self._held[whose] = self._held.get(whose, 0) + shares

    def end(self) -> int:
        """How many fills there were; some tens at least."""
        until("there was a load", lambda: self.made >= LEAST or not self._thread.is_alive())
        self._over.set()
        self._thread.join()
        return self.made


@contextmanager
def beginning(folder: Path, url: str, **settings: object) -> Iterator[tuple[Stand, Pilot]]:
    """A quiet venue and a pilot that follows two leaders, before its first run. Each fill makes a block there, far more
    often than a chain does, so their times are delivered."""
    stand = Stand(folder, "--scenario", "quiet")
    pilot = Pilot(folder, stand.urls, database_url=url, log_level="WARNING", polygon_heartbeat_sec=0, **settings)
    stand.post("/api", lag=[0.2, 1.5])
    try:
        for wallet in LEADERS:
            pilot.cli("leaders", "add", wallet)
        pilot.start()
        yield stand, pilot
    finally:
        pilot.close()
        stand.close()


def judge(stand: Stand, pilot: Pilot, made: int) -> None:
    """Everything that was made is stored and decided, each once, and the books agree with themselves and with the
    venue."""
    truth = stand.get("/truth?" + "&".join(f"wallet={w}" for w in LEADERS))
    assert truth["trades"] == made
    database = open_to_read(pilot.environment["DATABASE_URL"])
    assert database is not None
    try:
        until("every trade is stored", lambda: _count(database, "trades") >= made, PATIENCE)
        assert _count(database, "trades") == made
        until(
            "everything is decided",
            lambda: _count(database, "decisions", t.decisions.c.action != "wait") >= made,
            PATIENCE,
        )
        assert _count(database, "decisions") == made
    finally:
        database.dispose()
    held = {(h["leader"], h["token_id"]): h["shares_micro"] for h in pilot.export("holdings") if h["shares_micro"]}
    true = {(w, t): n for w, tokens in truth["holdings"].items() for t, n in tokens.items() if n}
    assert held == true, {key: (held.get(key), true.get(key)) for key in held | true if held.get(key) != true.get(key)}
    pilot.stop()
    pilot.verify()


def _count(database: Any, table: str, *where: ColumnElement[bool]) -> int:
    with database.connect() as c:
        return int(c.execute(select(func.count()).select_from(t.metadata.tables[table]).where(*where)).scalar_one())


# -- kills ---------------------------------------------------------------------------------------------------------


@dataclass
class Killed:
    """What so many kills came to. ``back_seconds``: from each start to the first sign of life of that worker."""

    kills: int
    trades: int
    before_ready: int
    seconds: float
    back_seconds: list[float] = field(default_factory=list)

    def told(self) -> str:
        """A line of a table."""
        back = sorted(self.back_seconds)
        return (
            f"{self.kills} | {self.trades:,} | {self.before_ready} | {statistics.median(back):.1f} s |"
            f" {back[-1]:.1f} s | {self.seconds / 60:.0f} min"
        )


def kills(folder: Path, url: str, number: int, seed: int, *, per_second: float = 6.0, longest: float = 3.0) -> Killed:
    """Kill a worker under load ``number`` times, each between 0 and ``longest`` seconds after its start or its first
    sign of life, and start it again at once."""
    chance, began = random.Random(seed), time.monotonic()
    found = Killed(number, 0, 0, 0.0)
    with beginning(folder, url) as (stand, pilot):
        load = Load(stand, per_second, seed)
        for n in range(number):
            early = chance.random() < 0.3
            if not early:
                found.back_seconds.append(_works(pilot))
            found.before_ready += early
            time.sleep(chance.uniform(0, longest))  # the moment of the kill is the subject
            pilot.kill()
            pilot.start(ready=False)
            if n % 25 == 24:
                _works(pilot)
                pilot.verify()
        found.trades = load.end()
        until("the last worker is ready", pilot.ready, PATIENCE)
        judge(stand, pilot, found.trades)
    found.seconds = time.monotonic() - began
    return found


def _works(pilot: Pilot) -> float:
    """Wait until this very process says that it runs; gives how long that took."""
    began = time.monotonic()

    def works() -> bool:
        assert pilot.process is not None
        assert pilot.process.poll() is None, pilot.log.read_text()[-2000:]
        worker = pilot.status()["worker"]
        return bool(worker and worker["pid"] == pilot.process.pid and worker["ended"] is None)

    until("it works", works, PATIENCE)
    return time.monotonic() - began


# -- power cuts ----------------------------------------------------------------------------------------------------


@dataclass
class Cut:
    """What copies of a database at random instants were like. ``pages_in_log``: copies whose log held pages that a
    checkpoint had not put into the file yet."""

    copies: int
    trades: int
    with_log: int


def power_cuts(folder: Path, number: int, seed: int, *, per_second: float = 40.0) -> Cut:
    """Copy a SQLite database's files at ``number`` random instants, as they stand on the disk, while a worker writes
    into it; each copy must open, be whole, and agree with itself; a worker goes on from the last one."""
    chance, found = random.Random(seed), Cut(0, 0, 0)
    file = folder / "pilotfish.db"
    with beginning(folder, f"sqlite:///{file}") as (stand, pilot):
        load = Load(stand, per_second, seed)
        assert pilot.process is not None
        before = 0
        for n in range(number):
            time.sleep(chance.uniform(0.05, 0.6))  # the instant is the subject
            pilot.process.send_signal(signal.SIGSTOP)
            place = folder / f"cut-{n}"
            place.mkdir()
            for part in ("", "-wal"):
                if (source := Path(f"{file}{part}")).exists():
                    shutil.copyfile(source, place / f"pilotfish.db{part}")
            pilot.process.send_signal(signal.SIGCONT)
            log = place / "pilotfish.db-wal"
            found.with_log += log.exists() and log.stat().st_size > 0
            stored = _whole(place / "pilotfish.db")
            assert stored >= before, "what one copy has, a later one has, too"
            before = stored
            found.copies += 1
            if n < number - 1:
                shutil.rmtree(place)
        pilot.kill()
        last = Pilot(folder / f"cut-{number - 1}", stand.urls)
        last.start()
        try:
            found.trades = load.end()
            judge(stand, last, found.trades)
        finally:
            last.close()
    return found


def _whole(file: Path) -> int:
    """Check a copy; gives how many trades it has."""
    with sqlite3.connect(file) as c:
        assert c.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    c.close()
    database = open_database(f"sqlite:///{file}")
    try:
        with snapshot(database) as c2:
            assert verify(c2) == []
        return _count(database, "trades")
    finally:
        database.dispose()


# -- no room, no right ---------------------------------------------------------------------------------------------


def no_room(folder: Path, times: int, *, per_second: float = 20.0) -> int:
    """Let a worker's files grow no more for some seconds, again and again; gives how many trades there were."""
    file = folder / "pilotfish.db"
    with beginning(folder, f"sqlite:///{file}") as (stand, pilot):
        load = Load(stand, per_second, 1)
        assert pilot.process is not None
        for n in range(1, times + 1):
            limit = max(file.stat().st_size, Path(f"{file}-wal").stat().st_size)
            whole = resource.prlimit(pilot.process.pid, resource.RLIMIT_FSIZE)
            resource.prlimit(pilot.process.pid, resource.RLIMIT_FSIZE, (limit, whole[1]))
            until("it has noticed", lambda n=n: len(pilot.logged(CANNOT_WRITE)) >= n)  # type: ignore[misc]
            resource.prlimit(pilot.process.pid, resource.RLIMIT_FSIZE, whole)
            until("it writes again", lambda: pilot.status()["worker"]["database"]["healthy"])
        made = load.end()
        judge(stand, pilot, made)
        return made


CANNOT_WRITE = "cannot write to the database; nothing is lost, trying again"


# -- a long time ---------------------------------------------------------------------------------------------------


@dataclass
class Sample:
    """A worker at an instant: memory (MiB), trades that it remembers, open descriptors, threads, tasks, and events that
    are not durable."""

    at: float
    memory: float
    remembered: int
    descriptors: int
    threads: int
    tasks: int
    backlog: int
    stored: int
    made: int

    def told(self) -> str:
        """A line of a table."""
        return (
            f"{self.at / 60:.0f} min | {self.memory:.0f} MiB | {self.remembered:,} | {self.descriptors} |"
            f" {self.threads} | {self.tasks} | {self.backlog} | {self.made - self.stored}"
        )


FEWEST = 6
"""Samples from which something can be said."""
GROWTH = 0.05
"""So much more memory in the last third than in the first is still flat: what a fault takes for a while."""


@dataclass(frozen=True)
class Memory:
    """How a worker's memory went. ``since``: seconds after which trades were let go of as fast as they came, ``None`` =
    not yet; ``before`` and ``after``: MiB at the beginning and the end of what is judged; ``each``: bytes that a
    remembered trade took until then, all in all; ``None`` = too few samples."""

    since: float | None
    before: float
    after: float
    each: float | None

    @property
    def flat(self) -> bool | None:
        """Whether it stayed where it was once as many trades went as came; ``None`` = that was not reached."""
        return None if self.since is None else self.after <= self.before * (1 + GROWTH)

    def told(self) -> str:
        """A sentence."""
        each = f", {self.each:,.0f} bytes for each trade that was remembered until then" if self.each else ""
        if self.since is None:
            return f"no trade was let go of yet: {self.before:.0f} to {self.after:.0f} MiB{each}; nothing said of flat"
        kind = "flat" if self.flat else "GROWING"
        return f"{kind} from {self.since / 60:.0f} min on: {self.before:.0f} to {self.after:.0f} MiB{each}"


def memory(samples: list[Sample]) -> Memory:
    """Judge a soak: what grows with the trades that are remembered is meant to, until the oldest go."""
    gone = [n for n, (one, two) in enumerate(pairwise(samples), 1) if two.remembered < one.remembered]
    judged = samples[gone[0] :] if gone and len(samples) - gone[0] >= FEWEST else samples
    until = samples[: gone[0]] if gone else samples
    third = max(1, len(judged) // 3)
    more, trades = until[-1].memory - until[0].memory, until[-1].remembered - until[0].remembered
    return Memory(
        judged[0].at if judged is not samples else None,
        statistics.median(s.memory for s in judged[:third]),
        statistics.median(s.memory for s in judged[-third:]),
        more * 2**20 / trades if len(until) >= FEWEST and trades > 0 else None,
    )


FAULTS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("/faults", {"service": "data", "mode": "status", "status": 503, "seconds": 4}),
    ("/rpc", {"action": "drop"}),
    ("/faults", {"service": "clob", "mode": "status", "status": 500, "seconds": 4}),
    ("/market_ws", {"action": "drop"}),
    ("/faults", {"service": "gamma", "mode": "html", "seconds": 4}),
    ("/rpc", {"action": "refuse", "seconds": 4}),
    ("/faults", {"service": "data", "mode": "truncate", "count": 5}),
    ("/market_ws", {"action": "skip", "count": 20}),
)
"""What goes wrong during a soak, one after the other."""


def soak(folder: Path, url: str, minutes: float, *, per_second: float, every: float = 30.0) -> list[Sample]:
    """Run a worker for so long under load, with a fault every ten seconds; gives samples of it, and checks in the end
    that nothing is missing or doubled."""
    samples: list[Sample] = []
    with beginning(folder, url, poll_interval_ms=2_000) as (stand, pilot):
        load = Load(stand, per_second, 1)
        began, fault = time.monotonic(), 0
        due = began + every
        while (at := time.monotonic() - began) < 60 * minutes:
            path, body = FAULTS[fault % len(FAULTS)]
            stand.post(path, **body)
            fault += 1
            time.sleep(min(10.0, every / 2))  # how long it lasts is the subject
            if time.monotonic() >= due or not samples:
                samples.append(_sample(pilot, at, load.made))
                due = time.monotonic() + every
        made = load.end()
        samples.append(_sample(pilot, time.monotonic() - began, made))
        judge(stand, pilot, made)
    return samples


def _sample(pilot: Pilot, at: float, made: int) -> Sample:
    assert pilot.process is not None
    assert pilot.process.poll() is None, pilot.log.read_text()[-2000:]
    pid, state = pilot.process.pid, pilot.status()
    told = dict(
        line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines() if ":" in line
    )  # fmt: skip
    worker = state["worker"]
    return Sample(
        at=at, memory=int(told["VmRSS"].split()[0]) / 1024, remembered=worker["remembered"],
        descriptors=len(list(Path(f"/proc/{pid}/fd").iterdir())),
        threads=int(told["Threads"]), tasks=worker["tasks"], backlog=worker["database"]["backlog"],
        stored=state["counts"]["trades"], made=made,
    )  # fmt: skip
