"""One way to ask any of the venue's HTTP services: limits, retries with backoff, and errors that say what to do."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import aiohttp
import msgspec
import stamina

from pilotfish.polymarket import wire
from pilotfish.polymarket.throttle import Throttle

CONNECTIONS = 160
"""At the same time, to all services: more than the poller asks at once, so that nothing else waits for its answers."""

Read: TypeAlias = Callable[[bytes], Any]
"""Reads a body; raises :class:`~pilotfish.polymarket.wire.NotJsonError` for one that is no JSON."""

ATTEMPTS = 3
"""Tries of one request."""


class VenueError(Exception):
    """A request that failed. ``status`` is the HTTP status, or ``None`` where no answer came.

    ``retry_after`` is how many seconds the service asked to be left alone.
    """

    def __init__(self, message: str, status: int | None = None, code: str = "", retry_after: float = 0.0) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.retry_after = retry_after


class NotFoundError(VenueError):
    """The service has no such thing (404)."""


@dataclass(slots=True)
class ServiceHealth:
    """What a person wants to know of one service."""

    last_ok_at: float | None = None
    last_error: str = ""
    last_error_at: float | None = None
    requests: int = 0
    errors: int = 0
    throttled: int = 0
    latencies_ms: list[float] = field(default_factory=list)

    def ok(self, elapsed: float) -> None:
        """Count an answer."""
        self.last_ok_at = time.time()
        self.latencies_ms.append(elapsed * 1000)
        del self.latencies_ms[:-50]

    def failed(self, error: str) -> None:
        """Count a failure."""
        self.errors += 1
        self.last_error, self.last_error_at = error, time.time()


class Service:
    """An HTTP service with a base URL. ``per_second``, and that of each of the ``routes``, keep below the documented
    limits whatever is asked of it. ``progress`` is called whenever a try begins, may be sent and has ended: who waits
    for it goes on; ``queued`` before it waits for its turn below those limits, which may take as long as others ask for
    much."""

    def __init__(
        self, session: aiohttp.ClientSession, name: str, base_url: str, *, per_second: float, attempts: int = ATTEMPTS,
        routes: Mapping[str, float] | None = None, progress: Callable[[], None] = lambda: None,
        queued: Callable[[], None] = lambda: None,
    ) -> None:  # fmt: skip
        self.name = name
        self.base_url = base_url.rstrip("/")
        self.per_second = per_second
        self.health = ServiceHealth()
        self._session = session
        self.throttle = Throttle(per_second, routes)
        self._attempts = attempts
        self._not_before = 0.0
        self._progress = progress
        self._queued = queued

    async def get(
        self, path: str, params: dict[str, str | int] | None = None, *, first: bool = False, read: Read = wire.decode
    ) -> Any:
        """GET and decode JSON; numbers with a fraction come as exact ``Decimal``, unless ``read`` does it otherwise.
        ``first``: before other requests, as far as the throttle keeps room free."""
        return await self._request("GET", path, params=params, first=first, read=read)

    async def post(self, path: str, body: object) -> Any:
        """POST JSON and decode the JSON answer."""
        return await self._request("POST", path, body=body)

    def rest(self, seconds: float) -> None:
        """Ask nothing for so long; may be called from another thread, and again before that is over."""
        self._not_before = max(self._not_before, time.monotonic() + seconds)

    async def _request(
        self, method: str, path: str, *, params: dict[str, str | int] | None = None, body: object = None,
        first: bool = False, read: Read = wire.decode,
    ) -> Any:  # fmt: skip
        waits = {"wait_initial": 0.5, "wait_max": 10.0, "wait_jitter": 0.5}
        async for attempt in stamina.retry_context(on=_again, attempts=self._attempts, timeout=None, **waits):
            with attempt:
                self._progress()
                try:
                    return await self._once(method, path, params, body, first, read)
                finally:
                    self._progress()
        raise AssertionError("unreachable: the last attempt returns or raises")

    async def _once(
        self, method: str, path: str, params: dict[str, str | int] | None, body: object, first: bool, read: Read
    ) -> Any:
        await self._rested()
        self._queued()
        await self.throttle.wait(path, first=first)
        self._progress()
        started = time.monotonic()
        self.health.requests += 1
        payload = msgspec.json.encode(body) if body is not None else None
        headers = {"Content-Type": "application/json"} if payload is not None else {}
        try:
            async with self._session.request(
                method, self.base_url + path, params=params, data=payload, headers=headers
            ) as answer:
                raw = await _body(answer)
        except (aiohttp.ClientError, TimeoutError, OSError) as problem:
            error = VenueError(f"{self.name} {path}: no answer ({type(problem).__name__}: {problem})"[:300])
            self.health.failed(str(error))
            raise error from None
        if answer.status != 200:
            raise self._refusal(answer.status, raw, answer.headers.get("Retry-After"), path)
        decoded = self._decode(raw, path, read)
        self.health.ok(time.monotonic() - started)
        return decoded

    async def _rested(self) -> None:
        while True:
            wait = self._not_before - time.monotonic()
            if wait <= 0:
                return
            await asyncio.sleep(wait)

    def _decode(self, raw: bytes, path: str, read: Read) -> Any:
        try:
            return read(raw)
        except wire.NotJsonError as problem:
            error = VenueError(f"{self.name} {path}: the answer is not JSON ({problem}): {raw[:80]!r}", 200, "not_json")
            self.health.failed(str(error))
            raise error from None

    def _refusal(self, status: int, raw: bytes, retry_after: str | None, path: str) -> VenueError:
        code = ""
        text = raw[:200].decode("utf-8", "replace")
        try:
            told = wire.decode(raw)
            if isinstance(told, dict):
                code, text = wire.text_of(told.get("code")), wire.text_of(told.get("error"), 200) or text
        except wire.NotJsonError:
            pass
        message = f"{self.name} {path}: HTTP {status} {text}"
        if status == 404:
            return NotFoundError(message, status, code)
        self.health.failed(message)
        delay = 0.0
        if status in (429, 503):
            self.health.throttled += status == 429
            try:
                delay = min(60.0, max(0.0, float((retry_after or "1")[:20])))
            except ValueError:
                delay = 1.0
            delay = delay if delay == delay else 1.0
            self._not_before = time.monotonic() + delay
        return VenueError(message, status, code, delay)


async def _body(answer: aiohttp.ClientResponse) -> bytes:
    """The whole body; an endless one ends at :data:`wire.MAX_ANSWER` bytes, as an answer that is not JSON."""
    parts, size = [], 0
    async for part in answer.content.iter_any():
        parts.append(part)
        size += len(part)
        if size > wire.MAX_ANSWER:
            break
    return b"".join(parts)


def _again(error: Exception) -> bool | float:
    """Whether a failed request is repeated: with the usual backoff, or after what the service asked for."""
    if not isinstance(error, VenueError):
        return False
    passing = error.status is None or error.status in (408, 425, 429) or error.status >= 500
    if not passing and error.code != "not_json":
        return False
    return error.retry_after * random.uniform(1.0, 1.3) if error.retry_after else True


def make_session() -> aiohttp.ClientSession:
    """The HTTP session that all services share."""
    return aiohttp.ClientSession(
        timeout=aiohttp.ClientTimeout(total=20, connect=8),
        headers={"User-Agent": "pilotfish", "Accept": "application/json"},
        connector=aiohttp.TCPConnector(limit=CONNECTIONS, ttl_dns_cache=300),
    )
