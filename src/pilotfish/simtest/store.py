"""The store of a world: the real tables, writer and restore on SQLite in memory, emptied between worlds."""

from __future__ import annotations

from sqlalchemy import Connection, Engine, delete

from pilotfish.store import tables as t
from pilotfish.store.database import empty_database


def open_store() -> Engine:
    """A database in memory with all tables."""
    return empty_database()


def wipe(c: Connection) -> None:
    """Empty every table but that of names, which are never taken away."""
    for table in t.metadata.tables.values():
        if table is not t.names:
            c.execute(delete(table))
