"""From a reading to windows: what was read is complete, but for seconds that lack rows and those that are too young."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable
from typing import Any, NamedTuple

from pilotfish.history.windows import State, Window, joined
from pilotfish.polymarket.activity import Reading
from pilotfish.polymarket.rows import RowError

SETTLED = 3600
"""Seconds after which no row comes any more: the venue's own feeds were up to an hour late (PROTOCOL.md section 4)."""


class Part(NamedTuple):
    """A window with its records, and why it is not complete."""

    window: Window
    records: list[Any]
    why: str = ""


def parts_of(reading: Reading, parse: Callable[[Any], Any], low: int, high: int, now: int) -> list[Part]:
    """A reading of the seconds ``low`` to ``high`` as windows, oldest first. A row that cannot be read makes its second
    one that lacks a row; one whose second cannot be read, all of them."""
    holes = [(s, s) for s in reading.gaps]
    whys = dict.fromkeys(reading.gaps, "more rows in this second than the venue gives")
    if reading.behind is not None:
        holes.append(reading.behind)
        whys[reading.behind[0]] = "the venue keeps to no window, and gives no more rows than these"
    records: list[Any] = []
    for stamp, row in reading.rows:
        try:
            record = parse(row)
        except RowError as problem:
            hole = (stamp, stamp) if low <= stamp <= high else (low, high)
            holes.append(hole)
            whys[hole[0]] = f"a row cannot be read: {problem}"
            continue
        if low <= record.at <= high:
            records.append(record)
    records.sort(key=lambda record: record.at)
    seconds = [record.at for record in records]
    windows = _windows(joined((max(low, a), min(high, b)) for a, b in holes), low, high, now - SETTLED)
    return [
        Part(
            window,
            records[bisect_left(seconds, window.from_at) : bisect_right(seconds, window.to_at)],
            next((why for s, why in whys.items() if window.from_at <= s <= window.to_at), "")
            if window.state is State.CAPPED
            else "",
        )
        for window in windows
    ]


def _windows(holes: list[tuple[int, int]], low: int, high: int, settled: int) -> list[Window]:
    """The seconds from ``low`` to ``high``: capped in the holes, else complete, or fresh where younger."""
    found: list[Window] = []
    at = low
    for a, b in [*holes, (high + 1, high + 1)]:
        if at <= min(a - 1, settled):
            found.append(Window(at, min(a - 1, settled), State.COMPLETE))
        if max(at, settled + 1) <= a - 1:
            found.append(Window(max(at, settled + 1), a - 1, State.FRESH))
        if a <= high:
            found.append(Window(a, b, State.CAPPED))
        at = b + 1
    return found
