"""Gamma and the CLOB of the stand-in venue."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from typing import Any

from aiohttp import web

from pilotfish.core.units import MICRO, format_micro
from pilotfish.sim.market import SimMarket, digest
from pilotfish.sim.story import Character
from pilotfish.sim.venue import Venue


class MarketRoutes:
    """Handlers; mounted under ``/gamma`` and ``/clob``."""

    def __init__(self, venue: Venue) -> None:
        self.venue = venue

    def routes(self) -> list[web.RouteDef]:
        """All routes."""
        return [
            web.get("/gamma/markets", self.markets),
            web.get("/gamma/markets/keyset", self.keyset),
            web.get("/gamma/public-profile", self.profile),
            web.get("/gamma/public-search", self.search),
            web.get("/clob/book", self.book),
            web.post("/clob/books", self.books),
            web.get("/clob/midpoint", self.midpoint),
            web.get("/clob/markets-by-token/{token}", self.by_token),
            web.get("/clob/markets/{condition}", self.market),
        ]

    def _selected(self, request: web.Request) -> list[SimMarket]:
        tokens = [t for text in request.query.getall("clob_token_ids", []) for t in text.split(",")]
        conditions = [c for text in request.query.getall("condition_ids", []) for c in text.split(",")]
        closed = request.query.get("closed") == "true"
        every = {m.condition_id: m for m in self.venue.chain.markets.values()}
        archive = self.venue.archive
        old = [archive.market(token) for token in tokens] + [archive.of_condition(c) for c in conditions]
        if closed and not tokens and not conditions:
            old = [*archive.old_markets()]
        every |= {m.condition_id: m for m in old if m is not None}
        found = [m for m in every.values() if m.closed == closed]
        if tokens:
            found = [m for m in found if set(tokens) & set(m.tokens)]
        if conditions:
            found = [m for m in found if m.condition_id in conditions]
        return found[: int(request.query.get("limit", 100))]

    async def markets(self, request: web.Request) -> web.Response:
        """``/markets``: a bare list, closed markets only if asked for."""
        return web.json_response([_gamma(m) for m in self._selected(request)])

    async def keyset(self, request: web.Request) -> web.Response:
        """``/markets/keyset``."""
        return web.json_response({"markets": [_gamma(m) for m in self._selected(request)], "next_cursor": None})

    async def profile(self, request: web.Request) -> web.Response:
        """``/public-profile?address=``."""
        wallet = request.query.get("address", "").lower()
        found = next((c for c in self.venue.everybody() if c.wallet == wallet), None)
        if found is None:
            return web.json_response({"error": "profile not found"}, status=404)
        return web.json_response(_profile(found))

    async def search(self, request: web.Request) -> web.Response:
        """``/public-search?q=&search_profiles=true``."""
        asked = request.query.get("q", "").lower()
        wanted = request.query.get("search_profiles") == "true"
        found = [c for c in self.venue.everybody() if asked and asked in c.label.lower()] if wanted else []
        page = {"hasMore": False, "totalResults": len(found)}
        return web.json_response(
            {"events": [], "tags": [], "profiles": [_profile(c) for c in found], "pagination": page}
        )

    async def book(self, request: web.Request) -> web.Response:
        """``/book?token_id=``."""
        token = request.query.get("token_id", "")
        market = self.venue.chain.markets.get(token)
        if market is None or market.closed or not (market.bids or market.asks):
            return web.json_response({"error": "No orderbook exists for the requested token id"}, status=404)
        return web.json_response(book_of(market, token))

    async def books(self, request: web.Request) -> web.Response:
        """``POST /books``."""
        wanted = [str(item.get("token_id")) for item in await request.json()]
        markets = self.venue.chain.markets
        found = [(markets[t], t) for t in wanted if t in markets and not markets[t].closed]
        return web.json_response([book_of(m, t) for m, t in found])

    async def midpoint(self, request: web.Request) -> web.Response:
        """``/midpoint``."""
        token = request.query.get("token_id", "")
        market = self.venue.chain.markets.get(token)
        if market is None:
            return web.json_response({"error": "not found"}, status=404)
        return web.json_response({"mid": format_micro(market.price(token))})

    async def by_token(self, request: web.Request) -> web.Response:
        """``/markets-by-token/{token}``."""
        market = self.venue.chain.markets.get(request.match_info["token"])
        if market is None:
            return web.json_response({"error": "not found"}, status=404)
        return web.json_response(
            {
                "condition_id": market.condition_id,
                "primary_token_id": market.tokens[0],
                "secondary_token_id": market.tokens[1],
            }
        )

    async def market(self, request: web.Request) -> web.Response:
        """``/markets/{condition}`` with ``tokens[].winner``."""
        condition = request.match_info["condition"]
        market = next((m for m in self.venue.chain.markets.values() if m.condition_id == condition), None)
        if market is None:
            return web.json_response({"error": "market not found"}, status=404)
        tokens = [
            {
                "token_id": token,
                "outcome": market.outcomes[i],
                "price": market.price(token) / MICRO,
                "winner": (market.paid("clob") or (0, 0))[i] == MICRO,
            }
            for i, token in enumerate(market.tokens)
        ]
        return web.json_response(
            {
                "condition_id": market.condition_id,
                "question": market.question,
                "market_slug": market.slug,
                "active": True,
                "closed": market.closed,
                "accepting_orders": not market.closed,
                "minimum_tick_size": market.tick / MICRO,
                "neg_risk": market.neg_risk,
                "tokens": tokens,
            }
        )


def _profile(character: Character) -> dict[str, Any]:
    return {"proxyWallet": character.wallet, "name": character.label, "pseudonym": character.label, "bio": ""}


def _levels(side: dict[int, int], *, descending: bool) -> list[dict[str, str]]:
    return [
        {"price": format_micro(p), "size": format_micro(side[p])} for p in sorted(side, reverse=descending)
    ]  # fmt: skip


def book_of(market: SimMarket, token: str) -> dict[str, Any]:
    bids, asks = market.sides(token)
    shown = {"bids": _levels(bids, descending=False), "asks": _levels(asks, descending=True)}
    last = market.last_trade if market.index(token) == 0 else MICRO - market.last_trade
    return {
        "market": market.condition_id,
        "asset_id": token,
        "timestamp": str(int((market.changed_at or time.time()) * 1000)),
        "hash": digest(json.dumps(shown))[:40],
        **shown,
        "min_order_size": "5",
        "tick_size": format_micro(market.tick),
        "neg_risk": market.neg_risk,
        "last_trade_price": format_micro(last) if market.last_trade else "",
    }


def _gamma(market: SimMarket) -> dict[str, Any]:
    prices = market.paid("gamma") or (market.mid, MICRO - market.mid)
    ids = json.dumps(list(market.tokens)) if market.version == "v1" else list(market.tokens)
    answer: dict[str, Any] = {
        "id": str(int(digest(market.condition_id)[:8], 16)),
        "version": market.version,
        "conditionId": market.condition_id,
        "question": market.question,
        "slug": market.slug,
        "outcomes": json.dumps(list(market.outcomes)),
        "outcomePrices": json.dumps([format_micro(p) for p in prices]),
        "clobTokenIds" if market.version == "v1" else "positionIds": ids,
        "active": True,
        "closed": market.closed,
        "archived": False,
        "acceptingOrders": not market.closed,
        "enableOrderBook": True,
        "negRisk": market.neg_risk,
        "endDate": "2030-12-31T00:00:00Z",
        "orderMinSize": 5,
        "orderPriceMinTickSize": market.tick / MICRO,
        "secondsDelay": 1 if market.category == "sports" else 0,
        "feesEnabled": market.fee_rate_ppm > 0,
        "category": market.category,
        "tags": [{"id": "1", "label": market.category.title(), "slug": market.category}],
    }
    if market.fee_rate_ppm:
        answer["feeType"] = f"{market.category}_fees"
        answer["feeSchedule"] = {
            "exponent": 1,
            "rate": market.fee_rate_ppm / MICRO,
            "takerOnly": True,
            "rebateRate": 0.25,
        }
    if market.paid("gamma"):
        answer |= {"umaResolutionStatus": "resolved", "closedTime": "2026-01-01 00:00:00+00"}
    if market.closed_at is not None and market.resolved_at is not None:
        closed, resolved = _time(market.closed_at), _time(market.resolved_at)
        answer |= {"endDate": closed, "closedTime": closed, "umaEndDate": resolved}
    if market.event:
        number = str(int(digest(market.event)[:7], 16))
        answer["events"] = [{"id": number, "slug": market.event, "title": market.question}]
    return answer


def _time(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
