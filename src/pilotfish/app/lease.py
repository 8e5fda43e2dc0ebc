"""One worker per database, and one process for look backs: a lease row that its holder keeps fresh, and a term whose
number every commit checks (:mod:`pilotfish.store.fence`).

Whether a holder lives, :mod:`pilotfish.store.holders` tells. On PostgreSQL the holder also keeps an advisory lock,
which the server lets go as soon as the holder's connection ends.
"""

from __future__ import annotations

import os
import socket
import time
import uuid
import zlib
from typing import Any, NamedTuple

from sqlalchemy import Connection, Engine, delete, event, insert, select, text, update
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import IntegrityError

from pilotfish.core.problem import Problem
from pilotfish.store import holders
from pilotfish.store import tables as t
from pilotfish.store.fence import Fence

LOCK_CLASS = 7_074_689
"""The first number of our advisory locks; the second one stands for the lease's name."""
LOCK_WAIT_SECONDS = 5
"""How long a statement of a holder of a lease waits for somebody else's lock; then it is tried again."""
END_SECONDS = 3.0
"""How long the sessions of a holder that was judged dead may take to end."""
_TRY = text("SELECT pg_try_advisory_lock(:kind, :number)")
_LOCKED = text(
    "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted AND classid = :kind"
    " AND objid = CAST(:number AS bigint) AND objsubid = 2"
    " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
)
_END_SESSIONS = text(
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = :name"
    " AND datname = current_database() AND usename = current_user AND pid <> pg_backend_pid()"
)


class LeaseError(Problem):
    """Another worker runs on this database."""


class Holder(NamedTuple):
    """Who has a lease, for who waits for it. ``beat`` changes while they keep it; ``dead``: their process on this
    machine has ended; ``locked``: somebody's connection has the advisory lock."""

    token: str
    beat: int
    dead: bool
    locked: bool
    host: str
    pid: int


class Lease:
    """Held from :meth:`take` to :meth:`release`; one for each ``name``."""

    def __init__(self, engine: Engine, name: str = holders.WORKER) -> None:
        self._engine = engine
        self._name = name
        self.shared = engine.dialect.name == "postgresql"
        """Whether another worker may wait for it."""
        self._owner = {
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "started": holders.started(os.getpid()),
            "token": uuid.uuid4().hex,
        }
        self._session: Connection | None = None
        """The connection that has the advisory lock, or asks for it again."""
        self._has_lock = False
        self._number = zlib.crc32(name.encode()) >> 1

    def take(self, over: str = "") -> Fence:
        """Take the lease, over a dead worker if need be; raises :class:`LeaseError` while another one lives. ``over``:
        the token of a holder whom the caller judges dead; what connections they still have are ended."""
        self._lock(over)
        try:
            with self._engine.begin() as c:
                self._refuse(c, over)
                c.execute(delete(t.worker_status).where(t.worker_status.c.name == self._name))
                try:
                    c.execute(insert(t.worker_status).values(name=self._name, at=_now(), data=self._owner))
                except IntegrityError:
                    raise LeaseError("another worker was started on this database at the same moment") from None
                fence = Fence.begin(c, self._name)
        except BaseException:
            self._unlock()
            raise
        if self.shared:
            event.listen(self._engine, "connect", self._name_session)
            self._engine.dispose()
        return fence

    def _refuse(self, c: Connection, over: str) -> None:
        row = self._row(c)
        if row is None or row.data.get("token") == over:
            return
        if holders.lives(row.data, row.at):
            raise LeaseError(
                f"another worker (process {row.data.get('pid')} on {row.data.get('host')}) runs on this database;"
                " stop it first, or point DATABASE_URL elsewhere"
            )

    def look(self) -> Holder | None:
        """Who has it, for who waits; ``None`` = nobody."""
        with self._engine.connect() as c:
            row = self._row(c)
            locked = self.shared and bool(c.execute(_LOCKED, self._numbers).scalar())
        if row is None:
            return Holder("", 0, dead=False, locked=True, host="", pid=0) if locked else None
        owner = row.data
        return Holder(
            str(owner.get("token")),
            row.at,
            holders.dead(owner),
            locked,
            str(owner.get("host")),
            int(owner.get("pid", 0)),
        )

    def renew(self) -> bool:
        """Keep the lease; False if somebody else took it."""
        with self._engine.begin() as c:
            if not self._is_mine(c):
                return False
            c.execute(update(t.worker_status).where(t.worker_status.c.name == self._name).values(at=_now()))
        self._lock_again()
        return True

    def release(self) -> None:
        """Give the lease back."""
        try:
            with self._engine.begin() as c:
                if self._is_mine(c):
                    c.execute(delete(t.worker_status).where(t.worker_status.c.name == self._name))
        finally:
            self._unlock()
            if event.contains(self._engine, "connect", self._name_session):
                event.remove(self._engine, "connect", self._name_session)

    # -- the row -----------------------------------------------------------------------------------------------

    def _row(self, c: Connection) -> Any:
        return c.execute(select(t.worker_status).where(t.worker_status.c.name == self._name)).first()

    def _is_mine(self, c: Connection) -> bool:
        row = self._row(c)
        return row is not None and row.data.get("token") == self._owner["token"]

    # -- the advisory lock -------------------------------------------------------------------------------------

    @property
    def _numbers(self) -> dict[str, int]:
        return {"kind": LOCK_CLASS, "number": self._number}

    def _lock(self, over: str) -> None:
        """Take the lock of who is gone, or was judged so. Raises :class:`LeaseError` while somebody has it."""
        if not self.shared:
            return
        session = self._open()
        if over:
            session.execute(_END_SESSIONS, {"name": _session_name(over)})
        until = time.monotonic() + (END_SECONDS if over else 0.0)
        while not session.execute(_TRY, self._numbers).scalar():
            if time.monotonic() >= until:
                session.close()
                raise LeaseError("another worker runs on this database; stop it first, or point DATABASE_URL elsewhere")
            time.sleep(0.1)  # between two looks at the lock; the server ends the other's sessions by itself
        self._session, self._has_lock = session, True

    def _lock_again(self) -> None:
        """The lock is lost with its connection, which a restart of the server ends; the term is not."""
        if not self.shared:
            return
        try:
            if self._session is None:
                self._session = self._open()
            if self._has_lock:
                self._session.execute(text("SELECT 1"))
            else:
                self._has_lock = bool(self._session.execute(_TRY, self._numbers).scalar())
        except BaseException:
            self._unlock()
            raise

    def _open(self) -> Connection:
        """A connection of its own, which no pool gets back: what it has locked goes with it."""
        session = self._engine.connect().execution_options(isolation_level="AUTOCOMMIT")
        session.detach()
        for statement in self._own:
            session.exec_driver_sql(statement)
        return session

    def _unlock(self) -> None:
        session, self._session, self._has_lock = self._session, None, False
        if session is not None:
            session.close()

    @property
    def _own(self) -> tuple[str, str]:
        return (
            f"SET application_name = '{_session_name(str(self._owner['token']))}'",
            f"SET lock_timeout = '{LOCK_WAIT_SECONDS}s'",
        )

    def _name_session(self, connection: DBAPIConnection, _record: object) -> None:
        """Name every connection by its holder, so that who takes over can end what hangs."""
        cursor = connection.cursor()
        for statement in self._own:
            cursor.execute(statement)
        connection.commit()
        cursor.close()


def _session_name(token: str) -> str:
    return f"pilotfish {token}"


def _now() -> int:
    return time.time_ns() // 1000
