"""What is missing of a leader's history: seconds of which not all rows could be had, as (from, to), both inclusive."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeAlias

Gap: TypeAlias = tuple[int, int]
"""Epoch seconds, both inclusive."""
FOREVER = 2**40
"""The second in which an open end ends."""


def after_reading(gaps: Iterable[Gap], start: int, end: int | None, found: Iterable[Gap]) -> set[Gap]:
    """The gaps that are left after everything from ``start`` to ``end`` (``None`` = now) was read but for ``found``."""
    last = FOREVER if end is None else end
    left: set[Gap] = set(found)
    for low, high in gaps:
        if high < start or low > last:
            left.add((low, high))
            continue
        if low < start:
            left.add((low, start - 1))
        if high > last:
            left.add((last + 1, high))
    return left
