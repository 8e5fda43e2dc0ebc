"""What it costs the worker that people look: how late an order is filled after it was due, with the dashboard's pages
and streams being read all the time, against nobody looking."""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from asyncio.subprocess import Process
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from sqlalchemy import Engine as Database
from sqlalchemy import func, select

from pilotfish.cli import session, stand
from pilotfish.cli.benches.figure import Figure, Options, figure
from pilotfish.store import leaders_store, worker_state
from pilotfish.store import tables as t
from pilotfish.store.database import open_database, snapshot

if TYPE_CHECKING:
    import aiohttp

TABS = 10
FILLS = 60
PAUSE = 0.15
WALLET = "0x" + "a1" * 20
PAGES = ("/", "/leaders", "/trades", "/positions", "/portfolios")


def measure() -> dict[str, float]:
    """Milliseconds from an order being due to its fill, means: ``alone`` and ``with tabs``; pages served meanwhile;
    and seconds from a decision to the stream telling of it (``push``, ``slowest push``)."""
    with tempfile.TemporaryDirectory(prefix="pilotfish-bench-") as folder:
        return asyncio.run(_measure(Path(folder)))


async def _measure(folder: Path) -> dict[str, float]:
    import aiohttp

    port = stand.free_port()
    url = f"sqlite:///{folder / 'bench.db'}"
    database = await asyncio.to_thread(open_database, url)
    with database.begin() as c:
        leaders_store.add(c, WALLET, "bench", session.now(), by="bench")
    children: list[Process] = []
    base = session.clean_environment()
    try:
        children.append(await stand.spawn(folder, base, "sim", "--port", "0", "--scenario", "quiet"))
        urls = await stand.venue_urls(children[0])
        settings = {
            **urls,
            "DATABASE_URL": url,
            "PER_MARKET_CAP_USDC": "0",
            "WEB_PORT": str(port),
            "LOG_LEVEL": "ERROR",
            "POLL_INTERVAL_MS": "1000",
        }
        children.append(await stand.spawn(folder, {**base, **settings}, "run"))
        async with aiohttp.ClientSession() as http:
            controls = stand.controls_of(urls)
            await _ready(http, database, port)
            async with http.post(f"{controls}/markets", json={}) as answer:
                token = (await answer.json())["tokens"][0]
            alone = await _trade(http, controls, token, database)
            asked = [0]
            tabs = [asyncio.create_task(_look(http, port, asked)) for _ in range(TABS)]
            pushes: list[float] = []
            tabs += [asyncio.create_task(_listen(http, port, pushes)) for _ in range(TABS)]
            watched = await _trade(http, controls, token, database)
            for tab in tabs:
                tab.cancel()
            await asyncio.gather(*tabs, return_exceptions=True)
    finally:
        await stand.end(children)
        database.dispose()
    told = {"push": statistics.median(pushes), "slowest push": max(pushes)}
    return {"alone": alone, "with tabs": watched, "pages": asked[0], **told}


async def _ready(http: aiohttp.ClientSession, database: Database, port: int) -> None:
    for _ in range(int(stand.READY_SECONDS / 0.2)):
        if _hears(database) and await stand.answers(http, port):
            return
        await asyncio.sleep(0.2)
    raise stand.StandError(f"worker and dashboard were not ready within {stand.READY_SECONDS:.0f} s")


def _hears(database: Database) -> bool:
    with snapshot(database) as c:
        state, _ = worker_state.read(c)
    return state is not None and state.polygon.healthy and state.polygon.watched > 0


async def _trade(http: aiohttp.ClientSession, controls: str, token: str, database: Database) -> float:
    """Make fills, and give the mean time from an order being due to its fill in ms."""
    with snapshot(database) as c:
        before = c.execute(select(func.max(t.intents.c.id))).scalar() or 0
    for n in range(FILLS):
        body = {"wallet": WALLET, "token_id": token, "side": "BUY", "shares": 100 + n, "price": 0.5}
        async with http.post(f"{controls}/fills", json=body) as answer:
            answer.raise_for_status()
        await asyncio.sleep(PAUSE)
    async with asyncio.timeout(stand.READY_SECONDS):
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


async def _listen(http: aiohttp.ClientSession, port: int, pushes: list[float]) -> None:
    """One stream, and how many seconds after each decision it first told of it. What it begins with is no news, nor is
    what it tells again because more is known."""
    began, told = time.time(), set[int]()
    async with http.get(f"http://127.0.0.1:{port}/api/v1/stream", timeout=None) as answer:
        async for line in answer.content:
            if not (line.startswith(b"data: ") and b'"decided_at"' in line):
                continue
            row = msgspec.json.decode(line[6:])
            decided = datetime.fromisoformat(row["decided_at"]).timestamp()
            if decided > began and row["id"] not in told:
                told.add(row["id"])
                pushes.append(time.time() - decided)


def figures(_options: Options) -> list[Figure]:
    """How late orders are filled after they are due while ten people look at everything, against nobody looking; and
    how soon the stream tells of a decision."""
    told = measure()
    note = f"{told['pages']:.0f} pages served meanwhile, {TABS} streams open"
    ours, theirs = 1000 / told["with tabs"], 1000 / told["alone"]
    pushed = f"slowest {told['slowest push']:.2f} s"
    return [
        figure("orders filled when due, ten tabs open", "per s of lateness", ours, "nobody looks", theirs, note),
        figure("decisions told of by the stream", "per s of lateness", 1 / told["push"], "a second", 1.0, pushed),
    ]
