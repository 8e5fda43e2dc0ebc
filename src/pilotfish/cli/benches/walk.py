"""``bench walk``: real order books walked by BUYs and SELLs, against ``resolvedkit`` and, where it is installed,
``polymarket-paper-trader``. Ours reckons in integers, with ticks, whole cents and a memory of what was taken."""

from __future__ import annotations

import time
from collections.abc import Callable
from importlib import import_module
from itertools import cycle
from typing import Any, TypeAlias

from pilotfish.cli.benches.figure import DifferentError, Figure, Options, figure, rates
from pilotfish.core.book import Book, LiquidityMemory, make_book, walk_buy, walk_sell
from pilotfish.core.units import MICRO

BOOKS = 2_000
SIZES = (10, 25, 100, 1_000, 10_000)
"""USDC; each book is walked with one of them, and by a SELL of as many shares."""
_Take: TypeAlias = tuple[int, int]


def figures(_options: Options) -> list[Figure]:
    """The same books and sizes on all sides."""
    try:
        kit = import_module("resolvedkit")
        their = import_module("resolvedkit.fills")
    except ImportError:
        return []
    source = kit.load_sample()
    theirs = [book for market in source.markets() for book in source.books(market.market_id)]
    theirs = theirs[:: max(1, len(theirs) // BOOKS)]
    ours = [_ours(book, n) for n, book in enumerate(theirs)]
    memory = LiquidityMemory()

    def walked() -> list[Any]:
        return [
            (walk_buy(book, size * MICRO, MICRO, memory, "me"), walk_sell(book, size * MICRO, 1, memory, "me"))
            for book, size in zip(ours, cycle(SIZES), strict=False)
        ]

    def resolvedkit() -> list[Any]:
        buy, sell = their.walk_buy, their.walk_sell
        return [
            (buy(book.asks, float(size)), sell(book.bids, float(size)))
            for book, size in zip(theirs, cycle(SIZES), strict=False)
        ]

    for (bought, sold), (bought_there, sold_there) in zip(walked(), resolvedkit(), strict=True):
        _alike([(t.price, t.shares) for t in sold], _taken(sold_there.legs), 0)
        _alike([(t.price, t.shares) for t in bought], _taken(bought_there.legs), MICRO)
    sides: dict[str, Callable[[], object]] = {"ours": walked, "resolvedkit": resolvedkit}
    trader = _paper_trader(theirs)
    if trader is not None:
        sides["polymarket-paper-trader"] = trader
    speeds = rates(sides, 2 * len(ours), clock=time.thread_time)
    aims = {"resolvedkit": 2.0}
    return [
        figure("book walk", "walks/s", speeds["ours"], name, speeds[name], aim=aims.get(name))
        for name in sides if name != "ours"
    ]  # fmt: skip


def _ours(book: Any, number: int) -> Book:
    bids, asks = (
        [(round(level.price * MICRO), round(level.size * MICRO)) for level in side] for side in (book.bids, book.asks)
    )
    return make_book(str(number), bids, asks, requested_at=book.ts * 1000, received_at=book.ts * 1000)


def _taken(legs: Any) -> list[_Take]:
    return [(round(leg.price * MICRO), round(leg.size * MICRO)) for leg in legs if round(leg.size * MICRO)]


def _alike(mine: list[_Take], other: list[_Take], cents: int) -> None:
    """The same levels; the last one may have less here, by the venue's steps of shares and cents (``cents`` in
    millionths of a USDC). Raises :class:`~pilotfish.cli.benches.figure.DifferentError`."""
    paid, paid_there = (sum(price * shares for price, shares in takes) // MICRO for takes in (mine, other))
    if mine[:-1] != other[: max(0, len(mine) - 1)] or not -1 <= paid_there - paid <= max(1, cents // 50):
        raise DifferentError(f"a walk: ours takes {mine[:5]}…, theirs {other[:5]}…")


def _paper_trader(books: list[Any]) -> Callable[[], object] | None:
    """The other package's walks of the same books; ``None`` where it is not installed."""
    try:
        orderbook, models = import_module("pm_trader.orderbook"), import_module("pm_trader.models")
    except ImportError:
        return None
    level = models.OrderBookLevel
    own = [
        models.OrderBook(
            bids=[level(price=x.price, size=x.size) for x in book.bids],
            asks=[level(price=x.price, size=x.size) for x in book.asks],
        )
        for book in books
    ]
    return lambda: [
        (
            orderbook.simulate_buy_fill(book, float(size), 0, order_type="fak"),
            orderbook.simulate_sell_fill(book, float(size), 0, order_type="fak"),
        )
        for book, size in zip(own, cycle(SIZES), strict=False)
    ]
