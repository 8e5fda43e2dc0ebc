"""A log whose time is not known makes no trade of history."""

from __future__ import annotations

from pilotfish.core.units import SECOND
from tests.desk import START, Desk, api_fill, chain_fill


def test_a_log_without_a_time_so_soon_after_the_follow_is_left_to_the_api() -> None:
    desk = Desk()
    desk.at += 30 * SECOND
    desk.chain(chain_fill(1, "BUY", 100, 0.50, traded_at=None))
    assert desk.rows("trades") == [], "it may be of before the follow"
    desk.api(api_fill(1, "BUY", 100, 0.50, traded_at=START + 28 * SECOND))
    desk.chain(chain_fill(1, "BUY", 100, 0.50, traded_at=None))
    (trade,) = desk.rows("trades")
    assert trade["first_seen_by_polygon_at"] is not None, "once the API has shown it, the log is known"
    desk.at += 400 * SECOND
    desk.chain(chain_fill(2, "BUY", 100, 0.50, traded_at=None))
    assert len(desk.rows("trades")) == 2
