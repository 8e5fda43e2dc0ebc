"""Opening the database: where it is, how it is tuned, and bringing its tables up to date."""

from __future__ import annotations

import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec
import platformdirs
from sqlalchemy import Connection, Engine, create_engine, event, inspect, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import ArgumentError, OperationalError, SQLAlchemyError
from sqlalchemy.pool import StaticPool

from pilotfish.core.problem import Problem
from pilotfish.store import holders, unwritable
from pilotfish.store.tables import metadata

HEAD = "0016"
"""The newest revision in ``migrations/versions``."""


_MIGRATIONS = Path(__file__).parent / "migrations"
_CUT_OFF = {
    "connect_timeout": 5,
    "keepalives_idle": 4,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}
"""A server that is cut off is noticed within 10 s (https://www.postgresql.org/docs/current/libpq-connect.html); a
DATABASE_URL may say otherwise."""
_OURS = "worker_status"
"""A table that every revision has."""


class DatabaseError(Problem):
    """The database cannot be used; the message says which one, why, and what to do."""


class OlderDatabaseError(DatabaseError):
    """The tables are of an older version; whatever writes brings them up to date, reading does not."""


_OLDEST_SQLITE = (3, 33)
"""Changes many rows by one statement."""


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
    if url.get_backend_name() == "sqlite" and (url.database or "").startswith("~"):
        url = url.set(database=str(Path(url.database or "").expanduser()))
    if url.get_backend_name() not in ("sqlite", "postgresql"):
        raise DatabaseError(f"DATABASE_URL: {url.get_backend_name()} is not supported; use sqlite or postgresql")
    return url


def shown(url: URL) -> str:
    """A database for people: a file's path, or a server's URL without the password, and without its
    options, one of which may be a password, too."""
    if url.get_backend_name() == "sqlite":
        return str(url.database)
    return url.set(drivername="postgresql", query={}).render_as_string(hide_password=True)


def open_database(configured: str, *, migrate: bool = True) -> Engine:
    """An engine on the configured database with its tables up to date. Raises :class:`DatabaseError`."""
    url = database_url(configured)
    with _refusing(url, writing=True):
        if url.get_backend_name() == "sqlite" and url.database and url.database != ":memory:":
            Path(url.database).parent.mkdir(parents=True, exist_ok=True)
            _refuse_foreign(configured)
        engine = _engine(url)
        if url.get_backend_name() == "sqlite":
            event.listen(engine, "connect", _tune_sqlite)
        with engine.connect() as connection:
            found = _known(connection, url)
        if migrate and found != HEAD:
            if found is not None:
                _refuse_while_it_works(engine, url, found)
            with _told(url, found) if found is not None else nullcontext():
                upgrade(engine)
    return engine


def _refuse_while_it_works(engine: Engine, url: URL, found: str) -> None:
    """Raise :class:`DatabaseError` while an older version's worker writes to a SQLite database: it knows nothing of the
    tables that it would have from now on, and what it writes into them nobody could read. (PostgreSQL's take what it
    writes, and a worker of a newer version may stand by there.)"""
    if url.get_backend_name() != "sqlite":
        return
    with engine.connect() as c:
        there = holders.worker(c)
    if there is not None:
        engine.dispose()
        who = f"process {there.get('pid')} on {there.get('host')}"
        raise DatabaseError(
            f"{shown(url)} is used by an older version of pilotfish (revision {found}, this one needs {HEAD}), whose"
            f" worker runs ({who}); stop it and its dashboard first, then this version brings the database up to date"
        )


@contextmanager
def _told(url: URL, found: str) -> Iterator[None]:
    """Say that tables of before are brought up to date: with a million trades it takes a minute or two."""
    import structlog  # slow to import

    log, began = structlog.get_logger(__name__), time.monotonic()
    room: dict[str, str] = {}
    path = Path(url.database or "")
    if url.get_backend_name() == "sqlite" and path.is_file():
        size, free = path.stat().st_size, shutil.disk_usage(path.parent).free
        room = {"file": f"{size / 1e6:,.0f} MB", "free": f"{free / 1e6:,.0f} MB"}
    log.info("the tables are brought up to date; if that ends early, nothing has changed", revision=found, to=HEAD,
             **room)  # fmt: skip
    yield
    log.info("the tables are up to date", seconds=round(time.monotonic() - began, 1))


