"""SQLite's log is put into its file beside the writer, so that no commit waits for that.

A thread copies what is in the log while commits go on, then what those have added meanwhile, which is little. Once the
log is long the writer copies the rest, next to nothing, between two commits, after which the log begins anew.
"""

from __future__ import annotations

import threading
import time

import structlog
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

log = structlog.get_logger(__name__)

ROWS, SECONDS = 2_500, 1.0
"""The log is copied after so many rows (10 to 40 MB of log where each trade has a commit) and not more often than that:
a page that changes with every commit is copied once."""
FINISH_SECONDS = 1.0
LONG = 32_000
"""Pages (128 MB) in the log after which it begins anew. Until then no commit waits for the disk."""


class Checkpoints:
    """Used by the writer's thread. Does nothing for a database that has no such log."""

    def __init__(self, database: Engine, rows: int = ROWS, seconds: float = SECONDS, long: int = LONG) -> None:
        self._database = database
        self._has_log = database.dialect.name == "sqlite"
        self._every_rows, self._every_seconds, self._long = rows, seconds, long
        self._rows, self._last, self._pages = 0, time.monotonic(), 0
        self._copying: threading.Thread | None = None

    def committed(self, rows: int) -> None:
        """So many rows more are in the log."""
        self._rows += rows
        if self._copying is not None:
            if not self._copying.is_alive():
                self._copying, self._last = None, time.monotonic()
                if self._pages >= self._long:
                    self._copy()
        elif self._has_log and self._rows >= self._every_rows and time.monotonic() >= self._last + self._every_seconds:
            self._rows = 0
            self._copying = threading.Thread(target=self._copy, args=(2,), name="checkpoint", daemon=True)
            self._copying.start()

    def finish(self) -> None:
        """Wait for a copy that is under way, but not for long: what is not copied is in the log."""
        if self._copying is not None:
            self._copying.join(FINISH_SECONDS)

    def _copy(self, times: int = 1) -> None:
        """As much as readers allow. A failure loses nothing: the log grows, and is copied at the next time."""
        try:
            with self._database.connect() as c:
                for _ in range(times):
                    _busy, self._pages, _copied = c.exec_driver_sql("PRAGMA wal_checkpoint(PASSIVE)").one()
        except SQLAlchemyError as problem:
            log.warning("the database's log could not be put into its file", error=str(problem).splitlines()[0][:200])
