"""``/_sim``: what a test, or a curious person, can make the stand-in venue do, and what it saw."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

from aiohttp import web

from pilotfish.core.units import MICRO, micro_from_decimal
from pilotfish.sim.chain import Order, Tx
from pilotfish.sim.manual import HELP
from pilotfish.sim.market import SimMarket, digest
from pilotfish.sim.market_ws import MarketChannel
from pilotfish.sim.rpc import Rpc
from pilotfish.sim.story import wallet_of
from pilotfish.sim.venue import Fault, Habits, Venue


class Controls:
    """Handlers; mounted under ``/_sim``."""

    def __init__(self, venue: Venue, rpc: Rpc, books: MarketChannel) -> None:
        self.venue = venue
        self.rpc = rpc
        self.channel = books

    def routes(self) -> list[web.RouteDef]:
        """All routes."""
        posts = {
            "fills": self.fills,
            "rows": self.rows,
            "logs": self.logs,
            "holdings": self.holdings,
            "books": self.books,
            "markets": self.markets,
            "resolve": self.resolve,
            "faults": self.faults,
            "rpc": self.rpc_control,
            "market_ws": self.market_ws,
            "reorgs": self.reorgs,
            "api": self.api,
            "pause": self.pause,
            "resume": self.pause,
        }
        return [
            web.get("/_sim", self.help),
            web.get("/_sim/requests", self.requests),
            web.get("/_sim/recent", self.recent),
            web.get("/_sim/truth", self.truth),
            *(web.post(f"/_sim/{name}", _checked(handler)) for name, handler in posts.items()),
        ]

    # -- looking -----------------------------------------------------------------------------------------------

    async def help(self, _request: web.Request) -> web.Response:
        """What there is."""
        every = {m.condition_id: m for m in self.venue.chain.markets.values()}.values()
        return web.json_response(
            {
                "controls": HELP,
                "seed": self.venue.seed,
                "scenario": self.venue.scenario,
                "leaders": [
                    {"wallet": c.wallet, "label": c.label, "manner": c.manner} for c in self.venue.characters()
                ],
                "markets": [
                    {"condition_id": m.condition_id, "question": m.question, "tokens": m.tokens, "closed": m.closed}
                    for m in every
                ],
            }
        )

    async def requests(self, _request: web.Request) -> web.Response:
        """Counts of everything that was asked."""
        return web.json_response(
            {
                "requests": dict(self.venue.requests),
                "rpc_methods": dict(self.venue.rpc_methods),
                "sockets": len(self.rpc.clients),
                "connections": self.rpc.connections,
                "subscriptions": [f for c in self.rpc.clients for f in c.logs.values()],
                "delivered_logs": self.venue.delivered_logs,
                "book_sockets": [sorted(c.tokens) for c in self.channel.clients],
                "book_connections": self.channel.connections,
            }
        )

    async def recent(self, request: web.Request) -> web.Response:
        """The newest requests."""
        service = request.query.get("service")
        found = [r for r in self.venue.recent if service in (None, r["service"])]
        return web.json_response(found[-int(request.query.get("limit", 100)) :])

    async def truth(self, request: web.Request) -> web.Response:
        """What really happened."""
        chain, now = self.venue.chain, time.time()
        wallets = request.query.getall("wallet", []) or [c.wallet for c in self.venue.characters()]
        own, other = chain.legs_of(wallets)
        replayed = self.venue.replay is None or self.venue.replay.done()
        return web.json_response(
            {
                "trades": chain.trades_of(wallets),
                "own_logs": own,
                "counterparty_logs": other,
                "by_wallet": {w: chain.trades_of([w]) for w in wallets},
                "holdings": {w: chain.holdings(w, now, all_rows=True) for w in wallets},
                "settled": chain.settled(now) and replayed,
                "paused": self.venue.paused,
                "block": chain.head,
            }
        )

    # -- doing -------------------------------------------------------------------------------------------------

    async def fills(self, body: dict[str, Any]) -> dict[str, Any]:
        """One transaction with fills of a wallet, in a block of its own."""
        chain = self.venue.chain
        wallet, token = str(body["wallet"]).lower(), str(body["token_id"])
        market = _market(chain.markets, token)
        side = str(body.get("side", "BUY")).upper()
        shares, price = micro_from_decimal(body.get("shares", 100)), micro_from_decimal(body["price"])
        count, role = int(body.get("count", 1)), str(body.get("role", "taker"))
        kind = str(body.get("match", "same"))
        other = str(body.get("counterparty") or wallet_of(self.venue.seed, "counterparty")).lower()
        number = len(chain.txs)
        given = body.get("order_hash")
        hashes = [str(given or "0x" + digest("control", number, i)) for i in range(count + 1)]
        if kind == "same":
            their_token, their_side, their_price = token, "SELL" if side == "BUY" else "BUY", price
        else:
            their_token, their_side, their_price = market.tokens[1 - market.index(token)], side, MICRO - price
        if role == "taker":
            mine = Order(wallet, side, token, shares, price, hashes[0])
            against = [Order(other, their_side, their_token, shares, their_price, "0x" + digest("other", number))]
            taker, makers = mine, against
        else:
            makers = [Order(wallet, side, token, shares, price, hashes[i]) for i in range(count)]
            total = shares * count
            taker = Order(other, their_side, their_token, total, their_price, "0x" + digest("other", number))
        delay = body.get("chain_delay", 0.1)
        if not body.get("age"):
            chain.mine(time.time())
        tx = chain.match(
            taker,
            makers,
            now=time.time(),
            tx_hash=body.get("tx_hash"),
            chain_delay=None if delay is None else float(delay),
            api_delay=float(body.get("api_delay", -1)),
            age=float(body.get("age", 0)),
        )
        return {"tx_hash": tx.tx_hash, "block": tx.block, "logs": tx.logs, "rows": [r.data for r in tx.rows]}

    async def rows(self, body: dict[str, Any]) -> dict[str, Any]:
        """Raw activity rows."""
        for given in body.get("rows") or [body["row"]]:
            row = dict(given)
            row.setdefault("timestamp", int(time.time()))
            if body.get("moves"):
                row["_moves"] = {t: micro_from_decimal(s) for t, s in body["moves"].items()}
            self.venue.chain.add_row(str(row["proxy_wallet"]), row, time.time() + float(body.get("visible_in", 0)))
        return {"ok": True}

    async def logs(self, body: dict[str, Any]) -> dict[str, Any]:
        """A raw log."""
        self.rpc.deliver([body["log"]])
        return {"ok": True}

    async def holdings(self, body: dict[str, Any]) -> dict[str, Any]:
        """Holdings from before everything."""
        held = {str(t): micro_from_decimal(s) for t, s in body["holdings"].items()}
        self.venue.chain.initial[str(body["wallet"]).lower()] = held
        return {"ok": True}

    async def books(self, body: dict[str, Any]) -> dict[str, Any]:
        """A book that stands still."""
        token = str(body["token_id"])
        market = _market(self.venue.chain.markets, token)
        bids = {micro_from_decimal(p): micro_from_decimal(s) for p, s in body.get("bids", [])}
        asks = {micro_from_decimal(p): micro_from_decimal(s) for p, s in body.get("asks", [])}
        if market.index(token) == 1:
            bids, asks = {MICRO - p: s for p, s in asks.items()}, {MICRO - p: s for p, s in bids.items()}
        market.bids, market.asks, market.frozen, market.changed_at = bids, asks, True, time.time()
        if body.get("tick"):
            market.tick = micro_from_decimal(body["tick"])
        return {"ok": True}

    async def markets(self, body: dict[str, Any]) -> dict[str, Any]:
        """A new market."""
        chain, number = self.venue.chain, len(self.venue.chain.markets)
        market = SimMarket(
            condition_id="0x" + digest(self.venue.seed, "control market", number),
            question=str(body.get("question", f"Control market {number}")),
            slug=str(body.get("slug", f"control-{number}")),
            category=str(body.get("category", "control")),
            tokens=(
                str(int(digest(self.venue.seed, "control token", number), 16)),
                str(int(digest(self.venue.seed, "control token other", number), 16)),
            ),
            mid=micro_from_decimal(body.get("mid", "0.5")),
            fee_rate_ppm=micro_from_decimal(body.get("fee_rate", 0)),
            tick=micro_from_decimal(body.get("tick", "0.01")),
            frozen=True,
        )
        market.bids = {market.mid - (i + 1) * market.tick: 10_000 * MICRO for i in range(3)}
        market.asks = {market.mid + i * market.tick: 10_000 * MICRO for i in range(3)}
        chain.add_market(market)
        return {"condition_id": market.condition_id, "tokens": list(market.tokens)}

    async def resolve(self, body: dict[str, Any]) -> dict[str, Any]:
        """A market closes, with or without a result."""
        for market in self.venue.chain.markets.values():
            if body.get("condition_id") == market.condition_id or body.get("token_id") in market.tokens:
                market.closed = True
                market.told_by = tuple(body.get("told_by", market.told_by))
                market.disputed, market.unlisted = bool(body.get("disputed")), bool(body.get("unlisted"))
                if body.get("payouts"):
                    first, second = body["payouts"]
                    market.payouts = (micro_from_decimal(first), micro_from_decimal(second))
                return {"ok": True}
        raise KeyError("condition_id")

    async def faults(self, body: dict[str, Any]) -> dict[str, Any]:
        """Switch a fault on or off."""
        service, mode = str(body["service"]), str(body["mode"])
        before = self.venue.faults.pop(service, None)
        if before is not None:
            before.gone.set()
        if mode != "off":
            left = body.get("count")
            lasting = body.get("seconds")
            self.venue.faults[service] = Fault(
                mode,
                int(body.get("status", 500)),
                int(left) if left is not None else None,
                float(lasting or 0),
                time.time() + float(lasting) if lasting is not None and mode != "hang" else None,
            )
        return {"ok": True}

    async def rpc_control(self, body: dict[str, Any]) -> dict[str, Any]:
        """Faults of the node."""
        match str(body["action"]):
            case "drop":
                return {"dropped": await self.rpc.drop()}
            case "refuse":
                self.rpc.refuse_until = time.time() + float(body.get("seconds", 5))
                await self.rpc.drop()
            case "mute":
                for client in self.rpc.clients:
                    client.mute = True
            case "forget":
                for client in self.rpc.clients:
                    client.logs.clear()
            case "strip_data":
                self.rpc.strip_data = int(body.get("count", 1))
            case "raw":
                for client in self.rpc.clients:
                    client.outbox.put_nowait(str(body["value"]))
            case "stop_blocks":
                self.venue.blocks_stopped = True
            case "start_blocks":
                self.venue.blocks_stopped = False
            case "chain_id":
                self.venue.chain_id = int(body["value"])
            case other:
                raise ValueError(f"no action {other!r}")
        return {"ok": True}

    async def market_ws(self, body: dict[str, Any]) -> dict[str, Any]:
        """Faults of the market channel."""
        match str(body["action"]):
            case "drop":
                return {"dropped": await self.channel.drop()}
            case "refuse":
                self.channel.refuse_until = time.time() + float(body.get("seconds", 5))
                await self.channel.drop()
            case "mute":
                for client in self.channel.clients:
                    client.mute = True
            case "silent":
                some = list(self.channel.clients)[: int(body.get("connections", 10_000))]
                for client in some:
                    if body.get("token_id"):
                        client.quiet.add(str(body["token_id"]))
                    else:
                        client.silent = True
            case "skip":
                self.channel.skip = int(body.get("count", 1))
            case "cross":
                self.channel.cross(str(body["token_id"]))
            case "raw":
                for client in self.channel.clients:
                    client.send(str(body["value"]))
            case other:
                raise ValueError(f"no action {other!r}")
        return {"ok": True}

    async def reorgs(self, body: dict[str, Any]) -> dict[str, Any]:
        """Take a transaction back."""
        after = body.get("remine_after")
        self.venue.chain.reorg(
            str(body["tx_hash"]), now=time.time(), remine_after=None if after is None else float(after)
        )
        tx: Tx = self.venue.chain.txs[str(body["tx_hash"])]
        return {"block": tx.block, "removed": tx.removed}

    async def api(self, body: dict[str, Any]) -> dict[str, Any]:
        """Habits of the API and of the node."""
        if "v1_only" in body:
            self.venue.api_v1_only = bool(body["v1_only"])
        if "lag" in body:
            self.venue.chain.api_lag = (float(body["lag"][0]), float(body["lag"][1]))
        if "late_logs" in body:
            self.venue.chain.late_logs = float(body["late_logs"])
        habits = {k: v for k, v in body.items() if k in Habits.__dataclass_fields__}
        self.venue.habits = replace(self.venue.habits, **habits)
        return {"ok": True}

    async def pause(self, body: dict[str, Any]) -> dict[str, Any]:
        """The leaders stop, or act again."""
        self.venue.paused = body["_route"] == "pause"
        return {"paused": self.venue.paused}


def _market(markets: dict[str, SimMarket], token: str) -> SimMarket:
    market = markets.get(token)
    if market is None:
        raise ValueError(f"token_id: {token[:30]} is not listed; POST /_sim/markets lists one")
    return market


def _checked(handler: Any) -> Any:
    """Read the body, and answer a mistake in it with 400 and what it was."""

    async def answer(request: web.Request) -> web.Response:
        try:
            body = await request.json() if request.can_read_body else {}
            body["_route"] = request.path.rsplit("/", 1)[-1]
            return web.json_response(await handler(body))
        except (KeyError, ValueError, TypeError) as problem:
            text = f"{type(problem).__name__}: {problem}"
            return web.json_response({"error": text, "help": HELP.get(f"POST {request.path}")}, status=400)

    return answer
