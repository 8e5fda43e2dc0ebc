"""Whatever a payload holds, its parser gives a record or its own error, at once."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilotfish.core.units import MAX_AMOUNT, MICRO, price_from, scaled
from pilotfish.polymarket import market_ws, wire
from pilotfish.polymarket.clob import BookError, parse_book, winner_payout
from pilotfish.polymarket.contracts import CTF_EXCHANGE_V2, ORDER_FILLED, topic_of
from pilotfish.polymarket.decode import DecodeError, decode_order_filled
from pilotfish.polymarket.gamma import MarketError, parse_market
from pilotfish.polymarket.polygon import RpcError, quantity
from pilotfish.polymarket.record import parse_positions, parse_standing, parse_stats, parse_value
from pilotfish.polymarket.rows import (
    Holdings,
    RowError,
    add_position,
    kind_of,
    parse_move_row,
    parse_resolution,
    parse_token,
    parse_trade_row,
)

WALLET = "0x" + "a1" * 20
TOKEN = "1001"
CONDITION = "0x" + "c3" * 32
HASH = "0x" + "d4" * 32


def deep(levels: int) -> Any:
    value: Any = []
    for _ in range(levels):
        value = [value]
    return value


HOSTILE: list[Any] = [
    None, True, False, "", " ", "x", "1e999999", "-1e999999", "1e-999999", "1E+99999999999999999999", "NaN", "Infinity",
    "-Infinity", float("nan"), float("inf"), float("-inf"), -0.0, "-0", 0, -1, 1, 2, 50, "50", 0.5, "0.5",
    1e308, 5e-324,
    Decimal("1e999999"), Decimal("NaN"), Decimal("-0"), 10**30, -(10**30), 2**256, 2**63, 10**1_000_000,
    "9" * 1_000_000, "0." + "1" * 1_000_000, "0x" + "f" * 64, "0x", "1_000", "\u0661\u0662", "\ud800", "a\0b", "\0",
    "<img src=x>", "9" * 78, "true", "False", [], {}, [[]], [None], {"a": None}, [1, 2], ["0.5", "0.5"],
    {"price": "1e9"},
    [{"price": "1e999999", "size": 1}], [{"price": 0.5, "size": "1e999999"}], [{"price": 0.5}], [7], deep(5_000),
    [0] * 100_000, {"message": deep(2_000)}, b"bytes",
]  # fmt: skip

TRADE = {
    "type": "TRADE", "proxy_wallet": WALLET, "timestamp": 1_800_000_000, "transaction_hash": HASH, "is_combo": False,
    "condition_id": CONDITION, "token_id": TOKEN, "side": "BUY", "size": 10.5, "usdc_size": 5.25, "price": 0.5,
    "outcome": "Yes", "outcome_index": 0, "title": "T", "slug": "s", "event_slug": "s",
}  # fmt: skip
TRADE_V1 = {
    "type": "TRADE", "proxyWallet": WALLET, "timestamp": 1_800_000_000, "transactionHash": HASH, "isCombo": False,
    "conditionId": CONDITION, "asset": TOKEN, "side": "SELL", "size": 10.5, "usdcSize": 5.25, "price": 0.5,
    "outcome": "Yes", "outcomeIndex": 999, "title": "T", "slug": "s", "eventSlug": "s",
}  # fmt: skip
MOVE = {"type": "MERGE", "proxy_wallet": WALLET, "timestamp": 1_800_000_000, "transaction_hash": HASH,
        "condition_id": CONDITION, "usdc_size": 5.25}  # fmt: skip
POSITION = {
    "token_id": TOKEN, "condition_id": CONDITION, "current_size": 5, "current_price": 0.5, "current_value": 2.5,
    "status": "OPEN", "redeemable": False, "negative_risk": False, "outcome_index": 0,
}  # fmt: skip
POSITION_V1 = {"asset": TOKEN, "conditionId": CONDITION, "size": 5, "curPrice": 0.5, "currentValue": 2.5}
TOKEN_ROW = {
    "token_id": TOKEN, "condition_id": CONDITION, "module": "v1_ctf", "outcome_index": 0, "clob_index": 0,
    "outcome": "Yes", "resolved": True, "final_price": 1, "title": "T", "market_slug": "s", "closed": True,
}  # fmt: skip
STATS = {"proxy_wallet": WALLET, "trades": 3, "biggest_win": 2.5, "views": 0, "join_date": 1_790_000_000}
MADE = {"timestamp": 1_800_000_000, "trade_count": 9, "realized_pnl": -1.5, "volume": 30.0, "volume_usdc": 12.25}
STANDING = {"user_id": WALLET, "pnl": 2.5, "volume": 9, "rank_pnl": 4, "rank_volume": 0}
KEPT = {**POSITION, "avg_price": 0.4, "realized_pnl": 0.5, "unrealized_pnl": 0.1, "total_pnl": 0.6, "title": "T"}
RESOLUTION = {"condition_id": CONDITION, "status": "resolved", "payouts": [1_000_000, 0], "price": "69"}
RESOLUTION_UMA = {"condition_id": CONDITION, "status": "resolved", "price": str(10**18)}
BOOK = {
    "event_type": "book", "market": CONDITION, "asset_id": TOKEN, "timestamp": "1800000000000", "hash": "h",
    "bids": [{"price": "0.4", "size": "5"}], "asks": [{"price": "0.6", "size": "5"}], "tick_size": "0.01",
    "min_order_size": "5", "neg_risk": False, "last_trade_price": "0.5",
}  # fmt: skip
CHANGE = {"asset_id": TOKEN, "side": "BUY", "price": "0.4", "size": "5", "best_bid": "0.4", "best_ask": "0.6"}
CHANGES = {"event_type": "price_change", "market": CONDITION, "timestamp": "1", "price_changes": [CHANGE]}
BEST = {"event_type": "best_bid_ask", "asset_id": TOKEN, "best_bid": "0.4", "best_ask": "0.6"}
TICK = {"event_type": "tick_size_change", "asset_id": TOKEN, "new_tick_size": "0.001"}
RESOLVED = {"event_type": "market_resolved", "market": CONDITION, "assets_ids": [TOKEN, "1002"]}
MARKET = {
    "conditionId": CONDITION, "question": "Q", "slug": "s", "outcomes": '["Yes","No"]', "outcomePrices": '["1","0"]',
    "clobTokenIds": f'["{TOKEN}","1002"]', "active": True, "closed": True, "acceptingOrders": True, "negRisk": False,
    "endDate": "2030-01-01T00:00:00Z", "orderMinSize": 5, "orderPriceMinTickSize": 0.01, "secondsDelay": 3,
    "feesEnabled": True, "feeType": "crypto_fees_v2", "feeSchedule": {"exponent": 1, "rate": 0.07},
    "umaResolutionStatus": "resolved", "category": "c", "tags": ["t", {"label": "u"}],
    "events": [{"category": "c", "tags": [], "seriesSlug": "s"}],
}  # fmt: skip
CLOB_MARKET = {"closed": True, "tokens": [{"token_id": TOKEN, "winner": True}, {"token_id": "1002", "winner": False}]}
LOG = {
    "address": CTF_EXCHANGE_V2, "blockNumber": "0x10", "blockHash": HASH, "transactionHash": HASH, "logIndex": "0x1",
    "blockTimestamp": "0x6b49d200", "removed": False, "topics": [ORDER_FILLED, HASH, topic_of(WALLET),
    topic_of(WALLET)],
    "data": "0x" + "".join(f"{v:064x}" for v in (0, 1001, 5_000_000, 10_000_000, 0, 0, 0)),
}  # fmt: skip


def _position(row: Any) -> Holdings:
    held = Holdings()
    add_position(held, row)
    return held


def _frame(event: Any) -> None:
    for frame in market_ws.parse(wire.encode(event))[0]:
        if isinstance(frame, market_ws.Snapshot):
            parse_book(frame.raw, requested_at=0, received_at=0)


PARSERS: dict[str, tuple[Any, Callable[[Any], Any], type[Exception]]] = {
    "trade": (TRADE, lambda r: parse_trade_row(r, WALLET), RowError),
    "trade v1": (TRADE_V1, lambda r: parse_trade_row(r, WALLET), RowError),
    "move": (MOVE, lambda r: parse_move_row(r, "MERGE", WALLET), RowError),
    "kind": (TRADE, kind_of, RowError),
    "position": (POSITION, _position, RowError),
    "position v1": (POSITION_V1, _position, RowError),
    "token": (TOKEN_ROW, parse_token, RowError),
    "resolution": (RESOLUTION, parse_resolution, RowError),
    "resolution by price": (RESOLUTION_UMA, parse_resolution, RowError),
    "statistics": (STATS, lambda r: parse_stats({"data": r}), RowError),
    "statistics of all time": (MADE, lambda r: parse_stats({"data": {**STATS, "all_time_pnl": r}}), RowError),
    "standing": (STANDING, lambda r: parse_standing({"data": r}), RowError),
    "standing v1": ({"pnl": 1, "vol": 2, "rank": "3"}, lambda r: parse_standing([r]), RowError),
    "value": ({"value": 2.5}, lambda r: parse_value({"data": r}), RowError),
    "open position": (KEPT, lambda r: parse_positions({"data": [r]}, 500, closed=False), RowError),
    "closed position": (KEPT, lambda r: parse_positions([r], 50, closed=True), RowError),
    "book": (BOOK, lambda b: parse_book(b, requested_at=0, received_at=0), BookError),
    "frame of a book": (BOOK, _frame, BookError),
    "frame of changes": (CHANGES, _frame, BookError),
    "one change": (CHANGE, lambda c: _frame({**CHANGES, "price_changes": [c]}), BookError),
    "frame of best prices": (BEST, _frame, BookError),
    "frame of a tick": (TICK, _frame, BookError),
    "frame of a result": (RESOLVED, _frame, BookError),
    "market": (MARKET, lambda m: parse_market(m, TOKEN, 0), MarketError),
    "fees": (MARKET["feeSchedule"], lambda f: parse_market({**MARKET, "feeSchedule": f}, TOKEN, 0), MarketError),
    "market of the CLOB": (CLOB_MARKET, lambda m: winner_payout(m, TOKEN), BookError),
    "log": (LOG, decode_order_filled, DecodeError),
}


def mutations(valid: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """The valid payload with every value, and every value within it, replaced by each hostile one, and left out."""
    for name in valid:
        for number, value in enumerate(HOSTILE):
            yield f"{name} = #{number}", {**valid, name: value}
        yield f"without {name}", {k: v for k, v in valid.items() if k != name}
        if isinstance(valid[name], list):
            for number, value in enumerate(HOSTILE):
                yield f"{name}[0] = #{number}", {**valid, name: [value, *valid[name][1:]]}


@pytest.mark.parametrize("kind", PARSERS)
def test_no_value_of_any_field_brings_anything_but_a_record_or_the_parsers_own_error(kind: str) -> None:
    valid, parse, own = PARSERS[kind]
    assert parse(valid) is not None or kind.startswith(("frame", "one")), kind
    slowest = ("", 0.0)
    for what, payload in [*mutations(valid), *((f"all = #{n}", v) for n, v in enumerate(HOSTILE))]:
        if (
            what.startswith("all")
            and kind in ("kind", "market", "market of the CLOB")
            and not isinstance(payload, dict)
        ):
            continue
        started = time.process_time()
        try:
            parse(payload)
        except own:
            pass
        except Exception as problem:
            raise AssertionError(f"{kind}, {what}: {type(problem).__name__}: {str(problem)[:200]}") from problem
        slowest = max(slowest, (what, time.process_time() - started), key=lambda x: x[1])
    assert slowest[1] < 1.0, slowest


@pytest.mark.parametrize("number", range(len(HOSTILE)))
def test_a_number_is_within_bounds_or_refused_at_once(number: int) -> None:
    value = HOSTILE[number]
    for places in (0, 6, 15):
        started = time.process_time()
        try:
            assert abs(scaled(value, places)) < MAX_AMOUNT
        except ValueError as problem:
            assert len(str(problem)) < 200
        assert time.process_time() - started < 0.2


@given(st.one_of(st.floats(), st.decimals(), st.integers(), st.text(max_size=30), st.none(), st.booleans()))
def test_a_price_is_from_nought_to_one_or_refused(value: object) -> None:
    with contextlib.suppress(ValueError):
        assert 0 <= price_from(value) <= MICRO


@given(st.binary(max_size=200) | st.text(max_size=200).map(lambda t: t.encode("utf-8", "surrogatepass")))
def test_any_bytes_are_json_or_refused_as_such(raw: bytes) -> None:
    with contextlib.suppress(wire.NotJsonError):
        msgspec.json.encode(wire.decode(raw))


@pytest.mark.parametrize(
    "body",
    [
        b'[{"price": NaN}, {"price": 0.5}]', b'[{"price": 1e99999999999999999999}, {"price": 0.5}]',
        b'[{"price": -Infinity}, {"price": 0.5}]', b'[{"title": "\\ud800"}, {"price": 0.5}]',
        b'[{"price": ' + b"9" * 1_000_000 + b'}, {"price": 0.5}]', b'[{"title": "\xff"}, {"price": 0.5}]',
        b'[{"price": 0.' + b"1" * 1_000_000 + b'}, {"price": 0.5}]',
    ],
)  # fmt: skip
def test_one_value_that_is_no_json_costs_its_row_and_not_its_page(body: bytes) -> None:
    started = time.process_time()
    rows = wire.decode(body)
    assert len(rows) == 2
    assert rows[1] == {"price": Decimal("0.5")}
    assert wire.encode(rows[0], 1000)
    assert time.process_time() - started < 1.0


@pytest.mark.parametrize("body", [b"[" * 100_000, b'{"a":' * 50_000, b"", b"<html>", b"\xff\xfe", b"{", b"[1,]"])
def test_what_is_no_json_is_refused_at_once(body: bytes) -> None:
    started = time.process_time()
    with pytest.raises(wire.NotJsonError):
        wire.decode(body)
    assert time.process_time() - started < 1.0
    assert sys.getrecursionlimit() > 0


@pytest.mark.parametrize(
    "value", [None, "", "0x", "zz", -1, "-1", 2**63, "0x" + "f" * 17, True, 1.5, "9" * 100_000, []]
)
def test_a_quantity_that_is_none_is_refused(value: object) -> None:
    with pytest.raises(RpcError):
        quantity(value)


def test_a_final_price_of_fifty_is_refused_and_not_taken_for_one() -> None:
    with pytest.raises(RowError, match="final_price"):
        parse_token({**TOKEN_ROW, "final_price": 50})
    assert parse_token({**TOKEN_ROW, "final_price": 0.5}).payout == 500_000


@pytest.mark.parametrize("said", [True, "true", "True"])
@pytest.mark.parametrize("name", ["is_combo", "isCombo"])
def test_a_combo_is_a_combo_in_either_version(name: str, said: object) -> None:
    for valid in (TRADE, TRADE_V1):
        row = {k: v for k, v in valid.items() if k not in ("is_combo", "isCombo")}
        assert parse_trade_row({**row, name: said}, WALLET).is_combo
        assert not parse_trade_row({**row, name: False}, WALLET).is_combo


def test_a_bad_row_of_positions_voids_neither_the_others_nor_itself_to_nothing_held() -> None:
    held = Holdings()
    for row in ({**POSITION, "current_size": "1e999999"}, {**POSITION, "token_id": "1002"}):
        add_position(held, row)
    assert (held.shares, held.unread, held.whole) == ({"1002": 5 * MICRO}, {TOKEN}, True)
    assert len(held.bad_rows) == 1
    add_position(held, {**POSITION, "token_id": {}})
    assert not held.whole


@pytest.mark.parametrize("more", [{"redeemable": True}, {"status": "REDEEMABLE"}, {"current_value": 0}])
def test_what_can_only_be_redeemed_or_is_worth_nothing_is_known_as_worthless(more: dict[str, Any]) -> None:
    assert _position({**POSITION, **more}).worthless == {TOKEN}
    assert _position(POSITION).worthless == set()
