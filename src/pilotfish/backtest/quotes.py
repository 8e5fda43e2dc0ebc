"""Order books for an engine that runs through the past, by the best that is known of the instant.

*Book*: a recorded one that stood at the instant, or was read within some seconds before. *Tape*: an order is filled
only by what printed after it had arrived, within its limit, at a share of it, never by the leader's own trades; what a
decision looks at comes from before. A fill is booked when the order arrived, and its print may come up to the horizon
later, so in and out within the horizon must not meet prints in the wrong order: a BUY has none from the second on in
which the leader is seen to SELL, and an order to SELL none from before those that a BUY of the same token, booked
before it arrived, had. A SELL needs no such end when a BUY follows: the shares were there, and each of the two could
have been had when it printed. *Line*: the last known price with an assumed half-spread and depth. The tier of
each book is told with it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import TypeAlias

import msgspec

from pilotfish.backtest.assumptions import LINE_MAX_AGE, Assumptions
from pilotfish.backtest.shelf import Drawer, Shelf
from pilotfish.backtest.source import LAST
from pilotfish.backtest.tape import Had, bought, price_of_token
from pilotfish.core.book import Book, Level, make_book
from pilotfish.core.orders import PlaceOrder
from pilotfish.core.trade import Side
from pilotfish.core.units import MICRO, SECOND
from pilotfish.history.book_track import BookTrack
from pilotfish.history.records import PastMarket

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
    """A book with its tier; ``after`` is what the venue shows once the orders that wait for it are through. ``thin``:
    what waits finds nothing in it although no price was against it, since nobody traded."""

    book: Book
    tier: Tier
    after: Book | None = None
    thin: bool = False


class Quotes:
    """What one run finds on a shelf: ``books`` is what was recorded of a token. ``by_tape`` = False: as if no tape were
    known."""

    def __init__(
        self, shelf: Shelf, books: Mapping[str, BookTrack], assumed: Assumptions, *, by_tape: bool = True
    ) -> None:
        self._shelf = shelf
        self._had: dict[str, Had] = {}
        """Condition -> what copies of this run have had of its tape."""
        self._books = books
        self._by_tape = by_tape
        self.assumed = assumed

    def asked(self, token: str, at: int) -> Quote | None:
        """What the worker was answered when it asked for a token's book at an instant (µs), where it did: the book
        comes when it came then."""
        track = self._books.get(token)
        found = track.asked(at, ASKED_WITHIN) if track is not None else None
        return (
            Quote(book=found, tier=Tier.BOOK) if found is not None and found.token_id in self._shelf.markets else None
        )

    def at(self, token: str, at: int, waiting: Sequence[PlaceOrder], out: int = LAST) -> Quote | None:
        """The book of a token at an instant (µs), as far as it is known, for the orders that wait for it. From ``out``
        (µs) on, when the leader is seen to sell next, nothing that prints is for a BUY."""
        known = self._shelf.markets.get(token)
        if known is None:
            return None
        market, index = known
        if market.closed_at is not None and at >= market.closed_at * SECOND:
            return None
        recorded = self._recorded(token, at)
        if recorded is not None:
            return Quote(book=recorded, tier=Tier.BOOK)
        drawer = self._shelf.drawer(market, at)
        seen = self._seen(drawer, market, index, token, at)
        if seen is None:
            return None
        bid, ask = seen
        quoted = Book(
            token_id=token, bids=(Level(bid, PLENTY),), asks=(Level(ask, PLENTY),), requested_at=at, received_at=at,
            tick=market.tick,
        )  # fmt: skip
        if not waiting:
            return Quote(book=quoted, tier=Tier.LINE)
        if self._whole(drawer, at):
            bids, asks, beyond = self._printed(drawer, market, index, at, waiting, out)
            thin = not (bids or asks or beyond)
            book = _around(market, token, bids, asks, bid, ask, at)
            return Quote(book=book, tier=Tier.TAPE, after=quoted, thin=thin)
        depth = self.assumed.depth_usdc
        bids, asks = [(bid, depth * MICRO // bid)], [(ask, depth * MICRO // ask)]
        return Quote(book=_book(market, token, bids, asks, at), tier=Tier.LINE, after=quoted)

    def filled(self, token: str, side: Side, price: int, shares: int, at: int) -> None:
        """An order got shares at a price of the tape: nobody else gets them."""
        market, index = self._shelf.markets[token]
        tape = self._shelf.drawer(market, at).tape
        had = self._had.setdefault(market.condition_id, Had())
        begin = had.sold_from.get(index, 0) if side is Side.SELL else 0
        for number, took in tape.after(at, at + self.assumed.horizon_sec * SECOND) if tape is not None else ():
            if shares <= 0:
                break
            if took.at > begin and bought(took, index) == (side is Side.BUY) and price_of_token(took, index) == price:
                got = min(shares, had.left(number, took, self.assumed.share_ppm))
                if got:
                    had.have(number, got)
                    shares -= got
                    if side is Side.BUY:
                        had.bought[index] = (at, max(took.at, had.bought.get(index, (0, 0))[1]))

    def forget(self) -> None:
        """Let go of what belongs to markets that the shelf has put away."""
        self._had = {condition: had for condition, had in self._had.items() if self._shelf.is_open(condition)}

    # -- what is known -----------------------------------------------------------------------------------------

    def _recorded(self, token: str, at: int) -> Book | None:
        track = self._books.get(token)
        return track.at(at, self.assumed.book_max_age_sec * SECOND) if track is not None else None

    def _whole(self, drawer: Drawer, at: int) -> bool:
        """Whether the tape is known from an instant to the end of what a copy may wait for."""
        first = at // SECOND
        return self._by_tape and drawer.whole.hold(first, first + self.assumed.horizon_sec)

    def _seen(self, drawer: Drawer, market: PastMarket, index: int, token: str, at: int) -> tuple[int, int] | None:
        """Bid and ask by the last that was known: a take, or the price line where that is newer."""
        took = drawer.tape.last_before(at) if drawer.tape is not None else None
        line = self._shelf.line(drawer, token)
        point = line.last(at // SECOND) if line is not None else None
        if took is not None and (point is None or took.at >= point[0]):
            price = price_of_token(took, index)
            apart = 2 * self.assumed.half_spread_at(price)
            bid, ask = (price - apart, price) if bought(took, index) else (price, price + apart)
            then = took.at
        elif point is not None:
            then, price = point
            apart = self.assumed.half_spread_at(price)
            bid, ask = price - apart, price + apart
        else:
            return None
        if at // SECOND - then > LINE_MAX_AGE:
            return None
        tick = market.tick
        bid = max(tick, bid // tick * tick)
        ask = min(MICRO - tick, -(-ask // tick) * tick)
        return (bid, ask) if bid < ask else None

    def _printed(
        self, drawer: Drawer, market: PastMarket, index: int, at: int, waiting: Sequence[PlaceOrder], out: int
    ) -> tuple[Levels, Levels, bool]:
        """What printed after an instant that these orders can have: in the order of time, until they are full, so that
        no later print at a better price fills them; and whether something printed on their side beyond their limit.
        BUYs have what printed in the seconds before ``out`` (µs), SELLs what printed after what they sell was had."""
        beyond = False
        tape, had = drawer.tape, self._had.get(market.condition_id) or Had()
        bids: Levels = []
        asks: Levels = []
        buys = [o for o in waiting if o.side is Side.BUY]
        sells = [o for o in waiting if o.side is Side.SELL]
        to_spend, highest = sum(o.budget for o in buys), max((o.limit for o in buys), default=0)
        to_sell, lowest = sum(o.shares for o in sells), min((o.limit for o in sells), default=MICRO)
        begin = had.sold_from[index] = had.sellable_after(index, min(o.due_at for o in sells)) if sells else 0
        end = out // SECOND
        for number, took in tape.after(at, at + self.assumed.horizon_sec * SECOND) if tape is not None else ():
            if to_spend <= 0 and to_sell <= 0:
                break
            taken = bought(took, index)
            if took.at >= end if taken else took.at <= begin:
                continue
            price = price_of_token(took, index)
            free = had.left(number, took, self.assumed.share_ppm)
            if not free:
                continue
            if taken and price <= highest and to_spend > 0:
                free = min(free, -(-to_spend * MICRO // price))
                asks.append((price, free))
                to_spend -= free * price // MICRO
            elif not taken and price >= lowest and to_sell > 0:
                free = min(free, to_sell)
                bids.append((price, free))
                to_sell -= free
            else:
                beyond = beyond or (to_spend > 0 if taken else to_sell > 0)
        return bids, asks, beyond


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
