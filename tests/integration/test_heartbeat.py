"""How it is known that the chain's socket lives: by asking now and then, or by each block; never by saying the same."""

from __future__ import annotations

import pytest

from pilotfish.polymarket.http import make_session
from pilotfish.sim.venue import Venue
from tests.integration.test_chain_filters import WALLETS, Watching, watching
from tests.integration.test_chain_filters import venue as venue
from tests.rig import until_async as until

BLOCKS = 30


async def nothing(_wallet: str, _shares: int) -> None:
    return None


def with_heartbeat(here: Watching, seconds: int, stale_ms: int = 15_000) -> None:
    here.hub.settings = {
        **here.hub.settings,
        "polygon_heartbeat_sec": seconds,
        "polygon_health_stale_ms": stale_ms,
    }


async def test_no_block_is_delivered_unless_that_is_asked_for(venue: tuple[Venue, str, str]) -> None:
    """Headers are billed, and come 43,200 times a day."""
    here, url, _ = venue
    async with watching(url, nothing) as made:
        await made.watch(WALLETS[:1], unfiltered=False)
        await until("a block is known", lambda: made.watcher.status.last_block == here.chain.head)
        assert made.watcher.healthy()[0]
        assert here.rpc_methods["eth_subscribe"] == made.watcher.status.subscriptions, "logs alone"
        asked = here.rpc_methods["eth_blockNumber"]
        with_heartbeat(made, 1)
        await until("asked again", lambda: here.rpc_methods["eth_blockNumber"] > asked + 1)
        with_heartbeat(made, 0)
        await until("headers, too", lambda: here.rpc_methods["eth_subscribe"] == made.watcher.status.subscriptions + 1)
        asked = here.rpc_methods["eth_blockNumber"]
        before = made.watcher.status.last_block
        await until("the next block", lambda: made.watcher.status.last_block != before)
        with_heartbeat(made, 1)
        await until("no headers any more", lambda: here.rpc_methods["eth_unsubscribe"] == 1)
        await until("asked instead", lambda: here.rpc_methods["eth_blockNumber"] > asked)
        assert made.watcher.status.reconnects == 0


@pytest.mark.parametrize("heartbeat", [0, 1, 600])
async def test_a_service_that_stays_at_one_block_is_left(venue: tuple[Venue, str, str], heartbeat: int) -> None:
    here, url, _ = venue
    async with watching(url, nothing) as made:
        with_heartbeat(made, heartbeat, stale_ms=3000)
        await made.watch(WALLETS[:1], unfiltered=False)
        here.blocks_stopped = True
        await until("it is noticed", lambda: made.watcher.status.reconnects)
        assert made.watcher.status.error.startswith("no block for")
        here.blocks_stopped = False
        await until("it is well again", lambda: made.watcher.healthy()[0])


async def test_logs_do_not_wait_for_long_for_the_times_of_their_blocks(venue: tuple[Venue, str, str]) -> None:
    """Thirty blocks, whose times would take half a minute: the time of arrival stands in; the API tells it later."""
    here, url, controls = venue
    async with make_session() as http:
        async with http.post(f"{controls}/markets", json={}) as answer:
            (token, *_) = (await answer.json())["tokens"]

        async def make(wallet: str, shares: int) -> None:
            body = {"wallet": wallet, "token_id": token, "side": "BUY", "shares": shares, "price": 0.5}
            async with http.post(f"{controls}/fills", json={**body, "chain_delay": 0}) as answer:
                assert answer.status == 200

        async with watching(url, make, url.replace("ws://", "http://")) as made:
            await made.watch(WALLETS[:1], unfiltered=False)
            before = here.rpc_methods["eth_getBlockByNumber"]
            for _ in range(BLOCKS):
                await made.trade(WALLETS[0])
            await until("all are seen", lambda: len(made.seen) == BLOCKS)
            assert sorted(made.seen) == [(n, WALLETS[0]) for n in range(1, BLOCKS + 1)]
            assert here.rpc_methods["eth_getBlockByNumber"] - before < BLOCKS


async def test_a_question_that_is_refused_now_and_then_ends_no_connection(venue: tuple[Venue, str, str]) -> None:
    """A provider at its limit refuses; to connect anew would ask it the more."""
    here, url, controls = venue
    async with watching(url, nothing) as made:
        with_heartbeat(made, 1)
        await made.watch(WALLETS[:1], unfiltered=False)
        asked = here.rpc_methods["eth_blockNumber"]
        await until("it is asked each second", lambda: here.rpc_methods["eth_blockNumber"] > asked + 1)
        asked = here.rpc_methods["eth_blockNumber"]
        fault = {"service": "rpc:eth_blockNumber", "mode": "status", "seconds": 2}
        async with make_session() as http, http.post(f"{controls}/faults", json=fault) as answer:
            assert answer.status == 200
        await until("refused", lambda: here.rpc_methods["eth_blockNumber"] > asked + 1)
        before = made.watcher.status.last_block
        await until("a newer block", lambda: made.watcher.status.last_block != before)
        assert made.watcher.status.reconnects == 0
        assert made.watcher.healthy()[0]
