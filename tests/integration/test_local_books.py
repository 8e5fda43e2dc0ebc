"""Order books kept from the market channel, over real sockets against the stand-in venue, with everything that can be
wrong with it."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import aiohttp
import pytest

from pilotfish.core.book import Book
from pilotfish.core.events import BookSeen
from pilotfish.core.settings import BY_NAME
from pilotfish.core.units import MICRO
from pilotfish.feeds.books import Books
from pilotfish.feeds.hub import Hub
from pilotfish.feeds.local_books import LocalBooks
from pilotfish.polymarket.clob import Clob
from pilotfish.polymarket.http import Service, make_session
from pilotfish.sim.market import SimMarket
from pilotfish.sim.market_ws import MarketChannel
from pilotfish.sim.server import serve, urls
from pilotfish.sim.venue import Fault, Venue
from tests.rig import PATIENCE
from tests.rig import until_async as until


@dataclass
class Reading:
    """A venue, and books that are read from it."""

    venue: Venue
    channel: MarketChannel
    hub: Hub
    books: Books
    base: str
    http: aiohttp.ClientSession
    resolved: list[str] = field(default_factory=list)

    @property
    def local(self) -> LocalBooks:
        return self.books.local

    @property
    def market(self) -> SimMarket:
        return next(iter(self.venue.chain.markets.values()))

    @property
    def token(self) -> str:
        return self.market.tokens[0]

    def set(self, **settings: int) -> None:
        assert set(settings) <= set(BY_NAME)
        self.hub.settings = {**self.hub.settings, **settings}

    async def control(self, name: str, **body: Any) -> Any:
        async with self.http.post(f"{self.base}/_sim/{name}", json=body) as answer:
            assert answer.status == 200, await answer.text()
            return await answer.json()

    async def book(self, bids: list[tuple[float, float]], asks: list[tuple[float, float]], **more: Any) -> None:
        await self.control("books", token_id=self.token, bids=bids, asks=asks, **more)

    def kept(self) -> tuple[list[tuple[int, int]], list[tuple[int, int]]] | None:
        """The kept book's levels, or None while there is none to be trusted."""
        found = self.local.get(self.token)
        return None if found is None else (levels(found.bids), levels(found.asks))

    def truth(self) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
        bids, asks = self.market.sides(self.token)
        return sorted(bids.items(), reverse=True), sorted(asks.items())

    async def agrees(self, seconds: float = PATIENCE) -> None:
        """Wait until the kept book is the venue's."""
        await until("the kept book is the venue's", lambda: self.kept() == self.truth(), seconds)

    async def next_book(self, token: str) -> Book:
        """Ask for a token's book as the engine does, and wait for the answer."""
        self.books.ask(token)
        while True:
            async with asyncio.timeout(10):
                event = await self.hub.queue.get()
            if isinstance(event, BookSeen) and event.book.token_id == token:
                return event.book

    def venue_skips(self) -> int:
        return self.channel.skip

    def venue_sockets(self) -> list[Any]:
        return list(self.channel.clients)

    def http_reads(self) -> int:
        return self.venue.requests["clob/book"] + self.venue.requests["clob/books"]


def levels(side: Any) -> list[tuple[int, int]]:
    return [(lv.price, lv.size) for lv in side]


@pytest.fixture
async def reading() -> AsyncIterator[Reading]:
    venue = Venue(7, "quiet")
    for market in venue.chain.markets.values():
        market.frozen = True
    hub = Hub()
    async with serve(venue, 0) as port, aiohttp.ClientSession() as http, make_session() as session:
        where = urls(port)
        resolved: list[str] = []
        service = Service(session, "clob", where["CLOB_HTTP_URL"], per_second=100)
        ws_url = where["CLOB_MARKET_WS_URL"]
        books = Books(
            hub, Clob(service), lambda reread: LocalBooks(hub, session, ws_url, reread=reread, resolved=resolved.append)
        )
        hub.spawn(books.local.run(), "local")
        channel: MarketChannel = venue.on_tick.__self__  # type: ignore[attr-defined]
        yield Reading(venue, channel, hub, books, f"http://127.0.0.1:{port}", http, resolved)
        await hub.close()


