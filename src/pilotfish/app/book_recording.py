"""Recording of order books beside the worker: what the feeds hear is queued here and written by a thread of its own.

The feeds never wait: where the queue is full, or the disk is, rows are not taken, and the feeds make a gap of that.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path

import msgspec
import structlog
from sqlalchemy import URL

from pilotfish.app.journal_format import folder_of
from pilotfish.core.problem import Problem
from pilotfish.core.units import SECOND
from pilotfish.history.book_segments import SegmentWriter, prune, seal_all, segments, streams
from pilotfish.history.folder import History
from pilotfish.polymarket.book_rows import BookRow

log = structlog.get_logger(__name__)

MOST_WAITING = 50_000
"""Rows that are not written yet; with more, none is taken."""
FLUSH_SECONDS = 1.0
PRUNE_US = 60 * SECOND
RETRY_SECONDS = 30.0
MOST_UNSEALED = 20
"""Segments that could not be put into the folder of history; with more, recording waits for it."""
GIB = 2**30
DAY_US = 86_400 * SECOND
END_SECONDS = 3.0
ENDED = "the recording ended"


class UnsealedError(Problem):
    """Too many segments wait to be put into the folder of history."""


def spool_of(url: URL) -> Path | None:
    """Where the segment that is written on lies: beside a database's journal; ``None`` for one in memory."""
    journal = folder_of(url)
    return journal.parent.parent / "recording" / journal.name if journal is not None else None


class Recording(StrEnum):
    """What the recording does."""

    ON = "on"
    OFF = "off"
    PAUSED = "paused"
    """The disk or the folder takes nothing at the moment."""


class RecordLimits(msgspec.Struct, frozen=True):
    """The settings ``record_books``, ``books_max_gib`` and ``books_max_days``."""

    on: bool
    max_gib: int
    max_days: int


class RecordingStatus(msgspec.Struct, kw_only=True):
    """What ``status`` shows. ``rows`` are this run's, ``dropped`` those that could not be taken; ``kept_bytes`` is all
    that is there."""

    state: Recording = Recording.OFF
    detail: str = ""
    folder: str = ""
    rows: int = 0
    dropped: int = 0
    kept_bytes: int = 0

    @property
    def healthy(self) -> bool:
        """False where books should be recorded and are not."""
        return self.state is not Recording.PAUSED


class BookRecording:
    """``take`` on the loop's thread, everything else on the thread that :meth:`start` makes.

    ``spool`` is a folder on this machine for the segment that is written on; ``None`` = nothing is recorded (a database
    in memory has no place). ``now`` gives µs.
    """

    def __init__(
        self, place: str, spool: Path | None, limits: Callable[[], RecordLimits], now: Callable[[], int]
    ) -> None:
        self.status = RecordingStatus()
        self._place = place
        self._spool = spool
        self._limits = limits
        self._now = now
        self._waiting: deque[BookRow] = deque()
        self._wake = threading.Event()
        self._closing = False
        self._thread: threading.Thread | None = None
        self._pruned_at = 0

    # -- on the loop's thread ------------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin to write what is taken."""
        if self._spool is not None:
            self._thread = threading.Thread(target=self._run, args=(self._spool,), name="books", daemon=True)
            self._thread.start()

    def take(self, row: BookRow) -> bool:
        """Queue a row; False where it is not taken."""
        if self._thread is None or self._closing:
            return False
        if self.status.state is Recording.PAUSED or len(self._waiting) >= MOST_WAITING:
            self.status.dropped += 1
            return False
        self._waiting.append(row)
        return True

    def close(self, seconds: float = END_SECONDS) -> None:
        """Write what was taken and seal it, within so many seconds."""
        self._closing = True
        self._wake.set()
        if self._thread is not None:
            self._thread.join(seconds)

    # -- the thread ----------------------------------------------------------------------------------------------

    def _run(self, spool: Path) -> None:
        try:
            while not self._closing:
                try:
                    self._record(spool)
                except (OSError, Problem) as problem:
                    self._pause(problem)
                    self._wake.wait(RETRY_SECONDS)
        except Exception as problem:  # whatever it is: nobody else sees this thread end, and copying goes on
            self._pause(problem)

    def _pause(self, problem: BaseException) -> None:
        told = str(problem).splitlines()[0][:300] if str(problem) else type(problem).__name__
        if self.status.state is not Recording.PAUSED:
            log.error("order books cannot be recorded; copying goes on", reason=told)
        self.status.state, self.status.detail = Recording.PAUSED, told
        self._waiting.clear()

    def _record(self, spool: Path) -> None:
        """Until the end, or until something cannot be written."""
        history = History(self._place)
        self.status.folder = str(history)
        seal_all(history, spool)
        writer = SegmentWriter(history, spool)
        self._keep_within(history, writer)
        try:
            while True:
                limits = self._limits()
                self.status.state = Recording.ON if limits.on else Recording.OFF
                self.status.detail = ""
                closing = self._closing
                self._write(writer)
                if closing or not limits.on:
                    writer.end(self._now(), ENDED)
                elif writer.is_full(self._now()):
                    writer.seal(self._now())
                if closing:
                    return
                if self._now() - self._pruned_at > PRUNE_US:
                    self._keep_within(history, writer)
                self._wake.wait(FLUSH_SECONDS)
        except BaseException:
            writer.abandon()
            raise

    def _write(self, writer: SegmentWriter) -> None:
        rows = [self._waiting.popleft() for _ in range(len(self._waiting))]
        if rows:
            writer.add(rows, rows[0].at)
            self.status.rows += len(rows)

    def _keep_within(self, history: History, writer: SegmentWriter) -> None:
        limits, now = self._limits(), self._now()
        gone = prune(history, limits.max_gib * GIB - writer.spooled, now - limits.max_days * DAY_US)
        if gone:
            log.info("the oldest recorded books were removed to keep within the bounds", segments=len(gone))
        self.status.kept_bytes = sum(s.size for s in segments(history)) + writer.spooled
        self._pruned_at = now
        if self._spool is not None and len(streams(self._spool)) > MOST_UNSEALED:
            raise UnsealedError(f"{MOST_UNSEALED} segments wait to be put into {history}; see that it can be written")
