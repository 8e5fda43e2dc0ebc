"""Resetting the paper state while no worker runs: the engine's own rule, applied once."""

from __future__ import annotations

import time

from sqlalchemy import Engine as Database
from sqlalchemy import insert

from pilotfish.app.config import environment
from pilotfish.app.lease import Lease
from pilotfish.core.drive import Drive
from pilotfish.core.effects import Effect, RowEffect
from pilotfish.core.engine import Engine
from pilotfish.core.events import Event, PaperReset
from pilotfish.core.recall import KEEP
from pilotfish.store import portfolios_store, restore, settings_store
from pilotfish.store import tables as t
from pilotfish.store.batch import write


def reset_now(database: Database, portfolio: str | None, *, by: str) -> None:
    """Reset ``portfolio`` (``None`` = all) in one transaction; raises ``LeaseError`` while a worker runs."""
    lease = Lease(database)
    lease.take()
    try:
        at = time.time_ns() // 1000
        came: list[tuple[Event, list[Effect]]] = []
        with database.begin() as c:
            stored = settings_store.load(c)
            env = environment()
            names = portfolios_store.active(c)
            policies = settings_store.Policies(env).of(stored, names)
            drive = Drive(Engine(), lambda _ask, _at: (), lambda event, effects: came.append((event, effects)))
            drive.push(restore.restored(c, policies, settings_store.globals_of(env, stored), at, keep=KEEP))
            drive.push(PaperReset(at=at, portfolio=portfolio))
            drive.run(at)
            rows = [e for event, effects in came if isinstance(event, PaperReset) for e in effects]
            write(c, [e for e in rows if isinstance(e, RowEffect)])
            c.execute(
                insert(t.commands).values(
                    kind="reset", payload={"portfolio": portfolio}, created_at=at, by=by, done_at=at, result="done"
                )
            )
    finally:
        lease.release()
