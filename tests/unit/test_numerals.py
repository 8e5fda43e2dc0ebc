"""Each kind of number is written one way for people: rounded once, by one rule."""

from __future__ import annotations

import re
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import pilotfish
from pilotfish.core import numerals
from pilotfish.core.units import MICRO

AMOUNTS = st.integers(-(10**15), 10**15)


@pytest.mark.parametrize(
    ("micro", "text"),
    [
        (0, "0.00"), (4_999, "0.00"), (-4_999, "0.00"), (5_000, "0.01"), (-5_000, "−0.01"), (1_005_000, "1.01"),
        (2_675_000, "2.68"), (9_985_525_000, "9,985.53"), (-1_234_567_894_999, "−1,234,567.89"),
    ],
)  # fmt: skip
def test_money_has_two_places_and_halves_go_away_from_zero(micro: int, text: str) -> None:
    assert numerals.money(micro) == text
    assert numerals.gain(micro) == (f"+{text}" if micro >= 5_000 else text)


@pytest.mark.parametrize(
    ("micro", "text"),
    [(509_999, "0.51"), (510_000, "0.51"), (510_050, "0.5101"), (509_940, "0.5099"), (1_000_000, "1.00"), (0, "0.00"),
     (1_000, "0.001"), (40, "0.00")],
)  # fmt: skip
def test_a_price_is_said_to_the_finest_tick(micro: int, text: str) -> None:
    assert numerals.price_micro(micro) == numerals.price(micro / MICRO) == text
    assert numerals.price(None) == "–"


def test_shares_percent_counts_and_times() -> None:
    assert [numerals.shares(n) for n in (0, 2_286, 10_000, 49_019_600, 1_234_500_000, 999_999_999)] == [
        "0.00", "<0.01", "0.01", "49.02", "1,235", "1,000.00",
    ]  # fmt: skip
    assert numerals.percent(1, 3) == "33 %"
    assert numerals.percent(1, 0) == "–"
    assert (numerals.percent(447, 448), numerals.percent(1, 448)) == (">99 %", "<1 %"), "not all, and not none"
    assert (numerals.percent(448, 448), numerals.percent(0, 448)) == ("100 %", "0 %")
    assert (numerals.percent(9_999, 10_000, 1), numerals.percent(1, 10_000, 1)) == (">99.9 %", "<0.1 %")
    assert numerals.percent(448, 447) == "100 %", "more than the whole is no share of it"
    assert numerals.percent(-1, 1000, 2, sign=True) == "−0.10 %"
    assert numerals.percent(1, 1000, 2, sign=True) == "+0.10 %"
    assert numerals.percent(0, 7, 1, sign=True) == numerals.percent(-1, 100_000, 1, sign=True) == "0.0 %"
    assert (numerals.count(1_234_567), numerals.count(-5), numerals.bps(1_000)) == ("1,234,567", "−5", "1,000 bps")
    assert [numerals.duration(ms) for ms in (None, 0, 2_149, 59_900, 61_000, 7_300_000, 200_000_000)] == [
        "–", "0.0 s", "2.1 s", "59.9 s", "1 min", "2.0 h", "2.3 d",
    ]  # fmt: skip
    assert [numerals.duration(ms, sign=True) for ms in (-1_500, 1_500, -40)] == ["−1.5 s", "+1.5 s", "0.0 s"]
    assert [numerals.precise(ms) for ms in (None, 1_234, 12_345)] == ["–", "1,234 ms", "12.3 s"]
    assert [numerals.exact(n) for n in (1, -25_000_000, 1_234_567_890)] == ["0.000001", "−25.00", "1,234.56789"]


@given(AMOUNTS)
def test_what_is_written_is_the_nearest_hundredth_and_never_a_negative_zero(micro: int) -> None:
    text = numerals.money(micro)
    read = Decimal(text.replace(",", "").replace(numerals.MINUS, "-"))
    assert read == (Decimal(micro) / MICRO).quantize(Decimal("0.01"), ROUND_HALF_UP)
    assert not text.startswith(numerals.MINUS) or read != 0
    assert numerals.money(-micro).lstrip(numerals.MINUS) == text.lstrip(numerals.MINUS)
    assert Decimal(str(numerals.rounded(micro))) == read


SHOWS = (
    "web",
    "cli/report.py",
    "cli/positions.py",
    "cli/status.py",
    "cli/leaders.py",
    "cli/portfolio.py",
    "cli/demo.py",
    "app/alerts.py",
)
OWN_ROUNDING = re.compile(r":[+]?,?\.\d+[fg]\}|:,[\}.]|/ MICRO|/ 1e6|format_micro")
"""A number's format in an f-string, or an amount made a float."""
ALLOWED = ("width:", "left:", "timestamp()", "bankroll_micro / MICRO", "SECONDS", "f.shares / MICRO", "price_of(",
           "format_micro", "metric", "_usdc", "int((when", "reason.value")  # fmt: skip
"""Styles, axes of charts, times of machines, JSON, and amounts to the millionth, which nothing rounds."""


def test_nobody_else_rounds_numbers_for_people() -> None:
    root = Path(pilotfish.__file__).parent
    found = [
        f"{path.relative_to(root)}:{n}: {line.strip()}"
        for where in SHOWS
        for path in ([root / where] if where.endswith(".py") else sorted((root / where).rglob("*.py")))
        for n, line in enumerate(path.read_text().splitlines(), start=1)
        if OWN_ROUNDING.search(line) and not any(word in line for word in ALLOWED)
    ]
    assert found == []
