"""What the stand-in venue says of its past: every answer parses with the models of the venue's official SDK, and is
what the past was."""

from __future__ import annotations

import itertools
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest
from polymarket._internal.data_envelope import parse_data_envelope, parse_data_page
from polymarket.models.data.activity import Trade, UnknownActivity, parse_activity
from polymarket.models.data.analytics import PriceHistoryPoint
from polymarket.models.data.leaderboard import TraderLeaderboardEntry, TraderLeaderboardStanding
from polymarket.models.data.portfolio import Position, UserPnlSeries, UserStats
from polymarket.models.data.resolutions import Resolution
from polymarket.models.data.tokens import TokenReference
from polymarket.models.gamma.market import Market

from pilotfish.core.units import MICRO, micro_from_decimal
from pilotfish.sim.past import deeds_of, truth
from pilotfish.sim.past_lives import Life
from pilotfish.sim.past_people import Kind, crowd
from pilotfish.sim.server import serve
from pilotfish.sim.venue import PASTS, Venue

DAY = 86_400


def many(parse: Callable[[Any], Any]) -> Callable[[Any], tuple[Any, ...]]:
    return lambda rows: tuple(parse(row) for row in rows)


@dataclass
class Asked:
    """A venue after forty blocks of its story, whose leaders, a market maker and a skilled one have a past."""

    venue: Venue
    http: aiohttp.ClientSession
    base: str

    async def get(self, path: str, expected: int = 200, **params: Any) -> Any:
        async with self.http.get(f"{self.base}{path}", params=params) as answer:
            assert answer.status == expected, await answer.text()
            return await answer.json()

    async def pages(self, path: str, parse: Callable[[Any], Any], **params: Any) -> list[Any]:
        """All pages, each row through the model."""
        rows: list[Any] = []
        cursor: dict[str, Any] = {}
        while True:
            page: Any = parse_data_page(await self.get(path, **params, **cursor), many(parse))
            rows += page.items
            if page.server_next_cursor is None:
                return rows
            cursor = {"cursor": page.server_next_cursor}

    def life(self, kind: Kind) -> Life:
        past = self.venue.archive.past
        assert past is not None
        life = past.life(next(p.wallet for p in past.people if p.kind is kind))
        assert life is not None
        return life


@pytest.fixture
async def asked() -> AsyncIterator[Asked]:
    others = (*crowd(7, Kind.MARKET_MAKER, 1, events=40), *crowd(7, Kind.SKILLED, 1, events=30))
    venue = Venue(7, "busy", paused=True, past_days=60, others=others)
    venue.chain.api_lag = (0.0, 0.0)
    now = time.time() - 100
    for i in range(40):
        venue.chain.mine(now + 2 * i)
        venue.story.step(now + 2 * i)
    async with serve(venue, 0) as port, aiohttp.ClientSession() as http:
        yield Asked(venue, http, f"http://127.0.0.1:{port}")


