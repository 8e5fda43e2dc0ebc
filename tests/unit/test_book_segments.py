"""Recorded books on disk: segments that are whole or not there, whatever is killed, torn, full or too old."""

from __future__ import annotations

from pathlib import Path

import pytest

from pilotfish.app import book_recording
from pilotfish.app.book_recording import BookRecording, Recording, RecordLimits
from pilotfish.core.units import SECOND
from pilotfish.history import book_segments as seg
from pilotfish.history.books import books_between, recorded, rows_between, tracks
from pilotfish.history.folder import History
from pilotfish.polymarket.book_rows import BookRow, Heard
from tests.book_rows import TOKEN, change, gap, whole
from tests.rig import until

OTHER = "8" * 77
AT = 1_790_000_000 * SECOND
FIRST = [
    whole(AT, [(0.40, 5)], [(0.60, 5)]),
    whole(AT + 1, [(0.30, 5)], [(0.70, 5)], token=OTHER),
    change(AT + 2, "BUY", 0.41, 7),
    BookRow(token_id=TOKEN, at=AT + 3, kind=Heard.TRADE, side="BUY", price="0.60", size="2.50"),
]
SECOND_PART = [change(AT + 10, "SELL", 0.59, 3), change(AT + 11, "SELL", 0.69, 3, token=OTHER)]


@pytest.fixture
def history(tmp_path: Path) -> History:
    return History(str(tmp_path / "history"))


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    return tmp_path / "recording"


def best(history: History, at: int, token: str = TOKEN, spool: Path | None = None) -> tuple[int, int] | None:
    track = tracks(history, {token: [(0, 2 * AT)]}, spool).get(token)
    book = track.at(at) if track is not None else None
    return None if book is None else (book.best_bid or 0, book.best_ask or 0)


def test_rows_come_back_as_they_were_heard_by_token_and_arrival(history: History, spool: Path) -> None:
    writer = seg.SegmentWriter(history, spool)
    writer.add(FIRST, AT)
    sealed = writer.seal(AT + 5)
    assert sealed is not None
    assert (sealed.from_at, sealed.to_at) == (AT, AT + 5)
    by_token = sorted(FIRST, key=lambda row: row.token_id)
    assert list(seg.read(history, sealed)) == by_token
    assert list(seg.read(history, sealed, [TOKEN])) == [row for row in FIRST if row.token_id == TOKEN]
    assert not seg.streams(spool)


def test_a_segment_begins_with_every_book_that_stands_so_that_it_can_be_read_alone(
    history: History, spool: Path
) -> None:
    writer = seg.SegmentWriter(history, spool)
    writer.add(FIRST, AT)
    first = writer.seal(AT + 5)
    writer.add(SECOND_PART, AT + 10)
    writer.seal(AT + 20)
    assert first is not None
    history.drop(seg.KIND, first.day, first.name)
    assert best(history, AT + 9) is None
    assert best(history, AT + 10) == (410_000, 590_000)
    assert best(history, AT + 11, OTHER) == (300_000, 690_000)


def test_books_go_on_from_segment_to_segment_and_end_with_the_recording(history: History, spool: Path) -> None:
    writer = seg.SegmentWriter(history, spool)
    writer.add(FIRST, AT)
    writer.seal(AT + 5)
    writer.add(SECOND_PART, AT + 10)
    writer.end(AT + 20, "the recording ended")
    later = seg.SegmentWriter(history, spool)
    later.add([whole(AT + 100, [(0.20, 5)], [(0.80, 5)])], AT + 100)
    later.seal(AT + 120)
    seen = [best(history, AT + n) for n in (1, 4, 8, 15, 21, 99, 101, 121)]
    assert seen == [
        (400_000, 600_000), (410_000, 600_000), (410_000, 600_000), (410_000, 590_000), None, None, (200_000, 800_000),
        None,
    ]  # fmt: skip
    gaps = [row.at for row in rows_between(history, [TOKEN], 0, 2 * AT) if row.kind is Heard.GAP]
    assert gaps == [AT + 20, AT + 121], "the end of a recording is a gap"


def test_no_book_is_made_across_a_gap(history: History, spool: Path) -> None:
    writer = seg.SegmentWriter(history, spool)
    writer.add([*FIRST, gap(AT + 50, since=AT + 30), change(AT + 60, "BUY", 0.45, 1)], AT)
    writer.add([whole(AT + 70, [(0.10, 1)], [(0.90, 1)])], AT)
    writer.seal(AT + 80)
    seen = [best(history, AT + n) for n in (29, 30, 55, 65, 70)]
    assert seen == [(410_000, 600_000), None, None, None, (100_000, 900_000)]
    made = books_between(history, TOKEN, AT, AT + 80)
    assert [(b.received_at - AT, b.best_bid) for b in made] == [
        (0, 400_000), (2, 410_000), (30, None), (70, 100_000), (81, None),
    ]  # fmt: skip


