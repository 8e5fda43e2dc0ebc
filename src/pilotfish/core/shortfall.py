"""What copying cost: the leader's prices at our size against what we got, and where the difference went.

Per portfolio, leader and token a :class:`Tally` follows two holdings side by side: ours, and what we would hold had
every trade of theirs been copied whole, at their price and for no fee (an order of theirs once, where sizing is by
order). What the second has and the first has not is kept by cause (a skip's reason, a cap, a fill that fell short).
Every amount that is added to one side and not to the other is booked on exactly one part, so the parts add up to the
difference to the millionth.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from pilotfish.core import sizing
from pilotfish.core.reasons import known
from pilotfish.core.units import cost_of, proceeds_of

CLIPPED = "CLIPPED"
"""Cut to a cap or to the cash."""
FEWER_SHARES = "FEWER_SHARES"
"""The same money bought fewer (or more) shares at our price than at theirs, or the book was too thin for all of it."""
RESIZED = "RESIZED"
"""Another size than the ideal's: by our equity instead of the bankroll, or by what changed while it waited."""
MADE_UP = "MADE_UP"
"""More than their share: what was saved up below the minimum, or a size raised to it."""
DUST = "DUST"
"""Left by a SELL, too little to sell, and written off."""
PENDING = "PENDING"
"""Not filled yet."""
ORPHANED = "ORPHANED"
"""Fills on trades that a reorg took back."""


class FillCost(msgspec.Struct, frozen=True, kw_only=True):
    """A fill as the books have it: ``usdc`` without ``fee``; the costs against ``price``, what their price was taken to
    be when we ordered; positive = lost."""

    shares: int
    usdc: int
    fee: int
    delay: int
    spread: int
    price: int


@dataclass(slots=True)
class Parts:
    """Where the difference between their prices and ours went, in millionths of a USDC; positive = it cost us."""

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

    @property
    def skipped(self) -> dict[str, int]:
        """Of what was missed: trades that were not copied, or wait, by reason."""
        return {
            cause: amount for cause, amount in sorted(self.missed.items())
            if (reason := known(cause)) is not None and (reason.skips or reason.waits)
        }  # fmt: skip

    @property
    def own_exits(self) -> dict[str, int]:
        """Of what was missed: sales that no leader asked for, by reason."""
        return {
            cause: amount for cause, amount in sorted(self.missed.items())
            if cause == ORPHANED or ((reason := known(cause)) is not None and reason.own_exit)
        }  # fmt: skip

    @property
    def clipped(self) -> dict[str, int]:
        """Of what was missed: sizes that were cut, or not filled whole, by cause."""
        others = {*self.skipped, *self.own_exits}
        return {cause: amount for cause, amount in sorted(self.missed.items()) if cause not in others}

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

    def take_off(self, other: Parts) -> None:
        """Take another's figures off that are within; what nothing is left of is gone."""
        self.delay -= other.delay
        self.spread -= other.spread
        self.fees -= other.fees
        self.catch_up -= other.catch_up
        left = {cause: amount - other.missed.get(cause, 0) for cause, amount in self.missed.items()}
        left |= {cause: -amount for cause, amount in other.missed.items() if cause not in left}
        self.missed = {cause: amount for cause, amount in left.items() if amount}


