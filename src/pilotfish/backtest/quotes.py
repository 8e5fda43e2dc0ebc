"""Order books for an engine that runs through the past, by the best that is known of the instant.

*Book*: a recorded one that stood at the instant, or was read within some seconds before. *Tape*: an order is filled
only by what printed after it had arrived, within its limit, at a share of it, never by the leader's own trades; what a
decision looks at comes from before. *Line*: the last known price with an assumed half-spread and depth. The tier of
each book is told with it.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import TypeAlias

import msgspec

from pilotfish.backtest.assumptions import LINE_MAX_AGE, Assumptions
from pilotfish.backtest.tape import Tape, bought, price_of_token
from pilotfish.core.book import Book, make_book
from pilotfish.core.orders import PlaceOrder
from pilotfish.core.trade import Side
from pilotfish.core.units import MICRO, SECOND
from pilotfish.history.book_track import BookTrack
from pilotfish.history.records import PastMarket, PricePoint

Levels: TypeAlias = list[tuple[int, int]]
"""(price, shares) in millionths."""
ASKED_WITHIN = SECOND // 2
"""µs within which a question of the worker counts as this one: it asked when it needed the book."""
PLENTY = 10**12
"""Shares (millionths) of a quoted level that a decision looks at; an order never meets it."""


class Tier(StrEnum):
    """What a fill rests on, best first."""

    BOOK = "book"
    TAPE = "tape"
    LINE = "line"


class Quote(msgspec.Struct, frozen=True, kw_only=True):
    """A book with its tier; ``after`` is what the venue shows once the orders that wait for it are through."""

    book: Book
    tier: Tier
    after: Book | None = None


class Quotes:
    """``tapes`` by condition, ``known`` the seconds (from, to) of each that are whole, ``prices`` by token, oldest
    first, ``books`` what was recorded of a token."""

    def __init__(
        self,
        markets: Mapping[str, PastMarket],
        tapes: Mapping[str, Tape],
        known: Mapping[str, Sequence[tuple[int, int]]],
        prices: Mapping[str, Sequence[PricePoint]],
        books: Mapping[str, BookTrack],
        assumed: Assumptions,
    ) -> None:
        self._market_of = {token: (m, i) for m in markets.values() for i, token in enumerate(m.tokens)}
        self._tapes = {condition: tape.fresh() for condition, tape in tapes.items()}
        self._known = known
        self._prices = prices
        self._ats = {token: [p.at for p in line] for token, line in prices.items()}
        self._books = books
        self.assumed = assumed

    def asked(self, token: str, at: int) -> Quote | None:
        """What the worker was answered when it asked for a token's book at an instant (µs), where it did: the book
        comes when it came then."""
        track = self._books.get(token)
        found = track.asked(at, ASKED_WITHIN) if track is not None else None
        return Quote(book=found, tier=Tier.BOOK) if found is not None and found.token_id in self._market_of else None

    def at(self, token: str, at: int, waiting: Sequence[PlaceOrder]) -> Quote | None:
        """The book of a token at an instant (µs), as far as it is known, for the orders that wait for it."""
        if token not in self._market_of:
            return None
        market, index = self._market_of[token]
        if market.closed_at is not None and at >= market.closed_at * SECOND:
            return None
        recorded = self._recorded(token, at)
        if recorded is not None:
            return Quote(book=recorded, tier=Tier.BOOK)
        seen = self._seen(market, index, token, at)
        if seen is None:
            return None
        bid, ask = seen
        if not waiting:
            return Quote(book=_book(market, token, [(bid, PLENTY)], [(ask, PLENTY)], at), tier=Tier.LINE)
        quoted = _book(market, token, [(bid, PLENTY)], [(ask, PLENTY)], at)
        if self._whole(market.condition_id, at):
            bids, asks = self._printed(market, index, at, waiting)
            return Quote(book=_around(market, token, bids, asks, bid, ask, at), tier=Tier.TAPE, after=quoted)
        depth = self.assumed.depth_usdc
        bids, asks = [(bid, depth * MICRO // bid)], [(ask, depth * MICRO // ask)]
        return Quote(book=_book(market, token, bids, asks, at), tier=Tier.LINE, after=quoted)

    def filled(self, token: str, side: Side, price: int, shares: int, at: int) -> None:
        """An order got shares at a price of the tape: nobody else gets them."""
        market, index = self._market_of[token]
        tape = self._tapes.get(market.condition_id)
        for number, took in tape.after(at, at + self.assumed.horizon_sec * SECOND) if tape is not None else ():
            if shares <= 0:
                break
            if bought(took, index) == (side is Side.BUY) and price_of_token(took, index) == price:
                got = min(shares, tape.left(number, self.assumed.share_ppm)) if tape is not None else 0
                if tape is not None and got:
                    tape.have(number, got)
                    shares -= got

    # -- what is known -----------------------------------------------------------------------------------------

    def _recorded(self, token: str, at: int) -> Book | None:
        track = self._books.get(token)
        return track.at(at, self.assumed.book_max_age_sec * SECOND) if track is not None else None

    def _whole(self, condition: str, at: int) -> bool:
        """Whether the tape is known from an instant to the end of what a copy may wait for."""
        first, last = at // SECOND, at // SECOND + self.assumed.horizon_sec
        return any(begin <= first and last <= end for begin, end in self._known.get(condition, ()))

    def _seen(self, market: PastMarket, index: int, token: str, at: int) -> tuple[int, int] | None:
        """Bid and ask by the last that was known: a take, or the price line where that is newer."""
        tape = self._tapes.get(market.condition_id)
        took = tape.last_before(at) if tape is not None else None
        place = bisect_right(self._ats.get(token, ()), at // SECOND)
        point = self._prices[token][place - 1] if place else None
        if took is not None and (point is None or took.at >= point.at):
            price = price_of_token(took, index)
            apart = 2 * self.assumed.half_spread_at(price)
            bid, ask = (price - apart, price) if bought(took, index) else (price, price + apart)
            then = took.at
        elif point is not None:
            apart = self.assumed.half_spread_at(point.price)
            bid, ask, then = point.price - apart, point.price + apart, point.at
        else:
            return None
        if at // SECOND - then > LINE_MAX_AGE:
            return None
        tick = market.tick
        bid = max(tick, bid // tick * tick)
        ask = min(MICRO - tick, -(-ask // tick) * tick)
        return (bid, ask) if bid < ask else None

    def _printed(self, market: PastMarket, index: int, at: int, waiting: Sequence[PlaceOrder]) -> tuple[Levels, Levels]:
        """What printed after an instant that these orders can have: in the order of time, until they are full, so that
        no later print at a better price fills them."""
        tape = self._tapes.get(market.condition_id)
        bids: Levels = []
        asks: Levels = []
        buys = [o for o in waiting if o.side is Side.BUY]
        sells = [o for o in waiting if o.side is Side.SELL]
        to_spend, highest = sum(o.budget for o in buys), max((o.limit for o in buys), default=0)
        to_sell, lowest = sum(o.shares for o in sells), min((o.limit for o in sells), default=MICRO)
        for number, took in tape.after(at, at + self.assumed.horizon_sec * SECOND) if tape is not None else ():
            assert tape is not None
            price = price_of_token(took, index)
            free = tape.left(number, self.assumed.share_ppm)
            if not free:
                continue
            if bought(took, index) and price <= highest and to_spend > 0:
                free = min(free, -(-to_spend * MICRO // price))
                asks.append((price, free))
                to_spend -= free * price // MICRO
            elif not bought(took, index) and price >= lowest and to_sell > 0:
                free = min(free, to_sell)
                bids.append((price, free))
                to_sell -= free
        return bids, asks


def _around(
    market: PastMarket,
    token: str,
    bids: Levels,
    asks: Levels,
    bid: int,
    ask: int,
    at: int,
) -> Book:
    """What printed, and on a side where nothing did the quote of before, moved so that the book is not crossed."""
    tick = market.tick
    if asks and not bids:
        best = min(price for price, _ in asks)
        bids = [(max(1, min(bid, best - tick)), 1)]
    elif bids and not asks:
        best = max(price for price, _ in bids)
        asks = [(min(MICRO - 1, max(ask, best + tick)), 1)]
    elif not bids and not asks:
        bids, asks = [], []
    else:
        best_bid, best_ask = max(p for p, _ in bids), min(p for p, _ in asks)
        if best_bid >= best_ask:
            bids = [(p, n) for p, n in bids if p < best_ask] or [(max(1, best_ask - tick), 1)]
    return _book(market, token, bids, asks, at)


def _book(market: PastMarket, token: str, bids: Levels, asks: Levels, at: int) -> Book:
    return make_book(token, bids, asks, requested_at=at, received_at=at, tick=market.tick)
