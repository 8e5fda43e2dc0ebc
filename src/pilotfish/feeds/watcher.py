"""Polygon logs: one socket, subscriptions for the followed wallets, blocks as heartbeat, reconnecting for ever.

A quiet leader means no logs for hours, so health is judged by blocks, never by logs.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping
from typing import Any

import aiohttp
import structlog

from pilotfish.feeds.chain_filter import Filter, LogFilter, Wanted, filters_for
from pilotfish.feeds.chain_logs import ChainLogs
from pilotfish.feeds.chain_status import ChainStatus
from pilotfish.feeds.hub import Hub
from pilotfish.polymarket import wire
from pilotfish.polymarket.contracts import CHAIN_ID, EXCHANGES, is_wallet
from pilotfish.polymarket.polygon import MAX_FRAME, PolygonHttp, PolygonSocket, RpcError, quantity

log = structlog.get_logger(__name__)

FIRST_BACKOFF, MAX_BACKOFF = 0.5, 30.0
HEAD_POLL = BLOCK_SECONDS = 2.0
SOONEST = 0.25
"""How often the newest block is asked for at most, in seconds."""
DOUBT_EVERY = 30.0
LOOK_SECONDS = 1.0
"""How soon another setting of how to subscribe is taken up."""
OVERLAP_SECONDS = 5.0
"""How long a subscription stays after others have taken its place: two blocks. A log whose block was mined before those
began may still be under way over this one."""


class Watcher:
    """Watches ``wallets`` (lower-case addresses) while started."""

    def __init__(
        self, hub: Hub, session: aiohttp.ClientSession, ws_url: str, exchanges: str, look_up: PolygonHttp | None,
        used: Counter[str],
    ) -> None:  # fmt: skip
        self.hub = hub
        self.status = ChainStatus()
        self.used = used
        """What the provider was asked for since the start (``polymarket.polygon``)."""
        self._session = session
        self._ws_url = ws_url
        self._doubt = asyncio.Event()
        self._doubted = ""
        self._doubted_at = 0.0
        named = [a.strip().lower() for a in exchanges.split(",") if is_wallet(a.strip())]
        self.exchanges: tuple[str, ...] = tuple(named) or EXCHANGES
        self._task: asyncio.Task[None] | None = None
        self._changed = asyncio.Event()
        self._logs = ChainLogs(hub, self.status, self.exchanges, look_up)
        self._filter = LogFilter()

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

    @property
    def wallets(self) -> frozenset[str]:
        """Whose fills are watched for."""
        return self._logs.wallets

    def watch(self, wallets: frozenset[str]) -> None:
        """Follow exactly these wallets."""
        if wallets != self.wallets:
            self._logs.wallets = wallets
            self._filter.watch(wallets)
            self._changed.set()

    def logs_a_day(self) -> tuple[int | None, int | None]:
        """What is delivered in a day with wallet filters, and without; ``None`` where that is not known yet."""
        return self._filter.a_day(self.hub.clock.steady())

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

        await self.hub.rounds("the Polygon connection", one, self._ended, lasting=True)

    def _ended(self, reason: str) -> None:
        self.status.subscribed, self.status.connected_at, self.status.watched = False, None, 0
        self.status.subscriptions = 0
        self.status.state, self.status.error = "waiting", reason[:300]
        self.status.reconnects += 1

    async def _connection(self) -> str:
        async with self._session.ws_connect(
            self._ws_url, timeout=aiohttp.ClientWSTimeout(ws_close=2), max_msg_size=MAX_FRAME
        ) as ws:
            socket = PolygonSocket(
                ws, self._on_event, lambda error, frame: self.hub.bad_input("polygon", error, frame), self.used
            )
            reader = asyncio.create_task(socket.run(), name="polygon-reader")
            helpers = [asyncio.create_task(self._logs.run(socket), name="polygon-logs")]
            try:
                chain = await socket.chain_id()
                if chain != CHAIN_ID:
                    raise RpcError(f"POLYGON_WS_URL serves chain {chain}; expected Polygon ({CHAIN_ID})")
                helpers.append(asyncio.create_task(self._see_blocks(socket), name="polygon-heads"))
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
        """Subscribe for the wallets, and again whenever they change. The new subscriptions come first, and the old ones
        stay until whatever was under way over them has come; what both bring counts once."""
        current: dict[Filter, str] = {}
        retired: dict[Filter, tuple[str, float]] = {}
        """Not needed any more, and until when they stay (steady s)."""
        self._filter.forget()
        while True:
            self._changed.clear()
            wallets, ways = self.wallets, self._ways()
            planned = self._planned(wallets, ways)
            self._filter.begin(self.hub.clock.steady(), unfiltered=Filter() in planned)
            back = {wanted: retired.pop(wanted)[0] for wanted in planned if wanted in retired}
            fresh = [wanted for wanted in planned if wanted not in current and wanted not in back]
            current |= back
            for wanted in fresh:
                current[wanted] = await socket.subscribe_fills(self.exchanges, wanted.wallets, as_maker=wanted.as_maker)
            until = self.hub.clock.steady() + OVERLAP_SECONDS
            gone = {known: (current.pop(known), until) for known in current.keys() - set(planned)}
            retired |= gone
            self.status.subscribed, self.status.state, self.status.error = True, "connected", ""
            self._say(planned, len(wallets), changed=bool(fresh or back or gone))
            while not self._changed.is_set() and ways == self._ways():
                try:
                    async with asyncio.timeout(LOOK_SECONDS):
                        await self._changed.wait()
                except TimeoutError:
                    await self._let_go(socket, retired)

    async def _let_go(self, socket: PolygonSocket, retired: dict[Filter, tuple[str, float]]) -> None:
        now = self.hub.clock.steady()
        for known in [known for known, (_, until) in retired.items() if until <= now]:
            await socket.unsubscribe(retired.pop(known)[0])

    def _ways(self) -> tuple[int, bool, int]:
        """What settings say of how to subscribe."""
        number = self.hub.number
        return number("polygon_chunk_size"), self.hub.flag("polygon_taker_topic"), number("polygon_unfiltered_above")

    def _planned(self, wallets: frozenset[str], ways: tuple[int, bool, int]) -> tuple[Filter, ...]:
        chunk, takers, above = ways
        return filters_for(wallets, chunk=chunk, takers=takers, above=above, unfiltered=self.status.unfiltered)

    def _say(self, planned: tuple[Filter, ...], wallets: int, *, changed: bool) -> None:
        self.status.watched, self.status.subscriptions = wallets, len(planned)
        before, self.status.unfiltered = self.status.unfiltered, Filter() in planned
        if changed:
            log.info("polygon subscribed", wallets=wallets, subscriptions=len(planned))
        if self.status.unfiltered != before:
            filtered, whole = self.logs_a_day()
            log.warning(
                "all fills of the venue are delivered now, and filtered here" if self.status.unfiltered
                else "only the leaders' fills are delivered now",
                wallets=wallets, limit=self.hub.number("polygon_unfiltered_above"),
                filtered_logs_a_day=filtered, all_logs_a_day=whole,
            )  # fmt: skip

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

    async def _see_blocks(self, socket: PolygonSocket) -> str:
        """The heartbeat: the newest block's number is asked for, or each block's header is delivered, by setting. What
        a service says again and again of one block is no sign of life; that it refuses a question ends nothing by
        itself, since a provider at its limit would be asked the more by connecting anew (:meth:`_watch_heads`)."""
        headers, refused, newest = "", False, 0
        while True:
            asked = self._heartbeat()
            if asked is None and not headers and not refused:
                try:
                    headers = await socket.subscribe_heads()
                except RpcError as problem:
                    log.info("no block subscription; asking for the block number instead", error=str(problem))
                    refused = True
            elif asked is not None and headers:
                await socket.unsubscribe(headers)
                headers = ""
            if not headers:
                try:
                    number = quantity(await socket.call("eth_blockNumber", []))
                except RpcError as problem:
                    log.info("the newest block's number cannot be had", error=str(problem))
                else:
                    if number > newest:
                        newest = number
                        self._saw_block(number, None)
            await asyncio.sleep(LOOK_SECONDS if headers else HEAD_POLL if asked is None else asked)

    def _heartbeat(self) -> float | None:
        """Seconds between questions for the newest block; ``None`` where headers are to be delivered. Two questions and
        a block fit into what counts as stale."""
        seconds = self.hub.number("polygon_heartbeat_sec")
        stale = self.hub.number("polygon_health_stale_ms") / 1000
        return min(seconds, max(SOONEST, (stale - BLOCK_SECONDS) / 2)) if seconds else None

    # -- notifications -----------------------------------------------------------------------------------------

    def _on_event(self, _subscription: str, result: Any) -> None:
        if isinstance(result, Mapping) and "topics" not in result and "number" in result:
            try:
                self._saw_block(quantity(result["number"]), quantity(result.get("timestamp")))
            except RpcError as problem:
                self.hub.bad_input("polygon", f"block header: {problem}", wire.encode(result, 500))
            return
        self.status.logs += 1
        self.status.last_log_at = self.hub.clock.wall()
        wanted = self._filter.take(result)
        if wanted is Wanted.COUNTERPARTY:
            self.status.counterparty_logs += not self._filter.came_before(result)
        elif wanted is Wanted.UNREADABLE or (wanted is Wanted.OWN and not self._filter.came_before(result)):
            self._logs.put(result)

    def _saw_block(self, number: int, timestamp: int | None) -> None:
        self.status.last_block_at, self.status.last_block = self.hub.clock.wall(), number
        if timestamp is not None:
            self._logs.saw_block(number, timestamp)
