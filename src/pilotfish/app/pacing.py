"""How often something is done whose cost grows with what there is to go over: so seldom that it takes a small share of
a core, whatever there is."""

from __future__ import annotations

import time

SHARE = 0.01
"""Of a core, at the most, that each of them takes."""


class Pacing:
    """The pause after a round: ``least`` seconds, or more where a round costs much, up to ``most``."""

    def __init__(self, least: float, most: float) -> None:
        self._least, self._most = least, most
        self._began = 0.0

    def begin(self) -> None:
        """A round begins, on this thread."""
        self._began = time.thread_time()

    def pause(self) -> float:
        """The round is over, on the same thread: how many seconds the next one may wait."""
        return min(self._most, max(self._least, (time.thread_time() - self._began) / SHARE))
