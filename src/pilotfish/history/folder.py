"""The folder of history: a Parquet file for each window of a (kind, key), on a disk or an object store.

``<kind>/<key>/<from>-<to>.<state>.parquet``. A file is written under another name and moved, so none is ever half
there; what is known of completeness is the listing alone (``windows``). Layout and columns: ``docs/history.md``.
"""

from __future__ import annotations

import errno
import secrets
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np
import platformdirs
import pyarrow as pa
import pyarrow.fs as pafs
import pyarrow.parquet as pq

from pilotfish.history.columns import BATCH, SHAPES, SNAPSHOTS, records_of, table_of
from pilotfish.history.places import HistoryError as HistoryError
from pilotfish.history.places import HistoryFullError as HistoryFullError
from pilotfish.history.places import filesystem, short
from pilotfish.history.records import Deed, HeldToken, Missing, PastMarket, PricePoint, Print
from pilotfish.history.spans import Spans
from pilotfish.history.windows import KNOWN, NOT_ASKED, State, Window, needless, parted, window_of

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
PART = ".part"
PARTS_KEPT = 3600.0
"""Seconds after which what a killed pull left behind is removed."""


class Kept(NamedTuple):
    """A file of history."""

    kind: str
    key: str
    window: Window
    size: int


class Contents(NamedTuple):
    """What a file holds: its number of rows, and why it is not complete, where it is not."""

    rows: int
    why: str


