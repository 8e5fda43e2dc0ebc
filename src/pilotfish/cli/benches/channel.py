"""``bench channel``: 5,000 books kept from a market channel that says 20,000 changes a second, over real sockets."""

from __future__ import annotations

import asyncio
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import aiohttp

from pilotfish.cli.benches import channel_venue as venue
from pilotfish.cli.benches.figure import Figure, Options, figure, measured, same
from pilotfish.core.units import MICRO
from pilotfish.feeds.hub import Hub
from pilotfish.feeds.local_books import LocalBooks
from pilotfish.polymarket.book_rows import BookRow, Heard

PER_SECOND = 20_000
SECONDS = 6.0
ROUNDS = 3
PART_OF_A_CORE = 0.5
LATEST_MS = 100
LOOK_SECONDS = 0.05


@dataclass
class _Heard:
    """When each change came, against when it was sent: the rows that would be recorded say both."""

    changes: int = 0
    late_ms: dict[str, float] = field(default_factory=dict)
    """Token -> the most that one of its changes was behind."""

    def has_heard(self, changes: int) -> bool:
        return self.changes >= changes

    def take(self, row: BookRow) -> bool:
        if row.kind is Heard.DELTA:
            self.changes += 1
            late = row.at / 1000 - row.venue_ms
            if late > self.late_ms.get(row.token_id, 0.0):
                self.late_ms[row.token_id] = late
        return True


def figures(_options: Options) -> list[Figure]:
    """Changes that one core would take in, against those that half of one has to."""
    return asyncio.run(_measure())


async def _measure() -> list[Figure]:
    per_core, latest, share = [], [], []
    async with _channel() as base, aiohttp.ClientSession() as session:
        heard = _Heard()
        hub = Hub()
        hub.settings = {"max_local_books": venue.BOOKS, "local_book_stale_ms": 600_000}
        books = LocalBooks(
            hub, session, base.replace("http", "ws") + "/ws", reread=_nothing, resolved=_nothing, record=heard.take
        )
        running = asyncio.create_task(books.run())
        for token in venue.tokens():
            books.want(token)
        await _until(lambda: len(_kept(books)) == venue.BOOKS)
        _check(books)
        for _ in range(ROUNDS):
            heard.changes, heard.late_ms = 0, {}
            began, wall = time.process_time(), time.monotonic()
            told = await _play(session, base)
            await _until(partial(heard.has_heard, told["changes"]))
            spent, passed = time.process_time() - began, time.monotonic() - wall
            _check(books)
            per_core.append(told["changes"] / spent)
            share.append(spent / passed)
            latest.append(max(heard.late_ms.values()))
        running.cancel()
        await hub.close()
    worst = min(latest)
    note = f"{100 * sorted(share)[len(share) // 2]:.0f} % of a core; the slowest change {worst:.0f} ms behind"
    return [
        figure(f"channel: {venue.BOOKS:,} books at {PER_SECOND:,}/s", "changes/s of a core", measured(per_core),
               "half a core for these", PER_SECOND / PART_OF_A_CORE, note, aim=1.0),
        figure("channel: no book later than", "per s of lateness", 1000 / worst, f"{LATEST_MS} ms", 1000 / LATEST_MS,
               note, aim=1.0),
    ]  # fmt: skip


def _kept(books: LocalBooks) -> list[str]:
    return [token for token in venue.tokens() if books.get(token) is not None]


def _check(books: LocalBooks) -> None:
    """Every book is what it must be at the end of a cycle."""
    for number, token in enumerate(venue.tokens()):
        book = books.get(token)
        bids, asks = venue.book_of(number)
        expected = [
            [(price * 1000, size * MICRO + MICRO // 4) for price, size in side]
            for side in (sorted(bids.items(), reverse=True), sorted(asks.items()))
        ]
        found = [[(level.price, level.size) for level in side] for side in (book.bids, book.asks)] if book else None
        same(f"the book of token {number}", found, expected)
    same("doubts", books.status.doubts, 0)


async def _play(session: aiohttp.ClientSession, base: str) -> dict[str, Any]:
    query = {"per_second": str(PER_SECOND), "seconds": str(SECONDS)}
    async with session.get(f"{base}/play", params=query, timeout=aiohttp.ClientTimeout(total=120)) as answer:
        found: dict[str, Any] = await answer.json()
        return found


async def _until(true: Callable[[], bool], seconds: float = 60.0) -> None:
    for _ in range(int(seconds / LOOK_SECONDS)):
        if true():
            return
        await asyncio.sleep(LOOK_SECONDS)
    raise TimeoutError(f"not within {seconds:.0f} s")


def _nothing(_token: str) -> None:
    """Nobody is asked."""


@asynccontextmanager
async def _channel() -> AsyncIterator[str]:
    """The other end's address."""
    process: Process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "pilotfish.cli.benches.channel_venue", stdin=PIPE, stdout=PIPE
    )
    assert process.stdout is not None
    assert process.stdin is not None
    try:
        yield f"http://127.0.0.1:{int(await process.stdout.readline())}"
    finally:
        process.stdin.close()
        await process.wait()
