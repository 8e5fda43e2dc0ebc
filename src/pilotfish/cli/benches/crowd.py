"""Many portfolios on one stream: a thousand with ten leaders each, of a thousand leaders, at a hundred trades a second;
from a log's frame to the disk, as ``latency`` measures it. The medians of the first and the last quarter tell whether
the worker keeps up."""

from __future__ import annotations

from pilotfish.cli.benches.figure import Figure, Options
from pilotfish.cli.benches.latency import Crowd, figures_of, measure

MANY = Crowd(leaders=1_000, portfolios=999, each=10)
RATE, SECONDS = 100, 30


def figures(_options: Options) -> list[Figure]:
    """Decisions and fills of all portfolios that follow a trade's leader, and of ``main``."""
    return figures_of(measure(((RATE, SECONDS),), MANY), f" to {MANY.portfolios + 1:,} portfolios")
