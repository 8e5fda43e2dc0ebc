"""Polygon logs: one socket, subscriptions for the followed wallets, blocks as heartbeat, reconnecting for ever.

A quiet leader means no logs for hours, so health is judged by blocks, never by logs.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp
import structlog

from pilotfish.core.events import ChainFillSeen
from pilotfish.core.units import SECOND
from pilotfish.feeds.hub import Hub
from pilotfish.polymarket import wire
from pilotfish.polymarket.contracts import CHAIN_ID, EXCHANGES, is_wallet
from pilotfish.polymarket.decode import DataError, DecodeError, OrderFilled, decode_order_filled
from pilotfish.polymarket.polygon import (
    MAX_FRAME,
    Call,
    PolygonHttp,
    PolygonSocket,
    RpcError,
    block_timestamp,
    quantity,
    receipt_log,
)

log = structlog.get_logger(__name__)

FIRST_BACKOFF, MAX_BACKOFF = 0.5, 30.0
BLOCKS_KEPT = 2048
LOOKUP_TIMEOUT = 3.0
HEAD_POLL = 2.0
PENDING_LOGS = 10_000
DOUBT_EVERY = 30.0


@dataclass(slots=True)
class ChainStatus:
    """What a person wants to know of the chain source (times in epoch seconds)."""

    state: str = "off"
    connected_at: float | None = None
    subscribed: bool = False
    last_log_at: float | None = None
    last_block_at: float | None = None
    last_block: int | None = None
    reconnects: int = 0
    logs: int = 0
    counterparty_logs: int = 0
    receipts: int = 0
    watched: int = 0
    error: str = ""


class Watcher:
    """Watches ``wallets`` (lower-case addresses) while started."""

    def __init__(
        self, hub: Hub, session: aiohttp.ClientSession, ws_url: str, exchanges: str, look_up: PolygonHttp | None
    ) -> None:
        self.hub = hub
        self.status = ChainStatus()
        self.wallets: frozenset[str] = frozenset()
        self._session = session
        self._ws_url = ws_url
        self._look_up = look_up
        self._doubt = asyncio.Event()
        self._doubted = ""
        self._doubted_at = 0.0
        named = [a.strip().lower() for a in exchanges.split(",") if is_wallet(a.strip())]
        self.exchanges: tuple[str, ...] = tuple(named) or EXCHANGES
        self._blocks: OrderedDict[int, int] = OrderedDict()
        self._task: asyncio.Task[None] | None = None
        self._changed = asyncio.Event()
        self._logs: asyncio.Queue[Any] = asyncio.Queue(PENDING_LOGS)
        self._socket: PolygonSocket | None = None

    def start(self) -> None:
        """Connect and stay connected."""
        if self._task is None and self._ws_url:
            self.status.state = "connecting"
            self._task = self.hub.spawn(self._run(), "polygon", essential=True)

    @property
    def configured(self) -> bool:
        """False without an URL: the chain source stays off."""
        return bool(self._ws_url)

    async def stop(self) -> None:
        """Disconnect."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        self.status.state, self.status.subscribed, self.status.connected_at = "off", False, None
        self.status.watched = 0

    def watch(self, wallets: frozenset[str]) -> None:
        """Follow exactly these wallets."""
        if wallets != self.wallets:
            self.wallets = wallets
            self._changed.set()

    def doubt(self, detail: str) -> None:
        """Something should have come and did not: connect and subscribe anew, at most every :data:`DOUBT_EVERY` s."""
        if self._task is not None and self.hub.clock.steady() - self._doubted_at > DOUBT_EVERY:
            self._doubted, self._doubted_at = detail, self.hub.clock.steady()
            self._doubt.set()

    def healthy(self) -> tuple[bool, str]:
        """Whether the chain source is to be relied on, and why (not)."""
        s = self.status
        if not self._ws_url:
            return False, "no POLYGON_WS_URL"
        if not s.subscribed or s.last_block_at is None:
            return False, s.error or s.state
        age = self.hub.clock.wall() - s.last_block_at
        if age * 1000 > self.hub.number("polygon_health_stale_ms"):
            return False, f"no block for {age:.0f} s"
        return True, f"block {s.last_block}, {age:.0f} s ago"

    # -- connection --------------------------------------------------------------------------------------------

    async def _run(self) -> None:
        failures = 0

        async def one() -> float:
            nonlocal failures
            self.status.state = "connecting"
            started = self.hub.clock.steady()
            try:
                reason = await self._connection()
            except (aiohttp.ClientError, OSError, TimeoutError, RpcError, ValueError) as problem:
                reason = f"{type(problem).__name__}: {problem}" if not isinstance(problem, RpcError) else str(problem)
            failures = 0 if self.hub.clock.steady() - started > 60 else failures + 1
            pause = min(MAX_BACKOFF, FIRST_BACKOFF * 2 ** min(failures - 1, 10)) * self.hub.chance.uniform(0.5, 1.0)
            self._ended(reason)
            log.warning("polygon connection lost; connecting again", reason=reason[:300], wait_s=round(pause, 2))
            return float(pause)

        await self.hub.rounds("the Polygon connection", one, self._ended)

    def _ended(self, reason: str) -> None:
        self.status.subscribed, self.status.connected_at, self.status.watched = False, None, 0
        self._socket = None
        self.status.state, self.status.error = "waiting", reason[:300]
        self.status.reconnects += 1

    async def _connection(self) -> str:
        async with self._session.ws_connect(
            self._ws_url, timeout=aiohttp.ClientWSTimeout(ws_close=2), max_msg_size=MAX_FRAME
        ) as ws:
            socket = self._socket = PolygonSocket(
                ws, self._on_event, lambda error, frame: self.hub.bad_input("polygon", error, frame)
            )
            reader = asyncio.create_task(socket.run(), name="polygon-reader")
            helpers = [asyncio.create_task(self._handle_logs(socket), name="polygon-logs")]
            try:
                chain = await socket.chain_id()
                if chain != CHAIN_ID:
                    raise RpcError(f"POLYGON_WS_URL serves chain {chain}; expected Polygon ({CHAIN_ID})")
                try:
                    await socket.subscribe_heads()
                except RpcError as problem:
                    log.info("no block subscription; asking for the block number instead", error=str(problem))
                    helpers.append(asyncio.create_task(self._poll_heads(socket), name="polygon-heads"))
                self.status.connected_at = self.hub.clock.wall()
                self.status.last_block_at = self.hub.clock.wall()
                helpers.append(asyncio.create_task(self._keep_subscribed(socket), name="polygon-subscriptions"))
                helpers.append(asyncio.create_task(self._watch_heads(), name="polygon-heartbeat"))
                helpers.append(asyncio.create_task(self._wait_for_doubt(), name="polygon-doubt"))
                done, _ = await asyncio.wait([reader, *helpers], return_when=asyncio.FIRST_COMPLETED)
                return str(next(iter(done)).result())
            finally:
                for task in (reader, *helpers):
                    task.cancel()
                await asyncio.gather(reader, *helpers, return_exceptions=True)

    async def _keep_subscribed(self, socket: PolygonSocket) -> str:
        """Subscribe for the wallets, and again whenever they change: the new ones first, so that nothing is missed."""
        current: list[str] = []
        while True:
            self._changed.clear()
            wallets = sorted(self.wallets)
            size = self.hub.number("polygon_chunk_size")
            fresh = []
            for i in range(0, len(wallets), size):
                chunk = wallets[i : i + size]
                fresh.append(await socket.subscribe_fills(self.exchanges, chunk, as_maker=True))
                if self.hub.flag("polygon_taker_topic"):
                    fresh.append(await socket.subscribe_fills(self.exchanges, chunk, as_maker=False))
            for old in current:
                await socket.unsubscribe(old)
            current = fresh
            self.status.subscribed, self.status.state, self.status.error = True, "connected", ""
            self.status.watched = len(wallets)
            log.info("polygon subscribed", wallets=len(wallets), subscriptions=len(fresh))
            await self._changed.wait()

    async def _wait_for_doubt(self) -> str:
        self._doubt.clear()
        await self._doubt.wait()
        return self._doubted

    async def _watch_heads(self) -> str:
        """End a connection that is open but dead."""
        while True:
            await asyncio.sleep(0.5)
            stale = self.hub.number("polygon_health_stale_ms") / 1000
            age = self.hub.clock.wall() - (self.status.last_block_at or 0)
            if age > stale:
                return f"no block for {age:.0f} s"

    async def _poll_heads(self, socket: PolygonSocket) -> str:
        while True:
            self._saw_block(quantity(await socket.call("eth_blockNumber", [])), None)
            await asyncio.sleep(HEAD_POLL)

    # -- notifications -----------------------------------------------------------------------------------------

    def _on_event(self, _subscription: str, result: Any) -> None:
        if isinstance(result, Mapping) and "topics" not in result and "number" in result:
            try:
                self._saw_block(quantity(result["number"]), quantity(result.get("timestamp")))
            except RpcError as problem:
                self.hub.bad_input("polygon", f"block header: {problem}", wire.encode(result, 500))
            return
        try:
            self._logs.put_nowait((self.hub.now(), result))
        except asyncio.QueueFull:
            self.hub.counts["logs_dropped"] += 1
            log.error(
                "too many logs at once; the API will bring what is left out", dropped=self.hub.counts["logs_dropped"]
            )

    def _saw_block(self, number: int, timestamp: int | None) -> None:
        self.status.last_block_at, self.status.last_block = self.hub.clock.wall(), number
        if timestamp is not None and wire.is_second(timestamp):
            self._blocks[number] = timestamp
            while len(self._blocks) > BLOCKS_KEPT:
                self._blocks.popitem(last=False)

    async def _handle_logs(self, socket: PolygonSocket) -> str:
        while True:
            at, raw = await self._logs.get()
            self.status.logs += 1
            self.status.last_log_at = self.hub.clock.wall()
            try:
                await self._handle_log(socket, raw, at)
            except Exception as problem:
                error = self.hub.fault("a Polygon log", problem)
                self.hub.bad_input("polygon", f"log: {error}; left to the API", wire.encode(raw, 4000))

    async def _handle_log(self, socket: PolygonSocket, raw: Any, at: int) -> None:
        try:
            decoded = decode_order_filled(raw)
        except DecodeError as problem:
            found = await self._from_receipt(socket, raw, problem)
            if found is None:
                return
            decoded, raw = found
        await self._take(socket, decoded, raw, at)

    async def _from_receipt(
        self, socket: PolygonSocket, raw: Any, problem: DecodeError
    ) -> tuple[OrderFilled, Mapping[str, Any]] | None:
        """A log without usable data: one look at its transaction's receipt; else the API brings the trade."""
        tx = raw.get("transactionHash") if isinstance(raw, Mapping) else None
        index = raw.get("logIndex") if isinstance(raw, Mapping) else None
        payload = wire.encode(raw, 4000)
        if not isinstance(tx, str) or index is None or not isinstance(problem, DataError):
            self.hub.bad_input("polygon", f"log: {problem}", payload)
            return None
        self.status.receipts += 1
        try:
            entry = await receipt_log(self._caller(socket), tx, quantity(index))
            full = {**entry, "removed": raw.get("removed", False)}
            return decode_order_filled(full), full
        except (RpcError, DecodeError) as second:
            self.hub.bad_input("polygon", f"log: {problem}; its receipt: {second}; left to the API", payload)
            return None

    async def _take(self, socket: PolygonSocket, fill: OrderFilled, raw: Mapping[str, Any], at: int) -> None:
        if fill.exchange not in self.exchanges:
            self.hub.bad_input("polygon", f"log from {fill.exchange}, which is not watched", wire.encode(raw, 500))
            return
        if fill.wallet not in self.wallets:
            self.status.counterparty_logs += 1
            return
        if fill.tx_hash is None:
            self.hub.bad_input("polygon", "log without transactionHash", wire.encode(raw, 500))
            return
        if fill.usdc > fill.shares:
            self.hub.bad_input("polygon", "log: its price is above 1", wire.encode(raw, 4000))
            return
        stamp = fill.block_timestamp
        if stamp is not None and not wire.is_second(stamp):
            stamp = None
        if stamp is None and fill.block_number is not None and not fill.removed:
            stamp = await self._block_time(socket, fill.block_number)
        observed = fill.observed(stamp * SECOND if stamp is not None else None, wire.encode(raw, 20_000))
        await self.hub.emit(ChainFillSeen(at=max(at, self.hub.now()), fill=observed, removed=fill.removed))

    def _caller(self, socket: PolygonSocket) -> Call:
        """Single look-ups go over HTTP where an address is set, so that they do not wait behind logs."""
        return self._look_up.call if self._look_up is not None else socket.call

    async def _block_time(self, socket: PolygonSocket, number: int) -> int | None:
        known = self._blocks.get(number)
        if known is not None:
            return known
        try:
            async with asyncio.timeout(LOOKUP_TIMEOUT):
                stamp = await block_timestamp(self._caller(socket), number)
        except (RpcError, TimeoutError) as problem:
            log.info("block time not available; the time of arrival stands in", block=number, error=str(problem))
            return None
        self._blocks[number] = stamp
        return stamp
