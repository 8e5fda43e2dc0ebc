"""Many spans of seconds, in order and apart: sixteen bytes each, so that those of a million trades fit."""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator


class Spans:
    """Spans (from, to) in epoch seconds, both inclusive."""

    __slots__ = ("highs", "lows")

    def __init__(self, pairs: Iterable[tuple[int, int]] = ()) -> None:
        self.lows, self.highs = array("q"), array("q")
        for low, high in pairs:
            self.lows.append(low)
            self.highs.append(high)

    def __len__(self) -> int:
        return len(self.lows)

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return zip(self.lows, self.highs, strict=True)

    def add(self, low: int, high: int, closer_than: int) -> None:
        """Another span, which begins no earlier than the last one; made one with it where less lies between."""
        if self.highs and low - self.highs[-1] < closer_than:
            self.highs[-1] = max(self.highs[-1], high)
        else:
            self.lows.append(low)
            self.highs.append(high)

    def within(self, low: int, high: int) -> Spans:
        """What of them lies between two seconds, both inclusive."""
        first, end = bisect_left(self.highs, low), bisect_right(self.lows, high)
        found = Spans()
        if first < end:
            found.lows, found.highs = self.lows[first:end], self.highs[first:end]
            found.lows[0], found.highs[-1] = max(low, found.lows[0]), min(high, found.highs[-1])
        return found

    def hold(self, low: int, high: int) -> bool:
        """Whether one of them holds all seconds from one to another."""
        place = bisect_right(self.lows, low) - 1
        return place >= 0 and high <= self.highs[place]
