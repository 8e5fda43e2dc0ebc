"""Opening the database: where it is, how it is tuned, and bringing its tables up to date."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import platformdirs
from sqlalchemy import Connection, Engine, create_engine, event, inspect, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from pilotfish.core.problem import Problem

HEAD = "0004"
"""The newest revision in ``migrations/versions``."""


class DatabaseError(Problem):
    """The database cannot be used; the message says which one, why, and what to do."""


def database_url(configured: str) -> URL:
    """The URL to use; empty = SQLite in the platform's data folder. Raises :class:`DatabaseError`."""
    if not configured:
        folder = Path(platformdirs.user_data_dir("pilotfish", appauthor=False))
        return URL.create("sqlite", database=str(folder / "pilotfish.db"))
    try:
        url = make_url(configured)
    except ArgumentError:
        raise DatabaseError(
            "DATABASE_URL cannot be read; expected sqlite:///path/to/file.db or postgresql://user:password@host/name"
        ) from None
    if url.drivername in ("postgresql", "postgres"):
        url = url.set(drivername="postgresql+psycopg")
    if url.get_backend_name() not in ("sqlite", "postgresql"):
        raise DatabaseError(f"DATABASE_URL: {url.get_backend_name()} is not supported; use sqlite or postgresql")
    return url


def open_database(configured: str, *, migrate: bool = True) -> Engine:
    """An engine on the configured database with its tables up to date. Raises :class:`DatabaseError`."""
    url = database_url(configured)
    shown = url.render_as_string(hide_password=True)
    try:
        if url.get_backend_name() == "sqlite" and url.database and url.database != ":memory:":
            Path(url.database).expanduser().parent.mkdir(parents=True, exist_ok=True)
        engine = create_engine(
            url,
            json_serializer=lambda value: msgspec.json.encode(value).decode(),
            json_deserializer=msgspec.json.decode,
            pool_pre_ping=url.get_backend_name() == "postgresql",
        )
        if url.get_backend_name() == "sqlite":
            event.listen(engine, "connect", _tune_sqlite)
        if migrate:
            upgrade(engine)
        else:
            engine.connect().close()
    except (SQLAlchemyError, OSError) as problem:
        raise DatabaseError(
            f"cannot open {shown}: {str(problem).splitlines()[0][:200]}. Check the path or server, free space and"
            " permissions, or set DATABASE_URL."
        ) from None
    return engine


def _tune_sqlite(connection: Any, _record: Any) -> None:
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "busy_timeout=5000", "temp_store=MEMORY"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


@contextmanager
def snapshot(engine: Engine) -> Iterator[Connection]:
    """A connection for reading: all that is read on it is of one and the same instant."""
    with engine.connect() as c:
        if engine.dialect.name == "sqlite":
            c.exec_driver_sql("BEGIN")
        else:
            c.execution_options(isolation_level="REPEATABLE READ")
        yield c


def _revision(connection: Connection) -> str | None:
    """The revision that the database's tables are at; ``None`` for an empty database."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()


def upgrade(engine: Engine) -> None:
    """Run the migrations that are still missing, under one transaction."""
    with engine.connect() as connection:
        if _revision(connection) == HEAD:
            return
    from alembic import command  # slow to import, and seldom needed
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
