"""The process that works off look backs: reads somebody's past, runs it through the engine, stores the answer.

It can be killed at any moment. What was read is in the history, and a look back that was running waits again when the
next process begins; cancelling is nothing else: the row is changed, and the process ends when it sees that.
"""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple, TypeAlias

import structlog
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from pilotfish.app.book_recording import spool_of
from pilotfish.app.config import history_place
from pilotfish.app.lease import Lease, LeaseError
from pilotfish.app.logs import redact
from pilotfish.app.pulls import pulled_of
from pilotfish.backtest.in_force import grounds_of
from pilotfish.backtest.look_back import LookBack, look_back
from pilotfish.backtest.refusal import refuse_nothing
from pilotfish.backtest.told import answer_of
from pilotfish.core.problem import Problem
from pilotfish.core.settings import Value, policy_from
from pilotfish.core.units import SECOND
from pilotfish.history.folder import History
from pilotfish.history.past import read_past
from pilotfish.history.records import Past
from pilotfish.history.summary import told_of
from pilotfish.polymarket.http import VenueError
from pilotfish.store import look_backs_store as rows
from pilotfish.store.database import snapshot
from pilotfish.store.look_backs_store import Job
from pilotfish.store.outage import is_outage

log = structlog.get_logger(__name__)

LEASE = "look_backs"
"""One process at a time works off a database's look backs."""
DAY = 86_400
SAY_SECONDS = 0.5
"""How often it is said how far a look back is, and looked whether it was cancelled."""
STORE_TRIES = 5
UNFORESEEN = "an unforeseen error ended it; the dashboard's log says more. What was read of the history is kept"


class At(NamedTuple):
    """How far a look back is: of its ``stage``, ``done`` of ``of`` parts; ``requests`` made by now."""

    stage: str = ""
    done: int = 0
    of: int = 0
    requests: int = 0


Tell: TypeAlias = Callable[[At], None]


def work_off(database: Engine, environment: Mapping[str, Value]) -> None:
    """Work off whatever waits, one after the other, until nothing does; nothing at all while another process is at
    it."""
    lease = Lease(database, LEASE)
    try:
        lease.take()
    except LeaseError:
        return
    try:
        with database.begin() as c:
            rows.take_up(c, _now())
        while (job := _next(database)) is not None:
            _work(database, environment, lease, job)
    finally:
        lease.release()


def _next(database: Engine) -> Job | None:
    with database.begin() as c:
        return rows.take(c, _now())


def _work(database: Engine, environment: Mapping[str, Value], lease: Lease, job: Job) -> None:
    try:
        with _Watch(database, lease, job.id) as watch:
            found, result = looked(database, environment, History(history_place(environment)), job, watch.tell)
    except Problem as problem:
        told = redact(str(problem))
        _store(database, lambda c: rows.fail(c, job.id, _now(), told))
        return
    except Exception:
        log.exception("a look back ended by an unforeseen error", wallet=job.wallet)
        _store(database, lambda c: rows.fail(c, job.id, _now(), UNFORESEEN))
        return
    _store(database, lambda c: rows.finish(c, job.id, _now(), found.verdict, found.why, result))


def looked(
    database: Engine, environment: Mapping[str, Value], history: History, job: Job, tell: Tell
) -> tuple[LookBack, dict[str, object]]:
    """Do a look back; gives the answer, and its JSON as it is kept. Raises
    :class:`~pilotfish.core.problem.Problem`."""
    now = job.asked_at // SECOND
    from_at = now - job.days * DAY
    requests = _pull(environment, history, job, from_at, now, tell)
    tell(At("reading", requests=requests))
    past = read_past(history, job.wallet, from_at, now, job.name)
    refuse_nothing(past, str(history), job.days, read=True)
    with snapshot(database) as c:
        by = grounds_of(c, history, past, spool_of(database.url))
    found = look_back(past, policy_from(job.values), by, told=lambda done, of: tell(At("running", done, of, requests)))
    return found, kept_of(past, found)


def _pull(environment: Mapping[str, Value], history: History, job: Job, from_at: int, now: int, tell: Tell) -> int:
    """Read what is not there yet; gives the number of requests. Where the venue cannot be reached, what there is has to
    do: what is missing of it stands in the answer."""
    last = At()

    def told(stage: str, done: int, of: int, requests: int) -> None:
        nonlocal last
        last = At(stage, done, of, requests)
        tell(last)

    try:
        asyncio.run(
            pulled_of(environment, history, job.wallet, from_at, now, None, False,
                      lambda at: told(at.stage, at.done, at.of, at.requests))
        )  # fmt: skip
    except VenueError as problem:
        log.warning("the venue did not answer; a look back goes by what was read before", error=str(problem)[:200])
    return last.requests


def kept_of(past: Past, found: LookBack) -> dict[str, object]:
    """The JSON of an answer as it is kept: with ``history`` in a sentence, and the ``titles`` of what is still open."""
    return {**answer_of(found), "history": told_of(past.missing), "titles": dict(_titles(past, found))}


def _titles(past: Past, found: LookBack) -> Iterator[tuple[str, str]]:
    """What the tokens of positions that are still open stand for: the market's title and the outcome."""
    for market in past.markets.values():
        for n, token in enumerate(market.tokens):
            if token in found.open:
                outcome = market.outcomes[n] if n < len(market.outcomes) else ""
                yield token, f"{market.title}: {outcome}" if outcome else market.title


class _Watch:
    """Beside the work, on a thread: says how far it is, keeps the lease, and ends the process once nobody wants the
    look back any more. A database that is out is waited for."""

    def __init__(self, database: Engine, lease: Lease, number: int) -> None:
        self._database, self._lease, self._number = database, lease, number
        self._at = At()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)

    def tell(self, at: At) -> None:
        """How far it is."""
        self._at = at

    def __enter__(self) -> _Watch:
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
                log.info("a look back was cancelled", number=self._number)
                os._exit(0)

    def _say(self) -> bool:
        if not self._lease.renew():
            return False
        with self._database.begin() as c:
            wanted = rows.progress(c, self._number, *self._at)
        if not wanted:
            self._lease.release()
        return wanted


def _store(database: Engine, what: Callable[[Connection], bool]) -> None:
    """Store what came of a look back; a database that is out for a moment is tried again."""
    for left in reversed(range(STORE_TRIES)):
        try:
            with database.begin() as c:
                what(c)
            return
        except (SQLAlchemyError, OSError) as problem:
            if not left or not is_outage(problem):
                raise
            time.sleep(1.0)


def _now() -> int:
    return time.time_ns() // 1000
