"""The Data API of the stand-in venue: v2, and v1 as it was."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from typing import Any

from aiohttp import web

from pilotfish.sim.asked import Refusal, integer
from pilotfish.sim.chain import FIRST_BLOCK, Row
from pilotfish.sim.data_shapes import (
    anchor_of,
    cursor_of,
    is_wanted,
    limit_of,
    page_of,
    public,
    resolution_row,
    token_row,
)
from pilotfish.sim.line_routes import LineRoutes
from pilotfish.sim.record_routes import RecordRoutes
from pilotfish.sim.records import closed_positions, open_positions
from pilotfish.sim.venue import Venue

V1_NAMES = {
    "proxy_wallet": "proxyWallet",
    "condition_id": "conditionId",
    "usdc_size": "usdcSize",
    "transaction_hash": "transactionHash",
    "token_id": "asset",
    "outcome_index": "outcomeIndex",
    "event_slug": "eventSlug",
    "is_combo": "isCombo",
    "profile_image": "profileImage",
    "profile_image_optimized": "profileImageOptimized",
}
SORTS = {
    "CURRENT_VALUE": "current_value",
    "PRICE": "current_price",
    "TOKENS": "current_size",
    "UNREALIZED_PNL": "unrealized_pnl",
    "REALIZED_PNL": "realized_pnl",
    "TOTAL_PNL": "total_pnl",
    "TIMESTAMP": "last_event_at",
}
"""What positions can be sorted by, and the field that holds it."""
MOST_CONDITIONS = 20
FOLLOWING = 3600
"""An activity request that starts at most this many seconds ago is taken for following."""


def error(status: int, code: str, message: str, parameter: str | None = None) -> web.Response:
    """An error in the service's shape."""
    body: dict[str, Any] = {
        "error": message,
        "code": code,
        "retryable": status in (429, 500, 503),
        "trace_id": f"{time.time_ns():x}",
    }
    if parameter:
        body["parameter"] = parameter
    headers = {"Retry-After": "1"} if status in (429, 503) else {}
    return web.json_response(body, status=status, headers=headers)


