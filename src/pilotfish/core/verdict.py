"""Would copying have paid, in a sentence with its figures: of one leader, or of several added up.

A percentage of ours is the result as a share of what was paid for our BUYs, fees included; one at the leader's prices
is theirs as a share of what the same BUYs would have cost there, without fees. Each has its own denominator, since what
was skipped was paid at their prices only. In a period that begins later, what was held when it began counts as paid
for what it was worth then. *At the leader's prices* means every trade whole, at once and free (:mod:`.shortfall`).

Amounts are rounded as everywhere (:mod:`.numerals`), so a result below half a cent is said to be nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import NamedTuple

import msgspec

from pilotfish.core.names import apart
from pilotfish.core.numerals import count, gain, money, percent
from pilotfish.core.reasons import words
from pilotfish.core.shortfall import Line, Parts


class Tone(StrEnum):
    """What kind of answer a verdict is."""

    GAIN = "gain"
    LOSS = "loss"
    EVEN = "even"
    NONE = "none"
    """There is nothing to judge yet."""


class Verdict(msgspec.Struct, frozen=True):
    """An answer: what kind it is, and the sentence."""

    tone: Tone
    text: str


class Whom(NamedTuple):
    """Whom a verdict is about: the only leader by ``name``, else how many. ``period``: not from the beginning."""

    name: str = ""
    leaders: int = 1
    period: bool = False

    @property
    def subject(self) -> str:
        """What the sentence begins with."""
        if self.leaders == 1:
            return f"Copying {apart(self.name)}"
        return f"Copying all {count(self.leaders)} leaders" if self.leaders else "Nothing to judge yet"

    @property
    def prices(self) -> str:
        """The prices that ours are measured against."""
        return "the leader's prices" if self.leaders == 1 else "the leaders' prices"


def verdict(whom: Whom, line: Line) -> Verdict:
    """The answer for what copying came to."""
    if not line.fills and not line.paid:
        told = f"{whom.subject}: {_nothing(whom, line)}."
        return Verdict(Tone.NONE, f"{told} {_at_their_prices(whom, line)}." if _shows(line.ideal) else told)
    tone = (Tone.GAIN if line.actual > 0 else Tone.LOSS) if _shows(line.actual) else Tone.EVEN
    return Verdict(tone, f"{whom.subject}: {_ours(whom, line)}. {_compared(whom, line)}.")


def _shows(micro: int) -> bool:
    """True where an amount is not rounded to nothing."""
    return money(micro) != money(0)


def _nothing(whom: Whom, line: Line) -> str:
    """Why there is nothing to judge."""
    if line.orders_copied:
        return f"{count(line.orders_copied)} of {_orders(line)} copied, none filled yet"
    if not line.orders:
        return "no trade in this time that could be copied" if whom.period else "no trade so far that could be copied"
    told = f"nothing copied yet of {_orders(line)}"
    if not line.passed:
        return told
    reason, n = min(line.passed.items(), key=lambda item: (-item[1], item[0]))
    often = "all" if n == line.orders else "mostly" if 2 * n > line.orders else "most often"
    return f"{told}, {often} for: {words(reason)}" + (f" ({count(n)})" if n < line.orders else "")


def _orders(line: Line) -> str:
    return f"{count(line.orders)} order" + ("s" if line.orders != 1 else "")


def _ours(whom: Whom, line: Line) -> str:
    paid = "paid or held at the start" if whom.period else "paid"
    held = ", all of it still held" if line.open and not line.sold else ""
    return f"{gain(line.actual)} USDC on {money(line.paid)} {paid}{_share(line.actual, line.paid)}{held}"


def _share(part: int, whole: int) -> str:
    return f", {percent(part, whole, 2, sign=True)}" if whole > 0 else ""


def _at_their_prices(whom: Whom, line: Line) -> str:
    return f"At {whom.prices} it would have been {gain(line.ideal)}{_share(line.ideal, line.ideal_paid)}"


def _compared(whom: Whom, line: Line) -> str:
    """The same at their prices, and what made the most of the difference."""
    lost = line.ideal - line.actual
    if not _shows(lost):
        return f"At {whom.prices} it would have been the same{'' if lost == 0 else ' to the cent'}"
    sign = 1 if lost > 0 else -1
    of = [_Part(part.name, sign * part.amount) for part in _parts(line.parts) if sign * part.amount > 0]
    largest = max(of, key=lambda part: part.amount)
    size = "most" if 2 * largest.amount > sum(part.amount for part in of) else "the largest part"
    verb = "took" if lost > 0 else "gained"
    return f"{_at_their_prices(whom, line)}; {largest.name} {verb} {size}, {gain(-sign * largest.amount)}"


class _Part(NamedTuple):
    """A part of the difference; a positive ``amount`` cost us."""

    name: str
    amount: int


def _parts(parts: Parts) -> tuple[_Part, ...]:
    skipped = parts.skipped
    return (
        _Part("fees", parts.fees),
        _Part("delay", parts.delay),
        _Part("spread and impact", parts.spread),
        _Part("copying late", parts.catch_up),
        _Part(f"what was not copied{_mostly(skipped)}", sum(skipped.values())),
        _Part("sizes cut or not filled whole", sum(parts.clipped.values())),
        _Part("exits of our own", sum(parts.own_exits.values())),
    )


def _mostly(skipped: Mapping[str, int]) -> str:
    """The reason that made the most of what was not copied, on the side that it came to."""
    total = sum(skipped.values())
    most = max(skipped.items(), key=lambda item: (item[1] if total > 0 else -item[1], item[0]), default=None)
    return f" (mostly {words(most[0])})" if most is not None and 2 * abs(most[1]) > abs(total) else ""
