"""A market's tape: who took, in which direction, how much at which price, and how much of that a copy could have had.

The venue's rows name both sides of each match and not who took. In a transaction the one order on one side that meets
several on the other is the taker's; of one against one the tick test decides: a trade above the last one was bought,
one below it sold, one at the same price goes the way of the last (C. Lee and M. Ready, "Inferring Trade Direction from
Intraday Data", Journal of Finance 46, 1991). Buying one outcome at p is selling the other at 1 − p, so a market has
one tape: everything is said of its first token.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

import msgspec

from pilotfish.core.trade import Side
from pilotfish.core.units import MICRO, SECOND
from pilotfish.history.records import Print


class Took(msgspec.Struct, frozen=True, gc=False):
    """What a taker took at one price: ``up`` = bought the first token (or sold the second). ``price`` and ``shares`` in
    millionths, of the first token; ``theirs``: the leader had a part in it."""

    at: int
    up: bool
    price: int
    shares: int
    theirs: bool


class Tape:
    """The takes of one market, oldest first. What a copy has had of a take is gone for the next one: ``had``."""

    def __init__(self, takes: Sequence[Took]) -> None:
        self.takes = takes
        self._ats = [t.at for t in takes]
        self._had: dict[int, int] = {}

    def fresh(self) -> Tape:
        """The same tape, of which nothing was had yet."""
        again = Tape.__new__(Tape)
        again.takes, again._ats, again._had = self.takes, self._ats, {}
        return again

    def last_before(self, at: int) -> Took | None:
        """The last take that was known at ``at`` (µs)."""
        place = bisect_right(self._ats, at // SECOND)
        return self.takes[place - 1] if place else None

    def after(self, at: int, until: int) -> Iterator[tuple[int, Took]]:
        """The takes that came after ``at`` and not after ``until`` (µs), each with its number."""
        place = bisect_right(self._ats, at // SECOND)
        while place < len(self.takes) and self._ats[place] * SECOND <= until:
            yield place, self.takes[place]
            place += 1

    def left(self, number: int, share_ppm: int) -> int:
        """Shares of a take that a copy can have: its part, without what was had already, and none of the leader's."""
        took = self.takes[number]
        return 0 if took.theirs else max(0, took.shares * share_ppm // MICRO - self._had.get(number, 0))

    def have(self, number: int, shares: int) -> None:
        """Shares of a take were had."""
        self._had[number] = self._had.get(number, 0) + shares


def price_of_token(took: Took, index: int) -> int:
    """A take's price for the first (0) or second (1) token."""
    return took.price if index == 0 else MICRO - took.price


def bought(took: Took, index: int) -> bool:
    """True if the taker bought the token, or sold its opposite: what was taken were asks."""
    return took.up == (index == 0)


def read_tape(prints: Iterable[Print], first_token: str, wallet: str) -> Tape:
    """The tape of a market out of its rows; ``wallet`` is the leader's, whose own trades nobody else can have."""
    takes: list[Took] = []
    last_price, last_up = 0, True
    ordered = sorted(prints, key=lambda p: (p.at, p.tx_hash))
    for (at, _), rows in groupby(ordered, key=lambda p: (p.at, p.tx_hash)):
        mine = list(rows)
        theirs = any(row.wallet == wallet for row in mine)
        legs: dict[bool, list[tuple[int, int]]] = {True: [], False: []}
        for row in mine:
            first = row.token_id == first_token
            price = row.price if first else MICRO - row.price
            legs[(row.side is Side.BUY) == first].append((price, row.shares))
        up = _direction(legs, last_price, last_up)
        for price, shares in sorted(legs[not up] or legs[up], reverse=not up):
            if 0 < price < MICRO:
                takes.append(Took(at, up, price, shares, theirs))
                last_price = price
        last_up = up
    return Tape(takes)


def _direction(legs: dict[bool, list[tuple[int, int]]], last_price: int, last_up: bool) -> bool:
    """Whether the taker bought the first token."""
    ups, downs = legs[True], legs[False]
    if not downs or (len(ups) == 1 and len(downs) > 1):
        return True
    if not ups or (len(downs) == 1 and len(ups) > 1):
        return False
    price = downs[0][0]
    if not last_price or price == last_price:
        return last_up
    return price > last_price
