"""How fast a service may be asked: the documented limits, each declared once, and who waits for whom below them."""

from __future__ import annotations

from collections.abc import Mapping

from aiolimiter import AsyncLimiter

USED = 0.95
"""The part of a documented limit that is used; the rest is for clocks that differ, and requests that bunch up."""
DATA, POSITIONS, TRADES = 100 * USED, 15 * USED, 20 * USED
"""Requests a second to the Data API: all together, and to two kinds of its routes (PROTOCOL.md section 4)."""
DATA_ROUTES = {"/v2/positions": POSITIONS, "/positions": POSITIONS, "/v2/trades": TRADES, "/trades": TRADES}
BURST_SECONDS = 0.2
"""So much of a rate may be asked for at once, and ten requests in any case."""


def _limiter(per_second: float) -> AsyncLimiter:
    burst = max(1, int(max(min(10, 2 * per_second), BURST_SECONDS * per_second)))
    return AsyncLimiter(burst, burst / per_second)


class Throttle:
    """``per_second`` for all requests together; ``routes`` have limits of their own (path -> requests a second).

    A part of the rate can be kept free (:meth:`keep_free`) for requests that must not wait for the others.
    """

    def __init__(self, per_second: float, routes: Mapping[str, float] | None = None) -> None:
        self._per_second = per_second
        self._all = _limiter(per_second)
        self._routes = {path: _limiter(limit) for path, limit in (routes or {}).items()}
        self._free = 0.0
        self._others = self._all

    def keep_free(self, per_second: float) -> None:
        """Keep so many requests a second free for those that are made as ``first``."""
        free = min(per_second, 0.95 * self._per_second)
        if abs(free - self._free) > 0.05 * self._per_second:
            self._free, self._others = free, _limiter(self._per_second - free)

    async def wait(self, path: str, *, first: bool) -> None:
        """Until a request may be made; ``first``: what was kept free is for this one."""
        route = self._routes.get(path)
        if route is not None:
            await route.acquire()
        if not first and self._others is not self._all:
            await self._others.acquire()
        await self._all.acquire()
