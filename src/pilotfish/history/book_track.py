"""The books of one token over time, kept small: rows as integers, and a book made of them for the instant it is asked.

A whole book is kept for each snapshot and at least every :data:`EVERY` changes; the book of an instant is the whole one
before it with the changes since. Between a gap and the next whole book there is none.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from pilotfish.core.book import Book, make_book
from pilotfish.core.trade import Side
from pilotfish.core.units import MICRO, SECOND
from pilotfish.polymarket.book_rows import BookRow, Heard, micro

EVERY = 256
_BID, _ASK, _TICK, _WHOLE, _GAP = range(5)
ALWAYS = ((0, 2**62),)
LONGEST_ANSWER = 30 * SECOND
STANDS = 60 * SECOND
"""How long a book that was read once is taken to stand (µs), unless something else is said."""


class _Whole(NamedTuple):
    bids: array[int]
    """Price, size, price, size, …: millionths."""
    asks: array[int]
    tick: int
    min_size: int


class _Answer(NamedTuple):
    requested_at: int
    received_at: int
    book: _Whole


class BookTrack:
    """Rows of one token, taken in with :meth:`see` in the order of their arrival; of those outside ``spans`` (µs, from
    and to, in order) only what they lead to is kept."""

    def __init__(self, token_id: str, spans: Sequence[tuple[int, int]] = ALWAYS) -> None:
        self.token_id = token_id
        self._spans = spans
        self._span, self._inside = 0, False
        self._ats, self._kinds = array("q"), bytearray()
        self._prices, self._sizes = array("q"), array("q")
        """Of a whole book ``_prices`` is its place in ``_wholes``."""
        self._wholes: list[_Whole] = []
        self._since = 0
        self._answers: list[_Answer] = []
        self._given: list[int] = []
        self._used: list[int] = []
        """When the kept book was asked for."""
        self._bids: dict[int, int] = {}
        self._asks: dict[int, int] = {}
        self._tick, self._min = 10_000, 5 * MICRO
        self._stands = False

    def __len__(self) -> int:
        return len(self._ats) + len(self._answers)

    # -- taking in -----------------------------------------------------------------------------------------------

    def see(self, row: BookRow) -> None:
        """Take a row in. Rows that follow from nothing are left out."""
        if self._ats and row.at < self._ats[-1] and row.kind is not Heard.ANSWER:
            return  # of an earlier recording, which a later one has taken over from
        self._reach(row.at)
        match row.kind:
            case Heard.SNAPSHOT:
                self._bids = _side(row.bid_prices, row.bid_sizes)
                self._asks = _side(row.ask_prices, row.ask_sizes)
                self._tick = micro(row.tick) if row.tick else self._tick
                self._min = micro(row.min_size) if row.min_size else self._min
                self._stands = True
                self._keep(row.at)
            case Heard.DELTA if self._stands:
                side, price, size = Side(row.side), micro(row.price), micro(row.size)
                levels = self._bids if side is Side.BUY else self._asks
                if size:
                    levels[price] = size
                else:
                    levels.pop(price, None)
                self._add(row.at, _BID if side is Side.BUY else _ASK, price, size)
            case Heard.TICK if self._stands:
                self._tick = micro(row.price)
                self._add(row.at, _TICK, self._tick, 0)
            case Heard.ASKED if self._inside:
                insort(self._used, row.at)
            case Heard.GAP:
                self.end(row.since or row.at)
            case Heard.ANSWER if self._inside:
                tick = micro(row.tick) if row.tick else self._tick
                least = micro(row.min_size) if row.min_size else self._min
                whole = _Whole(
                    _flat(_side(row.bid_prices, row.bid_sizes)),
                    _flat(_side(row.ask_prices, row.ask_sizes)),
                    tick,
                    least,
                )
                place = bisect_right(self._given, row.at)
                self._answers.insert(place, _Answer(row.since, row.at, whole))
                self._given.insert(place, row.at)
            case _:
                pass

    def end(self, at: int) -> None:
        """From an instant on nothing is known, whatever was told since."""
        self._reach(at)
        if self._stands or (self._ats and at < self._ats[-1]):
            self._cut(at)
        self._stands = False

    def _reach(self, at: int) -> None:
        """It is an instant: what stood when a span began is kept as of then, and after a span nothing is known."""
        while self._span < len(self._spans) and at >= self._spans[self._span][0]:
            begin, end = self._spans[self._span]
            if not self._inside:
                self._inside = True
                if self._stands:
                    self._keep(begin)
            if at <= end:
                return
            self._cut(end + 1)
            self._inside, self._span = False, self._span + 1

    def _cut(self, at: int) -> None:
        place = bisect_left(self._ats, at)
        del self._ats[place:], self._kinds[place:], self._prices[place:], self._sizes[place:]
        if self._kinds and self._kinds[-1] != _GAP:
            self._push(at, _GAP, 0, 0)

    def _push(self, at: int, kind: int, price: int, size: int) -> None:
        self._ats.append(at)
        self._kinds.append(kind)
        self._prices.append(price)
        self._sizes.append(size)

    def _add(self, at: int, kind: int, price: int, size: int) -> None:
        if not self._inside:
            return
        self._push(at, kind, price, size)
        self._since += 1
        if self._since >= EVERY:
            self._keep(at)

    def _keep(self, at: int) -> None:
        if self._inside:
            self._wholes.append(_Whole(_flat(self._bids), _flat(self._asks), self._tick, self._min))
            self._push(at, _WHOLE, len(self._wholes) - 1, 0)
            self._since = 0

    # -- asking --------------------------------------------------------------------------------------------------

    def at(self, at: int, stands: int = STANDS) -> Book | None:
        """The book that was known at an instant (µs), as of then; ``None`` in a gap. One that was read once is taken to
        stand for ``stands`` µs, if nothing newer is known."""
        place = bisect_right(self._ats, at) - 1
        kept = place >= 0 and self._kinds[place] != _GAP
        answer = bisect_right(self._given, at) - 1
        if kept:
            return self._made(place, at, at)
        if answer >= 0 and at - self._given[answer] <= stands:
            return self._book(self._answers[answer].book, at, at)
        return None

    def asked(self, at: int, within: int) -> Book | None:
        """What the worker was answered when it asked at an instant (µs), or at most ``within`` µs later: the kept book
        as it stood then, or what was read over HTTP, whichever it asked for first."""
        place = bisect_left(self._used, at)
        used = self._used[place] if place < len(self._used) and self._used[place] <= at + within else None
        for found in self._answers[bisect_left(self._given, at) :]:
            if at <= found.requested_at <= at + within and (used is None or found.requested_at < used):
                return self._book(found.book, found.requested_at, found.received_at)
            if found.received_at > at + within + LONGEST_ANSWER:
                break
        return self.at(used) if used is not None else None

    def books(self) -> Iterator[Book]:
        """Every book in the order of time, each as of when it was known; an empty one where none was then."""
        for place, at in enumerate(self._ats):
            last = place + 1 == len(self._ats) or self._ats[place + 1] != at
            if last:
                yield self._made(place, at, at) or Book(
                    token_id=self.token_id, bids=(), asks=(), requested_at=at, received_at=at
                )

    def answers(self) -> Iterator[Book]:
        """Every book that was read once."""
        for found in self._answers:
            yield self._book(found.book, found.requested_at, found.received_at)

    def known(self) -> list[tuple[int, int]]:
        """The stretches (µs) in which every change is known, as (from, to)."""
        found: list[tuple[int, int]] = []
        begun: int | None = None
        for at, kind in zip(self._ats, self._kinds, strict=True):
            if kind == _GAP and begun is not None:
                found.append((begun, at))
                begun = None
            elif kind != _GAP and begun is None:
                begun = at
        if begun is not None:
            found.append((begun, self._ats[-1]))
        return found

    def _made(self, place: int, requested_at: int, received_at: int) -> Book | None:
        if self._kinds[place] == _GAP:
            return None
        first = place
        while self._kinds[first] != _WHOLE:
            first -= 1
        whole = self._wholes[self._prices[first]]
        bids, asks, tick = dict(_pairs(whole.bids)), dict(_pairs(whole.asks)), whole.tick
        for i in range(first + 1, place + 1):
            kind, price, size = self._kinds[i], self._prices[i], self._sizes[i]
            if kind == _TICK:
                tick = price
                continue
            side = bids if kind == _BID else asks
            if size:
                side[price] = size
            else:
                side.pop(price, None)
        return make_book(
            self.token_id, list(bids.items()), list(asks.items()), requested_at=requested_at, received_at=received_at,
            tick=tick, min_size=whole.min_size,
        )  # fmt: skip

    def _book(self, whole: _Whole, requested_at: int, received_at: int) -> Book:
        return make_book(
            self.token_id, list(_pairs(whole.bids)), list(_pairs(whole.asks)), requested_at=requested_at,
            received_at=received_at, tick=whole.tick, min_size=whole.min_size,
        )  # fmt: skip


def track_of(token_id: str, rows: Iterable[BookRow]) -> BookTrack:
    """The track of some rows of one token, in the order of their arrival."""
    track = BookTrack(token_id)
    for row in rows:
        track.see(row)
    return track


def _side(prices: tuple[str, ...], sizes: tuple[str, ...]) -> dict[int, int]:
    side: dict[int, int] = {}
    for price, size in zip(prices, sizes, strict=True):
        if amount := micro(size):
            at = micro(price)
            side[at] = side.get(at, 0) + amount
    return side


def _flat(side: dict[int, int]) -> array[int]:
    return array("q", (n for level in side.items() for n in level))


def _pairs(flat: array[int]) -> Iterator[tuple[int, int]]:
    return zip(flat[::2], flat[1::2], strict=True)
