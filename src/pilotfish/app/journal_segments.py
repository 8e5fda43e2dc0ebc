"""The segments of one run on disk: appending blocks, and keeping all of a journal within its bounds."""

from __future__ import annotations

import os
import time
import zlib
from pathlib import Path

import msgspec
import structlog

from pilotfish import __version__
from pilotfish.app import journal_format as form
from pilotfish.app.journal_pack import Hot, Packing
from pilotfish.core.events import BookSeen

log = structlog.get_logger(__name__)

MB = 1_000_000
DAY_SECONDS = 86_400
SEGMENT_BYTES = 8 * MB
SEGMENT_SECONDS = DAY_SECONDS
PRUNE_SECONDS = 60.0


class Limits(msgspec.Struct, frozen=True):
    """The settings ``journal``, ``journal_max_mb`` and ``journal_max_days``."""

    on: bool
    max_mb: int
    max_days: int


class Waiting(msgspec.Struct, frozen=True):
    """An event that is not written yet, and its size in bytes, about."""

    sequence: int
    event: bytes | Hot
    digest: bytes
    marks: bytes
    size: int


class GivenUpError(Exception):
    """The journal of this run ends here; the message says why."""


def size_of(event: Hot) -> int:
    """About how many bytes an event takes."""
    if isinstance(event, BookSeen):
        return 300 + 12 * (len(event.book.bids) + len(event.book.asks))
    return 300 + sum(600 + len(fill.raw) for fill in event.fills)


class SegmentWriter:
    """The segments of one run. What could not be written is kept, and written by :meth:`again` in its place."""

    def __init__(self, folder: Path, run: str, started_at: int) -> None:
        self.folder, self.run, self.started_at = folder, run, started_at
        self.number = 0
        self.kept = 0
        """Bytes of all segments in the folder."""
        self._path = folder
        self._fd: int | None = None
        self._size = 0
        self._opened_at = 0.0
        self._left = b""
        """What is still to be written at the end of the segment."""
        self._pack, self._packing = zlib.compressobj(), Packing()
        self.events = 0
        """Events that were taken."""
        self._pruned_at = 0.0
        self._limits: Limits | None = None

    def add(self, entries: list[Waiting], limits: Limits) -> None:
        """Append a block of entries. Raises :class:`OSError`; then it is kept for :meth:`again`."""
        most = min(SEGMENT_BYTES, limits.max_mb * MB // 8)
        if self._fd is not None and (self._size >= most or time.time() - self._opened_at > SEGMENT_SECONDS):
            self.close()
        if self._fd is None:
            self.number += 1
            self._pack, self._packing = zlib.compressobj(), Packing()
            head = form.Head(
                version=form.VERSION,
                run=self.run,
                number=self.number,
                first=entries[0].sequence,
                started_at=self.started_at,
                code=form.engine_code(),
                program=__version__,
            )
            self._left = form.MAGIC + form.block(form.HEAD, form.encode_entries(head))
        written = form.encode_entries([self._entry(waiting) for waiting in entries])
        packed = self._pack.compress(written) + self._pack.flush(zlib.Z_SYNC_FLUSH)
        self._left += form.block(form.ENTRIES, packed)
        self.events = entries[-1].sequence + 1
        self.again(limits)

    def _entry(self, waiting: Waiting) -> form.Entry:
        event = waiting.event if isinstance(waiting.event, bytes) else self._packing.pack(waiting.event)
        return form.Entry(waiting.sequence, msgspec.Raw(event), waiting.digest, waiting.marks)

    def end(self, how: str, limits: Limits) -> None:
        """Append that and how the run ended."""
        if self._fd is not None:
            self._left += form.block(form.END, form.encode_entries(form.End(how, self.events)))
            self.again(limits)

    def again(self, limits: Limits) -> None:
        """Write what is left to be written. Raises :class:`OSError`, or :class:`GivenUpError` where the bound on size
        has no room for it."""
        self.prune(limits)
        if self.kept + len(self._left) > limits.max_mb * MB:
            raise GivenUpError(f"one piece of it is larger than journal_max_mb ({limits.max_mb} MB) allows")
        if self._fd is None:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._path = self.folder / f"{self.run}-{self.number:06d}.journal"
            self._fd = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            self._opened_at, self._size = time.time(), 0
        view, done = memoryview(self._left), 0
        while done < len(view):
            done += os.pwrite(self._fd, view[done:], self._size + done)
        self._size += done
        self.kept += done
        self._left = b""

    def close(self) -> None:
        """Close the segment that is open."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def prune(self, limits: Limits) -> None:
        """Keep within the bounds: whole runs first, the oldest first; then this run's own oldest segments."""
        now, most = time.time(), limits.max_mb * MB - len(self._left)
        if self.kept <= most and limits == self._limits and now - self._pruned_at < PRUNE_SECONDS:
            return
        self._limits, self._pruned_at = limits, now
        found = form.runs(self.folder)
        sizes = {s.path: s.path.stat() for run in found for s in run.segments}
        self.kept = sum(stat.st_size for stat in sizes.values())
        oldest = now - limits.max_days * DAY_SECONDS
        for run in found:
            if run.name == self.run:
                continue
            newest = max(sizes[s.path].st_mtime for s in run.segments)
            if self.kept > most or newest < oldest:
                self._remove(run.segments, sizes)
        for run in found:
            for segment in run.segments[:-1] if run.name == self.run else ():
                if self.kept > most or sizes[segment.path].st_mtime < oldest:
                    self._remove([segment], sizes)

    def _remove(self, gone: list[form.Segment], sizes: dict[Path, os.stat_result]) -> None:
        for segment in gone:
            segment.path.unlink(missing_ok=True)
            self.kept -= sizes[segment.path].st_size
        names = f"{gone[0].run}, segments {gone[0].number} to {gone[-1].number}"
        log.info("the oldest of the journal was removed to keep within its bounds", run=names)
