"""``bench marks``: positions valued at what their bids pay, equity and exposure with them."""

from __future__ import annotations

import statistics
import time

from pilotfish.cli.benches.figure import Figure, Options, figure
from pilotfish.cli.benches.stream import AT, LEADER, driven
from pilotfish.core import events as ev
from pilotfish.core.book import make_book
from pilotfish.core.drive import Drive
from pilotfish.core.engine import Engine
from pilotfish.core.ledger import Position
from pilotfish.core.settings import policy_from
from pilotfish.core.units import MICRO

POSITIONS = 10_000


def _desk_with_positions() -> Drive:
    """A driven engine that holds :data:`POSITIONS` positions, each in a token of its own."""
    engine = Engine()
    positions = tuple(
        Position(leader=LEADER, token_id=str(10_000 + i), condition_id=f"0x{i:064x}", shares=50 * MICRO,
                 cost=25 * MICRO, mark_price=490_000, opened_at=AT)
        for i in range(POSITIONS)
    )  # fmt: skip
    state = ev.PortfolioState(name="main", bankroll=10**12, cash=10**10, policy=policy_from({}), positions=positions)
    drive = driven(engine, [ev.Restored(at=AT, portfolios=(state,))])
    drive.run(AT)
    return drive


def figures(_options: Options) -> list[Figure]:
    """Every position valued anew at what its bids pay, equity and exposure with it: the sums kept up with each change,
    against adding everything up after each book."""
    drive = _desk_with_positions()
    rounds = [
        [
            ev.BookSeen(
                at=AT + n,
                book=make_book(
                    str(10_000 + i), [(480_000 + n * 1000, 10**9)], [(520_000, 10**9)], requested_at=n, received_at=n
                ),
            )
            for i in range(POSITIONS)
        ]
        for n in range(1, 4)
    ]
    spent = []
    for books in rounds:
        for book in books:
            drive.push(book)
        drive.push(ev.Tick(at=books[0].at))
        started = time.perf_counter()
        drive.run(books[0].at)
        spent.append(time.perf_counter() - started)
    desk = drive.engine.state.desks["main"]
    started = time.perf_counter()
    for _ in range(50):
        sum(p.shares * (p.mark_price or 0) // MICRO for p in desk.positions.values() if p.shares)
    adding_up = (time.perf_counter() - started) / 50
    ours = statistics.median(spent) / POSITIONS
    return [
        figure(
            "marks: books taken in, 10,000 positions",
            "books/s",
            1 / ours,
            "adding up after each",
            1 / (ours + adding_up),
        ),
    ]
