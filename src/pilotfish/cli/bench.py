"""``bench``: figures as ratios with their two sides."""

from __future__ import annotations


def bench() -> None:
    """Measure."""
