"""Where history can be kept: a folder, or an object store that ``pyarrow.fs`` or fsspec know; and what refuses it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.fs as pafs

from pilotfish.core.problem import Problem


class HistoryError(Problem):
    """The folder cannot be used, or a file in it; the message names it and says what to do."""


class HistoryFullError(HistoryError):
    """There is no room left for more; what was written before is whole."""


def filesystem(url: str) -> tuple[Any, str]:
    """A filesystem and the path in it."""
    if "://" not in url:
        return pafs.LocalFileSystem(), str(Path(url).expanduser().absolute())
    try:
        fs, path = pafs.FileSystem.from_uri(url)
        return fs, path.rstrip("/")
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, OSError) as problem:
        told = short(problem)
    try:
        import fsspec

        fs, path = fsspec.core.url_to_fs(url)
    except ImportError as problem:
        raise HistoryError(
            f"HISTORY_URL {url.split('://')[0]}://… cannot be used ({told}; {problem}); use a folder, s3://, gs:// or"
            " abfs://, or install fsspec with the driver of that store"
        ) from None
    except (ValueError, OSError) as problem:
        raise HistoryError(f"HISTORY_URL {url.split('://')[0]}://… cannot be used ({short(problem)})") from None
    return pafs.PyFileSystem(pafs.FSSpecHandler(fs)), path.rstrip("/")


def short(problem: BaseException) -> str:
    """The first line of what went wrong."""
    return str(problem).splitlines()[0][:160] if str(problem) else type(problem).__name__
