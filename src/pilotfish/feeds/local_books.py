"""Order books kept from the market channel: of what is held, followed and about to be traded.

The channel has no sequence numbers, so every doubt (a crossed book, best prices that differ from those the venue says,
silence, nothing that confirmed the book for long) takes the book out of use until it was read over HTTP. A connection
that a read over HTTP has proven wrong is dropped; what the next one says is not used before one of its books, that of
the token that was wrong if it has it, was compared over HTTP and is right. Connections are subscribed once and never
changed: new tokens get a connection of their own, and when there are too many connections as few as will do take over
from all of them.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import aiohttp
import structlog

from pilotfish.core.book import Book
from pilotfish.core.trade import Side
from pilotfish.core.units import SECOND
from pilotfish.feeds.book_tap import BookTap, nowhere
from pilotfish.feeds.hub import Hub
from pilotfish.feeds.kept_book import Channel, Doubt, KeptBook, apply, difference
from pilotfish.polymarket import market_ws as ws
from pilotfish.polymarket import wire
from pilotfish.polymarket.book_rows import BookRow
from pilotfish.polymarket.clob import BookError, parse_book

log = structlog.get_logger(__name__)

TOKENS_A_CONNECTION = 200
MAX_SPARE = 3
"""Connections beyond those that are needed above which new ones take over."""
GATHER_SECONDS = 0.1
"""How long new tokens are gathered before a connection is made for them."""
FIRST_BACKOFF, MAX_BACKOFF = 0.5, 30.0
SNAPSHOT_SECONDS = 10.0
"""How long a connection may take until its first frame."""
REPLAYED = 5_000
"""Changes of one book remembered while it is read over HTTP."""
PROVE_SECONDS = 1.5
"""How long changes that a read over HTTP shows may take to come through the channel before it is proven wrong."""
COMPARE_SECONDS = 2.0
"""Pause between two attempts to compare a new connection."""
WRONG = "it was wrong about a book"
LET_GO = "its book is kept no longer"


@dataclass(slots=True)
class LocalStatus:
    """What a person wants to know (times in epoch seconds)."""

    connected: int = 0
    connected_at: float | None = None
    last_frame_at: float | None = None
    reconnects: int = 0
    frames: int = 0
    kept: int = 0
    used: int = 0
    doubts: int = 0
    proven_wrong: int = 0
    evicted: int = 0
    error: str = ""


class LocalBooks:
    """``reread(token)`` is called for a book in doubt; its answer comes back through :meth:`take_http`. ``record``
    takes what is heard of books, a row at a time, and never waits; False = a row was not taken."""

    def __init__(
        self,
        hub: Hub,
        session: aiohttp.ClientSession,
        url: str,
        reread: Callable[[str], None],
        resolved: Callable[[str], None],
        record: Callable[[BookRow], bool] = nowhere,
    ) -> None:
        self.hub = hub
        self.tap = BookTap(record, hub.now, lambda: hub.flag("record_books"))
        self.status = LocalStatus()
        self._session = session
        self._url = url
        self._reread = reread
        self._resolved = resolved
        self._books: OrderedDict[str, KeptBook] = OrderedDict()
        """Least recently needed first."""
        self._shards: list[Channel] = []
        self._changed = asyncio.Event()
        self._merging = False
        self._filled: set[str] = set()
        """Tokens that nobody has asked for, kept because there is room."""

    # -- for the rest of the worker ----------------------------------------------------------------------------

    def want(self, token_id: str) -> None:
        """This token is needed now: keep its book, and let the least recently needed ones go."""
        if not self._on():
            return
        self._filled.discard(token_id)
        if token_id in self._books:
            self._books.move_to_end(token_id)
            return
        self._books[token_id] = KeptBook(token_id)
        while len(self._books) > self.hub.number("max_local_books"):
            gone, _ = self._books.popitem(last=False)
            self._filled.discard(gone)
            self.tap.end(gone, LET_GO)
            self.status.evicted += 1
        self._changed.set()

    def fill_up(self, tokens: Iterable[str]) -> None:
        """Keep these too as long as there is room, the first ones first; they push nothing out that somebody asked for,
        and take the places of those that were kept like this before and now come later, or not at all."""
        if not self._on():
            return
        asked_for = len(self._books) - len(self._filled)
        room = max(0, self.hub.number("max_local_books") - asked_for)
        wanted: dict[str, None] = {}
        for token in tokens:
            if len(wanted) >= room:
                break
            if token not in self._books or token in self._filled:
                wanted[token] = None
        for token in self._filled - wanted.keys():
            del self._books[token]
            self.tap.end(token, LET_GO)
        for token in wanted:
            if token not in self._books:
                self._books[token] = KeptBook(token)
                self._changed.set()
            self._books.move_to_end(token, last=False)
        self._filled = set(wanted)

    def get(self, token_id: str, within_ms: int | None = None) -> Book | None:
        """The book, or ``None`` where it is not kept or not to be trusted.

        ``within_ms``: only one that was confirmed so lately, by a frame of its token with the best prices or a read
        over HTTP; that is the book of this instant. Without it the book is as of when it was confirmed.
        """
        local = self._books.get(token_id)
        if local is None or local.doubt or not self._on() or not (local.bids or local.asks):
            return None
        now = self.hub.clock.steady()
        shard = local.owner
        stale = self.hub.number("local_book_stale_ms") / 1000
        if shard is None or shard.ended or shard.suspected or now - shard.heard_at > stale:
            return None
        if now - local.confirmed_at > self.hub.number("local_book_check_sec"):
            return None
        age = now - local.confirmed_at
        if within_ms is not None and age * 1000 > within_ms:
            return None
        self.status.used += 1
        return local.as_book(self.hub.now(), 0.0 if within_ms is not None else age)

    def kept(self, token_id: str) -> bool:
        """True while this token's book is kept, trusted or not."""
        return token_id in self._books

    def begin_http(self, token_id: str) -> None:
        """An HTTP read of the book begins: remember what changes meanwhile."""
        local = self._books.get(token_id)
        if local is not None:
            local.pending = []

    def take_http(self, book: Book, at_ms: int) -> None:
        """An HTTP read is there (``at_ms``: the venue's clock, 0 = not said): it confirms the book or replaces it."""
        local = self._books.get(book.token_id)
        if local is None:
            return
        changed, local.pending = local.pending or [], None
        if local.owner is None or local.owner.ended:
            return
        bids, asks = {lv.price: lv.size for lv in book.bids}, {lv.price: lv.size for lv in book.asks}
        for then, change in changed:
            if not (at_ms and then and then <= at_ms):
                apply(bids if change.side is Side.BUY else asks, change)
        shard = local.owner
        differs = difference(Side.BUY, bids, local.bids) | difference(Side.SELL, asks, local.asks)
        compared = not local.doubt or local.doubt is Doubt.UNPROVEN
        same = not differs and (local.tick, local.min_size) == (book.tick, book.min_size)
        local.replace(bids, asks)
        local.tick, local.min_size = book.tick, book.min_size
        self._judged(shard, local, differs=differs, compared=compared)
        if same:
            self.tap.settle(local)
        else:
            self.tap.replaced(local)

    def _judged(self, shard: Channel, local: KeptBook, *, differs: set[tuple[Side, int]], compared: bool) -> None:
        """What a read over HTTP, which the book is now, says of it and of its channel."""
        if local.is_crossed:
            local.doubt = Doubt.CROSSED
            return
        if local.unexplained:
            return
        if differs and compared:
            self._count(local, Doubt.OTHER_OVER_HTTP)
            local.doubt, local.unexplained = Doubt.OTHER_OVER_HTTP, differs
            shard.suspected.add(local.token_id)
            self.hub.spawn(self._judge(shard, local), "books-judge")
            return
        if compared and shard.wrong:
            self._compared(shard, local.token_id)
        local.doubt, local.confirmed_at = Doubt.UNPROVEN if shard.wrong else Doubt.NONE, self.hub.clock.steady()

    def no_http(self, token_id: str) -> None:
        """An HTTP read that had begun brought nothing."""
        local = self._books.get(token_id)
        if local is not None:
            local.pending = None

    async def run(self) -> None:
        """Keep connections for what is wanted; never ends."""
        await self.hub.rounds("kept books", self._round)

    async def _round(self) -> float:
        self._changed.clear()
        if self._on() and self._url:
            self._balance()
        else:
            self._end(self._shards)
            for token in self._books:
                self.tap.end(token, LET_GO)
            self._books.clear()
            self._filled.clear()
        self._publish()
        try:
            async with asyncio.timeout(1.0):
                await self._changed.wait()
        except TimeoutError:
            return 0.0
        return GATHER_SECONDS

    def _on(self) -> bool:
        return self.hub.flag("local_books") and bool(self._url)

    # -- connections -------------------------------------------------------------------------------------------

    def _balance(self) -> None:
        wanted = set(self._books)
        covered = set().union(*(s.tokens for s in self._shards)) if self._shards else set()
        self._open(wanted - covered)
        needed = -(-len(wanted) // TOKENS_A_CONNECTION)
        scattered = len(self._shards) > needed + MAX_SPARE or len(covered - wanted) > max(50, len(wanted))
        if scattered and not self._merging and all(s.ready for s in self._shards):
            self._merging = True
            before = list(self._shards)
            self.hub.spawn(self._take_over(self._open(wanted), before), "books-merge")
        if not wanted:
            self._end(self._shards)

    def _open(self, tokens: set[str]) -> list[Channel]:
        ordered = sorted(tokens)
        opened = [
            Channel(frozenset(ordered[i : i + TOKENS_A_CONNECTION]))
            for i in range(0, len(ordered), TOKENS_A_CONNECTION)
        ]
        for shard in opened:
            shard.task = self.hub.spawn(self._keep(shard), f"books-{len(shard.tokens)}", essential=True)
            shard.wrong = {t for s in self._shards if not s.ended for t in s.wrong} & shard.tokens
        self._shards += opened
        return opened

    async def _take_over(self, opened: list[Channel], before: list[Channel]) -> None:
        try:
            async with asyncio.timeout(SNAPSHOT_SECONDS):
                for shard in opened:
                    await shard.first_frame.wait()
            self._end(before)
        except TimeoutError:
            self._end(opened)
        finally:
            self._merging = False

    def _end(self, shards: list[Channel]) -> None:
        for shard in list(shards):
            shard.ended = True
            if shard.task is not None:
                shard.task.cancel()
            if shard in self._shards:
                self._shards.remove(shard)

    async def _keep(self, shard: Channel) -> None:
        """Connect, listen, and connect again, until the connection is no longer wanted: its task is cancelled then."""
        await self.hub.rounds("a market channel", lambda: self._connection(shard), lambda why: self._lost(shard, why),
                              lasting=True)  # fmt: skip

    async def _connection(self, shard: Channel) -> float:
        """One connection from open to close; returns the pause until the next one."""
        heard = False
        try:
            socket = await ws.connect(self._session, self._url, sorted(shard.tokens))
        except (aiohttp.ClientError, TimeoutError, OSError) as problem:
            self._lost(shard, f"{type(problem).__name__}: {problem}"[:200])
        else:
            self.status.connected_at = self.hub.clock.wall()
            shard.socket = socket
            shard.silent = False
            helpers = [
                asyncio.create_task(_ping(socket), name="books-ping"),
                asyncio.create_task(self._end_when_silent(shard, socket), name="books-silence"),
            ]
            if shard.wrong:
                helpers.append(asyncio.create_task(self._compare_shard(shard), name="books-compare"))
            try:
                heard = await self._listen(shard, socket)
                why = WRONG if shard.wrong else "silent" if shard.silent else "closed by the venue"
                self._lost(shard, why, sure=not shard.silent)
            except (aiohttp.ClientError, OSError) as problem:
                self._lost(shard, f"{type(problem).__name__}: {problem}"[:200])
            finally:
                shard.socket = None
                for task in helpers:
                    task.cancel()
                await asyncio.gather(*helpers, return_exceptions=True)
                await asyncio.shield(socket.close())
        self.status.reconnects += 1
        shard.failures = 0 if heard and not shard.silent and not shard.wrong else min(shard.failures + 1, 10)
        pause = min(MAX_BACKOFF, FIRST_BACKOFF * 2 ** max(0, shard.failures - 1))
        return float(pause * self.hub.chance.uniform(0.5, 1.0))

    # -- a connection that was wrong ---------------------------------------------------------------------------

    async def _judge(self, shard: Channel, local: KeptBook) -> None:
        """Give the channel a moment to bring what the HTTP book has shown; what it still has not is proof."""
        await asyncio.sleep(PROVE_SECONDS)
        still_kept = self._books.get(local.token_id) is local and local.owner is shard
        if not still_kept or not local.unexplained:
            shard.suspected.discard(local.token_id)
            return
        self._explained(shard, local)
        shard.wrong.add(local.token_id)
        self.status.proven_wrong += 1
        self.hub.counts["book_channels_wrong"] += 1
        log.warning("the market channel was wrong; it is made anew", token_id=local.token_id, books=len(shard.tokens))
        self._lost(shard, WRONG)
        if shard.socket is not None:
            await shard.socket.close()

    async def _compare_shard(self, shard: Channel) -> None:
        """Read a book of a new connection over HTTP until one was compared: one of those that were wrong, if any."""
        while shard.wrong:
            mine = [local for local in self._books.values() if local.owner is shard]
            doubted = [local for local in mine if local.token_id in shard.wrong] or mine[-1:]
            for local in doubted[:1]:
                self._reread(local.token_id)
            await asyncio.sleep(COMPARE_SECONDS if doubted else 0.1)

    def _compared(self, shard: Channel, token_id: str) -> None:
        """A book of a new connection is the one over HTTP: all are believed once those that were wrong have been."""
        shard.wrong.discard(token_id)
        mine = [local for local in self._books.values() if local.owner is shard]
        if any(local.token_id in shard.wrong for local in mine):
            return
        shard.wrong.clear()
        for local in mine:
            if local.doubt is Doubt.UNPROVEN:
                local.doubt = Doubt.NONE
                self.tap.settle(local)

    def _explained(self, shard: Channel, local: KeptBook) -> None:
        """The channel has brought what the HTTP book had shown before it."""
        local.unexplained.clear()
        shard.suspected.discard(local.token_id)

    async def _listen(self, shard: Channel, socket: aiohttp.ClientWebSocketResponse) -> bool:
        """Read until the connection ends; True if it was of use."""
        useful = False
        steady, wall = self.hub.clock.steady, self.hub.clock.wall
        while True:
            message = await socket.receive()
            kind = message.type
            if kind is aiohttp.WSMsgType.TEXT or kind is aiohttp.WSMsgType.BINARY:
                shard.heard_at = steady()
                self.status.last_frame_at = wall()
                self.status.error = ""
                if message.data in ("PONG", b"PONG"):
                    continue
                if not useful:
                    useful = shard.ready = True
                    shard.first_frame.set()
                try:
                    self._take(shard, message.data)
                except Exception as problem:
                    self._unreadable(shard, self.hub.fault("a market channel's frame", problem), message.data)
            elif kind in (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.CLOSING):
                return useful
            elif kind is aiohttp.WSMsgType.ERROR:
                raise aiohttp.ClientError(str(socket.exception()))

    async def _end_when_silent(self, shard: Channel, socket: aiohttp.ClientWebSocketResponse) -> None:
        """Close a connection over which nothing, not even a heartbeat, came for too long."""
        began = self.hub.clock.steady()
        while True:
            patience = self.hub.number("local_book_stale_ms") / 1000
            left = max(began, shard.heard_at) + patience - self.hub.clock.steady()
            if left <= 0:
                shard.silent = True
                await socket.close()
                return
            await asyncio.sleep(left)

    def _lost(self, shard: Channel, why: str, *, sure: bool = False) -> None:
        """The connection is gone. ``sure``: everything until now has come through it; else only what was heard last is
        known to be."""
        if not shard.ended:
            self.status.error = why
            log.warning("market channel lost; books are read over HTTP meanwhile", why=why, books=len(shard.tokens))
        shard.ready = False
        for local in self._books.values():
            if local.owner is shard:
                local.owner, local.doubt = None, Doubt.NO_CONNECTION
                local.unexplained.clear()
                silent = 0.0 if sure else max(0.0, self.hub.clock.steady() - shard.heard_at)
                self.tap.settle(local, self.hub.now() - round(silent * SECOND))
        shard.suspected.clear()

    # -- frames ------------------------------------------------------------------------------------------------

    def _take(self, shard: Channel, text: str | bytes) -> None:
        self.status.frames += 1
        changes = ws.parse_changes(text)
        if changes is not None:
            self._changes(shard, changes)
            return
        frames, errors = ws.parse(text)
        for error in errors:
            self._unreadable(shard, error, text)
        for frame in frames:
            match frame:
                case ws.Snapshot():
                    self._snapshot(shard, frame)
                case ws.Changes():
                    self._changes(shard, frame)
                case ws.TickChange():
                    if (local := self._mine(shard, frame.token_id)) is not None:
                        local.tick = frame.tick
                        self.tap.tick(frame)
                case ws.LastTrade():
                    if self._mine(shard, frame.token_id) is not None:
                        self.tap.trade(frame)
                case ws.Best():
                    if (local := self._mine(shard, frame.token_id)) is not None and not local.doubt:
                        self._compare(local, frame.bid, frame.ask)
                case ws.Resolved():
                    for token in frame.token_ids:
                        self._resolved(token)

    def _unreadable(self, shard: Channel, error: str, text: str | bytes) -> None:
        shown = text if isinstance(text, str) else text.decode("utf-8", "replace")
        self.hub.bad_input("market_ws", error, shown[:2000])
        self._doubt_all(shard, Doubt.UNREADABLE)

    def _mine(self, shard: Channel, token_id: str) -> KeptBook | None:
        local = self._books.get(token_id)
        return local if local is not None and local.owner is shard else None

    def _snapshot(self, shard: Channel, frame: ws.Snapshot) -> None:
        local = self._books.get(frame.token_id)
        if local is None:
            return
        try:
            book = parse_book(frame.raw, requested_at=0, received_at=0)
        except BookError as problem:
            self.hub.bad_input("market_ws", f"book of {frame.token_id}: {problem}", wire.encode(frame.raw, 2000))
            if local.owner is shard:
                self._in_doubt(local, Doubt.UNREADABLE)
            return
        local.owner = shard
        local.replace({lv.price: lv.size for lv in book.bids}, {lv.price: lv.size for lv in book.asks})
        if frame.raw.get("tick_size"):
            local.tick = book.tick
        if frame.raw.get("min_order_size"):
            local.min_size = book.min_size
        local.pending = [] if local.pending is not None else None
        self._explained(shard, local)
        local.doubt, local.confirmed_at = Doubt.UNPROVEN if shard.wrong else Doubt.NONE, self.hub.clock.steady()
        if local.is_crossed:
            self._in_doubt(local, Doubt.CROSSED)
        self.tap.snapshot(local, frame.raw)

    def _changes(self, shard: Channel, frame: ws.Changes) -> None:
        last: dict[str, tuple[KeptBook, ws.Change]] = {}
        at, at_ms, books = self.hub.now(), frame.at_ms, self._books
        for change in frame.changes:
            local = books.get(change.token_id)
            if local is None or local.owner is not shard:
                continue
            local.put(change.side, change.price, change.size)
            self.tap.change(change.token_id, change, at_ms, at)
            if local.unexplained:
                self._may_explain(shard, local, change)
            if local.pending is not None:
                local.pending.append((at_ms, change))
                del local.pending[:-REPLAYED]
            last[change.token_id] = (local, change)
        for local, change in last.values():
            if not local.doubt:
                if local.is_crossed:
                    self._in_doubt(local, Doubt.CROSSED)
                else:
                    self._compare(local, change.best_bid, change.best_ask)
            self.tap.settle(local)

    def _may_explain(self, shard: Channel, local: KeptBook, change: ws.Change) -> None:
        """A change of a book of which the one over HTTP was another: is it what that had shown?"""
        local.unexplained.discard((change.side, change.price))
        if not local.unexplained:
            self._explained(shard, local)
            local.doubt, local.confirmed_at = Doubt.UNPROVEN if shard.wrong else Doubt.NONE, self.hub.clock.steady()

    def _compare(self, local: KeptBook, bid: int | None, ask: int | None) -> None:
        """Against the best prices that the venue says; both agreeing confirms the book."""
        if (bid is not None and bid != local.top_bid) or (ask is not None and ask != local.top_ask):
            said = f"{local.top_bid}/{local.top_ask}, the venue says {bid}/{ask}"
            self._in_doubt(local, Doubt.OTHER_PRICES, said)
        elif bid is not None and ask is not None:
            local.confirmed_at = self.hub.clock.steady()

    def _count(self, local: KeptBook, why: Doubt, detail: str = "") -> None:
        self.status.doubts += 1
        self.hub.counts["book_doubts"] += 1
        log.info("a kept book was wrong", token_id=local.token_id, why=why.value, detail=detail)

    def _in_doubt(self, local: KeptBook, why: Doubt, detail: str = "") -> None:
        self._count(local, why, detail)
        local.doubt = why
        self.tap.settle(local)
        self._reread(local.token_id)

    def _doubt_all(self, shard: Channel, why: Doubt) -> None:
        for local in self._books.values():
            if local.owner is shard and not local.doubt:
                self._in_doubt(local, why)

    def _publish(self) -> None:
        self.status.kept = len(self._books)
        self.status.connected = sum(s.ready for s in self._shards)


async def _ping(socket: aiohttp.ClientWebSocketResponse) -> None:
    while not socket.closed:
        await asyncio.sleep(ws.PING_SECONDS)
        try:
            await socket.send_str("PING")
        except (aiohttp.ClientError, OSError):
            return
