"""Somebody's own record: what is told is read to the digit, what is not told is named, and nothing breaks for it."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from typing import Any, NamedTuple

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilotfish.core.units import MICRO, Price, Shares, Usdc
from pilotfish.polymarket.http import Service
from pilotfish.polymarket.record import (
    HeldPosition,
    Missing,
    Record,
    Standing,
    Stats,
    parse_positions,
    parse_standing,
    parse_stats,
    parse_value,
    read_record,
)
from pilotfish.polymarket.rows import RowError
from pilotfish.sim.chain import Order
from pilotfish.sim.market import SimMarket
from pilotfish.sim.server import serve
from pilotfish.sim.venue import Fault, Venue
from tests.desk import usd

WALLET, OTHER = "0x" + "a1" * 20, "0x" + "b2" * 20
NONE_OF_IT = (None, None, None, None)


class Asked(NamedTuple):
    """A venue on which the wallet won one position, lost one, holds one and never redeemed a lost one."""

    venue: Venue
    service: Service

    async def record(self) -> Record:
        return await read_record(self.service, WALLET)


@pytest.fixture
async def asked() -> AsyncIterator[Asked]:
    venue = Venue(7, "quiet", paused=True)
    venue.chain.api_lag = (0.0, 0.0)
    markets = [_market(venue, name) for name in ("won", "lost", "held", "worthless")]
    for n, (market, buy, sell) in enumerate(zip(markets, (40, 60, 50, 30), (70, 20, None, None), strict=True)):
        _trade(venue, market, "BUY", 100, buy, n)
        if sell is not None:
            _trade(venue, market, "SELL", 100, sell, n)
    markets[2].mid = 550_000
    markets[3].closed, markets[3].payouts = True, (0, MICRO)
    async with serve(venue, 0) as port, aiohttp.ClientSession() as http:
        yield Asked(venue, Service(http, "data", f"http://127.0.0.1:{port}/data", per_second=50, attempts=1))


def _market(venue: Venue, name: str) -> SimMarket:
    number = len(venue.chain.markets) + 1
    market = SimMarket(
        condition_id="0x" + f"{number:064x}", question=f"Will it be {name}?", slug=name, category="sports",
        tokens=(str(9_000 + number), str(9_100 + number)), frozen=True,
    )  # fmt: skip
    venue.chain.add_market(market)
    return market


def _trade(venue: Venue, market: SimMarket, side: str, shares: int, cents: int, n: int) -> None:
    now = time.time() - 60 + n
    venue.chain.mine(now)
    token = market.tokens[0]
    taker = Order(WALLET, side, token, shares * MICRO, cents * 10_000, f"0x{n:02x}{side}")
    other = "SELL" if side == "BUY" else "BUY"
    maker = Order(OTHER, other, token, shares * MICRO, cents * 10_000, f"0x{n:02x}{side}m")
    venue.chain.match(taker, [maker], now=now)


async def test_a_record_is_what_the_trades_come_to(asked: Asked) -> None:
    record = await asked.record()
    assert record.missing == ()
    assert (record.realized, record.volume) == (usd(30 - 40), usd(40 + 70 + 60 + 20 + 50 + 30))
    assert (record.biggest_win, record.markets, record.trades) == (usd(30), 4, 6)
    assert record.rank in (1, 2)
    assert record.value == usd(55), "what can only be redeemed for nothing is worth nothing"
    (held,) = record.held
    assert held == HeldPosition(
        token_id="9017", slug="held", title="Will it be held?", outcome="Yes", shares=Shares(100 * MICRO),
        average=Price(500_000), price=Price(550_000), value=Usdc(usd(55)), gain=Usdc(usd(5)),
    )  # fmt: skip
    assert (record.won, record.lost) == (1, 2), "a lost position that was never redeemed is a lost one"
    assert (record.open, record.more_open, record.more_decided) == (1, False, False)


async def test_v1_is_asked_where_v2_has_no_route(asked: Asked) -> None:
    asked.venue.api_v1_only = True
    record = await asked.record()
    assert record.missing == (Missing("statistics", "the venue has no such route"),)
    assert (record.realized, record.volume) == (usd(-10), usd(270))
    assert (record.won, record.lost, record.value) == (1, 2, usd(55))
    assert (record.biggest_win, record.markets, record.trades, record.joined_at) == NONE_OF_IT


@pytest.mark.parametrize(
    ("route", "what", "unknown"),
    [
        ("user-stats", "statistics", ("volume", "biggest_win", "markets", "trades", "joined_at")),
        ("leaderboard", "standing on the leaderboard", ("rank",)),
        ("value", "value", ()),
    ],
)
async def test_a_route_that_fails_costs_only_what_it_tells(
    asked: Asked, route: str, what: str, unknown: tuple[str, ...]
) -> None:
    whole = await asked.record()
    asked.venue.faults[f"data/v2/{route}"] = Fault("status", 500)
    record = await asked.record()
    (missing,) = record.missing
    assert missing.what == what
    assert "HTTP 500" in missing.why
    for name in Record.__struct_fields__:
        if name in unknown:
            assert getattr(record, name) is None, name
        elif name != "missing":
            assert getattr(record, name) == getattr(whole, name), name


async def test_without_positions_nothing_is_said_of_how_often_they_were_right(asked: Asked) -> None:
    asked.venue.faults["data/v2/positions"] = Fault("html")
    record = await asked.record()
    assert [one.what for one in record.missing] == ["closed positions", "open positions"]
    assert (record.won, record.lost, record.open, record.held) == (None, None, None, ())
    assert record.realized == usd(-10)


async def test_a_venue_that_answers_nothing_at_all_gives_an_empty_record(asked: Asked) -> None:
    asked.venue.faults["data"] = Fault("status", 503)
    record = await asked.record()
    assert len(record.missing) == 5
    assert (record.realized, record.value, record.rank, record.open) == NONE_OF_IT


def test_what_is_no_answer_is_refused_with_its_field() -> None:
    for parse, answer, field in (
        (parse_stats, {"data": {"biggest_win": "much"}}, "biggest_win"),
        (parse_stats, {"data": {"all_time_pnl": 5}}, "row"),
        (parse_standing, {"data": {"pnl": "1", "rank_pnl": []}}, "rank_pnl"),
        (parse_value, [{"value": "1e99999"}], "value"),
        (parse_value, "nothing", "expected"),
    ):
        with pytest.raises(RowError, match=field):
            parse(answer)
    with pytest.raises(RowError, match="none of 2 rows"):
        parse_positions({"data": [1, {"current_size": "x"}]}, 500, closed=False)
    assert parse_stats({"data": None}) == Stats()
    assert parse_standing({"data": None}) == parse_standing([]) == Standing()
    assert parse_value({"data": None}) is None
    assert parse_positions([], 500, closed=True) == ((), 0, 0, False)


def test_one_row_that_cannot_be_read_costs_itself() -> None:
    good = {"current_size": 2, "current_value": 1, "title": "Good", "status": "OPEN"}
    page = parse_positions({"data": [{"current_size": "?"}, good]}, 500, closed=False)
    assert [p.title for p in page.held] == ["Good"]


def test_a_full_page_of_v1_and_a_cursor_of_v2_say_that_there_is_more() -> None:
    row = {"realizedPnl": 1}
    assert parse_positions([row] * 50, 50, closed=True).more
    assert not parse_positions([row] * 49, 50, closed=True).more
    v2: dict[str, Any] = {"data": [row], "pagination": {"has_more": True, "next_cursor": "x"}}
    assert parse_positions(v2, 500, closed=True).more
    v2["pagination"] = {"has_more": False, "next_cursor": None}
    assert not parse_positions(v2, 500, closed=True).more


json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(
        st.sampled_from(["data", "pnl", "rank", "value", "current_size", "status", "all_time_pnl", "realized_pnl",
                         "pagination", "next_cursor", "title", "avg_price"]), inner, max_size=5),
    max_leaves=12,
)  # fmt: skip


@given(json)
def test_whatever_comes_is_read_or_refused(answer: object) -> None:
    for parse in (parse_stats, parse_standing, parse_value):
        try:
            parse(answer)
        except RowError:
            continue
    for closed in (True, False):
        try:
            page = parse_positions(answer, 500, closed=closed)
        except RowError:
            continue
        assert page.won >= 0 and page.lost >= 0