class DataRoutes:
    """Handlers; mounted under ``/data``."""

    def __init__(self, venue: Venue) -> None:
        self.venue = venue
        self._records = RecordRoutes(venue)
        self._lines = LineRoutes(venue)

    def routes(self) -> list[web.RouteDef]:
        """All routes."""
        v2 = {
            "/v2/activity": self.activity,
            "/v2/trades": self.trades,
            "/v2/positions": self.positions,
            "/v2/tokens": self.tokens,
            "/v2/resolutions": self.resolutions,
            "/v2/status": self.status,
            "/v2/user-stats": self._records.stats,
            "/v2/leaderboard": self._records.standing,
            "/v2/user-pnl": self._records.pnl,
            "/v2/value": self._records.value,
            "/v2/prices-history": self._lines.prices,
        }
        v1 = {
            "/activity": self.activity_v1,
            "/positions": self.positions_v1,
            "/closed-positions": self._records.closed_positions_v1,
            "/trades": self.activity_v1,
            "/value": self._records.value_v1,
            "/v1/leaderboard": self._records.leaderboard_v1,
        }
        return [
            *(web.get(f"/data{path}", self._v2(handler)) for path, handler in v2.items()),
            *(web.get(f"/data{path}", handler) for path, handler in v1.items()),
        ]

    def _v2(self, handler: Any) -> Any:
        async def answer(request: web.Request) -> web.Response:
            if self.venue.api_v1_only:
                return error(404, "not_found", "no such route")
            try:
                result: web.Response = await handler(request)
            except Refusal as refusal:
                return error(400, "invalid_request", str(refusal), refusal.parameter)
            return result

        return answer

    # -- v2 ----------------------------------------------------------------------------------------------------

    def _select(self, request: web.Request) -> list[Row]:
        query = request.query
        user = query.get("user", "").lower()
        start, end = integer(query, "start", 0), integer(query, "end", 2**40)
        if self.venue.habits.no_end:
            end = 2**40
        now = time.time()
        if self.venue.replay is not None and start >= now - FOLLOWING:
            self.venue.replay.followed(user)
        kinds = {k.strip().upper() for k in query.get("type", "").split(",") if k.strip()}
        condition = query.get("condition_id") or query.get("condition") or query.get("market")
        archive = self.venue.archive
        rows = archive.rows(user, now, start) if user or not condition else archive.tape(condition, now)
        rows = [r for r in rows if start <= r.timestamp <= end]
        if kinds:
            rows = [r for r in rows if r.data["type"] in kinds]
        if query.get("side"):
            rows = [r for r in rows if r.data["side"] == query["side"].upper()]
        if condition:
            rows = [r for r in rows if r.data["condition_id"] == condition]
        return rows

    def _walk(self, request: web.Request, rows: list[Row], ascending: bool) -> web.Response:
        query = request.query
        limit, habits = limit_of(query), self.venue.habits
        ascending = ascending and not habits.newest_first
        if not ascending:
            rows = rows[::-1]
        if query.get("cursor") and not habits.repeats:
            anchor = anchor_of(query["cursor"])
            place = next((i + 1 for i, r in enumerate(rows) if (r.timestamp, r.seq) == anchor), None)
            if place is None:
                rows = [r for r in rows if ((r.timestamp, r.seq) > anchor) == ascending]
            else:
                rows = rows[max(0, place - habits.overlap) :]
        page, more = rows[:limit], len(rows) > limit or habits.more_for_ever or (habits.repeats and len(rows) > 0)
        cursor = cursor_of(page[-1].timestamp, page[-1].seq) if more and page else query.get("cursor") if more else None
        self._answered(page, limit)
        return web.json_response(page_of([public(r.data) for r in page], limit, cursor))

    def _answered(self, page: list[Row], limit: int) -> None:
        """A full page went out: rows that appear between two pages are there from now on."""
        if len(page) >= limit:
            for row in self.venue.habits.between:
                self.venue.chain.add_row(str(row["proxy_wallet"]), row, time.time())
            self.venue.habits.between = []

    async def activity(self, request: web.Request) -> web.Response:
        """``/v2/activity``: a keyset walk over one user's rows."""
        _no_offset(request)
        if not request.query.get("user"):
            raise Refusal("user", "user is required")
        ascending = request.query.get("sort_direction", "DESC").upper() == "ASC"
        return self._walk(request, self._select(request), ascending)

    async def trades(self, request: web.Request) -> web.Response:
        """``/v2/trades`` of a wallet or of a market (its tape): takers' fills of a cent and more, unless asked
        otherwise; newest first."""
        _no_offset(request)
        query = request.query
        if not any(query.get(name) for name in ("user", "condition_id", "condition")):
            raise Refusal("user", "user or condition_id is required")
        rows = [r for r in self._select(request) if r.data["type"] == "TRADE" and is_wanted(r.data, query)]
        answer = self._walk(request, rows, query.get("sort_direction", "DESC").upper() == "ASC")
        body = json.loads(answer.text or "{}")
        for row in body["data"]:
            row.pop("type", None)
            row.pop("usdc_size", None)
        return web.json_response(body)

    async def positions(self, request: web.Request) -> web.Response:
        """``/v2/positions``."""
        _no_offset(request)
        query = request.query
        user, limit = query.get("user", "").lower(), limit_of(query)
        least, status = float(query.get("filter_amount", "0.1")), query.get("status", "OPEN")
        if status == "CLOSED" and query.get("include_archived"):
            raise Refusal("include_archived", "include_archived is invalid with CLOSED")
        if status == "CLOSED":
            rows = closed_positions(self.venue.archive, user)
        else:
            held = open_positions(self.venue.archive, user)
            rows = [r for r in held if r["current_size"] >= least and status in ("OPEN", r["status"])]
        if query.get("sort_by"):
            if query["sort_by"] not in SORTS:
                raise Refusal("sort_by", f"one of {', '.join(SORTS)}")
            name = SORTS[query["sort_by"]]
            rows.sort(key=lambda r: r[name] or 0, reverse=query.get("sort_direction", "DESC") == "DESC")
        skip = anchor_of(query["cursor"])[1] if query.get("cursor") else 0
        page, more = rows[skip : skip + limit], len(rows) > skip + limit
        return web.json_response(page_of(page, limit, cursor_of(0, skip + limit) if more else None))

    async def tokens(self, request: web.Request) -> web.Response:
        """``/v2/tokens``."""
        named = request.query.getall("token_id", [])
        wanted = [t for text in named for t in text.split(",") if t]
        condition = request.query.get("condition")
        if not wanted and not condition:
            raise Refusal("token_id", "token_id or condition is required")
        if len(wanted) > 50:
            raise Refusal("token_id", "at most 50")
        named_markets = [self.venue.archive.of_condition(c) for c in condition.split(",")] if condition else []
        wanted += [token for market in named_markets if market is not None for token in market.tokens]
        found = [(self.venue.archive.market(token), token) for token in wanted]
        return web.json_response({"data": [token_row(market, token) for market, token in found if market is not None]})

    async def resolutions(self, request: web.Request) -> web.Response:
        """``/v2/resolutions``."""
        wanted = (request.query.get("condition_id") or request.query.get("condition") or "").split(",")
        if len(wanted) > MOST_CONDITIONS:
            raise Refusal("condition_id", f"at most {MOST_CONDITIONS}")
        found = [self.venue.archive.of_condition(condition) for condition in dict.fromkeys(wanted)]
        rows = [resolution_row(market) for market in found if market is not None and not market.unlisted]
        return web.json_response(page_of(rows, 100, None))

    async def status(self, request: web.Request) -> web.Response:
        """``/v2/status``."""
        lag = round(self.venue.chain.api_lag[1])
        return web.json_response(
            {
                "data": {
                    "computed_at": datetime.now(UTC).isoformat(timespec="seconds"),
                    "age_seconds": 1,
                    "serving": {
                        "lag_seconds": lag,
                        "worst": "activity_feed",
                        "mechanisms": [{"name": "activity_feed", "age_seconds": lag}],
                    },
                    "ingestion": {
                        "cursors": 1,
                        "network": "polygon",
                        "chain_id": self.venue.chain_id,
                        "max_synced_block": self.venue.chain.head,
                        "min_synced_block": FIRST_BLOCK,
                        "lagging": [],
                    },
                }
            }
        )

    # -- v1 ----------------------------------------------------------------------------------------------------

    async def activity_v1(self, request: web.Request) -> web.Response:
        """``/activity``: offset paging, camelCase, newest first unless asked otherwise."""
        query = request.query
        try:
            rows = self._select(request)
            limit, offset = integer(query, "limit", 100), integer(query, "offset", 0)
        except Refusal as refusal:
            return error(400, "invalid_request", str(refusal), refusal.parameter)
        if limit > 500 or offset > 5000:
            return error(400, "invalid_request", "limit is at most 500, offset at most 5000")
        habits = self.venue.habits
        if query.get("sortDirection", "DESC").upper() != "ASC" or habits.newest_first:
            rows = rows[::-1]
        if habits.wall is not None and offset + limit > habits.wall:
            offset = max(0, habits.wall - limit)
        found = rows[offset : offset + limit]
        self._answered(found, limit)
        return web.json_response([{V1_NAMES.get(k, k): v for k, v in public(r.data).items()} for r in found])

    async def positions_v1(self, request: web.Request) -> web.Response:
        """``/positions``."""
        query = request.query
        least = float(query.get("sizeThreshold", "1"))
        limit, offset = integer(query, "limit", 100), integer(query, "offset", 0)
        rows = [
            {
                "proxyWallet": r["proxy_wallet"],
                "asset": r["token_id"],
                "conditionId": r["condition_id"],
                "size": r["current_size"],
                "avgPrice": r["avg_price"],
                "curPrice": r["current_price"],
                "currentValue": r["current_value"],
                "cashPnl": r["unrealized_pnl"],
                "realizedPnl": r["realized_pnl"],
                "redeemable": r["redeemable"],
                "title": r["title"],
                "outcome": r["outcome"],
                "outcomeIndex": r["outcome_index"],
            }
            for r in open_positions(self.venue.archive, query.get("user", "").lower())
            if r["current_size"] >= least
        ]
        return web.json_response(rows[offset : offset + limit])


def _no_offset(request: web.Request) -> None:
    if "offset" in request.query:
        raise Refusal("offset", "offset is not supported; use cursor")
