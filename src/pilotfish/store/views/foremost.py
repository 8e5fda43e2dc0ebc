"""The few of many portfolios that are told where not all can be: ``main``, those that did best, and those that did
worst."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pilotfish.store.portfolios_store import MAIN
from pilotfish.store.views.portfolios import Portfolio

Measure = Callable[[Portfolio], float]


def gained(p: Portfolio) -> float:
    """Its profit since its start as a share of its bankroll."""
    return (p.equity_micro - p.bankroll_micro) / (p.bankroll_micro or 1)


def foremost(rows: Sequence[Portfolio], most: int, by: Measure = gained) -> list[Portfolio]:
    """All where there are no more than ``most``, as they come; else ``main``, then the best and the worst of the
    others, the best first."""
    if len(rows) <= most:
        return list(rows)
    main = [p for p in rows if p.name == MAIN]
    others = sorted((p for p in rows if p.name != MAIN), key=lambda p: (-by(p), p.name))
    room = most - len(main)
    return [*main, *others[: room - room // 2], *others[len(others) - room // 2 :]]
