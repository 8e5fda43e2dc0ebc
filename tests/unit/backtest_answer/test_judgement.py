"""The verdict and its sentence."""

from __future__ import annotations

import msgspec
import pytest

from pilotfish.backtest.bets import Bet
from pilotfish.backtest.judgement import Judgement, Terms, Tried, Verdict, came_back, judge
from pilotfish.backtest.verdicts import in_bands
from tests.unit.backtest_answer.bet_worlds import DAY, START, USDC, World, bet, bets_of, judged

TERMS = Terms(size=25 * USDC, delay_ms=5_000)


def winner(events: int = 60) -> list[Bet]:
    """Three of four coin flips won, on a day each."""
    return [bet(n, price=0.5, paid=25 * USDC, made=-1.0 if n % 4 == 0 else 1.0, day=n) for n in range(events)]


def test_a_gain_that_luck_does_not_explain_is_copyable() -> None:
    answer = judged(winner())
    assert answer.verdict is Verdict.COPYABLE
    assert answer.interval is not None
    assert answer.interval.low > 0
    back = came_back(answer.interval.low, answer.interval.high)
    assert (
        answer.why
        == f"Copyable at 25.00 USDC and 5.0 s: a dollar put in came back as {back} over 60 independent events."
    )


def test_fewer_than_thirty_events_are_no_verdict_however_many_bets_there_are() -> None:
    bets = [msgspec.structs.replace(b, token_id=f"{b.token_id}-{k}") for b in winner(29) for k in range(10)]
    answer = judged(bets)
    assert answer.verdict is Verdict.CANNOT_TELL
    assert answer.why == "Cannot tell: 29 independent events, at least 30 are needed."
    assert judged(winner(30)).verdict is Verdict.COPYABLE


def test_a_loss_that_luck_does_not_explain_is_not_copyable() -> None:
    bets = [msgspec.structs.replace(b, result=-b.result) if b.result > 0 else b for b in winner()]
    answer = judged(bets)
    assert answer.verdict is Verdict.NOT_COPYABLE
    assert answer.why.startswith("Not copyable at 25.00 USDC and 5.0 s: a dollar put in came back as 0.00")


def test_luck_is_said_to_be_luck() -> None:
    answer = judged([bet(n, price=0.5, paid=USDC, made=-1.0 if n % 2 else 1.0, day=n) for n in range(40)])
    assert answer.verdict is Verdict.CANNOT_TELL
    assert answer.interval is not None
    assert answer.why == (
        "Cannot tell at 25.00 USDC and 5.0 s: a dollar put in came back as 1.00 over 40 independent events, but luck "
        f"alone makes that anything from {came_back(answer.interval.low, answer.interval.high)}."
    )


