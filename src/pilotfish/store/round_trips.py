"""Round trips, from flat to flat: recomputed from the ledger for ``verify``, counted as won and lost, and added up."""

from __future__ import annotations

import threading
from collections import Counter, defaultdict
from collections.abc import Container
from typing import NamedTuple, TypeAlias

from sqlalchemy import Connection, case, func, select, text

from pilotfish.core.ledger import Position, end_trip
from pilotfish.core.recording import trip_record
from pilotfish.core.records import PositionRecord, RoundTripRecord
from pilotfish.store import tables as t
from pilotfish.store.mapping import read, read_rows, total

Key: TypeAlias = tuple[str, str, str]
"""(portfolio, leader, token)"""
ENDED_WORDS = {
    "leader": "the leader sold",
    "close": "by hand",
    "stop_loss": "stop-loss",
    "take_profit": "take-profit",
    "resolved": "resolved",
    "dust": "dust",
    "reorg": "reorg",
}
"""How a round trip ended, or what asked for a sale, for people."""
ENDED_MEANING = {
    "leader": "The leader sold, and the copy with them.",
    "close": "A person closed it.",
    "stop_loss": "Its value was stop_loss_bps below its cost.",
    "take_profit": "Its value was take_profit_bps above its cost.",
    "resolved": "The market was resolved, and paid out.",
    "dust": "What was left was too little to sell, and was written off.",
    "reorg": "A reorg took the leader's trade back, and what was copied from it was sold.",
}
"""The same in a sentence."""


def cause_of_sale(rule: str | None, trade_id: int, decided: int | None) -> str:
    """What asked for a sale, given its order and the trade that was decided on: our own rule, a person, a reorg (its
    way out hangs on the decision of the fill that it undoes), or the leader."""
    return rule or ("reorg" if not trade_id and decided is not None else "leader")


class Trips:
    """Collects the round trips that a replay of the ledger ends, and compares them with the rows."""

    def __init__(self, c: Connection) -> None:
        i, d = t.intents.c, t.decisions.c
        query = select(i.id, i.trade_id, d.rule, d.trade_id.label("decided")).join(t.decisions, d.id == i.decision_id)
        self._rules = {
            r.id: cause_of_sale(r.rule, r.trade_id, r.decided) for r in c.execute(query.where(i.side == "SELL"))
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


class TripSum(NamedTuple):
    """What round trips come to, in millionths of a USDC; fees are within what was paid and got."""

    trips: int = 0
    paid: int = 0
    got: int = 0
    fees: int = 0

    def plus(self, other: TripSum) -> TripSum:
        """Both together."""
        return TripSum(*(a + b for a, b in zip(self, other, strict=True)))


class _Of(NamedTuple):
    """What round trips are added up by."""

    portfolio: str
    leader: str
    token_id: str
    resolved: bool


class TripCounts:
    """Round trips won and lost, and what they come to, kept up from the last look. One for each database that is read
    from."""

    def __init__(self) -> None:
        self._won: Counter[str] = Counter()
        self._lost: Counter[str] = Counter()
        self._sums: dict[_Of, TripSum] = {}
        self._upto = 0
        self._resets: dict[str, int] = {}
        self._lock = threading.Lock()

    def read(self, c: Connection) -> dict[str, tuple[int, int]]:
        """By portfolio: round trips that ended above and below what they cost; one that did neither is in neither."""
        with self._lock:
            self._keep_up(c)
            return {name: (self._won[name], self._lost[name]) for name in {*self._won, *self._lost}}

    def total(
        self, c: Connection, portfolio: str, *, leader: str | None = None, tokens: Container[str] | None = None,
        resolved: bool | None = None,
    ) -> TripSum:  # fmt: skip
        """What the round trips of a portfolio come to: of a leader, of some tokens, sold or resolved ones (``None`` =
        any)."""
        found = TripSum()
        with self._lock:
            self._keep_up(c)
            for of, one in self._sums.items():
                if of.portfolio != portfolio or (leader is not None and of.leader != leader):
                    continue
                if (tokens is None or of.token_id in tokens) and resolved in (None, of.resolved):
                    found = found.plus(one)
        return found

    def _keep_up(self, c: Connection) -> None:
        """Take in what was added since; everything anew where rows are gone."""
        trip, of = t.round_trips.c, t.portfolios.c
        newest = int(c.execute(select(func.max(trip.id))).scalar() or 0)
        resets = {r.name: r.reset_at or 0 for r in c.execute(select(of.name, of.reset_at))}
        if newest < self._upto or any(resets.get(name) != at for name, at in self._resets.items()):
            self._won, self._lost, self._sums, self._upto = Counter(), Counter(), {}, 0
        self._resets = resets
        won, lost = (func.sum(case((sign, 1), else_=0)) for sign in (trip.pnl_micro > 0, trip.pnl_micro < 0))
        resolved = case((t.TRIP_RESOLVED, 1), else_=0).label("resolved")
        key = (trip.portfolio, trip.leader, trip.token_id)
        sums = (func.count(), total(trip.paid_micro), total(trip.got_micro), total(trip.fees_micro))
        query = select(*key, resolved, won, lost, *sums).where(trip.id > self._upto, trip.id <= newest)
        for r in c.execute(query.group_by(*key, text("resolved"))):
            of_portfolio, leader, token_id, is_resolved, above, below, *sum_ = r
            self._won[of_portfolio] += int(above)
            self._lost[of_portfolio] += int(below)
            one = _Of(of_portfolio, leader, token_id, bool(is_resolved))
            self._sums[one] = self._sums.get(one, TripSum()).plus(TripSum(*sum_))
        self._upto = newest
