"""The stand-in venue's ``/v2/prices-history``: what a token was worth, as finely as the venue still knows it
(PROTOCOL.md section 4)."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from aiohttp import web

from pilotfish.core.units import MICRO
from pilotfish.sim.asked import Refusal, integer
from pilotfish.sim.data_shapes import page_of
from pilotfish.sim.past_markets import OldMarket
from pilotfish.sim.venue import Venue

DAY = 86_400
LONGEST = 15 * DAY
"""Seconds of the longest window that is answered."""
MOST_POINTS = 10_000
FINENESS = ((7 * DAY, 60), (60 * DAY, 300), (90 * DAY, 1_800))
"""Up to this age there is a price every so many seconds."""
COARSE = 3 * 3_600
INTERVALS = {"1h": 3_600, "6h": 6 * 3_600, "1d": DAY, "1w": 7 * DAY, "1m": 30 * DAY, "max": LONGEST, "all": LONGEST}


class LineRoutes:
    """The handler; :class:`~pilotfish.sim.data_routes.DataRoutes` mounts it."""

    def __init__(self, venue: Venue) -> None:
        self.venue = venue

    async def prices(self, request: web.Request) -> web.Response:
        """``/v2/prices-history``: a window (``start`` with ``end``), an ``interval`` until now, or the price ``as_of``
        a second."""
        query, now = request.query, int(time.time())
        token = query.get("token_id", "")
        if not token:
            raise Refusal("token_id", "token_id is required")
        if sum(bool(query.get(name)) for name in ("start", "interval", "as_of")) != 1:
            raise Refusal("start", "exactly one of start, interval and as_of is required")
        start, end = _window(query, now)
        least = integer(query, "bucket_seconds", 60)
        old = self.venue.archive.old_market(token)
        points = _old(old, token, start, end, now, least) if old is not None else self._live(token, start, end, least)
        limit = min(MOST_POINTS, integer(query, "limit", MOST_POINTS))
        after = integer(query, "cursor", 0)
        rows = [row for row in points if row["timestamp"] > after]
        if query.get("as_of"):
            rows = rows[-1:]
        page, more = rows[:limit], len(rows) > limit
        cursor = str(page[-1]["timestamp"]) if more else None
        return web.json_response(page_of(page, limit, cursor))

    def _live(self, token: str, start: int, end: int, least: int) -> list[dict[str, Any]]:
        """The last price of each minute in which a token was traded."""
        market = self.venue.archive.market(token)
        if market is None:
            return []
        last: dict[int, float] = {}
        for row in self.venue.archive.tape(market.condition_id, time.time()):
            if start <= row.timestamp <= end:
                price = row.data["price"] if row.data["token_id"] == token else 1 - row.data["price"]
                last[row.timestamp // least * least] = price
        return [_point(max(start, second), round(price, 10), least) for second, price in sorted(last.items())]


def _window(query: Any, now: int) -> tuple[int, int]:
    if query.get("as_of"):
        at = integer(query, "as_of", now)
        return at - LONGEST, at
    if query.get("interval"):
        if query["interval"] not in INTERVALS:
            raise Refusal("interval", f"one of {', '.join(INTERVALS)}")
        return now - INTERVALS[query["interval"]], now
    start, end = integer(query, "start", 0), integer(query, "end", now)
    if not start <= end <= start + LONGEST:
        raise Refusal("end", "the window must not end before start or exceed 15 days")
    return start, end


def _old(market: OldMarket, token: str, start: int, end: int, now: int, least: int) -> list[dict[str, Any]]:
    """An old market's prices between its opening and its end, and what it was settled at."""
    outcome = market.tokens.index(token) if token in market.tokens else 0
    first, last = max(start, market.opens_at), min(end, market.closes_at)
    rows = [_point(at, market.mid(outcome, at) / MICRO, every) for at, every in _grid(first, last, now, least)]
    if start <= market.resolved_at <= end:
        rows.append(_point(market.resolved_at, market.payouts[outcome] / MICRO, 0))
    return rows


def _grid(first: int, last: int, now: int, least: int) -> Iterator[tuple[int, int]]:
    """Seconds of which the price is still known, and how far apart they are."""
    second = first
    while second <= last:
        every = max(least, next((fine for age, fine in FINENESS if now - second <= age), COARSE))
        at = -(-second // every) * every
        if at <= last:
            yield at, every
        second = at + 1


def _point(at: int, price: float, resolution: int) -> dict[str, Any]:
    return {"timestamp": at, "price": price, "resolution_seconds": resolution}
