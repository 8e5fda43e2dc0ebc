"""The answer before following, on worlds whose truth is known."""

from __future__ import annotations

import msgspec
import pytest

from pilotfish.backtest.assumptions import BANDS, Band
from pilotfish.backtest.grounds import Grounds
from pilotfish.backtest.judgement import Verdict
from pilotfish.backtest.look_back import DELAYS_MS, SIZES, look_back
from pilotfish.backtest.told import LookBack, Uncopyable, answer_of, cause_words
from pilotfish.core.settings import Value, policy_from
from pilotfish.core.units import MICRO
from pilotfish.history.records import Missing, Past
from pilotfish.sim.past import make_past, past_of, truth
from pilotfish.sim.past_people import Kind, crowd
from tests.unit.backtest.pasts import BEGIN, deed, past, sold_to

pytestmark = pytest.mark.slow

POLICY = policy_from({})
FROM, TO = 1_780_000_000, 1_780_000_000 + 90 * 86_400
SCRIPTS_RELY_ON = (
    "uncopyable",
    "verdict", "why", "events", "edge_per_usdc", "interval", "result_micro", "at_leader_prices_micro", "filled_share",
    "tiers", "by_delay", "by_size", "flags", "complete",
)  # fmt: skip


def somebody(kind: Kind, seed: int = 1, **more: int) -> tuple[Past, int | None]:
    person = crowd(seed, kind, 1, **more)[0]
    world = make_past(seed, from_at=FROM, to_at=TO, people=[person])
    return past_of(world, person.wallet), truth(world, person.wallet).edge_ppm


@pytest.fixture(scope="module")
def value_buyer() -> LookBack:
    return look_back(somebody(Kind.VALUE, events=90)[0], POLICY)


def test_the_way_from_their_prices_to_ours_adds_up_to_the_millionth(value_buyer: LookBack) -> None:
    steps = sum(step.amount_micro for step in value_buyer.steps)
    assert value_buyer.at_leader_prices_micro + steps == value_buyer.result_micro[Band.EXPECTED]
    assert value_buyer.books == ()
    assert all(cause_words(step.cause) for step in value_buyer.steps)


def test_the_answer_has_the_names_that_scripts_rely_on(value_buyer: LookBack) -> None:
    answer = answer_of(value_buyer)
    assert set(SCRIPTS_RELY_ON) <= set(answer)
    assert answer["complete"] is True
    assert answer["verdict"] == "copyable"
    assert set(answer["result_micro"]) == {"pessimistic", "expected", "optimistic"}
    low, high = answer["interval"]
    assert low < high
    assert sum(answer["tiers"].values()) == pytest.approx(1)
    assert msgspec.json.decode(msgspec.json.encode(answer)) == answer


def test_the_curves_have_a_point_for_each_delay_and_size(value_buyer: LookBack) -> None:
    assert tuple(p.delay_ms for p in value_buyer.by_delay) == DELAYS_MS
    assert tuple(p.size_micro for p in value_buyer.by_size) == SIZES
    filled = [p.filled for p in value_buyer.by_size]
    assert filled[0] > filled[-1], "large orders find less of what they want"
    assert value_buyer.by_size[-1].spent_micro > value_buyer.by_size[0].spent_micro


@pytest.mark.parametrize(
    "values",
    [
        {"size_tiers": "0:2"},
        {"size_tiers": "0:1, 40:0.5"},
        {"min_copy_usdc": 100 * MICRO, "below_min": "raise"},
        {"min_copy_usdc": 100 * MICRO},
    ],
    ids=str,
)
def test_a_point_of_the_curve_of_sizes_spends_what_it_says_whatever_sizes_are_set(values: dict[str, Value]) -> None:
    bought = deed(1_000, "BUY", 100, 0.50, number=3)
    prints = [*sold_to(990, 0.50, 100, number=1), *sold_to(1_005, 0.50, 100_000, number=2)]
    by_size = look_back(past([bought], prints), policy_from(values)).by_size
    assert [(p.spent_micro, p.filled) for p in by_size] == [(size, 1.0) for size in SIZES]


def test_the_band_holds_the_expected_result_of_somebody_copyable(value_buyer: LookBack) -> None:
    result = value_buyer.result_micro
    assert result[Band.PESSIMISTIC] < result[Band.EXPECTED] < result[Band.OPTIMISTIC]


def test_incomplete_history_is_said(value_buyer: LookBack) -> None:
    gap = Missing(kind="tape", key="0xc", from_at=1, to_at=2, why="failed")
    answer = answer_of(msgspec.structs.replace(value_buyer, missing=(gap,)))
    assert answer["complete"] == [{"kind": "tape", "key": "0xc", "from_at": 1, "to_at": 2, "why": "failed"}]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "verdict"),
    [
        (Kind.VALUE, Verdict.COPYABLE),
        (Kind.SKILLED, Verdict.COPYABLE),
        (Kind.FIRST_SECOND, Verdict.NOT_COPYABLE),
        (Kind.MARKET_MAKER, Verdict.NOT_COPYABLE),
        (Kind.GAMBLER, Verdict.CANNOT_TELL),
        (Kind.FLIPPER, Verdict.CANNOT_TELL),
    ],
)
def test_whose_truth_is_known_is_judged_right(kind: Kind, verdict: Verdict) -> None:
    found = look_back(somebody(kind)[0], POLICY, curves=False)
    assert found.verdict is verdict, found.why