@dataclass(slots=True)
class Line:
    """What copying one leader came to in one portfolio, or several of them added up.

    ``ideal`` and ``actual`` are profits, ``ideal`` = ``actual`` + ``parts``. ``paid`` is what our BUYs cost, fees
    included, ``ideal_paid`` what they would have cost at the leader's prices; in a period that begins later, what was
    held when it began counts as bought for what it was worth. ``turnover`` is what BUYs and SELLs moved, without fees.
    ``orders`` are those of the leader that could be copied (a trade by itself counts as one), ``passed`` those that
    were not, at their first fill, by reason; ``buys`` are our BUYs that got something. ``open`` counts tokens that are
    held, ``sold`` tokens of which something was sold or paid out.
    """

    ideal: int = 0
    actual: int = 0
    parts: Parts = field(default_factory=Parts)
    paid: int = 0
    ideal_paid: int = 0
    trades: int = 0
    copied: int = 0
    orders: int = 0
    orders_copied: int = 0
    passed: dict[str, int] = field(default_factory=dict)
    buys: int = 0
    fills: int = 0
    turnover: int = 0
    open: int = 0
    sold: int = 0

    def count(self, other: Line) -> None:
        """Add another's numbers of things."""
        self.trades += other.trades
        self.copied += other.copied
        self.orders += other.orders
        self.orders_copied += other.orders_copied
        for reason, n in other.passed.items():
            self.passed[reason] = self.passed.get(reason, 0) + n
        self.buys += other.buys
        self.fills += other.fills
        self.turnover += other.turnover

    def discount(self, other: Line) -> None:
        """Take another's numbers of things off that are within."""
        self.trades -= other.trades
        self.copied -= other.copied
        self.orders -= other.orders
        self.orders_copied -= other.orders_copied
        for reason, n in other.passed.items():
            self.passed[reason] = self.passed.get(reason, 0) - n
        self.passed = {reason: n for reason, n in self.passed.items() if n}
        self.buys -= other.buys
        self.fills -= other.fills
        self.turnover -= other.turnover

    def add(self, other: Line) -> None:
        """Take another in as a whole."""
        self.count(other)
        self.ideal += other.ideal
        self.actual += other.actual
        self.parts.add(other.parts)
        self.paid += other.paid
        self.ideal_paid += other.ideal_paid
        self.open += other.open
        self.sold += other.sold


class Waited(msgspec.Struct, frozen=True, kw_only=True):
    """A later fill of an order was copied after its first was not: the ideal has the order already. ``cause`` is why
    the first was not copied; it keeps what that made."""

    cause: str


