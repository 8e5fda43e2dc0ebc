"""All rows of a window of one wallet's activity, each exactly as often as the venue has it, or what is missing.

A window is read page by page by *time*: of a full page only the seconds before its last one are kept, and the next page
begins with that second. So all rows of a second come from one answer, and a row that appears between two pages counts
once. A service that does not answer oldest first, whatever it was asked, is read by halves of the window until each
fits into a page. Only a second with more rows than a page is read by cursor or offset, its pages compared at their
edges: one that brings no new row is a wall, never progress, and a second with a wall is a gap.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from pilotfish.polymarket import wire
from pilotfish.polymarket.rows import RowError, as_row, parse_timestamp
from pilotfish.polymarket.usual_rows import UsualRow

MAX_REQUESTS = 200
"""Answers of one reading; what lies behind them is read next time."""
SHIFTS = 3
"""How often a second is read whose pages do not fit together."""
EDGE = 20
"""Rows of a page that are asked for again with the next one, where pages go by offset."""


@dataclass(slots=True)
class Answer:
    """One page. ``asked``: how many rows it may hold; ``more``: the service has more, as far as it says or as its
    number of rows shows; ``cursor`` asks for them where pages go by cursor."""

    rows: list[Any]
    asked: int
    more: bool
    cursor: str | None = None


Fetch: TypeAlias = Callable[[int, int | None, str | None, int], Awaitable[Answer]]
"""``(start, end, cursor, skip)``: rows of these seconds, both inclusive (``end`` None = until now), after a cursor, or
leaving out the first ``skip``."""


@dataclass(slots=True)
class Reading:
    """``rows`` with their second (0 = it cannot be read). ``through``: every second before it is read (``None`` = to
    the newest row); ``gaps``: seconds of which not all rows could be had."""

    rows: list[tuple[int, Any]] = field(default_factory=list)
    through: int | None = None
    gaps: list[int] = field(default_factory=list)
    behind: tuple[int, int] | None = None
    requests: int = 0


class BoundsError(Exception):
    """The service does not keep to the window that was asked for, and answers with a part of it only."""


class _EnoughError(Exception):
    """The reading is long enough; the rest is for the next one."""


class Walk:
    """One reading of at most ``most`` answers. Pages within a second go by offset up to ``max_offset``, or by cursor
    (``None``); where such pages seem to overlap or to say the same again, which identical fills can feign, a ``strict``
    walk calls the second a gap."""

    def __init__(
        self,
        fetch: Fetch,
        *,
        max_offset: int | None,
        heard: Callable[[], None] = lambda: None,
        most: int | None = None,
        strict: bool = False,
    ) -> None:
        self._fetch = fetch
        self._max_offset = max_offset
        self._heard = heard
        self._most = MAX_REQUESTS if most is None else most
        self._strict = strict
        self._requests = 0
        self._found = Reading()

    async def read(self, start: int, end: int | None, now: int) -> Reading:
        """All rows from ``start`` to ``end`` (epoch seconds, inclusive; ``None`` = to the newest)."""
        windows: list[tuple[int, int | None]] = [(start, end)]
        while windows:
            low, high = windows.pop()
            try:
                windows += await self._window(low, high, now)
            except _EnoughError:
                self._found.through = low
                break
        self._found.requests = self._requests
        return self._found

    async def _ask(self, start: int, end: int | None, cursor: str | None = None, skip: int = 0) -> Answer:
        if self._requests >= self._most:
            raise _EnoughError
        self._requests += 1
        answer = await self._fetch(start, end, cursor, skip)
        self._heard()
        return answer

    async def _window(self, low: int, high: int | None, now: int) -> list[tuple[int, int | None]]:
        """Read a window as far as one page goes; returns the windows that are left of it, the newest first."""
        page = await self._ask(low, high)
        stamped = [(stamp_of(row), row) for row in page.rows]
        stamps = [s for s, _ in stamped if s]
        inside = [(s, row) for s, row in stamped if not s or (s >= low and (high is None or s <= high))]
        rising = all(a <= b for a, b in itertools.pairwise(stamps))
        past = rising and high is not None and bool(stamps) and stamps[-1] > high
        if not page.more or not page.rows or past:
            self._found.rows += inside if rising else inside[::-1]
            return []
        if len(inside) < len(stamped):
            raise BoundsError(f"asked for {low} to {high or 'now'}, got rows from {min(stamps)} to {max(stamps)}")
        last = high if high is not None else max(now, *stamps, low)
        kept = [s for s, _ in inside if s]
        if last == low or (kept and min(kept) == max(kept) == low and rising):
            await self._second(low, page if last == low else await self._ask(low, low))
            return [] if low == high else [(low + 1, high)]
        if not rising or not kept:
            middle = (low + last) // 2
            return [(middle + 1, high), (low, middle)]
        newest = max(kept)
        if min(kept) == newest:
            return [(newest, high), (low, newest - 1)]
        self._found.rows += [(s, row) for s, row in inside if s < newest]
        return [(newest, high)]

    # -- one second with more rows than a page -----------------------------------------------------------------

    async def _second(self, second: int, page: Answer) -> None:
        for _ in range(SHIFTS):
            by_cursor = self._max_offset is None
            rows, whole, shifted = await (self._by_cursor if by_cursor else self._by_offset)(second, page)
            if not shifted:
                break
            page = await self._ask(second, second)
        self._found.rows += [(second, row) for row in rows]
        if not whole:
            self._found.gaps.append(second)

    async def _by_offset(self, second: int, page: Answer) -> tuple[list[Any], bool, bool]:
        """(rows, whether that is all, whether the pages did not fit together because a row came in between)."""
        rows = _of(second, page.rows)
        assert self._max_offset is not None
        while page.more:
            edge = min(EDGE, len(rows))
            if len(rows) - edge > self._max_offset:
                return rows, False, False
            following = await self._ask(second, second, skip=len(rows) - edge)
            new = _of(second, following.rows)
            if _keys(new[:edge]) != _keys(rows[len(rows) - edge :]):
                known = not Counter(_keys(new)) - Counter(_keys(rows))
                return rows, False, not known
            if len(new) > edge and _keys(new) == _keys(_of(second, page.rows)):
                return rows, False, False
            rows += new[edge:]
            if len(new) == edge:
                break
            page = following
        return rows, True, False

    async def _by_cursor(self, second: int, page: Answer) -> tuple[list[Any], bool, bool]:
        rows = _of(second, page.rows)
        cursors, doubtful = set(), False
        while page.more and page.cursor is not None:
            full = len(page.rows) >= page.asked
            ended = not full and not self._strict
            if page.cursor in cursors:
                return rows, ended, False
            cursors.add(page.cursor)
            following = await self._ask(second, second, page.cursor)
            new = _of(second, following.rows)
            same = len(new) > 1 and _keys(new) == _keys(_of(second, page.rows))
            nothing_new = not Counter(_keys(new)) - Counter(_keys(rows))
            if new and (same or (nothing_new and following.more)):
                return rows, ended, False
            known = overlap(_keys(rows), _keys(new), strict=self._strict)
            doubtful = doubtful or (self._strict and known > 0)
            rows += new[known:]
            if not new:
                break
            page = following
        return rows, not doubtful, False


def stamp_of(row: Any) -> int:
    """A row's second; 0 where it cannot be read."""
    if type(row) is UsualRow:
        return row.timestamp
    try:
        return parse_timestamp(as_row(row).get("timestamp"))
    except RowError:
        return 0


def _of(second: int, rows: Sequence[Any]) -> list[Any]:
    return [row for row in rows if stamp_of(row) in (0, second)]


def _keys(rows: Sequence[Any]) -> list[str]:
    return [row.text if type(row) is UsualRow else wire.encode(row) for row in rows]


def overlap(before: list[str], after: list[str], *, strict: bool) -> int:
    """How many rows at the beginning of a page are the end of the page before. Rows that are all alike are no sign of
    that, since identical fills of one transaction are, too; to who is ``strict`` they may be."""
    for n in range(min(len(before), len(after)), 0 if strict else 1, -1):
        if before[-n:] == after[:n] and (strict or len(set(after[:n])) > 1):
            return n
    return 0
