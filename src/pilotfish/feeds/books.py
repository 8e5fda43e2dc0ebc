"""Order books over HTTP: on demand for decisions and fills, and regularly for what is held."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping

import structlog

from pilotfish.core.events import BookMissing, BookSeen
from pilotfish.feeds.hub import Hub
from pilotfish.polymarket.clob import BookError, Clob, parse_book
from pilotfish.polymarket.http import VenueError

log = structlog.get_logger(__name__)

BATCH = 50


class Books:
    """Answers every ask with a ``BookSeen`` requested after it, or a ``BookMissing``; one request a token at a time."""

    def __init__(self, hub: Hub, clob: Clob) -> None:
        self.hub = hub
        self.clob = clob
        self.last_ok_at: float | None = None
        self._asked: dict[str, bool] = {}
        """Tokens with a request under way -> asked again since it began."""

    def ask(self, token_id: str) -> None:
        """Read a token's book from now on."""
        if token_id in self._asked:
            self._asked[token_id] = True
            return
        self._asked[token_id] = False
        self.hub.spawn(self._read(token_id), f"book-{token_id[:8]}")

    async def _read(self, token_id: str) -> None:
        try:
            while True:
                self._asked[token_id] = False
                await self._read_once(token_id)
                if not self._asked[token_id]:
                    return
        finally:
            self._asked.pop(token_id, None)

    async def _read_once(self, token_id: str) -> None:
        requested_at = self.hub.now()
        try:
            payload = await self.clob.book(token_id)
        except VenueError as problem:
            await self.hub.emit(BookMissing(at=self.hub.now(), token_id=token_id, detail=str(problem)))
            return
        if payload is None:
            await self.hub.emit(BookMissing(at=self.hub.now(), token_id=token_id, detail="no book", gone=True))
            return
        await self._emit(payload, token_id, requested_at)

    async def _emit(self, payload: object, token_id: str, requested_at: int) -> None:
        received_at = self.hub.now()
        try:
            book = parse_book(payload, requested_at=requested_at, received_at=received_at)
            if book.token_id != token_id:
                raise BookError(f"asked for {token_id[:12]}…, got {book.token_id[:12]}…")
        except BookError as problem:
            self.hub.bad_input("clob", f"book of {token_id}: {problem}", str(payload)[:2000])
            await self.hub.emit(BookMissing(at=received_at, token_id=token_id, detail=str(problem)))
            return
        await self.hub.emit(BookSeen(at=received_at, book=book))

    async def value_held(self, held: Callable[[], Iterable[str]]) -> None:
        """Read the books of everything that is held, every ``mark_interval_ms``; never ends."""
        while True:
            await asyncio.sleep(self.hub.number("mark_interval_ms") / 1000)
            tokens = sorted(held())
            for i in range(0, len(tokens), BATCH):
                await self._value(tokens[i : i + BATCH])

    async def _value(self, tokens: list[str]) -> None:
        requested_at = self.hub.now()
        try:
            payloads = await self.clob.books(tokens)
        except VenueError as problem:
            log.debug("books in one request not available; reading them singly", error=str(problem))
            for token in tokens:
                self.ask(token)
            return
        wanted = set(tokens)
        for payload in payloads:
            token = (
                str(payload.get("asset_id") or payload.get("token_id") or "") if isinstance(payload, Mapping) else ""
            )
            if token in wanted:
                await self._emit(payload, token, requested_at)
