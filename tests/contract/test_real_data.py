"""Recorded payloads parse to the exact values that are known of them."""

from __future__ import annotations

import json
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from pilotfish.core.book import Take
from pilotfish.core.events import Market
from pilotfish.core.fees import FeeSchedule, taker_fee
from pilotfish.core.units import MICRO, SECOND, micro_from_decimal, price_of
from pilotfish.polymarket import market_ws
from pilotfish.polymarket.data_api import RowError, parse_resolution, parse_timestamp, parse_trade_row
from pilotfish.polymarket.decode import decode_order_filled
from pilotfish.polymarket.gamma import parse_fee, parse_market, string_list
from tests.desk import START, Desk, chain_fill

WHALE = "0x09b428f7c2b469786286214aa5c90dd9015f7320"


def read(real: Path, name: str) -> Any:
    """A payload as the program reads it: numbers with a fraction stay exact."""
    return msgspec.json.Decoder(type=Any, float_hook=Decimal).decode((real / name).read_bytes())


def test_every_file_is_known_to_these_tests(real: Path) -> None:
    known = {
        "order_filled_logs.json", "activity_v1_whale.json", "activity_v1_redeems.json", "activity_v2.json",
        "positions_v1.json", "closed_positions_v1.json", "positions_v2_rows.json", "trades_v2_rows.json",
        "resolutions_v2_rows.json", "status_v2.json", "leaderboard_v1.json", "gamma_market.json",
        "gamma_market_open.json", "gamma_market_closed_binary.json", "gamma_market_sports_market_money_line.json",
        "gamma_markets_crypto_resolved.json", "clob_market_closed_binary_accepting_true.json",
        "ws_market_best_bid_ask_msg.json", "ws_market_resolved_msg.json",
    }  # fmt: skip
    assert {f.name for f in real.glob("*.json")} <= known


def test_order_filled_logs(real: Path) -> None:
    cases = read(real, "order_filled_logs.json")
    assert cases
    for case in cases:
        want, got = case["expect"], decode_order_filled(case["log"])
        assert (got.wallet, got.role, got.side, got.token_id) == (
            want["wallet"], want["role"], want["side"], want["token_id"],
        ), case["name"]  # fmt: skip
        assert (got.shares, got.usdc, got.fee) == (
            want["shares_micro"], want["usdc_micro"], want["fee_micro"],
        ), case["name"]  # fmt: skip
        told = want.get("data_api") or {}
        if "size" in told:
            assert micro_from_decimal(told["size"]) == got.shares
        if "price" in told:
            assert abs(price_of(got.usdc, got.shares) - micro_from_decimal(told["price"])) <= 1


def test_the_api_and_the_chain_agree_on_who_one_trade_is(real: Path) -> None:
    compared = 0
    for case in read(real, "order_filled_logs.json"):
        told = case["expect"].get("data_api")
        fill = decode_order_filled(case["log"])
        if not told or fill.tx_hash is None:
            continue
        row = {
            "transaction_hash": fill.tx_hash, "token_id": fill.token_id, "timestamp": 1_784_000_000,
            "side": fill.side, "size": told["size"], "price": told.get("price", "0.5"),
        }  # fmt: skip
        observed = parse_trade_row(row, fill.wallet)
        assert observed.key == (fill.wallet, fill.tx_hash, fill.token_id, fill.side, fill.shares)
        compared += 1
    assert compared >= 3


def _follow(real: Path, wallet: str) -> Desk:
    """Of all recorded logs those whose maker topic is ``wallet`` become trades of his."""
    desk = Desk(follow=False)
    desk.follow_leader(wallet)
    for i, case in enumerate(read(real, "order_filled_logs.json")):
        fill = decode_order_filled(case["log"])
        if fill.wallet != wallet:
            continue
        desk.chain(
            msgspec.structs.replace(
                chain_fill(i, fill.side, 1, 0.5, leader=fill.wallet, token_id=fill.token_id),
                shares=fill.shares,
                usdc=fill.usdc,
                tx_hash=fill.tx_hash or f"0x{i:064x}",
            )
        )
    return desk


def test_both_sides_of_the_pair_count_once_for_their_own_wallet(real: Path) -> None:
    maker = _follow(real, "0x335ac48637a3bc37c2eac9e0c9799c32b3cda494").rows("trades")
    taker = _follow(real, "0x686024b5c1fcc10eb86b8d551fae78488b1b6279").rows("trades")
    assert [(t["side"], t["shares_micro"], t["usdc_micro"]) for t in maker] == [("BUY", 2_560_000, 2_355_200)]
    assert [(t["side"], t["shares_micro"], t["usdc_micro"]) for t in taker] == [("SELL", 2_560_000, 2_355_200)]
    assert maker[0]["tx_hash"] == taker[0]["tx_hash"]


