"""Markets of the stand-in venue's past: what was true, what was asked, and how it ended.

The chance of an outcome is a martingale, so whoever buys at it without costs has no edge, whenever they sell. What is
quoted is that chance plus a mistake that the generator knows, on the market's ticks. All prices are millionths.
"""

from __future__ import annotations

from bisect import bisect_right
from random import Random

import msgspec

from pilotfish.core.fees import FeeSchedule
from pilotfish.core.units import MICRO

STEP = 3_600
"""Seconds between two moves of a chance."""
MOVE = 8_000
"""How far a chance moves at most in one step."""
LOWEST = 20_000
"""No chance leaves this … 1 − this before the end."""
FEES = {
    "sports": 50_000,
    "politics": 40_000,
    "crypto": 70_000,
    "economics": 50_000,
    "culture": 50_000,
    "geopolitics": 0,
}
"""Fee rates by category in parts per million (PROTOCOL.md section 5)."""

DELAYS_MS = {"sports": 1_000, "crypto": 150}
"""How long a taker waits by category (PROTOCOL.md section 5)."""


class Path(msgspec.Struct, frozen=True, gc=False):
    """Values that hold from a second to the next one: of the first outcome, ``at`` ascending."""

    at: tuple[int, ...]
    fair: tuple[int, ...]
    mid: tuple[int, ...]

    def place(self, at: int) -> int:
        """Which values hold at a second; the first ones before the beginning."""
        return max(0, bisect_right(self.at, at) - 1)


class OldMarket(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A market that is over. Times are epoch seconds; ``half`` is half the spread; ``payouts`` as it was resolved."""

    condition_id: str
    tokens: tuple[str, str]
    event: str
    title: str
    slug: str
    category: str
    tick: int
    half: int
    path: Path
    opens_at: int
    closes_at: int
    resolved_at: int
    payouts: tuple[int, int] = (0, 0)
    neg_risk: bool = False
    outcomes: tuple[str, str] = ("Yes", "No")

    @property
    def fee(self) -> FeeSchedule:
        """The taker's schedule, exponent 1."""
        return FeeSchedule(rate_ppm=FEES[self.category])

    def fair(self, outcome: int, at: int) -> int:
        """The true chance of an outcome at a second."""
        chance = self.path.fair[self.path.place(at)]
        return chance if outcome == 0 else MICRO - chance

    def mid(self, outcome: int, at: int) -> int:
        """Between bid and ask of an outcome at a second; its payout once the market is resolved."""
        if at >= self.resolved_at:
            return self.payouts[outcome]
        mid = self.path.mid[self.path.place(at)]
        return mid if outcome == 0 else MICRO - mid

    def bid(self, outcome: int, at: int) -> int:
        """What a seller gets."""
        return self.mid(outcome, at) - self.half

    def ask(self, outcome: int, at: int) -> int:
        """What a buyer pays."""
        return self.mid(outcome, at) + self.half


class Mistake(msgspec.Struct, frozen=True, gc=False):
    """What the quote of the first outcome is off by: ``by`` from ``starts_at`` to ``ends_at``, then less and less until
    ``gone_at`` (the next second: gone at once)."""

    starts_at: int
    ends_at: int
    gone_at: int
    by: int

    def at(self, second: int) -> int:
        """What it is at a second."""
        if not self.starts_at <= second < self.gone_at:
            return 0
        if second <= self.ends_at:
            return self.by
        return self.by * (self.gone_at - second) // (self.gone_at - self.ends_at)


def chances(rng: Random, first: int, opens_at: int, closes_at: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """A fair walk of a chance: when it moved, and to what. Each step is as likely up as down, by the same."""
    at = tuple(range(opens_at, closes_at, STEP))
    found, chance = [], first
    for _ in at:
        found.append(chance)
        far = min(MOVE, chance - LOWEST, MICRO - LOWEST - chance)
        chance += far if rng.random() < 0.5 else -far
    return at, tuple(found)


def quoted(at: tuple[int, ...], fair: tuple[int, ...], mistake: Mistake | None, tick: int, half: int) -> Path:
    """The path of a market: its chance, and a mid on ticks with the mistake in it, never so far out that bid or ask
    would leave (0, 1)."""
    if mistake is not None:
        more = {second for second in (mistake.starts_at, mistake.gone_at) if at[0] < second} - set(at)
        known = Path(at, fair, fair)
        at = tuple(sorted((*at, *more)))
        fair = tuple(fair[known.place(second)] for second in at)
    low = -(-(half + tick) // tick) * tick
    mids = []
    for second, chance in zip(at, fair, strict=True):
        wanted = chance + (mistake.at(second) if mistake is not None else 0)
        mids.append(min(MICRO - low, max(low, (wanted + tick // 2) // tick * tick)))
    return Path(at, fair, tuple(mids))