def _refuse_foreign(configured: str) -> None:
    """Look at a file before anything of it is changed, which opening it to write does."""
    try:
        there = open_to_read(configured)
    except OlderDatabaseError:
        return
    if there is not None:
        there.dispose()


def open_to_read(configured: str, *, older: bool = False) -> Engine | None:
    """An engine that only reads the configured database, and leaves nothing behind; ``None`` where nothing has been
    recorded yet (no file, or no tables). ``older``: tables of an older version are read as well. Raises
    :class:`DatabaseError`.

    It reads a file or folder that must not be written to as well.
    """
    url = database_url(configured)
    with _refusing(url, writing=False):
        if url.get_backend_name() != "sqlite":
            engine = _engine(url)
            event.listen(engine, "connect", _only_read)
            return engine if _readable(engine, url, older=older) else None
        path = Path(url.database or "")
        if not path.exists() or path.stat().st_size == 0:
            return None
        last: OperationalError | None = None
        for how in ("mode=rw", "mode=ro", "immutable=1"):
            engine = _engine(url, creator=partial(_connect, f"file:{quote(str(path.absolute()))}?{how}"))
            event.listen(engine, "connect", _only_read)
            try:
                return engine if _readable(engine, url, older=older) else None
            except OperationalError as problem:
                last = problem
                engine.dispose()
                if not _unwritable(problem) or (how == "mode=ro" and _log_of(path).exists()):
                    raise
        assert last is not None
        raise last


def place_beside(url: URL) -> str:
    """Where history is kept when nothing else is said: beside a SQLite database; empty = the platform's data folder."""
    beside = url.get_backend_name() == "sqlite" and url.database not in (None, "", ":memory:")
    return str(Path(url.database or "").absolute().parent / "history") if beside else ""


def empty_database() -> Engine:
    """A database in memory, with all tables and without a row: what reading finds where nothing was recorded yet."""
    engine = create_engine(
        "sqlite://",
        poolclass=StaticPool,
        connect_args={"check_same_thread": False},
        json_serializer=_json,
        json_deserializer=msgspec.json.decode,
    )
    metadata.create_all(engine)
    return engine


def nothing_recorded(configured: str) -> str:
    """For people: there is no database yet, and where it would be."""
    return f"Nothing has been recorded yet: there is no database at {shown(database_url(configured))}."


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()


def _engine(url: URL, creator: Callable[[], sqlite3.Connection] | None = None) -> Engine:
    """``creator`` connects in another way than the URL says. Raises :class:`DatabaseError`."""
    made: dict[str, Any] = {} if creator is None else {"creator": creator}
    server = url.get_backend_name() == "postgresql"
    if not server and sqlite3.sqlite_version_info < _OLDEST_SQLITE:
        raise DatabaseError(
            f"this Python has SQLite {sqlite3.sqlite_version}, and {'.'.join(map(str, _OLDEST_SQLITE))} or newer is"
            " needed: use another Python, or set DATABASE_URL to a PostgreSQL server"
        )
    if server:
        made["connect_args"] = {name: value for name, value in _CUT_OFF.items() if name not in url.query}
    elif creator is None:
        made["connect_args"] = {"cached_statements": _STATEMENTS}
    return create_engine(
        url,
        pool_pre_ping=server,
        json_serializer=_json,
        json_deserializer=msgspec.json.decode,
        **made,
    )


def _connect(uri: str) -> sqlite3.Connection:
    return sqlite3.connect(uri, uri=True, check_same_thread=False)


@contextmanager
def _refusing(url: URL, *, writing: bool) -> Iterator[None]:
    try:
        yield
    except (SQLAlchemyError, OSError) as problem:
        seen = (unwritable.why(url) if writing else "") or (
            f"{str(problem).splitlines()[0][:200]}. Check the path or server, free space and permissions, or set"
            " DATABASE_URL"
        )
        raise DatabaseError(f"cannot open {shown(url)}: {seen}.") from None


