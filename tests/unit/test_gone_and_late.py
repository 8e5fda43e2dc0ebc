"""Holdings that are gone for a reason nobody saw, rows that come hours late, and gaps in a leader's history."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilotfish.core import events as ev
from pilotfish.core.effects import Insert, Update, Upsert
from pilotfish.core.gaps import after_reading
from pilotfish.core.units import SECOND
from tests.desk import LEADER, TOKEN, Desk, api_fill, usd


def snapshot(desk: Desk, held: dict[str, float], **more: Any) -> None:
    """The venue says what the leader holds now; 30 seconds pass."""
    holdings = tuple(sorted((token, usd(n)) for token, n in held.items()))
    desk.send(ev.HoldingsSnapshot(at=desk.at, leader=LEADER, as_of=desk.at, holdings=holdings, **more))
    desk.advance(30)


def copied(**settings: Any) -> Desk:
    """We hold 50 shares of what the leader bought 100 of."""
    desk = Desk(settings=settings, holdings={})
    desk.buy(1, 100)
    desk.advance(60)
    assert desk.held() == usd(50)
    return desk


def cause(desk: Desk) -> list[str]:
    return [row["cause"] for row in desk.rows("holding_adjustments")]


def test_a_holding_that_is_gone_twice_without_a_reason_is_an_exit_of_its_own_kind() -> None:
    desk = copied()
    snapshot(desk, {})
    assert desk.held() == usd(50)
    snapshot(desk, {})
    assert desk.held() == 0
    assert desk.reasons == ["COPY", "COPY_GONE"]
    assert cause(desk) == ["gone"]
    assert desk.leader_holds() == 0


def test_unexplained_exits_are_not_copied_where_the_setting_says_so() -> None:
    desk = copied(copy_unexplained_exits=False)
    snapshot(desk, {})
    snapshot(desk, {})
    assert desk.held() == usd(50)
    assert desk.reasons == ["COPY", "SKIP_UNEXPLAINED_EXIT"]


def test_a_holding_that_only_fell_is_a_correction_and_no_exit() -> None:
    desk = copied()
    snapshot(desk, {TOKEN: 40})
    snapshot(desk, {TOKEN: 40})
    assert desk.held() == usd(50)
    assert cause(desk) == ["reconciled"]


@pytest.mark.parametrize("said", [{"unread": (TOKEN,)}, {"whole": False}])
def test_a_snapshot_that_could_not_be_read_whole_says_of_nothing_that_it_is_gone(said: dict[str, Any]) -> None:
    desk = copied()
    snapshot(desk, {}, **said)
    snapshot(desk, {}, **said)
    assert desk.held() == usd(50)
    assert desk.leader_holds() == usd(100)


def test_the_late_sell_behind_a_gone_holding_is_recorded_and_sells_nothing_twice() -> None:
    desk = copied()
    sold_at = desk.at // SECOND * SECOND
    desk.advance(5)
    snapshot(desk, {})
    snapshot(desk, {})
    fills = len(desk.rows("fills"))
    desk.advance(3000)
    desk.api(api_fill(2, "SELL", 100, 0.49, traded_at=sold_at))
    desk.advance(5)
    late = desk.rows("trades")[-1]
    assert (late["class"], late["leader_pre_sell_shares_micro"]) == ("catch-up", usd(100))
    assert late["first_seen_by_api_at"] - late["traded_at"] > 3000 * SECOND
    assert desk.reasons == ["COPY", "COPY_GONE", "SKIP_NO_POSITION"]
    assert desk.leader_holds() == 0
    assert len(desk.rows("fills")) == fills


def test_a_late_sell_behind_a_gone_holding_leaves_what_was_bought_after_it() -> None:
    desk = copied()
    sold_at = desk.at // SECOND * SECOND
    desk.advance(5)
    snapshot(desk, {})
    snapshot(desk, {})
    desk.buy(3, 100)
    assert desk.held() == usd(50)
    desk.api(api_fill(2, "SELL", 100, 0.49, traded_at=sold_at))
    desk.advance(5)
    assert desk.held() == usd(50)
    assert desk.reasons[-1] == "SKIP_NO_POSITION"
    assert desk.leader_holds() == usd(100)


def test_a_late_sell_of_what_we_still_hold_is_copied_whatever_its_age() -> None:
    desk = copied()
    sold_at = desk.at // SECOND * SECOND
    desk.advance(3600)
    desk.api(api_fill(2, "SELL", 100, 0.49, traded_at=sold_at))
    desk.advance(5)
    assert desk.held() == 0
    assert desk.reasons == ["COPY", "COPY"]


def read(desk: Desk, start: int, end: int | None, *gaps: tuple[int, int], cursor: int | None = None) -> None:
    leader = desk.engine.state.leaders[LEADER]
    desk.send(
        ev.ApiWindowRead(
            at=desk.at, leader=LEADER, fills=(), cursor_ts=cursor or leader.cursor_ts,
            read_from=start, read_to=end, gaps=gaps,
        )
    )  # fmt: skip


def test_the_cursor_passes_a_gap_in_the_commit_that_says_it_and_a_complete_reading_closes_it() -> None:
    desk = Desk()
    now = desk.at // SECOND
    effects = desk.send(
        ev.ApiWindowRead(
            at=desk.at, leader=LEADER, fills=(), cursor_ts=now + 50, read_from=now, gaps=((now + 5, now + 6),)
        )
    )
    written = [e.record.table for e in effects if isinstance(e, (Insert, Update, Upsert))]
    assert sorted(written) == ["cursors", "history_gaps"]
    read(desk, now + 6, None)
    assert desk.engine.state.leaders[LEADER].gaps == {(now + 5, now + 5)}
    read(desk, now, now + 10)
    assert desk.engine.state.leaders[LEADER].gaps == set()


GAPS = st.sets(st.tuples(st.integers(0, 30), st.integers(0, 8)).map(lambda t: (t[0], t[0] + t[1])), max_size=5)


@given(GAPS, st.integers(0, 40), st.integers(0, 20), GAPS)
def test_what_is_left_of_gaps_is_what_was_not_read(
    gaps: set[tuple[int, int]], start: int, span: int, found: set[tuple[int, int]]
) -> None:
    def seconds(some: set[tuple[int, int]]) -> set[int]:
        return {s for low, high in some for s in range(low, high + 1)}

    left = after_reading(gaps, start, start + span, found)
    assert seconds(left) == (seconds(gaps) - set(range(start, start + span + 1))) | seconds(found)
