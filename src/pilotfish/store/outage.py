"""Which failures of the database pass by themselves (locked, full, unreachable), and which are errors of this program:
the former are waited out, the latter end the worker."""

from __future__ import annotations

import sqlite3

from sqlalchemy.exc import DBAPIError, DisconnectionError, TimeoutError

_SQLITE = frozenset(
    {
        sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PROTOCOL, sqlite3.SQLITE_INTERRUPT, sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_SCHEMA,
    }
)  # fmt: skip
"""Primary result codes of https://www.sqlite.org/rescode.html that tell of the surroundings."""
_READ_ONLY_STANDBY = "25006"
"""PostgreSQL's ``read_only_sql_transaction``: a standby that is not the primary yet."""


def is_outage(problem: BaseException) -> bool:
    """True for a failure that may pass without anybody changing the program or the tables."""
    if isinstance(problem, (DisconnectionError, TimeoutError)):
        return True
    cause: BaseException | None = problem
    if isinstance(problem, DBAPIError):
        if problem.connection_invalidated:
            return True
        cause = problem.orig
    if isinstance(cause, sqlite3.Error):
        code = getattr(cause, "sqlite_errorcode", None)
        return code is not None and code & 0xFF in _SQLITE
    if isinstance(cause, OSError):
        return True
    import psycopg  # slow to import, and not needed with SQLite

    if isinstance(cause, psycopg.Error):
        return isinstance(cause, psycopg.OperationalError) or cause.sqlstate == _READ_ONLY_STANDBY
    return False
