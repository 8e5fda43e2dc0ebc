"""What runs look up of a past: markets by token, tapes, prices. All runs that go through a past together share it: each
thing is read once, when the first of them asks, and let go of when it is over for all.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping

from pilotfish.backtest.assumptions import LINE_MAX_AGE
from pilotfish.backtest.tape import PRUNED, Tape
from pilotfish.core.units import SECOND
from pilotfish.history.columns import values_of
from pilotfish.history.kept import InColumns, point_columns
from pilotfish.history.records import Past, PastMarket, PricePoint
from pilotfish.history.spans import Spans

IDLE = 26 * 3_600
"""Seconds after which what nobody has asked for is put away; what is held is asked for every day."""


class Line:
    """The prices of one token, read as far as they are asked for."""

    def __init__(self, rows: Iterable[PricePoint] | InColumns) -> None:
        self._batches = point_columns(rows)
        self._ats: list[int] = []
        self._prices: list[int] = []
        self._all = False

    def last(self, second: int) -> tuple[int, int] | None:
        """The last second not after ``second`` of which a price is known, and that price."""
        while not self._all and (not self._ats or self._ats[-1] <= second):
            batch = next(self._batches, None)
            if batch is None:
                self._all = True
                break
            self._ats += values_of(batch.column("at"))
            self._prices += values_of(batch.column("price"))
        place = bisect_right(self._ats, second)
        return (self._ats[place - 1], self._prices[place - 1]) if place else None

    def forget(self, second: int) -> None:
        """Nobody asks any more of an instant before ``second``."""
        over = bisect_left(self._ats, second) - 1
        if over >= PRUNED:
            del self._ats[:over], self._prices[:over]


class Drawer:
    """What is open of one market: its tape, of which seconds that is whole, the prices of its tokens."""

    __slots__ = ("lines", "tape", "used", "whole")

    def __init__(self, tape: Tape | None, whole: Spans) -> None:
        self.tape, self.whole = tape, whole
        self.lines: dict[str, Line | None] = {}
        self.used = 0


class Shelf:
    """A past, as far as it is open."""

    def __init__(self, past: Past) -> None:
        self.past = past
        self.markets: Mapping[str, tuple[PastMarket, int]] = {
            token: (market, index) for market in past.markets.values() for index, token in enumerate(market.tokens)
        }
        """Token -> its market, and which of its tokens it is."""
        self._open: dict[str, Drawer] = {}

    def drawer(self, market: PastMarket, at: int) -> Drawer:
        """What there is of a market, at an instant (µs)."""
        found = self._open.get(market.condition_id)
        if found is None:
            found = self._open[market.condition_id] = self._opened(market)
        found.used = at
        return found

    def _opened(self, market: PastMarket) -> Drawer:
        past, condition = self.past, market.condition_id
        rows = past.tape.get(condition) if market.tokens else None
        tape = Tape(rows, market.tokens[0], past.wallet) if rows is not None else None
        known = past.tape_known.get(condition, ())
        return Drawer(tape, known if isinstance(known, Spans) else Spans(known))

    def line(self, drawer: Drawer, token: str) -> Line | None:
        """The prices of a token in its market's drawer."""
        if token not in drawer.lines:
            rows = self.past.prices.get(token)
            drawer.lines[token] = Line(rows) if rows is not None else None
        return drawer.lines[token]

    def is_open(self, condition: str) -> bool:
        """Whether a market's drawer is open."""
        return condition in self._open

    def forget(self, at: int) -> None:
        """No run asks any more of an instant before ``at`` (µs)."""
        second = at // SECOND
        for condition, drawer in list(self._open.items()):
            if drawer.used < at - IDLE * SECOND:
                del self._open[condition]
                continue
            if drawer.tape is not None:
                drawer.tape.forget(second - LINE_MAX_AGE)
            for line in drawer.lines.values():
                if line is not None:
                    line.forget(second - LINE_MAX_AGE)
