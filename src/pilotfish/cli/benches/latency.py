"""From socket to disk: a log's frame is sent by the stand-in venue, and the database is looked at until the decision on
it, and the fill of its copy, are there. A real worker, real sockets, SQLite, no simulated latency.

The venue runs in the measuring process, so that it knows when each frame went out; the worker, and whoever looks, each
in its own.
"""

from __future__ import annotations

import asyncio
import gc
import random
import statistics
import tempfile
import time
from asyncio.subprocess import Process
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from sqlalchemy import Connection, Engine, func, select

from pilotfish.cli import session, stand
from pilotfish.cli.benches.figure import Figure, Options, figure
from pilotfish.cli.benches.seen import Seen
from pilotfish.core.units import MICRO
from pilotfish.sim.chain import Order
from pilotfish.sim.market import SimMarket, digest
from pilotfish.sim.server import serve
from pilotfish.sim.server import urls as urls_of
from pilotfish.sim.venue import Venue
from pilotfish.store import leaders_store, portfolios_store, worker_state
from pilotfish.store import tables as t
from pilotfish.store.database import open_database, snapshot

WARM = 40
RATES = ((200, 15), (2_000, 5))
"""Trades a second, and for how many seconds."""
PATIENCE = 60.0
HOLDINGS_A_SECOND = 10
"""Leaders at least whose holdings can be asked for."""


class Crowd(NamedTuple):
    """How many leaders there are, and portfolios beside ``main``, which copies all; each copies ``each`` leaders."""

    leaders: int = 50
    portfolios: int = 0
    each: int = 0


class Latency(NamedTuple):
    """Milliseconds from a frame being sent to what was looked for being durable: median and 99th of a hundred; and the
    medians of the first and the last quarter, which are alike where nothing piles up. ``rate`` is what was reached."""

    what: str
    rate: float
    median: float
    p99: float
    first: float
    last: float
    trades: int


BLOCK = 2_000.0
"""Milliseconds from one block of the chain to the next."""


def figures(_options: Options) -> list[Figure]:
    """The slowest of a hundred at each rate, against the time of a block."""
    return figures_of(measure())


def figures_of(found: Sequence[Latency], whose: str = "") -> list[Figure]:
    """Each against the time of a block. ``whose``: what is said of those who copy."""
    return [
        figure(
            f"{told.what} durable, {told.rate:,.0f} trades/s{whose}",
            "per s",
            1000 / told.p99,
            "a block",
            1000 / BLOCK,
            f"median {told.median:.1f} ms, 99 of 100 within {told.p99:.1f} ms, first quarter {told.first:.1f} ms, last"
            f" {told.last:.1f} ms",
        )
        for told in found
    ]


def measure(rates: Sequence[tuple[int, int]] = RATES, crowd: Crowd = Crowd()) -> list[Latency]:
    """What it takes at each rate, decisions and fills."""
    with tempfile.TemporaryDirectory(prefix="pilotfish-bench-") as folder:
        return asyncio.run(_measure(Path(folder), rates, crowd))


def _people(c: Connection, crowd: Crowd) -> None:
    for n in range(crowd.leaders):
        leaders_store.add(c, _wallet(n), f"leader {n}", session.now(), by="bench")
    for n in range(crowd.portfolios):
        chosen = [_wallet((n + k) % crowd.leaders) for k in range(crowd.each)]
        portfolios_store.add(c, f"p{n}", {}, at=session.now(), by="bench", leaders=chosen)


def _ready(database: Engine, crowd: Crowd) -> bool:
    """Whether all leaders are listened to, and it is known what each holds: exits wait for that."""
    looked_at = select(func.count()).select_from(t.cursors).where(t.cursors.c.bootstrapped)
    with snapshot(database) as c:
        state, _ = worker_state.read(c)
        listens = state is not None and state.polygon.healthy and state.polygon.watched >= crowd.leaders
        return listens and c.execute(looked_at).scalar_one() >= crowd.leaders