class History:
    """History at ``url``: a folder, or what ``pyarrow.fs`` or fsspec know (``s3://…``); empty = the platform's data
    folder. Raises :class:`HistoryError`."""

    def __init__(self, url: str = "") -> None:
        self.url = url or str(Path(platformdirs.user_data_dir("pilotfish", appauthor=False)) / "history")
        self.fs, self._base = filesystem(self.url)

    def __str__(self) -> str:
        return self.url

    def __reduce__(self) -> tuple[type[History], tuple[str]]:
        """Another process opens it anew."""
        return History, (self.url,)

    # -- what there is -----------------------------------------------------------------------------------------

    def keys(self, kind: str) -> list[str]:
        """The keys of a kind that there is something of."""
        return sorted(i.base_name for i in self._listed(kind) if i.type is pafs.FileType.Directory)

    def files(self, kind: str, key: str) -> list[Kept]:
        """The files of a (kind, key), the oldest seconds first."""
        found = [(window_of(i.base_name), i.size) for i in self._listed(kind, key) if i.type is pafs.FileType.File]
        return sorted(Kept(kind, key, window, size or 0) for window, size in found if window is not None)

    def windows(self, kind: str, key: str) -> list[Window]:
        """The windows of a (kind, key)."""
        return [kept.window for kept in self.files(kind, key)]

    def named(self, *parts: str) -> list[tuple[str, int]]:
        """Names and sizes (bytes) of the files in a folder."""
        files = (i for i in self._listed(*parts) if i.type is pafs.FileType.File)
        return sorted((i.base_name, i.size or 0) for i in files)

    def _listed(self, *parts: str) -> list[Any]:
        selector = pafs.FileSelector(self._path(*parts), allow_not_found=True)
        with self._refusing("be listed", "/".join(parts)):
            return cast(list[Any], self.fs.get_file_info(selector))

    def missing(self, kind: str, key: str, *spans: tuple[int, int]) -> list[Missing]:
        """What is not known of these spans of seconds, both inclusive, and why."""
        return self.gaps(kind, key, Spans(spans))

    def gaps(self, kind: str, key: str, spans: Spans) -> list[Missing]:
        """:meth:`missing` of many spans, in order."""
        found: list[Missing] = []
        for window, parts in parted(self.windows(kind, key), spans):
            if window is not None and window.state in KNOWN:
                continue
            why = NOT_ASKED if window is None else str(window.state)
            for low, high in parts:
                if found and found[-1].why == why and found[-1].to_at == low - 1:
                    low = found.pop().from_at
                found.append(Missing(kind=kind, key=key, from_at=low, to_at=high, why=why))
        return found

    def known(self, kind: str, key: str, *spans: tuple[int, int]) -> list[tuple[int, int]]:
        """The seconds of these spans that are whole, as (from, to)."""
        return list(self.whole(kind, key, Spans(spans)))

    def whole(self, kind: str, key: str, spans: Spans) -> Spans:
        """:meth:`known` of many spans, in order."""
        found = Spans()
        for window, parts in parted(self.windows(kind, key), spans):
            if window is not None and window.state in KNOWN:
                for low, high in parts:
                    found.add(low, high, 2)
        return found

    # -- reading -----------------------------------------------------------------------------------------------

    def deeds(self, wallet: str, from_at: int, to_at: int) -> Iterator[Deed]:
        """A wallet's activity in these seconds, oldest first."""
        return self._rows("activity", wallet, (from_at, to_at))

    def tape(self, condition: str, *spans: tuple[int, int]) -> Iterator[Print]:
        """A market's fills in these spans of seconds, which are in order and apart; oldest first."""
        return self._rows("tape", condition, *spans)

    def prices(self, token_id: str, from_at: int, to_at: int) -> Iterator[PricePoint]:
        """A token's prices, oldest first."""
        return self._rows("prices", token_id, (from_at, to_at))

    def market(self, condition: str) -> PastMarket | None:
        """A market as it was known last."""
        newest = self.newest("markets", condition)
        return next(iter(self._file("markets", condition, newest)), None) if newest is not None else None

    def positions(self, wallet: str) -> tuple[Window, list[HeldToken]] | None:
        """What a wallet held when it was asked last, and when that was."""
        newest = self.newest("positions", wallet)
        return (newest, list(self._file("positions", wallet, newest))) if newest is not None else None

    def newest(self, kind: str, key: str) -> Window | None:
        """The snapshot that counts: the newest of which something is known, else the newest."""
        windows = self.windows(kind, key)
        known = [w for w in windows if w.state in KNOWN] or windows
        return max(known, key=lambda w: (w.state is State.COMPLETE, w.to_at), default=None)

    def _rows(self, kind: str, key: str, *spans: tuple[int, int]) -> Iterator[Any]:
        for batch in self.columns(kind, key, Spans(spans)):
            yield from records_of(kind, batch)

    def _file(self, kind: str, key: str, window: Window) -> Iterator[Any]:
        for batch in self.batches(kind, key, window):
            yield from records_of(kind, batch)

    def batches(self, kind: str, key: str, window: Window, names: Sequence[str] = ()) -> Iterator[pa.RecordBatch]:
        """The rows of a file, as many at once as fit; a file that fits as a whole is not held open meanwhile."""
        wanted = list(names) or None
        with self._opened(kind, key, window) as file:
            if file.metadata.num_rows > BATCH:
                yield from file.iter_batches(BATCH, columns=wanted, use_threads=False)
                return
            batches = file.read(wanted, use_threads=False).to_batches()
        yield from batches

    def columns(self, kind: str, key: str, spans: Spans, names: Sequence[str] = ()) -> Iterator[pa.RecordBatch]:
        """The rows of many spans as columns (all, or those of these ``names``), oldest first."""
        for window, parts in parted(self.windows(kind, key), spans):
            if window is None:
                continue
            lows, highs = np.frombuffer(parts.lows, np.int64), np.frombuffer(parts.highs, np.int64)
            for batch in self.batches(kind, key, window, names):
                ats = batch.column("at").to_numpy()
                place = np.searchsorted(lows, ats, "right") - 1
                wanted = (place >= 0) & (ats <= highs[place])
                if not wanted.all():
                    batch = batch.filter(pa.array(wanted))
                if batch.num_rows:
                    yield batch

    def contents(self, kept: Kept, *, whole: bool = False) -> Contents:
        """What a file holds; ``whole`` reads all of it. Raises :class:`HistoryError` for a damaged one."""
        with self._opened(kept.kind, kept.key, kept.window) as file:
            if whole:
                file.read()
            told = file.schema_arrow.metadata or {}
            return Contents(file.metadata.num_rows, told.get(b"why", b"").decode("utf-8", "replace"))

    @contextmanager
    def _opened(self, kind: str, key: str, window: Window) -> Iterator[pq.ParquetFile]:
        remedy = _remedy(key)
        with self.parquet(kind, key, window.name, remedy=remedy) as file:
            if not file.schema_arrow.equals(SHAPES[kind].schema):
                path = self._path(kind, key, window.name)
                raise HistoryError(f"{path} has other columns than this version keeps; {remedy}")
            yield file

    @contextmanager
    def parquet(self, *parts: str, remedy: str = "remove it") -> Iterator[pq.ParquetFile]:
        """A file to read from. Raises :class:`HistoryError` for a damaged one, with what to do (``remedy``)."""
        path = self._path(*parts)
        try:
            with self.fs.open_input_file(path) as source, pq.ParquetFile(source) as file:
                yield file
        except (pa.ArrowInvalid, pa.ArrowTypeError, OSError, UnicodeDecodeError) as problem:
            gone = isinstance(problem, FileNotFoundError)
            why = "is gone while it was read; try again" if gone else f"is damaged ({short(problem)}); {remedy}"
            raise HistoryError(f"{path} {why}") from None

    # -- writing -----------------------------------------------------------------------------------------------

    def write(self, kind: str, key: str, window: Window, records: Sequence[Any], why: str = "") -> None:
        """Keep a window, its records sorted by their second. It is there whole, or not at all. Raises
        :class:`HistoryError`, :class:`HistoryFullError` where there is no room."""
        if kind not in SNAPSHOTS:
            records = sorted(records, key=lambda record: record.at)
        self.keep(kind, key, window, table_of(kind, records, {"why": why} if why else {}))

    def keep(self, kind: str, key: str, window: Window, table: pa.Table) -> None:
        """The same with rows that are a table already, sorted."""
        with self.placed(kind, key, window.name) as out:
            pq.write_table(table, out, compression="zstd")

    @contextmanager
    def placed(self, *parts: str) -> Iterator[Any]:
        """Write a file: it is there whole once this is left, or not at all. Raises as :meth:`write`."""
        path = self._path(*parts)
        part = f"{path}.{secrets.token_hex(4)}{PART}"
        with self._refusing("be written", "/".join(parts[:-1])):
            self.fs.create_dir(self._path(*parts[:-1]), recursive=True)
            try:
                with self.fs.open_output_stream(part) as out:
                    yield out
                self.fs.move(part, path)
            except BaseException:
                self._drop(part)
                raise

    def read(self, *parts: str) -> bytes | None:
        """A small file; ``None`` where it is not."""
        missing = suppress(FileNotFoundError)
        with self._refusing("be read", "/".join(parts)), missing, self.fs.open_input_file(self._path(*parts)) as source:
            return bytes(source.read())
        return None

    def drop(self, *parts: str) -> None:
        """Remove a file, if it is there."""
        with self._refusing("be removed", "/".join(parts[:-1])):
            self._drop(self._path(*parts))

    def tidy(self, kind: str, key: str) -> None:
        """Remove windows that are read from no more, and what a killed pull left behind."""
        with self._refusing("be changed", f"{kind}/{key}"):
            for info in self._listed(kind, key):
                old = info.mtime is None or info.mtime.timestamp() < time.time() - PARTS_KEPT
                if info.base_name.endswith(PART) and old:
                    self._drop(info.path)
            windows = self.windows(kind, key)
            newest = self.newest(kind, key) if kind in SNAPSHOTS else None
            for window in [w for w in windows if w != newest] if newest else needless(windows):
                self._drop(self._path(kind, key, window.name))

    def remove(self, kind: str, key: str, window: Window | None = None) -> None:
        """Remove a window, or all of a (kind, key)."""
        with self._refusing("be removed", f"{kind}/{key}"):
            if window is not None:
                self.fs.delete_file(self._path(kind, key, window.name))
            elif self._listed(kind, key):
                self.fs.delete_dir(self._path(kind, key))

    def _drop(self, path: str) -> None:
        with suppress(FileNotFoundError):
            self.fs.delete_file(path)

    def _path(self, *parts: str) -> str:
        assert all(part.replace(".", "").replace("-", "").isalnum() and not part.startswith(".") for part in parts)
        return "/".join((self._base, *parts))

    @contextmanager
    def _refusing(self, what: str, where: str) -> Iterator[None]:
        try:
            yield
        except OSError as problem:
            if problem.errno in FULL:
                raise HistoryFullError(
                    f"no room left for history at {self.url}; make room, then do the same again: it goes on where it"
                    " ended"
                ) from None
            raise HistoryError(
                f"{where} of history at {self.url} cannot {what} ({short(problem)}); HISTORY_URL says where it is kept"
            ) from None


def damaged(history: History, of: Mapping[str, Sequence[str]]) -> Iterator[tuple[Kept, str]]:
    """Every file of these keys by kind that cannot be read, and what is wrong with it; all of each is read."""
    for kind, keys in of.items():
        for key in keys:
            for kept in history.files(kind, key):
                try:
                    history.contents(kept, whole=True)
                except HistoryError as problem:
                    yield kept, str(problem)


def _remedy(key: str) -> str:
    return (
        f"`pilotfish history check` names all such files, `pilotfish history remove --damaged` removes them, and the"
        f" next pull reads {key[:12]}… anew"
    )
