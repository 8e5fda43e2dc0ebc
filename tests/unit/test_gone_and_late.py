"""Holdings that are gone for a reason nobody saw, rows that come hours late, and gaps in a leader's history."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilotfish.core import events as ev
from pilotfish.core.effects import Answered, Insert, Update, Upsert
from pilotfish.core.gaps import after_reading
from pilotfish.core.units import SECOND
from tests.desk import CONDITION, LEADER, NO_TOKEN, TOKEN, Desk, api_fill, tx, usd


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


def moved(desk: Desk, kind: str, amount: float, condition: str = CONDITION) -> None:
    """The API shows a move of now."""
    second = desk.at // SECOND
    move = ev.Move(kind=kind, tx_hash=tx(second), condition_id=condition, amount=usd(amount), at=second * SECOND)
    desk.send(ev.ApiWindowRead(at=desk.at, leader=LEADER, fills=(), cursor_ts=second + 1, moves=(move,)))


@pytest.mark.parametrize(("kind", "condition"), [("CONVERSION", "0x" + "d4" * 32), ("MERGE", CONDITION)])
def test_a_move_from_before_books_and_venue_last_agreed_explains_no_fall(kind: str, condition: str) -> None:
    desk = copied()
    moved(desk, kind, 7, condition)
    desk.advance(60)
    snapshot(desk, {TOKEN: 100})
    snapshot(desk, {TOKEN: 40})
    snapshot(desk, {TOKEN: 40})
    assert cause(desk) == ["reconciled"]
    assert desk.held() == usd(50)


def test_a_move_since_books_and_venue_agreed_explains_a_fall_however_long_it_takes_to_be_sure() -> None:
    desk = copied()
    snapshot(desk, {TOKEN: 100})
    moved(desk, "CONVERSION", 60, "0x" + "d4" * 32)
    desk.advance(60)
    snapshot(desk, {TOKEN: 40})
    snapshot(desk, {TOKEN: 40})
    assert cause(desk) == ["CONVERSION"]
    assert desk.held() == usd(20)


def test_two_moves_that_two_snapshots_of_one_second_show_are_both_seen() -> None:
    desk = copied()
    desk.advance(30)
    moved(desk, "SPLIT", 40)
    split = ((TOKEN, usd(140)),)
    desk.send(ev.HoldingsSnapshot(at=desk.at, leader=LEADER, as_of=desk.at, holdings=split))
    move = ev.Move(kind="MERGE", tx_hash=tx(99), condition_id=CONDITION, amount=usd(40), at=desk.at)
    desk.send(ev.ApiWindowRead(at=desk.at, leader=LEADER, fills=(), cursor_ts=desk.at // SECOND + 1, moves=(move,)))
    snapshot(desk, {TOKEN: 100})
    assert cause(desk) == ["SPLIT", "MERGE"]
    assert desk.leader_holds() == usd(100)


def test_of_two_conversions_the_one_of_the_tokens_own_market_explains_its_fall() -> None:
    desk = copied()
    for condition in (CONDITION, "0x" + "d4" * 32):
        moved(desk, "CONVERSION", 60, condition)
        desk.advance(10)
    (own, other) = desk.engine.state.leaders[LEADER].moves.values()
    for _ in range(2):
        snapshot(desk, {TOKEN: 40})
    assert [row["tx_hash"] for row in desk.rows("holding_adjustments")] == [own.tx_hash]
    assert own.at < other.at


def test_a_conversion_takes_second_outcomes_and_gives_first_ones() -> None:
    desk = Desk(holdings={})
    desk.buy(1, 100)
    desk.buy(2, 100, token_id=NO_TOKEN)
    for token, index in ((TOKEN, 0), (NO_TOKEN, 1)):
        desk.send(ev.MarketSeen(at=desk.at, market=desk.market(token, index=index)))
    desk.advance(60)
    moved(desk, "CONVERSION", 60, "0x" + "d4" * 32)
    for _ in range(2):
        snapshot(desk, {TOKEN: 160, NO_TOKEN: 40})
    assert cause(desk) == ["CONVERSION", "CONVERSION"]
    assert (desk.held(), desk.held(NO_TOKEN)) == (usd(50), usd(20)), "only what was taken is an exit"
    moved(desk, "CONVERSION", 60, "0x" + "d4" * 32)
    for _ in range(2):
        snapshot(desk, {TOKEN: 150, NO_TOKEN: 50})
    assert cause(desk)[2:] == ["reconciled", "reconciled"], "the other way round it cannot be one"


def test_a_snapshot_as_of_before_the_last_trade_agrees_with_what_was_held_then() -> None:
    desk = copied()
    desk.advance(3)
    before = desk.at
    desk.advance(2)
    desk.buy(2, 10)
    for _ in range(2):
        held = ((TOKEN, usd(100)),)
        desk.send(ev.HoldingsSnapshot(at=desk.at, leader=LEADER, as_of=before, holdings=held))
    assert cause(desk) == []
    assert desk.leader_holds() == usd(110)


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


@pytest.mark.parametrize("kind", [None, "MERGE"])
def test_a_buy_that_comes_late_of_what_the_leader_holds_no_more_leaves_nothing_behind(kind: str | None) -> None:
    """They bought once more, which nobody saw, and all of it is gone since."""
    desk = copied()
    late = api_fill(2, "BUY", 100, 0.55, traded_at=desk.at // SECOND * SECOND)
    desk.advance(5)
    if kind is not None:
        moved(desk, kind, 200)
    for _ in range(2):
        snapshot(desk, {})
    assert desk.held() == 0
    desk.api(late)
    desk.advance(5)
    assert (desk.leader_holds(), desk.held()) == (0, 0)
    assert [(i["side"], i["reason"]) for i in desk.rows("intents")][2:] == [("BUY", "CANCELLED_LEADER_SOLD")]


def test_a_buy_that_comes_late_of_what_the_leader_still_holds_is_bought() -> None:
    desk = copied()
    late = api_fill(2, "BUY", 100, 0.55, traded_at=desk.at // SECOND * SECOND)
    desk.advance(5)
    for _ in range(2):
        snapshot(desk, {TOKEN: 200})
    assert cause(desk) == ["reconciled"]
    desk.api(late)
    desk.advance(5)
    assert (desk.leader_holds(), desk.held()) == (usd(200), usd(100))


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


def test_what_is_taken_in_as_backfill_is_recorded_once_and_moves_nothing() -> None:
    desk = copied()
    sold = api_fill(7, "SELL", 100, 0.5, traded_at=desk.at - 10 * SECOND)
    for _ in range(2):
        desk.send(ev.ApiWindowRead(at=desk.at, leader=LEADER, fills=(sold,), cursor_ts=0, backfill=True, command=5))
    assert [t["class"] for t in desk.rows("trades")] == ["live", "backfill"]
    assert desk.reasons == ["COPY", "SKIP_BACKFILL"]
    assert (desk.held(), desk.leader_holds()) == (usd(50), usd(100))
    answers = [e.text for e in desk.effects if isinstance(e, Answered)]
    assert answers == ["1 taken in", "0 taken in"]
