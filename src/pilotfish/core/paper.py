"""The paper venue: it fills orders against real order books, a moment after they were placed, and never flatters.

It knows books, ticks, fees and what was already taken of each level, and nothing of portfolios. :class:`PlaceOrder` and
:class:`CancelOrder` go in; ``OrderFilled`` and ``OrderEnded`` come out. No book, no fill.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import msgspec

from pilotfish.core import fills
from pilotfish.core.book import CENT, Book, LevelKey, share_step, walk_buy
from pilotfish.core.effects import Delete, NeedBook, SetTimer, Upsert
from pilotfish.core.events import Market, OrderEnded, OrderFilled, OrderTried
from pilotfish.core.fees import UNKNOWN_FEE, FeeSchedule
from pilotfish.core.orders import CancelOrder, Execution, How, PlaceOrder
from pilotfish.core.records import LevelRecordKey, LevelTaken
from pilotfish.core.state import State
from pilotfish.core.timers import OrderDue
from pilotfish.core.trade import BUY
from pilotfish.core.units import Micros, Price, Shares, cost_of


class Working(msgspec.Struct, gc=False):
    """An order at the venue: when it is tried next (µs), what of it was filled, how many books were missing."""

    order: PlaceOrder
    due_at: int
    filled: int = 0
    fills: int = 0
    attempts: int = 0


class Told(Protocol):
    """Whose orders they are: told what becomes of each."""

    def filled(self, e: OrderFilled) -> None:
        """A part was filled, or all."""

    def tried(self, e: OrderTried) -> None:
        """It was tried, and is still out."""

    def ended(self, e: OrderEnded) -> None:
        """It is over."""


class Paper:
    """Says what it asks for and writes among the effects (``state.out``), and tells the ``books`` what became of
    orders; of the state it reads markets and what was taken of each level, nothing else."""

    def __init__(self, state: State, books: Told) -> None:
        self.memory = state.memory
        self._markets: Mapping[str, Market] = state.markets
        self._state = state
        self._books = books
        self._orders: dict[int, Working] = {}
        self._waiting: dict[str, dict[int, None]] = {}
        """Token -> orders that wait for a book of it."""

    # -- orders ------------------------------------------------------------------------------------------------

    def place(self, order: PlaceOrder, at: int) -> None:
        """Take an order; it reaches the book at its ``due_at``."""
        due = max(at, order.due_at)
        self._orders[order.order_id] = Working(order, due, 0, order.fills, order.missing)
        self._state.ask(SetTimer(OrderDue(order.order_id), due))

    def cancel(self, cancel: CancelOrder, at: int) -> None:
        """Take an order back; one that has ended already has been told of."""
        working = self._orders.get(cancel.order_id)
        if working is not None:
            self._end(working, How.CANCELLED, at)

    def due(self, order_id: int, at: int) -> None:
        """An order has reached the venue, or is tried again: read the book."""
        working = self._orders.get(order_id)
        if working is None or at < working.due_at:
            return
        self._waiting.setdefault(working.order.token_id, {})[order_id] = None
        self._state.ask(NeedBook(working.order.token_id))

    def timers(self, at: int) -> list[SetTimer]:
        """When each order is due, none before ``at``."""
        return [SetTimer(OrderDue(number), max(at, w.due_at)) for number, w in self._orders.items()]

    # -- books -------------------------------------------------------------------------------------------------

    def on_book(self, book: Book, at: int) -> None:
        """A book came: what waits for it is filled. A book of before an order was due is read again."""
        for level in self.memory.refresh(book):
            self._state.out.append(Delete(level_key(book.token_id, level)))
        for number in self._those_waiting(book.token_id):
            working = self._orders.get(number)
            if working is None:
                continue
            if book.requested_at < working.due_at:
                self.due(number, at)
            elif working.order.side is BUY:
                self._buy(working, book, at)
            else:
                self._sell(working, book, at)

    def on_no_book(self, token_id: str, at: int) -> None:
        """No book could be had: a BUY gives up after a few tries, an exit goes on until its time is over."""
        for number in self._those_waiting(token_id):
            working = self._orders.get(number)
            if working is None:
                continue
            working.attempts += 1
            order = working.order
            over = working.attempts >= order.attempts if order.side is BUY else at >= order.give_up_at
            if over:
                self._end(working, How.NO_BOOK, at)
            else:
                self._later(working, at, None)

    def waiting(self, token_id: str) -> list[PlaceOrder]:
        """The orders that wait for a book of a token, as they would be filled: what is left of each."""
        return [_left(self._orders[n]) for n in sorted(self._waiting.get(token_id, ())) if n in self._orders]

    def _those_waiting(self, token_id: str) -> list[int]:
        """The orders that wait for a book of a token, an account after the other, each in the order of its orders."""
        known = [n for n in self._waiting.pop(token_id, ()) if n in self._orders]
        if len(known) < 2:
            return known
        return sorted(known, key=lambda n: (self._orders[n].order.account, n))

    def drop(self, token_id: str) -> None:
        """A token trades no longer: forget what was taken of it."""
        for level in self.memory.drop(token_id):
            self._state.out.append(Delete(level_key(token_id, level)))

    # -- filling -----------------------------------------------------------------------------------------------

    def _schedule(self, token_id: str) -> FeeSchedule:
        market = self._markets.get(token_id)
        return market.fee if market is not None else UNKNOWN_FEE

    def _buy(self, working: Working, book: Book, at: int) -> None:
        order = working.order
        fee = self._schedule(order.token_id)
        fill = fills.simulate_buy(
            book, order.budget, order.limit, order.spend, fee, self.memory, order.account, order.shares
        )
        if fill is None:
            broke = bool(walk_buy(book, order.budget, order.limit, self.memory, order.account, order.shares))
            return self._end(working, How.NO_CASH if broke else How.UNFILLED, at)
        self._filled(working, fill, fee, order.limit, at)
        step = share_step(book.tick)
        left = order.budget // CENT * CENT - fill.usdc
        whole = left <= cost_of(step, fill.takes[-1].price) or 0 <= order.shares - fill.shares < step
        return self._end(working, How.FILLED if whole else How.PARTIAL, at)

    def _sell(self, working: Working, book: Book, at: int) -> None:
        order = working.order
        limit = order.limit
        if order.slack is not None and book.tick < order.slack.tick:
            limit = order.slack.limit(book.tick)
        fee = self._schedule(order.token_id)
        left = order.shares - working.filled
        fill = fills.simulate_sell(book, left, limit, fee, self.memory, order.account)
        if fill is not None:
            self._filled(working, fill, fee, limit, at)
        if fill is not None and fill.shares == left:
            return self._end(working, How.FILLED, at)
        if order.order_id not in self._orders:
            return None
        if at >= order.give_up_at:
            return self._end(working, How.LIMIT, at)
        return self._later(working, at, limit)

    def _filled(self, working: Working, fill: fills.PaperFill, schedule: FeeSchedule, limit: int, at: int) -> None:
        order, out = working.order, self._state.out
        for take in fill.takes:
            taken = self.memory.take(order.account, order.token_id, order.side, take.price, take.shares)
            level = LevelTaken(order.account, order.token_id, order.side, Price(take.price), Shares(taken), Micros(at))
            out.append(Upsert(level))
        working.filled += fill.shares
        working.fills += 1
        execution = Execution(fill.takes, fill.shares, fill.usdc, fill.fee, schedule, fill.mid2, limit)
        self._books.filled(OrderFilled(at=at, order_id=order.order_id, number=working.fills, execution=execution))

    def _later(self, working: Working, at: int, limit: int | None) -> None:
        number = working.order.order_id
        working.due_at = at + working.order.retry_us
        self._state.ask(SetTimer(OrderDue(number), working.due_at))
        tried = OrderTried(at=at, order_id=number, attempts=working.attempts, due_at=working.due_at, limit=limit)
        self._books.tried(tried)

    def _end(self, working: Working, how: How, at: int) -> None:
        if self._orders.pop(working.order.order_id, None) is not None:
            ended = OrderEnded(
                at=at, order_id=working.order.order_id, how=how, attempts=working.attempts, due_at=working.due_at
            )
            self._books.ended(ended)


def _left(working: Working) -> PlaceOrder:
    order = working.order
    return msgspec.structs.replace(order, shares=order.shares - working.filled) if working.filled else order


def level_key(token_id: str, level: LevelKey) -> LevelRecordKey:
    """The key of a level's row (table ``liquidity_taken``)."""
    account, side, price = level
    return LevelRecordKey(portfolio=account, token_id=token_id, side=side, price_micro=Price(price))
