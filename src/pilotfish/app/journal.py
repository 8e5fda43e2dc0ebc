"""Writing the journal: what entered the engine, each event with the digest of its effects (docs/journal.md).

An event is written once its rows are durable, by a thread of its own: neither deciding nor committing waits for these
files. A folder that takes nothing is tried again while there is room in memory to wait; then the journal of this run
ends there, and copying goes on.
"""

from __future__ import annotations

import secrets
import threading
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime
from enum import StrEnum
from functools import partial
from pathlib import Path

import msgspec
import structlog

from pilotfish.app import journal_format as form
from pilotfish.app.journal_pack import Hot
from pilotfish.app.journal_segments import MB, PRUNE_SECONDS, GivenUpError, Limits, SegmentWriter, Waiting, size_of
from pilotfish.core.effects import Effect, RowEffect
from pilotfish.core.events import ApiWindowRead, BookSeen, Event, Restored

log = structlog.get_logger(__name__)

MOST_WAITING_BYTES = 64 * MB
"""Of events that are not written yet; with more, the journal of this run ends."""
BLOCK_BYTES = 4 * MB
"""Of events, about, in one block."""
RETRY_SECONDS = 2.0
END_SECONDS = 0.5


class Journalling(StrEnum):
    """What the journal does."""

    ON = "on"
    OFF = "off"
    WAITING = "waiting"
    """It is on, and begins with the worker's next start: a run's journal begins with the run."""
    PAUSED = "paused"
    """The folder takes nothing at the moment."""
    ENDED = "ended"
    """It could not go on in this run."""


class JournalStatus(msgspec.Struct, kw_only=True):
    """What pages and ``status`` show. ``events`` are this run's; ``kept_bytes`` is all that is there."""

    state: Journalling = Journalling.OFF
    detail: str = ""
    folder: str = ""
    run: str = ""
    events: int = 0
    kept_bytes: int = 0

    @property
    def healthy(self) -> bool:
        """False where it should be written and is not."""
        return self.state not in (Journalling.PAUSED, Journalling.ENDED)


