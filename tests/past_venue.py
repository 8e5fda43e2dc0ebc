"""A venue with a past, over a real socket: the routes that a pull of history reads, and what can be odd about them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from pilotfish.polymarket.history_api import HistoryApi
from pilotfish.polymarket.http import Service, make_session

WALLET = "0x" + "a1" * 20
OTHER = "0x" + "b2" * 20
NOW = 1_790_000_000


def condition_id(n: int) -> str:
    return f"0x{n + 1:064x}"


def token_ids(n: int) -> tuple[str, str]:
    return str(10_001 + 2 * n), str(10_002 + 2 * n)


def trade(n: int, at: int, *, market: int = 0, outcome: int = 0, side: str = "BUY", size: float = 10.0,
          price: float = 0.5, wallet: str = WALLET, **more: Any) -> dict[str, Any]:  # fmt: skip
    return {
        "type": "TRADE", "proxy_wallet": wallet, "timestamp": at, "transaction_hash": f"0x{n:064x}", "is_combo": False,
        "condition_id": condition_id(market), "token_id": token_ids(market)[outcome], "side": side, "size": size,
        "usdc_size": size * price, "price": price, "outcome": "Yes", "outcome_index": outcome, "title": "Will it?",
        "slug": f"m-{market}", "event_slug": "", **more,
    }  # fmt: skip


def move(kind: str, n: int, at: int, usdc: float, *, market: int = 0) -> dict[str, Any]:
    return {
        "type": kind, "proxy_wallet": WALLET, "timestamp": at, "transaction_hash": f"0x{n:064x}",
        "condition_id": condition_id(market), "token_id": "", "side": "", "usdc_size": usdc,
    }  # fmt: skip


@dataclass
class PastVenue:
    """What the venue has. ``page`` is the most rows of a page; ``every``: seconds from price to price; ``no_bounds``:
    start and end are ignored; ``newest_first``: the order is; ``wall``: rows of a walk behind which pages repeat."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    tape: list[dict[str, Any]] = field(default_factory=list)
    markets: dict[int, dict[str, Any]] = field(default_factory=dict)
    payouts: dict[int, list[int]] = field(default_factory=dict)
    held: dict[str, float] = field(default_factory=dict)
    realized: float | None = None
    page: int = 1000
    no_bounds: bool = False
    newest_first: bool = False
    wall: int | None = None
    v1_only: bool = False
    every: int = 0
    failing: dict[str, int] = field(default_factory=dict)
    requests: Counter[str] = field(default_factory=Counter)

    def market(self, n: int = 0, *, payouts: list[int] | None = None, **more: Any) -> None:
        prices = ["1", "0"] if payouts is None else [str(p / 1e6) for p in payouts]
        self.markets[n] = {
            "conditionId": condition_id(n), "question": f"Market {n}", "slug": f"m-{n}", "outcomes": '["Yes", "No"]',
            "clobTokenIds": json.dumps(token_ids(n)), "outcomePrices": json.dumps(prices),
            "closed": payouts is not None, "feesEnabled": False, "category": "politics", "orderPriceMinTickSize": 0.01,
            "events": [{"slug": f"event-{n}"}], **more,
        }  # fmt: skip
        if payouts is not None:
            self.payouts[n] = payouts

    # -- routes ------------------------------------------------------------------------------------------------

    async def _answer(self, request: web.Request) -> web.Response:
        path = request.path
        self.requests[path] += 1
        if self.failing.get(path, 0) > 0:
            self.failing[path] -= 1
            return web.json_response({"error": "down", "code": "internal"}, status=500)
        if self.v1_only and path.startswith("/v2/"):
            return web.json_response({"error": "gone"}, status=404)
        query = request.query
        match path:
            case "/v2/activity" | "/activity":
                rows = [r for r in self.rows if r["proxy_wallet"] == query["user"]]
                kinds = set(query["type"].split(","))
                return self._walk(query, [r for r in rows if r["type"] in kinds], v1=path == "/activity")
            case "/v2/trades" | "/trades":
                named = query.get("condition") or query.get("market")
                rows = [r for r in self.tape if r["condition_id"] == named]
                taker_only = (query.get("taker_only") or query.get("takerOnly") or "true") == "true"
                return self._walk(query, [r for r in rows if r.get("_taker", True) or not taker_only],
                                  v1=path == "/trades")  # fmt: skip
            case "/v2/prices-history":
                return self._prices(query)
            case "/v2/positions":
                held = [{"token_id": t, "current_size": s, "condition_id": condition_id((int(t) - 10_001) // 2)}
                        for t, s in self.held.items()]  # fmt: skip
                return web.json_response({"data": held, "pagination": {"has_more": False, "next_cursor": None}})
            case "/v2/resolutions":
                asked = query["condition_id"].split(",")
                rows = [{"condition_id": condition_id(n), "payouts": p, "resolved_at": NOW - 10_000}
                        for n, p in self.payouts.items() if condition_id(n) in asked]  # fmt: skip
                return web.json_response({"data": rows})
            case "/v2/user-pnl" if self.realized is not None:
                return web.json_response({"data": {"points": [{"realized_pnl": self.realized}]}})
            case "/markets":
                asked = query["condition_ids"].split(",")
                wanted = query.get("closed") == "true"
                return web.json_response([m for m in self.markets.values()
                                          if m["conditionId"] in asked and m["closed"] == wanted])  # fmt: skip
        return web.json_response({"error": "no such route"}, status=404)

    def _walk(self, query: Any, rows: list[dict[str, Any]], *, v1: bool) -> web.Response:
        if not self.no_bounds:
            rows = [r for r in rows if int(query["start"]) <= _at(r) <= int(query.get("end", 2**40))]
        rows = sorted(rows, key=_at)
        if self.newest_first:
            rows = rows[::-1]
        limit = min(int(query["limit"]), self.page)
        skip = int(query.get("cursor") or query.get("offset") or 0)
        if self.wall is not None and skip + limit > self.wall:
            skip = max(0, self.wall - limit)
        page = [{k: v for k, v in r.items() if k != "_taker"} for r in rows[skip : skip + limit]]
        if v1:
            return web.json_response(page)
        cursor = str(skip + limit) if len(rows) > skip + limit else None
        return web.json_response({"data": page, "pagination": {"has_more": cursor is not None, "next_cursor": cursor}})

    def _prices(self, query: Any) -> web.Response:
        start, end = int(query["start"]), int(query["end"])
        assert end - start <= 15 * 86_400
        step = self.every
        rows = [{"t": t, "p": 0.5} for t in range(-(-start // step) * step, end + 1, step)] if step else []
        return web.json_response({"history": rows})


def _at(row: dict[str, Any]) -> int:
    return int(row["timestamp"]) if str(row["timestamp"]).isdigit() else NOW - 50_000


@asynccontextmanager
async def serving(venue: PastVenue, *, attempts: int = 1) -> AsyncIterator[tuple[HistoryApi, str]]:
    """The venue's socket, and a client of it."""
    app = web.Application()
    app.router.add_route("GET", "/{rest:.*}", venue._answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        async with make_session() as session:
            data, trades, gamma = (
                Service(session, name, url, per_second=100_000, attempts=attempts) for name in ("data", "data", "gamma")
            )
            yield HistoryApi(data, trades, gamma), url
    finally:
        await runner.cleanup()
