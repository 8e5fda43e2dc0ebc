"""The one writer: a thread that commits what the engine asks for, many events to a commit.

The effects of one event always land in the same commit, in order. A commit that fails because the database is out
(disk full, locked, gone) is repeated until it succeeds; meanwhile the backlog grows and the runtime stops taking
events in, so nothing is lost. Any other failure is an error of this program: what was queued before it is committed,
then the writer ends, says so to who owns it, and takes nothing more.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import TypeAlias

import structlog
from sqlalchemy import Connection, Engine, bindparam, delete, insert, update
from sqlalchemy import Update as UpdateStatement
from sqlalchemy.dialects import postgresql, sqlite

from pilotfish.core.effects import Delete, Effect, Insert, RowEffect, Update, Upsert, WipePaper
from pilotfish.store import tables
from pilotfish.store.mapping import Plain, Values, row_of
from pilotfish.store.outage import is_outage

log = structlog.get_logger(__name__)

MAX_GROUP = 2000
"""Most events in one commit."""
MAX_BACKLOG = 20_000
"""Events waiting for the writer above which the runtime stops taking in new ones."""
RETRY_SECONDS = (0.1, 0.5, 1.0, 2.0, 5.0)
TRIES_AT_THE_END = 4
"""How often a commit is tried while the writer is being stopped."""
Writable: TypeAlias = RowEffect | Plain


@dataclass(slots=True)
class _Batch:
    rows: list[Writable]
    done: Callable[[], None] | None


class WriterFailedError(Exception):
    """The writer has ended by an error and takes nothing more; the cause is in ``__cause__``."""


class Writer:
    """Owns the only writing connection of the worker. ``on_fatal`` is called on the writer's thread when it ends by an
    error."""

    def __init__(self, engine: Engine, on_fatal: Callable[[BaseException], None] | None = None) -> None:
        self._engine = engine
        self._on_fatal = on_fatal
        self._queue: deque[_Batch] = deque()
        self._wake = threading.Condition()
        self._stopping = False
        self._busy = 0
        self.failure: str | None = None
        """Why the database does not take writes at the moment, if so."""
        self.fatal: BaseException | None = None
        """The error that ended the writer."""
        self.commits = 0
        self.failures = 0
        self.last_commit_at: float | None = None
        self._thread = threading.Thread(target=self._run, name="writer", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    @property
    def backlog(self) -> int:
        """Events not yet durable."""
        return len(self._queue) + self._busy

    def submit(self, effects: Iterable[Effect | Plain], done: Callable[[], None] | None = None) -> None:
        """Queue the row effects of one event; ``done`` is called on the writer's thread once they are durable.

        Raises :class:`WriterFailedError` once the writer has ended by an error or was stopped.
        """
        rows = [e for e in effects if isinstance(e, Writable)]
        with self._wake:
            if self.fatal is not None:
                raise WriterFailedError(str(self.fatal)) from self.fatal
            if not rows and done is None:
                return
            if self._stopping:
                raise WriterFailedError("the writer was stopped; this would not be stored")
            self._queue.append(_Batch(rows, done))
            self._wake.notify_all()

    def wait_below(self, backlog: int) -> None:
        """Wait until at most ``backlog`` events are not durable, or the writer has ended."""
        with self._wake:
            self._wake.wait_for(lambda: self.backlog <= backlog or self.fatal is not None)

    def flush(self, timeout: float = 30.0) -> bool:
        """Wait until everything queued so far is durable; False if the writer ended first, or when that takes longer
        than ``timeout`` seconds."""
        reached = False

        def reach() -> None:
            nonlocal reached
            with self._wake:
                reached = True
                self._wake.notify_all()

        try:
            self.submit([], reach)
        except WriterFailedError:
            return False
        with self._wake:
            self._wake.wait_for(lambda: reached or self.fatal is not None, timeout)
        return reached

    def stop(self, timeout: float = 4.0) -> bool:
        """Commit what is queued and end the thread; True only if everything that was ever queued is committed."""
        with self._wake:
            self._stopping = True
            self._wake.notify_all()
        if self._thread.ident is not None:
            self._thread.join(timeout)
        return not self._thread.is_alive() and self.fatal is None and self.backlog == 0

    # -- the thread --------------------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            while group := self._next():
                self._commit(group)
                for batch in group:
                    if batch.done is not None:
                        batch.done()
                with self._wake:
                    self._busy = 0
                    self._wake.notify_all()
        except BaseException as problem:  # whatever it is: nobody else sees this thread end
            with self._wake:
                self.fatal = problem
                self._wake.notify_all()
            log.critical("the writer ended by an error", error=f"{type(problem).__name__}: {problem}"[:500])
            if self._on_fatal is not None:
                self._on_fatal(problem)

    def _next(self) -> list[_Batch]:
        """What to commit together; empty = stopped, and nothing is left."""
        with self._wake:
            self._wake.wait_for(lambda: self._queue or self._stopping)
            group = [self._queue.popleft() for _ in range(min(MAX_GROUP, len(self._queue)))]
            self._busy = len(group)
            return group

    def _commit(self, group: list[_Batch]) -> None:
        """Commit a group; raises what is no outage, after everything before the event at fault was committed."""
        try:
            self._write(group)
        except Exception:
            if len(group) == 1:
                raise
            for batch in group:
                self._write([batch])
                with self._wake:
                    self._busy -= 1
            raise

    def _write(self, group: list[_Batch]) -> None:
        """One transaction, tried until the database takes it; raises what is no outage."""
        attempt = at_the_end = 0
        while True:
            try:
                with self._engine.begin() as connection:
                    write(connection, [row for batch in group for row in batch.rows])
            except Exception as problem:
                at_the_end += self._stopping
                if not is_outage(problem) or at_the_end >= TRIES_AT_THE_END:
                    raise
                self.failure = str(problem).splitlines()[0][:300] if str(problem) else type(problem).__name__
                self.failures += 1
                wait = RETRY_SECONDS[min(at_the_end or attempt, len(RETRY_SECONDS) - 1)]
                attempt += 1
                log.error(
                    "cannot write to the database; nothing is lost, trying again",
                    error=self.failure,
                    waiting=self.backlog,
                    retry_in_s=wait,
                )
                self._pause(wait)
                continue
            self.failure = None
            self.commits += 1
            self.last_commit_at = time.time()
            return

    def _pause(self, seconds: float) -> None:
        """Between two tries; a long pause is cut short by :meth:`stop`."""
        if self._stopping:
            time.sleep(seconds)  # the writer's own thread: nothing else waits for it
            return
        with self._wake:
            self._wake.wait_for(lambda: self._stopping, seconds)


def write(connection: Connection, effects: Sequence[Writable]) -> None:
    """Write row effects in as few statements as keeps their meaning.

    Within one group an update of a row that is also inserted is merged into the insert, and of several updates or
    upserts of one row the last one counts. A wipe is a barrier.
    """
    pending = _Pending()
    for effect in effects:
        match effect:
            case Insert(record):
                pending.insert(record.table, row_of(record))
            case Update(record):
                pending.update(record.table, row_of(record))
            case Upsert(record):
                pending.upsert(record.table, row_of(record))
            case Plain(table, row):
                pending.upsert(table, row)
            case Delete(key):
                pending.delete(key.table, row_of(key))
            case WipePaper(portfolio):
                pending.flush(connection)
                for table_ in tables.PAPER_TABLES:
                    connection.execute(delete(table_).where(table_.c.portfolio == portfolio))
    pending.flush(connection)


class _Pending:
    def __init__(self) -> None:
        self.inserts: dict[str, list[Values]] = {}
        self.by_id: dict[tuple[str, object], Values] = {}
        self.updates: dict[tuple[str, tuple[str, ...]], dict[object, Values]] = {}
        self.upserts: dict[tuple[str, tuple[str, ...]], dict[tuple[object, ...], Values]] = {}
        self.shapes: dict[tuple[str, tuple[object, ...]], tuple[str, ...]] = {}
        """(table, key) -> the columns under which the row stands in ``upserts``."""
        self.deletes: dict[str, dict[tuple[object, ...], None]] = {}

    def insert(self, table: str, row: Values) -> None:
        self.inserts.setdefault(table, []).append(row)
        if "id" in row:
            self.by_id[(table, row["id"])] = row

    def update(self, table: str, row: Values) -> None:
        fresh = self.by_id.get((table, row["id"]))
        if fresh is not None:
            fresh.update(row)
        else:
            self.updates.setdefault((table, tuple(row)), {})[row["id"]] = row

    def upsert(self, table: str, row: Values) -> None:
        """The last one of a row counts; of columns that only an earlier one names, that one."""
        keys = tuple([row[name] for name in _keys(table)])
        columns = tuple(row)
        before = self.shapes.get((table, keys), columns)
        if before != columns:
            row = {**self.upserts[(table, before)].pop(keys), **row}
            columns = tuple(row)
        self.shapes[(table, keys)] = columns
        self.upserts.setdefault((table, columns), {})[keys] = row

    def delete(self, table: str, row: Values) -> None:
        """What was upserted before is not written at all; what is upserted after is written after the deletion."""
        key = tuple([row[name] for name in _keys(table)])
        shape = self.shapes.pop((table, key), None)
        if shape is not None:
            del self.upserts[(table, shape)][key]
        self.deletes.setdefault(table, {})[key] = None

    def flush(self, connection: Connection) -> None:
        for name, rows in self.inserts.items():
            by_columns: dict[tuple[str, ...], list[Values]] = {}
            for row in rows:
                by_columns.setdefault(tuple(row), []).append(row)
            for alike in by_columns.values():
                connection.execute(insert(tables.metadata.tables[name]), alike)
        for (name, columns), by_id in self.updates.items():
            named = {c: f"v_{c}" for c in columns}
            rows_of = [{named[k]: v for k, v in row.items()} for row in by_id.values()]
            connection.execute(_update(name, columns), rows_of)
        for name, keys in self.deletes.items():
            table = tables.metadata.tables[name]
            where = [c == bindparam(f"k_{c.name}", type_=c.type) for c in table.primary_key]
            names = [c.name for c in table.primary_key]
            gone = [{f"k_{n}": v for n, v in zip(names, key, strict=True)} for key in keys]
            connection.execute(delete(table).where(*where), gone)
        for (name, shape), by_key in self.upserts.items():
            if not by_key:
                continue
            connection.execute(_upsert(connection.dialect.name, name, shape), list(by_key.values()))
        self.__init__()  # type: ignore[misc]


@cache
def _keys(table: str) -> tuple[str, ...]:
    """The columns of a table's primary key."""
    return tuple(c.name for c in tables.metadata.tables[table].primary_key)


@lru_cache(maxsize=256)
def _update(name: str, columns: tuple[str, ...]) -> UpdateStatement:
    table = tables.metadata.tables[name]
    values = {c: bindparam(f"v_{c}", type_=table.c[c].type) for c in sorted(set(columns) - {"id"})}
    return update(table).where(table.c.id == bindparam("v_id")).values(values)


@lru_cache(maxsize=256)
def _upsert(dialect: str, name: str, columns: tuple[str, ...]) -> sqlite.Insert | postgresql.Insert:
    table = tables.metadata.tables[name]
    statement = postgresql.insert(table) if dialect == "postgresql" else sqlite.insert(table)
    keys = [c.name for c in table.primary_key]
    return statement.on_conflict_do_update(
        index_elements=keys, set_={c: statement.excluded[c] for c in columns if c not in keys}
    )
