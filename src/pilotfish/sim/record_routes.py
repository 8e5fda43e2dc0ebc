"""The stand-in venue's Data API on a wallet's own trading: statistics, standing, value and closed positions."""

from __future__ import annotations

import time
from typing import Any

from aiohttp import web

from pilotfish.core.units import MICRO
from pilotfish.sim import asked
from pilotfish.sim.records import WalletRecord, closed_positions, open_positions, rank, read_record
from pilotfish.sim.venue import Venue


class RecordRoutes:
    """Handlers; :class:`~pilotfish.sim.data_routes.DataRoutes` mounts them."""

    def __init__(self, venue: Venue) -> None:
        self.venue = venue

    def _record(self, wallet: str) -> WalletRecord:
        return read_record(self.venue.chain, wallet, time.time())

    def _rank(self, wallet: str, by: str) -> int:
        return rank(self.venue.chain, wallet, time.time(), by)

    def _name(self, wallet: str) -> str:
        return next((c.label for c in self.venue.characters() if c.wallet == wallet), "")

    def _value(self, wallet: str) -> float:
        worth = [float(row["current_value"]) for row in open_positions(self.venue.chain, wallet)]
        return sum(worth)

    async def stats(self, request: web.Request) -> web.Response:
        """``/v2/user-stats``: ``data`` is null for somebody who never traded."""
        user = asked.user(request.query)
        record = self._record(user)
        if not record.trades:
            return web.json_response({"data": None})
        made = record.realized / MICRO
        so_far = {
            "timestamp": int(time.time()),
            "source_block": self.venue.chain.head,
            "trade_count": record.trades,
            "realized_market_pnl": made,
            "realized_lp_pnl": 0.0,
            "realized_combo_pnl": 0.0,
            "realized_pnl": made,
            "volume": record.shares / MICRO,
            "volume_usdc": record.volume / MICRO,
        }
        data = {
            "proxy_wallet": user,
            "trades": len(record.books),
            "biggest_win": max(0, *(book.realized for book in record.books.values())) / MICRO,
            "views": 0,
            "join_date": record.joined_at,
            "all_time_pnl": so_far,
        }
        return web.json_response({"data": data})

    async def standing(self, request: web.Request) -> web.Response:
        """``/v2/leaderboard`` of one wallet."""
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

    async def value(self, request: web.Request) -> web.Response:
        """``/v2/value``."""
        user = asked.user(request.query)
        return web.json_response({"data": {"proxy_wallet": user, "value": self._value(user)}})

    # -- v1 ----------------------------------------------------------------------------------------------------

    async def closed_positions_v1(self, request: web.Request) -> web.Response:
        """``/closed-positions``: at most 50 at once."""
        query = request.query
        limit, offset = min(50, asked.integer(query, "limit", 10)), asked.integer(query, "offset", 0)
        rows = [_closed_v1(row) for row in closed_positions(self.venue.chain, query.get("user", "").lower())]
        return web.json_response(rows[offset : offset + limit])

    async def value_v1(self, request: web.Request) -> web.Response:
        """``/value``."""
        user = request.query.get("user", "").lower()
        return web.json_response([{"user": user, "value": self._value(user)}])

    async def leaderboard_v1(self, request: web.Request) -> web.Response:
        """``/v1/leaderboard`` of one wallet."""
        user = request.query.get("user", "").lower()
        record = self._record(user)
        if not record.trades:
            return web.json_response([])
        row = {
            "rank": str(self._rank(user, "realized")),
            "proxyWallet": user,
            "userName": self._name(user),
            "xUsername": "",
            "verifiedBadge": False,
            "vol": record.volume / MICRO,
            "pnl": record.realized / MICRO,
            "profileImage": "",
        }
        return web.json_response([row])


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