def test_in_a_mint_each_wallet_bought_its_own_outcome_and_the_counterparty_leg_is_no_trade(real: Path) -> None:
    cases = {c["name"]: decode_order_filled(c["log"]) for c in read(real, "order_filled_logs.json")}
    by_tx: dict[str, list[Any]] = {}
    for fill in cases.values():
        by_tx.setdefault(fill.tx_hash or "", []).append(fill)
    mints = [
        fills for fills in by_tx.values() if len(fills) == 2 and len({f.token_id for f in fills}) == 2
    ]  # fmt: skip
    assert len(mints) == 1
    first, second = mints[0]
    assert {first.side, second.side} == {"BUY"}
    assert first.shares == second.shares
    assert abs(first.usdc + second.usdc - first.shares) <= 1
    for fill in (first, second):
        trades = _follow(real, fill.wallet).rows("trades")
        assert [(t["token_id"], t["shares_micro"]) for t in trades] == [(fill.token_id, fill.shares)]


def test_the_whales_activity(real: Path) -> None:
    rows = read(real, "activity_v1_whale.json")
    assert Counter(r["type"] for r in rows)["TRADE"] == 42
    fills = [parse_trade_row(r, WHALE) for r in rows if r["type"] == "TRADE"]
    for row, fill in zip([r for r in rows if r["type"] == "TRADE"], fills, strict=True):
        assert Decimal(fill.shares) / MICRO == Decimal(str(row["size"]))
        assert abs(Decimal(fill.usdc) / MICRO - Decimal(str(row["size"])) * Decimal(str(row["price"]))) < Decimal(
            "2e-6"
        )
        assert Decimal(fill.usdc) / MICRO <= Decimal(str(row["usdcSize"])) + Decimal("2e-6")
    assert len({f.key for f in fills}) == 42
    resting = [f for f in fills if abs(price_of(f.usdc, f.shares) - 635_000) <= 50]
    assert len(resting) == 33
    assert max(f.traded_at or 0 for f in resting) - min(f.traded_at or 0 for f in resting) <= 22 * SECOND


def test_the_whales_order_is_one_order_for_a_fixed_size(real: Path) -> None:
    rows = [r for r in read(real, "activity_v1_whale.json") if r["type"] == "TRADE" and str(r["price"])[:5] == "0.635"]
    fills = sorted((parse_trade_row(r, WHALE) for r in rows), key=lambda f: f.traded_at or 0)
    first = fills[0].traded_at or 0
    desk = Desk(follow=False, bids=[(0.63, 1e6)], asks=[(0.635, 1e6)])
    desk.follow_leader(WHALE)
    for fill in fills:
        moved = msgspec.structs.replace(fill, traded_at=START + (fill.traded_at or 0) - first)
        desk.advance(max(0, ((moved.traded_at or 0) - desk.at) / SECOND))
        desk.api(moved, leader=WHALE)
    desk.advance(2)
    assert Counter(desk.reasons) == {"COPY": 1, "SKIP_SAME_ORDER": 32}
    assert sum(f["usdc_micro"] for f in desk.rows("fills")) <= 25 * MICRO


@pytest.mark.parametrize("name", ["activity_v1_redeems.json", "activity_v1_whale.json"])
def test_rows_of_other_types_are_no_trades(real: Path, name: str) -> None:
    others = [r for r in read(real, name) if r["type"] != "TRADE"]
    assert others
    for row in others:
        parse_timestamp(row["timestamp"])
        with pytest.raises(RowError):
            parse_trade_row(row, str(row["proxyWallet"]).lower())


def test_activity_v2(real: Path) -> None:
    rows = read(real, "activity_v2.json")["data"]
    fills = [parse_trade_row(r, r["proxy_wallet"]) for r in rows]
    assert [(f.shares, f.usdc) for f in fills] == [(22_840_000, 11_876_800), (7_440_000, 6_696_000)]
    assert taker_fee([Take(520_000, fills[0].shares)], FeeSchedule(50_000)) == 285_040
    assert fills[0].usdc + 285_040 == micro_from_decimal(rows[0]["usdc_size"])
    assert fills[0].outcome == "Yes"


def test_trade_rows_v2(real: Path) -> None:
    payload = read(real, "trades_v2_rows.json")
    for row in payload if isinstance(payload, list) else payload["data"]:
        fill = parse_trade_row(row, str(row["proxy_wallet"]).lower())
        assert fill.shares == micro_from_decimal(row["size"])


def test_the_recorded_fees_are_the_documented_formula_and_the_others_are_explained(real: Path) -> None:
    """Exact at a documented rate: three logs and the first API row. The crypto BUY paid the formula at 0.07 and a
    builder 4 % of its notional; the neg-risk BUY paid a sixteenth of the formula at 0.05, which no public rate gives.
    """
    rates = (40_000, 50_000, 70_000)
    fills = {c["name"]: decode_order_filled(c["log"]) for c in read(real, "order_filled_logs.json")}

    def formula(name: str, rate: int) -> int:
        f = fills[name]
        return taker_fee([Take(price_of(f.usdc, f.shares), f.shares)], FeeSchedule(rate))

    charged = [name for name, f in fills.items() if f.fee]
    exact = [name for name in charged if fills[name].fee in {formula(name, rate) for rate in rates}]
    others = sorted(set(charged) - set(exact))
    assert (len(charged), others) == (5, ["v2_crypto_taker_buy", "v2_negrisk_taker_buy"])
    crypto = fills["v2_crypto_taker_buy"]
    assert crypto.fee == formula("v2_crypto_taker_buy", 70_000) + crypto.usdc * 4 // 100 // 10 * 10
    neg_risk = fills["v2_negrisk_taker_buy"]
    assert abs(neg_risk.fee * 16 - formula("v2_negrisk_taker_buy", 50_000)) < 160
    row = read(real, "activity_v2.json")["data"][0]
    fee = taker_fee([Take(micro_from_decimal(row["price"]), micro_from_decimal(row["size"]))], FeeSchedule(50_000))
    assert micro_from_decimal(row["usdc_size"]) == micro_from_decimal("11.8768") + fee


