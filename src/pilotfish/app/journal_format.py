"""The journal's files: how they are called, what is in them, and reading them back (docs/journal.md).

A run is a row of segments, a segment a row of blocks: first one that says whose it is, then pieces of one compressed
stream of entries, at the end of a run one that says how it ended.
"""

from __future__ import annotations

import hashlib
import re
import struct
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache, partial
from importlib.resources import files
from pathlib import Path
from typing import BinaryIO

import msgspec
import platformdirs
from sqlalchemy.engine import URL

from pilotfish.app.journal_pack import Packing
from pilotfish.core.effects import Effect
from pilotfish.core.events import Event
from pilotfish.core.names import nearest
from pilotfish.core.problem import Problem

VERSION = 1
MAGIC = b"pilotfish journal\n"
FRAME = struct.Struct(">BII")
"""A block's kind, length and CRC-32 of what it holds; a CRC-32 of these nine bytes follows."""
CHECK = struct.Struct(">I")
HEAD, ENTRIES, END = 1, 2, 3
MOST_BYTES = 1 << 30
"""Of one block, read or unpacked: anything above is damage."""
_NAME = re.compile(r"^(?P<run>\d{8}T\d{12}Z-[0-9a-f]{8})-(?P<number>\d{6})\.journal$")


class JournalError(Problem):
    """A journal cannot be found or chosen; the message says where it was looked for and what to do."""


class DamagedError(Problem):
    """A journal's file does not hold what was written; the message names the file and the place."""


class Head(msgspec.Struct, frozen=True, kw_only=True):
    """What a segment begins with. ``first``: the sequence of its first entry; ``code``: which engine wrote it."""

    version: int
    run: str
    number: int
    first: int
    started_at: int
    """When the run began (µs)."""
    code: str
    program: str


class Entry(msgspec.Struct, frozen=True, array_like=True):
    """One event as it entered the engine, the digest of all its effects, and a CRC-32 of each of them, in order."""

    sequence: int
    event: msgspec.Raw
    digest: bytes
    marks: bytes


class End(msgspec.Struct, frozen=True):
    """How a run's journal ended, and how many events it has."""

    how: str
    events: int


encode_event = msgspec.msgpack.Encoder().encode
decode_event = msgspec.msgpack.Decoder(Event).decode
encode_entries = msgspec.msgpack.Encoder().encode
_entries = msgspec.msgpack.Decoder(list[Entry]).decode
_canonical = msgspec.msgpack.Encoder(order="deterministic").encode


def digest_of(effects: Iterable[Effect]) -> tuple[bytes, bytes]:
    """The digest of an event's effects in their canonical form (MessagePack, keys in order), and a mark of four bytes
    for each."""
    whole, marks = hashlib.blake2b(digest_size=16), bytearray()
    for effect in effects:
        canonical = _canonical(effect)
        whole.update(canonical)
        marks += CHECK.pack(zlib.crc32(canonical))
    return whole.digest(), bytes(marks)


@cache
def engine_code() -> str:
    """A digest of the core's source: two that are alike are the same engine."""
    whole = hashlib.blake2b(digest_size=8)
    sources = [f for f in files("pilotfish.core").iterdir() if f.name.endswith(".py")]
    for source in sorted(sources, key=lambda f: f.name):
        whole.update(source.name.encode() + b"\0" + source.read_bytes() + b"\0")
    return whole.hexdigest()


def block(kind: int, content: bytes) -> bytes:
    """A block as it stands in a file."""
    frame = FRAME.pack(kind, len(content), zlib.crc32(content))
    return frame + CHECK.pack(zlib.crc32(frame)) + content


# -- where it is ----------------------------------------------------------------------------------------------


