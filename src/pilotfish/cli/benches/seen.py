"""What has become durable, and when: a process of its own looks at the database whenever that has changed."""

from __future__ import annotations

import multiprocessing
import sqlite3
import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import NamedTuple

from pilotfish.store.interned import PLACES

LOOK_EVERY = 0.001
_WAITS = PLACES["action"]["wait"]
_DECIDED = """
    SELECT d.id, '0x' || lower(hex(t.tx_hash)), d.action FROM decisions d JOIN trades t ON t.id = d.trade_id
    WHERE d.id > ? ORDER BY d.id
"""
_FILLED = """
    SELECT f.id, '0x' || lower(hex(t.tx_hash))
    FROM fills f JOIN intents i ON i.id = f.intent_id JOIN trades t ON t.id = i.trade_id
    WHERE f.id > ?
"""
_OUT = "SELECT count(*) FROM intents WHERE state IN ('pending', 'working')"


class _Found(NamedTuple):
    """Transactions and when (s) what belongs to them was there, and how many orders are out."""

    decided: dict[str, float]
    filled: dict[str, float]
    out: int


class Seen:
    """Looks for decisions and fills. ``out``: orders that are out, when it was last asked."""

    def __init__(self, path: Path) -> None:
        self.decided: dict[str, float] = {}
        self.filled: dict[str, float] = {}
        self.out = 0
        own = multiprocessing.get_context("spawn")
        self._told, theirs = own.Pipe()
        self._process = own.Process(target=_look, args=(path, theirs), daemon=True)

    def start(self) -> None:
        """Look from now on."""
        self._process.start()

    def take(self) -> None:
        """Take what was found since the last time."""
        self._told.send(True)
        found: _Found = self._told.recv()
        for tx, at in found.decided.items():
            self.decided.setdefault(tx, at)
        for tx, at in found.filled.items():
            self.filled.setdefault(tx, at)
        self.out = found.out

    def stop(self) -> None:
        """Look no longer."""
        if self._process.pid is not None:
            self._told.send(False)
            self._process.join()


def _look(path: Path, told: Connection) -> None:
    database = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    found, last, filled = _Found({}, {}, 0), 0, 0
    waiting: set[int] = set()
    version = None
    while True:
        if told.poll(LOOK_EVERY):
            if not told.recv():
                break
            told.send(found)
            found = _Found({}, {}, found.out)
        (now_version,) = database.execute("PRAGMA data_version").fetchone()
        if now_version == version:
            continue
        version = now_version
        decisions = database.execute(_DECIDED, (min(waiting, default=last + 1) - 1,)).fetchall()
        fills = database.execute(_FILLED, (filled,)).fetchall()
        (out,) = database.execute(_OUT).fetchone()
        now = time.time()
        found = found._replace(out=out)
        for number, tx, action in decisions:
            last = max(last, number)
            if action == _WAITS:
                waiting.add(number)
            else:
                waiting.discard(number)
                found.decided.setdefault(tx, now)
        for number, tx in fills:
            filled = max(filled, number)
            found.filled.setdefault(tx, now)
    database.close()
