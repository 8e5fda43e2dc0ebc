"""Which fills of a leader belong to one order of theirs: known by the order's hash, or by price and time where a source
does not say it. Grouping depends on the leader's fills alone, never on what a portfolio made of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from operator import attrgetter

import msgspec

from pilotfish.core.trade import Trade
from pilotfish.core.units import MICRO, SECOND, price_of

TICK_4 = 100
"""Order prices are compared in steps of 0.0001, the venue's finest tick."""
TELLING = 4 * MICRO // TICK_4
"""Shares (millionths) from which on the rounding of amounts leaves a price within half of :data:`TICK_4`."""
ORDERS_KEPT = 100
"""Leader orders remembered per portfolio, leader and token."""
ORDER_LIFE = 8 * 86_400 * SECOND
"""An order of which nothing was filled for so long (µs) is forgotten."""


_NUMBER = attrgetter("decision_id")


class LeaderOrder(msgspec.Struct):
    """An order of a leader as one portfolio knows it; ``decision_id`` is the decision on its first fill.

    ``price`` (millionths) is that of its first fill, ``last_at`` (µs) the time of its newest, ``hashes`` what any of
    them is known by. ``spent``: a fixed size was spent on it.
    """

    decision_id: int
    leader: str
    token_id: str
    price: int
    last_at: int
    hashes: tuple[str, ...] = ()
    spent: bool = False
    first_trade: int = 0
    trades: set[int] = set()

    def see(self, trade: Trade) -> None:
        """Another fill of this order, or more that is known of one."""
        self.trades.add(trade.id)
        self.last_at = max(self.last_at, trade.traded_at)
        self.hashes = trade.order_known_by(self.hashes)
        if trade.id == self.first_trade:
            self.price = rounded_price(trade.usdc, trade.shares)


def begun_by(trade: Trade, decision_id: int) -> LeaderOrder:
    """The order whose first known fill is ``trade``."""
    made = LeaderOrder(decision_id, trade.leader, trade.token_id, 0, trade.traded_at)
    made.first_trade = trade.id
    made.see(trade)
    return made


class LeaderOrders:
    """The orders of one leader and token that one portfolio knows, oldest first, at most :data:`ORDERS_KEPT`."""

    __slots__ = ("_by_hash", "_by_price", "_orders", "_unnamed")

    def __init__(self) -> None:
        self._orders: list[LeaderOrder] = []
        self._by_hash: dict[str, LeaderOrder] = {}
        """The newest order that is known by a hash."""
        self._by_price: dict[int, list[LeaderOrder]] = {}
        """Orders by the price of their first fill, oldest first."""
        self._unnamed = 0
        """How many are not known by any hash."""

    def __iter__(self) -> Iterator[LeaderOrder]:
        return iter(self._orders)

    def add(self, order: LeaderOrder) -> None:
        """Know an order, newer than all others."""
        self._orders.append(order)
        self._by_price.setdefault(order.price, []).append(order)
        self._name(order)
        while len(self._orders) > ORDERS_KEPT:
            self._forget(self._orders.pop(0))

    def join(self, trade: Trade, decision_id: int, window_sec: int, at: int) -> tuple[LeaderOrder, bool]:
        """The order that a fill belongs to, made if it is the first of one, and whether it is the first.
        ``window_sec``: how far apart fills at one price may be where a hash is not known."""
        while self._orders and at - self._orders[0].last_at > ORDER_LIFE:
            self._forget(self._orders.pop(0))
        known = self.find(trade, window_sec, at)
        if known is not None:
            self._see(known, trade)
            return known, False
        made = begun_by(trade, decision_id)
        self.add(made)
        return made, True

    def find(self, trade: Trade, window_sec: int, at: int) -> LeaderOrder | None:
        """The known order that a fill belongs to, the newest first; a hash says more than price and time."""
        named = trade.order_among(self._by_hash)
        if named is not None and at - named.last_at <= ORDER_LIFE:
            return named
        if trade.names_its_order and not self._unnamed:
            return None
        for order in self._near(trade):
            if trade.fills_order(order.hashes) is False or at - order.last_at > ORDER_LIFE:
                continue
            if abs(trade.traded_at - order.last_at) <= window_sec * SECOND and _at_price(trade, order.price):
                return order
        return None

    def _near(self, trade: Trade) -> Iterable[LeaderOrder]:
        """The orders whose price can be that of a fill, the newest first. What tells nothing of its price may be of
        any."""
        if trade.shares < TELLING:
            return reversed(self._orders)
        price = rounded_price(trade.usdc, trade.shares)
        found: list[LeaderOrder] = []
        for near in (price - TICK_4, price, price + TICK_4):
            found += self._by_price.get(near, ())
        if len(found) > 1:
            found.sort(key=_NUMBER, reverse=True)
        return found

    def expired(self, at: int) -> bool:
        """True where no order is known any more of which a further fill could be."""
        return all(at - order.last_at > ORDER_LIFE for order in self._orders)

    def learned(self, trade: Trade) -> None:
        """More is known of a fill: its order is known by hash from now on."""
        for order in self._orders:
            if trade.id in order.trades:
                self._see(order, trade)

    def _see(self, order: LeaderOrder, trade: Trade) -> None:
        self._unnamed -= not order.hashes
        price = order.price
        order.see(trade)
        if order.price != price:
            self._unprice(order, price)
            self._by_price.setdefault(order.price, []).append(order)
        self._name(order)

    def _name(self, order: LeaderOrder) -> None:
        self._unnamed += not order.hashes
        for known_by in order.hashes:
            newest = self._by_hash.get(known_by)
            if newest is None or newest.decision_id < order.decision_id:
                self._by_hash[known_by] = order

    def _unprice(self, order: LeaderOrder, price: int) -> None:
        at = self._by_price[price]
        at[:] = [other for other in at if other is not order]
        if not at:
            del self._by_price[price]

    def _forget(self, order: LeaderOrder) -> None:
        self._unnamed -= not order.hashes
        self._unprice(order, order.price)
        for known_by in order.hashes:
            if self._by_hash.get(known_by) is order:
                del self._by_hash[known_by]


def rounded_price(usdc: int, shares: int) -> int:
    """The price of a fill in whole steps of 0.0001, in millionths."""
    return (price_of(usdc, shares) + TICK_4 // 2) // TICK_4 * TICK_4


def _at_price(trade: Trade, price: int) -> bool:
    """True if the fill is one at ``price``, allowing for the rounding of its amounts to a millionth."""
    exact = trade.usdc * MICRO - trade.shares * price
    return abs(exact) <= 2 * MICRO or abs(price_of(trade.usdc, trade.shares) - price) <= TICK_4 // 2
