"""Is everything there that copying needs: each part asked once, and what to do where it does not answer."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import aiohttp
from sqlalchemy import Engine, func, select, text
from sqlalchemy.exc import SQLAlchemyError

from pilotfish.app import listening
from pilotfish.app.alerts import addresses
from pilotfish.app.config import process_value
from pilotfish.app.logs import redact
from pilotfish.core.problem import Problem
from pilotfish.core.settings import Value
from pilotfish.feeds.chain_filter import VENUE_LOGS_A_DAY
from pilotfish.polymarket import market_ws
from pilotfish.polymarket.clob import Clob, parse_book
from pilotfish.polymarket.contracts import CHAIN_ID
from pilotfish.polymarket.data_api import DataApi
from pilotfish.polymarket.gamma import string_list
from pilotfish.polymarket.http import Service, VenueError, make_session
from pilotfish.polymarket.polygon import PolygonHttp, PolygonSocket, RpcError, quantity
from pilotfish.store import settings_store, worker_state
from pilotfish.store import tables as t
from pilotfish.store.database import (
    OlderDatabaseError,
    database_url,
    empty_database,
    nothing_recorded,
    open_database,
    open_to_read,
)

PATIENCE = 12.0
"""Seconds that a part may take to answer."""
LEAST_FREE = 200 * 2**20
CLOCK_SECONDS = 2.0
NOBODY = "0x" + "0" * 39 + "1"
"""A wallet that never trades, to ask about."""


@dataclass(frozen=True, slots=True)
class Finding:
    """``state``: ok, warn (copying goes on without it) or fail; ``fix`` says what to do."""

    name: str
    state: str
    detail: str
    fix: str = ""
    ms: int | None = None


class _Failed(Exception):  # noqa: N818 - an answer, not an accident
    def __init__(self, detail: str, fix: str, state: str = "fail") -> None:
        super().__init__(detail)
        self.detail, self.fix, self.state = detail, fix, state


async def examine(environment: dict[str, Value]) -> AsyncIterator[Finding]:
    """Everything in turn. Nothing is changed: neither is a database made, nor one of an older version brought up to
    date."""
    try:
        database, found = await asyncio.to_thread(_database, process_value(environment, "database_url"))
    except Problem as problem:
        yield Finding("database", "fail", str(problem), "see the message; DATABASE_URL says where the books are")
        return
    try:
        async with make_session() as session:
            doctor = _Doctor(environment, database, session, found)
            for name, ask in doctor.parts():
                yield await _answer(name, ask)
    finally:
        database.dispose()


def _database(configured: str) -> tuple[Engine, Finding | None]:
    """The database, or an empty one in memory with what is to be said instead."""
    try:
        there = open_to_read(configured)
    except OlderDatabaseError as problem:
        return empty_database(), Finding("database", "warn", str(problem), "pilotfish run")
    if there is None:
        told = nothing_recorded(configured)
        url = database_url(configured)
        folder = Path(url.database or ".").resolve().parent
        while not folder.exists():
            folder = folder.parent
        if url.get_backend_name() == "sqlite":
            try:
                tempfile.TemporaryFile(dir=folder).close()
            except OSError as problem:
                why = f"cannot open {url.database}: {folder} takes no files ({problem.strerror})"
                return empty_database(), Finding("database", "fail", why, _FIXES["database"])
        return empty_database(), Finding("database", "ok", f"{told} `pilotfish run` makes it.")
    there.dispose()
    return open_database(configured), None


async def _answer(name: str, ask: Callable[[], Awaitable[str]]) -> Finding:
    started = time.monotonic()
    try:
        async with asyncio.timeout(PATIENCE):
            detail = await ask()
    except _Failed as problem:
        return Finding(name, problem.state, redact(problem.detail), problem.fix)
    except TimeoutError:
        return Finding(name, "fail", f"no answer within {PATIENCE:.0f} s", "is it reachable from here? a proxy?")
    except (VenueError, RpcError, aiohttp.ClientError, OSError, ValueError, SQLAlchemyError) as problem:
        detail = str(problem).splitlines()[0] if str(problem) else type(problem).__name__
        return Finding(name, "fail", redact(f"{type(problem).__name__}: {detail}")[:300], _FIXES.get(name, ""))
    return Finding(name, "ok", redact(detail), ms=round((time.monotonic() - started) * 1000))


_FIXES = {
    "database": "free space and permissions of its folder, or DATABASE_URL",
    "Data API": "is the network up? DATA_API_URL names the service",
    "Gamma": "is the network up? GAMMA_API_URL names the service",
    "order books": "is the network up? CLOB_HTTP_URL names the service",
    "market channel": "without it books are read over HTTP; CLOB_MARKET_WS_URL names it",
    "Polygon": "check the URL and the key in POLYGON_WS_URL; a provider's free plan will do",
    "Polygon over HTTP": "check the URL and the key in POLYGON_HTTP_URL, or leave it empty",
    "clock": "is the network up?",
}


class _Doctor:
    def __init__(
        self, environment: dict[str, Value], database: Engine, session: aiohttp.ClientSession, found: Finding | None
    ) -> None:
        self._env = environment
        self._database = database
        self._found = found
        self._session = session
        with database.connect() as c:
            stored = settings_store.load(c)
        self._settings = {k: e.value for k, e in settings_store.effective(environment, stored).items()}
        self._token = ""

    def parts(self) -> list[tuple[str, Callable[[], Awaitable[str]]]]:
        found: list[tuple[str, Callable[[], Awaitable[str]]]] = [
            ("database", self._books), ("leaders", self._leaders), ("worker", self._worker),
            ("Data API", self._data), ("clock", self._clock), ("Gamma", self._gamma), ("order books", self._clob),
            ("market channel", self._channel), ("Polygon", self._polygon),
        ]  # fmt: skip
        if process_value(self._env, "polygon_http_url"):
            found.append(("Polygon over HTTP", self._polygon_http))
        return [*found, ("dashboard", self._dashboard), ("alerts", self._alerts)]

    def _service(self, name: str) -> Service:
        setting = {"data": "data_api_url", "gamma": "gamma_api_url", "clob": "clob_http_url"}[name]
        return Service(self._session, name, process_value(self._env, setting), per_second=5, attempts=1)

    async def _books(self) -> str:
        if self._found is not None and self._found.state == "ok":
            return self._found.detail
        if self._found is not None:
            raise _Failed(self._found.detail, self._found.fix, self._found.state)
        return await asyncio.to_thread(self._write)

    def _write(self) -> str:
        with self._database.connect() as c:
            c.execute(t.worker_status.delete().where(t.worker_status.c.name == "doctor"))
            trades = c.execute(select(func.count()).select_from(t.trades)).scalar_one()
            if self._database.dialect.name != "sqlite":
                version = str(c.execute(text("SHOW server_version")).scalar())
                return f"PostgreSQL {version} takes writes; {trades:,} trades"
        path = Path(self._database.url.database or ".").resolve()
        free = shutil.disk_usage(path.parent).free
        if free < LEAST_FREE:
            raise _Failed(f"only {free / 2**20:.0f} MiB are free where {path} is", "make room, or set DATABASE_URL")
        return f"{path} takes writes; {trades:,} trades, {free / 2**30:.1f} GiB free"

    async def _leaders(self) -> str:
        with self._database.connect() as c:
            count = c.execute(select(func.count()).where(t.leaders.c.status != "removed")).scalar_one()
        if not count:
            raise _Failed("nobody is followed yet", "pilotfish leaders add WALLET --label NAME", "warn")
        return f"{count} followed"

    def _runs(self) -> bool:
        with self._database.connect() as c:
            return worker_state.alive(*worker_state.read(c))

    async def _worker(self) -> str:
        with self._database.connect() as c:
            state, age = worker_state.read(c)
        if state is None or not worker_state.alive(state, age):
            last = state.ended.told() if state is not None and state.ended is not None else ""
            raise _Failed("none runs on this database" + (f"; {last}" if last else ""), "pilotfish run", "warn")
        return f"runs as process {state.pid}"

    async def _data(self) -> str:
        api = DataApi(self._service("data"))
        lag = await api.serving_lag_seconds()
        await api.activity(NOBODY, int(time.time()) - 60)
        limit = int(self._settings["api_max_serving_lag_sec"])
        if lag is not None and lag > limit:
            raise _Failed(f"it says itself that it is {lag} s behind", "wait; copies come late meanwhile", "warn")
        return f"{api.version}" + (f", {lag} s behind" if lag is not None else "")

    async def _clock(self) -> str:
        """Ages of trades are counted with this machine's clock."""
        async with self._session.head(process_value(self._env, "data_api_url")) as answer:
            told = answer.headers.get("Date")
        if not told:
            raise _Failed("the venue does not say what time it is", "", "warn")
        off = time.time() - parsedate_to_datetime(told).timestamp()
        if abs(off - 0.5) > CLOCK_SECONDS + 0.5:
            raise _Failed(
                f"this machine's clock is {off:+.1f} s off the venue's: trades would seem too old or too new",
                "switch time synchronisation on (timedatectl set-ntp true)",
            )
        return "agrees with the venue's"

    async def _gamma(self) -> str:
        found = await self._service("gamma").get("/markets", {"limit": 20, "closed": "false"})
        for market in found if isinstance(found, list) else []:
            tokens = string_list(market.get("clobTokenIds"), "clobTokenIds") if market.get("enableOrderBook") else []
            self._token = self._token or (tokens[0] if tokens else "")
        return f"{len(found)} markets listed" if isinstance(found, list) else "answers"

    async def _clob(self) -> str:
        if not self._token:
            raise _Failed("no market to ask a book of", "see Gamma", "warn")
        raw = await Clob(self._service("clob")).book(self._token)
        if raw is None:
            return f"answers; token {self._token[:12]}… has no book"
        now = time.time_ns() // 1000
        book = parse_book(raw, requested_at=now, received_at=now)
        return f"a book with {len(book.bids)} bids and {len(book.asks)} asks"

    async def _channel(self) -> str:
        if not self._settings["local_books"]:
            raise _Failed("off (local_books): every book is read over HTTP", "", "warn")
        socket = await market_ws.connect(self._session, process_value(self._env, "clob_market_ws_url"), [self._token])
        try:
            await socket.send_str("PING")
            heard: set[str] = set()
            while heard != {"PONG", "books"}:
                message = await socket.receive()
                if message.type not in (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY):
                    raise _Failed("the venue closed the connection", _FIXES["market channel"], "warn")
                heard.add("PONG" if message.data in ("PONG", b"PONG") else "books")
        finally:
            await socket.close()
        return "sends books, answers heartbeats"

    async def _polygon(self) -> str:
        url, mode = process_value(self._env, "polygon_ws_url"), self._settings["trigger_mode"]
        if mode == "api":
            raise _Failed("off in mode api: trades are seen when the Data API shows them", "", "warn")
        if not url:
            raise _Failed(
                "no POLYGON_WS_URL: trades are seen some seconds later, through the Data API alone",
                "a free plan of a Polygon provider will do: POLYGON_WS_URL=wss://…",
                "fail" if mode == "polygon" else "warn",
            )
        block: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

        def on_event(_subscription: str, head: Any) -> None:
            if not block.done():
                block.set_result(head)

        async with self._session.ws_connect(url, max_msg_size=2**20) as ws:
            socket = PolygonSocket(ws, on_event, lambda _error, _frame: None)
            reading = asyncio.create_task(socket.run())
            try:
                chain = await socket.chain_id()
                if chain != CHAIN_ID:
                    raise _Failed(f"POLYGON_WS_URL serves chain {chain}", f"use one for Polygon (chain {CHAIN_ID})")
                await socket.subscribe_heads()
                head = await block
            finally:
                reading.cancel()
                await asyncio.gather(reading, return_exceptions=True)
        number = head.get("number") if isinstance(head, dict) else None
        said = f"block {quantity(number)}" if number else "blocks arrive"
        return f"{said}; {await asyncio.to_thread(self._delivery)}"

    def _delivery(self) -> str:
        """What the provider delivers, by a running worker's count or as it is going to be."""
        with self._database.connect() as c:
            state, age = worker_state.read(c)
            count = c.execute(select(func.count()).where(t.leaders.c.status != "removed")).scalar_one()
        if state is not None and worker_state.alive(state, age) and (told := state.polygon.delivery()):
            return told
        above = int(self._settings["polygon_unfiltered_above"])
        if above and count > above:
            return (
                f"{count:,} wallets are more than {above:,} (polygon_unfiltered_above): all fills of the venue are"
                f" delivered, at least {VENUE_LOGS_A_DAY:,} logs a day"
            )
        return f"wallet filters for {count:,}"

    async def _polygon_http(self) -> str:
        service = Service(
            self._session, "polygon", process_value(self._env, "polygon_http_url"), per_second=5, attempts=1
        )
        chain = quantity(await PolygonHttp(service).call("eth_chainId", []))
        if chain != CHAIN_ID:
            raise _Failed(f"POLYGON_HTTP_URL serves chain {chain}", f"use one for Polygon (chain {CHAIN_ID})")
        return f"chain {chain}"

    async def _dashboard(self) -> str:
        host, port = listening.address(self._env)
        admin, view = bool(self._env.get("admin_token")), bool(self._env.get("view_token"))
        try:
            listening.proxies(self._env)
            await asyncio.to_thread(listening.check_host, self._env, host)
            if not await asyncio.to_thread(self._runs):
                await asyncio.to_thread(listening.check_port, host, port)
        except listening.ListenError as problem:
            raise _Failed(str(problem), "see the message; WEB_HOST and WEB_PORT say where it listens") from None
        url = f"http://{listening.shown(host, port)}"
        if not admin:
            raise _Failed(
                f"{url}, to look at only: no ADMIN_TOKEN",
                "set ADMIN_TOKEN to change things there",
                "warn",
            )
        return f"{url}, " + ("reading needs a token" if view else "whoever reaches it may read")

    async def _alerts(self) -> str:
        count = len(addresses(str(self._settings["alert_urls"])))
        if not count:
            raise _Failed("off: alert_urls is empty", "the settings page has them, with a button to test", "warn")
        return f"{count} address{'es' if count > 1 else ''}; told of: {self._settings['alert_on']}"
