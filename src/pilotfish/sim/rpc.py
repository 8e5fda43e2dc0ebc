"""Polygon JSON-RPC of the stand-in venue, over HTTP and WebSocket. Range scans are counted and refused."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from aiohttp import WSMsgType, web

from pilotfish.sim.venue import Venue

OUTBOX = 20_000
"""Frames waiting for one slow client before it is cut off."""


class RpcProblem(Exception):  # noqa: N818 - an answer, not a failure
    """A JSON-RPC error answer."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(eq=False, slots=True)
class _Client:
    ws: web.WebSocketResponse
    outbox: asyncio.Queue[str] = field(default_factory=lambda: asyncio.Queue(OUTBOX))
    logs: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    heads: set[str] = field(default_factory=set)
    mute: bool = False

    def notify(self, subscription: str, result: Any) -> None:
        params = {"subscription": subscription, "result": result}
        self.send({"jsonrpc": "2.0", "method": "eth_subscription", "params": params})

    def send(self, message: Any) -> None:
        if not self.mute:
            self.outbox.put_nowait(json.dumps(message))


class Rpc:
    """Handlers; mounted at ``/rpc``."""

    def __init__(self, venue: Venue) -> None:
        self.venue = venue
        self.clients: set[_Client] = set()
        self.connections = 0
        self.refuse_until = 0.0
        self.strip_data = 0
        self._subscriptions = 0
        venue.chain.on_logs = self.deliver
        venue.chain.on_head = self.head

    def routes(self) -> list[web.RouteDef]:
        """All routes."""
        return [web.get("/rpc", self.socket), web.post("/rpc", self.http)]

    # -- pushing -----------------------------------------------------------------------------------------------

    def deliver(self, logs: list[dict[str, Any]]) -> None:
        """Send logs to everybody whose filter matches."""
        for entry in logs:
            shown = entry
            if self.strip_data and any(_matches(f, entry) for c in self.clients for f in c.logs.values()):
                self.strip_data -= 1
                shown = {**entry, "data": "0x"}
            for client in self.clients:
                for subscription, wanted in client.logs.items():
                    if _matches(wanted, entry):
                        self.venue.delivered_logs += 1
                        client.notify(subscription, shown)

    def head(self, header: dict[str, Any]) -> None:
        """Send a new block's header."""
        for client in self.clients:
            for subscription in client.heads:
                client.notify(subscription, header)

    async def drop(self) -> int:
        """Close every connection; returns how many there were."""
        clients = list(self.clients)
        for client in clients:
            await client.ws.close(code=1011)
        return len(clients)

    # -- answering ---------------------------------------------------------------------------------------------

    async def http(self, request: web.Request) -> web.Response:
        """JSON-RPC over HTTP; subscriptions are refused."""
        try:
            message = await request.json()
        except ValueError:
            return web.json_response(
                {"jsonrpc": "2.0", "id": None, "error": {"code": -32700, "message": "parse error"}}
            )
        if isinstance(message, list):
            return web.json_response([self._answer(m, None) for m in message])
        return web.json_response(self._answer(message, None))

    async def socket(self, request: web.Request) -> web.StreamResponse:
        """JSON-RPC over WebSocket."""
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
                if message.type is WSMsgType.TEXT:
                    try:
                        asked = json.loads(message.data)
                    except ValueError:
                        client.send({"jsonrpc": "2.0", "id": None, "error": {"code": -32700, "message": "parse error"}})
                        continue
                    for one in asked if isinstance(asked, list) else [asked]:
                        client.send(self._answer(one, client))
        finally:
            self.clients.discard(client)
            writer.cancel()
        return ws

    def _answer(self, message: Any, client: _Client | None) -> dict[str, Any]:
        number = message.get("id") if isinstance(message, dict) else None
        method = str(message.get("method")) if isinstance(message, dict) else ""
        self.venue.rpc_methods[method] += 1
        try:
            result = self._call(method, message.get("params") or [], client)
        except RpcProblem as problem:
            return {"jsonrpc": "2.0", "id": number, "error": {"code": problem.code, "message": str(problem)}}
        return {"jsonrpc": "2.0", "id": number, "result": result}

    def _call(self, method: str, params: list[Any], client: _Client | None) -> Any:
        chain = self.venue.chain
        fault = self.venue.fault(f"rpc:{method}")
        if fault is not None:
            raise RpcProblem(-32000, f"{method} is out of order")
        match method:
            case "eth_chainId":
                return hex(self.venue.chain_id)
            case "net_version":
                return str(self.venue.chain_id)
            case "eth_blockNumber":
                return hex(chain.head)
            case "eth_getBlockByNumber":
                number = chain.head if params[0] == "latest" else int(str(params[0]), 16)
                return chain.header(number) if number in chain.times else None
            case "eth_getTransactionReceipt":
                tx = chain.txs.get(str(params[0]))
                if tx is None or tx.removed:
                    return None
                block = {"blockNumber": hex(tx.block), "blockHash": chain.block_hash(tx.block)}
                return {"transactionHash": tx.tx_hash, **block, "status": "0x1", "logs": tx.logs}
            case "eth_subscribe":
                return self._subscribe(params, client)
            case "eth_unsubscribe":
                if client is None:
                    raise RpcProblem(-32601, "notifications not supported")
                client.heads.discard(str(params[0]))
                return client.logs.pop(str(params[0]), None) is not None
            case _:
                raise RpcProblem(-32601, f"the method {method} does not exist/is not available")

    def _subscribe(self, params: list[Any], client: _Client | None) -> str:
        if client is None:
            raise RpcProblem(-32601, "notifications not supported")
        self._subscriptions += 1
        name = f"0x{self._subscriptions:032x}"
        if params[0] == "newHeads":
            client.heads.add(name)
        elif params[0] == "logs":
            client.logs[name] = params[1] if len(params) > 1 else {}
            if self.venue.replay is not None:
                for slot in (params[1].get("topics") or [])[2:3] if len(params) > 1 else []:
                    for topic in slot if isinstance(slot, list) else [slot]:
                        if topic:
                            self.venue.replay.followed("0x" + str(topic)[-40:].lower())
        else:
            raise RpcProblem(-32602, f"no subscription {params[0]!r}")
        return name


async def _write(client: _Client) -> None:
    while True:
        await client.ws.send_str(await client.outbox.get())


def _matches(wanted: Mapping[str, Any], entry: Mapping[str, Any]) -> bool:
    """A log against a filter: OR within a slot, AND across slots."""
    addresses = wanted.get("address")
    if addresses:
        named = [addresses] if isinstance(addresses, str) else addresses
        if entry["address"].lower() not in {a.lower() for a in named}:
            return False
    for i, slot in enumerate(wanted.get("topics") or []):
        if slot is None:
            continue
        if i >= len(entry["topics"]):
            return False
        allowed = [slot] if isinstance(slot, str) else slot
        if entry["topics"][i].lower() not in {t.lower() for t in allowed}:
            return False
    return True