class Journal:
    """``enter`` before an event is applied, ``leave`` after it: the same thread does both, in order.

    ``folder`` = ``None`` is a journal that is off (a database in memory has none).
    """

    def __init__(self, folder: Path | None, limits: Callable[[], Limits]) -> None:
        self.status = JournalStatus(folder=str(folder or ""))
        self._folder = folder
        self._limits = limits
        self._wake = threading.Condition()
        self._waiting: deque[Waiting] = deque()
        """Oldest first."""
        self._waiting_bytes = 0
        self._sequence = 0
        self._durable = 0
        """Events before this one are durable."""
        self._closing: str | None = None
        self._thread: threading.Thread | None = None
        self._file: SegmentWriter | None = None

    # -- on the engine's thread --------------------------------------------------------------------------------

    def enter(self, event: Event) -> bytes | Hot | None:
        """An event as it is, before the engine changes what it holds; ``None`` while no journal is written."""
        on = self._folder is not None and self._limits().on
        if self._thread is None and on and isinstance(event, Restored):
            self._begin(event.at)
        elif self._thread is not None and self._closing is None and not on:
            self._end("switched off")
        if self._thread is None or self._closing is not None:
            if self.status.state in (Journalling.OFF, Journalling.WAITING):
                self.status.state = Journalling.WAITING if on else Journalling.OFF
            return None
        if isinstance(event, BookSeen) or (isinstance(event, ApiWindowRead) and not event.past):
            return event  # nothing of it changes, and it is packed on the other thread
        try:
            return form.encode_event(event)
        except (TypeError, ValueError, OverflowError) as problem:
            self._give_up(f"an event cannot be written down: {problem}")
            return None

    def leave(self, entered: bytes | Hot | None, effects: list[Effect]) -> Callable[[], None] | None:
        """What came of the event; gives what is to be called once its rows are durable. An event without rows goes
        with the next that has some."""
        if entered is None:
            return None
        try:
            digest, marks = form.digest_of(effects)
        except (TypeError, ValueError, OverflowError) as problem:
            self._give_up(f"effects cannot be written down: {problem}")
            return None
        size = 32 + len(marks) + (len(entered) if isinstance(entered, bytes) else size_of(entered))
        if self._waiting_bytes > MOST_WAITING_BYTES:
            told = f"{self._waiting_bytes // MB} MB wait to be written"
            self._give_up(f"{told}; {self.status.detail}" if self.status.detail else told)
            return None
        with self._wake:
            number = self._sequence
            self._waiting.append(Waiting(number, entered, digest, marks, size))
            self._waiting_bytes += size
            self._sequence += 1
        if any(isinstance(effect, RowEffect) for effect in effects):
            return partial(self._committed, number + 1)
        return None

    def _begin(self, at: int) -> None:
        assert self._folder is not None
        stamp = datetime.fromtimestamp(at // 1_000_000, UTC).strftime("%Y%m%dT%H%M%S")
        self.status.run = f"{stamp}{at % 1_000_000:06d}Z-{secrets.token_hex(4)}"
        self.status.state = Journalling.ON
        self._file = SegmentWriter(self._folder, self.status.run, at)
        self._thread = threading.Thread(target=self._run, name="journal", daemon=True)
        self._thread.start()

    def _give_up(self, why: str) -> None:
        """Nothing more is taken in; what is durable is still written. The first reason, on whichever thread, stays."""
        with self._wake:
            if self.status.state is Journalling.ENDED:
                return
            self.status.state, self.status.detail = Journalling.ENDED, why[:300]
        log.error("the journal of this run ends here; copying goes on", reason=self.status.detail)
        self._end(why[:300])

    def _end(self, how: str) -> None:
        with self._wake:
            self._closing = how
            self._wake.notify_all()

    def _committed(self, durable: int) -> None:
        """On the writer's thread."""
        with self._wake:
            self._durable = max(self._durable, durable)
            self._wake.notify_all()

    def close(self, *, stored: bool, seconds: float = END_SECONDS) -> None:
        """Write what is durable; all of it, and that this is the end, where everything is ``stored``; within so many
        seconds."""
        if self._thread is None:
            return
        with self._wake:
            if self._closing is None:
                self._durable = self._sequence if stored else self._durable
                self._closing = "stopped" if stored else ""
            self._wake.notify_all()
        self._thread.join(seconds)

    # -- the thread --------------------------------------------------------------------------------------------

    def _run(self) -> None:
        assert self._file is not None
        file = self._file
        try:
            while True:
                entries, how = self._next()
                if entries:
                    self._write(file, partial(file.add, entries), entries[-1].sequence + 1)
                elif how is not None:
                    if how:
                        self._write(file, partial(file.end, how), self.status.events)
                    if self.status.state is Journalling.ON:
                        self.status.state = Journalling.OFF
                    return
                self._write(file, file.prune, self.status.events)
                self.status.kept_bytes = file.kept
        except GivenUpError as problem:
            self._give_up(str(problem))
        except OSError as problem:  # while closing: there is no later
            self._give_up(_told(problem))
        except BaseException as problem:  # whatever it is: nobody else sees this thread end
            self._give_up(f"{type(problem).__name__}: {problem}")
        finally:
            file.close()

    def _next(self) -> tuple[list[Waiting], str | None]:
        """What to write together, and how it ends, once nothing is left to write."""
        with self._wake:
            self._wake.wait_for(self._is_something, PRUNE_SECONDS)
            entries: list[Waiting] = []
            size = 0
            while self._waiting and self._waiting[0].sequence < self._durable and size < BLOCK_BYTES:
                entries.append(self._waiting.popleft())
                size += entries[-1].size
            self._waiting_bytes -= size
            return entries, self._closing

    def _is_something(self) -> bool:
        return self._closing is not None or bool(self._waiting and self._waiting[0].sequence < self._durable)

    def _write(self, file: SegmentWriter, what: Callable[[Limits], None], events: int) -> None:
        """Until the folder takes it; raises what made it impossible when the journal is closing."""
        write: Callable[[Limits], None] = what
        while True:
            try:
                write(self._limits())
            except OSError as problem:
                if self._closing is not None:
                    raise
                if self.status.state is Journalling.ON:
                    log.error("cannot write the journal; copying goes on, trying again", error=_told(problem))
                with self._wake:
                    if self.status.state is not Journalling.ENDED:
                        self.status.state, self.status.detail = Journalling.PAUSED, _told(problem)
                    self._wake.wait_for(lambda: self._closing is not None, RETRY_SECONDS)
                write = file.again
                continue
            if self.status.state is Journalling.PAUSED:
                log.info("the journal goes on; nothing of it is missing")
                self.status.state, self.status.detail = Journalling.ON, ""
            self.status.events = events
            return


def _told(problem: OSError) -> str:
    return (
        f"{problem.strerror or problem}: {problem.filename}" if problem.filename else str(problem.strerror or problem)
    )
