"""Money: integers, and rounding against us."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilotfish.core.units import (
    MAX_AMOUNT,
    MICRO,
    ceil_div,
    cost_of,
    format_micro,
    micro_from_decimal,
    price_of,
    proceeds_of,
    scaled,
    shares_for,
)

SHARES = st.integers(1, 10**15)
PRICES = st.integers(1, MICRO - 1)


@given(SHARES, PRICES)
def test_what_we_pay_rounds_up_and_what_we_receive_rounds_down(shares: int, price: int) -> None:
    exact = Decimal(shares) * price / MICRO
    assert 0 <= cost_of(shares, price) - exact < 1
    assert 0 <= exact - proceeds_of(shares, price) < 1


@given(st.integers(0, 10**15), PRICES)
def test_shares_for_a_budget_never_cost_more_than_the_budget(budget: int, price: int) -> None:
    shares = shares_for(budget, price)
    assert cost_of(shares, price) <= budget
    assert cost_of(shares + 2, price) > budget


@given(st.integers(-(10**17), 10**17))
def test_decimal_text_and_back_loses_nothing(micro: int) -> None:
    assert micro_from_decimal(format_micro(micro)) == micro


@given(st.integers(0, 10**12))
def test_a_float_from_json_gives_the_exact_count_of_the_log(micro: int) -> None:
    assert micro_from_decimal(micro / MICRO) == micro


@given(st.integers(-(10**9), 10**9), st.integers(1, 10**9))
def test_ceil_div_is_the_ceiling(a: int, b: int) -> None:
    assert ceil_div(a, b) * b >= a > (ceil_div(a, b) - 1) * b


@pytest.mark.parametrize(
    ("given_", "micro"),
    [("9e-6", 9), (9e-06, 9), ("0.0000005", 1), ("0.00000049", 0), (Decimal("12.345679"), 12_345_679), (5, 5 * MICRO)],
)
def test_numbers_of_the_venue(given_: object, micro: int) -> None:
    assert micro_from_decimal(given_) == micro


@pytest.mark.parametrize("bad", ["", "x", "nan", "inf", "-inf", None, True, "1e400", "0x10", [], MAX_AMOUNT])
def test_what_is_no_amount_is_refused(bad: object) -> None:
    with pytest.raises(ValueError):
        micro_from_decimal(bad)


def test_an_average_price_is_rounded_to_nearest() -> None:
    assert price_of(2, 3) == 666_667
    assert price_of(5, 0) == 0


@given(st.text("0123456789.eE+- ", max_size=26), st.integers(0, 18))
def test_a_plain_number_is_read_the_same_the_short_and_the_long_way(text: str, places: int) -> None:
    try:
        long = scaled("+" + text.strip(), places)  # a sign is never read the short way
    except ValueError:
        long = None
    try:
        short = scaled(text, places)
    except ValueError:
        short = None
    if not text.strip().startswith(("+", "-")):
        assert short == long
