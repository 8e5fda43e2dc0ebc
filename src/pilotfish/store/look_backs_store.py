"""Look backs as rows: asked for, taken up one after the other by one process, cancelled, ended.

A row is ``waiting``, then ``running``, then ``done``, ``failed`` or ``cancelled``. What is cancelled while it runs is
noticed by its process, which then ends; what runs in a process that died waits again.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

import msgspec
from sqlalchemy import Connection, delete, insert, select, update

from pilotfish.core import settings as s
from pilotfish.core.numerals import plural
from pilotfish.core.problem import Problem
from pilotfish.core.settings import Policy, SettingError, Value
from pilotfish.store import settings_store
from pilotfish.store import tables as t
from pilotfish.store.mapping import read_row
from pilotfish.store.settings_store import Stored

MOST_WAITING = 50
"""Look backs that may wait."""
KEPT = 200
"""Look backs that have ended and are kept, the newest; a result is some ten KiB."""
ATTEMPTS = 3
"""How often a look back is taken up whose process died on it."""
LONGEST_DAYS = 4_000
DAYS = 90
"""How far back, where nobody says."""


class LookBackState(StrEnum):
    """Where a look back is."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


OPEN = (LookBackState.WAITING, LookBackState.RUNNING)
ENDED = (LookBackState.DONE, LookBackState.FAILED, LookBackState.CANCELLED)


class LookBackError(Problem):
    """A look back that cannot be asked for or cancelled; the message says why."""


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """A look back to be worked off: of whom, over how many days to ``asked_at`` (µs), with which settings."""

    id: int
    wallet: str
    name: str
    days: int
    asked_at: int
    values: dict[str, Value]


def policy_values(
    environment: Mapping[str, Value],
    stored: Stored,
    portfolio: str,
    wallet: str,
    changes: Mapping[str, object],
) -> dict[str, Value]:
    """The settings for a wallet in a portfolio that a past depends on, with ``changes`` as a person gave them. Raises
    :class:`~pilotfish.core.settings.SettingError`."""
    effective = settings_store.effective(environment, stored, portfolio, wallet)
    values = {name: effective[name].value for name in Policy.__struct_fields__ if name in effective}
    for name, given in changes.items():
        setting = s.find(name)
        if setting.name not in values:
            raise SettingError(f"{setting.name} belongs to no policy: a past is the same whatever it is")
        values[setting.name] = s.parse(setting, given)
    return values


def ask(c: Connection, wallet: str, *, name: str, days: int, values: Mapping[str, Value], at: int, by: str) -> int:
    """Ask for a look back (``wallet`` in lower case, ``at`` in µs); gives its number. Who asks for what waits or runs
    already is given that one's. Raises :class:`LookBackError`."""
    col = t.look_backs.c
    there = select(col.id, col.wallet, col.days, col["values"]).where(col.state.in_(OPEN)).order_by(col.id)
    waiting = c.execute(there).all()
    for row in waiting:
        if (row[1], row[2], row[3]) == (wallet, days, dict(values)):
            return int(row[0])
    if len(waiting) >= MOST_WAITING:
        raise LookBackError(f"{plural(len(waiting), 'look back')} wait already; cancel some, or wait until they ended")
    return _insert(c, wallet, name, days, values, at, by, {"state": LookBackState.WAITING})


def keep(
    c: Connection, wallet: str, *, name: str, days: int, values: Mapping[str, Value], at: int, by: str,
    verdict: str, why: str, result: Mapping[str, object],
) -> int:  # fmt: skip
    """Keep a look back that was made elsewhere; gives its number."""
    ended = {
        "state": LookBackState.DONE,
        "started_at": at,
        "finished_at": at,
        "verdict": verdict,
        "why": why,
        "result": result,
    }
    number = _insert(c, wallet, name, days, values, at, by, ended)
    _keep_newest(c)
    return number


