"""What comes again and again is written once: rows of a leader's history that were read before in the same segment, and
of a book only what changed since the one before. Both sides keep the same memory; unpacked, every event is what it was.
"""

from __future__ import annotations

from collections import deque
from typing import TypeAlias

import msgspec

from pilotfish.core.book import Book, Level
from pilotfish.core.events import ApiWindowRead, BookSeen, Event, Move, Past
from pilotfish.core.trade import LeaderFill

FILLS_KEPT = 5_000
BOOKS_KEPT = 2_000
"""How many are remembered at most; the oldest go first."""


class WindowAgain(msgspec.Struct, frozen=True, kw_only=True, tag=True, omit_defaults=True):
    """``ApiWindowRead`` whose fills are, where they were written before, the numbers under which they were."""

    at: int
    leader: str
    fills: tuple[int | LeaderFill, ...]
    cursor_ts: int
    moves: tuple[Move, ...] = ()
    read_from: int | None = None
    read_to: int | None = None
    gaps: tuple[tuple[int, int], ...] = ()
    backfill: bool = False
    command: int | None = None
    past: tuple[Past, ...] = ()


class BookAgain(msgspec.Struct, frozen=True, kw_only=True, tag=True, omit_defaults=True):
    """``BookSeen`` as the levels that changed since the token's last one; a size of 0 is gone."""

    at: int
    token_id: str
    requested_at: int
    received_at: int
    bids: tuple[Level, ...] = ()
    asks: tuple[Level, ...] = ()
    hash: str = ""


Hot: TypeAlias = ApiWindowRead | BookSeen
"""What is packed; these hold nothing that changes, but for what a window brings of the past."""
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Event | WindowAgain | BookAgain).decode


class Packing:
    """The memory of one segment, writing or reading."""

    def __init__(self) -> None:
        self._numbers: dict[LeaderFill, int] = {}
        self._fills: dict[int, LeaderFill] = {}
        self._order: deque[int] = deque()
        self._count = 0
        self._books: dict[str, Book] = {}

    def pack(self, event: Hot) -> bytes:
        """An event as it is written."""
        if isinstance(event, BookSeen):
            return self._pack_book(event)
        fills = tuple(self._number(fill) for fill in event.fills)
        same = {name: getattr(event, name) for name in event.__struct_fields__ if name != "fills"}
        return _encode(WindowAgain(fills=fills, **same))

    def unpack(self, packed: bytes | msgspec.Raw) -> bytes | msgspec.Raw:
        """The event as it was, encoded whole. Raises :class:`msgspec.DecodeError` for what cannot be."""
        event = _decode(packed)
        if isinstance(event, WindowAgain):
            fills = tuple(self._fill(fill) for fill in event.fills)
            same = {name: getattr(event, name) for name in event.__struct_fields__ if name != "fills"}
            return _encode(ApiWindowRead(fills=fills, **same))
        if isinstance(event, BookAgain):
            return _encode(BookSeen(at=event.at, book=self._book(event)))
        if isinstance(event, BookSeen):
            self._remember_book(event.book)
        return packed

    # -- fills -------------------------------------------------------------------------------------------------

    def _number(self, fill: LeaderFill) -> int | LeaderFill:
        known = self._numbers.get(fill)
        if known is None:
            self._remember(fill)
            return fill
        return known

    def _fill(self, fill: int | LeaderFill) -> LeaderFill:
        if isinstance(fill, LeaderFill):
            self._remember(fill)
            return fill
        if fill not in self._fills:
            raise msgspec.DecodeError(f"fill {fill} was not written before")
        return self._fills[fill]

    def _remember(self, fill: LeaderFill) -> None:
        self._numbers[fill] = self._count
        self._fills[self._count] = fill
        self._order.append(self._count)
        self._count += 1
        if len(self._order) > FILLS_KEPT:
            self._numbers.pop(self._fills.pop(self._order.popleft()), None)

    # -- books -------------------------------------------------------------------------------------------------

    def _pack_book(self, event: BookSeen) -> bytes:
        book, before = event.book, self._books.get(event.book.token_id)
        if before is not None:
            again = BookAgain(
                at=event.at,
                token_id=book.token_id,
                requested_at=book.requested_at,
                received_at=book.received_at,
                bids=_changes(before.bids, book.bids),
                asks=_changes(before.asks, book.asks),
                hash=book.hash,
            )
            if _rebuilt(before, again) == book:
                self._remember_book(book)
                return _encode(again)
        self._remember_book(book)
        return _encode(event)

    def _book(self, again: BookAgain) -> Book:
        before = self._books.get(again.token_id)
        if before is None:
            raise msgspec.DecodeError(f"no book of {again.token_id} was written before")
        book = _rebuilt(before, again)
        self._remember_book(book)
        return book

    def _remember_book(self, book: Book) -> None:
        self._books.pop(book.token_id, None)
        self._books[book.token_id] = book
        if len(self._books) > BOOKS_KEPT:
            del self._books[next(iter(self._books))]


def _changes(before: tuple[Level, ...], now: tuple[Level, ...]) -> tuple[Level, ...]:
    old, new = {level.price: level.size for level in before}, {level.price: level.size for level in now}
    gone = tuple(Level(price, 0) for price in old if price not in new)
    return gone + tuple(level for level in now if old.get(level.price) != level.size)


def _rebuilt(before: Book, again: BookAgain) -> Book:
    return msgspec.structs.replace(
        before,
        requested_at=again.requested_at,
        received_at=again.received_at,
        bids=_side(before.bids, again.bids, best=-1),
        asks=_side(before.asks, again.asks, best=1),
        hash=again.hash,
    )


def _side(before: tuple[Level, ...], changes: tuple[Level, ...], best: int) -> tuple[Level, ...]:
    sizes = {level.price: level.size for level in before} | {level.price: level.size for level in changes}
    return tuple(Level(price, size) for price, size in sorted(sizes.items(), key=lambda s: best * s[0]) if size)
