"""Who has a lease (``app/lease.py``): the process that its row names, and whether that process lives.

On the same machine the process itself tells; from another one, the row's age does.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, select

from pilotfish.store import tables as t

WORKER = "lease"
"""The name of the lease of the one worker of a database."""
STALE_SECONDS = 10.0


def worker(c: Connection) -> Mapping[str, Any] | None:
    """The process that is a database's worker, by ``host`` and ``pid``; ``None`` where none lives. Tables of any
    revision have it."""
    row = c.execute(select(t.worker_status).where(t.worker_status.c.name == WORKER)).first()
    return row.data if row is not None and lives(row.data, row.at) else None


def lives(owner: Mapping[str, Any], at: int) -> bool:
    """Whether who kept a lease at ``at`` (µs) is reckoned to have it still."""
    if dead(owner):
        return False
    return is_here(owner) or time.time_ns() // 1000 - at < STALE_SECONDS * 1e6


def is_here(owner: Mapping[str, Any]) -> bool:
    """True for a process of this machine."""
    return bool(owner.get("host") == socket.gethostname())


def dead(owner: Mapping[str, Any]) -> bool:
    """True for a process of this machine that has ended."""
    return is_here(owner) and not _alive(int(owner.get("pid", 0)), owner.get("started"))


def started(pid: int) -> str | None:
    """When a process began, in the kernel's own measure; tells a process from a later one with its number."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[19]
    except (OSError, IndexError):
        return None


def _alive(pid: int, since: str | None) -> bool:
    if pid <= 0:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return since is None or started(pid) in (None, since)
