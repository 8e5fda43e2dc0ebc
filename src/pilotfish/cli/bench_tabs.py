"""What it costs the worker that people look: how late an order is filled after it was due, with the dashboard's pages
and streams being read all the time, against nobody looking."""

from __future__ import annotations

import asyncio
import statistics
import sys
import tempfile
from asyncio.subprocess import DEVNULL, PIPE, Process
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import Engine as Database
from sqlalchemy import select

from pilotfish.cli import session
from pilotfish.cli.run import free_port
from pilotfish.core.problem import Problem
from pilotfish.store import leaders_store, queries, summaries
from pilotfish.store import tables as t
from pilotfish.store.database import open_database, snapshot

if TYPE_CHECKING:
    import aiohttp

TABS = 10
FILLS = 60
PAUSE = 0.15
READY_SECONDS = 30.0
WALLET = "0x" + "a1" * 20
PAGES = ("/", "/leaders", "/trades", "/positions", "/portfolios")


class BenchError(Problem):
    """Something that the measurement needs did not come up."""


def measure() -> dict[str, float]:
    """Milliseconds from an order being due to its fill, means: ``alone`` and ``with tabs``; and pages served
    meanwhile."""
    with tempfile.TemporaryDirectory(prefix="pilotfish-bench-") as folder:
        return asyncio.run(_measure(Path(folder)))


async def _measure(folder: Path) -> dict[str, float]:
    import aiohttp

    port = free_port()
    url = f"sqlite:///{folder / 'bench.db'}"
    database = await asyncio.to_thread(open_database, url)
    with database.begin() as c:
        leaders_store.add(c, WALLET, "bench", session.now())
    children: list[Process] = []
    base = session.clean_environment()
    try:
        venue = await _spawn(folder, base, "sim", "--port", "0", "--scenario", "quiet")
        children.append(venue)
        urls = await _urls(venue)
        settings = {
            **urls,
            "DATABASE_URL": url,
            "PER_MARKET_CAP_USDC": "0",
            "WEB_PORT": str(port),
            "LOG_LEVEL": "ERROR",
            "POLL_INTERVAL_MS": "1000",
        }
        children.append(await _spawn(folder, {**base, **settings}, "run"))
        async with aiohttp.ClientSession() as http:
            controls = urls["DATA_API_URL"].removesuffix("/data") + "/_sim"
            await _ready(http, database, port)
            async with http.post(f"{controls}/markets", json={}) as answer:
                token = (await answer.json())["tokens"][0]
            alone = await _trade(http, controls, token, database)
            asked = [0]
            tabs = [asyncio.create_task(_look(http, port, asked)) for _ in range(TABS)]
            tabs += [asyncio.create_task(_listen(http, port)) for _ in range(TABS)]
            watched = await _trade(http, controls, token, database)
            for tab in tabs:
                tab.cancel()
            await asyncio.gather(*tabs, return_exceptions=True)
    finally:
        for child in reversed(children):
            child.terminate()
            await child.wait()
        database.dispose()
    return {"alone": alone, "with tabs": watched, "pages": asked[0]}


async def _spawn(folder: Path, env: dict[str, str], *arguments: str) -> Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "pilotfish", *arguments, cwd=folder, env=env, stdin=DEVNULL,
        stdout=PIPE if arguments[0] == "sim" else DEVNULL, start_new_session=True,
    )  # fmt: skip


async def _urls(venue: Process) -> dict[str, str]:
    assert venue.stdout is not None
    urls: dict[str, str] = {}
    async with asyncio.timeout(READY_SECONDS):
        while line := (await venue.stdout.readline()).decode().strip():
            if line == "# ready":
                return urls
            name, _, url = line.partition("=")
            if url and not name.startswith("#"):
                urls[name] = url
    raise BenchError("the stand-in venue did not start")


async def _ready(http: aiohttp.ClientSession, database: Database, port: int) -> None:
    for _ in range(int(READY_SECONDS / 0.2)):
        if _hears(database) and await _answers(http, port):
            return
        await asyncio.sleep(0.2)
    raise BenchError(f"worker and dashboard were not ready within {READY_SECONDS:.0f} s")


def _hears(database: Database) -> bool:
    with snapshot(database) as c:
        state, _ = summaries.worker(c)
    return bool(state and state["polygon"]["healthy"] and state["polygon"]["watched"])


async def _answers(http: aiohttp.ClientSession, port: int) -> bool:
    try:
        async with http.get(f"http://127.0.0.1:{port}/healthz") as answer:
            return answer.status == 200
    except OSError:
        return False


async def _trade(http: aiohttp.ClientSession, controls: str, token: str, database: Database) -> float:
    """Make fills, and give the mean time from an order being due to its fill in ms."""
    with snapshot(database) as c:
        rows, _ = queries.newest(c, "intents", limit=1)
    before = rows[0]["id"] if rows else 0
    for n in range(FILLS):
        body = {"wallet": WALLET, "token_id": token, "side": "BUY", "shares": 100 + n, "price": 0.5}
        async with http.post(f"{controls}/fills", json=body) as answer:
            answer.raise_for_status()
        await asyncio.sleep(PAUSE)
    async with asyncio.timeout(READY_SECONDS):
        while True:
            spans = await asyncio.to_thread(_spans, database, before)
            if len(spans) >= FILLS:
                return statistics.mean(spans)
            await asyncio.sleep(0.2)


def _spans(database: Database, above: int) -> list[float]:
    i, f = t.intents.c, t.fills.c
    query = select(f.filled_at - i.due_at).join(t.intents, i.id == f.intent_id).where(i.id > above)
    with snapshot(database) as c:
        return [x / 1000 for x in c.execute(query).scalars()]


async def _look(http: aiohttp.ClientSession, port: int, asked: list[int]) -> None:
    """A restless person: another page every half second."""
    while True:
        for page in PAGES:
            async with http.get(f"http://127.0.0.1:{port}{page}") as answer:
                await answer.read()
            asked[0] += 1
            await asyncio.sleep(0.5)


async def _listen(http: aiohttp.ClientSession, port: int) -> Any:
    async with http.get(f"http://127.0.0.1:{port}/api/v1/stream", timeout=None) as answer:
        async for _ in answer.content:
            pass