def test_one_event_that_made_the_result_is_flagged() -> None:
    found = look_back(somebody(Kind.ONE_EVENT)[0], POLICY, curves=False)
    assert found.verdict is Verdict.CANNOT_TELL
    assert "one_event" in {flag.kind for flag in found.flags}


@pytest.mark.slow
@pytest.mark.parametrize("kind", [Kind.VALUE, Kind.SKILLED, Kind.FIRST_SECOND])
def test_the_edge_that_is_found_is_the_true_one_within_what_luck_makes(kind: Kind) -> None:
    of, true_ppm = somebody(kind)
    found = look_back(of, POLICY, curves=False)
    assert found.interval is not None and true_ppm is not None
    low, high = found.interval
    width = max(high - low, 0.02)
    assert low - width / 2 <= true_ppm / MICRO <= high + width / 2


@pytest.mark.slow
def test_processes_change_nothing() -> None:
    of, _ = somebody(Kind.GAMBLER)
    one = look_back(of, POLICY)
    more = [deed(of.to_at - BEGIN + 10, "BUY", 1, 0.5)] * 1_500
    of.deeds = [*of.deeds, *more]
    two = look_back(of, POLICY, processes=2)
    assert answer_of(one)["by_delay"] == answer_of(two)["by_delay"]
    assert answer_of(one)["result_micro"] == answer_of(two)["result_micro"]


def test_who_hears_of_progress_hears_of_all_runs_and_of_the_end_only_at_the_end() -> None:
    heard: list[tuple[int, int]] = []
    trades = [deed(100 + n, "BUY", 1, 0.5, number=100 + n) for n in range(1_600)]
    look_back(past(trades, sold_to(110, 0.5, 4_000, number=2)), POLICY, told=lambda done, of: heard.append((done, of)))
    runs = 4 + len(DELAYS_MS) + len(SIZES)
    assert heard[-1] == (runs, runs)
    assert [done for done, of in heard if of == runs] == sorted(done for done, _ in heard)
    assert [done for done, _ in heard].count(runs) == 1
    assert len({done for done, _ in heard}) > 3, "it is heard of on the way, too"


def test_a_past_of_which_nothing_can_be_copied_is_judged_all_the_same() -> None:
    found = look_back(past([], []), POLICY)
    assert found.verdict is Verdict.CANNOT_TELL
    assert found.interval is None and found.edge_per_usdc is None
    assert answer_of(found)["tiers"] == {}


@pytest.mark.slow
def test_another_delay_is_another_answer() -> None:
    of, _ = somebody(Kind.FIRST_SECOND)
    bands = {band: msgspec.structs.replace(a, delay_us=0, horizon_sec=1) for band, a in BANDS.items()}
    at_once = look_back(of, POLICY, Grounds(bands=bands), curves=False)
    late = look_back(of, POLICY, curves=False)
    assert at_once.delay_ms == 0
    assert at_once.result_micro != late.result_micro


@pytest.mark.parametrize(
    ("kind", "part"),
    [(Kind.FIRST_SECOND, "gone_micro"), (Kind.VALUE, None)],
)
def test_what_nobody_could_have_copied_is_told_in_three_parts(kind: Kind, part: str | None) -> None:
    found = look_back(somebody(kind)[0], POLICY).uncopyable
    assert found is not None
    out_of_reach = {"gone_micro": found.gone_micro, "thin_micro": found.thin_micro}
    for name, amount in out_of_reach.items():
        if name == part:
            assert amount * 10 > found.profit_micro * 8, "all their edge is gone within the second"
        else:
            assert abs(amount) * 5 < abs(found.profit_micro), name


def test_an_order_on_whose_side_nobody_trades_is_too_thin_and_one_whose_price_has_gone_is_gone() -> None:
    bought = [deed(100, "BUY", 1_000, 0.50)]
    nobody = look_back(past(bought, sold_to(90, 0.5, 4_000, number=2)), POLICY).uncopyable
    above = [*sold_to(90, 0.5, 4_000, number=2), *sold_to(110, 0.6, 4_000, number=3)]
    gone = look_back(past(bought, above), POLICY).uncopyable
    half = 25 * MICRO
    assert nobody == Uncopyable(profit_micro=half, gone_micro=0, thin_micro=half, below_minimum_micro=0)
    assert gone == Uncopyable(profit_micro=half, gone_micro=half, thin_micro=0, below_minimum_micro=0)


def test_what_is_below_the_minimum_is_told_apart() -> None:
    prints = [*sold_to(90, 0.5, 4_000, number=2), *sold_to(110, 0.5, 4_000, number=3)]
    small = policy_from({"sizing_mode": "leader_ratio", "leader_ratio": 1_000, "below_min": "skip"})
    found = look_back(past([deed(100, "BUY", 1_000, 0.50)], prints), small).uncopyable
    assert found == Uncopyable(profit_micro=MICRO // 2, gone_micro=0, thin_micro=0, below_minimum_micro=MICRO // 2)
