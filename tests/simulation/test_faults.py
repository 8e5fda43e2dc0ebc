"""What a simulation is worth: faults, planted one at a time, are each found, and told of as a short story."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from pilotfish.cli import app
from pilotfish.simtest.world import MORE_FROM, make
from pilotfish.simtest.worlds import play
from tests.simulation.faults import FAULTS, occurrence_order

MINUTES, WORLDS = 30, 200


@pytest.mark.slow
@pytest.mark.parametrize("name", FAULTS)
def test_a_planted_fault_is_found_within_two_hundred_worlds(name: str) -> None:
    with FAULTS[name]():
        found = next(
            (seed for seed in range(MORE_FROM, MORE_FROM + WORLDS) if play(make(seed, MINUTES), seed) is not None), None
        )
    assert found is not None
    assert play(make(found, MINUTES), found) is None, "it is the fault that was found"


def test_a_seed_that_fails_prints_the_shortest_story_and_is_the_same_again() -> None:
    with occurrence_order():
        again = [CliRunner().invoke(app, ["simtest", "--seeds", "1", "--seed", "1", "--json"]) for _ in range(2)]
    assert [run.exit_code for run in again] == [1, 1]
    told = [json.loads(run.stdout) for run in again]
    assert told[0]["failed"] == told[1]["failed"]
    (failed,) = told[0]["failed"]
    assert failed["seed"] == 1
    assert failed["promise"] == "identical fills in log order"
    assert len(failed["story"]) == 2, "one leader is followed, and buys twice the same in one transaction"


def test_a_run_without_a_failure_ends_well() -> None:
    run = CliRunner().invoke(app, ["simtest", "--seeds", "2", "--seed", "1", "--processes", "1", "--json"])
    assert run.exit_code == 0
    assert (json.loads(run.stdout)["worlds"], json.loads(run.stdout)["failed"]) == (2, [])
