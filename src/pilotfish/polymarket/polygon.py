"""Polygon JSON-RPC over one WebSocket: subscriptions and single look-ups. Range scans of logs are not implemented.

:class:`PolygonSocket` is one connection, from open to close; reconnecting is the watcher's business.
"""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeAlias

import aiohttp
import msgspec

from pilotfish.core.units import shown
from pilotfish.polymarket import wire
from pilotfish.polymarket.contracts import ORDER_FILLED, topic_of
from pilotfish.polymarket.decode import quantity_of
from pilotfish.polymarket.http import Service, VenueError

CALL_TIMEOUT = 10.0
CALLS, EVENTS = "calls", "events"
"""What a provider charges for, as it is counted: calls by us, notifications by it."""
MAX_FRAME = 8 * 2**20


class RpcError(Exception):
    """The provider refused a call, or did not answer it in time."""


class PolygonSocket:
    """One open connection. ``on_event(subscription_id, result)`` is called for every notification,
    ``on_bad(error, frame)`` for every frame that cannot be used. ``used``: where calls and notifications are counted.
    """

    def __init__(
        self,
        ws: aiohttp.ClientWebSocketResponse,
        on_event: Callable[[str, Any], None],
        on_bad: Callable[[str, str], None],
        used: Counter[str] | None = None,
    ) -> None:
        self._ws = ws
        self._used = Counter() if used is None else used
        self._on_event = on_event
        self._on_bad = on_bad
        self._ids = itertools.count(1)
        self._calls: dict[int, asyncio.Future[Any]] = {}

    async def run(self) -> str:
        """Read until the connection ends; returns why it ended."""
        try:
            async for message in self._ws:
                if message.type is aiohttp.WSMsgType.TEXT:
                    try:
                        self._frame(message.data)
                    except Exception as problem:
                        self._on_bad(f"frame: {type(problem).__name__}: {problem}"[:300], message.data[:4000])
                elif message.type is aiohttp.WSMsgType.ERROR:
                    return f"connection error: {self._ws.exception()}"
            return f"closed by the provider (code {self._ws.close_code})"
        finally:
            for future in self._calls.values():
                if not future.done():
                    future.set_exception(RpcError("the connection was closed"))

    def _frame(self, text: str) -> None:
        try:
            message = wire.decode(text)
        except wire.NotJsonError as problem:
            self._on_bad(f"frame is not JSON: {problem}", text)
            return
        for part in message if isinstance(message, list) else [message]:
            if not isinstance(part, dict):
                self._on_bad(f"frame: expected an object, got {type(part).__name__}", text)
                continue
            params = part.get("params")
            if part.get("method") == "eth_subscription" and isinstance(params, dict):
                self._used[EVENTS] += 1
                self._on_event(wire.text_of(params.get("subscription")), params.get("result"))
                continue
            future = self._calls.pop(part["id"], None) if type(part.get("id")) is int else None
            if future is None or future.done():
                continue
            if part.get("error") is not None:
                error = part["error"]
                told = error.get("message") if isinstance(error, dict) else error
                future.set_exception(RpcError(f"provider error: {wire.text_of(told, 200) or shown(error)}"))
            else:
                future.set_result(part.get("result"))

    async def call(self, method: str, params: Sequence[Any]) -> Any:
        """One JSON-RPC call; raises :class:`RpcError`."""
        self._used[CALLS] += 1
        number = next(self._ids)
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._calls[number] = future
        body = {"jsonrpc": "2.0", "id": number, "method": method, "params": params}
        try:
            await self._ws.send_str(msgspec.json.encode(body).decode())
            async with asyncio.timeout(CALL_TIMEOUT):
                return await future
        except TimeoutError:
            raise RpcError(f"{method}: no answer within {CALL_TIMEOUT:.0f} s") from None
        except (ConnectionError, aiohttp.ClientError) as problem:
            raise RpcError(f"{method}: {problem}") from None
        finally:
            self._calls.pop(number, None)

    async def subscribe_fills(self, exchanges: Sequence[str], wallets: Sequence[str], *, as_maker: bool) -> str:
        """Subscribe to ``OrderFilled`` with one of ``wallets`` as maker (or taker), or to all where there are none;
        returns the subscription id."""
        slots: list[Any] = [ORDER_FILLED]
        if wallets:
            slots += [None, None, None]
            slots[2 if as_maker else 3] = [topic_of(w) for w in wallets]
        return wire.text_of(await self.call("eth_subscribe", ["logs", {"address": list(exchanges), "topics": slots}]))

    async def subscribe_heads(self) -> str:
        """Subscribe to new blocks, the heartbeat."""
        return wire.text_of(await self.call("eth_subscribe", ["newHeads"]))

    async def unsubscribe(self, subscription: str) -> None:
        """End a subscription."""
        await self.call("eth_unsubscribe", [subscription])

    async def chain_id(self) -> int:
        """The chain that the provider serves."""
        return quantity(await self.call("eth_chainId", []))


class PolygonHttp:
    """Single calls over HTTP. ``used``: where they are counted."""

    def __init__(self, service: Service, used: Counter[str] | None = None) -> None:
        self._service = service
        self._used = Counter() if used is None else used
        self._ids = itertools.count(1)

    async def call(self, method: str, params: Sequence[Any]) -> Any:
        """One JSON-RPC call; raises :class:`RpcError`."""
        self._used[CALLS] += 1
        body = {"jsonrpc": "2.0", "id": next(self._ids), "method": method, "params": params}
        try:
            answer = await self._service.post("", body)
        except VenueError as problem:
            raise RpcError(f"{method}: {problem}") from None
        if not isinstance(answer, Mapping) or answer.get("error") is not None or "result" not in answer:
            told = answer.get("error", answer) if isinstance(answer, Mapping) else answer
            raise RpcError(f"provider error: {wire.encode(told, 200)}")
        return answer["result"]


Call: TypeAlias = Callable[[str, Sequence[Any]], Awaitable[Any]]
"""Makes one JSON-RPC call, over whichever transport."""


async def block_timestamp(call: Call, block_number: int) -> int:
    """A block's time in epoch seconds; raises :class:`RpcError`."""
    block = await call("eth_getBlockByNumber", [hex(block_number), False])
    if not isinstance(block, Mapping):
        raise RpcError(f"block {block_number} is not there")
    stamp = quantity(block.get("timestamp"))
    if not wire.is_second(stamp):
        raise RpcError(f"block {block_number}: its timestamp is {stamp}")
    return stamp


async def receipt_log(call: Call, tx_hash: str, log_index: int) -> Mapping[str, Any]:
    """One log of one transaction, by its index; raises :class:`RpcError` if it is not there."""
    receipt = await call("eth_getTransactionReceipt", [tx_hash])
    logs = receipt.get("logs") if isinstance(receipt, Mapping) else None
    for entry in logs if isinstance(logs, list) else []:
        if isinstance(entry, Mapping) and quantity_of(entry.get("logIndex")) == log_index:
            return entry
    raise RpcError(f"receipt of {tx_hash} has no log {log_index}")


def quantity(value: object) -> int:
    """A JSON-RPC quantity; raises :class:`RpcError`."""
    number = quantity_of(value)
    if number is None:
        raise RpcError(f"expected a quantity, got {shown(value)}")
    return number