def folder_of(url: URL) -> Path | None:
    """The folder of a database's journal: beside its file, or in the platform's data folder for a server's; ``None``
    for a database in memory."""
    if url.get_backend_name() == "sqlite":
        if not url.database or url.database == ":memory:" or url.database.startswith("file:"):
            return None
        path = Path(url.database).absolute()
        return path.parent / "journal" / path.name
    whole = url.set(password=None).render_as_string().encode()
    words = (url.host or "local", url.database or "", hashlib.blake2b(whole, digest_size=4).hexdigest())
    name = "-".join(re.sub(r"[^A-Za-z0-9.]", "_", word) for word in words if word)
    return Path(platformdirs.user_data_dir("pilotfish", appauthor=False)) / "journal" / name


def find_folder(given: Path) -> Path:
    """The journal that a folder is, or holds: a data folder holds one for each database. Raises
    :class:`JournalError`."""
    if not given.exists():
        raise JournalError(f"there is no folder {given}; a worker with `journal` on makes one beside its database")
    if not given.is_dir():
        raise JournalError(f"{given} is no folder; name a journal's folder, or the data folder that holds it")
    try:
        if segments(given):
            return given
        found = [f for base in (given / "journal", given) if base.is_dir() for f in sorted(base.iterdir())]
        found = [f for f in found if f.is_dir() and segments(f)]
    except OSError as problem:
        raise JournalError(f"{given} cannot be read ({problem}); replay as the user who ran the worker") from None
    if len(found) > 1:
        raise JournalError(f"{given} holds the journals of {len(found)} databases: name {' or '.join(map(str, found))}")
    if not found:
        raise JournalError(f"{given} holds no journal; a worker with `journal` on makes one beside its database")
    return found[0]


@dataclass(frozen=True, slots=True)
class Segment:
    """One file of a run; ``number`` counts from 1."""

    path: Path
    run: str
    number: int


@dataclass(slots=True)
class Run:
    """One run of a worker, in its journal's files."""

    name: str
    segments: list[Segment] = field(default_factory=list)

    @property
    def whole(self) -> bool:
        """False once its beginning was pruned."""
        return self.segments[0].number == 1


def segments(folder: Path) -> list[Segment]:
    """A journal's files, oldest first; others in the folder are left out."""
    if not folder.is_dir():
        return []
    named = ((path, _NAME.match(path.name)) for path in folder.iterdir())
    found = [Segment(path, m["run"], int(m["number"])) for path, m in named if m is not None]
    return sorted(found, key=lambda s: (s.run, s.number))


def runs(folder: Path) -> list[Run]:
    """A journal's runs, oldest first."""
    by_name: dict[str, Run] = {}
    for segment in segments(folder):
        by_name.setdefault(segment.run, Run(segment.run)).segments.append(segment)
    return list(by_name.values())


def choose(found: list[Run], wanted: str) -> list[Run]:
    """``all``, ``last``, a run's number counted from 1, or its name. Raises :class:`JournalError`."""
    if wanted == "all":
        return found
    if wanted == "last":
        return found[-1:]
    if wanted.isdecimal() and 1 <= int(wanted) <= len(found):
        return [found[int(wanted) - 1]]
    for run in found:
        if run.name == wanted:
            return [run]
    near = nearest(wanted, [run.name for run in found])
    hint = f"; did you mean {near}?" if near else ""
    raise JournalError(f"there is no run {wanted[:60]!r}: all, last, a number from 1 to {len(found)}, or a name{hint}")


# -- reading --------------------------------------------------------------------------------------------------


