"""What is no longer in memory is brought with the event that needs it.

A run over a store keeps the trades of the last hours (``State.kept_since``). An event with a fill of before, or of a
leader and token that were traded in a run before and whose orders were not asked for yet, names what it needs
(:func:`Recall.forgotten`); so does the first snapshot of a following, which tells what was held before each trade since
that began. Whoever holds the store looks it up and lets the event carry it, so a replay of the events finds the same.
Without a store nothing is forgotten before its time, and nothing is asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import msgspec

from pilotfish.core import events as ev
from pilotfish.core.dedupe import last_shown
from pilotfish.core.leader_orders import LeaderOrders
from pilotfish.core.state import State
from pilotfish.core.trade import LeaderFill, Trade
from pilotfish.core.units import SECOND

KEEP = 4 * 3600 * SECOND
"""How long trades are kept in memory where a store has them all; above what is read again as a rule."""
MOST_KEPT = 20_000
"""Trades in memory, where a store has them all: with more, the oldest quarter goes before its time."""
KEPT_AT_LEAST = 600 * SECOND
"""What came so lately stays, however much it is."""
LONGEST_BLOCK = 4 * SECOND
"""Blocks come at least as often."""


class Forgotten(msgspec.Struct, frozen=True):
    """What an event needs of a leader and token: trades and snapshots of ``since`` (µs) and later, where it is not
    ``None``, or since those of ``transactions`` of which nobody said when they were, if there are any; and the leader's
    ``orders`` as portfolios know them."""

    leader: str
    token_id: str
    since: int | None
    transactions: tuple[str, ...]
    orders: bool


@dataclass(slots=True)
class _Need:
    since: int | None = None
    transactions: list[str] = field(default_factory=list)


class Recall:
    """Knows how far back memory reaches."""

    def __init__(self, state: State) -> None:
        self.state = state
        self._reach: dict[tuple[str, str], int] = {}
        """Leader and token -> since when (µs) all of their trades are in memory, where that is longer than for most."""
        self._keep = 0
        self._block, self._block_at = 0, 0
        """The newest block whose time a fill has told, and that time (µs)."""

    def begin(self, at: int, keep: int) -> None:
        """A store has what is older than ``keep`` (µs) at ``at``."""
        self.state.kept_since, self._keep = at - keep, keep

    def is_due(self, at: int) -> bool:
        """True once a quarter more than is kept is in memory, or too many."""
        most = self._keep if len(self.state.index) <= MOST_KEPT else min(self._keep, KEPT_AT_LEAST)
        return at - self.state.kept_since > most + most // 4

    def forgotten(self, event: ev.Event) -> tuple[Forgotten, ...]:
        """What has to come with this event."""
        s = self.state
        if s.kept_since and isinstance(event, ev.HoldingsSnapshot):
            return self._since_followed(event)
        if not s.kept_since or not isinstance(event, ev.ChainFillSeen | ev.ApiWindowRead):
            return ()
        needed: dict[tuple[str, str], _Need] = {}
        for fill in fills_of(event):
            pair = (fill.leader, fill.token_id)
            leader = s.leaders.get(fill.leader)
            if leader is None or not leader.active:
                continue
            at = fill.traded_at
            if at is None and not self._is_new(fill) and not s.index.knows(fill.key):
                needed.setdefault(pair, _Need()).transactions.append(fill.tx_hash)
            elif at is not None and leader.floor_ts * SECOND <= at < self._reach.get(pair, s.kept_since):
                need = needed.setdefault(pair, _Need())
                need.since = at if need.since is None else min(at, need.since)
            elif pair not in s.recalled:
                if pair in s.holdings:
                    needed.setdefault(pair, _Need())
                else:
                    s.recalled.add(pair)  # an order that a portfolio knows has moved a holding: there are none
            if at is not None and (fill.block_number or 0) > self._block:
                self._block, self._block_at = fill.block_number or 0, at
        return tuple(
            Forgotten(*pair, need.since, tuple(need.transactions), pair not in s.recalled)
            for pair, need in needed.items()
        )

    def _since_followed(self, e: ev.HoldingsSnapshot) -> tuple[Forgotten, ...]:
        """What has to come with the first snapshot of a following that began before what is in memory: of the tokens
        traded since then, which of a following of a run before are not known, so that it may be any."""
        s, leader = self.state, self.state.leaders.get(e.leader)
        if not e.bootstrap or leader is None or not leader.active or leader.bootstrapped:
            return ()
        since, before = leader.floor_ts * SECOND, leader.follow_from < s.started_at
        return tuple(
            Forgotten(*pair, since, (), pair not in s.recalled)
            for pair in sorted(pair for pair in s.holdings if pair[0] == e.leader)
            if since < self._reach.get(pair, s.kept_since) and (before or s.traded_at.get(pair[1], 0) >= since)
        )

    def _is_new(self, fill: LeaderFill) -> bool:
        """True for a log of which nobody said when it was, and whose block tells that it was lately."""
        if not self._block or not fill.block_number:
            return False
        earlier = max(0, self._block - fill.block_number)
        return self._block_at - earlier * LONGEST_BLOCK >= self.state.kept_since

    def known_from(
        self, pair: tuple[str, str], trades: Iterable[Trade], sets: Iterable[tuple[int, int, bool]]
    ) -> tuple[Iterable[Trade], Iterable[tuple[int, int, bool]]]:
        """Of what is known of a leader and token when a run begins, that from which what was held can be worked out: of
        what a snapshot of the kept hours does not contain, the beginning is not among it."""
        told = sorted(sets, key=lambda s: s[1])
        if not self._keep or not told:
            return trades, told
        begin = self._reach[pair] = told[0][1] // SECOND * SECOND
        return [t for t in trades if t.traded_at >= begin], [(said, as_of, False) for said, as_of, _ in told]

    def take(self, past: Iterable[ev.Past]) -> None:
        """Remember what an event has brought."""
        s = self.state
        for p in past:
            pair = (p.leader, p.token_id)
            if pair not in s.recalled:
                s.recalled.add(pair)
                for name, order in p.orders:
                    desk = s.desks.get(name)
                    if desk is None:
                        continue
                    orders = desk.orders.setdefault(pair, LeaderOrders())
                    s.copiers.add(pair, desk)
                    if all(known.decision_id != order.decision_id for known in orders):
                        orders.add(order)
            if p.since is None:
                continue
            trades = [s.index.recall(trade) for trade in sorted(p.trades, key=lambda t: t.occurrence)]
            reach, self._reach[pair] = self._reach.get(pair, s.kept_since), p.since
            holding = s.holdings.get(pair)
            if holding is not None:
                floor = s.leaders[p.leader].floor_ts * SECOND
                holding.recall([t for t in trades if t.moves_holding and t.active], p.sets, floor, reach)

    def forget(self, at: int, needed: set[int]) -> None:
        """Let go of what is too old at ``at`` (µs), but for trades that are ``needed``, by their ids."""
        s = self.state
        s.kept_since = max(s.kept_since, at - self._keep, min(self._room_from(), at - KEPT_AT_LEAST))
        self._reach.clear()
        s.index.forget_before(s.kept_since, needed)
        for holding in s.holdings.values():
            holding.forget_before(s.kept_since)

    def _room_from(self) -> int:
        """From when on (µs) the trades are no more than three quarters of the most."""
        shown = sorted(map(last_shown, self.state.index))
        most = MOST_KEPT * 3 // 4
        return shown[-most] if len(shown) > MOST_KEPT else 0


def with_past(
    recall: Recall, event: ev.Event, look_up: Callable[[tuple[Forgotten, ...]], tuple[ev.Past, ...]]
) -> ev.Event:
    """The event with what it needs of the past."""
    forgotten = recall.forgotten(event)
    return msgspec.structs.replace(event, past=look_up(forgotten)) if forgotten else event


def fills_of(event: ev.ChainFillSeen | ev.ApiWindowRead) -> tuple[LeaderFill, ...]:
    """The fills that an event tells of."""
    return (event.fill,) if isinstance(event, ev.ChainFillSeen) else event.fills
