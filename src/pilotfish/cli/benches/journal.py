"""``bench journal``: trades through an engine whose events are written down, against the engine alone."""

from __future__ import annotations

import tempfile
from pathlib import Path

from pilotfish.app.journal import Journal
from pilotfish.app.journal_segments import Limits
from pilotfish.cli.benches.figure import Figure, Options, figure, rates
from pilotfish.cli.benches.stream import events
from pilotfish.core.drive import played
from pilotfish.core.engine import Engine

COMMITTED_TOGETHER = 100
"""Events in one commit, at the pace of a measurement."""


def figures(_options: Options) -> list[Figure]:
    """Trades through an engine whose events are written down, until all are, against the engine alone."""
    n = 10_000
    every = events(n)

    def alone() -> None:
        engine = Engine()
        for event in every:
            played(engine, event)

    def written() -> None:
        with tempfile.TemporaryDirectory(prefix="pilotfish-bench-") as folder:
            engine, book = Engine(), Journal(Path(folder), lambda: Limits(on=True, max_mb=1000, max_days=1))
            for number, event in enumerate(every):
                entered = book.enter(event)
                done = book.leave(entered, played(engine, event))
                if done is not None and number % COMMITTED_TOGETHER == 0:
                    done()
            book.close(stored=True, seconds=60.0)

    found = rates({"alone": alone, "written": written}, n, rounds=5)
    cost = 1e6 / found["written"].rate - 1e6 / found["alone"].rate
    note = f"{cost:.0f} µs a trade"
    return [figure("engine with the journal", "trades/s", found["written"], "engine alone", found["alone"], note)]
