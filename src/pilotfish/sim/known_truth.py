"""Does discovery find what is there? Crowds of the stand-in venue's past, whose truth is known, through the very look
back that real wallets go through.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeAlias

import msgspec

from pilotfish.backtest.cores import on_cores
from pilotfish.backtest.judgement import Verdict
from pilotfish.backtest.one_wallet import Dropped, Looked, looked_at
from pilotfish.backtest.ranking import rank
from pilotfish.core.settings import policy_from
from pilotfish.core.units import PPM
from pilotfish.sim.past import make_past, past_of, truth
from pilotfish.sim.past_people import Kind, Person, crowd

DAY = 86_400
TO_AT = 1_790_000_000 // DAY * DAY
"""The end (epoch seconds) of every invented past: results do not depend on when they are asked for."""
SKILLED_EDGE_PPM = 300_000
"""What the skilled earn a dollar: beyond luck over 300 events at even odds also among 205 wallets, where a p-value of
about 0.0004, 3.4 standard errors of some 0.06, is asked for (docs/backtest.md)."""
COVERED = {Kind.FLIPPER: None, Kind.SKILLED: 100_000, Kind.VALUE: 150_000}
"""The kinds of worlds that intervals are tried in, and the edge of each."""
TRIED_EVENTS = 100
"""Events of each."""


class Made(msgspec.Struct, frozen=True, kw_only=True):
    """A person of an invented past of ``days``: its seed, everybody in it, and the place of the one that is meant."""

    seed: int
    people: tuple[Person, ...]
    place: int
    days: int = 90


class Crowd(msgspec.Struct, frozen=True, kw_only=True):
    """What a board made of one crowd: of those called copyable so many were flippers and so many skilled."""

    seed: int
    tested: int
    skilled: int
    found: int
    flippers_found: int


class Coverage(msgspec.Struct, frozen=True, kw_only=True):
    """In how many of so many worlds the 90 % interval held the truth, by kind and over all."""

    worlds: int
    held: int
    below: int
    above: int
    by_kind: dict[str, tuple[int, int]]

    @property
    def percent(self) -> float:
        """How often, in percent."""
        return 100 * self.held / self.worlds


Run: TypeAlias = Callable[[Callable[[Made], Looked], Sequence[Made]], list[Looked]]
"""Runs jobs somewhere and gives their results in order."""


def look(made: Made) -> Looked:
    """Look back at a person of an invented past."""
    person = made.people[made.place]
    world = make_past(made.seed, from_at=TO_AT - made.days * DAY, to_at=TO_AT, people=made.people)
    return looked_at(past_of(world, person.wallet), policy_from({}))


def died(made: Made) -> Looked:
    """What becomes of a look back whose process died each time."""
    return Looked(wallet=made.people[made.place].wallet, dropped=Dropped.DIED)


def jobs_of(seed: int, people: Sequence[Person], days: int = 90) -> list[Made]:
    """A job for each of these people, who live in one past."""
    everybody = tuple(people)
    return [Made(seed=seed, people=everybody, place=place, days=days) for place in range(len(everybody))]


def locally(processes: int, told: Callable[[int], None] = lambda _done: None) -> Run:
    """Runs on this machine."""
    return partial(on_cores, processes=processes, lost=died, told=told)


def crowd_of(seed: int, flippers: int, skilled: int, events: int = 300) -> tuple[Person, ...]:
    """Coin flippers and, last, some skilled, on so many events each."""
    return (
        *crowd(seed, Kind.FLIPPER, flippers, events=events),
        *crowd(seed, Kind.SKILLED, skilled, events=events, edge_ppm=SKILLED_EDGE_PPM),
    )


def crowded(seed: int, run: Run, *, flippers: int = 200, skilled: int = 5, events: int = 300) -> Crowd:
    """Who of a crowd is called copyable by the board."""
    people = crowd_of(seed, flippers, skilled, events)
    looked = run(look, jobs_of(seed, people))
    board = rank({one.wallet: one.judgement for one in looked if one.judgement is not None})
    kinds = {person.wallet: person.kind for person in people}
    called = [kinds[row.wallet] for row in board.rows if row.verdict is Verdict.COPYABLE]
    return Crowd(
        seed=seed,
        tested=board.tested,
        skilled=skilled,
        found=called.count(Kind.SKILLED),
        flippers_found=called.count(Kind.FLIPPER),
    )


def covered(worlds: int, run: Run, *, first_seed: int = 1) -> Coverage:
    """How often the interval holds the edge that the generator states, in so many worlds of their own."""
    kinds = list(COVERED.items())
    jobs = []
    for n in range(worlds):
        kind, edge_ppm = kinds[n % len(kinds)]
        seed = first_seed + n
        jobs += jobs_of(seed, crowd(seed, kind, 1, events=TRIED_EVENTS, edge_ppm=edge_ppm))
    found: dict[str, list[int]] = {kind.value: [] for kind in COVERED}
    for made, looked in zip(jobs, run(look, jobs), strict=True):
        found[made.people[0].kind.value].append(_side(made, looked))
    sides = [side for some in found.values() for side in some]
    return Coverage(
        worlds=worlds,
        held=sides.count(0),
        below=sides.count(-1),
        above=sides.count(1),
        by_kind={kind: (some.count(0), len(some)) for kind, some in found.items()},
    )


def _side(made: Made, looked: Looked) -> int:
    """0 where the interval holds the truth; -1 where the truth lies below it, 1 where above."""
    person = made.people[made.place]
    world = make_past(made.seed, from_at=TO_AT - made.days * DAY, to_at=TO_AT, people=made.people)
    edge = truth(world, person.wallet).edge_ppm
    interval = looked.judgement.interval if looked.judgement is not None else None
    if edge is None or interval is None:
        raise ValueError(f"seed {made.seed}: a {person.kind} without an interval ({looked.dropped})")
    return (edge / PPM > interval.high) - (edge / PPM < interval.low)
