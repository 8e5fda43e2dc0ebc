"""The figures of a backtest: what they are made of, and what must not change them."""

from __future__ import annotations

import random
import time

import msgspec
import pytest

from pilotfish.backtest.bets import Bet
from pilotfish.backtest.statistics import Interval, Statistics, measure, shrink
from tests.unit.backtest_answer.bet_worlds import DAY, START, USDC, World, bet, bets_of

SHOCKED = World(events=120, days=40, prices=(0.05, 0.3, 0.5, 0.7, 0.95), edge=0.05, most_bets=3, shock=0.5)


def interval_of(bets: list[Bet]) -> Interval:
    interval = measure(bets).interval
    assert interval is not None
    return interval


def width(bets: list[Bet]) -> float:
    interval = interval_of(bets)
    return interval.high - interval.low


def test_the_edge_is_what_all_dollars_made_together_and_open_bets_stand_apart() -> None:
    bets = [
        bet(1, price=0.5, paid=10 * USDC, made=1.0),
        bet(2, price=0.5, paid=30 * USDC, made=-0.5),
        bet(3, price=0.5, paid=60 * USDC, made=-1.0, settled=False),
    ]
    figures = measure(bets)
    assert (figures.bets, figures.paid, figures.result) == (2, 40 * USDC, -5 * USDC)
    assert figures.edge_per_usdc == -0.125
    assert (figures.open_bets, figures.open_paid, figures.open_result) == (1, 60 * USDC, -60 * USDC)
    assert figures.with_open == -0.65


def test_without_settled_bets_there_are_no_figures() -> None:
    for bets in ([], [bet(1, price=0.5, paid=USDC, made=0.5, settled=False)]):
        figures = measure(bets)
        assert figures.bets == figures.events == 0
        assert [figures.edge_per_usdc, figures.interval, figures.p_value, figures.halves] == [None] * 4


def test_one_event_has_an_edge_but_no_interval() -> None:
    figures = measure([bet(1, price=0.5, paid=USDC, made=1.0)])
    assert figures.edge_per_usdc == 1.0
    assert [figures.interval, figures.p_value] == [None, None]


def test_the_order_of_bets_changes_nothing() -> None:
    bets = bets_of(SHOCKED, 1)
    figures = measure(bets)
    for seed in range(3):
        random.Random(seed).shuffle(bets)
        assert measure(bets) == figures


@pytest.mark.parametrize("times", [2, 7, 1_000])
def test_the_scale_of_amounts_changes_nothing(times: int) -> None:
    bets = bets_of(SHOCKED, 2)
    larger = [msgspec.structs.replace(b, paid=b.paid * times, result=b.result * times) for b in bets]
    small, large = measure(bets), measure(larger)
    assert large.result == small.result * times
    for name in ("edge_per_usdc", "error", "shrunk", "p_value", "best_share", "without_best", "effective_events"):
        assert getattr(large, name) == pytest.approx(getattr(small, name), abs=2e-9), name
    assert interval_of(larger).low == pytest.approx(interval_of(bets).low, abs=2e-9)
    assert interval_of(larger).high == pytest.approx(interval_of(bets).high, abs=2e-9)