async def test_past_and_live_rows_are_one_history_without_a_double_or_a_gap(asked: Asked) -> None:
    for character in asked.venue.characters():
        live = asked.venue.chain.rows[character.wallet]
        life = asked.life(PASTS[character.label])
        for direction in ("ASC", "DESC"):
            rows = await asked.pages(
                "/data/v2/activity", parse_activity, user=character.wallet, start=1, limit=97, sort_direction=direction
            )
            assert not any(isinstance(row, UnknownActivity) for row in rows)
            rows = rows if direction == "ASC" else rows[::-1]
            seconds = [int(row.timestamp.timestamp()) for row in rows]
            assert seconds == sorted(seconds)
            assert [row.transaction_hash for row in rows] == [
                *(deed.tx_hash for deed in deeds_of(life)),
                *(row.data["transaction_hash"] for row in live),
            ]
        split = seconds[len(seconds) // 2]
        earlier, later = [
            await asked.pages("/data/v2/activity", parse_activity, user=character.wallet, limit=500, **window)
            for window in ({"start": 1, "end": split}, {"start": split + 1})
        ]
        assert len(earlier) + len(later) == len(rows)


async def test_live_answers_do_not_work_out_the_past() -> None:
    """Who only follows pays nothing for it."""
    venue = Venue(7, "busy", paused=True, past_days=60)
    assert venue.archive.past is not None
    async with serve(venue, 0) as port, aiohttp.ClientSession() as http:
        wallet = venue.characters()[2].wallet
        for path in (f"activity?user={wallet}&start={int(time.time()) + 1}", f"positions?user={wallet}"):
            async with http.get(f"http://127.0.0.1:{port}/data/v2/{path}") as answer:
                assert answer.status == 200
    assert venue.archive.past.worked_out == 0


async def test_every_kind_of_row_is_in_the_venues_shape(asked: Asked) -> None:
    life = asked.life(Kind.MARKET_MAKER)
    rows = await asked.pages("/data/v2/activity", parse_activity, user=life.person.wallet, start=1, limit=1000)
    assert {str(row.type) for row in rows} >= {"TRADE", "SPLIT", "MERGE", "REWARD", "MAKER_REBATE"}
    merges = await asked.pages("/data/v2/activity", parse_activity, user=life.person.wallet, start=1, type="MERGE")
    assert [micro_from_decimal(row.amount) for row in merges][::-1] == [
        deed.usdc_size for deed in deeds_of(life) if deed.kind == "MERGE"
    ]
    one = next(row for row in rows if str(row.type) == "TRADE")
    assert one.amount >= one.shares * one.price, "the taker's fee is in it"


async def test_the_tape_of_a_market_is_every_fill_unless_left_at_its_defaults(asked: Asked) -> None:
    life = asked.life(Kind.MARKET_MAKER)
    for condition, tape in list(life.tapes.items())[:3]:
        for name in ("condition", "condition_id"):
            rows = await asked.pages(
                "/data/v2/trades", Trade.parse_response, limit=31, taker_only="false", filter_amount=0,
                sort_direction="ASC", **{name: condition},
            )  # fmt: skip
            read = [(r.transaction_hash, r.wallet, micro_from_decimal(r.size)) for r in rows]
            assert read == [(fill.tx_hash, fill.wallet, fill.shares) for fill in tape]
            assert [micro_from_decimal(row.price) for row in rows] == [fill.price for fill in tape]
        takers = await asked.pages("/data/v2/trades", Trade.parse_response, limit=1000, condition=condition)
        assert [row.transaction_hash for row in takers][::-1] == [fill.tx_hash for fill in tape if fill.taker]
        assert life.person.wallet not in {row.wallet for row in takers}, "who rests is not shown by default"
        middle = tape[len(tape) // 2].at
        window = {"condition": condition, "taker_only": "false", "start": middle, "end": middle + 900}
        some = await asked.pages("/data/v2/trades", Trade.parse_response, limit=1000, **window)
        assert len(some) == sum(middle <= fill.at <= middle + 900 for fill in tape)
    dear = await asked.pages(
        "/data/v2/trades", Trade.parse_response, limit=1000, condition=condition, taker_only="false", filter_amount=500
    )
    assert len(dear) == sum(fill.usdc >= 500 * MICRO for fill in tape)
    refused = await asked.get("/data/v2/trades", 400)
    assert refused["parameter"] == "user"


async def test_the_tape_of_a_live_market_is_what_was_shown_of_it(asked: Asked) -> None:
    chain = asked.venue.chain
    market = next(iter(chain.markets.values()))
    rows = await asked.pages(
        "/data/v2/trades", Trade.parse_response, limit=1000, condition=market.condition_id, taker_only="false"
    )
    assert len(rows) == sum(r.data.get("condition_id") == market.condition_id for w in chain.rows.values() for r in w)
    takers = await asked.pages("/data/v2/trades", Trade.parse_response, limit=1000, condition=market.condition_id)
    assert len(takers) == len({row.transaction_hash for row in rows})
    line = await asked.pages(
        "/data/v2/prices-history", PriceHistoryPoint.parse_response, token_id=market.tokens[1], interval="1d"
    )
    assert line and all(0 < point.price < 1 for point in line)


@pytest.mark.parametrize(("age", "apart"), [(2, 60), (20, 300)])
async def test_prices_are_as_fine_as_their_age_allows_and_end_with_the_settlement(
    asked: Asked, age: int, apart: int
) -> None:
    now = int(time.time())
    life = asked.life(Kind.VALUE)
    market = min(life.markets.values(), key=lambda m: abs(m.opens_at - (now - age * DAY)))
    for outcome, token in enumerate(market.tokens):
        window = {"token_id": token, "start": market.opens_at, "end": market.resolved_at + 60}
        points = await asked.pages("/data/v2/prices-history", PriceHistoryPoint.parse_response, limit=200, **window)
        *line, end = points
        assert (int(end.timestamp.timestamp()), end.price * MICRO) == (market.resolved_at, market.payouts[outcome])
        seconds = [int(point.timestamp.timestamp()) for point in line]
        assert {b - a for a, b in itertools.pairwise(seconds)} == {apart}
        assert {point.resolution_seconds for point in line} == {apart}
        for point in line[:: len(line) // 20]:
            assert micro_from_decimal(point.price) == market.mid(outcome, int(point.timestamp.timestamp()))


async def test_what_cannot_be_asked_of_prices_is_refused(asked: Asked) -> None:
    token = next(iter(asked.life(Kind.GAMBLER).by_token))
    for params, wrong in (
        ({"start": 1, "end": 1 + 15 * DAY + 1}, "end"),
        ({"start": 10, "end": 9}, "end"),
        ({}, "start"),
        ({"interval": "2d"}, "interval"),
    ):
        refused = await asked.get("/data/v2/prices-history", 400, token_id=token, **params)
        assert refused["parameter"] == wrong
    assert (await asked.get("/data/v2/prices-history", 400, start=1))["parameter"] == "token_id"


async def test_old_markets_are_known_as_settled_and_have_no_book(asked: Asked) -> None:
    life = asked.life(Kind.FIRST_SECOND)
    some = list(life.markets.values())[:15]
    conditions = ",".join(market.condition_id for market in some)
    read: tuple[Resolution, ...] = parse_data_envelope(
        await asked.get("/data/v2/resolutions", condition_id=conditions), Resolution.parse_response_list
    )
    resolutions = {str(row.condition_id): row for row in read}
    gamma = {
        row["conditionId"]: row for row in await asked.get("/gamma/markets", condition_ids=conditions, closed="true")
    }
    assert await asked.get("/gamma/markets", condition_ids=conditions) == [], "closed ones come only if asked for"
    for market in some:
        settled = resolutions[market.condition_id]
        assert settled.payouts is not None and settled.resolved_at is not None
        assert tuple(int(p * MICRO) for p in settled.payouts) == market.payouts
        assert int(settled.resolved_at.timestamp()) == market.resolved_at
        listed = Market.parse_response(gamma[market.condition_id])
        assert (listed.condition_id, listed.state.closed) == (market.condition_id, True)
        assert [event.slug for event in listed.events] == [market.event]
        tokens: tuple[TokenReference, ...] = parse_data_envelope(
            await asked.get("/data/v2/tokens", token_id=",".join(market.tokens)), TokenReference.parse_response_list
        )
        assert [int((t.final_price or 0) * MICRO) for t in tokens] == list(market.payouts)
        assert [t.asset_id for t in tokens] == list(market.tokens)
        await asked.get("/clob/book", 404, token_id=market.tokens[0])
        await asked.get(f"/clob/markets/{market.condition_id}", 404)
    too_many = ",".join(list(life.markets)[:21])
    assert (await asked.get("/data/v2/resolutions", 400, condition_id=too_many))["parameter"] == "condition_id"


async def test_what_somebody_made_is_the_same_everywhere_and_what_their_rows_come_to(asked: Asked) -> None:
    for kind in (Kind.VALUE, Kind.MARKET_MAKER, Kind.ONE_EVENT):
        life = asked.life(kind)
        wallet = life.person.wallet
        stats = parse_data_envelope(await asked.get("/data/v2/user-stats", user=wallet), UserStats.parse_response)
        series = parse_data_envelope(
            await asked.get("/data/v2/user-pnl", user=wallet, interval="max", fidelity="1h"),
            UserPnlSeries.parse_response,
        )
        standing = parse_data_envelope(
            await asked.get("/data/v2/leaderboard", user=wallet, time_period="all"),
            TraderLeaderboardStanding.parse_response,
        )
        assert stats.all_time_pnl is not None
        assert stats.all_time_pnl.realized_pnl == series.points[-1].realized_pnl == standing.pnl
        stamps = [point.timestamp for point in series.points]
        assert stamps == sorted(set(stamps))
        assert len(stamps) >= 55 * 24
        over = asked.venue.archive.begins_at - 3_600
        before = next(p for p in series.points if int(p.timestamp.timestamp()) == over)
        cash = sum(_cash(deed) for deed in deeds_of(life) if not deed.kind.startswith(("REWARD", "MAKER")))
        assert float(before.realized_pnl) == pytest.approx(cash / MICRO, abs=0.01)
    closed = await asked.pages(
        "/data/v2/positions", Position.parse_response, user=asked.life(Kind.SKILLED).person.wallet, status="CLOSED",
        limit=500,
    )  # fmt: skip
    assert {p.asset_id for p in closed} == {d.token_id for d in deeds_of(asked.life(Kind.SKILLED)) if d.token_id}


def _cash(deed: Any) -> int:
    """What a row brought, without fees."""
    if deed.kind == "TRADE":
        return int(deed.usdc if deed.side == "SELL" else -deed.usdc)
    return {"MERGE": 1, "REDEEM": 1, "SPLIT": -1}.get(deed.kind, 0) * int(deed.usdc_size)


async def test_the_board_is_in_order_and_names_everybody_once(asked: Asked) -> None:
    past = asked.venue.archive.past
    assert past is not None
    for by, name in (("PNL", "pnl"), ("VOLUME", "volume")):
        rows = await asked.pages(
            "/data/v2/leaderboard", TraderLeaderboardEntry.parse_response, time_period="all", sort_by=by, limit=9
        )
        figures = [getattr(row, name) for row in rows]
        assert figures == sorted(figures, reverse=True)
        assert [row.rank for row in rows] == list(range(1, len(rows) + 1))
        wallets = [row.wallet for row in rows]
        assert len(set(wallets)) == len(wallets)
        assert set(wallets) == {*(p.wallet for p in past.people), *asked.venue.chain.rows}
    today = await asked.pages(
        "/data/v2/leaderboard", TraderLeaderboardEntry.parse_response, time_period="day", limit=1000
    )
    assert len(today) < len(wallets)
    refused = await asked.get("/data/v2/leaderboard", 400, time_period="year")
    assert refused["parameter"] == "time_period"
    profile = await asked.get("/gamma/public-profile", address=past.people[-1].wallet)
    assert profile["name"] == "Skilled 1"


async def test_the_four_leaders_of_a_demonstration_have_one_past_of_each_verdict() -> None:
    venue = Venue(7, "busy", paused=True, past_days=90)
    past = venue.archive.past
    assert past is not None
    assert [person.kind for person in past.people] == [PASTS[c.label] for c in venue.characters()]
    edges = {}
    for person in past.people:
        stated = truth(past, person.wallet)
        edges[person.kind] = (stated.edge_ppm or 0, stated.events)
    assert edges[Kind.VALUE][0] > 150_000 and edges[Kind.VALUE][1] >= 200
    assert edges[Kind.FIRST_SECOND][0] < -10_000 and edges[Kind.FIRST_SECOND][1] >= 60
    assert edges[Kind.GAMBLER][1] < 30
    assert edges[Kind.ONE_EVENT][1] >= 30


async def test_a_past_does_not_change_the_story() -> None:
    def told(past_days: int) -> list[Any]:
        venue = Venue(7, "busy", past_days=past_days)
        for i in range(60):
            venue.chain.mine(1_800_000_000 + 2 * i)
            venue.story.step(1_800_000_000 + 2 * i)
        return [
            (tx.tx_hash, [(log["topics"], log["data"]) for log in tx.logs], [row.data for row in tx.rows])
            for tx in venue.chain.txs.values()
        ]

    assert told(0) == told(90)
