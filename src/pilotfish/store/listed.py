"""A list told to people: cut between its items, and what is beyond is counted."""

from __future__ import annotations

from collections.abc import Sequence


def listed(items: Sequence[str], most: int, between: str = ", ", *, of: int = 0) -> str:
    """The first ``most`` items whole, and how many more there are; ``of``: how many in all, where not all are given."""
    some = items[:most]
    beyond = max(of, len(items)) - len(some)
    return between.join(some) + (f" and {beyond:,} more" if beyond else "")
