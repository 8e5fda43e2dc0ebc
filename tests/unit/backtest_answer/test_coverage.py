"""Whether the 90 % interval is one: how often it holds the truth of invented worlds, of every kind that bets have."""

from __future__ import annotations

import pytest

from pilotfish.backtest.statistics import measure
from tests.unit.backtest_answer.bet_worlds import World, bets_of

WORLDS = 400
KINDS = {
    "all prices, several bets an event, days with luck of their own": World(
        events=120, days=40, prices=(0.05, 0.3, 0.5, 0.7, 0.95), edge=0.05, most_bets=3, shock=0.5
    ),
    "sixty long shots at 5 %": World(events=60, days=30, prices=(0.05,)),
    "sixty favourites at 95 %": World(events=60, days=30, prices=(0.95,), most_bets=3),
    "coin flips": World(events=40, days=20, prices=(0.5,), most_bets=3),
    "ten events a day that mostly go one way": World(events=300, days=30, prices=(0.4, 0.5, 0.6), edge=0.1, shock=0.6),
    "small gains taken, one large loss in ten": World(events=100, days=50, take=0.05),
    "twelve events only": World(events=12, days=10),
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_the_interval_holds_the_truth_in_85_to_95_of_100_worlds(kind: str) -> None:
    world, held, below, above = KINDS[kind], 0, 0, 0
    for seed in range(WORLDS):
        interval = measure(bets_of(world, [seed, 11])).interval
        assert interval is not None
        held += interval.low <= world.edge <= interval.high
        below += world.edge < interval.low
        above += world.edge > interval.high
    assert 0.85 <= held / WORLDS <= 0.95, f"held {held}, truth below in {below}, above in {above} of {WORLDS}"
    assert below / WORLDS <= 0.10, "who has no edge would be called copyable too often"


def test_by_trade_instead_of_by_event_and_day_the_interval_would_not_hold() -> None:
    """What clusters are for: with each bet as an event and a day of its own, the truth is missed too often."""
    world = World(events=60, days=12, prices=(0.5,), most_bets=5, shock=0.6)
    held = alone = 0
    for seed in range(100):
        bets = bets_of(world, seed)
        interval = measure(bets).interval
        assert interval is not None
        held += interval.low <= 0 <= interval.high
        error = (sum(b.result**2 for b in bets) ** 0.5) / sum(b.paid for b in bets)
        alone += abs(sum(b.result for b in bets) / sum(b.paid for b in bets)) <= 1.645 * error
    assert held >= 82
    assert alone <= 70
