"""The market channel of the stand-in venue: snapshots, absolute changes, tick changes, results, heartbeats; and what
can be wrong with it."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass, field
from typing import Any

from aiohttp import WSMsgType, web

from pilotfish.core.units import format_micro
from pilotfish.sim.chain import Order
from pilotfish.sim.market import SimMarket
from pilotfish.sim.market_routes import book_of
from pilotfish.sim.venue import Venue

OUTBOX = 20_000
"""Frames waiting for one slow client before it is cut off."""


@dataclass(slots=True)
class _Sent:
    """What a client knows of a token."""

    bids: dict[int, int]
    asks: dict[int, int]
    tick: int
    resolved: bool


@dataclass(eq=False, slots=True)
class _Client:
    ws: web.WebSocketResponse
    outbox: asyncio.Queue[str] = field(default_factory=lambda: asyncio.Queue(OUTBOX))
    tokens: dict[str, _Sent] = field(default_factory=dict)
    custom: bool = False
    mute: bool = False
    silent: bool = False
    """Answers PING, but says nothing of its books."""
    quiet: set[str] = field(default_factory=set)
    """Tokens of which it says nothing."""

    def send(self, message: Any) -> None:
        if not self.mute:
            self.outbox.put_nowait(message if isinstance(message, str) else json.dumps(message))


class MarketChannel:
    """Mounted at ``/ws/market``; :meth:`tick` sends what has changed since the last one."""

    def __init__(self, venue: Venue) -> None:
        self.venue = venue
        self.clients: set[_Client] = set()
        self.connections = 0
        self.refuse_until = 0.0
        self.skip = 0
        venue.on_tick = self.tick
        venue.chain.on_match = self.matched

    def routes(self) -> list[web.RouteDef]:
        """All routes."""
        return [web.get("/ws/market", self.socket)]

    async def socket(self, request: web.Request) -> web.StreamResponse:
        """One connection: the first message subscribes, ``PING`` is answered with ``PONG``."""
        if time.time() < self.refuse_until:
            return web.Response(status=503, text="try later")
        ws = web.WebSocketResponse(heartbeat=None)
        await ws.prepare(request)
        client = _Client(ws)
        self.clients.add(client)
        self.connections += 1
        writer = asyncio.create_task(_write(client))
        try:
            async for message in ws:
                if message.type is not WSMsgType.TEXT:
                    continue
                if message.data == "PING":
                    client.send("PONG")
                elif not client.tokens:
                    self._subscribe(client, message.data)
        finally:
            self.clients.discard(client)
            writer.cancel()
        return ws

    def _subscribe(self, client: _Client, text: str) -> None:
        try:
            asked = json.loads(text)
            tokens = [str(t) for t in asked["assets_ids"]]
        except (ValueError, KeyError, TypeError):
            client.send("INVALID OPERATION")
            return
        client.custom = bool(asked.get("custom_feature_enabled"))
        books = []
        for token in tokens:
            market = self.venue.chain.markets.get(token)
            if market is None or market.closed:
                continue
            client.tokens[token] = self._state(market, token)
            books.append(self._book(market, token))
        client.send(books)

    def _state(self, market: SimMarket, token: str) -> _Sent:
        bids, asks = market.sides(token)
        return _Sent(dict(bids), dict(asks), market.tick, market.payouts is not None)

    def _book(self, market: SimMarket, token: str) -> dict[str, Any]:
        book = book_of(market, token)
        book["bids"], book["asks"] = sorted(book["bids"], key=_price), sorted(book["asks"], key=_price, reverse=True)
        return {"event_type": "book", **book}

    # -- changes -----------------------------------------------------------------------------------------------

    def tick(self) -> None:
        """Send to each client what has changed."""
        for client in self.clients:
            if not client.silent:
                for token, sent in client.tokens.items():
                    if token not in client.quiet:
                        self._update(client, token, sent)

    def matched(self, taker: Order, price: int) -> None:
        """Say at once what somebody took, and at which price."""
        market = self.venue.chain.markets[taker.token_id]
        frame = {
            "event_type": "last_trade_price",
            "market": market.condition_id,
            "asset_id": taker.token_id,
            "price": format_micro(price),
            "size": format_micro(taker.shares),
            "side": taker.side,
            "fee_rate_bps": "0",
            "timestamp": str(int(time.time() * 1000)),
        }
        for client in self.clients:
            if taker.token_id in client.tokens and taker.token_id not in client.quiet and not client.silent:
                client.send(frame)

    def _update(self, client: _Client, token: str, sent: _Sent) -> None:
        market = self.venue.chain.markets[token]
        stamp = str(int(time.time() * 1000))
        if market.tick != sent.tick:
            client.send(
                {
                    "event_type": "tick_size_change",
                    "market": market.condition_id,
                    "asset_id": token,
                    "old_tick_size": format_micro(sent.tick),
                    "new_tick_size": format_micro(market.tick),
                    "timestamp": stamp,
                }
            )
            sent.tick = market.tick
        bids, asks = market.sides(token)
        if bids != sent.bids or asks != sent.asks:
            changes = self._changes(token, sent, bids, asks)
            sent.bids, sent.asks = dict(bids), dict(asks)
            if self.skip:
                self.skip -= 1
            else:
                frame = {"event_type": "price_change", "market": market.condition_id, "timestamp": stamp}
                client.send({**frame, "price_changes": changes})
        if market.payouts is not None and not sent.resolved and client.custom:
            sent.resolved = True
            winner = market.payouts.index(max(market.payouts))
            client.send(
                {
                    "event_type": "market_resolved",
                    "id": "1",
                    "market": market.condition_id,
                    "assets_ids": list(market.tokens),
                    "winning_asset_id": market.tokens[winner],
                    "winning_outcome": market.outcomes[winner],
                    "timestamp": stamp,
                }
            )

    def _changes(self, token: str, sent: _Sent, bids: dict[int, int], asks: dict[int, int]) -> list[dict[str, str]]:
        best = {"best_bid": format_micro(max(bids, default=0)), "best_ask": format_micro(min(asks, default=0))}
        changes = []
        for name, before, now in (("BUY", sent.bids, bids), ("SELL", sent.asks, asks)):
            for price in sorted(set(before) | set(now)):
                if before.get(price) != now.get(price):
                    size = format_micro(now.get(price, 0))
                    changes.append(
                        {"asset_id": token, "side": name, "price": format_micro(price), "size": size, **best}
                    )
        return changes

    # -- faults ------------------------------------------------------------------------------------------------

    async def drop(self) -> int:
        """Close every connection; returns how many there were."""
        clients = list(self.clients)
        for client in clients:
            await client.ws.close(code=1011)
        return len(clients)

    def cross(self, token: str) -> None:
        """Say of a book what cannot be: a bid above the asks."""
        market = self.venue.chain.markets[token]
        _, asks = market.sides(token)
        change = {"asset_id": token, "side": "BUY", "price": format_micro(min(asks) + market.tick), "size": "5"}
        for client in self.clients:
            client.send({"event_type": "price_change", "market": market.condition_id, "price_changes": [change]})


def _price(level: dict[str, str]) -> float:
    return float(level["price"])


async def _write(client: _Client) -> None:
    while True:
        await client.ws.send_str(await client.outbox.get())
