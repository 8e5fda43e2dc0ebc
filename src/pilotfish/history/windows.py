"""Windows of history as file names say them, and which of several windows a second is read from.

A window is a span of epoch seconds, both inclusive. Its state is part of its file's name, so the listing of a folder is
all that is known of what is complete: no catalogue could disagree with it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from enum import StrEnum
from typing import NamedTuple

from pilotfish.history.spans import Spans


class State(StrEnum):
    """How whole a window is; where several hold the same second, the first of these counts: what was found to lack rows
    is not made whole by what was read before them."""

    COMPLETE = "complete"
    CAPPED = "capped"
    """Not all rows could be had: a wall, or rows that cannot be read."""
    FRESH = "fresh"
    """All that there was, but younger than an hour when it was read: rows can still come."""
    FAILED = "failed"
    """The venue did not answer, or not in a way that can be read."""


KNOWN = (State.COMPLETE, State.FRESH)
NOT_ASKED = "not asked"
_RANK = {state: n for n, state in enumerate(State)}
_NAME = re.compile(rf"(\d{{1,10}})-(\d{{1,10}})\.({'|'.join(State)})\.parquet")


class Window(NamedTuple):
    """A file of a (kind, key): its seconds and state."""

    from_at: int
    to_at: int
    state: State

    @property
    def name(self) -> str:
        """The file's name."""
        return f"{self.from_at}-{self.to_at}.{self.state}.parquet"


class Stretch(NamedTuple):
    """Seconds that are read from one window, or from none."""

    from_at: int
    to_at: int
    window: Window | None


def window_of(name: str) -> Window | None:
    """A window by its file's name; ``None`` for a name that is none."""
    found = _NAME.fullmatch(name)
    if found is None or int(found[1]) > int(found[2]):
        return None
    return Window(int(found[1]), int(found[2]), State(found[3]))


def cover(windows: Iterable[Window], from_at: int, to_at: int) -> list[Stretch]:
    """From which window each second of ``from_at`` to ``to_at`` is read, oldest first: of several the best, of equals
    the one that was read last. So a second counts once, whatever files a kill left behind."""
    left = [(from_at, to_at)] if from_at <= to_at else []
    found: list[Stretch] = []
    for window in sorted(windows, key=lambda w: (_RANK[w.state], -w.to_at, w.from_at)):
        if not left:
            break
        rest: list[tuple[int, int]] = []
        for low, high in left:
            a, b = max(low, window.from_at), min(high, window.to_at)
            if a > b:
                rest.append((low, high))
                continue
            found.append(Stretch(a, b, window))
            rest += [(low, a - 1)] if low < a else []
            rest += [(b + 1, high)] if b < high else []
        left = rest
    return sorted([*found, *(Stretch(a, b, None) for a, b in left)])


def parted(windows: Iterable[Window], spans: Spans) -> Iterator[tuple[Window | None, Spans]]:
    """Spans by the window that they are read from (``None``: not asked for), oldest first."""
    if spans:
        for stretch in cover(windows, spans.lows[0], spans.highs[-1]):
            part = spans.within(stretch.from_at, stretch.to_at)
            if part:
                yield stretch.window, part


def needless(windows: Sequence[Window]) -> list[Window]:
    """Windows from which no second is read any more."""
    if not windows:
        return []
    used = {s.window for s in cover(windows, min(w.from_at for w in windows), max(w.to_at for w in windows))}
    return [w for w in windows if w not in used]


def wanted(windows: Iterable[Window], from_at: int, to_at: int, *, again: bool = False) -> list[tuple[int, int]]:
    """The seconds that a pull still asks for: what is fresh, failed or was never asked, and (``again``) capped."""
    had = {State.COMPLETE} if again else {State.COMPLETE, State.CAPPED}
    usable = [w for w in windows if w.state in had]
    return joined((s.from_at, s.to_at) for s in cover(usable, from_at, to_at) if s.window is None)


def joined(spans: Iterable[tuple[int, int]], closer_than: int = 1) -> list[tuple[int, int]]:
    """Spans in order, those that are ``closer_than`` so many seconds apart made one."""
    found: list[tuple[int, int]] = []
    for low, high in sorted(spans):
        if found and low - found[-1][1] <= closer_than:
            found[-1] = (found[-1][0], max(found[-1][1], high))
        else:
            found.append((low, high))
    return found


def cut(spans: Iterable[tuple[int, int]], longest: int) -> list[tuple[int, int]]:
    """Spans cut into pieces of at most so many seconds."""
    return [(a, min(a + longest - 1, high)) for low, high in spans for a in range(low, high + 1, longest)]
