"""``bench polls``: 1,000 and 10,000 leaders on one schedule, in virtual time: how old the oldest cursor gets against
what the limit allows, how soon the last leader is first asked, and what a poll costs the schedule."""

from __future__ import annotations

import heapq
import time
from dataclasses import dataclass, field

from pilotfish.cli.benches.figure import Figure, Options, figure, measured
from pilotfish.core.units import SECOND
from pilotfish.feeds.poller import SHARE
from pilotfish.feeds.schedule import Pace, Schedule
from pilotfish.polymarket.throttle import DATA

LEADERS = (1_000, 10_000)
ROUNDS = 4
"""So many rounds of all leaders are looked at."""
ANSWER = SECOND // 10
TRADERS = 50
"""One leader in so many trades all the time."""
PACE = Pace(interval=5 * SECOND, stagger=SECOND // 2, slot=round(SECOND / (SHARE * DATA)))


@dataclass
class _Seen:
    first: dict[str, int] = field(default_factory=dict)
    last: dict[str, int] = field(default_factory=dict)
    oldest: int = 0
    polls: int = 0
    of_traders: int = 0


def figures(_options: Options) -> list[Figure]:
    """For each number of leaders: ages as polls an hour, so that more is better."""
    found = []
    for leaders in LEADERS:
        costs = []
        for _ in range(3):
            began = time.thread_time()
            seen = _run(leaders)
            costs.append(seen.polls / (time.thread_time() - began))
        allowed = max(PACE.interval, leaders * PACE.slot)
        often = seen.of_traders / (leaders // TRADERS) / (seen.polls / leaders)
        note = (
            f"oldest {seen.oldest / SECOND:.1f} s, the limit allows {allowed / SECOND:.1f} s; the last is first asked"
            f" after {max(seen.first.values()) / SECOND:.1f} s; who trades is asked {often:.1f} times as often"
        )
        name = f"polls: {leaders:,} leaders"
        found += [
            figure(f"{name}, oldest cursor", "polls/h", 3600 * SECOND / seen.oldest, "what the limit allows",
                   3600 * SECOND / allowed, note, aim=0.91),
            figure(f"{name}, the schedule", "polls/s of a core", measured(costs), "what the limit allows",
                   SECOND / PACE.slot, note),
        ]  # fmt: skip
    return found


def _run(leaders: int) -> _Seen:
    """All leaders, from the start on; every answer takes a tenth of a second."""
    schedule, seen, now = Schedule(PACE), _Seen(), 0
    for n in range(leaders):
        schedule.add(str(n), 0)
    answers: list[tuple[int, str]] = []
    end = ROUNDS * schedule.round
    while now < end:
        while answers and answers[0][0] <= now:
            at, name = heapq.heappop(answers)
            schedule.answered(name, at, ok=True, trades=int(name) % TRADERS == 0)
        names, again = schedule.due(now)
        for name in names:
            seen.first.setdefault(name, now)
            seen.oldest = max(seen.oldest, now - seen.last.get(name, 0))
            seen.last[name] = now
            seen.polls += 1
            seen.of_traders += int(name) % TRADERS == 0
            heapq.heappush(answers, (now + ANSWER, name))
        waits = [at for at in (again, answers[0][0] if answers else None) if at is not None]
        now = max(now + 1, min(waits)) if waits else end
    return seen
