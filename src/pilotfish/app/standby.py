"""The second worker on a PostgreSQL database: it waits while the first one writes, and takes over when that is gone.

A holder is gone when its process on this machine has ended, when its lock is free and it stays silent, or when it says
nothing for so long that it must hang or be cut off. Silence is measured by this machine's own clock, from one look to
the next; a database that is out says nothing of anybody.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import time
import uuid
from dataclasses import dataclass
from typing import NamedTuple

import structlog
from sqlalchemy import Engine, delete
from sqlalchemy.exc import SQLAlchemyError

from pilotfish.app.lease import Holder, Lease, LeaseError
from pilotfish.store import tables as t
from pilotfish.store import worker_state as ws
from pilotfish.store.batch import write
from pilotfish.store.fence import Fence
from pilotfish.store.mapping import Plain
from pilotfish.store.outage import is_outage

log = structlog.get_logger(__name__)

LOOK_SECONDS = 0.5
FREE_SECONDS = 2.0
"""How long a holder whose lock is free may stay silent: a restart of the database ends the lock of one that lives."""
HANG_SECONDS = 5.0
"""How long any holder may stay silent."""
KEEP_SECONDS = 3600.0
"""Signs of life of other standbys that are older are removed."""


@dataclass(slots=True)
class Patience:
    """How long the holder has been silent. Times are steady seconds."""

    seen: tuple[str, int] | None = None
    since: float = 0.0

    def gone(self, holder: Holder | None, now: float) -> bool:
        """Whether the database may be taken over, after another look."""
        if holder is None:
            return True
        if (holder.token, holder.beat) != self.seen:
            self.seen, self.since = (holder.token, holder.beat), now
        silent = now - self.since
        return bool(holder.token) and (
            holder.dead or silent >= HANG_SECONDS or (not holder.locked and silent >= FREE_SECONDS)
        )

    def forget(self) -> None:
        """Nothing could be seen for a while."""
        self.seen = None


class Taken(NamedTuple):
    """The database is taken. ``over``: from whom, in words; empty where nobody had it."""

    fence: Fence
    over: str = ""


async def take(lease: Lease, database: Engine, stop: asyncio.Event) -> Taken | None:
    """Take the database, after waiting for who has it where that is possible; ``None`` = stopped while waiting.

    Raises :class:`~pilotfish.app.lease.LeaseError` where a second worker must not wait (SQLite).
    """
    try:
        return Taken(await asyncio.to_thread(lease.take))
    except LeaseError:
        if not lease.shared:
            raise
    return await _StandBy(lease, database, stop).wait()


class _StandBy:
    def __init__(self, lease: Lease, database: Engine, stop: asyncio.Event) -> None:
        self._lease, self._database, self._stop = lease, database, stop
        self._patience = Patience()
        self._name = f"{ws.STANDBY}{uuid.uuid4().hex[:12]}"
        self._since = time.time()
        self._told: tuple[str, int] | None = None
        self._out = False

    async def wait(self) -> Taken | None:
        while not self._stop.is_set():
            try:
                taken = await asyncio.to_thread(self._look)
                if taken is not None:
                    return taken
                self._out = False
            except LeaseError as problem:
                log.info("somebody else took the database first; standing by again", told=str(problem))
                self._patience.forget()
            except (SQLAlchemyError, OSError) as problem:
                if not is_outage(problem):
                    raise
                self._patience.forget()
                if not self._out:
                    log.error("standing by: the database cannot be reached", error=str(problem).splitlines()[0][:200])
                self._out = True
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_SECONDS):
                    await self._stop.wait()
        await asyncio.to_thread(self._leave)
        return None

    def _look(self) -> Taken | None:
        holder = self._lease.look()
        if self._patience.gone(holder, time.monotonic()):
            fence = self._lease.take(holder.token if holder is not None else "")
            self._leave()
            if holder is None:
                return Taken(fence)
            log.warning("took the database over", from_process=holder.pid, on=holder.host, term=fence.number)
            return Taken(fence, ws.process_told(holder.pid, holder.host))
        if holder is not None and holder.token and (holder.host, holder.pid) != self._told:
            self._told = (holder.host, holder.pid)
            log.info("another worker writes; standing by to take over", process=holder.pid, on=holder.host)
        self._sign()
        return None

    def _sign(self) -> None:
        state = ws.StandbyState(host=socket.gethostname(), pid=os.getpid(), since=self._since)
        with self._database.begin() as c:
            write(c, [Plain("worker_status", {"name": self._name, "at": _now(), "data": state.as_json()})])

    def _leave(self) -> None:
        """Its own sign of life, and those of standbys that died."""
        own, at = t.worker_status.c.name, t.worker_status.c.at
        old = own.like(f"{ws.STANDBY}%") & (at < _now() - int(KEEP_SECONDS * 1e6))
        with contextlib.suppress(SQLAlchemyError), self._database.begin() as c:
            c.execute(delete(t.worker_status).where((own == self._name) | old))


def _now() -> int:
    return time.time_ns() // 1000
