"""The waterfall leads from the leader's result to ours, on one scale, with zero where it is."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pilotfish.backtest.told import LookBack, Step
from pilotfish.core.shortfall import CLIPPED, Line, Parts
from pilotfish.core.units import MICRO
from pilotfish.store.views.report import Shortfall, row_of
from pilotfish.web.waterfall import THINNEST, WIDTH, Waterfall, looked_back, waterfall

amounts = st.integers(-(10**12), 10**12)
causes = st.dictionaries(st.sampled_from(["SKIP_SPREAD", "SKIP_CASH", CLIPPED, "EXIT_BY_HAND"]), amounts)
parts = st.builds(Parts, delay=amounts, spread=amounts, fees=st.integers(0, 10**12), catch_up=amounts, missed=causes)


def fall(actual: int, of: Parts) -> tuple[Shortfall, Waterfall]:
    row = row_of("main", "0x", "A leader", Line(ideal=actual + of.total, actual=actual, parts=of))
    return row, waterfall(row)


@given(amounts, parts)
def test_every_bar_is_within_the_scale_and_the_parts_lead_from_the_one_total_to_the_other(
    actual: int, of: Parts
) -> None:
    row, found = fall(actual, of)
    first, *between, last = found.bars
    assert (first.micro, last.micro) == (row.ideal_micro, row.actual_micro)
    assert first.micro + sum(bar.micro for bar in between) == last.micro
    assert [bar.total for bar in found.bars] == [True, *[False] * len(between), True]
    assert 0 <= found.zero <= WIDTH
    for bar in found.bars:
        assert 0 <= bar.start <= bar.start + bar.length <= WIDTH, bar
        assert (bar.length == 0) == (bar.micro == 0)
        assert bar.length >= THINNEST or bar.micro == 0


@given(amounts, parts)
def test_a_total_stands_on_the_side_of_zero_that_its_sign_says(actual: int, of: Parts) -> None:
    _, found = fall(actual, of)
    for bar in (found.bars[0], found.bars[-1]):
        if bar.micro < 0:
            assert bar.start + bar.length <= found.zero + THINNEST
        elif bar.micro > 0:
            assert bar.start >= found.zero - THINNEST


def test_a_loss_on_paper() -> None:
    """From +10 to −10: zero is in the middle, each part begins where the one before ended."""
    _, found = fall(-10 * MICRO, Parts(delay=5 * MICRO, fees=5 * MICRO, missed={"SKIP_CASH": 10 * MICRO}))
    assert found.zero == WIDTH // 2
    assert [(bar.name, bar.start, bar.length) for bar in found.bars if bar.length] == [
        ("At the leader's prices", 500, 500), ("Delay", 750, 250), ("Fees", 500, 250), ("Not copied", 0, 500),
        ("We made", 0, 500),
    ]  # fmt: skip
    assert next(bar.causes for bar in found.bars if bar.name == "Not copied") == (("SKIP_CASH", -10 * MICRO),)


@given(amounts, parts)
def test_a_look_back_is_laid_out_as_the_report_is(actual: int, of: Parts) -> None:
    _, reported = fall(actual, of)
    own = {"delay": of.delay, "spread": of.spread, "fees": of.fees, "catch_up": of.catch_up}
    answer = LookBack(
        wallet="", name="", verdict="copyable", why="", shrunk=None, p_value=None,
        from_at=0, to_at=1, events=0, edge_per_usdc=None, interval=None, halves=None, size_micro=1, delay_ms=1,
        result_micro={"expected": actual}, at_leader_prices_micro=actual + of.total,
        steps=tuple(Step(cause=cause, amount_micro=-lost) for cause, lost in {**own, **of.missed}.items()),
        fees_micro=0, spent_micro=0, filled_share=0.0, trades=0, orders=0, skipped={}, tiers={}, by_delay=(),
        by_size=(), parts=(), flags=(), equity=(), open={}, complete=True,
    )  # fmt: skip
    found = looked_back(answer)
    assert [(bar.name, bar.micro, bar.start, bar.length, bar.causes) for bar in found.bars] == [
        (bar.name, bar.micro, bar.start, bar.length, bar.causes) for bar in reported.bars
    ]
    assert found.zero == reported.zero