def _known(connection: Connection, url: URL) -> str | None:
    """The revision of the database's tables; ``None`` for an empty one. Raises :class:`DatabaseError` for tables of
    another program or of a newer version."""
    tables = set(inspect(connection).get_table_names())
    found = revision_of(connection) if "alembic_version" in tables else None
    if found is None and not tables - {"alembic_version"}:
        return None
    if found is not None and not found <= HEAD and _OURS in tables:
        raise DatabaseError(
            f"{shown(url)} was written by a newer version of pilotfish (revision {found[:20]}; this one knows {HEAD});"
            " use that version, or set DATABASE_URL to another database"
        )
    if found is None or _OURS not in tables:
        raise DatabaseError(f"{shown(url)} holds tables of another program; set DATABASE_URL to a database of its own")
    return found


def _readable(engine: Engine, url: URL, *, older: bool) -> bool:
    """True if there is something to read; False for an empty database."""
    with engine.connect() as connection:
        found = _known(connection, url)
    if found is not None and found != HEAD and not older:
        raise OlderDatabaseError(
            f"{shown(url)} was written by an older version of pilotfish (revision {found}, this one needs {HEAD});"
            " `pilotfish run` brings it up to date"
        )
    return found is not None


def _unwritable(problem: OperationalError) -> bool:
    code = getattr(problem.orig, "sqlite_errorcode", 0) & 0xFF
    return code in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY)


def _log_of(path: Path) -> Path:
    return path.with_name(path.name + "-wal")


def _only_read(connection: DBAPIConnection, _record: object) -> None:
    cursor = connection.cursor()
    if isinstance(connection, sqlite3.Connection):
        for pragma in ("query_only=ON", "busy_timeout=5000", "temp_store=MEMORY"):
            cursor.execute(f"PRAGMA {pragma}")
    else:
        cursor.execute("SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY")
        connection.commit()
    cursor.close()


_STATEMENTS = 512
"""Statements that a connection of SQLite keeps prepared: the writer has several for each kind of row."""
_CACHE_KIB = 32_768
"""A commit of many trades changes pages all over the indexes: with room for them they are written once."""
_CHECKPOINT_PAGES = 64_000
"""About 256 MB of log before a commit puts it into the file itself; the worker does it sooner, beside its commits
(``checkpoints``)."""


def _tune_sqlite(connection: DBAPIConnection, _record: object) -> None:
    cursor = connection.cursor()
    for pragma in (
        "journal_mode=WAL", "synchronous=NORMAL", "busy_timeout=5000", "temp_store=MEMORY",
        f"cache_size=-{_CACHE_KIB}", f"wal_autocheckpoint={_CHECKPOINT_PAGES}",
    ):  # fmt: skip
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


_UPGRADING = 7_074_688
"""The number of the lock that upgrading takes on PostgreSQL."""


def revision_of(connection: Connection) -> str | None:
    """The revision that the database's tables say they are of."""
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()


def revisions() -> list[str]:
    """All revisions of the tables that this version knows, oldest first."""
    return sorted(path.name[:4] for path in (_MIGRATIONS / "versions").glob("0*.py"))


def upgrade(engine: Engine) -> None:
    """Run the migrations that are still missing, in one transaction: nobody sees tables that are half made, and of two
    processes that start together one waits for the other."""
    with one_writer(engine) as connection:
        migrate(connection)


@contextmanager
def one_writer(engine: Engine) -> Iterator[Connection]:
    """A transaction that changes tables themselves; who else wants to, waits."""
    with engine.connect() as connection, _sorting_in_a_file(connection), connection.begin():
        if engine.dialect.name == "sqlite":
            connection.exec_driver_sql("BEGIN IMMEDIATE")  # the driver begins none before DDL
        else:
            connection.execute(text("SELECT pg_advisory_xact_lock(:number)"), {"number": _UPGRADING})
        yield connection


@contextmanager
def _sorting_in_a_file(connection: Connection) -> Iterator[None]:
    """SQLite sorts what an index is made of in memory, all of it, unless it is told otherwise before a transaction."""
    if connection.dialect.name != "sqlite":
        yield
        return
    connection.exec_driver_sql("PRAGMA temp_store=FILE")
    connection.commit()
    try:
        yield
    finally:
        connection.exec_driver_sql("PRAGMA temp_store=MEMORY")


def migrate(connection: Connection, revision: str = "head") -> None:
    """Run the migrations that are missing up to ``revision``."""
    from alembic import command  # slow to import, and seldom needed
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    config.attributes["connection"] = connection
    command.upgrade(config, revision)
