"""Look backs as rows: what is asked of whose past, and what came of it. How they are worked off is in :mod:`.jobs`."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from sqlalchemy import Connection, select

from pilotfish.core.settings import Value
from pilotfish.store import tables as t
from pilotfish.store.jobs import OPEN, Jobs, JobState

KEPT = 200
"""Look backs that have ended and are kept, the newest; a result is some ten KiB."""
LONGEST_DAYS = 4_000
DAYS = 90
"""How far back, where nobody says."""
JOBS = Jobs(table=t.look_backs, noun="look back", nouns="look backs", most_waiting=50, kept=KEPT, lighter="fewer days")


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """A look back to be worked off: of whom, over how many days to ``asked_at`` (µs), with which settings."""

    wallet: str
    name: str
    days: int
    asked_at: int
    values: dict[str, Value]


def ask(c: Connection, wallet: str, *, name: str, days: int, values: Mapping[str, Value], at: int, by: str) -> int:
    """Ask for a look back (``wallet`` in lower case, ``at`` in µs); gives its number. Who asks for what waits or runs
    already is given that one's. Raises :class:`~.jobs.JobError`."""
    col = t.look_backs.c
    there = select(col.id, col["values"]).where(col.state.in_(OPEN), col.wallet == wallet, col.days == days)
    for number, asked in c.execute(there.order_by(col.id)):
        if asked == dict(values):
            return int(number)
    JOBS.check_room(c)
    return JOBS.insert(c, _asked(wallet, name, days, values, at, by))


def keep(
    c: Connection, wallet: str, *, name: str, days: int, values: Mapping[str, Value], at: int, by: str,
    verdict: str, why: str, result: Mapping[str, object],
) -> int:  # fmt: skip
    """Keep a look back that was made elsewhere; gives its number."""
    asked = _asked(wallet, name, days, values, at, by)
    number = JOBS.insert(c, {**asked, "started_at": at, **_done(at, verdict, why, result)})
    JOBS.drop_old(c)
    return number


def finish(c: Connection, number: int, at: int, verdict: str, why: str, result: Mapping[str, object]) -> bool:
    """Store what came of a look back; False where it was cancelled."""
    ended = JOBS.end(c, number, _done(at, verdict, why, result))
    JOBS.drop_old(c)
    return ended


def _asked(wallet: str, name: str, days: int, values: Mapping[str, Value], at: int, by: str) -> dict[str, object]:
    return {"wallet": wallet, "name": name[:200], "asked_at": at, "by": by, "days": days, "values": dict(values)}


def _done(at: int, verdict: str, why: str, result: Mapping[str, object]) -> dict[str, object]:
    return {"state": JobState.DONE, "finished_at": at, "verdict": verdict, "why": why, "result": result}
