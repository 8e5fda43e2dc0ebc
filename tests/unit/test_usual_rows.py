"""The short way to read a page of activity gives what the long one gives, whatever stands in its rows."""

from __future__ import annotations

import json
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from pilotfish.polymarket import wire
from pilotfish.polymarket.rows import RowError, parse_trade_row
from pilotfish.polymarket.usual_rows import MOST, UsualRow, fills_of, read_page

LEADER = "0x" + "a1" * 20
TX = "0x" + "5" * 64

digits = st.integers(1, 10**13).map(lambda n: n / 10**6)
sizes = st.one_of(
    digits, st.decimals("0.000001", "999999", places=6).map(float), st.floats(0, 2e9), st.integers(-1, 10**10),
    st.sampled_from([9e-6, 1e-7, "12.5", None, "x", True, 1e300, 0.1234565, 0.1234575, 2.5e-6]),
)  # fmt: skip
prices = st.one_of(
    st.decimals("0.0001", "0.9999", places=4).map(float), st.decimals(0, 1, places=10).map(float), st.floats(-0.1, 1.1),
    st.sampled_from([0, 1, 0.5, "0.5", None, 0.4999999999999999, 1.0000001]),
)  # fmt: skip
texts = st.one_of(st.text(max_size=8), st.none(), st.just("é" * 501), st.just("\0a"), st.just("\ud800"), st.just(7))


@st.composite
def rows(draw: st.DrawFn) -> dict[str, Any]:
    row: dict[str, Any] = {
        "proxy_wallet": LEADER, "timestamp": 1_790_000_000, "condition_id": "0x" + "c" * 64, "type": "TRADE",
        "size": draw(sizes), "usdc_size": 5, "transaction_hash": TX, "price": draw(prices), "token_id": str(10**76 + 5),
        "side": draw(st.sampled_from(["BUY", "SELL"])), "outcome_index": 999, "title": "Will it?", "slug": "will-it",
        "outcome": "Yes", "is_combo": False, "name": "somebody",
    }  # fmt: skip
    for field, values in (
        ("proxy_wallet", [LEADER.upper(), "", "0x" + "b2" * 20, None, 5]),
        ("timestamp", [0, "1790000000", 1_790_000_000.5, None, 10**12, -5]),
        ("condition_id", ["", "0x" + "c" * 62, "0x" + "C" * 64, None, 5]),
        ("type", ["REDEEM", "trade", None, 5, "NEW"]),
        ("transaction_hash", [TX.upper(), TX[:-1], TX + "0", "", None, "0x" + "g" * 64, "0x" + "٣" * 64]),
        ("token_id", ["0", "007", "1" * 79, 123, None, "x", str((3 << 248) + 1)]),
        ("side", ["buy", "", None, 1]),
        ("title", draw(st.lists(texts, min_size=1, max_size=1))),
        ("outcome", draw(st.lists(texts, min_size=1, max_size=1))),
        ("is_combo", [True, "true", None, 1]),
        ("name", ["\ud83d\ude00", "\ud800", "x" * 25_000]),
    ):
        if draw(st.integers(0, 12)) == 0:
            row[field] = draw(st.sampled_from(values))
    for field in ("proxy_wallet", "slug", "is_combo", "type", "condition_id", "timestamp"):
        if draw(st.integers(0, 20)) == 0:
            del row[field]
    return row


def outcome(row: Any) -> Any:
    try:
        return parse_trade_row(row, LEADER)
    except RowError as problem:
        return str(problem)


def without_text(fill: Any) -> Any:
    return msgspec.structs.replace(fill, raw="") if isinstance(fill, msgspec.Struct) else fill


@given(st.lists(rows(), max_size=4), st.booleans())
def test_rows_read_the_short_way_are_what_they_are_the_long_way(page: list[dict[str, Any]], escaped: bool) -> None:
    body = json.dumps({"data": page, "pagination": {"has_more": False, "next_cursor": None}}, ensure_ascii=escaped)
    raw = body.encode("utf-8", "surrogatepass")
    long, short = wire.decode(raw), read_page(raw)
    assert short["pagination"] == long["pagination"]
    assert len(short["data"]) == len(long["data"])
    usual = [row for row in short["data"] if isinstance(row, UsualRow)]
    fills = iter(fills_of(usual, LEADER))
    for one, other in zip(short["data"], long["data"], strict=True):
        if not isinstance(one, UsualRow):
            assert one == other
            continue
        assert wire.decode(one.text) == other
        fill = next(fills)
        if fill is not None:
            assert without_text(fill) == without_text(outcome(other))
            assert wire.decode(fill.raw) == other


@given(digits, st.decimals("0.001", "0.999", places=10).map(float))
def test_the_venues_usual_row_is_read_the_short_way(size: float, price: float) -> None:
    row = {
        "proxy_wallet": LEADER, "timestamp": 1_790_000_000, "condition_id": "", "type": "TRADE", "size": size,
        "transaction_hash": TX, "price": price, "token_id": "123", "side": "BUY",
    }  # fmt: skip
    (read,) = read_page(json.dumps({"data": [row]}).encode())["data"]
    assert isinstance(read, UsualRow) == (size < MOST)
    if isinstance(read, UsualRow):
        (fill,) = fills_of([read], LEADER)
        assert without_text(fill) == without_text(outcome(wire.decode(json.dumps(row))))


def test_what_is_no_page_is_left_to_the_long_way() -> None:
    assert read_page(b"[]") == []
    assert read_page(b'{"error": "no"}') == {"error": "no"}
    assert read_page(b'{"data": [1, null, []], "pagination": 5}') == {"data": [1, None, []], "pagination": 5}