def test_one_event_split_into_many_bets_gives_no_more_certainty() -> None:
    bets = bets_of(World(events=40, prices=(0.5,)), 3)
    bets = [msgspec.structs.replace(b, paid=b.paid // 10 * 10, result=b.result // 10 * 10) for b in bets]
    split = [msgspec.structs.replace(b, paid=b.paid // 10, result=b.result // 10) for b in bets for _ in range(10)]
    whole, parts = measure(bets), measure(split)
    assert parts.bets == 10 * whole.bets
    assert (parts.events, parts.interval, parts.p_value) == (whole.events, whole.interval, whole.p_value)


def test_many_events_that_one_day_decides_alike_give_no_more_certainty_than_one() -> None:
    alone = [bet(n, price=0.5, paid=USDC, made=1.0 if n % 3 else -1.0, day=n) for n in range(30)]
    alike = [
        msgspec.structs.replace(b, event=f"{b.event}-{k}", condition_id=f"{b.condition_id}{k}", token_id=f"{n}-{k}")
        for n, b in enumerate(alone)
        for k in range(20)
    ]
    assert measure(alike).events == 600
    assert width(alike) >= 0.9 * width(alone)


def test_forty_favourites_without_a_loss_are_no_certain_gain() -> None:
    """Fair prices of 0.95 lose none of forty one time in eight, though the results have no spread at all."""
    interval = interval_of([bet(n, price=0.95, paid=USDC, made=1 / 0.95 - 1, day=n) for n in range(40)])
    assert interval.low < 0 < interval.high


def test_forty_long_shots_without_a_win_are_no_certain_loss() -> None:
    interval = interval_of([bet(n, price=0.05, paid=USDC, made=-1.0, day=n) for n in range(40)])
    assert interval.low == -1.0
    assert interval.high > 0


@pytest.mark.parametrize("sign", [1, -1])
def test_one_bet_held_to_its_end_does_not_hide_what_a_hundred_sold_ones_say(sign: int) -> None:
    rng = random.Random(sign)
    sold = [bet(n, price=0.8, paid=25 * USDC, made=sign * 0.02 + rng.gauss(0, 0.004), day=n) for n in range(100)]
    held = bet(100, price=0.8, paid=25 * USDC, made=0.25, day=100)
    alone, both = interval_of(sold), interval_of([*sold, held])
    assert (alone.high < 0) if sign < 0 else (alone.low > 0)
    assert both.high - both.low < 0.04, "one of a hundred and one moves it by little"


def test_both_sides_of_a_market_that_were_held_to_the_end_are_certain() -> None:
    """A pair bought at 0.48 + 0.48 brings a dollar, whoever wins."""
    pairs = []
    for n in range(40):
        won, lost = (
            bet(n, price=0.48, paid=48 * USDC, made=1 / 0.48 - 1, day=n),
            bet(n, price=0.48, paid=48 * USDC, made=-1),
        )
        pairs += [won, msgspec.structs.replace(lost, token_id=f"other-{n}", ended_at=won.ended_at)]
    interval = interval_of(pairs)
    assert interval.low == pytest.approx(1 / 0.96 - 1, abs=1e-6)
    assert interval.high == pytest.approx(1 / 0.96 - 1, abs=1e-6)


def test_no_interval_reaches_beyond_what_can_be_lost_or_won() -> None:
    for seed in range(40):
        bets = bets_of(World(events=8, days=4, prices=(0.3, 0.9)), seed)
        interval = interval_of(bets)
        everything_won = sum(b.paid * USDC / b.price for b in bets) / sum(b.paid for b in bets) - 1
        assert -1.0 <= interval.low <= interval.high <= everything_won + 1e-6


def test_a_p_value_below_five_percent_means_an_interval_above_zero() -> None:
    seen = set()
    for seed in range(120):
        figures = measure(bets_of(World(events=60, prices=(0.4, 0.6), edge=0.15), seed))
        assert figures.p_value is not None
        assert figures.interval is not None
        if figures.p_value < 0.05:
            assert figures.interval.low > 0
        seen.add(figures.p_value < 0.05)
    assert seen == {True, False}


def test_the_effective_number_of_events_is_kishs() -> None:
    assert measure([bet(n, price=0.5, paid=USDC, made=1.0) for n in range(12)]).effective_events == 12
    uneven = [bet(n, price=0.5, paid=(100 if n == 0 else 1) * USDC, made=1.0) for n in range(101)]
    assert measure(uneven).effective_events == pytest.approx(200**2 / (100**2 + 100), abs=1e-3)


def test_halves_part_events_by_when_they_were_first_bet_on() -> None:
    bets = [bet(n, price=0.5, paid=USDC, made=1.0 if n < 3 else -1.0, day=n) for n in range(5)]
    late = msgspec.structs.replace(bets[0], opened_at=START + 9 * DAY)
    halves = measure([*bets, late]).halves
    assert halves is not None
    assert (halves.first, halves.first_events, halves.second, halves.second_events) == (1.0, 3, -1.0, 2)
    assert halves.split_at == bets[3].opened_at


def test_the_best_event_is_all_its_bets_together() -> None:
    bets = [bet(n, price=0.5, paid=10 * USDC, made=0.1) for n in range(4)]
    bets += [bet(9, price=0.5, paid=10 * USDC, made=0.8) for _ in range(2)]
    figures = measure(bets)
    assert figures.best_share == pytest.approx(16 / 20)
    assert figures.without_best == pytest.approx(0.1)


def test_shrinking_draws_towards_zero_the_noisier_the_more() -> None:
    assert shrink(0.1, 0.0) == 0.1
    assert shrink(0.1, 0.05, prior_sd=0.05) == pytest.approx(0.05)
    assert shrink(0.1, 0.5, prior_sd=0.05) == pytest.approx(0.1 / 101, abs=1e-9)
    assert shrink(0.1, 0.2, prior_sd=0.0) == 0.0
    assert shrink(0.1, 0.0, prior_sd=0.0) == 0.0


@pytest.mark.parametrize("change", [{"paid": 0}, {"price": 0}, {"price": USDC + 1}])
def test_a_bet_that_can_not_be_is_named(change: dict[str, int]) -> None:
    wrong = msgspec.structs.replace(bet(7, price=0.5, paid=USDC, made=0.5), **change)
    with pytest.raises(ValueError, match=r"bet on token 7 opened at \d+: .+; (leave out|give)"):
        measure([wrong])


def test_figures_survive_json() -> None:
    figures = measure(bets_of(World(), 4))
    assert msgspec.json.decode(msgspec.json.encode(figures), type=Statistics) == figures


def test_five_thousand_bets_are_measured_in_a_fiftieth_of_a_second() -> None:
    """With 2,000 resamples of events and as many of days; in the processor's own time, and twice as much is
    allowed where other work runs beside."""
    bets = bets_of(World(events=5_000, days=400), 5)
    best = float("inf")
    for _ in range(15):
        start = time.process_time()
        measure(bets)
        best = min(best, time.process_time() - start)
    assert best < 0.040
