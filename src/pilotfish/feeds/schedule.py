"""Which leader is asked when: the rule of the polls, on its own. Integers in, integers out (µs of a steady clock).

All leaders share one rate of requests. Whoever was asked longest ago comes first, so that everyone is asked once in a
round; a round is the poll interval, or as long as the rate needs for that many leaders. Where the rate decides, one
request in :data:`SWIFT_EVERY` goes to leaders who trade, those who trade most soonest, and everybody else waits no more
than a fifteenth longer for it. An answer that failed makes its own leader wait, and nobody else.
"""

from __future__ import annotations

import heapq
from collections import deque
from dataclasses import dataclass
from math import isqrt
from typing import TypeAlias

from pilotfish.core.units import SECOND

SWIFT_EVERY = 16
CATCH_UP = 10
"""Requests that are made up for at once after a time in which none was made: a loop that overslept loses nothing."""
AT_ONCE = 100
"""Leaders that are asked at the same time, at most: those whose answers hang take their own places only."""
LONGEST_WAIT = 30 * SECOND
"""Until a leader is asked again whose polls fail, where the poll interval is not longer."""
OUTAGE = 3
"""So many failures in a row, of whomever, are the service's: its first answer ends everybody's wait."""
TRADE = 1 << 20
"""What a trade adds to a leader's score, which halves every :data:`HALF_LIFE`."""
HALF_LIFE = 900 * SECOND
MOST_SCORE = TRADE << 12


@dataclass(frozen=True, slots=True)
class Pace:
    """``interval``: between two polls of a leader; ``stagger``: between two leaders' first polls, at most; ``slot``:
    between two requests, of whomever. All in µs."""

    interval: int
    stagger: int
    slot: int


@dataclass(slots=True, eq=False)
class _Leader:
    name: str
    asked_at: int = -1
    """-1 = never, which is before everybody else."""
    answered_at: int = 0
    """Without a failure; until then, when they were added."""
    failed: int = 0
    score: int = 0
    scored_at: int = 0
    turn: int = 0
    """Grows with whatever happens to them: what queues hold of another turn is void."""


_Entry: TypeAlias = tuple[int, int, _Leader, int]
"""When, a number that keeps those of one instant in order, who, and in which turn of theirs."""


