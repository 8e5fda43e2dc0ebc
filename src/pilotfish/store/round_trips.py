"""Round trips, from flat to flat: recomputed from the ledger for ``verify``, and counted as won and lost."""

from __future__ import annotations

import threading
from collections import Counter, defaultdict
from typing import TypeAlias

from sqlalchemy import Connection, case, func, select

from pilotfish.core.ledger import Position, end_trip
from pilotfish.core.recording import trip_record
from pilotfish.core.records import PositionRecord, RoundTripRecord
from pilotfish.store import tables as t
from pilotfish.store.mapping import read, read_rows

Key: TypeAlias = tuple[str, str, str]
"""(portfolio, leader, token)"""


class Trips:
    """Collects the round trips that a replay of the ledger ends, and compares them with the rows."""

    def __init__(self, c: Connection) -> None:
        i, d = t.intents.c, t.decisions.c
        query = select(i.id, i.trade_id, d.rule, d.trade_id.label("decided")).join(t.decisions, d.id == i.decision_id)
        self._rules = {
            r.id: r.rule or ("reorg" if not r.trade_id and r.decided is not None else "leader")
            for r in c.execute(query.where(i.side == "SELL"))
        }
        self._found: dict[Key, list[RoundTripRecord]] = defaultdict(list)

    def rule_of(self, intent_id: int) -> str:
        """What asked for a sale."""
        return self._rules.get(intent_id, "leader")

    def take(self, portfolio: str, position: Position, ended: str) -> None:
        """A position that has just been sold from or paid out; if it is flat now, a round trip is over."""
        trip = end_trip(position)
        if trip is not None:
            record = trip_record(portfolio, position, trip, ended)
            self._found[(portfolio, position.leader, position.token_id)].append(record)

    def differences(self, c: Connection) -> list[str]:
        """Positions whose round trips the ledger tells otherwise."""
        stored: dict[Key, list[RoundTripRecord]] = defaultdict(list)
        for r in read_rows(c, RoundTripRecord, read(RoundTripRecord).order_by(t.round_trips.c.id)):
            stored[(r.portfolio, r.leader, r.token_id)].append(r)
        return [
            f"position {key[0]} / {key[1]} / {key[2][:12]}…: {len(stored[key])} round trips written, the ledger says"
            f" {len(self._found[key])}, or other figures"
            for key in sorted({*stored, *self._found})
            if stored[key] != self._found[key]
        ]


def trip_of(row: PositionRecord) -> tuple[int, int, int, int]:
    """The figures of the round trip under way, from a position's row."""
    return row.trip_bought_micro, row.trip_paid_micro, row.trip_got_micro, row.trip_fees_micro


def trip_under_way(position: Position) -> tuple[int, int, int, int]:
    """The same of a position in memory."""
    trip = position.trip
    return trip.bought, trip.paid, trip.got, trip.fees


class TripCounts:
    """Round trips won and lost, kept up from the last look. One for each database that is read from."""

    def __init__(self) -> None:
        self._won: Counter[str] = Counter()
        self._lost: Counter[str] = Counter()
        self._upto = 0
        self._resets: dict[str, int] = {}
        self._lock = threading.Lock()

    def read(self, c: Connection) -> dict[str, tuple[int, int]]:
        """By portfolio: round trips that ended above and below what they cost; one that did neither is in neither."""
        trip = t.round_trips.c
        with self._lock:
            newest = int(c.execute(select(func.max(trip.id))).scalar() or 0)
            resets = {r.name: r.reset_at or 0 for r in c.execute(select(t.portfolios.c.name, t.portfolios.c.reset_at))}
            if newest < self._upto or any(resets.get(name) != at for name, at in self._resets.items()):
                self._won, self._lost, self._upto = Counter(), Counter(), 0
            self._resets = resets
            won, lost = (func.sum(case((sign, 1), else_=0)) for sign in (trip.pnl_micro > 0, trip.pnl_micro < 0))
            query = select(trip.portfolio, won, lost).where(trip.id > self._upto, trip.id <= newest)
            for name, above, below in c.execute(query.group_by(trip.portfolio)):
                self._won[name] += int(above)
                self._lost[name] += int(below)
            self._upto = newest
            return {name: (self._won[name], self._lost[name]) for name in {*self._won, *self._lost}}
