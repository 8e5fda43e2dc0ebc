"""Payloads of the venue's shapes are read to the last digit: the project's own, and recorded ones where they are.

What is asserted here holds of any payload of its kind; ``test_own_payloads`` has the exact figures of our own.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from pilotfish.core.book import Take
from pilotfish.core.events import Market
from pilotfish.core.fees import FeeSchedule, taker_fee
from pilotfish.core.trade import LeaderFill
from pilotfish.core.units import MICRO, SECOND, micro_from_decimal, price_of
from pilotfish.polymarket import market_ws
from pilotfish.polymarket.clob import winner_payout
from pilotfish.polymarket.contracts import is_wallet
from pilotfish.polymarket.decode import OrderFilled, decode_order_filled
from pilotfish.polymarket.gamma import parse_fee, parse_market, string_list
from pilotfish.polymarket.record import parse_positions, parse_standing
from pilotfish.polymarket.rows import (
    WEI,
    RowError,
    parse_resolution,
    parse_timestamp,
    parse_token_id,
    parse_trade_row,
)
from tests.desk import START, Desk, chain_fill
from tests.payloads import files
from tests.payloads.reading import Payloads


def test_every_payload_is_of_a_kind_that_the_projects_own_cover(payloads: Payloads) -> None:
    assert {f.name for f in payloads.folder.glob("*.json")} <= set(files())


# -- logs ------------------------------------------------------------------------------------------------------------


def test_order_filled_logs(payloads: Payloads) -> None:
    cases = payloads.read("order_filled_logs.json")
    assert len(cases) >= 7
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


def test_the_api_and_the_chain_agree_on_who_one_trade_is(payloads: Payloads) -> None:
    compared = 0
    for case in payloads.read("order_filled_logs.json"):
        told = case["expect"].get("data_api")
        fill = decode_order_filled(case["log"])
        if not told or fill.tx_hash is None:
            continue
        row = {
            "transaction_hash": fill.tx_hash, "token_id": fill.token_id, "timestamp": 1_790_000_000,
            "side": fill.side, "size": told["size"], "price": told.get("price", "0.5"),
        }  # fmt: skip
        observed = parse_trade_row(row, fill.wallet)
        assert observed.key == (fill.wallet, fill.tx_hash, fill.token_id, fill.side, fill.shares)
        assert observed.usdc == fill.usdc
        compared += 1
    assert compared >= 3


def _fills_of_transactions(payloads: Payloads) -> list[list[OrderFilled]]:
    found: dict[str | None, list[OrderFilled]] = defaultdict(list)
    for case in payloads.read("order_filled_logs.json"):
        fill = decode_order_filled(case["log"])
        found[fill.tx_hash].append(fill)
    return [fills for tx_hash, fills in found.items() if tx_hash]


def _follow(payloads: Payloads, wallet: str) -> list[dict[str, Any]]:
    """The trades that all logs whose maker topic is ``wallet`` become."""
    desk = Desk(follow=False)
    desk.follow_leader(wallet)
    for i, case in enumerate(payloads.read("order_filled_logs.json")):
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
    return desk.rows("trades")


def test_both_sides_of_the_pair_count_once_for_their_own_wallet(payloads: Payloads) -> None:
    pairs = [f for f in _fills_of_transactions(payloads) if len(f) == 2 and {x.side for x in f} == {"BUY", "SELL"}]
    ((one, other),) = pairs
    assert one.token_id == other.token_id
    assert one.wallet != other.wallet
    assert {one.role, other.role} == {"maker", "taker"}
    for fill in (one, other):
        mine = [t for t in _follow(payloads, fill.wallet) if t["tx_hash"] == fill.tx_hash]
        assert [(t["side"], t["shares_micro"], t["usdc_micro"]) for t in mine] == [
            (fill.side, one.shares, one.usdc),
        ]  # fmt: skip


def test_in_a_mint_each_wallet_bought_its_own_outcome_and_the_counterparty_leg_is_no_trade(payloads: Payloads) -> None:
    mints = [f for f in _fills_of_transactions(payloads) if len(f) == 2 and len({x.token_id for x in f}) == 2]
    ((first, second),) = mints
    assert {first.side, second.side} == {"BUY"}
    assert first.shares == second.shares
    assert abs(first.usdc + second.usdc - first.shares) <= 1
    for fill in (first, second):
        mine = [t for t in _follow(payloads, fill.wallet) if t["tx_hash"] == fill.tx_hash]
        assert [(t["token_id"], t["shares_micro"]) for t in mine] == [(fill.token_id, fill.shares)]


# -- activity --------------------------------------------------------------------------------------------------------


def _whale(payloads: Payloads) -> tuple[str, list[Any]]:
    rows = payloads.read("activity_v1_whale.json")
    (wallet,) = {str(r["proxyWallet"]).lower() for r in rows}
    return wallet, rows


def _order(payloads: Payloads) -> tuple[str, int, list[LeaderFill]]:
    """The whale, the price (in thousandths) at which most of their fills are, and those fills."""
    wallet, rows = _whale(payloads)
    fills = [parse_trade_row(r, wallet) for r in rows if r["type"] == "TRADE"]
    at, _ = Counter(price_of(f.usdc, f.shares) // 1000 for f in fills).most_common(1)[0]
    return wallet, at, [f for f in fills if price_of(f.usdc, f.shares) // 1000 == at]


def test_the_whales_activity(payloads: Payloads) -> None:
    wallet, rows = _whale(payloads)
    trades = [r for r in rows if r["type"] == "TRADE"]
    for row in trades:
        fill, size = parse_trade_row(row, wallet), Decimal(str(row["size"]))
        assert Decimal(fill.shares) / MICRO == size
        assert abs(Decimal(fill.usdc) / MICRO - size * Decimal(str(row["price"]))) < Decimal("2e-6")
        assert Decimal(fill.usdc) / MICRO <= Decimal(str(row["usdcSize"])) + Decimal("2e-6")
    with_fee = [r for r in trades if r["usdcSize"] > r["size"] * r["price"] + Decimal("0.01")]
    assert with_fee
    _, _, resting = _order(payloads)
    assert len(resting) >= 33
    assert len({f.tx_hash for f in resting}) == len(resting)
    assert max(f.traded_at or 0 for f in resting) - min(f.traded_at or 0 for f in resting) <= 22 * SECOND


def test_the_whales_order_is_one_order_for_a_fixed_size(payloads: Payloads) -> None:
    wallet, at, resting = _order(payloads)
    fills = sorted(resting, key=lambda f: f.traded_at or 0)
    first = fills[0].traded_at or 0
    price = at / 1000
    desk = Desk(follow=False, bids=[(price - 0.005, 1e6)], asks=[(price, 1e6)])
    desk.follow_leader(wallet)
    for fill in fills:
        moved = msgspec.structs.replace(fill, traded_at=START + (fill.traded_at or 0) - first)
        desk.advance(max(0, ((moved.traded_at or 0) - desk.at) / SECOND))
        desk.api(moved, leader=wallet)
    desk.advance(2)
    assert Counter(desk.reasons) == {"COPY": 1, "SKIP_SAME_ORDER": len(fills) - 1}
    assert sum(f["usdc_micro"] for f in desk.rows("fills")) <= 25 * MICRO


@pytest.mark.parametrize("name", ["activity_v1_redeems.json", "activity_v1_whale.json"])
def test_rows_of_other_types_are_no_trades(payloads: Payloads, name: str) -> None:
    others = [r for r in payloads.read(name) if r["type"] != "TRADE"]
    assert others
    for row in others:
        parse_timestamp(row["timestamp"])
        with pytest.raises(RowError):
            parse_trade_row(row, str(row["proxyWallet"]).lower())


def test_activity_v2(payloads: Payloads) -> None:
    rows = [r for r in payloads.rows("activity_v2.json") if r["type"] == "TRADE"]
    assert rows
    for row in rows:
        fill = parse_trade_row(row, row["proxy_wallet"])
        size, price = Decimal(str(row["size"])), Decimal(str(row["price"]))
        assert fill.shares == micro_from_decimal(size)
        assert fill.usdc == micro_from_decimal(size * price)
        assert fill.outcome == row["outcome"]
        assert fill.usdc <= micro_from_decimal(row["usdc_size"])


def test_trade_rows_v2(payloads: Payloads) -> None:
    rows = payloads.rows("trades_v2_rows.json")
    assert rows
    for row in rows:
        fill = parse_trade_row(row, str(row["proxy_wallet"]).lower())
        assert fill.shares == micro_from_decimal(row["size"])


def test_a_wallets_history_adds_up(payloads: Payloads) -> None:
    payload = payloads.read("wallet_history_short_horizon.json")
    rows, expect = payload["rows"], payload["expect"]
    fills = [parse_trade_row(r, str(r["proxyWallet"]).lower()) for r in rows]
    assert len(fills) == expect["rows"]
    sides = Counter(str(f.side) for f in fills)
    assert (sides["BUY"], sides["SELL"]) == (expect["buys"], expect["sells"])
    assert len({f.token_id for f in fills}) == expect["tokens"]
    assert sum(r["taker"] for r in rows) == expect["taker_rows"]
    stamps = [(f.traded_at or 0) // SECOND for f in fills]
    assert (min(stamps), max(stamps)) == (expect["first_ts"], expect["last_ts"])
    totals = {"BUY": Decimal(0), "SELL": Decimal(0)}
    for row in rows:
        totals[row["side"]] += Decimal(row["size"]) * Decimal(row["price"])
    assert totals["BUY"] == Decimal(expect["buy_notional_usdc"])
    assert totals["SELL"] == Decimal(expect["sell_notional_usdc"])
    assert totals["SELL"] - totals["BUY"] == Decimal(expect["cash_flow_usdc"])
    for side, total in totals.items():
        ours = sum(f.usdc for f in fills if f.side == side)
        assert abs(Decimal(ours) - total * MICRO) <= len(fills), "half a millionth a row, and the noise of its size"


# -- resolutions, leaderboard, status --------------------------------------------------------------------------------


def test_resolutions(payloads: Payloads) -> None:
    rows = payloads.rows("resolutions_v2_rows.json")
    assert {"resolved", "posed", "disputed"} <= {r["status"] for r in rows}
    for row in rows:
        settled = row["status"] == "resolved"
        first = int(row["price"]) * MICRO // WEI
        assert parse_resolution(row) == ((first, MICRO - first) if settled else None), row["status"]
    resolved = next(r for r in rows if r["status"] == "resolved")
    assert parse_resolution({**resolved, "price": str(WEI // 2)}) == (MICRO // 2, MICRO // 2)
    assert parse_resolution({**resolved, "payouts": ["1000000", "0"]}) == (MICRO, 0)
    for wrong in ({"payouts": [2_000_000, 0]}, {"payouts": "x"}, {"price": "7", "payouts": None}):
        with pytest.raises(RowError):
            parse_resolution({**resolved, **wrong})


def test_a_record_is_read_from_a_row_of_the_leaderboard_and_from_pages_of_positions(payloads: Payloads) -> None:
    for row in payloads.read("leaderboard_v1.json"):
        standing = parse_standing([row])
        assert standing == (micro_from_decimal(row["pnl"]), micro_from_decimal(row["vol"]), int(row["rank"]))
    closed = payloads.read("closed_positions_v1.json")
    page = parse_positions(closed, 50, closed=True)
    made = [micro_from_decimal(row["realizedPnl"]) for row in closed]
    assert (page.won, page.lost, page.held) == (sum(x > 0 for x in made), sum(x < 0 for x in made), ())
    for name, size, worth in (
        ("positions_v1", "size", "currentValue"),
        ("positions_v2", "current_size", "current_value"),
    ):
        rows = payloads.read("positions_v1.json") if name == "positions_v1" else payloads.rows("positions_v2_rows.json")
        page = parse_positions(rows, 500, closed=False)
        live = [row for row in rows if not row["redeemable"]]
        assert sorted((p.shares, p.value) for p in page.held) == sorted(
            (micro_from_decimal(row[size]), micro_from_decimal(row[worth])) for row in live
        )
        assert page.lost <= len(rows) - len(live)
        assert page.won + page.lost + len(live) <= len(rows)


def test_wallets_of_the_leaderboard_and_of_closed_positions_can_be_read(payloads: Payloads) -> None:
    ranks = payloads.read("leaderboard_v1.json")
    assert [int(r["rank"]) for r in ranks] == list(range(1, len(ranks) + 1))
    for row in ranks:
        assert is_wallet(row["proxyWallet"])
        assert micro_from_decimal(row["vol"]) >= 0
        micro_from_decimal(row["pnl"])
    for row in payloads.read("closed_positions_v1.json"):
        assert parse_token_id(row["asset"]) == row["asset"]
        assert micro_from_decimal(row["totalBought"]) > 0
        assert micro_from_decimal(row["curPrice"]) in (0, MICRO)


def test_status_says_how_far_the_service_is_behind(payloads: Payloads) -> None:
    status = payloads.read("status_v2.json")["data"]
    worst = next(m for m in status["serving"]["mechanisms"] if m["name"] == status["serving"]["worst"])
    assert status["serving"]["lag_seconds"] == worst["age_seconds"]
    assert status["ingestion"]["max_synced_block"] >= status["ingestion"]["min_synced_block"]


# -- markets ---------------------------------------------------------------------------------------------------------


def test_market_channel_frames(payloads: Payloads) -> None:
    raw = payloads.read("ws_market_best_bid_ask_msg.json")
    frames, errors = market_ws.parse((payloads.folder / "ws_market_best_bid_ask_msg.json").read_bytes())
    best = [micro_from_decimal(raw[k]) for k in ("best_bid", "best_ask")]
    assert (frames, errors) == ([market_ws.Best(raw["asset_id"], *best)], [])
    raw = payloads.read("ws_market_resolved_msg.json")
    (resolved,), errors = market_ws.parse((payloads.folder / "ws_market_resolved_msg.json").read_bytes())
    assert errors == []
    assert resolved == market_ws.Resolved(raw["market"], tuple(raw["assets_ids"]))


def test_gamma_markets(payloads: Payloads) -> None:
    for name in ("gamma_market.json", "gamma_market_open.json", "gamma_market_sports_market_money_line.json",
                 "gamma_market_closed_binary.json"):  # fmt: skip
        market = payloads.one(name)
        tokens = string_list(market.get("clobTokenIds"), "clobTokenIds")
        assert len(tokens) == 2, name
        for i, token in enumerate(tokens):
            parsed = parse_market(market, token, 5)
            assert parsed.condition_id == market["conditionId"].lower()
            assert parsed.outcome == string_list(market["outcomes"], "outcomes")[i]
            assert parsed.closed is market["closed"]
            assert parsed.title == market["question"]


def test_resolved_gamma_markets_pay_out_and_carry_their_fee(payloads: Payloads) -> None:
    markets = payloads.read("gamma_markets_crypto_resolved.json")
    assert len(markets) == 6
    for market in markets:
        tokens = string_list(market["clobTokenIds"], "clobTokenIds")
        payouts = [parse_market(market, token, 5).payout for token in tokens]
        assert sorted(p for p in payouts if p is not None) == [0, MICRO]
        assert payouts[string_list(market["outcomePrices"], "outcomePrices").index("1")] == MICRO
        assert parse_fee(market).rate_ppm == micro_from_decimal(market["feeSchedule"]["rate"])
        assert parse_market(market, tokens[0], 5).tick == 1_000


def test_closed_alone_settles_nothing(payloads: Payloads) -> None:
    market = payloads.read("gamma_markets_crypto_resolved.json")[0]
    token = string_list(market["clobTokenIds"], "clobTokenIds")[0]
    assert parse_market({**market, "umaResolutionStatus": "proposed"}, token, 5).payout is None
    binary = payloads.one("gamma_market_closed_binary.json")
    assert binary["closed"] is True
    token = string_list(binary["clobTokenIds"], "clobTokenIds")[0]
    assert parse_market(binary, token, 5).payout is None, "no word of a resolution"


def test_clob_market_names_its_winner(payloads: Payloads) -> None:
    market = payloads.read("clob_market_closed_binary_accepting_true.json")
    assert market["accepting_orders"] is True
    for token in market["tokens"]:
        assert winner_payout(market, token["token_id"]) == (MICRO if token["winner"] else 0)
    assert winner_payout({**market, "closed": False}, market["tokens"][0]["token_id"]) is None


def test_markets_can_be_filtered_by_kind_and_have_their_delay(payloads: Payloads) -> None:
    """Few markets carry a category or tags; the kind of their fees and their series tell what they are."""

    def first(name: str) -> tuple[Market, list[str]]:
        market = payloads.one(name)
        series = [e["seriesSlug"] for e in market.get("events") or () if e.get("seriesSlug")]
        return parse_market(market, string_list(market["clobTokenIds"], "")[0], 5), series

    crypto, series = first("gamma_market.json")
    assert (crypto.category, crypto.tags, crypto.delay_ms) == ("crypto", ("crypto", *series), 150)
    sports, series = first("gamma_market_sports_market_money_line.json")
    assert (sports.category, sports.tags, sports.delay_ms) == ("sports", ("sports", *series), 3000)
    assert first("gamma_markets_crypto_resolved.json")[0].tags == ("crypto",)
    plain, _ = first("gamma_market_open.json")
    assert (plain.category, plain.tags, plain.delay_ms) == ("", (), 0)


# -- what is known of the recorded ones alone ------------------------------------------------------------------------


def test_the_recorded_fees_are_the_documented_formula_and_the_others_are_explained(recorded: Payloads) -> None:
    """Exact at a documented rate: three logs and the first API row. The crypto BUY paid the formula at 0.07 and a
    builder 4 % of its notional; the neg-risk BUY paid a sixteenth of the formula at 0.05, which no public rate gives.
    """
    rates = (40_000, 50_000, 70_000)
    fills = {c["name"]: decode_order_filled(c["log"]) for c in recorded.read("order_filled_logs.json")}

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
    row = recorded.rows("activity_v2.json")[0]
    fill = parse_trade_row(row, row["proxy_wallet"])
    fee = taker_fee([Take(micro_from_decimal(row["price"]), fill.shares)], FeeSchedule(50_000))
    assert micro_from_decimal(row["usdc_size"]) == fill.usdc + fee
