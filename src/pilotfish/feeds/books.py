"""Order books: from the market channel where one is kept and trusted, else over HTTP; on demand for decisions and
fills, and regularly for what is held."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping

import structlog

from pilotfish.core.book import Book
from pilotfish.core.events import BookMissing, BookSeen
from pilotfish.core.units import scaled
from pilotfish.feeds.hub import Hub
from pilotfish.feeds.local_books import LocalBooks
from pilotfish.polymarket import wire
from pilotfish.polymarket.clob import BookError, Clob, parse_book
from pilotfish.polymarket.http import VenueError

log = structlog.get_logger(__name__)

BATCH = 50
MISSED_SECONDS = 60.0
"""How often what nobody holds is valued."""
REPEAT_SECONDS = 30.0
"""A book that did not change is handed over again after this time."""


class Books:
    """Answers every ask with a ``BookSeen`` requested after it, or a ``BookMissing``; one request a token at a time.

    What is asked for is for a decision or a fill: a kept book must have been confirmed within a few seconds. Marks take
    a kept book that nothing contradicts, as of when it was confirmed.
    """

    def __init__(self, hub: Hub, clob: Clob, local: Callable[[Callable[[str], None]], LocalBooks]) -> None:
        self.hub = hub
        self.clob = clob
        self.local = local(self._reread)
        self._wanted: dict[str, None] = {}
        """Asked for, and not looked at yet."""
        self._asked: dict[str, bool] = {}
        """Tokens with a request under way -> asked again since it began."""
        self._valued: dict[str, tuple[Book, float]] = {}

    def ask(self, token_id: str) -> None:
        """Give a token's book as it is from now on. Whatever asks for one at the same time is answered by one book."""
        self.local.want(token_id)
        if not self._wanted:
            asyncio.get_running_loop().call_soon(self._answer)
        self._wanted[token_id] = None

    def _answer(self) -> None:
        """What was asked for since the loop last came by."""
        wanted, self._wanted = self._wanted, {}
        within = self.hub.number("local_book_fill_age_ms")
        for token_id in wanted:
            book = self.local.get(token_id, within)
            if book is not None:
                self.local.tap.asked(token_id, book.received_at)
                self.hub.give(BookSeen(at=self.hub.now(), book=book))
            else:
                self._reread(token_id)

    def _reread(self, token_id: str) -> None:
        if token_id in self._asked:
            self._asked[token_id] = True
            return
        self._asked[token_id] = False
        self.hub.spawn(self._read(token_id), f"book-{token_id[:8]}")

    async def _read(self, token_id: str) -> None:
        try:
            while True:
                self._asked[token_id] = False
                try:
                    await self._read_once(token_id)
                except Exception as problem:
                    await self._missing(token_id, self.hub.fault("book look-up", problem))
                if not self._asked[token_id]:
                    return
        finally:
            self._asked.pop(token_id, None)

    async def _read_once(self, token_id: str) -> None:
        requested_at = self.hub.now()
        self.local.begin_http(token_id)
        try:
            payload = await self.clob.book(token_id)
        except VenueError as problem:
            return await self._missing(token_id, str(problem))
        if payload is None:
            return await self._missing(token_id, "no book", gone=True)
        return await self._emit(payload, token_id, requested_at)

    async def _missing(self, token_id: str, detail: str, *, gone: bool = False) -> None:
        self.local.no_http(token_id)
        await self.hub.emit(BookMissing(at=self.hub.now(), token_id=token_id, detail=detail, gone=gone))

    async def _emit(self, payload: object, token_id: str, requested_at: int) -> None:
        received_at = self.hub.now()
        try:
            book = parse_book(payload, requested_at=requested_at, received_at=received_at)
            if book.token_id != token_id:
                raise BookError(f"asked for {token_id[:12]}…, got {book.token_id[:12]}…")
        except BookError as problem:
            self.hub.bad_input("clob", f"book of {token_id}: {problem}", wire.encode(payload, 2000))
            await self._missing(token_id, str(problem))
            return
        assert isinstance(payload, Mapping)  # a book was read from it
        self.local.tap.answer(payload, token_id, requested_at, received_at)
        self.local.take_http(book, _clock(payload))
        await self.hub.emit(BookSeen(at=received_at, book=book))

    # -- valuing -----------------------------------------------------------------------------------------------

    async def value_held(self, held: Callable[[], Iterable[str]]) -> None:
        """Hand over the books of everything that is held, every ``mark_interval_ms``; never ends."""

        async def one() -> float:
            tokens = sorted(held())
            for token in tokens:
                self.local.want(token)
            await self._value_all(tokens)
            self._valued = {token: x for token, x in self._valued.items() if self.local.kept(token)}
            return self.hub.number("mark_interval_ms") / 1000

        await asyncio.sleep(self.hub.number("mark_interval_ms") / 1000)
        await self.hub.rounds("marks", one)

    async def value_missed(self, missed: Callable[[], Iterable[str]]) -> None:
        """Hand over the books of what leaders bought and nobody here holds, every minute; never ends."""

        async def one() -> float:
            await self._value_all(sorted(missed()))
            return MISSED_SECONDS

        await asyncio.sleep(MISSED_SECONDS)
        await self.hub.rounds("marks of what is not held", one)

    async def _value_all(self, tokens: list[str]) -> None:
        over_http = []
        for token in tokens:
            book = self.local.get(token)
            if book is None:
                over_http.append(token)
                continue
            before, then = self._valued.get(token, (None, 0.0))
            same = before is not None and (before.bids, before.asks) == (book.bids, book.asks)
            if not same or self.hub.clock.steady() - then > REPEAT_SECONDS:
                self._valued[token] = (book, self.hub.clock.steady())
                await self.hub.emit(BookSeen(at=self.hub.now(), book=book))
        for i in range(0, len(over_http), BATCH):
            await self._value(over_http[i : i + BATCH])

    async def _value(self, tokens: list[str]) -> None:
        requested_at = self.hub.now()
        for token in tokens:
            self.local.begin_http(token)
        try:
            payloads = await self.clob.books(tokens)
        except VenueError as problem:
            log.debug("books in one request not available; reading them singly", error=str(problem))
            for token in tokens:
                self.local.no_http(token)
                self._reread(token)
            return
        wanted = set(tokens)
        for payload in payloads:
            named = wire.first(payload, "asset_id", "token_id") if isinstance(payload, Mapping) else None
            token = wire.text_of(named)
            if token in wanted:
                wanted.discard(token)
                await self._emit(payload, token, requested_at)
        for token in wanted:
            self.local.no_http(token)


def _clock(payload: object) -> int:
    """The venue's own time of a book, in ms; 0 where it does not say."""
    try:
        return scaled(payload.get("timestamp"), 0) if isinstance(payload, Mapping) else 0
    except ValueError:
        return 0
