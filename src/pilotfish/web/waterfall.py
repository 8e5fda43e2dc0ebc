"""The shortfall as a waterfall: bars that lead from the leader's result to ours, part by part, on one scale with a zero
line. What is lost goes left, what is gained goes right; a total begins at zero."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import msgspec

from pilotfish.backtest.told import LookBack
from pilotfish.core import shortfall
from pilotfish.store.views.report import Parts, Shortfall

WIDTH = 1_000
"""Units that a bar's place and length are given in, across the whole scale."""
THINNEST = 3
"""How long a bar is at least, so that it can be seen."""
CAUSES = 3
"""The largest causes that are named with a part."""


class Bar(msgspec.Struct, frozen=True, kw_only=True):
    """One line. ``micro`` is the total, or what the part added (positive is good for us); ``start`` and ``length`` in
    units of :data:`WIDTH`; ``causes`` are what a part is mostly made of, with what each added."""

    name: str
    meaning: str
    micro: int
    start: int
    length: int
    total: bool
    causes: tuple[tuple[str, int], ...] = ()


class Waterfall(msgspec.Struct, frozen=True):
    """All bars, and where zero is; ``parts`` between the first and the last bar add up to their difference."""

    bars: tuple[Bar, ...]
    zero: int


class _Part(NamedTuple):
    """A part of the shortfall: its name, what it means, how much it is, and what it is made of; ``always``: shown where
    it is nothing, too."""

    name: str
    meaning: str
    lost: Callable[[Parts], int]
    causes: Callable[[Shortfall], Mapping[str, int]] = lambda row: {}
    always: bool = True


class _Step(NamedTuple):
    """A part with what it added, and what it is mostly made of (lost, by cause)."""

    part: _Part
    gained: int
    causes: Mapping[str, int]


_PARTS = (
    _Part("Delay", "their price to the mid when our order came", lambda p: p.delay_micro),
    _Part("Spread and impact", "from the mid to what we paid or got", lambda p: p.spread_micro),
    _Part("Fees", "by the venue's schedule", lambda p: p.fees_micro),
    _Part("Catch-up", "delay of trades that were copied late", lambda p: p.catch_up_micro, always=False),
    _Part("Not copied", "trades that were skipped", lambda p: p.skipped_micro, lambda row: row.skipped_by_reason),
    _Part("Clipped", "sizes that were cut, or not filled whole", lambda p: p.clipped_micro,
          lambda row: row.clipped_by_cause),
    _Part("Own exits", "sold by our rules, by hand, or after a reorg", lambda p: p.own_exits_micro,
          lambda row: row.own_exits_by_cause, always=False),
)  # fmt: skip


def waterfall(row: Shortfall) -> Waterfall:
    """A row of the report as bars."""
    steps = [_Step(part, -part.lost(row.parts), part.causes(row)) for part in _PARTS]
    return _laid_out(row.ideal_micro, steps, row.actual_micro, "cash and what the bids would pay")


def looked_back(answer: LookBack) -> Waterfall:
    """The way from the leader's prices to ours in a look back, as the same bars."""
    lost = {step.cause: -step.amount_micro for step in answer.steps}
    known = {name: lost.pop(name, 0) for name in ("delay", "spread", "fees", "catch_up")}
    parts = shortfall.Parts(**known, missed=lost)
    causes = (parts.skipped, parts.clipped, parts.own_exits)
    gained = [-amount for amount in known.values()] + [-sum(each.values()) for each in causes]
    steps = [
        _Step(part, amount, by_cause)
        for part, amount, by_cause in zip(_PARTS, gained, ({}, {}, {}, {}, *causes), strict=True)
    ]
    return _laid_out(answer.at_leader_prices_micro, steps, answer.expected_micro, "in the expected reckoning")


def _laid_out(ideal: int, steps: Sequence[_Step], actual: int, told: str) -> Waterfall:
    levels: list[int] = [ideal]
    for step in steps:
        levels.append(levels[-1] + step.gained)
    low, high = min(0, *levels), max(0, *levels)

    def place(micro: int) -> int:
        return (micro - low) * WIDTH // max(1, high - low)

    def bar(name: str, meaning: str, begin: int, end: int, causes: Mapping[str, int], *, total: bool) -> Bar:
        length = max(THINNEST, abs(place(end) - place(begin))) if begin != end else 0
        start = place(begin) - (length if end < begin else 0)
        start = min(max(0, start), WIDTH - length)
        return Bar(
            name=name, meaning=meaning, micro=end - begin, start=start, length=length, total=total,
            causes=_largest(causes),
        )  # fmt: skip

    bars = [bar("At the leader's prices", "every trade whole, at once, free", 0, ideal, {}, total=True)]
    for step, level in zip(steps, levels, strict=False):
        if step.gained or step.part.always:
            name, meaning = step.part.name, step.part.meaning
            bars.append(bar(name, meaning, level, level + step.gained, step.causes, total=False))
    bars.append(bar("We made", told, 0, actual, {}, total=True))
    return Waterfall(tuple(bars), place(0))


def _largest(lost: Mapping[str, int]) -> tuple[tuple[str, int], ...]:
    some = sorted(lost.items(), key=lambda item: (-abs(item[1]), item[0]))[:CAUSES]
    return tuple((cause, -amount) for cause, amount in some if amount)
