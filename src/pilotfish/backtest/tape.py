"""A market's tape as it is gone through in time: what was taken before an instant and after it, and how much of that a
copy could have had.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator

from pilotfish.backtest.takes import COLUMNS, Before, Took, seconds_of, takes_of
from pilotfish.core.units import MICRO, SECOND
from pilotfish.history.kept import InColumns, print_columns
from pilotfish.history.records import Print

ALL = 2**62
PRUNED = 4_096
"""So many takes that are over are let go of at once."""


class Tape:
    """The takes of one market, oldest first, read as far as they are asked for. Each has a number, by which a
    :class:`Had` counts what was had of it."""

    def __init__(self, rows: Iterable[Print] | InColumns, first_token: str, wallet: str) -> None:
        self._batches = seconds_of(print_columns(rows, COLUMNS))
        self._first_token, self._wallet = first_token, wallet
        self._before = Before()
        self._takes: list[Took] = []
        self._ats: list[int] = []
        self._gone = 0
        """Takes that were let go of: the number of the first that is here."""
        self._upto = 0
        """All takes before this second are here."""

    @property
    def takes(self) -> list[Took]:
        """All that are not over."""
        self._read(ALL)
        return self._takes

    def _read(self, second: int) -> None:
        """Have all takes up to a second."""
        while self._upto <= second:
            batch = next(self._batches, None)
            if batch is None:
                self._upto = ALL + 1
                return
            found, self._before = takes_of(batch, self._first_token, self._wallet, self._before)
            self._takes += found
            self._ats += [took.at for took in found]
            self._upto = batch.column("at")[-1].as_py() + 1

    def forget(self, second: int) -> None:
        """Nobody asks any more of an instant before ``second``: all takes before it may go but the last."""
        over = bisect_left(self._ats, second) - 1
        if over >= PRUNED:
            del self._takes[:over], self._ats[:over]
            self._gone += over

    def last_before(self, at: int) -> Took | None:
        """The last take that was known at ``at`` (µs)."""
        second = at // SECOND
        self._read(second)
        place = bisect_right(self._ats, second)
        return self._takes[place - 1] if place else None

    def after(self, at: int, until: int) -> Iterator[tuple[int, Took]]:
        """The takes that came after ``at`` and not after ``until`` (µs), each with its number."""
        last = until // SECOND
        self._read(last)
        place, end = bisect_right(self._ats, at // SECOND), bisect_right(self._ats, last)
        return zip(range(place + self._gone, end + self._gone), self._takes[place:end], strict=True)


class Had:
    """What copies of one run have had of a tape: it is gone for the next one."""

    def __init__(self) -> None:
        self._had: dict[int, int] = {}
        self.bought: dict[int, tuple[int, int]] = {}
        """Which token -> when a BUY of it was booked last (µs), and the last second whose prints BUYs of it had."""
        self.sold_from: dict[int, int] = {}
        """Which token -> the second after which the orders to sell that met the tape last found their prints."""

    def sellable_after(self, index: int, arrived: int) -> int:
        """The second after which an order to sell that ``arrived`` at an instant (µs) has prints: what was bought
        by then has to be there first."""
        booked, last = self.bought.get(index, (0, 0))
        return last if booked <= arrived else 0

    def left(self, number: int, took: Took, share_ppm: int) -> int:
        """Shares of a take that a copy can have: its part, without what was had already, and none of the leader's."""
        return 0 if took.theirs else max(0, took.shares * share_ppm // MICRO - self._had.get(number, 0))

    def have(self, number: int, shares: int) -> None:
        """Shares of a take were had."""
        if len(self._had) >= PRUNED:
            newest = max(self._had)
            self._had = {n: had for n, had in self._had.items() if n > newest - PRUNED}
        self._had[number] = self._had.get(number, 0) + shares


def price_of_token(took: Took, index: int) -> int:
    """A take's price for the first (0) or second (1) token."""
    return took.price if index == 0 else MICRO - took.price


def bought(took: Took, index: int) -> bool:
    """True if the taker bought the token, or sold its opposite: what was taken were asks."""
    return took.up == (index == 0)
