"""One worker per database, and one process for look backs: a lease row that its holder keeps fresh.

On the same machine the process itself tells whether it lives; from another one, the row's age does.
"""

from __future__ import annotations

import os
import socket
import time
import uuid
from pathlib import Path

from sqlalchemy import Engine, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from pilotfish.core.problem import Problem
from pilotfish.store import tables as t

NAME = "lease"
STALE_SECONDS = 10.0


class LeaseError(Problem):
    """Another worker runs on this database."""


class Lease:
    """Held from :meth:`take` to :meth:`release`; one for each ``name``."""

    def __init__(self, engine: Engine, name: str = NAME) -> None:
        self._engine = engine
        self._name = name
        self._owner = {
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "started": _started(os.getpid()),
            "token": uuid.uuid4().hex,
        }

    def take(self) -> None:
        """Take the lease, over a dead worker if need be; raises :class:`LeaseError` while another one lives."""
        now = time.time_ns() // 1000
        with self._engine.begin() as c:
            row = c.execute(select(t.worker_status).where(t.worker_status.c.name == self._name)).first()
            if row is not None:
                age = (now - row.at) / 1e6
                owner = row.data
                here = owner.get("host") == self._owner["host"]
                alive = _alive(int(owner.get("pid", 0)), owner.get("started")) if here else age < STALE_SECONDS
                if alive:
                    raise LeaseError(
                        f"another worker (process {owner.get('pid')} on {owner.get('host')}) runs on this database;"
                        " stop it first, or point DATABASE_URL elsewhere"
                    )
                c.execute(
                    delete(t.worker_status).where(t.worker_status.c.name == self._name, t.worker_status.c.at == row.at)
                )
            try:
                c.execute(insert(t.worker_status).values(name=self._name, at=now, data=self._owner))
            except IntegrityError:
                raise LeaseError("another worker was started on this database at the same moment") from None

    def renew(self) -> bool:
        """Keep the lease; False if somebody else took it."""
        with self._engine.begin() as c:
            row = c.execute(select(t.worker_status.c.data).where(t.worker_status.c.name == self._name)).scalar()
            if row is None or row.get("token") != self._owner["token"]:
                return False
            c.execute(
                update(t.worker_status).where(t.worker_status.c.name == self._name).values(at=time.time_ns() // 1000)
            )
            return True

    def release(self) -> None:
        """Give the lease back."""
        with self._engine.begin() as c:
            row = c.execute(select(t.worker_status.c.data).where(t.worker_status.c.name == self._name)).scalar()
            if row is not None and row.get("token") == self._owner["token"]:
                c.execute(delete(t.worker_status).where(t.worker_status.c.name == self._name))


def _started(pid: int) -> str | None:
    """When a process began, in the kernel's own measure; tells a process from a later one with its number."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[19]
    except (OSError, IndexError):
        return None


def _alive(pid: int, started: str | None) -> bool:
    if pid <= 0:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return started is None or _started(pid) in (None, started)