@dataclass(slots=True)
class Tally:
    """One portfolio, leader and token. ``ideal`` and ``actual`` are profits; ``ideal`` = ``actual`` + ``parts``.

    ``wants`` are the shares that the ideal holds, ``held`` ours; ``missing`` is the difference by cause. The ideal is
    reckoned on its own, from their trades and our sizes alone, so no guard moves it by a millionth. ``bought`` are the
    shares that we ever got, for ``spent`` without fees and ``paid`` with them, ``ideal_paid`` what the ideal paid;
    ``sold``: some were sold again.
    """

    ideal: int = 0
    actual: int = 0
    wants: int = 0
    held: int = 0
    missing: dict[str, int] = field(default_factory=dict)
    parts: Parts = field(default_factory=Parts)
    last_price: int = 0
    bought: int = 0
    spent: int = 0
    paid: int = 0
    ideal_paid: int = 0
    sold: bool = False

    def buy(
        self, price: int, wanted: int, fills: Sequence[FillCost], causes: Mapping[str, int], rest: str, *,
        late: bool, waited: Waited | None = None,
    ) -> None:  # fmt: skip
        """Their BUY at ``price``: ``wanted`` shares at our size, of which ``fills`` were had.

        ``causes`` says why how many shares are missing; whatever they leave goes to ``rest``. With ``waited`` the ideal
        bought at an earlier fill of the order, and stays as it is.
        """
        got = self._take(fills, price, cost_of, late=late)
        self.held += got
        self.bought += got
        spent = sum(f.usdc for f in fills)
        paid = spent + sum(f.fee for f in fills)
        self.spent += spent
        self.paid += paid
        self.actual -= paid
        cost = cost_of(wanted, price)
        if waited is None:
            self.wants += wanted
            self.ideal_paid += cost
            self.ideal -= cost
        else:
            self._miss(waited.cause, -wanted, cost)
        gap = sum(cost_of(f.shares, price) for f in fills) - cost
        left = wanted - got
        for cause, shares in causes.items():
            if shares:
                paid = cost_of(abs(shares), price) * (1 if shares > 0 else -1)
                self._miss(cause, shares, -paid)
                gap += paid
                left -= shares
        self._miss(rest, left, gap)
        self.last_price = price or self.last_price

    def sell(
        self, price: int, sold: int, before: int | None, fills: Sequence[FillCost], cause: str, *, late: bool
    ) -> None:
        """Their SELL of ``sold`` out of ``before`` at ``price``; ``cause`` is why ours fell short, where it did."""
        target = sizing.sell_shares(self.held, sold, before)
        whole = sizing.sell_shares(self.wants, sold, before)
        moved = {
            why: sizing.sell_shares(abs(shares), sold, before) * (1 if shares > 0 else -1)
            for why, shares in self.missing.items()
        }
        rest = whole - target - sum(moved.values())
        if rest:
            moved[self._main()] += rest
        brought = proceeds_of(whole, price)
        worth = self._valued(moved, brought - proceeds_of(target, price), price)
        for why, shares in moved.items():
            self.missing[why] -= shares
            self._earn(why, worth[why])
        self.wants -= whole
        self.ideal += brought
        self._sold(price, target, fills, cause, late=late)
        self.last_price = price or self.last_price

    def own_exit(self, price: int, fills: Sequence[FillCost], cause: str) -> None:
        """A SELL that no trade of theirs asked for: the ideal keeps the shares."""
        self._sold(price, 0, fills, cause, late=False)

    def write_off(self, shares: int) -> None:
        """What was too little to sell is given up; the ideal keeps it."""
        self.held -= shares
        self._miss(DUST, shares, 0)

    def _sold(self, price: int, target: int, fills: Sequence[FillCost], cause: str, *, late: bool) -> None:
        got = self._take(fills, price, proceeds_of, late=late)
        self.held -= got
        self.sold = self.sold or got > 0
        self.actual += sum(f.usdc - f.fee for f in fills)
        worth = proceeds_of(target, price)
        self._miss(cause, got - target, worth - sum(proceeds_of(f.shares, price) for f in fills))

    def open_at(self, price: int) -> None:
        """Begin a period: forget what was earned before, and take over both holdings at ``price``."""
        self.parts = Parts()
        self.bought, self.sold = self.held, False
        self.spent = self.paid = proceeds_of(self.held, price)
        self.ideal_paid = proceeds_of(self.wants, price)
        self.actual, self.ideal = -self.paid, -self.ideal_paid
        for cause, value in self._valued(self.missing, self.actual - self.ideal, price).items():
            self._earn(cause, -value)

    @property
    def at_last(self) -> tuple[int, int]:
        """``(ideal, actual)`` with both holdings valued at the price of the leader's last trade."""
        return self.ideal + proceeds_of(self.wants, self.last_price), self.actual + proceeds_of(
            self.held, self.last_price
        )

    def valued(self, mark: int, bid: int) -> tuple[int, int, Parts]:
        """``(ideal, actual, parts)`` with both holdings valued: ours at ``mark``, what bids would pay for them (or the
        payout), the ideal's at ``bid``, the same for everybody. What ours is worth less than at ``bid`` is impact."""
        whole, worth, even = (proceeds_of(s, p) for s, p in ((self.wants, bid), (self.held, mark), (self.held, bid)))
        parts = self.parts.copy()
        for cause, value in self._valued(self.missing, whole - even, bid).items():
            if value:
                parts.missed[cause] = parts.missed.get(cause, 0) + value
        parts.spread += even - worth
        return self.ideal + whole, self.actual + worth, parts

    def copy(self) -> Tally:
        """One that can go on without this one."""
        return Tally(
            self.ideal, self.actual, self.wants, self.held, dict(self.missing), self.parts.copy(), self.last_price,
            self.bought, self.spent, self.paid, self.ideal_paid, self.sold,
        )  # fmt: skip

    def _main(self) -> str:
        """The cause that takes what rounding leaves: the one of the most shares."""
        return max(sorted(self.missing), key=lambda why: abs(self.missing[why]))

    def _valued(self, shares: Mapping[str, int], whole: int, price: int) -> dict[str, int]:
        """What shares by cause are worth at ``price``, adding up to ``whole``."""
        worth: dict[str, int] = {why: proceeds_of(n, price) for why, n in shares.items()}
        rest = whole - sum(worth.values())
        if rest:
            worth[self._main()] += rest
        return worth

    def _take(self, fills: Sequence[FillCost], price: int, of: Callable[[int, int], int], *, late: bool) -> int:
        """Book the costs of fills against ``price``, also where it was taken to be another one when we ordered."""
        for fill in fills:
            believed, known = of(fill.shares, fill.price), of(fill.shares, price)
            delay = fill.delay + (believed - known if of is cost_of else known - believed)
            if late:
                self.parts.catch_up += delay
            else:
                self.parts.delay += delay
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
