"""What closing by hand is expected to bring is what the paper venue then pays."""

from __future__ import annotations

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest
from msgspec.structs import replace

from pilotfish.core import events as ev
from pilotfish.core.book import LiquidityMemory
from pilotfish.core.fees import UNKNOWN_FEE, FeeSchedule
from pilotfish.core.units import MICRO, Price, Shares, Usdc
from pilotfish.store import tables as t
from pilotfish.store.database import snapshot
from pilotfish.store.views.sellable import Sellable, read_sellable, read_taken
from pilotfish.store.views.trips import Sort, TripFilter, TripState, all_trips
from pilotfish.web.estimates import Basis, Estimate, VenueBooks, estimate
from tests.desk import LEADER, OTHER, TOKEN, Desk, usd
from tests.unit.test_ideal import OPEN, world
from tests.unit.test_round_trips import trade_at


class Venue:
    """A service with one book, or whatever else it is to answer."""

    def __init__(self) -> None:
        self.bids: list[tuple[float, float]] = []
        self.status, self.body = 200, ""
        venue = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                side = [{"price": str(price), "size": str(size)} for price, size in venue.bids]
                book = {"asset_id": TOKEN, "bids": side, "asks": [], "tick_size": "0.01"}
                self.send_response(venue.status)
                self.end_headers()
                self.wfile.write((venue.body or json.dumps(book)).encode())

            def log_message(self, format: str, *arguments: object) -> None:
                """Not a word."""

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}"


@pytest.fixture
def venue() -> Iterator[Venue]:
    made = Venue()
    yield made
    made.server.shutdown()
    made.server.server_close()


async def told(url: str, what: Sellable, taken: LiquidityMemory) -> Estimate:
    books = VenueBooks({"clob_http_url": url})
    try:
        return await estimate(books, what, taken)
    finally:
        await books.close()


@pytest.mark.parametrize("bids", [[(0.60, 1000.0)], [(0.60, 20.0), (0.55, 5.0), (0.41, 1000.0)], [(0.60, 30.0)]])
async def test_what_is_expected_is_what_a_sale_then_gets(
    tmp_path: Path, venue: Venue, bids: list[tuple[float, float]]
) -> None:
    desk = Desk(dict(OPEN), fee=FeeSchedule(40_000))
    with world(desk, tmp_path) as made:
        trade_at(desk, "BUY", 1, 0.49)
        desk.bids, desk.asks = [(0.60, 10.0)], [(0.70, 10.0)]
        desk.sell(2, 10, 0.60)  # so that a part of what is bid is used up
        desk.advance(2)
        desk.bids = venue.bids = bids
        made.store()
        with snapshot(made.database) as c:
            (what,) = read_sellable(c, "main", LEADER, TOKEN)
            expected = await told(venue.url, what, read_taken(c, "main", TOKEN))
            (before,) = all_trips(c, TripFilter(portfolio="main"), sort=Sort.COST)
        assert (what.schedule, what.free_micro) == (FeeSchedule(40_000), what.shares_micro)
        assert expected.basis is Basis.BOOK
        desk.send(ev.CloseAsked(at=desk.at, portfolio="main"))
        desk.advance(4000)
        made.store()
        with snapshot(made.database) as c:
            (after,) = all_trips(c, TripFilter(portfolio="main", state=None), sort=Sort.COST)
        assert after.state is (TripState.OPEN if expected.left_micro else TripState.CLOSED)
        assert expected.pnl_micro == after.realized_pnl_micro - before.realized_pnl_micro
        position = desk.engine.state.desks["main"].positions[(LEADER, TOKEN)]
        assert expected.left_micro == position.shares
        assert expected.fee_micro == after.fees_micro - before.fees_micro


HELD = Sellable(
    portfolio="main", leader=LEADER, label="", token_id=TOKEN, title=None, outcome="Yes", shares_micro=Shares(usd(50)),
    free_micro=Shares(usd(50)), cost_micro=Usdc(usd(25)), mark_micro=Price(400_000), unmarked_since=None,
    schedule=FeeSchedule(40_000),
)  # fmt: skip
"""50 shares that cost 25, and were worth 0.40 each."""


@pytest.mark.parametrize(("status", "body", "why"), [(400, "{}", "HTTP 400"), (404, "{}", "has no book"),
                                                     (200, "[]", "expected an object")])  # fmt: skip
async def test_without_a_book_the_last_mark_is_reckoned_with_and_it_says_why(
    venue: Venue, status: int, body: str, why: str
) -> None:
    venue.status, venue.body = status, body
    expected = await told(venue.url, HELD, LiquidityMemory())
    assert expected.basis is Basis.MARK
    assert why in expected.why
    fee = usd(50) * 40_000 // MICRO * 24 // 100
    assert (expected.price_micro, expected.fee_micro) == (400_000, fee)
    assert expected.got_micro == usd(20) - fee
    assert expected.pnl_micro == usd(20) - fee - usd(25)
    assert expected.book_at is None


async def test_nothing_is_expected_where_nobody_bids_and_no_mark_is_made_up(venue: Venue) -> None:
    empty = await told(venue.url, HELD, LiquidityMemory())
    assert (empty.basis, empty.got_micro, empty.left_micro) == (Basis.NOTHING, 0, usd(50))
    assert empty.book_at is not None
    venue.status = 400
    for what in (replace(HELD, mark_micro=None), replace(HELD, unmarked_since="2026-01-01T00:00:00.000000Z")):
        unknown = await told(venue.url, what, LiquidityMemory())
        assert (unknown.basis, unknown.got_micro, unknown.pnl_micro) == (Basis.NOTHING, 0, 0)
        assert unknown.why


def test_what_is_being_sold_already_is_not_for_sale_and_an_unknown_fee_is_the_highest(tmp_path: Path) -> None:
    desk = Desk(dict(OPEN))
    with world(desk, tmp_path) as made:
        trade_at(desk, "BUY", 1, 0.49)
        desk.bids = []
        desk.sell(2, 30, 0.49)
        desk.advance(3)
        made.store()
        with made.database.begin() as c:
            (what,) = read_sellable(c, "main")
            assert what.shares_micro == usd(50)
            assert what.free_micro < what.shares_micro
            assert what.free_cost_micro < what.cost_micro
            c.execute(t.markets.delete())
            assert read_sellable(c, "main")[0].schedule == UNKNOWN_FEE
            assert read_sellable(c, "other") == read_sellable(c, "main", OTHER) == []
        desk.send(ev.CloseAsked(at=desk.at, portfolio="main"))
        made.store()
        with snapshot(made.database) as c:
            assert read_sellable(c, "main") == [], "all of it is being sold"
