"""The shortfall as bars: from the leader's prices to ours, part by part."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from pilotfish.core.numerals import gain, money
from pilotfish.store.views.report import Parts, Shortfall
from pilotfish.web.markup import Html, esc, signed, words


class Part(NamedTuple):
    """A part of the shortfall: its name, what it means, how much it is, and what it is made of."""

    title: str
    meaning: str
    lost: Callable[[Parts], int]
    causes: Callable[[Shortfall], Mapping[str, int]] = lambda row: {}
    always: bool = True
    """Shown where it is nothing, too."""


PARTS = (
    Part("Delay", "his price to the mid when our order came", lambda p: p.delay_micro),
    Part("Spread and impact", "from the mid to what we paid or got", lambda p: p.spread_micro),
    Part("Fees", "by the venue's schedule", lambda p: p.fees_micro),
    Part("Catch-up", "delay of trades that were copied late", lambda p: p.catch_up_micro, always=False),
    Part("Not copied", "trades that were skipped", lambda p: p.skipped_micro, lambda row: row.skipped_by_reason),
    Part("Clipped", "sizes that were cut, or not filled whole", lambda p: p.clipped_micro,
         lambda row: row.clipped_by_cause),
    Part("Own exits", "sold by our rules, by hand, or after a reorg", lambda p: p.own_exits_micro,
         lambda row: row.own_exits_by_cause, always=False),
)  # fmt: skip


def parts_html(row: Shortfall) -> Html:
    """One line of the report as bars that lead from his result to ours; the parts add up to the millionth."""
    values = [-part.lost(row.parts) for part in PARTS]
    steps: list[int] = [row.ideal_micro]
    for value in values:
        steps.append(steps[-1] + value)
    low, high = min(0, *steps), max(0, *steps)
    width = max(1, high - low)

    def bar(start: int, end: int, kind: str) -> Html:
        left, size = 100 * (min(start, end) - low) / width, max(0.4, 100 * abs(end - start) / width)
        style = f"left:{left:.2f}%;width:{size:.2f}%"
        return f'<span class="track" aria-hidden="true"><i class="{esc(kind)}" style="{style}"></i></span>'

    lines = [_line("At his prices", "every trade whole, at once, free", bar(0, steps[0], ""), steps[0], "sum", "")]
    for part, value, start in zip(PARTS, values, steps, strict=False):
        if value == 0 and not part.always:
            continue
        kind, causes = "gain" if value >= 0 else "", _causes(part.causes(row))
        lines.append(_line(part.title, part.meaning, bar(start, start + value, kind), value, "", causes))
    lines.append(_line("We made", "cash and what the bids would pay", bar(0, steps[-1], ""), steps[-1], "sum", ""))
    share = f"{esc(row.copied_of)}, {money(row.turnover_micro, 0)} USDC turned over"
    return f'<div class="parts">{"".join(lines)}</div><p class="mini">{share}</p>'


def _line(title: str, meaning: str, bar: Html, value: int, kind: str, causes: Html) -> Html:
    return (
        f'<div class="part {esc(kind)}"><span title="{esc(meaning)}">{esc(title)}'
        f'<small class="mini"> {causes}</small></span>{bar}<span class="num">{signed(value)}</span></div>'
    )


def _causes(lost: Mapping[str, int]) -> Html:
    largest = sorted(lost.items(), key=lambda item: -abs(item[1]))[:3]
    return ", ".join(f"{words(cause)} {gain(-amount)}" for cause, amount in largest if amount)
