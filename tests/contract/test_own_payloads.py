"""The project's own payloads are what their script makes, and are read to the exact figures they were made from."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from polymarket._internal.data_envelope import parse_data_page
from polymarket.models.clob.order_book import OrderBook
from polymarket.models.data.activity import Trade, parse_activity
from polymarket.models.data.portfolio import Position
from polymarket.models.data.resolutions import Resolution
from polymarket.models.gamma.market import Market

from pilotfish.core.book import Level, Take
from pilotfish.core.fees import FeeSchedule, taker_fee
from pilotfish.core.trade import Side
from pilotfish.core.units import MICRO, SECOND, ceil_div, price_of
from pilotfish.polymarket import market_ws
from pilotfish.polymarket.clob import parse_book
from pilotfish.polymarket.data_api import DataApi, parse_trade_row
from pilotfish.polymarket.decode import DecodeError, decode_order_filled
from pilotfish.polymarket.gamma import parse_market, string_list
from pilotfish.polymarket.http import Service, make_session
from tests.contract.test_sdk_models import many
from tests.payloads import FIXTURES, files, wallets
from tests.payloads.reading import OWN, PROJECT, Payloads
from tests.payloads.values import DAY_ONE, condition, position, short_condition, token, tx_hash


def test_the_committed_payloads_are_what_their_script_makes() -> None:
    wanted = files()
    assert {f.name for f in FIXTURES.glob("*.json")} == set(wanted), "python -m tests.payloads makes them anew"
    assert [n for n, text in wanted.items() if (FIXTURES / n).read_text(encoding="utf-8") != text] == []
    assert files() == wanted


def test_no_value_of_the_recorded_payloads_stands_in_the_project(recorded: Payloads) -> None:
    """Ids, hashes, wallets, sentences and exact amounts of others stay where they were recorded."""
    public = (PROJECT / "src/pilotfish/polymarket/contracts.py").read_text().lower()
    theirs: set[str] = set()
    for file in recorded.folder.glob("*.json"):
        text = file.read_text(encoding="utf-8")
        theirs |= {x.lower() for x in re.findall(r"[0-9a-fA-F]{40,}|\d{30,}|\b\d+\.\d{6,}\b|\b\d{9,}\b", text)}
        theirs |= {x.lower() for x in re.findall(r'"(?:title|slug|question|userName)": ?"([^"]{12,})"', text)}
    theirs -= {word for word in theirs if word[-40:] in public or len(set(word)) < 3}
    assert len(theirs) > 500
    for file in PROJECT.rglob("*"):
        if file.suffix not in (".py", ".json", ".md") or any(
            p.startswith(".") for p in file.relative_to(PROJECT).parts
        ):
            continue
        text = file.read_text(encoding="utf-8").lower()
        written = {text, text.replace("_", "")}
        ours = set(re.findall(r"[0-9a-f]{40,}|\d+\.\d{6,}|\d{9,}", "\n".join(written)))
        found = {w for w in theirs if (w in ours if w[0].isdigit() or len(w) >= 40 else w in text)}
        assert not found, f"{file}: {sorted(found)[:5]}"


# -- logs ------------------------------------------------------------------------------------------------------------


def test_each_fee_of_a_log_is_the_documented_formula_and_what_is_said_to_stand_beside_it() -> None:
    charged = [c["expect"] for c in OWN.read("order_filled_logs.json") if c["expect"]["fee_micro"]]
    for want in charged:
        take = Take(price_of(want["usdc_micro"], want["shares_micro"]), want["shares_micro"])
        formula = taker_fee([take], FeeSchedule(want["rate_ppm"]))
        assert want["fee_micro"] == formula + want.get("beside_the_formula_micro", 0)
    assert Counter(want["rate_ppm"] for want in charged) == {40_000: 3, 50_000: 1, 70_000: 1}
    assert [w["fee_micro"] for w in charged] == [365_250, 149_050, 323_980, 453_600, 345_090]


def test_an_incoming_order_is_as_much_as_the_resting_orders_that_it_filled() -> None:
    fills = [decode_order_filled(c["log"]) for c in OWN.read("order_filled_logs.json")]
    group = [f for f in fills if f.tx_hash == tx_hash("group")]
    resting, (incoming,) = [f for f in group if f.role == "maker"], [f for f in group if f.role == "taker"]
    assert (incoming.side, incoming.shares, incoming.usdc) == ("BUY", 37_222_222, 11_911_111)
    assert (sum(f.shares for f in resting), sum(f.usdc for f in resting)) == (incoming.shares, incoming.usdc)
    assert {(f.side, f.counterparty) for f in resting} == {("SELL", incoming.wallet)}


def test_fields_that_a_provider_leaves_out_are_none() -> None:
    fills = {c["name"]: decode_order_filled(c["log"]) for c in OWN.read("order_filled_logs.json")}
    full, bare = fills["pair_maker_buy"], fills["mint_maker_leg"]
    assert (full.block_number, full.log_index, full.block_timestamp) == (91_200_001, 104, DAY_ONE + 2)
    assert full.block_hash is not None
    assert (bare.block_number, bare.log_index, bare.block_timestamp, bare.block_hash) == (91_200_002, 201, None, None)


def test_historic_logs_and_a_log_that_a_reorg_took_back() -> None:
    cases = OWN.read("order_filled_more_logs.json")
    for case in cases:
        want, got = case["expect"], decode_order_filled(case["log"])
        assert (got.wallet, got.role, got.side, got.token_id, got.shares, got.usdc, got.fee) == (
            want["wallet"], want["role"], want["side"], want["token_id"], want["shares_micro"], want["usdc_micro"],
            want["fee_micro"],
        ), case["name"]  # fmt: skip
    assert [decode_order_filled(c["log"]).removed for c in cases] == [False, False, True]
    v1 = [decode_order_filled(c["log"]) for c in cases[:2]]
    assert [(f.role, f.side, f.shares, f.usdc, f.fee) for f in v1] == [
        ("maker", "BUY", 120_000_000, 66_000_000, 0),
        ("taker", "SELL", 50_000_000, 31_000_000, 124_000),
    ]


def test_the_log_that_repeats_an_order_is_no_fill() -> None:
    (case,) = OWN.read("not_order_filled_logs.json")
    with pytest.raises(DecodeError, match="not an OrderFilled"):
        decode_order_filled(case["log"])


# -- what the Data API says ------------------------------------------------------------------------------------------


@asynccontextmanager
async def served(routes: dict[str, str]) -> AsyncIterator[DataApi]:
    """The Data API client, on a server that answers each path with a payload; other paths are 404."""

    async def answer(request: web.Request) -> web.Response:
        name = routes.get(request.path)
        if name is None:
            return web.json_response({"error": "no such route", "code": "not_found", "retryable": False}, status=404)
        body = msgspec.json.decode((FIXTURES / name).read_bytes())
        if isinstance(body, dict) and "pagination" in body:
            body["pagination"] |= {"has_more": False, "next_cursor": None}
        return web.json_response(body)

    app = web.Application()
    app.router.add_get("/{path:.*}", answer)
    async with TestServer(app) as server, make_session() as session:
        yield DataApi(Service(session, "data", str(server.make_url("")), per_second=50))


async def test_what_a_wallet_holds_by_both_versions_of_the_service() -> None:
    for routes, held in (
        ({"/v2/positions": "positions_v2_rows.json"}, wallets.HELD),
        ({"/positions": "positions_v1.json"}, wallets.HELD_V1),
    ):
        async with served(routes) as api:
            holdings = await api.positions(wallets.HOLDER)
        assert holdings.shares == {token(name): shares for name, shares in held.items()}
        assert holdings.conditions == {token(name): condition(name.split()[0]) for name in held}


async def test_the_newest_answer_is_trades_moves_and_nothing_else() -> None:
    async with served({"/v2/activity": "activity_v2.json"}) as api:
        window = await api.activity(wallets.HOLDER, DAY_ONE)
    assert window.bad_rows == ()
    assert window.last_ts == DAY_ONE + 600
    assert [(f.side, f.shares, f.usdc) for f in window.fills] == [
        (Side.BUY, 4_000_000, 2_600_000),
        (Side.BUY, wallets.TINY, 5),
        (Side.SELL, 12_000_000, 6_120_000),
        (Side.BUY, 8_120_000, 6_739_600),
        (Side.BUY, 23_450_000, 11_021_500),
    ]
    assert {m.kind: m.amount for m in window.moves} == {
        "SPLIT": 50_000_000, "MERGE": 30_000_000, "CONVERSION": 15_500_000, "REDEEM": 20_000_001,
    }  # fmt: skip
    assert {m.condition_id for m in window.moves} == {condition("museum 0")}


async def test_the_oldest_answer_is_trades_and_redemptions() -> None:
    async with served({"/activity": "activity_v1_whale.json"}) as api:
        window = await api.activity(wallets.WHALE, DAY_ONE)
    assert api.version == "v1"
    assert (window.bad_rows, len(window.fills)) == ((), len(wallets.ORDER) + len(wallets.TAKEN) + 2)
    assert [(m.kind, m.amount) for m in window.moves] == [("REDEEM", 1_500_000_000)]
    by_tx = Counter(f.tx_hash for f in window.fills)
    assert [n for n in by_tx.values() if n > 1] == [2], "the twins: one transaction, two fills"
    twins = [f for f in window.fills if f.tx_hash == tx_hash("twins")]
    assert [(f.shares, f.usdc, f.traded_at) for f in twins] == [(25_000_000, 8_250_000, (DAY_ONE + 90) * SECOND)] * 2


async def test_what_questions_pay_and_how_far_the_service_is_behind() -> None:
    routes = {"/v2/resolutions": "resolutions_v2_rows.json", "/v2/status": "status_v2.json"}
    async with served(routes) as api:
        found, bad = await api.resolutions([condition("asked")])
        assert await api.serving_lag_seconds() == 6
    assert bad == []
    assert found == {
        condition("answered no"): (0, MICRO),
        condition("asked"): None,
        condition("in dispute"): None,
        condition("answered yes"): (MICRO, 0),
        condition("a tie"): (MICRO // 2, MICRO // 2),
        condition("paid out"): (MICRO, 0),
    }


def test_the_usdc_of_a_takers_row_holds_the_fee_and_ours_does_not() -> None:
    rows = [r for r in OWN.rows("activity_v2.json") if r["type"] == "TRADE"][:2]
    fills = [parse_trade_row(r, wallets.HOLDER) for r in rows]
    fees = [taker_fee([Take(price_of(f.usdc, f.shares), f.shares)], FeeSchedule(50_000)) for f in fills]
    assert [(f.usdc, fee) for f, fee in zip(fills, fees, strict=True)] == [(11_021_500, 292_060), (6_739_600, 57_280)]
    assert [round(float(r["usdc_size"]) * MICRO) for r in rows] == [11_313_560, 6_796_880]
    assert rows[0]["outcome_index"] == 999
    whale = [parse_trade_row(r, wallets.WHALE) for r in OWN.rows("activity_v1_whale.json") if r["type"] == "TRADE"]
    taken = {(f.shares, f.usdc) for f in whale if f.token_id == token("tunnel")}
    assert taken == {(shares, ceil_div(shares * at, MICRO)) for _, shares, at in wallets.TAKEN}
    order = sorted((f.shares, f.usdc) for f in whale if f.token_id == token("bridge"))
    assert order == sorted((n, ceil_div(n * wallets.ORDER_AT, MICRO)) for _, n in wallets.ORDER)


def test_trade_rows_to_the_millionth() -> None:
    fills = [parse_trade_row(r, wallets.HOLDER) for r in OWN.rows("trades_v2_rows.json")]
    assert [(f.side, f.shares, f.usdc, f.outcome) for f in fills] == [
        (Side.BUY, 31_250_000, 19_062_500, "Yes"),
        (Side.SELL, 40_000, 30_800, "Yes"),
    ]


# -- markets and frames ----------------------------------------------------------------------------------------------


def test_fifty_fifty_pays_half_and_a_newer_market_has_its_ids_in_an_array() -> None:
    tie = OWN.one("gamma_market_fifty_fifty.json")
    assert [parse_market(tie, t, 5).payout for t in string_list(tie["clobTokenIds"], "")] == [MICRO // 2] * 2
    newer = OWN.one("gamma_market_protocol_v2.json")
    parsed = parse_market(newer, position("newer no", 1), 5)
    assert (parsed.outcome, parsed.index) == ("No", 1)
    assert parsed.condition_id == short_condition("newer") + "00"
    assert (parsed.fee, parsed.category) == (FeeSchedule(40_000), "tech")


def test_books_and_frames_to_the_millionth() -> None:
    yes, no = token("framed Yes"), token("framed No")
    book = parse_book(OWN.read("clob_book.json"), requested_at=1, received_at=2)
    assert book.token_id == yes
    assert book.bids == (Level(450_000, 20_000_000), Level(440_000, 150_500_000))
    assert book.asks == (Level(470_000, 33_250_000), Level(490_000, 1_000_000_000))
    assert (book.tick, book.min_size) == (10_000, 5_000_000)

    def frames(name: str) -> list[market_ws.Frame]:
        found, errors = market_ws.parse((FIXTURES / name).read_bytes())
        assert errors == []
        return found

    (snapshot,) = frames("ws_market_book_msg.json")
    assert isinstance(snapshot, market_ws.Snapshot)
    assert parse_book(snapshot.raw, requested_at=1, received_at=2) == book
    assert frames("ws_market_price_change_msg.json") == [
        market_ws.Changes(
            (
                market_ws.Change(yes, Side.BUY, 450_000, 0, 440_000, 470_000, ("0.45", "0")),
                market_ws.Change(no, Side.SELL, 550_000, 12_500_000, 530_000, 550_000, ("0.55", "12.5")),
            ),
            DAY_ONE * 1000 + 456,
        )
    ]
    (tick,) = frames("ws_market_tick_size_change_msg.json")
    assert isinstance(tick, market_ws.TickChange)
    assert (tick.token_id, tick.tick, tick.digits) == (yes, 1_000, "0.001")
    trade = {"event_type": "last_trade_price", "asset_id": yes, "side": "buy", "price": "0.456", "size": "219.217767"}
    told, errors = market_ws.parse(msgspec.json.encode([trade, trade | {"price": "nothing"}, trade | {"side": ""}]))
    assert (told, errors) == ([market_ws.LastTrade(yes, Side.BUY, "0.456", "219.217767")], [])


def test_the_venues_sdk_reads_them_too() -> None:
    """The shapes are the venue's: the models of its official SDK take each of them."""

    def page(name: str, parse: Callable[[Any], Any]) -> tuple[Any, ...]:
        answer = msgspec.json.decode((FIXTURES / name).read_bytes())
        return tuple(parse_data_page(answer, many(parse)).items)

    assert len(page("activity_v2.json", parse_activity)) == 15
    assert [t.asset_id for t in page("trades_v2_rows.json", Trade.parse_response)] == [
        token("pier"), token("lighthouse"),
    ]  # fmt: skip
    assert {p.asset_id for p in page("positions_v2_rows.json", Position.parse_response)} == {
        token(name) for name in wallets.HELD
    }
    assert len(page("resolutions_v2_rows.json", Resolution.parse_response)) == 6
    assert len(OrderBook.parse_response(msgspec.json.decode((FIXTURES / "clob_book.json").read_bytes())).bids) == 2
    for file in FIXTURES.glob("gamma_market*.json"):
        payload = msgspec.json.decode(file.read_bytes())
        for market in payload if isinstance(payload, list) else [payload]:
            assert Market.parse_response(market).question == market["question"]