class Schedule:
    """The leaders, and whose turn it is. The caller asks those whom :meth:`due` names and says what came of each."""

    def __init__(self, pace: Pace) -> None:
        self.pace = pace
        self._leaders: dict[str, _Leader] = {}
        self._asking: dict[str, _Leader] = {}
        self._fresh: deque[_Entry] = deque()
        """Never asked, in the order in which they came."""
        self._resting: list[_Entry] = []
        """Until their interval is over, or their wait after a failure."""
        self._ready: list[_Entry] = []
        """May be asked, by when they were asked last."""
        self._swift: list[_Entry] = []
        """Those of them who trade, by when they should be asked again because of that."""
        self._entries = 0
        self._slot_at = self._fresh_at = 0
        self._fair = 0
        """Requests since the last one out of turn."""
        self._weights = 0
        self._failures = 0
        """In a row, of whomever."""

    def __len__(self) -> int:
        return len(self._leaders)

    # -- who is there ------------------------------------------------------------------------------------------

    def add(self, name: str, now: int) -> None:
        """Ask a leader from now on; the first time comes before everybody who was asked already."""
        self.remove(name)
        leader = self._leaders[name] = _Leader(name, answered_at=now, scored_at=now)
        self._fresh.append(self._entry(now, leader))

    def remove(self, name: str) -> None:
        """Ask a leader no longer; no answer of theirs is expected any more."""
        leader = self._leaders.pop(name, None)
        if leader is not None:
            leader.turn += 1
            self._asking.pop(name, None)
            self._weights -= isqrt(leader.score)

    def keep(self, pace: Pace, now: int) -> None:
        """Go at this pace from now on; who rests does so for the new interval."""
        if pace == self.pace:
            return
        before, self.pace = self.pace, pace
        self._slot_at = now
        for until, _, leader, turn in list(self._resting):
            if leader.turn == turn and until == leader.asked_at + before.interval:
                self._rest(leader, leader.asked_at + pace.interval)

    # -- whose turn it is --------------------------------------------------------------------------------------

    @property
    def round(self) -> int:
        """How long it takes to ask everybody once, by the interval or by what the rate allows (µs)."""
        return max(self.pace.interval, len(self._leaders) * self.pace.slot)

    def oldest(self, now: int) -> int:
        """How long ago that leader was answered for whom it is longest ago (µs)."""
        return max((now - leader.answered_at for leader in self._leaders.values()), default=0)

    def due(self, now: int) -> tuple[list[str], int | None]:
        """Whom to ask at ``now``, and when to look again; ``None``: once something has changed."""
        self._let_in(now)
        while (entry := _first(self._resting)) is not None and entry[0] <= now:
            self._be_ready(heapq.heappop(self._resting)[2], now)
        chosen: list[str] = []
        while len(self._asking) < AT_ONCE and self._slot_at <= now:
            leader = self._next(now)
            if leader is None:
                break
            self._slot_at = max(self._slot_at, now - CATCH_UP * self.pace.slot) + self.pace.slot
            leader.asked_at = now
            leader.turn += 1
            self._asking[leader.name] = leader
            chosen.append(leader.name)
        return chosen, self._look_again()

    def answered(
        self, name: str, now: int, *, ok: bool, trades: int = 0, requests: int = 1, more: bool = False
    ) -> None:
        """A leader was asked, in so many ``requests``: whether that went well, and brought so many new ``trades``;
        ``more``: there is more to be read at once."""
        leader = self._asking.pop(name, None)
        if leader is None:
            return
        self._slot_at += max(0, requests - 1) * self.pace.slot
        if not ok:
            self._failures += 1
            leader.failed += 1
            wait = min(self.pace.interval << min(leader.failed - 1, 16), max(self.pace.interval, LONGEST_WAIT))
            self._rest(leader, now + wait)
            return
        if self._failures >= OUTAGE:
            self._end_waits()
        self._failures = leader.failed = 0
        leader.answered_at = now
        self._weigh(leader, trades, now)
        self._rest(leader, now if more else leader.asked_at + self.pace.interval)

    # -- inside ------------------------------------------------------------------------------------------------

    def _entry(self, at: int, leader: _Leader) -> _Entry:
        self._entries += 1
        return (at, self._entries, leader, leader.turn)

    def _rest(self, leader: _Leader, until: int) -> None:
        leader.turn += 1
        heapq.heappush(self._resting, self._entry(until, leader))

    def _end_waits(self) -> None:
        """The service answers again: what failed because it did not waits no longer than any other poll."""
        for _, _, leader, turn in list(self._resting):
            if leader.turn == turn and leader.failed:
                self._rest(leader, leader.asked_at + self.pace.interval)

    def _let_in(self, now: int) -> None:
        """Those who were never asked, one after each stagger, but all of them within a round."""
        stagger = min(self.pace.stagger, self.round // max(1, len(self._leaders)))
        while self._fresh and self._fresh_at <= now:
            _, _, leader, turn = self._fresh.popleft()
            if leader.turn == turn:
                self._fresh_at = max(self._fresh_at, now - CATCH_UP * stagger) + stagger
                self._be_ready(leader, now)

    def _be_ready(self, leader: _Leader, now: int) -> None:
        heapq.heappush(self._ready, self._entry(leader.asked_at, leader))
        self._weigh(leader, 0, now)
        if leader.score:
            every = max(self.pace.interval, SWIFT_EVERY * self.pace.slot * self._weights // isqrt(leader.score))
            heapq.heappush(self._swift, self._entry(leader.asked_at + every, leader))

    def _next(self, now: int) -> _Leader | None:
        swift = _first(self._swift)
        if self._fair >= SWIFT_EVERY - 1 and swift is not None and swift[0] <= now:
            self._fair = 0
            return heapq.heappop(self._swift)[2]
        if _first(self._ready) is None:
            return None
        self._fair += 1
        return heapq.heappop(self._ready)[2]

    def _look_again(self) -> int | None:
        if len(self._asking) >= AT_ONCE:
            return None
        if _first(self._ready) is not None:
            return self._slot_at
        resting = _first(self._resting)
        at = [self._fresh_at] if self._fresh else []
        at += [resting[0]] if resting is not None else []
        return max(self._slot_at, min(at)) if at else None

    def _weigh(self, leader: _Leader, trades: int, now: int) -> None:
        """Take new trades into the score, and let it fade. A leader's weight is its square root: with polls in these
        proportions trades wait least for being seen, on average."""
        halvings = (now - leader.scored_at) // HALF_LIFE
        score = min(MOST_SCORE, (leader.score >> halvings) + trades * TRADE)
        leader.scored_at += halvings * HALF_LIFE
        self._weights += isqrt(score) - isqrt(leader.score)
        leader.score = score


def _first(queue: list[_Entry]) -> _Entry | None:
    """What comes first of what is not void."""
    while queue and queue[0][2].turn != queue[0][3]:
        heapq.heappop(queue)
    return queue[0] if queue else None
