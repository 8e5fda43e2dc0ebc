"""A database with all tables and no row: made once a process by the migrations, and copied for each test of one.

The migrations take longer than most of what is then tested. That an empty place becomes a database, and each older one
the newest, is tested where that is the subject (``tests/unit/test_old_databases.py``), and by what runs as a process.
"""

from __future__ import annotations

import sqlite3
from functools import cache
from pathlib import Path

from sqlalchemy import Engine

from pilotfish.store.database import open_database


def fresh_database(path: Path) -> Engine:
    """A new database in this file, opened as the program opens one that is there already."""
    assert not path.exists(), path
    path.write_bytes(_made())
    return open_database(f"sqlite:///{path}")


def fresh_in_memory() -> Engine:
    """The same without a file."""
    engine = open_database("sqlite:///:memory:", migrate=False)
    connection = engine.raw_connection()
    try:
        there = connection.driver_connection
        assert isinstance(there, sqlite3.Connection)
        there.deserialize(_made())
    finally:
        connection.close()
    return engine


@cache
def _made() -> bytes:
    engine = open_database("sqlite:///:memory:")
    connection = engine.raw_connection()
    try:
        there = connection.driver_connection
        assert isinstance(there, sqlite3.Connection)
        return there.serialize()
    finally:
        connection.close()
        engine.dispose()
