"""What copying cost: the leader's prices at our size against what we got, and where the difference went.

Per portfolio, leader and token a :class:`Tally` follows two holdings side by side: ours, and what we would hold had
every trade of his been copied whole, at his price and for no fee. What the second has and the first has not is kept by
cause (a skip's reason, a cap, a fill that fell short). Every amount that is added to one side and not to the other is
booked on exactly one part, so the parts add up to the difference to the millionth.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from pilotfish.core import sizing
from pilotfish.core.units import cost_of, proceeds_of

CLIPPED = "CLIPPED"
"""Cut to a cap or to the cash."""
FEWER_SHARES = "FEWER_SHARES"
"""The same money bought fewer (or more) shares at our price than at his, or the book was too thin for all of it."""
MADE_UP = "MADE_UP"
"""More than his share: what was saved up below the minimum, or a size raised to it."""
PENDING = "PENDING"
"""Not filled yet."""
ORPHANED = "ORPHANED"
"""Fills on trades that a reorg took back."""


class FillCost(msgspec.Struct, frozen=True, kw_only=True):
    """A fill as the books have it: ``usdc`` without ``fee``; the costs against the leader's price, positive = lost."""

    shares: int
    usdc: int
    fee: int
    delay: int
    spread: int


@dataclass(slots=True)
class Parts:
    """Where the difference between his prices and ours went, in millionths of a USDC; positive = it cost us."""

    delay: int = 0
    spread: int = 0
    fees: int = 0
    catch_up: int = 0
    missed: dict[str, int] = field(default_factory=dict)
    """By cause: what we did not copy, did not get whole, or did on our own."""

    @property
    def total(self) -> int:
        """All parts together."""
        return self.delay + self.spread + self.fees + self.catch_up + sum(self.missed.values())

    def copy(self) -> Parts:
        """One that can go on without this one."""
        return Parts(self.delay, self.spread, self.fees, self.catch_up, dict(self.missed))

    def add(self, other: Parts) -> None:
        """Take in another's figures."""
        self.delay += other.delay
        self.spread += other.spread
        self.fees += other.fees
        self.catch_up += other.catch_up
        for cause, amount in other.missed.items():
            self.missed[cause] = self.missed.get(cause, 0) + amount


@dataclass(slots=True)
class Tally:
    """One portfolio, leader and token. ``ideal`` and ``actual`` are profits; ``ideal`` = ``actual`` + ``parts``."""

    ideal: int = 0
    actual: int = 0
    held: int = 0
    missing: dict[str, int] = field(default_factory=dict)
    parts: Parts = field(default_factory=Parts)
    last_price: int = 0

    def buy(
        self, price: int, wanted: int, fills: Sequence[FillCost], causes: Mapping[str, int], rest: str, *, late: bool
    ) -> None:
        """His BUY at ``price``: ``wanted`` shares at our size, of which ``fills`` were had.

        ``causes`` says why how many shares are missing; whatever they leave goes to ``rest``.
        """
        got = self._take(fills, late=late)
        self.held += got
        self.ideal -= cost_of(wanted, price)
        self.actual -= sum(f.usdc + f.fee for f in fills)
        gap = sum(cost_of(f.shares, price) for f in fills) - cost_of(wanted, price)
        left = wanted - got
        for cause, shares in causes.items():
            if shares:
                self._miss(cause, shares, -cost_of(shares, price))
                gap += cost_of(shares, price)
                left -= shares
        self._miss(rest, left, gap)
        self.last_price = price or self.last_price

    def sell(
        self, price: int, sold: int, before: int | None, fills: Sequence[FillCost], cause: str, *, late: bool
    ) -> None:
        """His SELL of ``sold`` out of ``before`` at ``price``; ``cause`` is why ours fell short, where it did."""
        for why, shares in self.missing.items():
            moved = sizing.sell_shares(abs(shares), sold, before) * (1 if shares > 0 else -1)
            brought = proceeds_of(moved, price)
            self.missing[why] = shares - moved
            self._earn(why, brought)
            self.ideal += brought
        target = sizing.sell_shares(self.held, sold, before)
        self._sold(price, target, fills, cause, late=late)

    def own_exit(self, price: int, fills: Sequence[FillCost], cause: str) -> None:
        """A SELL that no trade of his asked for: the ideal keeps the shares."""
        self._sold(price, 0, fills, cause, late=False)

    def _sold(self, price: int, target: int, fills: Sequence[FillCost], cause: str, *, late: bool) -> None:
        got = self._take(fills, late=late)
        self.held -= got
        worth = proceeds_of(target, price)
        self.ideal += worth
        self.actual += sum(f.usdc - f.fee for f in fills)
        self._miss(cause, got - target, worth - sum(proceeds_of(f.shares, price) for f in fills))
        self.last_price = price or self.last_price

    def open_at(self, price: int) -> None:
        """Begin a period: forget what was earned before, and take over both holdings at ``price``."""
        worth = proceeds_of(self.held, price)
        self.parts = Parts()
        self.ideal = self.actual = -worth
        for cause, shares in self.missing.items():
            value = proceeds_of(shares, price)
            self._earn(cause, -value)
            self.ideal -= value

    def valued(self, mark: int, missing_mark: int) -> tuple[int, int, Parts]:
        """``(ideal, actual, parts)`` with both holdings valued, at a payout or at what bids would pay."""
        worth = proceeds_of(self.held, mark)
        ideal, actual = self.ideal + worth, self.actual + worth
        parts = self.parts.copy()
        for cause, shares in self.missing.items():
            value = proceeds_of(shares, missing_mark)
            if value:
                parts.missed[cause] = parts.missed.get(cause, 0) + value
            ideal += value
        return ideal, actual, parts

    def copy(self) -> Tally:
        """One that can go on without this one."""
        return Tally(self.ideal, self.actual, self.held, dict(self.missing), self.parts.copy(), self.last_price)

    def _take(self, fills: Sequence[FillCost], *, late: bool) -> int:
        for fill in fills:
            if late:
                self.parts.catch_up += fill.delay
            else:
                self.parts.delay += fill.delay
            self.parts.spread += fill.spread
            self.parts.fees += fill.fee
        return sum(f.shares for f in fills)

    def _miss(self, cause: str, shares: int, earned: int) -> None:
        if shares or earned:
            self.missing[cause] = self.missing.get(cause, 0) + shares
            self._earn(cause, earned)

    def _earn(self, cause: str, amount: int) -> None:
        if amount:
            self.parts.missed[cause] = self.parts.missed.get(cause, 0) + amount
