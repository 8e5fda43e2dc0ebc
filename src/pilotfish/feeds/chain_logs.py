"""One log of the chain after the other: decoded, with its block's time, given to the engine."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

import structlog

from pilotfish.core.events import ChainFillSeen
from pilotfish.core.units import SECOND
from pilotfish.feeds.chain_status import ChainStatus
from pilotfish.feeds.hub import Hub
from pilotfish.polymarket import wire
from pilotfish.polymarket.decode import DataError, DecodeError, OrderFilled, decode_order_filled
from pilotfish.polymarket.polygon import (
    Call,
    PolygonHttp,
    PolygonSocket,
    RpcError,
    block_timestamp,
    quantity,
    receipt_log,
)

log = structlog.get_logger(__name__)

BLOCKS_KEPT = 2048
LOOKUP_TIMEOUT = 3.0
TIME_WAITED_FOR = 1.0
"""Seconds that a log waits for the time of its block: some round trips. Its own arrival stands in then, until the API
tells; to be seen early matters more."""
PENDING_LOGS = 10_000
ASKED_AT_ONCE = 16
"""Blocks whose time is asked for at the same time; of others the time of arrival stands in."""


class ChainLogs:
    """Logs wait here, in the order in which they came, until each was looked at."""

    def __init__(self, hub: Hub, status: ChainStatus, exchanges: tuple[str, ...], look_up: PolygonHttp | None) -> None:
        self.hub = hub
        self.status = status
        self.wallets: frozenset[str] = frozenset()
        self._exchanges = exchanges
        self._look_up = look_up
        self._blocks: OrderedDict[int, int] = OrderedDict()
        """Number -> time (epoch s)."""
        self._asked: dict[int, asyncio.Task[int | None]] = {}
        """Blocks whose time is being asked for."""
        self._socket: PolygonSocket | None = None
        self._logs: asyncio.Queue[tuple[int, Any]] = asyncio.Queue(PENDING_LOGS)

    def put(self, raw: Any) -> bool:
        """Take a log in; False where there are too many at once."""
        try:
            self._logs.put_nowait((self.hub.now(), raw))
        except asyncio.QueueFull:
            self.hub.counts["logs_dropped"] += 1
            dropped = self.hub.counts["logs_dropped"]
            log.error("too many logs at once; the API will bring what is left out", dropped=dropped)
            return False
        self._ask_early(raw)
        return True

    def saw_block(self, number: int, timestamp: int) -> None:
        """A block's time (epoch seconds)."""
        if wire.is_second(timestamp):
            self._blocks[number] = timestamp
            while len(self._blocks) > BLOCKS_KEPT:
                self._blocks.popitem(last=False)

    async def run(self, socket: PolygonSocket) -> str:
        """Look at one log after the other, and never end; single questions go over ``socket`` where nothing else is."""
        self._socket = socket
        try:
            while True:
                at, raw = await self._logs.get()
                try:
                    await self._handle_log(socket, raw, at)
                except Exception as problem:
                    error = self.hub.fault("a Polygon log", problem)
                    self.hub.bad_input("polygon", f"log: {error}; left to the API", wire.encode(raw, 4000))
        finally:
            self._socket = None
            for task in self._asked.values():
                task.cancel()

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
        if fill.exchange not in self._exchanges:
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
            stamp = await self._block_time(socket, fill.block_number, at)
        observed = fill.observed(stamp * SECOND if stamp is not None else None, wire.encode(raw, 20_000))
        await self.hub.emit(ChainFillSeen(at=max(at, self.hub.now()), fill=observed, removed=fill.removed))

    def _caller(self, socket: PolygonSocket) -> Call:
        """Single look-ups go over HTTP where an address is set, so that they do not wait behind logs."""
        return self._look_up.call if self._look_up is not None else socket.call

    def _ask_early(self, raw: Any) -> None:
        """Ask for the time of a log's block, where the log does not tell it, while the logs before it are looked at: a
        look-up each in turn would hold up those that come after."""
        if self._socket is None or not isinstance(raw, Mapping) or raw.get("blockTimestamp") or raw.get("removed"):
            return
        try:
            number = quantity(raw.get("blockNumber"))
        except RpcError:
            return
        if number not in self._blocks and number not in self._asked and len(self._asked) < ASKED_AT_ONCE:
            self._ask(self._socket, number)

    def _ask(self, socket: PolygonSocket, number: int) -> asyncio.Task[int | None]:
        task = self._asked[number] = asyncio.create_task(self._look(socket, number), name="polygon-block-time")
        task.add_done_callback(lambda _: self._asked.pop(number, None))
        return task

    async def _block_time(self, socket: PolygonSocket, number: int, at: int) -> int | None:
        """A block's time, waited for until :data:`TIME_WAITED_FOR` after its log came (``at``, µs): where times come
        slower than logs, these do not come later and later."""
        known = self._blocks.get(number)
        if known is not None:
            return known
        asked = self._asked.get(number)
        if asked is None:
            if len(self._asked) >= ASKED_AT_ONCE:
                return None
            asked = self._ask(socket, number)
        left = TIME_WAITED_FOR - (self.hub.now() - at) / SECOND
        await asyncio.wait({asked}, timeout=max(0.0, left))
        if not asked.done():
            log.info("block time not available yet; the time of arrival stands in", block=number)
            return None
        return asked.result()

    async def _look(self, socket: PolygonSocket, number: int) -> int | None:
        try:
            async with asyncio.timeout(LOOKUP_TIMEOUT):
                stamp = await block_timestamp(self._caller(socket), number)
        except (RpcError, TimeoutError) as problem:
            log.info("block time not available; the time of arrival stands in", block=number, error=str(problem))
            return None
        self.saw_block(number, stamp)
        return stamp
