"""What is heard of a kept book, as rows: in the venue's digits, while every change of it has become one."""

from __future__ import annotations

from itertools import count

from pilotfish.core.trade import Side
from pilotfish.core.units import MICRO
from pilotfish.feeds.book_tap import NOT_TAKEN, BookTap
from pilotfish.feeds.kept_book import Channel, Doubt, KeptBook
from pilotfish.polymarket import market_ws as ws
from pilotfish.polymarket.book_rows import BookRow, Heard

TOKEN = "9" * 77
RAW = {
    "asset_id": TOKEN, "timestamp": "1790000000456", "tick_size": "0.01", "min_order_size": "5",
    "bids": [{"price": "0.40", "size": "5.50"}, {"price": "0.41", "size": "1"}],
    "asks": [{"price": "0.60", "size": "7"}, {"price": "0.59", "size": "2.0"}],
}  # fmt: skip
DELTA = ws.Change(TOKEN, Side.BUY, 420_000, 3 * MICRO, digits=("0.420", "3.00"))
TRADE = ws.LastTrade(TOKEN, Side.BUY, "0.59", "1.50", 7)
TICK = ws.TickChange(TOKEN, 1_000, "0.001", 8)


class Heap:
    """A tap whose rows are kept here as long as they are wanted."""

    def __init__(self) -> None:
        self.rows: list[BookRow] = []
        self.on = self.takes = True
        clock = count(1_000)
        self.tap = BookTap(self.take, lambda: next(clock), lambda: self.on)
        self.book = KeptBook(TOKEN, {400_000: 5 * MICRO}, {600_000: 7 * MICRO}, owner=Channel(frozenset({TOKEN})))
        self.book.doubt = Doubt.NONE

    def take(self, row: BookRow) -> bool:
        if self.takes:
            self.rows.append(row)
        return self.takes

    def told(self) -> list[tuple[str, bool]]:
        return [(row.kind.value, row.is_reseed) for row in self.rows]


def test_rows_are_in_the_venues_own_digits_best_level_first() -> None:
    heap = Heap()
    heap.tap.snapshot(heap.book, RAW)
    heap.tap.change(TOKEN, DELTA, 5, 77)
    heap.tap.trade(TRADE)
    heap.tap.tick(TICK)
    first, delta, trade, tick = heap.rows
    assert (first.bid_prices, first.bid_sizes) == (("0.41", "0.40"), ("1", "5.50"))
    assert (first.ask_prices, first.ask_sizes) == (("0.59", "0.60"), ("2.0", "7"))
    assert (first.venue_ms, first.tick, first.is_reseed) == (1_790_000_000_456, "0.01", True)
    assert (delta.at, delta.venue_ms, delta.side, delta.price, delta.size) == (77, 5, "BUY", "0.420", "3.00")
    assert (trade.kind, trade.side, trade.price, trade.size) == (Heard.TRADE, "BUY", "0.59", "1.50")
    assert (tick.kind, tick.price, tick.venue_ms) == (Heard.TICK, "0.001", 8)


def test_a_snapshot_that_the_channel_sends_again_follows_from_what_was() -> None:
    heap = Heap()
    heap.tap.snapshot(heap.book, RAW)
    heap.tap.snapshot(heap.book, RAW)
    assert heap.told() == [("snapshot", True), ("snapshot", False)]


def test_nothing_is_told_of_a_book_that_is_not_whole() -> None:
    heap = Heap()
    heap.book.doubt = Doubt.UNPROVEN
    heap.tap.snapshot(heap.book, RAW)
    heap.tap.change(TOKEN, DELTA, 5, 7)
    heap.tap.trade(TRADE)
    heap.tap.tick(TICK)
    assert heap.rows == []


def test_doubt_is_one_gap_and_its_end_a_reseed_of_the_book_as_it_is_kept() -> None:
    heap = Heap()
    heap.tap.snapshot(heap.book, RAW)
    heap.book.doubt = Doubt.CROSSED
    heap.tap.settle(heap.book)
    heap.tap.settle(heap.book)
    heap.book.doubt = Doubt.NONE
    heap.tap.settle(heap.book)
    assert heap.told() == [("snapshot", True), ("gap", False), ("snapshot", True)]
    assert heap.rows[1].detail == "crossed"
    assert (heap.rows[2].bid_prices, heap.rows[2].ask_sizes) == (("0.4",), ("7",))


def test_a_book_that_was_set_right_over_http_begins_anew_without_a_gap() -> None:
    heap = Heap()
    heap.tap.snapshot(heap.book, RAW)
    heap.tap.replaced(heap.book)
    assert heap.told() == [("snapshot", True), ("snapshot", True)]


def test_rows_that_are_not_taken_are_a_gap_since_the_first_of_them() -> None:
    heap = Heap()
    heap.tap.snapshot(heap.book, RAW)
    heap.takes = False
    heap.tap.change(TOKEN, DELTA, 5, 2_000)
    heap.tap.settle(heap.book)
    heap.takes = True
    heap.tap.settle(heap.book)
    assert heap.told() == [("snapshot", True), ("gap", False), ("snapshot", True)]
    assert (heap.rows[1].since, heap.rows[1].detail) == (2_000, NOT_TAKEN)
