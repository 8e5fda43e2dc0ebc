"""The stand-in venue's Data API on a wallet's own trading: statistics, standing, value and closed positions."""

from __future__ import annotations

import time
from bisect import bisect_left
from typing import Any, NamedTuple

from aiohttp import web

from pilotfish.core.units import MICRO
from pilotfish.sim import asked
from pilotfish.sim.data_shapes import limit_of, page_of
from pilotfish.sim.records import WalletRecord, begun_record, closed_positions, open_positions, rank, read_record
from pilotfish.sim.venue import Venue

DAY = 86_400
EVER = 2**40
STEPS = {"1d": DAY, "18h": 64_800, "12h": 43_200, "3h": 10_800, "1h": 3_600}
"""Seconds between two points of what somebody made."""
SPANS = {"max": EVER, "all": EVER, "1m": 30 * DAY, "1w": 7 * DAY, "1d": DAY, "12h": 43_200, "6h": 21_600}
"""How far back such a line reaches."""
PERIODS = {"day": DAY, "week": 7 * DAY, "month": 30 * DAY, "all": EVER}
"""What a standing is of."""


class _Line(NamedTuple):
    """Of somebody within a period: what they made, and how many shares they bought, in millionths."""

    wallet: str
    made: int
    volume: int


class RecordRoutes:
    """Handlers; :class:`~pilotfish.sim.data_routes.DataRoutes` mounts them."""

    def __init__(self, venue: Venue) -> None:
        self.venue = venue

    def _record(self, wallet: str) -> WalletRecord:
        return read_record(self.venue.archive, wallet, time.time())

    def _rank(self, wallet: str, by: str) -> int:
        return rank(self.venue.archive, wallet, time.time(), by)

    def _name(self, wallet: str) -> str:
        return next((c.label for c in self.venue.everybody() if c.wallet == wallet), "")

    def _value(self, wallet: str) -> float:
        worth = [float(row["current_value"]) for row in open_positions(self.venue.archive, wallet)]
        return sum(worth)

    async def stats(self, request: web.Request) -> web.Response:
        """``/v2/user-stats``: ``data`` is null for somebody who never traded."""
        user = asked.user(request.query)
        record = self._record(user)
        if not record.trades:
            return web.json_response({"data": None})
        data = {
            "proxy_wallet": user,
            "trades": len(record.books),
            "biggest_win": max(0, *(book.realized for book in record.books.values())) / MICRO,
            "views": 0,
            "join_date": record.joined_at,
            "all_time_pnl": self._point(record, int(time.time())),
        }
        return web.json_response({"data": data})

    def _point(self, record: WalletRecord, at: int) -> dict[str, Any]:
        """What a record comes to at a second, as the venue puts it."""
        made = record.realized / MICRO
        return {
            "timestamp": at,
            "source_block": self.venue.chain.head,
            "trade_count": record.trades,
            "realized_market_pnl": made,
            "realized_lp_pnl": 0.0,
            "realized_combo_pnl": 0.0,
            "realized_pnl": made,
            "volume": record.shares / MICRO,
            "volume_usdc": record.volume / MICRO,
        }

    async def pnl(self, request: web.Request) -> web.Response:
        """``/v2/user-pnl``: what somebody had made by the end of each step, the last one now."""
        user, query = asked.user(request.query), request.query
        interval, fidelity = query.get("interval", "max"), query.get("fidelity", "1d")
        for name, value, known in (("interval", interval, SPANS), ("fidelity", fidelity, STEPS)):
            if value not in known:
                raise asked.Refusal(name, f"one of {', '.join(known)}")
        now, step = int(time.time()), STEPS[fidelity]
        record = begun_record(self.venue.archive, user)
        rows = self.venue.archive.rows(user, now)
        begin = max(rows[0].timestamp if rows else now, now - SPANS[interval])
        points, ends = [], -(-begin // step) * step
        for row in rows:
            while ends <= row.timestamp:
                points.append(self._point(record, ends))
                ends += step
            record.take(row, self.venue.archive)
        points += [self._point(record, at) for at in (*range(ends, now, step), now)] if rows else []
        data = {"proxy_wallet": user, "interval": interval, "fidelity": fidelity, "source_fidelity": "1h"}
        return web.json_response({"data": {**data, "points": points}})

    async def standing(self, request: web.Request) -> web.Response:
        """``/v2/leaderboard``: of one wallet, or everybody by what they made."""
        if not request.query.get("user"):
            return self._board(request.query)
        user = asked.user(request.query)
        record = self._record(user)
        data = {
            "user_id": user,
            "pnl": record.realized / MICRO,
            "volume": record.shares / MICRO,
            "user_name": self._name(user),
            "profile_image": "",
            "x_username": "",
            "verified": False,
            "rank_pnl": self._rank(user, "realized"),
            "rank_volume": self._rank(user, "volume"),
        }
        return web.json_response({"data": data})

    def _board(self, query: Any) -> web.Response:
        """All who traded within ``time_period``, by PNL or VOLUME."""
        period, by = query.get("time_period", "day"), query.get("sort_by", "PNL")
        for name, value, known in (("time_period", period, PERIODS), ("sort_by", by, ("PNL", "VOLUME"))):
            if value not in known:
                raise asked.Refusal(name, f"one of {', '.join(known)}")
        limit, skip = limit_of(query), asked.integer(query, "cursor", 0)
        ranked = [
            {
                "rank": rank,
                "user_id": line.wallet,
                "pnl": line.made / MICRO,
                "volume": line.volume / MICRO,
                "user_name": self._name(line.wallet),
                "profile_image": "",
                "x_username": "",
                "verified": False,
            }
            for rank, line in enumerate(self._lines(period, by), 1)
        ]
        page, more = ranked[skip : skip + limit], len(ranked) > skip + limit
        cursor = str(skip + limit) if more else None
        return web.json_response(page_of(page, limit, cursor))

    def _lines(self, period: str, by: str) -> list[_Line]:
        """Everybody who traded within a period, the first of the board first."""
        now = time.time()
        lines: list[_Line] = []
        for wallet in self.venue.archive.wallets():
            rows = self.venue.archive.rows(wallet, now)
            first = bisect_left(rows, now - PERIODS[period], key=lambda row: row.timestamp)
            record = begun_record(self.venue.archive, wallet)
            for row in rows[:first]:
                record.take(row, self.venue.archive)
            made, volume, trades = record.realized, record.shares, record.trades
            for row in rows[first:]:
                record.take(row, self.venue.archive)
            if record.trades > trades:
                lines.append(_Line(wallet, record.realized - made, record.shares - volume))
        return sorted(lines, key=lambda line: (-(line.made if by == "PNL" else line.volume), line.wallet))

    async def value(self, request: web.Request) -> web.Response:
        """``/v2/value``."""
        user = asked.user(request.query)
        return web.json_response({"data": {"proxy_wallet": user, "value": self._value(user)}})

    # -- v1 ----------------------------------------------------------------------------------------------------

    async def closed_positions_v1(self, request: web.Request) -> web.Response:
        """``/closed-positions``: at most 50 at once."""
        query = request.query
        limit, offset = min(50, asked.integer(query, "limit", 10)), asked.integer(query, "offset", 0)
        rows = [_closed_v1(row) for row in closed_positions(self.venue.archive, query.get("user", "").lower())]
        return web.json_response(rows[offset : offset + limit])

    async def value_v1(self, request: web.Request) -> web.Response:
        """``/value``."""
        user = request.query.get("user", "").lower()
        return web.json_response([{"user": user, "value": self._value(user)}])

    async def leaderboard_v1(self, request: web.Request) -> web.Response:
        """``/v1/leaderboard`` of one wallet, or everybody, at most 50 at once."""
        query = request.query
        user = query.get("user", "").lower()
        if not user:
            period, by = query.get("timePeriod", "DAY").lower(), query.get("orderBy", "PNL")
            skip, limit = asked.integer(query, "offset", 0), min(50, asked.integer(query, "limit", 25))
            lines = self._lines(period if period in PERIODS else "day", "PNL" if by == "PNL" else "VOLUME")
            page = enumerate(lines[skip : skip + limit], skip + 1)
            return web.json_response([self._v1(n, line.wallet, line.volume, line.made) for n, line in page])
        record = self._record(user)
        if not record.trades:
            return web.json_response([])
        return web.json_response([self._v1(self._rank(user, "realized"), user, record.volume, record.realized)])

    def _v1(self, rank: int, wallet: str, volume: int, made: int) -> dict[str, Any]:
        return {
            "rank": str(rank),
            "proxyWallet": wallet,
            "userName": self._name(wallet),
            "xUsername": "",
            "verifiedBadge": False,
            "vol": volume / MICRO,
            "pnl": made / MICRO,
            "profileImage": "",
        }


def _closed_v1(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "proxyWallet": row["proxy_wallet"],
        "asset": row["token_id"],
        "conditionId": row["condition_id"],
        "avgPrice": row["avg_price"],
        "totalBought": row["total_size"],
        "realizedPnl": row["realized_pnl"],
        "curPrice": row["current_price"],
        "title": row["title"],
        "slug": row["slug"],
        "eventSlug": row["event_slug"],
        "outcome": row["outcome"],
        "outcomeIndex": row["outcome_index"],
        "oppositeOutcome": row["opposite_outcome"],
        "oppositeAsset": row["opposite_token_id"],
        "endDate": row["end_date"],
        "timestamp": row["last_event_at"],
    }
