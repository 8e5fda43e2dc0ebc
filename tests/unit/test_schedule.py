"""The rule of the polls, in virtual time: nobody starves, the limit holds, one leader does not hold up another."""

from __future__ import annotations

import heapq
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilotfish.core.units import SECOND
from pilotfish.feeds import schedule as rule
from pilotfish.feeds.schedule import Pace, Schedule

MS = SECOND // 1000
LIMITED = Pace(interval=5 * SECOND, stagger=500 * MS, slot=SECOND // 80)


@dataclass
class Answer:
    after: int = 50 * MS
    ok: bool = True
    trades: int = 0
    requests: int = 1


@dataclass
class Clockwork:
    """Runs a schedule in virtual time; ``ask`` says what comes of asking a leader at an instant."""

    schedule: Schedule
    ask: Callable[[str, int], Answer] = lambda _name, _now: Answer()
    now: int = 0
    asked: list[tuple[int, str]] = field(default_factory=list)
    _under_way: list[tuple[int, int, str, Answer]] = field(default_factory=list)

    def run(self, until: int) -> None:
        while True:
            while self._under_way and self._under_way[0][0] <= self.now:
                at, _, name, answer = heapq.heappop(self._under_way)
                self.schedule.answered(name, at, ok=answer.ok, trades=answer.trades, requests=answer.requests)
            names, look = self.schedule.due(self.now)
            for name in names:
                answer = self.ask(name, self.now)
                self.asked.append((self.now, name))
                heapq.heappush(self._under_way, (self.now + answer.after, len(self.asked), name, answer))
            ahead = [x for x in (look, self._under_way[0][0] if self._under_way else None) if x is not None]
            assert names or not ahead or min(ahead) > self.now, "it looks again and again at one instant"
            following = min(ahead, default=until)
            if following >= until:
                self.now = until
                return
            self.now = max(self.now, following)

    def times(self) -> dict[str, list[int]]:
        found = defaultdict(list)
        for at, name in self.asked:
            found[name].append(at)
        return found

    def oldest_age(self, since: int = 0) -> int:
        """The longest time that a leader went without being asked, from an instant on."""
        return max(b - a for times in self.times().values() for a, b in pairwise([*times, self.now]) if a >= since)


def clockwork(leaders: int, pace: Pace = LIMITED, ask: Callable[[str, int], Answer] | None = None) -> Clockwork:
    made = Clockwork(Schedule(pace), ask or (lambda _name, _now: Answer()))
    for n in range(leaders):
        made.schedule.add(f"leader {n}", 0)
    return made


def most_in(times: list[int], span: int) -> int:
    """The most requests in any window of this length."""
    most = first = 0
    for n, at in enumerate(times):
        while at - times[first] >= span:
            first += 1
        most = max(most, n - first + 1)
    return most


@pytest.mark.parametrize("leaders", [1_000, 10_000])
def test_the_first_of_many_leaders_is_asked_at_once_and_the_last_as_soon_as_the_limit_allows(leaders: int) -> None:
    world = clockwork(leaders)
    allowed = leaders * LIMITED.slot
    world.run(allowed)
    firsts = {name: times[0] for name, times in world.times().items()}
    assert len(firsts) == leaders
    assert min(firsts.values()) == 0
    assert max(firsts.values()) < allowed


@pytest.mark.parametrize("leaders", [1_000, 10_000])
def test_the_oldest_of_many_cursors_is_within_a_tenth_of_what_the_limit_allows(leaders: int) -> None:
    def busy(name: str, _now: int) -> Answer:
        return Answer(trades=3 if name.endswith("7") else 0)

    world = clockwork(leaders, ask=busy)
    allowed = leaders * LIMITED.slot
    world.run(5 * allowed)
    assert world.schedule.round == allowed
    assert world.oldest_age() <= 1.1 * allowed
    assert len(world.asked) >= 5 * allowed // LIMITED.slot - 1
    assert world.schedule.oldest(world.now) <= 1.1 * allowed + Answer().after


def test_who_trades_more_is_asked_more_often_and_nobody_more_often_than_the_interval() -> None:
    trades = {"leader 1": 1, "leader 2": 20, "leader 3": 400}
    world = clockwork(2_000, ask=lambda name, _now: Answer(trades=trades.get(name, 0)))
    world.run(300 * SECOND)
    asked = Counter(name for _, name in world.asked)
    assert asked["leader 3"] >= asked["leader 2"] >= asked["leader 1"] > asked["leader 4"]
    assert asked["leader 3"] >= 4 * asked["leader 4"]
    assert all(b - a >= LIMITED.interval for times in world.times().values() for a, b in pairwise(times))


def test_while_the_limit_allows_it_everyone_is_asked_every_interval() -> None:
    world = clockwork(10, ask=lambda name, _now: Answer(trades=5 if name == "leader 1" else 0))
    world.run(100 * SECOND)
    gaps = {b - a for times in world.times().values() for a, b in pairwise(times)}
    assert gaps == {LIMITED.interval}
    assert [times[0] for times in world.times().values()] == [n * 500 * MS for n in range(10)]


def test_who_was_asked_is_not_asked_again_before_the_answer() -> None:
    world = clockwork(1, ask=lambda _name, _now: Answer(after=60 * SECOND))
    world.run(150 * SECOND)
    assert [at // SECOND for at, _ in world.asked] == [0, 60, 120]


def test_dead_leaders_hold_up_nobody_and_are_asked_less_and_less() -> None:
    def some_dead(name: str, _now: int) -> Answer:
        return Answer(after=20 * SECOND, ok=False) if name in ("leader 3", "leader 4") else Answer()

    world = clockwork(20, ask=some_dead)
    world.run(600 * SECOND)
    times = world.times()
    alive = [b - a for name, at in times.items() if name not in ("leader 3", "leader 4") for a, b in pairwise(at)]
    assert set(alive) == {LIMITED.interval}
    pauses = [b - a - 20 * SECOND for a, b in pairwise(times["leader 3"])]
    assert pauses[:4] == [5 * SECOND, 10 * SECOND, 20 * SECOND, 30 * SECOND]
    assert max(pauses) == rule.LONGEST_WAIT


def test_after_an_outage_everybody_is_asked_within_an_interval() -> None:
    back = 300 * SECOND
    world = clockwork(50, ask=lambda _name, now: Answer(ok=now >= back))
    world.run(back + 36 * SECOND)
    since = [at for at, _ in world.asked if at >= back]
    first_answer = since[0] + Answer().after
    assert {name for at, name in world.asked if back <= at <= first_answer + SECOND} == set(world.times())


def test_pages_of_a_long_reading_count_as_the_requests_that_they_are() -> None:
    world = clockwork(1_000, ask=lambda name, _now: Answer(requests=40 if name == "leader 5" else 1))
    world.run(60 * SECOND)
    requests = sum(40 if name == "leader 5" else 1 for _, name in world.asked)
    assert requests <= 60 * 80 + rule.CATCH_UP + 40


def test_a_new_leader_comes_before_those_who_were_asked_already() -> None:
    world = clockwork(5_000)
    world.run(100 * SECOND)
    world.schedule.add("new", world.now)
    world.run(101 * SECOND)
    assert world.times()["new"][0] <= 100 * SECOND + 2 * LIMITED.slot


def test_another_interval_holds_at_once() -> None:
    world = clockwork(1, Pace(600 * SECOND, 0, LIMITED.slot))
    world.run(10 * SECOND)
    world.schedule.keep(LIMITED, world.now)
    world.run(21 * SECOND)
    assert [at for at, _ in world.asked] == [0, 10 * SECOND, 15 * SECOND, 20 * SECOND]


def test_an_answer_of_somebody_who_left_changes_nothing() -> None:
    world = clockwork(2)
    world.run(10 * MS)
    world.schedule.remove("leader 0")
    world.schedule.add("leader 0", world.now)
    world.schedule.answered("leader 0", world.now, ok=True)
    world.run(2 * SECOND)
    assert Counter(name for _, name in world.asked) == {"leader 0": 2, "leader 1": 1}


Deed = tuple[int, str, int]


@given(
    leaders=st.integers(1, 120),
    per_second=st.integers(1, 100),
    interval=st.integers(1, 20),
    deeds=st.lists(
        st.tuples(st.integers(1, 30), st.sampled_from(["add", "leave", "pause", "sleep"]), st.integers(0, 150)),
        max_size=12,
    ),
    habits=st.lists(
        st.tuples(st.sampled_from(["well", "slow", "fails", "long"]), st.integers(0, 50)), min_size=1, max_size=8
    ),
)
def test_whatever_happens_the_limit_holds_and_nobody_starves(
    leaders: int, per_second: int, interval: int, deeds: list[Deed], habits: list[tuple[str, int]]
) -> None:
    """Leaders come, go and come back, fail, are slow or have much to read, and the loop oversleeps: in no window are
    there more requests than the rate and what is made up for, and whoever is there was asked within their bound."""
    pace = Pace(interval * SECOND, 500 * MS, SECOND // per_second)
    answers = {
        "well": Answer(),
        "slow": Answer(after=3 * SECOND),
        "fails": Answer(ok=False),
        "long": Answer(requests=5),
    }

    def ask(name: str, _now: int) -> Answer:
        kind, trades = habits[int(name.split()[1]) % len(habits)]
        given = answers[kind]
        return Answer(given.after, given.ok, trades, given.requests)

    world = clockwork(leaders, pace, ask)
    there = {f"leader {n}": 0 for n in range(leaders)}
    """Who is there, and since when."""
    most, slept = leaders, 0
    for after, deed, number in deeds:
        world.run(world.now + after * SECOND)
        name = f"leader {number}"
        if deed == "sleep":
            world.now += number * 20 * MS
            slept += number * 20 * MS
        elif deed == "leave" or (deed == "pause" and name in there):
            world.schedule.remove(name)
            there.pop(name, None)
        if deed in ("add", "pause"):
            world.schedule.add(name, world.now)
            there[name] = world.now
        most = max(most, len(there)) + (deed in ("add", "pause"))
    requests = [at for at, _ in world.asked]
    for span in (SECOND, 10 * SECOND):
        assert most_in(requests, span) <= span // pace.slot + rule.CATCH_UP + 2
    pages = max(answers[kind].requests for kind, _ in habits)
    turn = most * pages * pace.slot * rule.SWIFT_EVERY // (rule.SWIFT_EVERY - 1) + rule.SWIFT_EVERY * pages * pace.slot
    bound = max(pace.interval, rule.LONGEST_WAIT) + pace.interval + 3 * SECOND + 2 * turn + slept
    world.run(world.now + bound)
    last = {name: times[-1] for name, times in world.times().items()}
    assert {name for name, since in there.items() if last.get(name, -1) < since} == set()
    assert max((world.now - last[name] for name in there), default=0) <= bound
    assert set(last) >= set(there)
