"""The shortfall as bars: from the leader's prices to ours, part by part."""

from __future__ import annotations

from typing import Any

from pilotfish.core.numerals import gain, money
from pilotfish.store.report import copied_of
from pilotfish.web.markup import Html, esc, signed, words

PARTS = (
    ("delay_micro", "Delay", "his price to the mid when our order came", None),
    ("spread_micro", "Spread and impact", "from the mid to what we paid or got", None),
    ("fees_micro", "Fees", "by the venue's schedule", None),
    ("catch_up_micro", "Catch-up", "delay of trades that were copied late", None),
    ("skipped_micro", "Not copied", "trades that were skipped", "skipped_by_reason"),
    ("clipped_micro", "Clipped", "sizes that were cut, or not filled whole", "clipped_by_cause"),
    ("own_exits_micro", "Own exits", "sold by our rules, by hand, or after a reorg", "own_exits_by_cause"),
)
"""Field, name, meaning, and where its causes are."""


def parts_html(row: dict[str, Any]) -> Html:
    """One line of the report as bars that lead from his result to ours; the parts add up to the millionth."""
    values = [-row["parts"][name] for name, *_ in PARTS]
    steps = [row["ideal_micro"]]
    for value in values:
        steps.append(steps[-1] + value)
    low, high = min(0, *steps), max(0, *steps)
    width = max(1, high - low)

    def bar(start: int, end: int, kind: str) -> Html:
        left, size = 100 * (min(start, end) - low) / width, max(0.4, 100 * abs(end - start) / width)
        style = f"left:{left:.2f}%;width:{size:.2f}%"
        return f'<span class="track" aria-hidden="true"><i class="{esc(kind)}" style="{style}"></i></span>'

    lines = [_line("At his prices", "every trade whole, at once, free", bar(0, steps[0], ""), steps[0], "sum", "")]
    for (name, title, meaning, causes), value, start in zip(PARTS, values, steps, strict=False):
        if row["parts"][name] == 0 and name in ("catch_up_micro", "own_exits_micro"):
            continue
        kind = "gain" if value >= 0 else ""
        lines.append(_line(title, meaning, bar(start, start + value, kind), value, "", _causes(row, causes)))
    lines.append(_line("We made", "cash and what the bids would pay", bar(0, steps[-1], ""), steps[-1], "sum", ""))
    share = f"{esc(copied_of(row))}, {money(row['turnover_micro'], 0)} USDC turned over"
    return f'<div class="parts">{"".join(lines)}</div><p class="mini">{share}</p>'


def _line(title: str, meaning: str, bar: Html, value: int, kind: str, causes: Html) -> Html:
    return (
        f'<div class="part {esc(kind)}"><span title="{esc(meaning)}">{esc(title)}'
        f'<small class="mini"> {causes}</small></span>{bar}<span class="num">{signed(value)}</span></div>'
    )


def _causes(row: dict[str, Any], name: str | None) -> Html:
    if name is None:
        return ""
    largest = sorted(row[name].items(), key=lambda item: -abs(item[1]))[:3]
    return ", ".join(f"{words(cause)} {gain(-amount)}" for cause, amount in largest if amount)
