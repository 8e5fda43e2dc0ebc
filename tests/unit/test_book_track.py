"""The recorded books of a token: the book of any instant, and none across a gap."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from pilotfish.core.book import Book
from pilotfish.core.units import SECOND
from pilotfish.history.book_track import EVERY, BookTrack, track_of
from pilotfish.polymarket.book_rows import BookRow, Heard
from tests.book_rows import TOKEN, change, gap, whole

Sides = tuple[dict[int, int], dict[int, int]]


def sides(book: Book | None) -> Sides | None:
    if book is None:
        return None
    return {lv.price: lv.size for lv in book.bids}, {lv.price: lv.size for lv in book.asks}


def level(price: str, size: str) -> tuple[int, int]:
    return round(float(price) * 1e6), round(float(size) * 1e6)


def told(rows: list[BookRow], at: int) -> Sides | None:
    """The book of an instant by going through all rows; a gap takes back what was told after it had begun."""
    book: Sides | None = None
    for row in rows:
        if row.kind is Heard.GAP:
            book = None if row.since <= at else book
        elif row.at > at:
            continue
        elif row.kind is Heard.SNAPSHOT:
            book = (
                dict(map(level, row.bid_prices, row.bid_sizes)),
                dict(map(level, row.ask_prices, row.ask_sizes)),
            )
        elif row.kind is Heard.DELTA and book is not None:
            side = book[0 if row.side == "BUY" else 1]
            price, size = level(row.price, row.size)
            side.pop(price, None)
            if size:
                side[price] = size
    return book


PRICES = [round(0.01 * n, 2) for n in range(1, 60)]
SNAPSHOT = st.tuples(st.just("snapshot"), st.dictionaries(st.sampled_from(PRICES), st.integers(1, 9), max_size=6))
DELTA = st.tuples(
    st.just("delta"), st.tuples(st.sampled_from(["BUY", "SELL"]), st.sampled_from(PRICES), st.integers(0, 9))
)
STEPS = st.lists(st.one_of(SNAPSHOT, DELTA, DELTA, DELTA, st.tuples(st.just("gap"), st.integers(0, 15))), max_size=60)


def rows_of(steps: list[tuple[str, object]]) -> list[BookRow]:
    rows: list[BookRow] = []
    for n, (kind, what) in enumerate(steps):
        at = 1_000 + 10 * n
        match kind, what:
            case "snapshot", dict(levels):
                rows.append(whole(at, levels.items(), [(p + 0.4, s) for p, s in levels.items()]))
            case "delta", (str(side), float(price), int(size)):
                rows.append(change(at, side, price, size))
            case "gap", int(ago):
                rows.append(gap(at, at - ago))
    return rows


@given(STEPS)
@example([("snapshot", {}), ("gap", 0), ("gap", 15)])
def test_the_book_of_any_instant_is_what_the_rows_up_to_it_say(steps: list[tuple[str, object]]) -> None:
    rows = rows_of(steps)
    track = track_of(TOKEN, rows)
    for at in range(990, 1_020 + 10 * len(rows), 5):
        assert sides(track.at(at)) == told(rows, at)


@given(STEPS, st.integers(1_000, 1_400), st.integers(0, 200))
def test_within_a_span_it_is_the_same_and_outside_there_is_none(
    steps: list[tuple[str, object]], begin: int, long: int
) -> None:
    rows = rows_of(steps)
    track, part = track_of(TOKEN, rows), BookTrack(TOKEN, [(begin, begin + long)])
    for row in rows:
        part.see(row)
    part.end(10**6)
    track.end(10**6)
    for at in range(990, 1_620, 5):
        assert sides(part.at(at)) == (sides(track.at(at)) if begin <= at <= begin + long else None)


def test_a_long_run_of_changes_is_read_from_the_whole_book_nearest_to_it() -> None:
    rows = [whole(0, [(0.40, 5)], [(0.60, 5)]), *(change(n, "SELL", 0.50, n) for n in range(1, 3 * EVERY))]
    track = track_of(TOKEN, rows)
    assert sides(track.at(3 * EVERY - 1)) == (
        {400_000: 5_000_000},
        {600_000: 5_000_000, 500_000: (3 * EVERY - 1) * 10**6},
    )


def test_a_book_that_was_read_once_stands_for_a_while_and_answers_the_question_it_was_asked_by() -> None:
    row = whole(5_000_000, [(0.40, 5)], [(0.60, 5)], Heard.ANSWER, since=4_900_000)
    track = track_of(TOKEN, [row])
    assert track.at(4_999_999) is None
    assert track.at(5_000_000 + 60 * SECOND) is not None
    assert track.at(5_000_001 + 60 * SECOND) is None
    asked = track.asked(4_899_999, SECOND)
    assert asked is not None
    assert (asked.requested_at, asked.received_at) == (4_900_000, 5_000_000)
    assert track.asked(4_900_001, SECOND) is None, "that question came before this instant"


def test_a_tick_change_holds_from_then_on() -> None:
    tick = BookRow(token_id=TOKEN, at=20, kind=Heard.TICK, price="0.001")
    track = track_of(TOKEN, [whole(10, [(0.97, 5)], [(0.98, 5)]), tick, change(30, "BUY", 0.971, 3)])
    assert [b.tick for at in (15, 25, 35) if (b := track.at(at)) is not None] == [10_000, 1_000, 1_000]
