"""The stored answer of a look back, read back typed: what ``backtest --json`` gives (docs/backtest.md), with the titles
of what is still open. Texts are texts here, whatever they are called there: another version may have written them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

import msgspec


class Point(msgspec.Struct, frozen=True, kw_only=True):
    """One run of a curve."""

    delay_ms: int
    size_micro: int
    result_micro: int
    spent_micro: int
    edge_per_usdc: float | None
    filled: float


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """A part of the way from their prices to ours; positive is good for us."""

    cause: str
    amount_micro: int


class Interval(msgspec.Struct, frozen=True, kw_only=True):
    """Where an edge a dollar lies, with 90 %."""

    low: float
    high: float


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """Ended positions of one kind."""

    by: str
    name: str
    bets: int
    events: int
    paid: int
    result: int
    edge_per_usdc: float | None
    interval: Interval | None


class Halves(msgspec.Struct, frozen=True, kw_only=True):
    """The first half of the events against the second."""

    split_at: int
    first: float
    first_events: int
    second: float
    second_events: int


class Flag(msgspec.Struct, frozen=True, kw_only=True):
    """What to look at before believing it."""

    kind: str
    text: str
    figures: dict[str, int | float]


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """A stored answer; ``history`` says in a sentence whether the history is complete."""

    from_at: int
    to_at: int
    events: int
    edge_per_usdc: float | None
    interval: tuple[float, float] | None
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
    complete: bool | list[object]
    books: tuple[str, ...] = ()
    history: str = ""
    titles: dict[str, str] = {}

    @property
    def expected_micro(self) -> int:
        """The result in the expected reckoning."""
        return self.result_micro.get("expected", 0)

    @property
    def whole(self) -> bool:
        """True where nothing of the history is missing."""
        return self.complete is True

    @property
    def first_day(self) -> str:
        """The first day that was looked at."""
        return day(self.from_at)

    @property
    def last_day(self) -> str:
        """The last one."""
        return day(self.to_at)


def day(second: int) -> str:
    """The day of an epoch second, in UTC."""
    return datetime.fromtimestamp(min(max(0, second), 2**37), UTC).date().isoformat()


def answer(result: Mapping[str, object] | None) -> Answer | None:
    """A stored answer, ``None`` where there is none or another version wrote what this one cannot read."""
    try:
        return None if result is None else msgspec.convert(result, Answer)
    except msgspec.ValidationError:
        return None