async def _measure(folder: Path, rates: Sequence[tuple[int, int]], crowd: Crowd) -> list[Latency]:
    path = folder / "bench.db"
    url = f"sqlite:///{path}"
    database = await asyncio.to_thread(open_database, url)
    with database.begin() as c:
        _people(c, crowd)
    venue = Venue(7, "quiet")
    markets = [_market(venue, n) for n in range(20)]
    children: list[Process] = []
    seen = Seen(path)
    try:
        async with serve(venue, 0) as port:
            settings = {
                **urls_of(port), "DATABASE_URL": url, "PER_MARKET_CAP_USDC": "0", "FIXED_USDC": "1",
                "BANKROLL": "1000000", "ORDER_LATENCY_MS": "0", "LOG_LEVEL": "ERROR",
                "RECORD_BOOKS": "false", "JOURNAL": "false",
            }  # fmt: skip
            children.append(await stand.spawn(folder, {**session.clean_environment(), **settings}, "run", "--no-web"))
            async with asyncio.timeout(stand.READY_SECONDS + crowd.leaders / HOLDINGS_A_SECOND):
                while True:
                    if await asyncio.to_thread(_ready, database, crowd):
                        break
                    await asyncio.sleep(0.1)
            await asyncio.sleep(2 * BLOCK / 1000)  # a block of before leaders were followed would be history
            seen.start()
            trading = _Trading(venue, markets, crowd.leaders)
            await trading.send(20, WARM / 20)
            await _all(seen, trading.sent)
            gc.collect()
            gc.freeze()  # what the venue itself keeps is not gone through again and again
            found = []
            for rate, seconds in rates:
                trading.sent = {}
                reached = await trading.send(rate, seconds)
                await _all(seen, trading.sent)
                found += [_told("decision", reached, trading.sent, seen.decided)]
                found += [_told("fill", reached, trading.sent, seen.filled)]
            return found
    finally:
        gc.unfreeze()
        seen.stop()
        await stand.end(children)
        database.dispose()


def _wallet(number: int) -> str:
    return f"0x{0xA1:02x}{number:038x}"


def _market(venue: Venue, number: int) -> SimMarket:
    """A market with a deep book."""
    market = SimMarket(
        condition_id="0x" + digest(venue.seed, "bench market", number), question=f"Bench {number}",
        slug=f"bench-{number}", category="bench",
        tokens=(str(int(digest("bench token", number), 16)), str(int(digest("bench other", number), 16))),
        bids={490_000: 10**9 * MICRO}, asks={500_000: 10**9 * MICRO}, frozen=True, changed_at=time.time(),
    )  # fmt: skip
    venue.chain.add_market(market)
    return market


class _Trading:
    """Leaders that trade at a pace."""

    def __init__(self, venue: Venue, markets: list[SimMarket], leaders: int) -> None:
        self.sent: dict[str, float] = {}
        """Transaction -> when its log's frame was handed to the socket."""
        self._venue, self._markets, self._leaders, self._count = venue, markets, leaders, 0
        self._chance = random.Random(7)
        self._held: list[tuple[int, str]] = []

    async def send(self, rate: int, seconds: float) -> float:
        """So many trades a second for so long, evenly; gives the rate that was reached."""
        began = time.perf_counter()
        for n in range(int(rate * seconds)):
            ahead = began + n / rate - time.perf_counter()
            if ahead > 0 or n % 50 == 0:
                await asyncio.sleep(max(0.0, ahead))
            self._one()
        return int(rate * seconds) / (time.perf_counter() - began)

    def _one(self) -> None:
        chain, self._count = self._venue.chain, self._count + 1
        if len(self._held) > 200 and self._chance.random() < 0.5:
            (leader, token), side = self._held.pop(self._chance.randrange(len(self._held))), "SELL"
        else:
            leader, token = self._chance.randrange(self._leaders), self._chance.choice(self._markets).tokens[0]
            side = "BUY"
            self._held.append((leader, token))
        price = 500_000 if side == "BUY" else 490_000
        mine = Order(_wallet(leader), side, token, 10 * MICRO, price, "0x" + digest("bench", self._count))
        other = "SELL" if side == "BUY" else "BUY"
        theirs = Order("0x" + "cc" * 20, other, token, 10 * MICRO, price, "0x" + digest("other", self._count))
        tx = chain.match(mine, [theirs], now=time.time(), chain_delay=None, api_delay=1.0)
        self.sent[tx.tx_hash] = time.time()
        chain.on_logs(tx.logs)


async def _all(seen: Seen, sent: dict[str, float]) -> None:
    """Wait until all that was sent is decided, and no order is out any more."""
    async with asyncio.timeout(PATIENCE):
        while True:
            await asyncio.sleep(0.05)
            seen.take()
            if all(tx in seen.decided for tx in sent) and not seen.out:
                break


def _told(what: str, rate: float, sent: dict[str, float], found: dict[str, float]) -> Latency:
    spans = [1000 * (found[tx] - at) for tx, at in sent.items() if tx in found]
    quarter = max(1, len(spans) // 4)
    return Latency(
        what=what,
        rate=rate,
        median=statistics.median(spans),
        p99=statistics.quantiles(spans, n=100)[98],
        first=statistics.median(spans[:quarter]),
        last=statistics.median(spans[-quarter:]),
        trades=len(spans),
    )
