"""Segments of recorded books: one that is being written, and the sealed ones in the folder of history.

The open one is a stream of Arrow batches on this machine's disk (``<run>-<number>.arrows``): killed at any moment, it
holds every batch that was written whole. Sealed it is Parquet (zstd) at ``books/<day>/<from>-<to>-<run>-<number>``,
written under another name and moved. Each begins with every book that stands, so each can be read alone.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from pilotfish.core.units import SECOND
from pilotfish.history.book_columns import SCHEMA, batch_of, in_order, of_tokens, rows_of
from pilotfish.history.folder import History, HistoryError
from pilotfish.history.standing import Standing
from pilotfish.polymarket.book_rows import BookRow

KIND = "books"
SEGMENT_ROWS = 200_000
SEGMENT_US = 3_600 * SECOND
GROUP_ROWS = 20_000
"""Rows of a Parquet row group: a reader of one token skips those without it."""
OPEN = ".arrows"
_SEALED = re.compile(r"^(\d{1,16})-(\d{1,16})-([a-z0-9]{1,40})-(\d{1,9})\.parquet$")
_STREAM = re.compile(r"^([a-z0-9]{1,40})-(\d{1,9})\.arrows$")


class Segment(NamedTuple):
    """A sealed segment: its instants (µs, both inclusive), the run of a recorder that wrote it and its number there;
    ``size`` in bytes. A run's segments follow each other without a gap."""

    from_at: int
    to_at: int
    run: str
    number: int
    day: str
    name: str
    size: int


def segments(history: History) -> list[Segment]:
    """The sealed segments, oldest first."""
    found = []
    for day in history.keys(KIND):
        for name, size in history.named(KIND, day):
            told = _SEALED.match(name)
            if told is not None:
                begin, end, run, number = told.groups()
                found.append(Segment(int(begin), int(end), run, int(number), day, name, size))
    return sorted(found)


def read(history: History, segment: Segment, tokens: Sequence[str] = ()) -> Iterator[BookRow]:
    """The rows of a segment by token and arrival, of some tokens or all. Raises :class:`HistoryError` for one that
    cannot be read."""
    wanted = set(tokens)
    with history.parquet(KIND, segment.day, segment.name) as file:
        if not file.schema_arrow.equals(SCHEMA):
            raise HistoryError(
                f"{segment.name} of the recorded books has other columns than this version keeps; remove it, or import"
                " it with `pilotfish books import`"
            )
        column = SCHEMA.get_field_index("token_id")
        for number in range(file.num_row_groups):
            known = file.metadata.row_group(number).column(column).statistics
            if wanted and known is not None and not any(known.min <= token <= known.max for token in wanted):
                continue
            group = file.read_row_group(number)
            yield from rows_of(of_tokens(group, wanted) if wanted else group)