class Reader:
    """Reads one run, entry by entry. ``head`` is known from the first on, ``torn`` and ``end`` after the last: what is
    incomplete at the very end was being written as the worker died."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.head: Head | None = None
        self.torn: str = ""
        self.end: End | None = None
        self.events = 0
        self._next = 0

    def __iter__(self) -> Iterator[Entry]:
        """Every entry in order. Raises :class:`DamagedError` at what is not as it was written."""
        for place, segment in enumerate(self.run.segments):
            if segment.number != self.run.segments[0].number + place:
                before = self.run.segments[place - 1]
                raise DamagedError(f"{segment.path}: the segment before it is missing; the last one is {before.path}")
            yield from self._segment(segment, last=place == len(self.run.segments) - 1)

    def _segment(self, segment: Segment, *, last: bool) -> Iterator[Entry]:
        unpack, packing = zlib.decompressobj(), Packing()
        for kind, content, place in self._blocks(segment.path, last=last):
            where = f"{segment.path}, the block at byte {place}"
            try:
                if kind == HEAD:
                    self._take_head(msgspec.msgpack.decode(content, type=Head), segment, where)
                elif kind == END:
                    self.end = msgspec.msgpack.decode(content, type=End)
                else:
                    raw = unpack.decompress(content, MOST_BYTES)
                    for entry in _entries(raw):
                        if entry.sequence != self._next:
                            raise DamagedError(f"{where}: event {entry.sequence} stands where {self._next} should")
                        whole = msgspec.Raw(packing.unpack(entry.event))
                        self._next += 1
                        self.events += 1
                        yield msgspec.structs.replace(entry, event=whole)
            except (msgspec.DecodeError, zlib.error) as problem:
                raise DamagedError(f"{where}: it cannot be unpacked ({problem})") from None
        if self.end is not None and self.end.events != self._next:
            raise DamagedError(f"{segment.path}: {self._next} events are there, {self.end.events} were written")

    def _take_head(self, head: Head, segment: Segment, where: str) -> None:
        if head.version != VERSION:
            raise DamagedError(f"{where}: format {head.version}; this version of pilotfish reads {VERSION}")
        if (head.run, head.number) != (segment.run, segment.number):
            raise DamagedError(f"{where}: this is segment {head.number} of run {head.run}, under another name")
        if self.head is None:
            self.head, self._next = head, head.first
        elif head.first != self._next:
            raise DamagedError(f"{where}: it goes on at event {head.first}; the segment before ends at {self._next}")

    def _blocks(self, path: Path, *, last: bool) -> Iterator[tuple[int, bytes, int]]:
        """Kind, content and place of each block; the first one says whose the segment is."""
        with path.open("rb") as file:
            magic = file.read(len(MAGIC))
            if magic != MAGIC:
                if not (last and MAGIC.startswith(magic.rstrip(b"\0"))):
                    raise DamagedError(f"{path}: it does not begin as a journal does")
                self.torn = f"{path.name} was only begun"
                return
            place = begin = len(MAGIC)
            while frame := file.read(FRAME.size + CHECK.size):
                where = f"{path}, the block at byte {place}"
                content = _content(file, frame, where)
                if content is None:
                    if not last:
                        raise DamagedError(f"{where}: it is incomplete, and more follows it")
                    self.torn = f"the block at byte {place} of {path.name} is incomplete and was left out"
                    return
                kind = frame[0]
                if (kind == HEAD) is not (place == begin):
                    raise DamagedError(f"{where}: a segment says at its beginning, and only there, whose it is")
                yield kind, content, place
                place += len(frame) + len(content)


def _content(file: BinaryIO, frame: bytes, where: str) -> bytes | None:
    """What a block holds; ``None`` for one that was not written to its end (cut off, or room without content). Raises
    :class:`DamagedError`."""
    if len(frame) < FRAME.size + CHECK.size:
        return None
    if not any(frame) and not any(any(piece) for piece in iter(partial(file.read, 1 << 16), b"")):
        return None
    _, length, check = FRAME.unpack(frame[: FRAME.size])
    if CHECK.pack(zlib.crc32(frame[: FRAME.size])) != frame[FRAME.size :] or length > MOST_BYTES:
        raise DamagedError(f"{where}: its frame does not match its checksum")
    content = file.read(length)
    if len(content) < length:
        return None
    if zlib.crc32(content) != check:
        raise DamagedError(f"{where}: its content does not match its checksum")
    return content