async def test_a_kept_book_follows_every_change_without_a_request(reading: Reading) -> None:
    await reading.next_book(reading.token)
    asked = reading.http_reads()
    await reading.agrees()
    rng = random.Random(4)
    for _ in range(300):
        reading.market.frozen = False
        reading.market.move(rng, time.time())
        reading.venue.on_tick()
    reading.market.frozen = True
    await reading.agrees()
    got = await reading.next_book(reading.token)
    assert (levels(got.bids), levels(got.asks)) == reading.truth()
    assert reading.http_reads() == asked
    assert reading.local.status.doubts == 0


async def test_what_asks_for_a_book_at_the_same_time_is_answered_by_one(reading: Reading) -> None:
    await reading.next_book(reading.token)
    await reading.agrees()
    asked_at = reading.hub.now()
    for _ in range(50):
        reading.books.ask(reading.token)
    got = await reading.next_book(reading.token)
    assert got.requested_at >= asked_at
    assert (levels(got.bids), levels(got.asks)) == reading.truth()
    await reading.book([(0.2, 10)], [(0.3, 10)])
    await reading.agrees()
    assert reading.hub.queue.empty()
    assert levels((await reading.next_book(reading.token)).bids) == [(200_000, 10_000_000)]


async def test_the_second_outcomes_book_is_kept_as_well(reading: Reading) -> None:
    other = reading.market.tokens[1]
    reading.local.want(other)
    await until("it is kept", lambda: reading.local.get(other))
    bids, asks = reading.market.sides(other)
    book = reading.local.get(other)
    assert book is not None
    assert dict(levels(book.bids)) == bids
    assert dict(levels(book.asks)) == asks


async def test_a_lost_change_is_noticed_by_the_best_prices_and_read_again(reading: Reading) -> None:
    reading.local.want(reading.token)
    await reading.agrees()
    await reading.control("market_ws", action="skip", count=1)
    await reading.book([(0.40, 10)], [(0.60, 10)])
    await until("the change was lost", lambda: not reading.venue_skips())
    await reading.book([(0.40, 10), (0.39, 5)], [(0.60, 10)])
    await reading.agrees()
    assert reading.local.status.doubts == 1
    assert reading.http_reads() == 1


async def test_a_crossed_book_is_not_used_and_read_again(reading: Reading) -> None:
    reading.local.want(reading.token)
    await reading.agrees()
    await reading.control("market_ws", action="cross", token_id=reading.token)
    await until("it is doubted", lambda: reading.local.status.doubts)
    await reading.agrees()
    assert reading.local.status.doubts == 1


async def test_a_book_that_is_silently_wrong_is_found_by_the_regular_check(reading: Reading) -> None:
    reading.set(local_book_check_sec=1)
    reading.local.want(reading.token)
    await reading.agrees()
    await reading.control("market_ws", action="silent")
    await reading.book([(0.30, 10)], [(0.70, 10)])
    await until("nothing confirmed it for a second", lambda: reading.local.get(reading.token) is None)
    book = await reading.next_book(reading.token)
    assert (levels(book.bids), levels(book.asks)) == reading.truth()
    assert reading.local.status.doubts == 1
    await reading.agrees()
    assert reading.local.status.proven_wrong == 1


async def test_a_fill_never_uses_a_price_that_the_channel_has_missed(reading: Reading) -> None:
    reading.set(local_book_fill_age_ms=300)
    await reading.book([(0.50, 100)], [(0.51, 100)])
    reading.local.want(reading.token)
    await reading.agrees()
    await reading.control("market_ws", action="silent", token_id=reading.token)
    await reading.book([(0.61, 100)], [(0.62, 100)])
    await until("older than a fill may use", lambda: reading.local.get(reading.token, 300) is None)
    book = await reading.next_book(reading.token)
    assert book.best_ask == 620_000
    assert reading.local.get(reading.token) is None


