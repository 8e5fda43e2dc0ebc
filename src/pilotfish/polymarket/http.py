"""One way to ask any of the venue's HTTP services: limits, retries with backoff, and errors that say what to do."""

from __future__ import annotations

import asyncio
import random
import time
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import aiohttp
import msgspec
import structlog
from aiolimiter import AsyncLimiter

log = structlog.get_logger(__name__)

_decoder = msgspec.json.Decoder(type=Any, float_hook=Decimal)


class VenueError(Exception):
    """A request that failed for good. ``status`` is the HTTP status, or ``None`` where no answer came."""

    def __init__(self, message: str, status: int | None = None, code: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.code = code


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
    """An HTTP service with a base URL. ``per_second`` keeps below the documented limit whatever is asked of it."""

    def __init__(
        self, session: aiohttp.ClientSession, name: str, base_url: str, *, per_second: float, attempts: int = 3
    ) -> None:
        self.name = name
        self.base_url = base_url.rstrip("/")
        self.health = ServiceHealth()
        self._session = session
        self._limiter = AsyncLimiter(max(1, int(per_second * 2)), 2.0)
        self._attempts = attempts
        self._not_before = 0.0

    async def get(self, path: str, params: dict[str, str | int] | None = None) -> Any:
        """GET and decode JSON; numbers with a fraction come as exact ``Decimal``."""
        return await self._request("GET", path, params=params)

    async def post(self, path: str, body: object) -> Any:
        """POST JSON and decode the JSON answer."""
        return await self._request("POST", path, body=body)

    async def _request(
        self, method: str, path: str, *, params: dict[str, str | int] | None = None, body: object = None
    ) -> Any:
        url = self.base_url + path
        for attempt in range(1, self._attempts + 1):
            wait = self._not_before - time.monotonic()
            if wait > 0:
                await asyncio.sleep(wait)
            async with self._limiter:
                error: VenueError
                delay = 0.0
                started = time.monotonic()
                self.health.requests += 1
                try:
                    payload = msgspec.json.encode(body) if body is not None else None
                    headers = {"Content-Type": "application/json"} if payload is not None else {}
                    async with self._session.request(
                        method, url, params=params, data=payload, headers=headers
                    ) as answer:
                        raw = await answer.read()
                        if answer.status == 200:
                            decoded = self._decode(raw, path)
                            self.health.ok(time.monotonic() - started)
                            return decoded
                        error, delay = self._refusal(answer.status, raw, answer.headers.get("Retry-After"), path)
                except VenueError as problem:
                    error = problem
                except (aiohttp.ClientError, TimeoutError, OSError) as problem:
                    error = VenueError(f"{self.name} {path}: no answer ({type(problem).__name__}: {problem})"[:300])
                    self.health.failed(str(error))
            if attempt == self._attempts or not _may_retry(error):
                raise error
            pause = max(delay, min(10.0, 0.25 * 2**attempt)) * random.uniform(0.8, 1.2)
            log.debug("request repeated", service=self.name, path=path, attempt=attempt, wait_s=round(pause, 2))
            await asyncio.sleep(pause)
        raise AssertionError("unreachable")

    def _decode(self, raw: bytes, path: str) -> Any:
        try:
            return _decoder.decode(raw)
        except msgspec.DecodeError as problem:
            error = VenueError(f"{self.name} {path}: the answer is not JSON ({problem}): {raw[:80]!r}", 200, "not_json")
            self.health.failed(str(error))
            raise error from None

    def _refusal(self, status: int, raw: bytes, retry_after: str | None, path: str) -> tuple[VenueError, float]:
        code = ""
        text = raw[:200].decode("utf-8", "replace")
        try:
            told = _decoder.decode(raw)
            if isinstance(told, dict):
                code, text = str(told.get("code", "")), str(told.get("error", text))[:200]
        except msgspec.DecodeError:
            pass
        message = f"{self.name} {path}: HTTP {status} {text}"
        if status == 404:
            return NotFoundError(message, status, code), 0.0
        self.health.failed(message)
        delay = 0.0
        if status in (429, 503):
            self.health.throttled += status == 429
            try:
                delay = min(60.0, max(0.0, float(retry_after or 1)))
            except ValueError:
                delay = 1.0
            self._not_before = time.monotonic() + delay
        return VenueError(message, status, code), delay


def _may_retry(error: VenueError) -> bool:
    return error.status is None or error.status in (408, 425, 429) or error.status >= 500 or error.code == "not_json"


def make_session() -> aiohttp.ClientSession:
    """The HTTP session that all services share."""
    return aiohttp.ClientSession(
        timeout=aiohttp.ClientTimeout(total=20, connect=8),
        headers={"User-Agent": "pilotfish", "Accept": "application/json"},
        connector=aiohttp.TCPConnector(limit=64, ttl_dns_cache=300),
    )
