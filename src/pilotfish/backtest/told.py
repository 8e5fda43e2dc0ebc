"""The answer of a look back: the one home of its names, in Python, as JSON and in the database (docs/backtest.md).
Texts are texts here, whatever they are called elsewhere, and little is imported: pages read answers that others wrote.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec

from pilotfish.core.reasons import words
from pilotfish.history.records import Missing

_STEPS = {
    "ideal": "at their prices, every order whole and free",
    "delay": "delay: their price to the mid at our order",
    "spread": "spread and impact: the mid to our price",
    "fees": "fees",
    "catch_up": "delay of trades copied late (catch-up)",
    "result": "copied, fees paid",
}


class Point(msgspec.Struct, frozen=True, kw_only=True):
    """One run of a curve. Amounts in millionths of a USDC; ``edge_per_usdc`` is the result a dollar paid, ``filled``
    the part of what was wanted that was had."""

    delay_ms: int
    size_micro: int
    result_micro: int
    spent_micro: int
    edge_per_usdc: float | None
    filled: float


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """A part of the way from the leader's prices to ours; positive is good for us."""

    cause: str
    amount_micro: int


class Uncopyable(msgspec.Struct, frozen=True, kw_only=True):
    """Millionths of a USDC. Of ``profit_micro``, which the leader's own prices would have made at our sizes, so much
    nobody could have had: ``gone_micro`` (a second later the price was worse, or beyond the limit), ``thin_micro`` (too
    little was on offer, or traded), ``below_minimum_micro``. Below zero: what could not be copied would have lost."""

    profit_micro: int
    gone_micro: int
    thin_micro: int
    below_minimum_micro: int

    @property
    def parts(self) -> tuple[tuple[str, int], ...]:
        """The three of them in words."""
        return (
            ("gone within a second", self.gone_micro),
            ("too thin", self.thin_micro),
            ("below the minimum", self.below_minimum_micro),
        )


class Interval(msgspec.Struct, frozen=True):
    """Where the edge a dollar lies with 90 % confidence."""

    low: float
    high: float


class Halves(msgspec.Struct, frozen=True, kw_only=True):
    """The first half of the events, by when they were first bet on, against the second; ``split_at`` is the first
    second of the latter. An event is never in both."""

    split_at: int
    first: float
    first_events: int
    second: float
    second_events: int


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """Settled bets of one kind: ``paid`` and ``result`` in millionths of a USDC, the edge a dollar with its 90 %
    interval (``None`` with fewer than two events)."""

    by: str
    name: str
    bets: int
    events: int
    paid: int
    result: int
    edge_per_usdc: float | None
    interval: Interval | None


class Flag(msgspec.Struct, frozen=True, kw_only=True):
    """What to look at before believing it: ``text`` is for people; ``figures`` are the same numbers by name: counts,
    seconds, shares of one, and millionths where the name ends in ``_micro``."""

    kind: str
    text: str
    figures: dict[str, int | float]


class LookBack(msgspec.Struct, frozen=True, kw_only=True):
    """All that is to be said of copying a wallet. Amounts in millionths of a USDC, times in epoch seconds.

    ``result_micro`` by band; ``at_leader_prices_micro`` is what the leader's own prices would have made at our sizes,
    every order whole and free, ``steps`` the way from there to our result. ``tiers``: which share of what fills moved
    rests on recorded books, the tape and the price line. ``uncopyable``: how much of their profit nobody could have
    copied; only with the curves. ``missing``: what is not known of the history, in JSON ``complete``, which is true
    where that is nothing. ``books``: what does not add up in the books of the expected run; empty, or a fault of the
    program. ``basis``: what delays and band rest on, in words. ``history`` (the same in a sentence) and ``titles`` (of
    what is still open) are in what is kept alone.
    """

    wallet: str
    name: str
    from_at: int
    to_at: int
    verdict: str
    why: str
    events: int
    edge_per_usdc: float | None
    interval: tuple[float, float] | None
    shrunk: float | None
    p_value: float | None
    halves: Halves | None
    size_micro: int
    delay_ms: int
    result_micro: dict[str, int]
    at_leader_prices_micro: int
    steps: tuple[Step, ...]
    fees_micro: int
    spent_micro: int
    filled_share: float
    trades: int
    orders: int
    skipped: dict[str, int]
    tiers: dict[str, float]
    by_delay: tuple[Point, ...]
    by_size: tuple[Point, ...]
    parts: tuple[Part, ...]
    flags: tuple[Flag, ...]
    equity: tuple[tuple[int, int], ...]
    open: dict[str, int]
    missing: tuple[Missing, ...] = ()
    books: tuple[str, ...] = ()
    uncopyable: Uncopyable | None = None
    basis: str = ""
    complete: bool | list[object] = True
    history: str = ""
    titles: dict[str, str] = {}

    @property
    def whole(self) -> bool:
        """True where nothing of the history is missing."""
        return self.complete is True and not self.missing

    @property
    def expected_micro(self) -> int:
        """The result in the expected reckoning."""
        return self.result_micro.get("expected", 0)

    @property
    def first_day(self) -> str:
        """The first day that was looked at."""
        return day(self.from_at)

    @property
    def last_day(self) -> str:
        """The last one."""
        return day(self.to_at)


def cause_words(cause: str) -> str:
    """A step from the leader's prices to ours, for people."""
    return _STEPS.get(cause) or words(cause)


def answer_of(found: LookBack) -> dict[str, Any]:
    """A look back as JSON; ``complete`` is true, or what of the history is missing."""
    told: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(found))
    told["complete"] = told.pop("missing") or True
    for name in ("books", "history", "titles"):
        if not told[name]:
            del told[name]
    return told


def read_answer(told: Mapping[str, object] | None) -> LookBack | None:
    """A look back out of its JSON; ``None`` where there is none or another version wrote what this one cannot read."""
    try:
        return None if told is None else msgspec.convert(told, LookBack)
    except msgspec.ValidationError:
        return None


def day(second: int) -> str:
    """The day of an epoch second, in UTC."""
    return datetime.fromtimestamp(min(max(0, second), 2**37), UTC).date().isoformat()
