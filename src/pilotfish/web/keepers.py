"""Who keeps the database: which process writes, who stands by, and when it was last taken over. Told on every page."""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence
from enum import StrEnum

import msgspec

from pilotfish.core.units import SECOND
from pilotfish.store import worker_state as ws
from pilotfish.store.views.base import iso
from pilotfish.web.reader import Snapshot


class Keeper(msgspec.Struct, frozen=True, kw_only=True):
    """A process, in words, and since when it does what it does (ISO 8601, UTC)."""

    who: str
    since: str


class Keepers(msgspec.Struct, frozen=True, kw_only=True):
    """``writes``: ``None`` = nobody does now. ``taken_over``: which process it was last taken over from, and when;
    ``can_wait``: whether the database is one where another worker can stand by."""

    writes: Keeper | None
    waits: tuple[Keeper, ...]
    taken_over: Keeper | None
    can_wait: bool


class Role(StrEnum):
    """What the worker does that a pages' process runs beside: copy, wait for another one to go, or nothing now."""

    WRITES = "writes"
    STANDS_BY = "stands by"
    NONE = "none"


def keepers_of(s: Snapshot, *, can_wait: bool) -> Keepers:
    """As the snapshot says."""
    w = s.worker
    running = w is not None and ws.alive(w, s.worker_age)
    last = w.took_over if w is not None else None
    return Keepers(
        writes=Keeper(who=w.process, since=iso(w.started_at)) if w is not None and running else None,
        waits=tuple(Keeper(who=one.process, since=_of_seconds(one.since)) for one in s.standbys),
        taken_over=Keeper(who=last.over, since=_of_seconds(last.at)) if last is not None else None,
        can_wait=can_wait,
    )


def role_of(worker: ws.WorkerState | None, age: float | None, standbys: Sequence[ws.StandbyState]) -> Role:
    """What the worker does that this process was started by; the pages alone have none."""
    here = (os.getppid(), socket.gethostname())
    if worker is not None and ws.alive(worker, age) and (worker.pid, worker.host) == here:
        return Role.WRITES
    return Role.STANDS_BY if any((one.pid, one.host) == here for one in standbys) else Role.NONE


def _of_seconds(at: float) -> str:
    return iso(round(at * SECOND))
