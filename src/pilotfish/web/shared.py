"""What all open tabs look at is read once: results are shared, one read at a time for each, on a thread of its own."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import TypeVar, cast

from sqlalchemy import Connection, Engine

from pilotfish.store.database import snapshot

T = TypeVar("T")
KEPT = 300
"""Results kept; the least recently used go first."""
SLOW = 0.3
"""Seconds that a read may take before an old answer is given meanwhile."""
OLD = 60.0
"""Seconds after which even a slow read is waited for."""
RESTS = 10.0
"""An answer that took long is kept for so many times its duration."""


@dataclass(slots=True)
class _Entry:
    """What was read under a key; who asks under that key knows what it is."""

    value: object = None
    read_at: float = -1e9
    took: float = 0.0
    task: asyncio.Task[object] | None = None


class Shared:
    """Reads through :meth:`get`."""

    def __init__(self, database: Engine) -> None:
        self._database = database
        self._entries: OrderedDict[Hashable, _Entry] = OrderedDict()

    async def get(self, key: Hashable, seconds: float, read: Callable[[Connection], T]) -> T:
        """What ``read`` gives, at most ``seconds`` old; of reads that take long rather an older answer than a wait. One
        key stands for one kind of read."""
        return cast("T", await self._get(key, seconds, read))

    async def _get(self, key: Hashable, seconds: float, read: Callable[[Connection], object]) -> object:
        entry = self._entries.setdefault(key, _Entry())
        self._entries.move_to_end(key)
        while len(self._entries) > KEPT:
            self._entries.popitem(last=False)
        age = time.monotonic() - entry.read_at
        if entry.value is not None and age < max(seconds, RESTS * entry.took):
            return entry.value
        if entry.task is None:
            entry.task = asyncio.create_task(self._read(entry, read))
            entry.task.add_done_callback(lambda _: setattr(entry, "task", None))
        if entry.value is not None and entry.took > SLOW and age < OLD:
            return entry.value
        return await asyncio.shield(entry.task)

    async def _read(self, entry: _Entry, read: Callable[[Connection], object]) -> object:
        started = time.monotonic()
        value = await asyncio.to_thread(self._in_transaction, read)
        entry.value, entry.read_at = value, time.monotonic()
        entry.took = entry.read_at - started
        return value

    def _in_transaction(self, read: Callable[[Connection], object]) -> object:
        with snapshot(self._database) as c:
            return read(c)

    def forget(self) -> None:
        """Somebody changed something: read anew."""
        for entry in self._entries.values():
            entry.read_at = -1e9
