"""Working off look backs: reads somebody's past, runs it through the engine, gives the answer.

What was read is in the history, so whatever ends a look back, the next goes on there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from typing import TypeAlias

import structlog
from sqlalchemy import Engine

from pilotfish.app.book_recording import spool_of
from pilotfish.app.config import history_place
from pilotfish.app.jobs import Store, Watch, Work
from pilotfish.app.pulls import pulled_of
from pilotfish.backtest.in_force import grounds_of
from pilotfish.backtest.look_back import look_back
from pilotfish.backtest.refusal import refuse_nothing
from pilotfish.backtest.told import LookBack, answer_of
from pilotfish.core.settings import Value, policy_from
from pilotfish.core.units import SECOND
from pilotfish.history.folder import History
from pilotfish.history.past import read_past
from pilotfish.history.records import Past
from pilotfish.history.summary import told_of
from pilotfish.polymarket.http import VenueError
from pilotfish.store import look_backs_store
from pilotfish.store.database import snapshot
from pilotfish.store.jobs import At
from pilotfish.store.look_backs_store import Job

log = structlog.get_logger(__name__)

DAY = 86_400
Tell: TypeAlias = Callable[[At], None]


def work(database: Engine, environment: Mapping[str, Value]) -> Work[Job]:
    """The look backs of a database, and how one is made."""

    def do(number: int, job: Job, watch: Watch) -> Store:
        found, result = looked(database, environment, History(history_place(environment)), job, watch.tell)
        return lambda c, at: look_backs_store.finish(c, number, at, found.verdict, found.why, result)

    return Work(look_backs_store.JOBS, Job, do)


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