def write(history: History, run: str, number: int, table: pa.Table, until: int = 0) -> Segment | None:
    """Seal a segment out of its rows; it is there whole, or not at all. ``until``: up to when nothing else came (µs).
    ``None`` of no rows. Raises :class:`HistoryError`."""
    if not table.num_rows:
        return None
    ats = table.column("at").to_numpy()
    begin, end = int(ats.min()), max(until, int(ats.max()))
    day = datetime.fromtimestamp(begin // SECOND, UTC).date().isoformat()
    name = f"{begin}-{end}-{run}-{number}.parquet"
    ordered = in_order(table)
    with history.placed(KIND, day, name) as out:
        pq.write_table(ordered, out, compression="zstd", row_group_size=GROUP_ROWS)
    size = next((size for found, size in history.named(KIND, day) if found == name), 0)
    return Segment(begin, end, run, number, day, name, size)


def read_stream(path: Path) -> pa.Table:
    """The batches of an open segment that are whole."""
    batches: list[pa.RecordBatch] = []
    torn = suppress(StopIteration, pa.ArrowInvalid, OSError)  # or its end
    with torn, pa.OSFile(str(path)) as source, pa.ipc.open_stream(source) as stream:
        while True:
            batches.append(stream.read_next_batch())
    whole = [b for b in batches if b.schema.equals(SCHEMA)]
    return pa.Table.from_batches(whole, SCHEMA)


def streams(spool: Path) -> list[tuple[str, int, Path]]:
    """The open segments of a folder: run, number, file."""
    try:
        names = sorted(p.name for p in spool.iterdir())
    except FileNotFoundError:
        return []
    told = [(m, name) for name in names if (m := _STREAM.match(name)) is not None]
    return sorted((m.group(1), int(m.group(2)), spool / name) for m, name in told)


def seal_all(history: History, spool: Path) -> int:
    """Seal what earlier runs left open; gives how many. Raises :class:`HistoryError`."""
    done = {(s.run, s.number) for s in segments(history)}
    left = streams(spool)
    for run, number, path in left:
        if (run, number) not in done:
            write(history, run, number, read_stream(path))
        path.unlink(missing_ok=True)
    return len(left)


class SegmentWriter:
    """Appends rows to the open segment of one run, and seals it when it is full or old."""

    def __init__(self, history: History, spool: Path) -> None:
        self.history = history
        self.run = secrets.token_hex(6)
        self._spool = spool
        self._standing = Standing()
        self._number = 0
        self._file: BinaryIO | None = None
        self._stream: pa.ipc.RecordBatchStreamWriter | None = None
        self._path = spool
        self._rows = 0
        self._begun_at = 0

    @property
    def spooled(self) -> int:
        """Bytes of the open segment."""
        return self._file.tell() if self._file is not None else 0

    def add(self, rows: Sequence[BookRow], at: int) -> None:
        """Append rows; they are on disk when this returns. ``at`` is now (µs). Raises :class:`OSError`."""
        if self._stream is None:
            self._begin(at if not rows else rows[0].at)
        self._append(rows)
        for row in rows:
            self._standing.see(row)

    def is_full(self, at: int) -> bool:
        """True when it is time for the next segment."""
        return self._stream is not None and (self._rows >= SEGMENT_ROWS or at - self._begun_at >= SEGMENT_US)

    def seal(self, until: int) -> Segment | None:
        """Close the open segment and put it into the folder of history. Raises :class:`OSError` or
        :class:`HistoryError`; then it lies where it is, for :func:`seal_all`."""
        if self._stream is None:
            return None
        path, number = self._path, self._number
        self._close()
        sealed = write(self.history, self.run, number, read_stream(path), until)
        path.unlink(missing_ok=True)
        return sealed

    def end(self, at: int, why: str) -> Segment | None:
        """Nothing more comes: every book that stands ends here."""
        if self._stream is None:
            return None
        self.add(self._standing.gaps(at, why), at)
        return self.seal(at)

    def abandon(self) -> None:
        """What is open could not be written on: what is whole of it is kept, and nothing follows from it."""
        self._standing.clear()
        with suppress(OSError, pa.ArrowInvalid):
            self._close()
        self.run = secrets.token_hex(6)
        self._number = 0

    def _begin(self, at: int) -> None:
        self._spool.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._number += 1
        self._path = self._spool / f"{self.run}-{self._number}{OPEN}"
        self._file = self._path.open("wb")
        self._stream = pa.ipc.new_stream(self._file, SCHEMA, options=pa.ipc.IpcWriteOptions(compression="zstd"))
        self._rows, self._begun_at = 0, at
        self._append(list(self._standing.checkpoint(at)))

    def _append(self, rows: Sequence[BookRow]) -> None:
        assert self._stream is not None and self._file is not None
        if rows:
            self._stream.write_batch(batch_of(rows, self._rows))
            self._rows += len(rows)
        self._file.flush()

    def _close(self) -> None:
        stream, file = self._stream, self._file
        self._stream = self._file = None
        try:
            if stream is not None:
                stream.close()
        finally:
            if file is not None:
                file.close()


def prune(history: History, most_bytes: int, oldest_at: int) -> list[Segment]:
    """Remove the oldest segments until all are within the bounds; gives which. Raises :class:`HistoryError`."""
    found = segments(history)
    total, gone = sum(s.size for s in found), []
    for segment in found:
        if total <= most_bytes and segment.to_at >= oldest_at:
            continue
        history.drop(KIND, segment.day, segment.name)
        total -= segment.size
        gone.append(segment)
    return gone
