"""The one writer: a thread that commits what the engine asks for, many events to a commit.

The effects of one event always land in the same commit, in order. A commit that fails because the database is out
(disk full, locked, gone) is repeated until it succeeds; meanwhile the backlog grows and the runtime stops taking
events in, so nothing is lost. Where the connection went in the middle of a commit, the term's row tells whether that
one is there (``fence``). Any other failure is an error of this program: what was queued before it is committed,
then the writer ends, says so to who owns it, and takes nothing more.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import cast, get_args

import structlog
from sqlalchemy import Connection, Engine

from pilotfish.core.effects import Effect
from pilotfish.store import unwritable
from pilotfish.store.batch import Writable, write
from pilotfish.store.checkpoints import Checkpoints
from pilotfish.store.fence import Fence
from pilotfish.store.mapping import Plain
from pilotfish.store.outage import is_outage

log = structlog.get_logger(__name__)

MAX_GROUP = 4_000
"""Most events in one commit."""
MAX_BACKLOG = 20_000
"""Events waiting for the writer above which the runtime stops taking in new ones."""
MANY, LONGEST_REST = 12, 0.02
"""After a commit of at least so many events the writer rests for as long as that took, at most so many seconds: what a
commit costs whatever it holds is then paid by more of them, and the interpreter is the engine's meanwhile. Where less
comes at a time, nothing waits."""
_WRITABLE = frozenset(get_args(Writable))
RETRY_SECONDS = (0.1, 0.5, 1.0, 2.0, 5.0)
TRIES_AT_THE_END = 4
"""How often a commit is tried while the writer is being stopped."""


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
        self._fence: Fence | None = None
        self._connection: Connection | None = None
        self._log = Checkpoints(engine)
        self._began: float | None = None
        """When the try that is under way, or the work on the log after it, began (monotonic s)."""
        self._queue: deque[_Batch] = deque()
        self._wake = threading.Condition()
        self._hurry = threading.Event()
        """Somebody waits for what is queued: the next commit is not put off."""
        self._not_before = 0.0
        """When the next commit may begin (monotonic s)."""
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

    def start(self, fence: Fence | None = None) -> None:
        """Start the thread. ``fence``: the term that each commit belongs to, where several workers may write."""
        self._fence = fence
        self._thread.start()

    @property
    def thread(self) -> int | None:
        """The thread's number while it runs, to look at its stack."""
        return self._thread.ident if self._thread.is_alive() else None

    def stuck_for(self) -> float:
        """Seconds since the try to commit that is under way began, or what follows a commit; 0 between two."""
        began = self._began
        return 0.0 if began is None else time.monotonic() - began

    @property
    def backlog(self) -> int:
        """Events not yet durable."""
        return len(self._queue) + self._busy

    def submit(self, effects: Iterable[Effect | Plain], done: Callable[[], None] | None = None) -> None:
        """Queue the row effects of one event; ``done`` is called on the writer's thread once they are durable.

        Raises :class:`WriterFailedError` once the writer has ended by an error or was stopped.
        """
        rows = cast(list[Writable], [e for e in effects if type(e) in _WRITABLE])
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
        self._hurry.set()
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
        self._hurry.set()
        with self._wake:
            self._wake.wait_for(lambda: reached or self.fatal is not None, timeout)
        return reached

    def stop(self, timeout: float = 4.0) -> bool:
        """Commit what is queued and end the thread; True only if everything that was ever queued is committed."""
        with self._wake:
            self._stopping = True
            self._wake.notify_all()
        self._hurry.set()
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
                self._keep_log(sum(len(batch.rows) for batch in group))
            self._disconnect()
            self._log.finish()
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
        early = self._not_before - time.monotonic()
        if early > 0:
            self._hurry.wait(early)
        self._hurry.clear()
        with self._wake:
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
                self._transact(group)
            except Exception as problem:
                at_the_end += self._stopping
                if not is_outage(problem) or at_the_end >= TRIES_AT_THE_END:
                    raise
                said = str(problem).splitlines()[0][:300] if str(problem) else type(problem).__name__
                self.failure = f"{said}; {seen}" if (seen := unwritable.why(self._engine.url)) else said
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

    def _transact(self, group: list[_Batch]) -> None:
        began = self._began = time.monotonic()
        try:
            with self._connected() as connection, connection.begin():
                if self._fence is None or self._fence.admit(connection, self.commits + 1):
                    write(connection, [row for batch in group for row in batch.rows])
        finally:
            self._began = None
        if len(group) >= MANY:
            ended = time.monotonic()
            self._not_before = ended + min(ended - began, LONGEST_REST)

    @contextmanager
    def _connected(self) -> Iterator[Connection]:
        """A connection to write by. For SQLite always the same one, since each keeps pages of its own, which another
        one's commit makes worthless; a new one after a failure."""
        if self._engine.dialect.name != "sqlite":
            with self._engine.connect() as connection:
                yield connection
            return
        if self._connection is None:
            self._connection = self._engine.connect()
        try:
            yield self._connection
        except BaseException:
            self._disconnect()
            raise

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _keep_log(self, rows: int) -> None:
        self._began = time.monotonic()
        try:
            self._log.committed(rows)
        finally:
            self._began = None

    def _pause(self, seconds: float) -> None:
        """Between two tries; a long pause is cut short by :meth:`stop`."""
        if self._stopping:
            time.sleep(seconds)  # the writer's own thread: nothing else waits for it
            return
        with self._wake:
            self._wake.wait_for(lambda: self._stopping, seconds)
