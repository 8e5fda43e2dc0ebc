"""The books of a run, kept in memory by the very writer and read by the very report that serve what runs live."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import insert, update

from pilotfish.backtest.source import PORTFOLIO
from pilotfish.backtest.uncopyable import TOO_THIN
from pilotfish.core import events as ev
from pilotfish.core.effects import Effect, RowEffect
from pilotfish.core.reasons import Outcome
from pilotfish.core.shortfall import Line
from pilotfish.store import report
from pilotfish.store import tables as t
from pilotfish.store.batch import write
from pilotfish.store.database import empty_database
from pilotfish.store.verify import verify

TOGETHER = 5_000
"""Rows that are written at a time."""


class Books:
    """Takes every event of a run with :meth:`see`; :meth:`line` says where the leader's result went."""

    def __init__(self, bankroll: int, at: int) -> None:
        self._database = empty_database()
        with self._database.begin() as c:
            c.execute(insert(t.portfolios).values(name=PORTFOLIO, bankroll_micro=bankroll, created_at=at))
        self._rows: list[RowEffect] = []

    def see(self, _event: ev.Event, effects: list[Effect]) -> None:
        """What came of an event."""
        self._rows += [e for e in effects if isinstance(e, RowEffect)]
        if len(self._rows) >= TOGETHER:
            self._write()

    def _write(self) -> None:
        with self._database.begin() as c:
            write(c, self._rows)
        self._rows = []

    def thin(self, orders: Sequence[int]) -> None:
        """Orders that got nothing since nothing was traded on their side: that, and no price, is why."""
        self._write()
        unfilled = t.intents.c.reason == Outcome.UNFILLED_PRICE.value
        with self._database.begin() as c:
            for begin in range(0, len(orders), TOGETHER):
                these = t.intents.c.id.in_(orders[begin : begin + TOGETHER])
                c.execute(update(t.intents).where(these, unfilled).values(reason=TOO_THIN))

    def line(self, wallet: str) -> Line:
        """What the leader's prices would have made at our sizes, what we made, and the parts between."""
        self._write()
        with self._database.connect() as c:
            return report.lines(c).get((PORTFOLIO, wallet), Line())

    def differences(self) -> list[str]:
        """What does not add up in them; empty = nothing."""
        self._write()
        with self._database.connect() as c:
            return list(verify(c))

    def close(self) -> None:
        """Let go of the memory."""
        self._database.dispose()
