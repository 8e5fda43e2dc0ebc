"""``verify``: the books recomputed, and the leaders' own history read again."""

from __future__ import annotations

import asyncio

import msgspec
import typer
from sqlalchemy import Engine

from pilotfish.app import against_venue
from pilotfish.app.against_venue import Compared
from pilotfish.cli import session
from pilotfish.cli.printed import say
from pilotfish.core.numerals import plural
from pilotfish.core.problem import Problem
from pilotfish.core.settings import Value
from pilotfish.polymarket.http import VenueError
from pilotfish.store import commands_store, worker_state
from pilotfish.store.database import snapshot
from pilotfish.store.verify import verify as recompute
from pilotfish.store.views.sources import Gap, read_gaps

TAKE_IN_SECONDS = 60.0
"""How long the worker's answer to a request to take something in is waited for."""


class UncheckedError(Problem):
    """The venue could not be asked."""


def verify(
    against_venue_: bool = typer.Option(
        False, "--against-venue", help="Read the leaders' own history again: is each trade stored, once?"
    ),
    hours: int = typer.Option(24, "--hours", min=1, max=8760, help="How far back that goes."),
    take_in: bool = typer.Option(
        False, "--take-in", help="Have what is missing taken in as backfill (recorded, not copied) by the worker."
    ),
    as_json: bool = typer.Option(False, "--json", help="Print JSON."),
) -> None:
    """Recompute the books from what only grows, and name every difference; --against-venue: read the leaders' own
    history again, too. What is missing of a leader's history is a note: the books are right without it; a trade that is
    not stored is a difference."""
    env = session.begin()
    database = session.existing(env) if take_in else session.reading(env, as_json=as_json)
    with snapshot(database) as c:
        found = recompute(c)
        gaps = read_gaps(c)
    compared, answers = None, []
    if against_venue_ or take_in:
        compared = _compare(database, env, hours)
    if take_in and compared:
        answers = _take_in(database, compared)
        compared = _compare(database, env, hours)
    if as_json:
        session.print_json(_told(found, gaps, compared, answers))
    else:
        _print(found, gaps, compared, answers)
    missed = any(True for one in compared or () for _ in one.differences())
    raise typer.Exit(1 if found or missed else 0)


def _compare(database: Engine, env: dict[str, Value], hours: int) -> list[Compared]:
    try:
        return asyncio.run(against_venue.compare(database, env, hours))
    except VenueError as problem:
        raise UncheckedError(f"the venue did not answer, so nothing was compared: {problem}") from None


def _take_in(database: Engine, compared: list[Compared]) -> list[str]:
    """Ask the worker; gives its answers."""
    numbers, too_old = against_venue.ask(database, compared, by="terminal")
    with snapshot(database) as c:
        runs = worker_state.alive(*worker_state.read(c))
    answers = [commands_store.wait(database, number, TAKE_IN_SECONDS if runs else 0.0) for number in numbers]
    told = [answer or "no worker has answered yet: it is taken in as soon as one runs" for answer in answers]
    if too_old:
        told.append(f"{plural(too_old, 'trade')} too old to be taken in: recorded identities go back seven days")
    return told


def _told(found: list[str], gaps: list[Gap], compared: list[Compared] | None, answers: list[str]) -> dict[str, object]:
    differences = [*found, *(line for one in compared or () for line in one.differences())]
    return {
        "verify": differences or "ok",
        **({"incomplete": gaps} if gaps else {}),
        **({"against_venue": msgspec.to_builtins(compared)} if compared is not None else {}),
        **({"taken_in": answers} if answers else {}),
    }


def _print(found: list[str], gaps: list[Gap], compared: list[Compared] | None, answers: list[str]) -> None:
    for line in found or ["ok: identities, decisions, positions, cash and holdings agree"]:
        say(line)
    for gap in gaps:
        say(f"note: {gap.told}")
    for answer in answers:
        say(answer)
    if compared is None:
        return
    for one in compared:
        lines = list(one.differences())
        for line in lines:
            say(line)
        if not lines:
            also = f"; {plural(one.only_here, 'more')} that only the chain showed" if one.only_here else ""
            say(f"ok: {one.name}: the venue's {plural(one.rows, 'trade')} are stored, each once{also}")
    if not compared:
        say("no worker has followed anybody yet, so there is nothing to compare")
