"""The stand-in venue speaks the venue's language: every answer parses with the models of its official SDK."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import aiohttp
import pytest
from polymarket._internal.data_envelope import parse_data_envelope, parse_data_page, parse_optional_data_envelope
from polymarket.models.clob.order_book import OrderBook
from polymarket.models.data.activity import Trade, parse_activity
from polymarket.models.data.leaderboard import TraderLeaderboardStanding
from polymarket.models.data.portfolio import PortfolioValue, Position, UserStats
from polymarket.models.data.resolutions import Resolution
from polymarket.models.data.tokens import TokenReference
from polymarket.models.gamma.market import Market

from pilotfish.core.units import micro_from_decimal
from pilotfish.polymarket.clob import parse_book
from pilotfish.polymarket.http import Service
from pilotfish.polymarket.record import read_record
from pilotfish.sim.server import serve
from pilotfish.sim.venue import Venue


async def _lived_venue() -> Venue:
    """A venue after forty blocks of its story, everything visible."""
    venue = Venue(7, "busy", paused=True)
    venue.chain.api_lag = (0.0, 0.0)
    now = time.time() - 100
    for i in range(40):
        venue.chain.mine(now + 2 * i)
        venue.story.step(now + 2 * i)
    return venue


@pytest.fixture
async def ask() -> AsyncIterator[Callable[..., Any]]:
    venue = await _lived_venue()
    async with serve(venue, 0) as port, aiohttp.ClientSession() as http:

        async def get(path: str, **params: Any) -> Any:
            async with http.get(f"http://127.0.0.1:{port}{path}", params=params) as answer:
                return await answer.json()

        get.venue = venue  # type: ignore[attr-defined]
        get.http = http  # type: ignore[attr-defined]
        get.base = f"http://127.0.0.1:{port}"  # type: ignore[attr-defined]
        yield get


def many(parse: Callable[[Any], Any]) -> Callable[[Any], tuple[Any, ...]]:
    return lambda rows: tuple(parse(r) for r in rows)


async def test_activity_pages(ask: Any) -> None:
    for character in ask.venue.characters():
        rows: list[Any] = []
        cursor: str | None = None
        while True:
            params = {"user": character.wallet, "limit": 7, "start": 1, "sort_direction": "ASC"}
            if cursor:
                params["cursor"] = cursor
            page = parse_data_page(await ask("/data/v2/activity", **params), many(parse_activity))
            rows += page.items
            cursor = page.server_next_cursor
            if cursor is None:
                break
        assert len(rows) == len(ask.venue.chain.rows[character.wallet])
        assert [r.timestamp for r in rows] == sorted(r.timestamp for r in rows)


async def test_trades_positions_tokens_resolutions(ask: Any) -> None:
    wallet = ask.venue.characters()[2].wallet
    trades = parse_data_page(await ask("/data/v2/trades", user=wallet), many(Trade.parse_response))
    assert trades.items
    held = parse_data_page(
        await ask("/data/v2/positions", user=wallet, filter_amount="0.000001"), many(Position.parse_response)
    )
    assert {p.asset_id for p in held.items} == set(ask.venue.chain.holdings(wallet, time.time()))
    token = held.items[0].asset_id
    (reference,) = parse_data_envelope(
        await ask("/data/v2/tokens", token_id=token), many(TokenReference.parse_response)
    )
    assert reference.asset_id == token
    market = ask.venue.chain.markets[token]
    market.closed, market.payouts = True, (1_000_000, 0)
    (resolution,) = parse_data_envelope(
        await ask("/data/v2/resolutions", condition_id=market.condition_id), many(Resolution.parse_response)
    )
    assert resolution.condition_id == market.condition_id


async def test_a_wallets_own_record(ask: Any) -> None:
    """Each of the five answers, and what we read of them is what the SDK reads."""
    service = Service(ask.http, "data", f"{ask.base}/data", per_second=50)
    ranks = []
    for character in ask.venue.characters():
        wallet = character.wallet
        stats = parse_optional_data_envelope(await ask("/data/v2/user-stats", user=wallet), UserStats.parse_response)
        standing = parse_data_envelope(
            await ask("/data/v2/leaderboard", user=wallet, time_period="all"), TraderLeaderboardStanding.parse_response
        )
        value = parse_data_envelope(await ask("/data/v2/value", user=wallet), PortfolioValue.parse_response)
        held = parse_data_page(
            await ask(
                "/data/v2/positions", user=wallet, status="OPEN", sort_by="CURRENT_VALUE", filter_amount="0.000001"
            ),
            many(Position.parse_response),
        )
        closed = parse_data_page(
            await ask("/data/v2/positions", user=wallet, status="CLOSED", sort_by="TIMESTAMP", sort_direction="DESC"),
            many(Position.parse_response),
        )
        record = await read_record(service, wallet)
        assert record.missing == ()
        assert stats is not None and stats.all_time_pnl is not None
        made = stats.all_time_pnl
        assert (record.realized, record.volume) == (micro(made.realized_pnl), micro(made.volume_usdc))
        assert (record.markets, record.trades) == (stats.traded_market_count, made.trade_count)
        assert record.rank == standing.pnl_rank
        assert record.value == pytest.approx(micro(value.value), abs=len(held.items))
        assert [p.value for p in record.held] == [micro(p.current_value) for p in held.items]
        decided = [p.realized_pnl for p in closed.items]
        assert (record.won, record.lost) == (sum(x > 0 for x in decided), sum(x < 0 for x in decided))
        assert [p.last_event_at for p in closed.items] == sorted((p.last_event_at for p in closed.items), reverse=True)
        ranks.append((record.rank or 0, record.realized or 0))
    assert len({rank for rank, _ in ranks}) > 1
    assert [made for _, made in sorted(ranks)] == sorted((made for _, made in ranks), reverse=True)
    nobody = "0x" + "9" * 40
    assert await ask("/data/v2/user-stats", user=nobody) == {"data": None}
    unknown = await read_record(service, nobody)
    assert (unknown.realized, unknown.rank, unknown.value, unknown.decided, unknown.missing) == (0, None, 0, 0, ())


def micro(number: Any) -> int:
    return micro_from_decimal(number)


async def test_books_and_markets(ask: Any) -> None:
    for token, market in ask.venue.chain.markets.items():
        payload = await ask("/clob/book", token_id=token)
        book = OrderBook.parse_response(payload)
        ours = parse_book(payload, requested_at=1, received_at=1)
        assert len(book.bids) == len(ours.bids)
        assert max(float(b.price) for b in book.bids) * 1e6 == pytest.approx(ours.best_bid)
        (raw,) = await ask("/gamma/markets", clob_token_ids=token)
        assert Market.parse_response(raw).condition_id == market.condition_id
    keyset = await ask("/gamma/markets/keyset", limit=3)
    assert len([Market.parse_response(m) for m in keyset["markets"]]) == 3
    body = [{"token_id": t} for t in list(ask.venue.chain.markets)[:4]]
    async with ask.http.post(f"{ask.base}/clob/books", json=body) as answer:
        assert len([OrderBook.parse_response(b) for b in await answer.json()]) == 4


async def test_refusals_are_in_the_services_shape(ask: Any) -> None:
    for params in ({"user": "0x1", "offset": 5}, {"user": "0x1", "limit": 1001}, {}):
        answer = await ask("/data/v2/activity", **params)
        assert answer["code"] == "invalid_request"
        assert {"error", "retryable", "trace_id"} <= set(answer)


async def test_the_same_seed_tells_the_same_story() -> None:
    def story(seed: int) -> list[Any]:
        venue = Venue(seed, "busy")
        for i in range(60):
            venue.chain.mine(1_800_000_000 + 2 * i)
            venue.story.step(1_800_000_000 + 2 * i)
        return [
            (tx.tx_hash, [(entry["topics"], entry["data"]) for entry in tx.logs]) for tx in venue.chain.txs.values()
        ]

    assert story(7) == story(7)
    assert story(7) != story(8)
    assert len(story(7)) > 60
