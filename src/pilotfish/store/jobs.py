"""Long work as rows of a table: asked for, taken up one after the other by one process, cancelled, ended.

A row is ``waiting``, then ``running``, then ``done``, ``failed`` or ``cancelled``. What is cancelled while it runs is
noticed by its process, which then ends; what runs in a process that died waits again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple, TypeVar

import msgspec
from sqlalchemy import Connection, Table, delete, insert, select, update

from pilotfish.core.numerals import plural
from pilotfish.core.problem import Problem
from pilotfish.store.mapping import read_pairs

ATTEMPTS = 3
"""How often a job is taken up whose process died on it."""


class JobState(StrEnum):
    """Where a job is."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def ended(self) -> bool:
        """True where nothing more comes of it."""
        return self in ENDED


OPEN = (JobState.WAITING, JobState.RUNNING)
ENDED = (JobState.DONE, JobState.FAILED, JobState.CANCELLED)


class JobError(Problem):
    """A job that cannot be asked for or cancelled; the message says why."""


class At(NamedTuple):
    """How far a job is: of its ``stage``, ``done`` of ``of`` parts; ``requests`` made by now, ``left_sec`` about how
    many seconds that stage still takes (``None`` = not known)."""

    stage: str = ""
    done: int = 0
    of: int = 0
    requests: int = 0
    left_sec: int | None = None


class _Number(msgspec.Struct, frozen=True):
    """Which job it is."""

    id: int


J = TypeVar("J", bound=msgspec.Struct)


@dataclass(frozen=True, slots=True)
class Jobs:
    """The jobs of a table: what one of them is called (``noun``, and ``nouns`` several), how many may wait and how many
    that have ended are kept, and what would do where one is too much (``lighter``)."""

    table: Table
    noun: str
    nouns: str
    most_waiting: int
    kept: int
    lighter: str

    @property
    def kind(self) -> str:
        """What its process is told to work off, and the name of that process's lease."""
        return self.table.name

    def check_room(self, c: Connection) -> None:
        """Raises :class:`JobError` where too many wait."""
        waiting = len(c.execute(select(self.table.c.id).where(self.table.c.state.in_(OPEN))).all())
        if waiting >= self.most_waiting:
            raise JobError(
                f"{plural(waiting, self.noun, self.nouns)} wait already; cancel some, or wait until they ended"
            )

    def insert(self, c: Connection, values: Mapping[str, object]) -> int:
        """A new row; gives its number."""
        row = {"attempts": 0, **At()._asdict(), "state": JobState.WAITING, **values}
        key = c.execute(insert(self.table).values(row)).inserted_primary_key
        assert key is not None
        return int(key[0])

    def cancel(self, c: Connection, number: int, at: int) -> None:
        """Cancel a job that waits or runs. Raises :class:`JobError`."""
        col = self.table.c
        change = update(self.table).where(col.id == number, col.state.in_(OPEN))
        if c.execute(change.values(state=JobState.CANCELLED, finished_at=at)).rowcount:
            return
        state = c.execute(select(col.state).where(col.id == number)).scalar()
        raise JobError(
            f"there is no {self.noun} {number}" if state is None else f"{self.noun} {number} has ended: {state}"
        )

    # -- the process that works them off -------------------------------------------------------------------------

    def anything_to_do(self, c: Connection) -> bool:
        """True while something waits, or runs (in a process that may have died)."""
        col = self.table.c
        return c.execute(select(col.id).where(col.state.in_(OPEN)).limit(1)).first() is not None

    def take_up(self, c: Connection, at: int) -> None:
        """Whatever runs does so in a process that died: it waits again, a few times."""
        col = self.table.c
        running = update(self.table).where(col.state == JobState.RUNNING)
        told = f"its process ended {ATTEMPTS} times in the middle of it, perhaps for want of memory; try {self.lighter}"
        failed = {"state": JobState.FAILED, "error": told, "finished_at": at}
        c.execute(running.where(col.attempts >= ATTEMPTS).values(failed))
        c.execute(running.values(state=JobState.WAITING))

    def take(self, c: Connection, kind: type[J], at: int) -> tuple[int, J] | None:
        """The one that has waited longest, which runs from now on: its number, and what it is about (columns of the
        table); ``None`` = none waits."""
        col = self.table.c
        next_one = select(self.table).where(col.state == JobState.WAITING).order_by(col.id).limit(1)
        begun = {"state": JobState.RUNNING, "started_at": at, **At()._asdict()}
        while (found := next(read_pairs(c, _Number, kind, next_one), None)) is not None:
            number, job = found[0].id, found[1]
            change = update(self.table).where(col.id == number, col.state == JobState.WAITING)
            if c.execute(change.values(attempts=col.attempts + 1, **begun)).rowcount:
                return number, job
        return None

    def progress(self, c: Connection, number: int, at: At) -> bool:
        """Say how far a job is; False where it was cancelled."""
        return self._running(c, number, at._asdict())

    def end(self, c: Connection, number: int, values: Mapping[str, object]) -> bool:
        """Store what came of a job, in its ``state``; False where it was cancelled."""
        said = {"left_sec": None, **values}
        return self._running(c, number, {"done": self.table.c.of, **said} if said["state"] == JobState.DONE else said)

    def fail(self, c: Connection, number: int, at: int, error: str) -> bool:
        """Store why nothing came of a job; False where it was cancelled."""
        return self.end(c, number, {"state": JobState.FAILED, "finished_at": at, "error": error})

    def drop_old(self, c: Connection) -> None:
        """Keep the newest that have ended."""
        col = self.table.c
        ended = select(col.id).where(col.state.in_(ENDED)).order_by(col.id.desc())
        oldest = c.execute(ended.limit(1).offset(self.kept - 1)).scalar()
        if oldest is not None:
            c.execute(delete(self.table).where(col.state.in_(ENDED), col.id < oldest))

    def _running(self, c: Connection, number: int, values: Mapping[str, object]) -> bool:
        col = self.table.c
        running = update(self.table).where(col.id == number, col.state == JobState.RUNNING)
        return c.execute(running.values(dict(values))).rowcount > 0
