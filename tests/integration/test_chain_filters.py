"""Subscriptions that change while logs come, over real sockets: of the stand-in venue, and of a real EVM node."""

from __future__ import annotations

import asyncio
import socket
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from pilotfish.core.events import ChainFillSeen
from pilotfish.feeds.hub import Hub
from pilotfish.feeds.watcher import Watcher
from pilotfish.polymarket.contracts import EXCHANGES, ORDER_FILLED
from pilotfish.polymarket.http import Service, make_session
from pilotfish.polymarket.polygon import PolygonHttp
from pilotfish.sim.server import serve, urls
from pilotfish.sim.venue import Venue
from tests.integration.test_anvil import Node
from tests.integration.test_anvil import anvil as anvil
from tests.rig import until_async as until

WALLETS = [f"0x{n:02x}" + "a1" * 19 for n in range(1, 8)]
STRANGER = "0x" + "ee" * 20
UNDER_WAY = 100
"""Fills that are made and not seen yet, at most."""


@dataclass
class Watching:
    """A watcher, what was made to happen, and what of it became events."""

    hub: Hub
    watcher: Watcher
    make: Callable[[str, int], Awaitable[None]]
    """A fill of a wallet, of so many shares."""
    made: dict[int, str] = field(default_factory=dict)
    seen: list[tuple[int, str]] = field(default_factory=list)

    async def trade(self, wallet: str) -> None:
        number = len(self.made) + 1
        self.made[number] = wallet
        await self.make(wallet, number)

    def has_seen(self, fills: int) -> bool:
        return len(self.seen) >= fills

    async def listen(self) -> None:
        while True:
            event = await self.hub.queue.get()
            assert isinstance(event, ChainFillSeen)
            self.seen.append((event.fill.shares // 1_000_000, event.fill.leader))

    async def watch(self, wallets: list[str], *, unfiltered: bool) -> None:
        self.watcher.watch(frozenset(wallets))
        status = self.watcher.status
        wanted = 1 if unfiltered else 2 * -(-len(wallets) // 2)
        await until(
            f"{len(wallets)} are watched", lambda: (status.watched, status.unfiltered) == (len(wallets), unfiltered)
        )
        assert status.subscriptions == wanted


@asynccontextmanager
async def watching(
    url: str, make: Callable[[str, int], Awaitable[None]], look_up_at: str = ""
) -> AsyncIterator[Watching]:
    """``look_up_at``: an address of its own for single questions, which takes one a second."""
    hub = Hub()
    hub.settings = {"polygon_chunk_size": 2, "polygon_unfiltered_above": 4}
    async with make_session() as session:
        slow = PolygonHttp(Service(session, "polygon", look_up_at, per_second=1, attempts=1)) if look_up_at else None
        made = Watching(hub, Watcher(hub, session, url, "", slow, Counter()), make)
        hub.spawn(made.listen(), "listen", essential=True)
        made.watcher.start()
        await until("connected", lambda: made.watcher.status.subscribed)
        yield made
        assert hub.fatal is None
        await made.watcher.stop()
        await hub.close()


async def changes(here: Watching) -> None:
    """One wallet is there all the time and trades all the time; others come and go around it, past the limit and back:
    each of its fills is seen once, whatever the subscriptions are; a stranger's never is."""
    keeps, others = WALLETS[0], WALLETS[1:]
    await here.watch([keeps], unfiltered=False)
    going = True

    async def trades() -> None:
        while going:
            if len(here.made) > 2 * len(here.seen) + UNDER_WAY:
                await asyncio.sleep(0.02)  # between two looks: the chain takes no more at once
                continue
            await here.trade(keeps)
            await here.trade(STRANGER)

    trading = asyncio.create_task(trades())
    for count, unfiltered in ((2, False), (4, True), (6, True), (5, True), (2, False), (0, False), (4, True)):
        await here.watch([keeps, *others[:count]], unfiltered=unfiltered)
        enough = len(here.seen) + 3
        await until("more fills are seen", partial(here.has_seen, enough))
    going = False
    await trading
    own = [(number, wallet) for number, wallet in here.made.items() if wallet == keeps]
    await until("all are seen", lambda: len(here.seen) >= len(own))
    assert sorted(here.seen) == own
    await here.trade(others[0])
    await here.trade(others[-1])
    await here.trade(keeps)
    await until("the newest are seen", lambda: len(here.seen) >= len(own) + 2)
    assert sorted(wallet for _, wallet in here.seen[len(own) :]) == sorted([others[0], keeps])


@pytest.fixture
async def venue() -> AsyncIterator[tuple[Venue, str, str]]:
    venue = Venue(7, "quiet")
    async with serve(venue, 0) as port:
        yield venue, urls(port)["POLYGON_WS_URL"], f"http://127.0.0.1:{port}/_sim"


async def test_no_fill_is_lost_or_doubled_while_filters_come_and_go(venue: tuple[Venue, str, str]) -> None:
    here, url, controls = venue
    async with make_session() as http:
        async with http.post(f"{controls}/markets", json={}) as answer:
            (token, *_) = (await answer.json())["tokens"]

        async def make(wallet: str, shares: int) -> None:
            body = {"wallet": wallet, "token_id": token, "side": "BUY", "shares": shares, "price": 0.5}
            async with http.post(f"{controls}/fills", json={**body, "chain_delay": 0}) as answer:
                assert answer.status == 200

        async with watching(url, make) as watched:
            await changes(watched)
    assert "eth_getLogs" not in here.rpc_methods


async def test_above_the_limit_one_subscription_names_the_exchanges_and_no_wallet(
    venue: tuple[Venue, str, str],
) -> None:
    here, url, controls = venue

    async def nothing(_wallet: str, _shares: int) -> None:
        return None

    async def asked() -> list[dict[str, Any]]:
        async with make_session() as http, http.get(f"{controls}/requests") as answer:
            found: list[dict[str, Any]] = (await answer.json())["subscriptions"]
            return found

    async with watching(url, nothing) as watched:
        await watched.watch(WALLETS[:3], unfiltered=False)
        before = await asked()
        assert len(before) == 4
        assert all(sorted(map(bool, one["topics"])) == [False, False, True, True] for one in before)
        await watched.watch(WALLETS, unfiltered=True)
        alone = [{"address": list(EXCHANGES), "topics": [ORDER_FILLED]}]
        while (now := await asked()) != alone:
            gone = before + alone  # those with wallets stay for a moment, and end one by one
            assert now[-1:] == alone and all(one in gone for one in now), now
            await asyncio.sleep(0.1)  # between two looks
        calls = here.rpc_methods["eth_subscribe"]
        await watched.watch(WALLETS[:6], unfiltered=True)
        assert here.rpc_methods["eth_subscribe"] == calls
        watched.hub.settings = {**watched.hub.settings, "polygon_unfiltered_above": 0}
        await until("filters again", lambda: not watched.watcher.status.unfiltered)
        assert sum(len(one["topics"]) == 4 for one in await asked()) == 6


@pytest.mark.slow
async def test_a_real_node_takes_the_change_of_filters_without_a_lost_or_doubled_log(
    tmp_path: Path, anvil: str
) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    node = await asyncio.to_thread(Node, anvil, port)
    try:

        async def make(wallet: str, shares: int) -> None:
            exchange = EXCHANGES[shares % len(EXCHANGES)]
            making, taking = 500_000 * shares, 1_000_000 * shares
            await asyncio.to_thread(node.emit, exchange, wallet, exchange, 0, 10**70 + shares, making, taking)

        async with watching(f"ws://127.0.0.1:{port}", make) as watched:
            await changes(watched)
    finally:
        node.close()
