"""The short way to read the market channel's changes gives what the long one gives, and a kept book what it must be."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from pilotfish.core.book import make_book
from pilotfish.core.trade import Side
from pilotfish.feeds.kept_book import KeptBook
from pilotfish.polymarket import market_ws as ws

TOKEN = str(10**76 + 7)
numbers = st.one_of(
    st.sampled_from(
        ["0", "0.5", "0.45", "1", "0.001", "12.5", "", "1e3", "-1", " 0.5", "0.5.5", "٣", "NaN", ".5", "5."]
    ),
    st.decimals(0, 2, places=4).map(str),
    st.decimals(0, 10**9, places=6).map(str),
    st.text(max_size=6),
    st.sampled_from([0.5, 1, None, True, [], {}]),
    st.integers(-1, 10**20).map(str),
)
changes = st.fixed_dictionaries(
    {
        "asset_id": st.one_of(st.just(TOKEN), st.sampled_from(["", "abc", 123, None, "9" * 78, "9" * 79])),
        "side": st.one_of(st.sampled_from(["BUY", "SELL"]), st.sampled_from(["buy", "Sell", "", None, 1])),
        "price": numbers,
        "size": numbers,
    },
    optional={"best_bid": numbers, "best_ask": numbers, "hash": st.just("x"), "more": st.just({"a": [1]})},
)
usual = st.fixed_dictionaries(
    {
        "asset_id": st.just(TOKEN),
        "side": st.sampled_from(["BUY", "SELL"]),
        "price": st.decimals("0.0001", "0.9999", places=4).map(str),
        "size": st.decimals(0, 10**6, places=4).map(str),
        "best_bid": st.sampled_from(["0", "0.45", "", "1"]),
        "best_ask": st.sampled_from(["0", "0.55", "", "1"]),
    }
)
frames = st.fixed_dictionaries(
    {
        "event_type": st.one_of(st.just("price_change"), st.sampled_from(["book", "best_bid_ask", "other", None])),
        "price_changes": st.one_of(st.lists(usual, max_size=4), st.lists(changes, max_size=3), st.none(), st.just({})),
    },
    optional={"timestamp": st.one_of(st.just("1750000000000"), numbers), "market": st.just("0x1")},
)


@given(frames)
def test_what_is_read_the_short_way_is_what_is_read_the_long_way(event: Any) -> None:
    text = json.dumps(event)
    short = ws.parse_changes(text)
    if short is not None:
        assert ws.parse(text) == ([short], [])


@given(st.lists(usual, min_size=1, max_size=4))
def test_the_venues_usual_frame_is_read_the_short_way(given_changes: Any) -> None:
    event = {"event_type": "price_change", "market": "0x1", "price_changes": given_changes, "timestamp": "1"}
    short = ws.parse_changes(json.dumps(event))
    assert short is not None
    assert len(short.changes) == len(given_changes)
    assert ws.parse_changes(json.dumps([event])) is None


@given(st.lists(st.tuples(st.sampled_from(list(Side)), st.integers(1, 20), st.integers(0, 3)), max_size=60))
def test_a_kept_book_knows_its_best_prices_and_its_levels_whatever_changes(
    deeds: list[tuple[Side, int, int]],
) -> None:
    kept = KeptBook(TOKEN)
    for number, (side, price, size) in enumerate(deeds):
        if number % 17 == 16:
            kept.replace(dict(kept.asks), dict(kept.bids))
        kept.put(side, price * 1000, size)
        assert kept.best() == (max(kept.bids, default=0), min(kept.asks, default=0))
        if number % 3:
            continue
        fresh = make_book(
            TOKEN, list(kept.bids.items()), list(kept.asks.items()), requested_at=number - 1, received_at=number,
            tick=kept.tick, min_size=kept.min_size,
        )  # fmt: skip
        assert kept.as_book(number, 1e-6) == fresh == kept.as_book(number, 1e-6)
