"""Windows: a second is read from one file, whatever files there are, and what none holds whole is said."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pilotfish.core.trade import Side
from pilotfish.history.keeping import SETTLED, parts_of
from pilotfish.history.plan import plan_of, prices_span, tape_spans
from pilotfish.history.records import Deed, PastMarket
from pilotfish.history.rows import parse_deed
from pilotfish.history.windows import State, Window, cover, cut, joined, needless, wanted, window_of
from pilotfish.polymarket.activity import Reading
from tests.past_venue import NOW, WALLET, trade

SECOND = st.integers(0, 60)
WINDOW = st.builds(lambda a, n, s: Window(a, a + n, s), SECOND, st.integers(0, 20), st.sampled_from(State))
RANK = list(State)


@given(st.lists(WINDOW, max_size=12), SECOND, st.integers(0, 60))
def test_each_second_is_read_from_one_window_and_from_none_that_is_worse_than_another(
    windows: list[Window], low: int, length: int
) -> None:
    stretches = cover(windows, low, low + length)
    seconds = [s for a, b, _ in stretches for s in range(a, b + 1)]
    assert seconds == list(range(low, low + length + 1))
    for a, b, window in stretches:
        for second in range(a, b + 1):
            holding = [w.state for w in windows if w.from_at <= second <= w.to_at]
            assert (window.state if window else None) == min(holding, key=RANK.index, default=None)


@given(st.lists(WINDOW, max_size=12))
def test_removing_windows_that_are_read_from_no_more_changes_no_answer(windows: list[Window]) -> None:
    left = [w for w in windows if w not in needless(windows)]
    assert cover(left, 0, 90) == cover(windows, 0, 90)


@given(st.lists(WINDOW, max_size=12), st.booleans())
def test_a_pull_asks_for_exactly_what_no_window_holds_for_good(windows: list[Window], again: bool) -> None:
    good = {State.COMPLETE} if again else {State.COMPLETE, State.CAPPED}
    asked = {s for a, b in wanted(windows, 0, 90, again=again) for s in range(a, b + 1)}
    had = {s for w in windows if w.state in good for s in range(w.from_at, w.to_at + 1)}
    assert asked == set(range(91)) - had


@given(WINDOW)
def test_the_name_of_a_file_says_its_window(window: Window) -> None:
    assert window_of(window.name) == window


def test_other_names_are_no_windows() -> None:
    for name in ("1-2.complete.parquet.ab12.part", "2-1.complete.parquet", "1-2.whole.parquet", "notes.txt", "1-2"):
        assert window_of(name) is None


def test_spans_are_joined_where_they_are_close_and_cut_where_they_are_long() -> None:
    assert joined([(50, 60), (1, 10), (11, 20), (500, 501)], 40) == [(1, 60), (500, 501)]
    assert cut([(1, 10), (20, 21)], 4) == [(1, 4), (5, 8), (9, 10), (20, 21)]


def test_a_reading_is_complete_but_for_its_gaps_and_fresh_where_rows_can_still_come() -> None:
    settled = NOW - SETTLED
    rows = [trade(n, at) for n, at in enumerate((settled - 50, settled - 20, settled, settled + 1, NOW))]
    reading = Reading(rows=[(r["timestamp"], r) for r in rows], gaps=[settled - 20])
    parts = parts_of(reading, lambda row: parse_deed(row, WALLET), settled - 100, NOW, NOW)
    assert [(p.window, len(p.records)) for p in parts] == [
        (Window(settled - 100, settled - 21, State.COMPLETE), 1),
        (Window(settled - 20, settled - 20, State.CAPPED), 1),
        (Window(settled - 19, settled, State.COMPLETE), 1),
        (Window(settled + 1, NOW, State.FRESH), 2),
    ]
    assert parts[1].why == "more rows in this second than the venue gives"


def test_a_row_without_a_second_makes_all_of_its_reading_one_that_may_lack_rows() -> None:
    low = NOW - 50_000
    reading = Reading(rows=[(low + 5, trade(1, low + 5)), (0, {**trade(2, low), "timestamp": "soon"})])
    parts = parts_of(reading, lambda row: parse_deed(row, WALLET), low, low + 9, NOW)
    assert [(p.window, len(p.records)) for p in parts] == [(Window(low, low + 9, State.CAPPED), 1)]
    assert "timestamp" in parts[0].why


def bought(at: int, side: Side = Side.BUY, token: str = "1") -> Deed:
    return Deed(kind="TRADE", at=at, tx_hash="0x", condition_id="0xc", token_id=token, side=side, shares=5)


def test_tape_is_asked_for_around_trades_and_windows_close_to_each_other_are_one() -> None:
    plan = plan_of([bought(10_000), bought(10_900), bought(12_000), bought(12_100)], NOW)
    assert tape_spans(plan) == {"0xc": [(9_880, 11_200), (11_880, 12_400)]}
    assert tape_spans(plan_of([bought(10_000)], 10_050)) == {"0xc": [(9_880, 10_050)]}


def test_prices_are_asked_for_while_something_is_held_and_no_longer() -> None:
    market = PastMarket(condition_id="0xc", tokens=("1", "2"), resolved_at=500_000)
    flat = plan_of([bought(100_000), bought(200_000, Side.SELL)], NOW).tokens["1"]
    held = plan_of([bought(100_000)], NOW).tokens["1"]
    before = plan_of([bought(100_000, Side.SELL)], NOW).tokens["1"]
    assert prices_span(flat, market, 1, NOW) == (99_700, 203_600)
    assert prices_span(held, market, 1, NOW) == (99_700, 503_600)
    assert prices_span(held, None, 1, NOW) == (99_700, NOW)
    assert prices_span(before, market, 50_000, NOW)[0] == 50_000


def test_combos_and_moves_have_no_tape() -> None:
    combo = Deed(kind="TRADE", at=9, tx_hash="0x", condition_id="0xd", token_id="7", side=Side.BUY, is_combo=True)
    moved = Deed(kind="SPLIT", at=9, tx_hash="0x", condition_id="0xe", shares=5)
    plan = plan_of([combo, moved], NOW)
    assert (plan.trades, plan.combos, plan.tape, set(plan.conditions)) == (1, {"7"}, {}, {"0xe"})
