"""What a search found, for people and as JSON."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from pilotfish.backtest.found import Found, Row, Step, What
from pilotfish.backtest.judgement import WORDS as VERDICTS
from pilotfish.backtest.judgement import Verdict, came_back
from pilotfish.cli import printed
from pilotfish.core.numerals import NOTHING, count, percent
from pilotfish.core.units import MICRO
from pilotfish.web.telling import fell_out, went_wrong

WIDE = printed.WIDE
SHOWN = 10
"""Wallets of whom something went wrong that are named one by one."""
_STYLES = {Verdict.COPYABLE: "green", Verdict.NOT_COPYABLE: "red", Verdict.CANNOT_TELL: ""}
BOARD = printed.Table[Row](
    printed.Column("place", lambda r: count(r.place), 1, right=True),
    printed.Column("who", lambda r: r.name or r.wallet, 2, least=14),
    printed.Column("verdict", lambda r: (VERDICTS[r.verdict].lower(), _STYLES[r.verdict]), 3),
    printed.Column("a dollar came back as", lambda r: _back(r.edge_per_usdc), 5, right=True),
    printed.Column("at least", lambda r: _back(r.low), 4, right=True),
    printed.Column("events", lambda r: count(r.events), 6, right=True),
    printed.Column("filled", lambda r: percent(round(r.filled_share * MICRO), MICRO), 8, right=True),
    printed.Column("doubts", lambda r: ", ".join(flag.replace("_", " ") for flag in r.flags) or NOTHING, 9, least=12),
    printed.Column("wallet", lambda r: r.wallet, 10),
    printed.Column("category", lambda r: r.category or NOTHING, 11),
    printed.Column("why", lambda r: r.why, 7, least=24),
)


def answer_of(found: Found, rows: Sequence[Row]) -> dict[str, object]:
    """What was found as JSON, with these of its rows: the names that scripts rely on (docs/backtest.md)."""
    told: dict[str, object] = msgspec.to_builtins(msgspec.structs.replace(found, rows=tuple(rows)))
    return told


def print_found(found: Found, rows: Sequence[Row], view: printed.View[Row]) -> None:
    """Print the answer, the funnel, the sentence on past rank and the board."""
    if found.incomplete:
        printed.say(
            f"Incomplete: of {count(found.incomplete)} of {count(found.tested)} wallets the history has gaps; --json "
            "names them."
        )
    printed.say((found.why, "bold"))
    for line in _funnel(found):
        printed.say(*line)
    for problem in found.problems[:SHOWN]:
        printed.say("  ", went_wrong(problem))
    if len(found.problems) > SHOWN:
        printed.say(f"  and {count(len(found.problems) - SHOWN)} more")
    if not found.tested:
        return
    print()
    printed.say(found.past_rank.words)
    print()
    view.print(rows)
    if len(rows) < len(found.rows):
        printed.say(f"{count(len(rows))} of {count(len(found.rows))} are shown.")


def _funnel(found: Found) -> list[list[printed.Part]]:
    """A line a step: how many are left, and what became of the others."""
    width = len(count(found.funnel[0].wallets))
    lines: list[list[printed.Part]] = []
    for step in found.funnel:
        lines.append([f"{count(step.wallets):>{width}} {step.words}", (_dropped(step), "dim")])
        if step.step is What.HISTORY_KNOWN:
            lines[-1].append((f"; {count(found.requests)} requests were made", "dim"))
    return lines


def _dropped(step: Step) -> str:
    parts = [f"{count(wallets)} {fell_out(why, step.step)}" for why, wallets in step.dropped.items()]
    return f" ({'; '.join(parts)})" if parts else ""


def _back(edge: float | None) -> str:
    return came_back(edge) if edge is not None else NOTHING
