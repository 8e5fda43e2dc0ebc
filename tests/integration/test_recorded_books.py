"""Recording order books over real sockets: what is read back is what stood; where nothing was known there is none."""

from __future__ import annotations

import random
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import aiohttp
import pytest

from pilotfish.app.book_recording import BookRecording, Recording, RecordLimits
from pilotfish.core.book import Book
from pilotfish.feeds.books import Books
from pilotfish.feeds.hub import Hub
from pilotfish.feeds.local_books import LocalBooks
from pilotfish.history.books import recorded, rows_between, tracks
from pilotfish.history.folder import History
from pilotfish.polymarket.book_rows import BookRow, Heard
from pilotfish.polymarket.clob import Clob
from pilotfish.polymarket.http import Service, make_session
from pilotfish.sim.chain import Order
from pilotfish.sim.market_ws import MarketChannel
from pilotfish.sim.server import serve, urls
from pilotfish.sim.venue import Venue
from tests.integration.test_local_books import Reading, levels
from tests.rig import until_async as until

Sides = tuple[list[tuple[int, int]], list[tuple[int, int]]]


class Recorder(Reading):
    """A venue, books that are read from it, and their recording."""

    recording: BookRecording
    history: History

    def taken(self) -> tuple[int, Sides]:
        """An instant, and what is kept then."""
        kept = self.kept()
        assert kept is not None
        return self.hub.now(), kept

    async def read_back(self) -> tuple[Callable[[int], Book | None], list[BookRow]]:
        """End the recording; gives the book of an instant, and all rows of the token."""
        self.recording.close()
        track = tracks(self.history, {self.token: [(0, 2**62)]})[self.token]
        return track.at, list(rows_between(self.history, [self.token], 0, 2**62))


@pytest.fixture
async def recorder(tmp_path: Path) -> AsyncIterator[Recorder]:
    venue = Venue(7, "quiet")
    for market in venue.chain.markets.values():
        market.frozen = True
    hub = Hub()
    place = str(tmp_path / "history")
    recording = BookRecording(
        place, tmp_path / "recording", lambda: RecordLimits(hub.flag("record_books"), 1, 9), hub.now
    )
    recording.start()
    await until("it records", lambda: recording.status.state is Recording.ON)
    async with serve(venue, 0) as port, aiohttp.ClientSession() as http, make_session() as session:
        where = urls(port)
        service = Service(session, "clob", where["CLOB_HTTP_URL"], per_second=100)
        books = Books(
            hub,
            Clob(service),
            lambda reread: LocalBooks(
                hub, session, where["CLOB_MARKET_WS_URL"], reread, resolved=lambda _token: None, record=recording.take
            ),
        )
        hub.spawn(books.local.run(), "local")
        channel: MarketChannel = venue.on_tick.__self__  # type: ignore[attr-defined]
        made = Recorder(venue, channel, hub, books, f"http://127.0.0.1:{port}", http)
        made.recording, made.history = recording, History(place)
        yield made
        await hub.close()
        recording.close()


def sides(book: Book | None) -> Sides | None:
    return None if book is None else (levels(book.bids), levels(book.asks))


async def test_what_was_kept_at_any_instant_is_read_back(recorder: Recorder) -> None:
    recorder.local.want(recorder.token)
    await recorder.agrees()
    rng = random.Random(4)
    stood = [recorder.taken()]
    for _ in range(60):
        recorder.market.frozen = False
        recorder.market.move(rng, time.time())
        recorder.market.frozen = True
        recorder.venue.on_tick()
        await recorder.agrees()
        stood.append(recorder.taken())
    at, rows = await recorder.read_back()
    assert [sides(at(instant)) for instant, _ in stood] == [kept for _, kept in stood]
    assert rows[0].is_reseed
    assert sum(row.is_reseed for row in rows) == 1, "everything follows from the first book"
    deltas = [row for row in rows if row.kind is Heard.DELTA]
    assert len(deltas) > 60
    assert all(row.venue_ms and row.price and row.size for row in deltas)


async def test_trades_are_told_beside_the_books_and_recorded_with_price_size_and_side(recorder: Recorder) -> None:
    recorder.local.want(recorder.token)
    await recorder.agrees()
    taker, maker = (
        Order(f"0x{n:040x}", side, recorder.token, 12_500_000, 510_000, f"0x{n:064x}")
        for n, side in ((11, "BUY"), (22, "SELL"))
    )
    recorder.venue.chain.match(taker, [maker], now=time.time())
    recorder.market.frozen = False
    recorder.market.move(random.Random(4), time.time())
    recorder.market.frozen = True
    recorder.venue.on_tick()  # what is told after a trade has arrived, so the trade has
    await recorder.agrees()
    _, rows = await recorder.read_back()
    (trade,) = [row for row in rows if row.kind is Heard.TRADE]
    assert (trade.side, trade.price, trade.size) == ("BUY", "0.51", "12.5")
    assert trade.venue_ms > 0


