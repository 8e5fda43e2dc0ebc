"""Rows of a window from a service that keeps to no window: its newest rows, read back page by page to older ones.

Such a service gives a whole feed, newest first. Pages go on by cursor or by offset and must bring something new: one
that does not is a wall, and what lies behind it is not known.
"""

from __future__ import annotations

import itertools
from collections import Counter
from typing import Any

from pilotfish.polymarket import wire
from pilotfish.polymarket.activity import EDGE, Answer, Fetch, Reading, overlap, stamp_of


async def read_back(fetch: Fetch, max_offset: int | None, start: int, end: int, most: int) -> Reading:
    """Rows from ``start`` to ``end`` (epoch seconds, inclusive), oldest first, of at most ``most`` answers; the seconds
    that could not be reached lie ``behind``. Where nothing shows that the newest come first, all of them do."""
    rows: list[Any] = []
    page = await fetch(start, end, None, 0)
    known_from, falling = end + 1, False
    cursors: set[str | None] = {None}
    for asked in range(1, most + 1):
        fresh = _new(rows, page, max_offset is not None)
        if fresh is None:
            break
        rows += fresh
        stamps = [s for s in map(stamp_of, rows) if s]
        falling = all(a >= b for a, b in itertools.pairwise(stamps)) and len(set(stamps)) > 1
        if not page.more or (falling and stamps[-1] < start):
            known_from, falling = start, True
            break
        known_from = min(known_from, stamps[-1] + 1) if stamps else known_from
        by_cursor = max_offset is None
        if asked == most or (by_cursor and page.cursor in cursors) or (not by_cursor and len(rows) > (max_offset or 0)):
            break
        cursors.add(page.cursor)
        page = await fetch(start, end, page.cursor, max(0, len(rows) - EDGE))
    known_from = known_from if falling else end + 1
    kept = [(s, row) for row in reversed(rows) if not (s := stamp_of(row)) or max(start, known_from) <= s <= end]
    behind = (start, min(known_from - 1, end)) if known_from > start else None
    return Reading(rows=kept, behind=behind, requests=asked)


def _new(rows: list[Any], page: Answer, edged: bool) -> list[Any] | None:
    """What a page adds; ``None`` where it does not go on where the one before ended."""
    if not rows:
        return page.rows
    new = page.rows
    if edged:
        edge = min(EDGE, len(rows))
        if list(map(wire.encode, new[:edge])) != list(map(wire.encode, rows[-edge:])):
            return None
        new = new[edge:]
        return new or None
    before, after = list(map(wire.encode, rows)), list(map(wire.encode, new))
    return new if Counter(after) - Counter(before) and not overlap(before, after, strict=True) else None
