"""About how long a step still takes, by how fast it went in the last minute; nothing while that says too little."""

from __future__ import annotations

from collections import deque

LEAST_MS = 4_000
"""Milliseconds that a step has to go on before it is said how long it takes."""
LEAST_DONE = 3
"""Parts that have to be done before."""
WINDOW_MS = 60_000
"""What was done at the beginning says little of the end: parts that are there already pass at once."""
APART_MS = 500
"""Milliseconds between two looks that are remembered."""


class Pace:
    """Hears how far a step is; gives about how long it still takes."""

    def __init__(self) -> None:
        self._step = ""
        self._seen: deque[tuple[int, int]] = deque()
        """When (ms) how many parts were done; the first is the newest that is older than :data:`WINDOW_MS`."""

    def left_sec(self, step: str, done: int, of: int, at_ms: int) -> int | None:
        """Seconds that a step still takes, of which ``done`` of ``of`` parts are done at ``at_ms`` (any clock that
        never goes back); ``None`` while that is not known."""
        seen = self._seen
        if step != self._step or (seen and done < seen[-1][1]):
            self._step = step
            seen.clear()
        if not seen or (done > seen[-1][1] and at_ms - seen[-1][0] >= APART_MS):
            seen.append((at_ms, done))
        while len(seen) > 1 and at_ms - seen[1][0] >= WINDOW_MS:
            seen.popleft()
        (begun_ms, before), left = seen[0], of - done
        spent, made = at_ms - begun_ms, done - before
        if left <= 0 or spent < LEAST_MS or made < LEAST_DONE:
            return None
        return -(-left * spent // (made * 1000))
