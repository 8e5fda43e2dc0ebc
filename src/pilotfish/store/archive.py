"""The file that a backup is: the rows of every table as text, whatever database they are from.

A ZIP file. ``manifest.json`` says of which revision the tables are, their columns and numbers of rows, and a SHA-256 of
each; ``tables/NAME.jsonl`` holds a JSON array a row, in the order of the columns. So a backup of SQLite can be restored
into PostgreSQL and the other way round, and one that was cut short or changed is found out.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import struct
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec

from pilotfish.core.problem import Problem

FORMAT = 1
"""The layout that is written, and the newest that can be read."""
MANIFEST = "manifest.json"
MOST_MANIFEST = 1_000_000
"""Bytes of a manifest that are read at most."""
MOST_LINE = 64_000_000
"""Bytes of a row that are read at most."""
MOST_DIFFERENCES = 100
"""Differences that a manifest names; the rest are counted."""


_BROKEN = (
    zipfile.BadZipFile, zlib.error, struct.error, msgspec.DecodeError, EOFError, LookupError, NotImplementedError,
    OSError, RuntimeError, ValueError,
)  # fmt: skip
"""What reading a file that was changed raises, of the ZIP and of what is in it."""


class ArchiveError(Problem):
    """A backup cannot be written or read; the message says which one, why and what to do."""


class Dumped(msgspec.Struct, frozen=True, kw_only=True):
    """What a backup holds of a table."""

    columns: tuple[str, ...]
    rows: int
    sha256: str


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What a backup is. ``made_at``: ISO 8601 UTC. ``left_out``: settings that were set and are not in it, since they
    are secrets. ``differing``: how many differences ``verify`` found when it was made, and ``differences`` the first of
    them in the order of their words; ``None`` = it could not be asked (tables of an older version)."""

    format: int
    pilotfish: str
    revision: str
    backend: str
    made_at: str
    left_out: tuple[str, ...]
    differing: int | None
    differences: tuple[str, ...]
    tables: dict[str, Dumped]

    def differs(self, found: list[str]) -> bool:
        """True where the books are not as they were when it was made."""
        return self.differing is not None and (
            len(found) != self.differing or tuple(sorted(found)[:MOST_DIFFERENCES]) != self.differences
        )


class ArchiveWriter:
    """Takes tables one after the other; :meth:`close` says what they are of."""

    def __init__(self, zipped: zipfile.ZipFile) -> None:
        self._zip = zipped
        self._tables: dict[str, Dumped] = {}

    def add(self, name: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
        """All rows of a table."""
        digest, n, encode = hashlib.sha256(), 0, msgspec.json.Encoder().encode
        with self._zip.open(_part(name), "w", force_zip64=True) as out:
            for row in rows:
                line = encode(list(row)) + b"\n"
                digest.update(line)
                out.write(line)
                n += 1
        self._tables[str(name)] = Dumped(columns=tuple(map(str, columns)), rows=n, sha256=digest.hexdigest())

    def close(self, **about: object) -> Manifest:
        """Write what the backup is, with what :class:`Manifest` has besides the tables."""
        manifest = msgspec.convert({"format": FORMAT, **about, "tables": self._tables}, Manifest)
        self._zip.writestr(MANIFEST, json.dumps(msgspec.to_builtins(manifest), indent=1) + "\n")
        return manifest


class Archive:
    """A backup that was opened to read."""

    def __init__(self, zipped: zipfile.ZipFile, path: Path) -> None:
        self._zip, self._path = zipped, path
        self.manifest = self._read_manifest()

    def _read_manifest(self) -> Manifest:
        try:
            with self._zip.open(MANIFEST) as told:
                data = json.loads(told.read(MOST_MANIFEST))
        except _BROKEN:
            raise ArchiveError(f"{self._path} is no backup of pilotfish: it does not say what it holds") from None
        found = data.get("format") if isinstance(data, dict) else None
        if isinstance(found, int) and found > FORMAT:
            raise ArchiveError(
                f"{self._path} was written by a newer version of pilotfish (format {found}); use that one"
            )
        try:
            return msgspec.convert(data, Manifest)
        except msgspec.ValidationError as problem:
            raise ArchiveError(f"{self._path} is no backup of pilotfish: {problem}") from None

    def rows(self, name: str) -> Iterator[list[object]]:
        """The rows of a table. Raises :class:`ArchiveError` at the end of one that is not what was written."""
        said = self.manifest.tables[name]
        digest, n, decode = hashlib.sha256(), 0, msgspec.json.Decoder(list).decode
        try:
            with self._zip.open(_part(name)) as lines:
                while line := lines.readline(MOST_LINE):
                    digest.update(line)
                    row = decode(line)
                    if len(row) != len(said.columns):
                        raise ArchiveError(f"{self._path}: a row of {name} has {len(row)} values")
                    n += 1
                    yield row
        except _BROKEN as problem:
            raise ArchiveError(f"{self._path} is damaged: {name} cannot be read ({problem})") from None
        if n != said.rows or digest.hexdigest() != said.sha256:
            raise ArchiveError(f"{self._path} is damaged: {name} is not what was written; take another backup")


def _part(name: str) -> str:
    return f"tables/{name}.jsonl"


@contextmanager
def writing(path: Path, *, replace: bool) -> Iterator[ArchiveWriter]:
    """A backup at ``path``, for its owner's eyes only, which is there whole or not at all: it is written under another
    name, put on the disk, and moved. Raises :class:`ArchiveError` where a file is there already, unless ``replace``."""
    if path.exists() and not replace:
        raise ArchiveError(f"{path} is there already; name another file, or say --replace")
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as zipped:
                yield ArchiveWriter(zipped)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as problem:
        raise ArchiveError(f"{path} cannot be written ({problem.strerror or problem}); name another place") from None
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)


@contextmanager
def reading(path: Path) -> Iterator[Archive]:
    """A backup to read. Raises :class:`ArchiveError`."""
    try:
        zipped = zipfile.ZipFile(path)
    except FileNotFoundError:
        raise ArchiveError(f"there is no file {path}") from None
    except _BROKEN as problem:
        raise ArchiveError(f"{path} cannot be read as a backup ({problem}); was it copied whole?") from None
    with zipped:
        yield Archive(zipped, path)