async def test_a_lost_connection_is_a_gap_and_what_comes_after_it_is_a_reseed(recorder: Recorder) -> None:
    recorder.local.want(recorder.token)
    await recorder.agrees()
    before = recorder.taken()
    await recorder.control("market_ws", action="drop")
    await until("it is lost", lambda: recorder.kept() is None)
    lost_at = recorder.hub.now()
    await recorder.book([(0.30, 10)], [(0.70, 10)])
    await recorder.agrees()
    after = recorder.taken()
    at, rows = await recorder.read_back()
    assert sides(at(before[0])) == before[1]
    assert at(lost_at) is None, "nobody knows what stood"
    assert sides(at(after[0])) == after[1]
    kinds = [(row.kind, row.is_reseed) for row in rows if row.kind in (Heard.SNAPSHOT, Heard.GAP)]
    assert kinds == [(Heard.SNAPSHOT, True), (Heard.GAP, False), (Heard.SNAPSHOT, True), (Heard.GAP, False)]
    gap = next(row for row in rows if row.kind is Heard.GAP)
    assert before[0] < gap.since <= gap.at, "everything until the venue closed it has come through"


async def test_a_book_in_doubt_is_a_gap_until_it_was_read_again(recorder: Recorder) -> None:
    recorder.local.want(recorder.token)
    await recorder.agrees()
    await recorder.control("market_ws", action="cross", token_id=recorder.token)
    await until("it is doubted", lambda: recorder.local.status.doubts)
    await recorder.agrees()
    after = recorder.taken()
    at, rows = await recorder.read_back()
    assert sides(at(after[0])) == after[1]
    gap = next(row for row in rows if row.kind is Heard.GAP)
    assert gap.detail == "crossed"
    assert any(row.kind is Heard.SNAPSHOT and row.is_reseed and row.at > gap.at for row in rows)


async def test_a_read_over_http_is_an_answer_with_the_times_of_question_and_answer(recorder: Recorder) -> None:
    recorder.set(local_books=0)
    begun = recorder.hub.now()
    book = await recorder.next_book(recorder.token)
    at, rows = await recorder.read_back()
    (answer,) = rows
    assert (answer.kind, answer.since, answer.at) == (Heard.ANSWER, book.requested_at, book.received_at)
    assert begun < answer.since <= answer.at
    assert sides(at(answer.at)) == sides(book)


async def test_switched_off_nothing_is_recorded_and_switched_on_it_begins_with_a_whole_book(recorder: Recorder) -> None:
    recorder.set(record_books=0)
    recorder.local.want(recorder.token)
    await recorder.agrees()
    await until("it is off", lambda: recorder.recording.status.state is Recording.OFF)
    recorder.set(record_books=1)
    await until("it is on", lambda: recorder.recording.status.state is Recording.ON)
    await recorder.book([(0.30, 10)], [(0.70, 10)])
    await recorder.agrees()
    await until("it is written", lambda: recorder.recording.status.rows)
    after = recorder.taken()
    at, rows = await recorder.read_back()
    assert rows[0].is_reseed
    assert sides(at(after[0])) == after[1]


async def test_rows_that_are_not_taken_are_a_gap_and_the_book_begins_anew(
    recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorder.local.want(recorder.token)
    await recorder.agrees()
    before = recorder.taken()
    monkeypatch.setattr("pilotfish.app.book_recording.MOST_WAITING", 0)
    await recorder.book([(0.30, 10)], [(0.70, 10)])
    await recorder.agrees()
    missed_at = recorder.hub.now()
    monkeypatch.setattr("pilotfish.app.book_recording.MOST_WAITING", 1_000)
    await recorder.book([(0.31, 10)], [(0.71, 10)])
    await recorder.agrees()
    after = recorder.taken()
    at, rows = await recorder.read_back()
    assert recorder.recording.status.dropped > 0
    assert sides(at(before[0])) == before[1]
    assert at(missed_at) is None
    assert sides(at(after[0])) == after[1]
    assert any(row.kind is Heard.GAP and "as fast as they came" in row.detail for row in rows)


async def test_the_list_says_what_there_is_of_each_token(recorder: Recorder) -> None:
    recorder.local.want(recorder.token)
    await recorder.agrees()
    recorder.recording.close()
    (told,) = recorded(recorder.history)
    assert (told.token_id, told.snapshots, told.gaps) == (recorder.token, 1, 1)
