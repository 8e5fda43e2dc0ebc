"""Logs that are not what they should be are refused with the part and the reason; no log makes the decoder crash."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilotfish.polymarket.contracts import CTF_EXCHANGE_V2, ORDER_FILLED, ORDER_FILLED_V1, ORDERS_MATCHED, topic_of
from pilotfish.polymarket.data_api import RowError, parse_trade_row
from pilotfish.polymarket.decode import DecodeError, decode_order_filled
from tests.desk import LEADER, OTHER


def log(**more: Any) -> dict[str, Any]:
    """A good log, with changes."""
    values = [0, 12345, 635_000, 1_000_000, 0, 0, 0]
    base = {
        "address": CTF_EXCHANGE_V2,
        "topics": [ORDER_FILLED, "0x" + "ab" * 32, topic_of(LEADER), topic_of(OTHER)],
        "data": "0x" + "".join(f"{v:064x}" for v in values),
        "transactionHash": "0x" + "cd" * 32,
        "logIndex": "0x7",
        "blockNumber": "0x10",
    }
    return {**base, **more}


def words(*values: int) -> str:
    return "0x" + "".join(f"{v:064x}" for v in values)


def test_a_maker_and_a_taker() -> None:
    maker = decode_order_filled(log())
    assert (maker.role, maker.side, maker.shares, maker.usdc, maker.token_id) == (
        "maker", "BUY", 1_000_000, 635_000, "12345",
    )  # fmt: skip
    topics = [*log()["topics"][:3], topic_of(CTF_EXCHANGE_V2)]
    taker = decode_order_filled(log(topics=topics, data=words(1, 5, 2_000_000, 1_000_000, 13, 0, 0)))
    assert (taker.role, taker.side, taker.shares, taker.usdc, taker.fee) == ("taker", "SELL", 2_000_000, 1_000_000, 13)


def test_historic_v1() -> None:
    topics = [ORDER_FILLED_V1, *log()["topics"][1:]]
    buy = decode_order_filled(log(topics=topics, data=words(0, 77, 500_000, 1_000_000, 3)))
    sell = decode_order_filled(log(topics=topics, data=words(77, 0, 1_000_000, 500_000, 3)))
    assert (buy.side, buy.token_id, buy.shares, buy.usdc) == ("BUY", "77", 1_000_000, 500_000)
    assert (sell.side, sell.token_id, sell.shares, sell.usdc) == ("SELL", "77", 1_000_000, 500_000)


def test_missing_json_rpc_fields_are_none() -> None:
    bare = {k: v for k, v in log().items() if k in ("address", "topics", "data")}
    got = decode_order_filled(bare)
    assert (got.tx_hash, got.log_index, got.block_number, got.block_timestamp) == (None, None, None, None)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"topics": [ORDERS_MATCHED, *log()["topics"][1:]]}, "not an OrderFilled"),
        ({"topics": log()["topics"][:3]}, "topics"),
        ({"topics": None}, "topics"),
        ({"data": "0x"}, "data"),
        ({"data": words(0, 1, 2)}, "data"),
        ({"data": "0x" + "zz" * 224}, "not hexadecimal"),
        ({"data": words(2, 1, 1, 1, 0, 0, 0)}, "side"),
        ({"data": words(0, 1, 1, 0, 0, 0, 0)}, "shares: zero"),
        ({"data": words(0, 77, 1_000_001, 1_000_000, 0, 0, 0)}, "usdc: 1000001 for 1000000 shares"),
        ({"data": words(1, 77, 1_000_000, 1_000_001, 0, 0, 0)}, "usdc: 1000001 for 1000000 shares"),
        ({"data": words(0, 1, 1, 2**200, 0, 0, 0)}, "out of range"),
        ({"address": "0x12"}, "address"),
        ({"logIndex": "seven"}, "logIndex"),
        ({"transactionHash": "0x12"}, "transactionHash"),
    ],
)
def test_a_bad_log_says_what_is_wrong(change: dict[str, Any], said: str) -> None:
    with pytest.raises(DecodeError, match=said):
        decode_order_filled(log(**change))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=80),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=10), inner, max_size=5),
    max_leaves=10,
)


@given(JSON, st.sampled_from(sorted(log())))
def test_whatever_stands_in_a_field_the_decoder_answers_or_says_why_not(value: Any, field: str) -> None:
    try:
        got = decode_order_filled(log(**{field: value}))
    except DecodeError as problem:
        assert str(problem)
        return
    assert got.shares > 0


ROW = {
    "type": "TRADE", "proxy_wallet": LEADER, "timestamp": 1_790_000_427, "condition_id": "0x" + "12" * 32,
    "token_id": "123", "side": "BUY", "size": 3.141593, "price": 0.6120001234, "transaction_hash": "0x" + "34" * 32,
}  # fmt: skip


@given(JSON, st.sampled_from(sorted(ROW)))
def test_whatever_stands_in_a_row_it_is_read_or_refused_with_a_reason(value: Any, field: str) -> None:
    try:
        fill = parse_trade_row({**ROW, field: value}, LEADER)
    except RowError as problem:
        assert str(problem)
        return
    assert fill.shares > 0
    assert fill.usdc >= 0


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"size": "NaN"}, "size/price"),
        ({"size": 0}, "size"),
        ({"size": 1e40}, "size"),
        ({"price": 1.5}, "price"),
        ({"side": ""}, "side"),
        ({"token_id": ""}, "token id"),
        ({"token_id": 1.5}, "token id"),
        ({"timestamp": 17}, "timestamp"),
        ({"timestamp": 1_790_000_427_000_000}, "timestamp"),
        ({"transaction_hash": "0x12"}, "transaction_hash"),
        ({"proxy_wallet": OTHER}, "proxy_wallet"),
    ],
)
def test_a_bad_row_says_what_is_wrong(change: dict[str, Any], said: str) -> None:
    with pytest.raises(RowError, match=said):
        parse_trade_row({**ROW, **change}, LEADER)


def test_tiny_amounts_in_exponent_form() -> None:
    assert parse_trade_row({**ROW, "size": 9e-6}, LEADER).shares == 9
