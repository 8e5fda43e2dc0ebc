"""Searches through many wallets as rows: what is asked, and what was found, a row for each wallet on the board.

How they are worked off is in :mod:`.jobs`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum

import msgspec
from sqlalchemy import Connection, delete, insert, select

from pilotfish.core.problem import Problem
from pilotfish.core.settings import Value
from pilotfish.store import look_backs_store
from pilotfish.store import tables as t
from pilotfish.store.jobs import OPEN, Jobs, JobState

KEPT = 50
"""Searches that have ended and are kept, the newest, with their boards."""
MOST = 500
"""Most candidates, where nobody says."""
BUDGET = 5_000
"""Most requests, where nobody says."""
DAYS = 90
"""How far back, where nobody says."""
MOST_CANDIDATES, LONGEST_DAYS, LEAST_DAYS = 10_000, 4_000, 2
JOBS = Jobs(
    table=t.searches, noun="search", nouns="searches", most_waiting=10, kept=KEPT, lighter="fewer wallets or fewer days"
)


class SearchSource(StrEnum):
    """Where the candidates of a search are from."""

    LEADERBOARD = "leaderboard"
    MARKETS = "markets"
    WALLETS = "wallets"


class SearchError(Problem):
    """A search that cannot be asked for; the message says why."""


class Candidate(msgspec.Struct, frozen=True, kw_only=True):
    """A wallet in lower case that somebody named, and what it is called, where that is known."""

    wallet: str
    name: str = ""


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What is searched: up to ``most`` candidates of a ``source`` (of these leaderboards, or exactly these
    ``wallets``), over whole ``days`` (UTC) before today, within ``budget`` requests, with these settings."""

    source: SearchSource = SearchSource.LEADERBOARD
    wallets: tuple[Candidate, ...] = ()
    categories: tuple[str, ...] = ()
    most: int = MOST
    budget: int = BUDGET
    days: int = DAYS
    values: dict[str, Value] = {}


class SearchJob(Wanted, frozen=True, kw_only=True):
    """A search to be worked off, as it was asked for at ``asked_at`` (µs)."""

    asked_at: int


def ask(c: Connection, wanted: Wanted, *, at: int, by: str) -> int:
    """Ask for a search (``at`` in µs); gives its number. Who asks for what waits or runs already is given that one's.
    Raises :class:`SearchError` and :class:`~.jobs.JobError`."""
    if wanted.source is SearchSource.WALLETS and not wanted.wallets:
        raise SearchError("no wallet is named; give one a line")
    if wanted.source is not SearchSource.WALLETS and not wanted.budget:
        raise SearchError("who is to be looked at takes requests, and none are allowed; allow some, or name wallets")
    col, asked = t.searches.c, _asked(wanted)
    same = [col[name] for name in asked]
    for number, *values in c.execute(select(col.id, *same).where(col.state.in_(OPEN)).order_by(col.id)):
        if values == list(asked.values()):
            return int(number)
    JOBS.check_room(c)
    return JOBS.insert(c, {**asked, "asked_at": at, "by": by})


def keep(c: Connection, wanted: Wanted, *, at: int, by: str, found: Mapping[str, object]) -> int:
    """Keep a search that was made elsewhere: ``found`` is what ``discover --json`` gives. Returns its number."""
    row = {**_asked(wanted), "asked_at": at, "by": by, "started_at": at, **_done(at, found)}
    number = JOBS.insert(c, row)
    _keep_board(c, number, found)
    return number


def finish(c: Connection, number: int, at: int, found: Mapping[str, object]) -> bool:
    """Store what was found, as ``discover --json`` gives it; False where the search was cancelled."""
    ended = JOBS.end(c, number, _done(at, found))
    if ended:
        _keep_board(c, number, found)
    return ended


def next_in_line(c: Connection) -> bool:
    """True while a search waits, or runs (in a process that may have died), and no look back goes before it."""
    return JOBS.anything_to_do(c) and not look_backs_store.JOBS.anything_to_do(c)


def _asked(wanted: Wanted) -> dict[str, object]:
    """As the database gives it back, so that it can be compared."""
    asked: dict[str, object] = msgspec.json.decode(msgspec.json.encode(wanted))
    return asked


def _done(at: int, found: Mapping[str, object]) -> dict[str, object]:
    told = {name: found[name] for name in ("requests", "tested", "copyable", "why")}
    return {"state": JobState.DONE, "finished_at": at, **told, "result": {**found, "rows": []}}


def _keep_board(c: Connection, number: int, found: Mapping[str, object]) -> None:
    rows = found["rows"]
    assert isinstance(rows, Sequence)
    if rows:
        c.execute(insert(t.searched_wallets), [{**row, "search_id": number} for row in rows])
    JOBS.drop_old(c)
    board = t.searched_wallets
    c.execute(delete(board).where(board.c.search_id.not_in(select(t.searches.c.id))))
