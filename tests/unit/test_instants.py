"""Instants as people write them."""

from __future__ import annotations

import pytest

from pilotfish.store.views.base import iso, micros_of

DAY = 86_400_000_000


@pytest.mark.parametrize(
    ("text", "micros"),
    [("1970-01-02", DAY), ("1970-01-02T00:00:00.000001", DAY + 1), ("1970-01-02T02:00+02:00", DAY),
     ("1969-12-31T00:00Z", -DAY)],
)  # fmt: skip
def test_an_instant_is_read_to_the_microsecond_and_without_a_zone_is_utc(text: str, micros: int) -> None:
    assert micros_of(text) == micros


@pytest.mark.parametrize("text", ["0001-01-01", "9999-12-31T23:59:59.999999", "9999-12-31T23:59:59.999999Z"])
def test_the_first_and_the_last_instant_can_be_shown_again(text: str) -> None:
    assert iso(micros_of(text)).startswith(text[:10])


@pytest.mark.parametrize("text", ["9999-12-31T23:59:59-23:59", "0001-01-01T00:00+23:59", "\u0661", "\u00b2", "[", ""])
def test_what_is_no_instant_or_out_of_reach_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        micros_of(text)
