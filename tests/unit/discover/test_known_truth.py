"""Worlds whose truth is known, through the look back that real wallets go through."""

from __future__ import annotations

import pytest

from pilotfish.backtest.judgement import Verdict
from pilotfish.backtest.one_wallet import Looked
from pilotfish.sim.known_truth import covered, crowded, jobs_of, locally, look
from pilotfish.sim.past_people import Kind, crowd


def looks(seed: int, kind: Kind) -> Looked:
    return look(jobs_of(seed, crowd(seed, kind, 1))[0])


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize(
    ("kind", "verdict"),
    [
        (Kind.FIRST_SECOND, Verdict.NOT_COPYABLE),
        (Kind.VALUE, Verdict.COPYABLE),
        (Kind.GAMBLER, Verdict.CANNOT_TELL),
        (Kind.MARKET_MAKER, Verdict.NOT_COPYABLE),
        (Kind.ONE_EVENT, Verdict.CANNOT_TELL),
    ],
)
def test_each_kind_is_judged_as_its_truth_is(seed: int, kind: Kind, verdict: Verdict) -> None:
    looked = looks(seed, kind)
    assert looked.judgement is not None
    assert looked.judgement.verdict is verdict, looked.judgement.why


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
def test_doubts_are_flagged_where_they_belong(seed: int) -> None:
    assert "one_event" in looks(seed, Kind.ONE_EVENT).flags
    assert "market_maker" in looks(seed, Kind.MARKET_MAKER).flags
    assert "too_few_events" in looks(seed, Kind.GAMBLER).flags


@pytest.mark.slow
def test_the_skilled_are_found_among_flippers_and_flippers_are_not() -> None:
    found = crowded(3, locally(2), flippers=12, skilled=3)
    assert (found.tested, found.found, found.flippers_found) == (15, 3, 0)


@pytest.mark.slow
def test_the_interval_holds_the_truth_about_as_often_as_it_says() -> None:
    coverage = covered(40, locally(2), first_seed=1_001)
    assert coverage.worlds == coverage.held + coverage.below + coverage.above == 40
    assert coverage.held >= 32, coverage