async def test_a_mark_is_as_of_when_the_kept_book_was_confirmed_and_serves_no_later_fill(reading: Reading) -> None:
    reading.set(local_book_fill_age_ms=100)
    reading.local.want(reading.token)
    await reading.agrees()
    await until("too old for a fill", lambda: reading.local.get(reading.token, 100) is None)
    due_at = reading.hub.now()
    mark = reading.local.get(reading.token)
    assert mark is not None
    assert mark.requested_at < due_at
    reads = reading.http_reads()
    fresh = await reading.next_book(reading.token)
    assert fresh.requested_at > due_at
    assert reading.http_reads() == reads + 1
    confirmed = await reading.next_book(reading.token)
    assert reading.http_reads() == reads + 1
    assert confirmed.requested_at > fresh.requested_at


@pytest.mark.parametrize("which", ["one token", "all tokens", "one connection"])
async def test_a_channel_that_was_proven_wrong_is_made_anew_and_compared_before_it_is_used(
    reading: Reading, which: str
) -> None:
    reading.set(local_book_fill_age_ms=0)
    token = reading.token
    other = sorted(t for t in reading.venue.chain.markets if t not in reading.market.tokens)[0]
    reading.local.want(token)
    if which != "one connection":
        reading.local.want(other)
    await until(
        "both are kept", lambda: reading.local.get(token) and (which == "one connection" or reading.local.get(other))
    )
    reading.local.want(other)
    await until("the other is kept", lambda: reading.local.get(other))
    muted = next(c for c in reading.venue_sockets() if token in c.tokens)
    bystander = next(c for c in reading.venue_sockets() if other in c.tokens)
    if which == "one token":
        muted.quiet.add(token)
    else:
        muted.silent = True
    before = reading.channel.connections
    await reading.book([(0.30, 10)], [(0.70, 10)])
    book = await reading.next_book(token)
    assert (levels(book.bids), levels(book.asks)) == reading.truth()
    await until("it is proven wrong", lambda: reading.local.status.proven_wrong == 1)
    assert reading.local.get(token) is None
    assert (reading.local.get(other) is None) == (bystander is muted)
    asked = reading.http_reads()
    await until("another connection", lambda: reading.channel.connections > before)
    await reading.agrees()
    assert reading.http_reads() > asked
    assert (bystander in reading.venue_sockets()) == (bystander is not muted)


async def test_a_new_connection_is_not_believed_while_it_cannot_be_compared(reading: Reading) -> None:
    reading.set(local_book_fill_age_ms=0)
    reading.local.want(reading.token)
    await reading.agrees()
    next(iter(reading.venue_sockets())).silent = True
    before = reading.channel.connections
    await reading.book([(0.30, 10)], [(0.70, 10)])
    await reading.next_book(reading.token)
    await until("it is proven wrong", lambda: reading.local.status.proven_wrong == 1)
    reading.venue.faults["clob"] = Fault("status", 404)
    await until("another connection, with its snapshot", lambda: reading.channel.connections > before)
    asked = reading.http_reads()
    await until("a comparison was tried", lambda: reading.http_reads() > asked)
    assert reading.local.get(reading.token) is None
    reading.venue.faults.clear()
    await reading.agrees()


async def test_a_change_that_is_still_on_its_way_proves_nothing(reading: Reading) -> None:
    reading.set(local_book_fill_age_ms=0)
    reading.local.want(reading.token)
    await reading.agrees()
    for n in range(1, 6):
        reading.market.bids = {400_000: n * MICRO}
        await reading.next_book(reading.token)
    await reading.agrees()
    assert reading.local.status.proven_wrong == 0


async def test_books_that_may_be_needed_take_the_places_of_those_that_may_not(reading: Reading) -> None:
    reading.set(max_local_books=3)
    tokens = sorted(reading.venue.chain.markets)[:8]
    reading.local.want(tokens[0])
    reading.local.fill_up(tokens[1:5])
    assert [reading.local.kept(t) for t in tokens[:5]] == [True, True, True, False, False]
    reading.local.fill_up([tokens[6], tokens[1], tokens[0], tokens[2]])
    assert [t for t in tokens if reading.local.kept(t)] == [tokens[0], tokens[1], tokens[6]]
    reading.local.want(tokens[7])
    assert [t for t in tokens if reading.local.kept(t)] == [tokens[0], tokens[6], tokens[7]]


