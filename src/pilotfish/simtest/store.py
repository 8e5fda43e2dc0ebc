"""The store of a world: the real tables, writer and restore on SQLite in memory, emptied between worlds."""

from __future__ import annotations

import msgspec
from sqlalchemy import Connection, Engine, create_engine, delete
from sqlalchemy.pool import StaticPool

from pilotfish.store import tables as t


def open_store() -> Engine:
    """A database in memory with all tables."""
    engine = create_engine(
        "sqlite://",
        poolclass=StaticPool,
        connect_args={"check_same_thread": False},
        json_serializer=lambda value: msgspec.json.encode(value).decode(),
        json_deserializer=msgspec.json.decode,
    )
    t.metadata.create_all(engine)
    return engine


def wipe(c: Connection) -> None:
    """Empty every table."""
    for table in t.metadata.tables.values():
        c.execute(delete(table))
