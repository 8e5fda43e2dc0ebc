"""What costs in proportion to how much there is is done so seldom that it takes a small share of a core."""

from __future__ import annotations

import time

from pilotfish.app.pacing import SHARE, Pacing


def busy(seconds: float) -> None:
    """Use so much of a core."""
    until = time.thread_time() + seconds
    while time.thread_time() < until:
        pass


def test_what_costs_nothing_is_done_as_often_as_wanted_and_what_costs_much_as_seldom_as_allowed() -> None:
    pacing = Pacing(0.5, 15.0)
    pacing.begin()
    assert pacing.pause() == 0.5
    pacing.begin()
    busy(0.02)
    assert 0.02 / SHARE <= pacing.pause() <= 15.0
    pacing.begin()
    busy(0.2)
    assert pacing.pause() == 15.0