async def test_a_dropped_and_a_muted_connection_come_back_and_http_serves_meanwhile(reading: Reading) -> None:
    reading.set(local_book_stale_ms=1000)
    reading.local.want(reading.token)
    await reading.agrees()
    await reading.control("market_ws", action="refuse", seconds=1)
    await until("it is out of use", lambda: reading.local.get(reading.token) is None)
    await reading.book([(0.30, 10)], [(0.70, 10)])
    book = await reading.next_book(reading.token)
    assert (levels(book.bids), levels(book.asks)) == reading.truth()
    await reading.agrees()
    await reading.control("market_ws", action="mute")
    await until("silence is noticed", lambda: reading.local.get(reading.token) is None)
    await reading.agrees()
    assert reading.local.status.reconnects >= 2


async def test_frames_that_are_rubbish_are_counted_and_cost_trust(reading: Reading) -> None:
    reading.local.want(reading.token)
    await reading.agrees()
    for value in (
        "{",
        '{"event_type":"price_change","price_changes":7}',
        '{"event_type":"something new"}',
        "[]",
        "null",
    ):
        await reading.control("market_ws", action="raw", value=value)
    await until("they are counted", lambda: reading.hub.counts["bad_market_ws"] == 3)
    await reading.agrees()


async def test_a_tick_change_and_a_result_are_taken_in(reading: Reading) -> None:
    reading.local.want(reading.token)
    await reading.agrees()
    await reading.book([(0.955, 10)], [(0.965, 10)], tick="0.0001")
    await reading.agrees()
    book = reading.local.get(reading.token)
    assert book is not None
    assert book.tick == 100
    await reading.control("resolve", token_id=reading.token, payouts=[1, 0])
    await until("the result is heard", lambda: set(reading.resolved) == set(reading.market.tokens))


async def test_the_least_recently_needed_books_go_and_connections_stay_few(reading: Reading) -> None:
    reading.set(max_local_books=5)
    tokens = sorted(reading.venue.chain.markets)[:9]
    for token in tokens:
        reading.local.want(token)
        await until("it is kept", partial(reading.local.get, token))
    reading.local.want(tokens[4])
    reading.local.want("12345")
    assert [t for t in tokens if reading.local.kept(t)] == [tokens[4], *tokens[6:]]
    assert reading.local.status.evicted == 5
    await until("few connections", lambda: 0 < len(reading.venue_sockets()) <= 4)
    await until("they still serve", lambda: reading.local.get(tokens[8]))
    reading.local.fill_up(tokens)
    assert sum(reading.local.kept(t) for t in tokens) == 4


async def test_switched_off_every_book_is_read_over_http(reading: Reading) -> None:
    reading.set(local_books=False)
    before = reading.http_reads()
    for n in range(1, 4):
        await reading.book([(0.40, n)], [(0.60, n)])
        book = await reading.next_book(reading.token)
        assert levels(book.bids) == [(400_000, n * MICRO)]
        assert reading.http_reads() == before + n
    assert reading.venue_sockets() == []


async def test_an_unforeseen_fault_of_one_frame_costs_trust_and_not_the_channel(
    reading: Reading, monkeypatch: pytest.MonkeyPatch
) -> None:
    reading.local.want(reading.token)
    await reading.agrees()
    real, calls = LocalBooks._changes, []

    def changes(self: LocalBooks, *given: Any) -> None:
        calls.append(given)
        if len(calls) == 1:
            raise ZeroDivisionError("nobody thought of this")
        real(self, *given)

    monkeypatch.setattr(LocalBooks, "_changes", changes)
    connections = reading.channel.connections
    await reading.book([(0.30, 10)], [(0.70, 10)])
    await until("it is said", lambda: reading.hub.faults)
    await reading.agrees()
    await reading.book([(0.31, 10)], [(0.69, 10)])
    await reading.agrees()
    assert len(calls) > 1
    assert reading.channel.connections == connections
