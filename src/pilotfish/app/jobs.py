"""The process that works off jobs: takes one after the other, says how far it is, stores what came of it.

It can be killed at any moment: a job that was running waits again when the next process begins; cancelling is nothing
else: the row is changed, and the process ends when it sees that.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeAlias, TypeVar

import msgspec
import structlog
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from pilotfish.app.lease import Lease, LeaseError
from pilotfish.app.logs import redact
from pilotfish.core.pace import Pace
from pilotfish.core.problem import Problem
from pilotfish.store.jobs import At, Jobs
from pilotfish.store.outage import is_outage

log = structlog.get_logger(__name__)

SAY_SECONDS = 0.5
"""How often it is said how far a job is, and looked whether it was cancelled."""
STORE_TRIES = 5
UNFORESEEN = "an unforeseen error ended it; the dashboard's log says more. What was read of the history is kept"
J = TypeVar("J", bound=msgspec.Struct)
Store: TypeAlias = Callable[[Connection, int], object]
"""Stores what came of a job, at an instant (µs)."""


@dataclass(frozen=True, slots=True)
class Work(Generic[J]):
    """Jobs, and how one of them is done. Of the processes on a database one works them off at a time. ``do`` may raise
    a :class:`~pilotfish.core.problem.Problem`, whose words are then the job's error."""

    jobs: Jobs
    kind: type[J]
    do: Callable[[int, J, Watch], Store]


def work_off(database: Engine, work: Work[J]) -> None:
    """Work off whatever waits, one after the other, until nothing does; nothing at all while another process is at
    it."""
    lease = Lease(database, work.jobs.kind)
    try:
        lease.take()
    except LeaseError:
        return
    try:
        with database.begin() as c:
            work.jobs.take_up(c, _now())
        while (taken := _next(database, work)) is not None:
            _do(database, work, lease, *taken)
    finally:
        lease.release()


def _next(database: Engine, work: Work[J]) -> tuple[int, J] | None:
    with database.begin() as c:
        return work.jobs.take(c, work.kind, _now())


def _do(database: Engine, work: Work[J], lease: Lease, number: int, job: J) -> None:
    try:
        with Watch(database, work.jobs, lease, number) as watch:
            store = work.do(number, job, watch)
    except Problem as problem:
        told = redact(str(problem))
        _store(database, lambda c, at: work.jobs.fail(c, number, at, told))
        return
    except Exception:
        log.exception(f"a {work.jobs.noun} ended by an unforeseen error", number=number)
        _store(database, lambda c, at: work.jobs.fail(c, number, at, UNFORESEEN))
        return
    _store(database, store)


class Watch:
    """Beside the work, on a thread: says how far it is, keeps the lease, and ends the process once nobody wants the
    job any more. A database that is out is waited for."""

    def __init__(self, database: Engine, jobs: Jobs, lease: Lease, number: int) -> None:
        self._database, self._jobs, self._lease, self._number = database, jobs, lease, number
        self._told = At(), (0, 0)
        self._pace = Pace()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)
        self.also: Callable[[Connection], None] | None = None
        """What else is looked after as often, on that thread."""

    def tell(self, at: At, worked: tuple[int, int] | None = None) -> None:
        """How far it is; ``worked`` is how much of how much work, where the parts are not alike."""
        self._told = at, worked or (at.done, at.of)

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._over.wait(SAY_SECONDS):
            try:
                wanted = self._say()
            except (SQLAlchemyError, OSError) as problem:
                if not is_outage(problem):
                    raise
                continue
            if not wanted:
                log.info(f"a {self._jobs.noun} was cancelled", number=self._number)
                os._exit(0)

    def _say(self) -> bool:
        if not self._lease.renew():
            return False
        at, (done, of) = self._told
        left = self._pace.left_sec(at.stage, done, of, int(time.monotonic() * 1000))
        with self._database.begin() as c:
            wanted = self._jobs.progress(c, self._number, at._replace(left_sec=left))
            if self.also is not None:
                self.also(c)
        if not wanted:
            self._lease.release()
        return wanted


def _store(database: Engine, what: Store) -> None:
    """Store what came of a job; a database that is out for a moment is tried again."""
    for left in reversed(range(STORE_TRIES)):
        try:
            with database.begin() as c:
                what(c, _now())
            return
        except (SQLAlchemyError, OSError) as problem:
            if not left or not is_outage(problem):
                raise
            time.sleep(1.0)


def _now() -> int:
    return time.time_ns() // 1000