def test_a_gain_that_worse_fills_take_is_no_verdict() -> None:
    worse = [msgspec.structs.replace(b, result=b.result - b.paid * 55 // 100) for b in winner()]
    answer = judged(winner(), pessimistic=worse)
    assert answer.verdict is Verdict.CANNOT_TELL
    assert answer.pessimistic_edge == pytest.approx(-0.05)
    assert answer.why.endswith(", but where fills were worse than expected, as 0.95.")


def test_a_gain_that_hangs_on_one_event_is_never_copyable() -> None:
    small = [bet(n, price=0.5, paid=25 * USDC, made=0.018 if n % 2 else 0.022, day=n) for n in range(40)]
    assert judged(small).verdict is Verdict.COPYABLE
    answer = judged([*small, bet(99, price=0.01, paid=350_000, made=99.0, day=99)])
    assert answer.interval is not None
    assert answer.interval.low > 0
    assert answer.verdict is Verdict.CANNOT_TELL
    assert answer.why.endswith(", but 63 % of the gain is one event; without it: 1.02.")


def test_a_gain_that_open_positions_take_back_is_no_verdict() -> None:
    left = [bet(1_000 + n, price=0.5, paid=25 * USDC, made=-1.0, settled=False) for n in range(60)]
    answer = judged([*winner(), *left])
    assert answer.verdict is Verdict.CANNOT_TELL
    assert answer.why.endswith("but with what is still open (60 positions at their marks), as 0.75.")


def test_what_nobody_could_have_filled_is_not_copyable_whatever_the_rest_made() -> None:
    tried = Tried(orders=400, wanted=10_000 * USDC, filled=740 * USDC)
    answer = judge(winner(), winner(), winner(), terms=TERMS, tried=tried)
    assert answer.verdict is Verdict.NOT_COPYABLE
    assert answer.why == (
        "Not copyable at 25.00 USDC and 5.0 s: nobody could have copied it; of what 400 orders wanted, 7.4 % could be "
        "had."
    )
    few = Tried(orders=29, wanted=10_000 * USDC, filled=740 * USDC)
    assert judge([], [], [], terms=TERMS, tried=few).verdict is Verdict.CANNOT_TELL


def test_without_an_ended_position_nothing_is_said() -> None:
    nothing = Tried(orders=0, wanted=0, filled=0)
    assert judge([], [], [], terms=TERMS, tried=nothing).why == "Cannot tell: no copied position has ended."
    waiting = [bet(1, price=0.5, paid=USDC, made=0.0, settled=False)]
    answer = judge(waiting, waiting, waiting, terms=TERMS, tried=nothing)
    assert answer.why == "Cannot tell: no copied position has ended; 1 is still open."


def test_money_on_a_few_of_many_events_is_no_verdict() -> None:
    bets = [*winner(100), *(bet(200 + n, price=0.5, paid=50_000 * USDC, made=1.0, day=n) for n in range(4))]
    answer = judged(bets)
    assert answer.verdict is Verdict.CANNOT_TELL
    assert "which tell as much as 4 of one size; at least 10 are needed" in answer.why


def test_events_that_one_day_decided_are_no_verdict() -> None:
    bets = [msgspec.structs.replace(b, ended_at=START + 90 * DAY) for b in winner()]
    assert judged(bets).why == "Cannot tell: all 60 events ended on one day, whose news may have decided them all."


@pytest.mark.parametrize(
    ("edges", "words"),
    [((-0.06, -0.01), "0.94 to 0.99"), ((0.0012, 0.2), "1.001 to 1.200"), ((-0.00004,), "1.0000"), ((0.0,), "1.00")],
)
def test_what_a_dollar_came_back_as_never_hides_gain_or_loss(edges: tuple[float, ...], words: str) -> None:
    assert came_back(*edges) == words


def test_a_market_maker_whose_spread_a_copy_pays_is_not_copyable() -> None:
    """Small sure gains of theirs are small sure losses of whoever takes the price a moment later."""
    answer = judged(bets_of(World(events=400, days=60, take=0.01, edge=-0.02, most_bets=3), 1))
    assert answer.verdict is Verdict.NOT_COPYABLE


def test_an_edge_that_is_gone_after_a_second_is_not_copyable() -> None:
    answer = judged(bets_of(World(events=900, days=90, prices=(0.5, 0.6), edge=-0.12), 2))
    assert answer.verdict is Verdict.NOT_COPYABLE


def test_a_lucky_gambler_is_not_called_copyable() -> None:
    """The best of many gamblers on long shots, by what a dollar brought, and still nobody can tell."""
    worlds = [bets_of(World(events=45, days=30, prices=(0.05, 0.1)), seed) for seed in range(10)]
    lucky = max(worlds, key=lambda bets: sum(b.result for b in bets) / sum(b.paid for b in bets))
    answer = judged(lucky)
    assert answer.edge_per_usdc is not None
    assert answer.edge_per_usdc > 0.2
    assert answer.verdict is Verdict.CANNOT_TELL


@pytest.mark.slow
def test_who_has_no_edge_is_called_copyable_one_time_in_twenty_at_most() -> None:
    called = sum(
        judged(bets_of(World(events=100, days=50), [seed, 5])).verdict is Verdict.COPYABLE for seed in range(600)
    )
    assert called <= 0.05 * 600 + 11  # two deviations of chance above one in twenty


def test_the_answer_survives_json() -> None:
    answer = judged(winner())
    assert msgspec.json.decode(msgspec.json.encode(answer), type=Judgement) == answer
    assert answer.events == 60
    assert answer.shrunk is not None
    assert answer.halves is not None


@pytest.mark.parametrize(
    ("results", "words"),
    [
        ((10, -5, 12), "−5.00 with later and fewer fills, +12.00 with sooner and more"),
        (
            (10, 17, 10),
            "+17.00 with later and fewer fills (what it would have missed lost), +10.00 with sooner and more",
        ),
    ],
)
def test_a_pessimistic_result_above_the_expected_one_says_why(results: tuple[int, int, int], words: str) -> None:
    assert in_bands(*(x * USDC for x in results)) == words