def _insert(
    c: Connection, wallet: str, name: str, days: int, values: Mapping[str, Value], at: int, by: str,
    more: Mapping[str, object],
) -> int:  # fmt: skip
    row: dict[str, object] = {
        "wallet": wallet, "name": name[:200], "asked_at": at, "by": by, "days": days, "values": dict(values),
        "attempts": 0, "stage": "", "done": 0, "of": 0, "requests": 0, **more,
    }  # fmt: skip
    key = c.execute(insert(t.look_backs).values(row)).inserted_primary_key
    assert key is not None
    return int(key[0])


def cancel(c: Connection, number: int, at: int) -> None:
    """Cancel a look back that waits or runs. Raises :class:`LookBackError`."""
    col = t.look_backs.c
    change = update(t.look_backs).where(col.id == number, col.state.in_(OPEN))
    if c.execute(change.values(state=LookBackState.CANCELLED, finished_at=at)).rowcount:
        return
    state = c.execute(select(col.state).where(col.id == number)).scalar()
    raise LookBackError(
        f"there is no look back {number}" if state is None else f"look back {number} has ended: {state}"
    )


# -- the process that works them off -----------------------------------------------------------------------------------


def anything_to_do(c: Connection) -> bool:
    """True while something waits, or runs (in a process that may have died)."""
    col = t.look_backs.c
    return c.execute(select(col.id).where(col.state.in_(OPEN)).limit(1)).first() is not None


def take_up(c: Connection, at: int) -> None:
    """Whatever runs does so in a process that died: it waits again, a few times."""
    col = t.look_backs.c
    running = update(t.look_backs).where(col.state == LookBackState.RUNNING)
    told = f"its process ended {ATTEMPTS} times in the middle of it, perhaps for want of memory; try fewer days"
    c.execute(running.where(col.attempts >= ATTEMPTS).values(state=LookBackState.FAILED, error=told, finished_at=at))
    c.execute(running.values(state=LookBackState.WAITING))


def take(c: Connection, at: int) -> Job | None:
    """The one that has waited longest, which runs from now on; ``None`` = none waits."""
    col = t.look_backs.c
    next_one = select(t.look_backs).where(col.state == LookBackState.WAITING).order_by(col.id).limit(1)
    begun = {"state": LookBackState.RUNNING, "started_at": at, "stage": "", "done": 0, "of": 0, "requests": 0}
    while (job := read_row(c, Job, next_one)) is not None:
        change = update(t.look_backs).where(col.id == job.id, col.state == LookBackState.WAITING)
        if c.execute(change.values(attempts=col.attempts + 1, **begun)).rowcount:
            return job
    return None


def progress(c: Connection, number: int, stage: str, done: int, of: int, requests: int) -> bool:
    """Say how far a look back is; False where it was cancelled."""
    return _running(c, number, {"stage": stage, "done": done, "of": of, "requests": requests})


def finish(c: Connection, number: int, at: int, verdict: str, why: str, result: Mapping[str, object]) -> bool:
    """Store what came of a look back; False where it was cancelled."""
    done = {"state": LookBackState.DONE, "finished_at": at, "verdict": verdict, "why": why, "result": result}
    return _end(c, number, done)


def fail(c: Connection, number: int, at: int, error: str) -> bool:
    """Store why nothing came of a look back; False where it was cancelled."""
    return _end(c, number, {"state": LookBackState.FAILED, "finished_at": at, "error": error})


def _end(c: Connection, number: int, values: Mapping[str, object]) -> bool:
    ended = _running(c, number, values)
    _keep_newest(c)
    return ended


def _running(c: Connection, number: int, values: Mapping[str, object]) -> bool:
    col = t.look_backs.c
    changed = c.execute(
        update(t.look_backs).where(col.id == number, col.state == LookBackState.RUNNING).values(dict(values))
    )
    return changed.rowcount > 0


def _keep_newest(c: Connection) -> None:
    col = t.look_backs.c
    ended = select(col.id).where(col.state.in_(ENDED)).order_by(col.id.desc())
    oldest = c.execute(ended.limit(1).offset(KEPT - 1)).scalar()
    if oldest is not None:
        c.execute(delete(t.look_backs).where(col.state.in_(ENDED), col.id < oldest))