def test_resolutions(real: Path) -> None:
    rows = read(real, "resolutions_v2_rows.json")
    assert [parse_resolution(r) for r in rows] == [(0, MICRO), None, None], "resolved to No; posed; disputed"
    assert parse_resolution({**rows[0], "price": "500000000000000000"}) == (MICRO // 2, MICRO // 2)
    assert parse_resolution({**rows[0], "payouts": ["1000000", "0"]}) == (MICRO, 0)
    for wrong in ({"payouts": [2_000_000, 0]}, {"payouts": "x"}, {"price": "7"}):
        with pytest.raises(RowError):
            parse_resolution({**rows[0], **wrong})


def test_market_channel_frames(real: Path) -> None:
    best = (real / "ws_market_best_bid_ask_msg.json").read_bytes()
    token = read(real, "ws_market_best_bid_ask_msg.json")["asset_id"]
    assert market_ws.parse(best) == ([market_ws.Best(token, 730_000, 770_000)], [])
    raw = read(real, "ws_market_resolved_msg.json")
    (resolved,), errors = market_ws.parse((real / "ws_market_resolved_msg.json").read_bytes())
    assert errors == []
    assert resolved == market_ws.Resolved(raw["market"], tuple(raw["assets_ids"]))


def test_gamma_markets(real: Path) -> None:
    for name in ("gamma_market.json", "gamma_market_open.json", "gamma_market_sports_market_money_line.json",
                 "gamma_market_closed_binary.json"):  # fmt: skip
        raw = read(real, name)
        market = raw[0] if isinstance(raw, list) else raw
        tokens = string_list(market.get("clobTokenIds"), "clobTokenIds")
        assert len(tokens) == 2, name
        for i, token in enumerate(tokens):
            parsed = parse_market(market, token, 5)
            assert parsed.condition_id == market["conditionId"].lower()
            assert parsed.outcome == string_list(market["outcomes"], "outcomes")[i]
            assert parsed.closed is market["closed"]
            assert parsed.title == market["question"]


def test_resolved_gamma_markets_pay_out_and_carry_their_fee(real: Path) -> None:
    markets = read(real, "gamma_markets_crypto_resolved.json")
    assert len(markets) == 6
    for market in markets:
        tokens = string_list(market["clobTokenIds"], "clobTokenIds")
        payouts = [parse_market(market, token, 5).payout for token in tokens]
        assert sorted(p for p in payouts if p is not None) == [0, MICRO]
        assert payouts[string_list(market["outcomePrices"], "outcomePrices").index("1")] == MICRO
        assert parse_fee(market).rate_ppm == micro_from_decimal(market["feeSchedule"]["rate"])
        assert parse_market(market, tokens[0], 5).tick == 1_000


def test_closed_alone_settles_nothing(real: Path) -> None:
    market = read(real, "gamma_markets_crypto_resolved.json")[0]
    token = string_list(market["clobTokenIds"], "clobTokenIds")[0]
    assert parse_market({**market, "umaResolutionStatus": "proposed"}, token, 5).payout is None


def test_clob_market_names_its_tokens(real: Path) -> None:
    market = json.loads((real / "clob_market_closed_binary_accepting_true.json").read_text())
    assert {t["winner"] for t in market["tokens"]} <= {True, False}
    assert market["condition_id"].startswith("0x")


def test_recorded_markets_can_be_filtered_by_kind_and_have_their_delay(real: Path) -> None:
    """No recorded market carries a category or tags; the kind of its fees and its series tell what it is."""

    def first(name: str) -> Market:
        found = read(real, name)
        market = found[0] if isinstance(found, list) else found
        return parse_market(market, string_list(market["clobTokenIds"], "")[0], 5)

    crypto, sports = first("gamma_market.json"), first("gamma_market_sports_market_money_line.json")
    assert (crypto.category, crypto.tags, crypto.delay_ms) == ("crypto", ("crypto", "btc-up-or-down-5m"), 150)
    assert (sports.category, sports.tags, sports.delay_ms) == ("sports", ("sports", "counter-strike"), 3000)
    assert first("gamma_markets_crypto_resolved.json").tags == ("crypto",)
    plain = first("gamma_market_open.json")
    assert (plain.category, plain.tags, plain.delay_ms) == ("", (), 0)
