"""Windows of activity over real sockets: every row exactly as often as the venue has it, or what is missing."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest

from pilotfish.core.units import MICRO
from pilotfish.polymarket import data_api
from pilotfish.polymarket.data_api import ActivityWindow, DataApi
from pilotfish.polymarket.http import Service, VenueError, make_session
from pilotfish.sim.market import SimMarket
from pilotfish.sim.server import serve, urls
from pilotfish.sim.venue import Venue

WALLET = "0x" + "a1" * 20
TOKEN = "1001"
START = int(time.time()) - 5_000


def row(n: int, second: int, **more: Any) -> dict[str, Any]:
    return {
        "type": "TRADE", "proxy_wallet": WALLET, "timestamp": second, "transaction_hash": f"0x{n:064x}",
        "is_combo": False, "condition_id": "0x" + "c3" * 32, "token_id": TOKEN, "side": "BUY", "size": 10.0,
        "usdc_size": 5.0, "price": 0.5, "outcome": "Yes", "outcome_index": 0, "title": "", "slug": "", **more,
    }  # fmt: skip


@dataclass
class Source:
    venue: Venue
    api: DataApi

    def put(self, *rows: dict[str, Any]) -> None:
        for each in rows:
            self.venue.chain.add_row(WALLET, each, 0.0)

    def asked(self) -> int:
        return sum(n for path, n in self.venue.requests.items() if path.endswith("/activity"))

    async def read(self, start: int = START) -> ActivityWindow:
        return await self.api.activity(WALLET, start)

    def truth(self) -> Counter[str]:
        return Counter(r.data["transaction_hash"] for r in self.venue.chain.rows[WALLET])


def seen(window: ActivityWindow) -> Counter[str]:
    return Counter(f.tx_hash for f in window.fills)


@pytest.fixture(params=["v1", "v2"])
async def source(request: pytest.FixtureRequest) -> AsyncIterator[Source]:
    venue = Venue(7, "quiet")
    venue.api_v1_only = request.param == "v1"
    async with serve(venue, 0) as port, make_session() as session:
        yield Source(venue, DataApi(Service(session, "data", urls(port)["DATA_API_URL"], per_second=1000)))


async def test_thirteen_hundred_rows_stay_so_many_past_a_wall_that_repeats_pages(source: Source) -> None:
    source.put(*(row(n, START + n) for n in range(1_300)))
    source.venue.habits.wall = 1_000
    source.venue.habits.repeats = True
    window = await source.read()
    assert seen(window) == source.truth()
    assert (window.complete, window.gaps) == (True, ())
    assert source.asked() <= 8


async def test_more_rows_than_any_offset_reaches_are_read(source: Source) -> None:
    source.put(*(row(n, START + n // 3) for n in range(7_001)))
    window = await source.read()
    assert seen(window) == source.truth()
    assert window.gaps == ()


@pytest.mark.parametrize("where", [0, 250, 499, 700, 1_299])
async def test_a_row_that_appears_between_two_pages_makes_no_phantom(source: Source, where: int) -> None:
    source.put(*(row(n, START + n) for n in range(1_300)))
    source.venue.habits.between = [row(9_999, START + where)]
    window = await source.read()
    got = seen(window)
    assert got - source.truth() == Counter()
    assert source.truth() - got <= Counter({f"0x{9_999:064x}": 1})
    assert seen(await source.read()) == source.truth()


async def test_identical_fills_of_one_transaction_all_count_also_across_pages(source: Source) -> None:
    source.put(*(row(n, START + n) for n in range(498)), *(row(7_000, START + 498) for _ in range(40)))
    source.put(*(row(n, START + n) for n in range(600, 700)))
    window = await source.read()
    assert seen(window)[f"0x{7_000:064x}"] == 40
    assert seen(window) == source.truth()


async def test_a_second_with_more_rows_than_a_page_is_read_by_pages_that_fit_at_their_edges(source: Source) -> None:
    source.put(*(row(n, START + 1) for n in range(1_205)), row(5_000, START), row(5_001, START + 2))
    source.venue.habits.overlap = 3
    window = await source.read()
    assert seen(window) == source.truth()
    assert window.gaps == ()


async def test_a_row_late_within_a_crowded_second_makes_no_phantom(source: Source) -> None:
    source.put(*(row(n, START + 1) for n in range(1_205)))
    source.venue.habits.between = [row(9_999, START + 1)]
    window = await source.read()
    assert seen(window) - source.truth() == Counter()
    assert source.truth() - seen(window) <= Counter({f"0x{9_999:064x}": 1})


async def test_a_crowded_second_behind_a_wall_is_a_gap_and_everything_else_is_read(source: Source) -> None:
    source.put(*(row(n, START + 5) for n in range(1_205)))
    source.put(row(5_000, START), row(5_001, START + 9))
    source.venue.habits.wall = 1_000
    source.venue.habits.repeats = True
    window = await source.read()
    assert window.gaps == ((START + 5, START + 5),)
    assert seen(window) - source.truth() == Counter()
    assert {f"0x{5_000:064x}", f"0x{5_001:064x}"} <= set(seen(window))
    assert window.complete
    assert window.last_ts == START + 9


async def test_newest_first_although_asked_otherwise_is_noticed_and_read_whole(source: Source) -> None:
    source.put(*(row(n, START + n // 2) for n in range(1_300)))
    source.venue.habits.newest_first = True
    source.venue.habits.wall = 1_000
    window = await source.read()
    assert seen(window) == source.truth()
    assert (window.complete, window.gaps) == (True, ())
    stamps = [f.traded_at for f in window.fills]
    assert stamps == sorted(stamps, key=lambda s: s or 0)


@pytest.mark.parametrize("rows", [0, 3, 500, 1_300])
async def test_a_service_that_always_says_that_there_is_more_comes_to_an_end(source: Source, rows: int) -> None:
    source.put(*(row(n, START + n) for n in range(rows)))
    source.venue.habits.more_for_ever = True
    window = await source.read()
    assert seen(window) == source.truth()
    assert (window.complete, window.gaps) == (True, ())
    assert source.asked() <= 10


async def test_a_cursor_that_repeats_its_page_brings_no_row_twice(source: Source) -> None:
    source.put(*(row(n, START + n) for n in range(7)))
    source.venue.habits.repeats = True
    window = await source.read()
    assert seen(window) == source.truth()
    assert window.gaps == ()


async def test_what_is_too_long_for_one_reading_goes_on_where_it_ended(
    source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pilotfish.polymarket.activity.MAX_REQUESTS", 2)
    source.put(*(row(n, START + n) for n in range(1_300)))
    got: Counter[str] = Counter()
    start: int | None = START
    for _ in range(10):
        assert start is not None
        window = await source.read(start)
        got |= seen(window)
        start = window.through
        if start is None:
            break
    assert start is None
    assert got == source.truth()


async def test_a_service_that_can_not_be_read_page_by_page_is_an_error_and_not_a_history(source: Source) -> None:
    source.put(*(row(n, START + n) for n in range(3_000)))
    source.venue.habits.newest_first = source.venue.habits.no_end = True
    with pytest.raises(VenueError, match="page by page"):
        await source.read()


async def test_a_lower_limit_than_asked_for_loses_nothing(source: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data_api, "PAGE", 100)
    source.put(*(row(n, START + n) for n in range(730)))
    assert seen(await source.read()) == source.truth()


def hold(source: Source, markets: int) -> dict[str, int]:
    """The wallet holds both tokens of so many new markets."""
    held: dict[str, int] = {}
    for n in range(markets):
        tokens = (str(10_000 + 2 * n), str(10_001 + 2 * n))
        market = SimMarket(f"0x{n:064x}", f"Market {n}", f"m-{n}", "test", tokens)
        source.venue.chain.add_market(market)
        held |= dict.fromkeys(tokens, (n + 1) * MICRO)
    source.venue.chain.initial[WALLET] = held
    return held


@pytest.mark.parametrize("markets", [0, 1, 25, 250, 601])
async def test_positions_of_any_number_are_read_whole_each_once(source: Source, markets: int) -> None:
    held = hold(source, markets)
    found = await source.api.positions(WALLET)
    assert (found.shares, found.whole, found.bad_rows) == (held, True, [])


async def test_positions_whose_pages_never_end_are_not_whole(source: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    held = hold(source, 300)
    real = source.api.service.get

    async def get(path: str, params: dict[str, str | int] | None = None, **_: bool) -> Any:
        given = {k: v for k, v in (params or {}).items() if k not in ("cursor", "offset")}
        return await real(path, given)

    monkeypatch.setattr(source.api.service, "get", get)
    found = await source.api.positions(WALLET)
    assert found.shares.items() <= held.items()
    assert len(found.shares) == 500
    assert not found.whole
