"""Worlds that no one has written down: every promise holds in all of them, and a seed is one world."""

from __future__ import annotations

import hashlib
import time

import msgspec
import pytest

from pilotfish.core import effects as fx
from pilotfish.core import events as ev
from pilotfish.simtest.run import Run
from pilotfish.simtest.steps import TAKING, Follow, Leave, Move, Step
from pilotfish.simtest.store import open_store
from pilotfish.simtest.world import MORE_FROM, make
from pilotfish.simtest.worlds import Failed, world

MINUTES = 30
FEW, FIXED = range(10), range(10, 100)
SECONDS = 20.0
"""How long the fixed and the fresh worlds take together, at most; the last one may end later, and on a busy machine
:data:`LEAST` are played however long they take."""
LEAST = 10


def told(failed: Failed) -> str:
    story = "\n".join(failed.story)
    again = f"pilotfish simtest --seeds 1 --seed {failed.seed} --minutes {MINUTES}"
    return f"seed {failed.seed}: {failed.promise}: {failed.detail}\n{story}\nagain: {again}"


def test_every_promise_holds_in_a_handful_of_worlds() -> None:
    for seed in FEW:
        failed = world(seed, MINUTES)
        assert failed is None, told(failed)


@pytest.mark.slow
def test_every_promise_holds_in_fixed_worlds_and_in_fresh_ones() -> None:
    started, played = time.monotonic(), 0
    first = time.time_ns() // 1_000_000 % 1_000_000_000
    for seed in [*FIXED, *range(first, first + 100_000)]:
        failed = world(seed, MINUTES)
        assert failed is None, told(failed)
        played += 1
        if played > LEAST and time.monotonic() - started > SECONDS:
            break
    assert played > LEAST


@pytest.mark.slow
def test_every_promise_holds_in_worlds_with_more_trouble() -> None:
    for seed in range(MORE_FROM, MORE_FROM + 40):
        failed = world(seed, MINUTES)
        assert failed is None, told(failed)


def digest(seed: int) -> str:
    found = hashlib.sha256()

    def watch(event: ev.Event, effects: list[fx.Effect]) -> None:
        found.update(msgspec.json.encode(event))
        found.update(msgspec.json.encode(effects))

    Run(open_store(), make(seed, MINUTES), seed, watch).play()
    return found.hexdigest()


def test_the_same_seed_gives_the_same_run_twice_and_another_one_another() -> None:
    digests = {seed: digest(seed) for seed in (1, 2, 3)}
    assert {seed: digest(seed) for seed in (1, 2, 3)} == digests
    assert len(set(digests.values())) == 3


def test_worlds_hold_every_kind_of_step() -> None:
    stories = [make(seed, MINUTES) for seed in range(100)]
    assert {type(step) for story in stories for step in story} == set(Step.__args__)
    moves = [step for story in stories for step in story if isinstance(step, Move)]
    assert {move.kind for move in moves} == {"SPLIT", *TAKING}
    assert [story for story in stories if followed_again(story)]


def followed_again(story: list[Step]) -> set[int]:
    """Leaders who are left and followed again."""
    left = {(step.leader, step.at) for step in story if isinstance(step, Leave)}
    again = [step for step in story if isinstance(step, Follow)]
    return {step.leader for step in again for leader, at in left if leader == step.leader and at < step.at}
