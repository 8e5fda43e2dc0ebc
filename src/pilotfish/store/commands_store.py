"""What people ask of a running worker, as rows that it takes up within a second."""

from __future__ import annotations

import time
from collections.abc import Mapping

from sqlalchemy import Connection, Engine, insert, select

from pilotfish.store import tables as t

LOOK_EVERY = 0.1


def ask(c: Connection, kind: str, payload: Mapping[str, object], *, at: int, by: str) -> int:
    """Leave a command; returns its number."""
    row = {"kind": kind, "payload": dict(payload), "created_at": at, "by": by}
    key = c.execute(insert(t.commands).values(row)).inserted_primary_key
    assert key is not None
    return int(key[0])


def wait(database: Engine, number: int, seconds: float) -> str | None:
    """What became of a command, or ``None`` if no worker has taken it up within ``seconds``."""
    until = time.monotonic() + seconds
    while True:
        with database.connect() as c:
            row = c.execute(select(t.commands.c.done_at, t.commands.c.result).where(t.commands.c.id == number)).one()
        if row.done_at is not None:
            return str(row.result)
        if time.monotonic() > until:
            return None
        time.sleep(LOOK_EVERY)  # between two looks at the worker's answer