@pytest.mark.slow
def test_a_kill_at_any_byte_leaves_every_whole_batch_and_nothing_that_breaks_reading(
    history: History, spool: Path, tmp_path: Path
) -> None:
    writer = seg.SegmentWriter(history, spool)
    for row in [*FIRST, *SECOND_PART]:
        writer.add([row], row.at)
    ((run, number, path),) = seg.streams(spool)
    content = path.read_bytes()
    whole_rows = seg.read_stream(path).num_rows
    assert whole_rows == len(FIRST) + len(SECOND_PART)
    before = 0
    for length in range(0, len(content), 7):
        torn = tmp_path / "torn"
        torn.mkdir(exist_ok=True)
        (torn / path.name).write_bytes(content[:length])
        rows = seg.read_stream(torn / path.name).num_rows
        assert before <= rows <= whole_rows
        before = rows
        if length % 700 == 0:
            kept = History(str(tmp_path / f"of-{length}"))
            seg.seal_all(kept, torn)
            assert sum(r.rows for r in recorded(kept)) == rows
            assert not seg.streams(torn)
    assert (run, number) == (writer.run, 1)


def test_what_lies_sealed_and_open_is_read_once(history: History, spool: Path) -> None:
    writer = seg.SegmentWriter(history, spool)
    writer.add(FIRST, AT)
    assert best(history, AT + 3, spool=spool) == (410_000, 600_000)
    ((run, number, path),) = seg.streams(spool)
    seg.write(history, run, number, seg.read_stream(path))
    assert sum(r.rows for r in recorded(history, spool)) == len(FIRST)
    seg.seal_all(history, spool)
    assert sum(r.rows for r in recorded(history)) == len(FIRST)


def test_the_oldest_go_first_by_size_and_by_age(history: History, spool: Path) -> None:
    for day in range(5):
        writer = seg.SegmentWriter(history, spool)
        at = AT + day * 86_400 * SECOND
        writer.add([whole(at, [(0.40, 5)], [(0.60, 5)])], at)
        writer.seal(at + 5)
    found = seg.segments(history)
    assert len(seg.prune(history, sum(s.size for s in found) - 1, 0)) == 1
    assert [s.from_at for s in seg.segments(history)] == [s.from_at for s in found[1:]]
    seg.prune(history, 2**40, AT + 3 * 86_400 * SECOND)
    assert [s.from_at for s in seg.segments(history)] == [s.from_at for s in found[3:]]


# -- beside a worker ---------------------------------------------------------------------------------------------------


def limits() -> RecordLimits:
    return RecordLimits(True, 4, 90)


def test_a_place_that_takes_nothing_pauses_the_recording_by_name_and_it_goes_on_when_it_can(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(book_recording, "RETRY_SECONDS", 0.05)
    spool = tmp_path / "recording"
    spool.write_text("a file where a folder is wanted")
    recording = BookRecording(str(tmp_path / "history"), spool, limits, lambda: AT)
    recording.start()
    until("it is paused", lambda: recording.status.state is Recording.PAUSED)
    assert "recording" in recording.status.detail
    assert not recording.status.healthy
    assert not recording.take(FIRST[0])
    spool.unlink()
    until("it goes on", lambda: recording.status.state is Recording.ON)
    assert recording.take(FIRST[0])
    recording.close()
    assert sum(r.rows for r in recorded(History(str(tmp_path / "history")))) == 2, "the book, and its end"


def test_no_more_rows_wait_than_are_allowed_and_what_is_not_taken_is_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(book_recording, "MOST_WAITING", 3)
    monkeypatch.setattr(book_recording, "FLUSH_SECONDS", 600.0)
    recording = BookRecording(str(tmp_path / "history"), tmp_path / "recording", limits, lambda: AT + 5)
    recording.start()
    until("it has begun", lambda: recording.status.state is Recording.ON)
    until("it waits", lambda: recording.status.kept_bytes == 0)
    taken = [recording.take(change(AT, "BUY", 0.40, n)) for n in range(1, 9)]
    recording.close()
    assert taken.count(False) == recording.status.dropped > 0


def test_a_database_in_memory_has_no_place_and_nothing_is_recorded() -> None:
    recording = BookRecording("", None, limits, lambda: AT)
    recording.start()
    assert not recording.take(FIRST[0])
    recording.close()
    assert recording.status.state is Recording.OFF
