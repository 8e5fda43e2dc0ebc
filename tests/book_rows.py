"""Rows of recorded books, written short."""

from __future__ import annotations

from collections.abc import Iterable

from pilotfish.core.book import Book
from pilotfish.core.units import format_micro
from pilotfish.history.book_track import BookTrack, track_of
from pilotfish.polymarket.book_rows import BookRow, Heard

TOKEN = "9" * 77
Levels = Iterable[tuple[float, float]]


def whole(at: int, bids: Levels, asks: Levels, kind: Heard = Heard.SNAPSHOT, token: str = TOKEN, since: int = 0,
          tick: str = "0.01") -> BookRow:  # fmt: skip
    up, down = sorted(bids, reverse=True), sorted(asks)
    return BookRow(
        token_id=token, at=at, kind=kind, bid_prices=tuple(str(p) for p, _ in up),
        bid_sizes=tuple(str(s) for _, s in up), ask_prices=tuple(str(p) for p, _ in down),
        ask_sizes=tuple(str(s) for _, s in down), tick=tick, min_size="5", since=since,
    )  # fmt: skip


def change(at: int, side: str, price: float, size: float, token: str = TOKEN) -> BookRow:
    return BookRow(token_id=token, at=at, kind=Heard.DELTA, side=side, price=str(price), size=str(size))


def gap(at: int, since: int = 0, token: str = TOKEN) -> BookRow:
    return BookRow(token_id=token, at=at, kind=Heard.GAP, since=since, detail="no connection")


def read_once(book: Book) -> BookTrack:
    """The track of one book that was read over HTTP."""
    row = BookRow(
        token_id=book.token_id, at=book.received_at, kind=Heard.ANSWER, since=book.requested_at,
        bid_prices=tuple(format_micro(lv.price) for lv in book.bids),
        bid_sizes=tuple(format_micro(lv.size) for lv in book.bids),
        ask_prices=tuple(format_micro(lv.price) for lv in book.asks),
        ask_sizes=tuple(format_micro(lv.size) for lv in book.asks), tick=format_micro(book.tick),
    )  # fmt: skip
    return track_of(book.token_id, [row])
