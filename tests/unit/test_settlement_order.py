"""What a token pays, by the best source that says it."""

from __future__ import annotations

import pytest

from pilotfish.core.settlement import Said, payout
from pilotfish.core.units import MICRO


@pytest.mark.parametrize(
    ("said", "pays"),
    [
        (Said(), None),
        (Said(resolutions=MICRO), MICRO),
        (Said(resolutions=0), 0),
        (Said(resolutions=MICRO // 2), MICRO // 2),
        (Said(resolutions=0, winner=MICRO, gamma=MICRO), 0),
        (Said(winner=MICRO), MICRO),
        (Said(winner=0, gamma=MICRO), 0),
        (Said(gamma=MICRO), MICRO),
        (Said(gamma=0), 0),
        (Said(unsettled=True), None),
        (Said(unsettled=True, winner=MICRO), None),
        (Said(unsettled=True, gamma=MICRO), None),
        (Said(unsettled=True, winner=0, gamma=0), None),
    ],
)
def test_resolutions_count_before_the_clobs_winner_before_gamma_and_unsettled_is_unsettled(
    said: Said, pays: int | None
) -> None:
    assert payout(said) == pays
