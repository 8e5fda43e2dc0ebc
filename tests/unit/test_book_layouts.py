"""Order books of others read in, and ours written for others: what goes out comes back."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from resolvedkit import Book, Level, Market, ParquetSource, write_parquet
from typer.testing import CliRunner

from pilotfish.cli import app
from pilotfish.history import book_segments as seg
from pilotfish.history.book_export import write_events, write_snapshots
from pilotfish.history.book_layouts import LayoutError, read_in
from pilotfish.history.books import recorded, rows_between, tracks
from pilotfish.history.folder import History
from pilotfish.history.records import PastMarket
from pilotfish.history.windows import State, Window
from pilotfish.polymarket.book_rows import Heard
from tests.book_rows import TOKEN, change, gap, whole

OTHER, CONDITION = "8" * 77, "0x" + "c3" * 32
MARKET = PastMarket(
    condition_id=CONDITION, tokens=(TOKEN, OTHER), outcomes=("Up", "Down"), title="Up or down?", slug="up-or-down",
    category="crypto", end_at=1_790_000_900, payouts=(1_000_000, 0),
)  # fmt: skip
AT = 1_790_000_000_000_000
ROWS = [
    whole(AT, [(0.4, 5.5)], [(0.6, 5)]),
    change(AT + 1_000, "BUY", 0.41, 7),
    gap(AT + 2_000),
    whole(AT + 3_000, [(0.3, 1)], [(0.7, 2)]),
    change(AT + 4_000, "SELL", 0.7, 0),
    whole(AT + 5_000, [(0.2, 1)], [(0.8, 2)], Heard.ANSWER, token=OTHER, since=AT + 4_500),
]


@pytest.fixture
def history(tmp_path: Path) -> History:
    found = History(str(tmp_path / "history"))
    found.write("markets", CONDITION, Window(1, 1, State.COMPLETE), [MARKET])
    writer = seg.SegmentWriter(found, tmp_path / "recording")
    writer.add(ROWS, AT)
    writer.seal(AT + 5_000)
    return found


def test_events_that_were_written_are_read_back_to_the_same_books_and_gaps(history: History, tmp_path: Path) -> None:
    out = tmp_path / "events.parquet"
    assert write_events(rows_between(history, [], 0, 2 * AT), out) == len(ROWS) + 1, "and the end of the recording"
    other = History(str(tmp_path / "other"))
    told = read_in(other, out)
    assert (told.layout, told.rows, told.unreadable) == ("events", len(ROWS) + 1, 0)
    spans = {token: [(0, 2 * AT)] for token in (TOKEN, OTHER)}
    mine, theirs = tracks(history, spans), tracks(other, spans)
    for at in range(AT - 500, AT + 6_000, 250):
        for token in (TOKEN, OTHER):
            a, b = mine[token].at(at), theirs[token].at(at)
            assert (a is None) == (b is None), at
            assert a is None or b is None or (a.bids, a.asks) == (b.bids, b.asks)


def test_whole_books_that_were_written_are_read_by_the_package_they_are_for(history: History, tmp_path: Path) -> None:
    written, unplaced = write_snapshots(history, rows_between(history, [], 0, 2 * AT), tmp_path / "books")
    assert (written, unplaced) == (5, set())
    source = ParquetSource(tmp_path / "books")
    (market,) = source.markets()
    assert (market.market_id, market.payout, market.outcomes) == (CONDITION, (1.0, 0.0), ("Up", "Down"))
    found = [(b.ts, b.side, b.best_bid, b.best_ask) for b in source.books(CONDITION)]
    assert found == [
        (1_790_000_000_000, "UP", 0.4, 0.6), (1_790_000_000_001, "UP", 0.41, 0.6),
        (1_790_000_000_003, "UP", 0.3, 0.7), (1_790_000_000_004, "UP", 0.3, None),
        (1_790_000_000_005, "DOWN", 0.2, 0.8),
    ]  # fmt: skip


def test_books_of_a_known_market_are_its_tokens_and_those_of_an_unknown_one_get_digits(tmp_path: Path) -> None:
    history = History(str(tmp_path / "history"))
    history.write("markets", CONDITION, Window(1, 1, State.COMPLETE), [MARKET])
    stranger = "0x" + "d4" * 32
    markets = [Market(name, "Which?", "crypto", 1_790_000_900_000, payout=(0.0, 1.0)) for name in (CONDITION, stranger)]
    book = Book(1_790_000_000_000, "UP", (Level(0.4, 5.0),), (Level(0.6, 5.0),))
    write_parquet(tmp_path / "theirs", markets, {m.market_id: [book] for m in markets})
    told = read_in(history, tmp_path / "theirs")
    assert (told.layout, told.rows, told.markets) == ("snapshots", 2, 1)
    made = history.market(stranger)
    assert made is not None
    assert made.payouts == (0, 1_000_000)
    assert {r.token_id for r in recorded(history)} == {TOKEN, made.tokens[0]}
    assert all(token.isdigit() and len(token) <= 78 for token in made.tokens)


def test_what_is_of_no_layout_is_refused_by_name_and_what_cannot_be_read_is_left_out(tmp_path: Path) -> None:
    history = History(str(tmp_path / "history"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(LayoutError, match=r"expected a folder with markets\.parquet and books\.parquet"):
        read_in(history, tmp_path / "empty")
    odd = tmp_path / "odd.parquet"
    pq.write_table(pa.table({"price": [1.0]}), odd)
    with pytest.raises(LayoutError, match="has no column type, t, token_id"):
        read_in(history, odd)
    odd.write_text("no parquet")
    with pytest.raises(LayoutError, match="cannot be read as Parquet"):
        read_in(history, odd)
    events = [
        {"type": kind, "t": 1, "token_id": "1", "side": side, "price": price, "size": "5", "bids": None, "asks": None,
         "is_reseed": False}
        for kind, side, price in (
            ("delta", "bid", "0.5"), ("delta", "nobody", "0.5"), ("what", "", ""), ("delta", "BUY", "x"),
        )
    ]  # fmt: skip
    pq.write_table(pa.Table.from_pylist(events), odd)
    told = read_in(history, odd)
    assert (told.rows, told.unreadable) == (1, 3)


def test_books_are_listed_exported_and_imported_by_command(history: History, tmp_path: Path) -> None:
    def run(place: str, *arguments: str, code: int = 0) -> str:
        env = {"HISTORY_URL": place, "DATABASE_URL": f"sqlite:///{tmp_path / 'x.db'}"}
        result = CliRunner().invoke(app, ["books", *arguments], env=env)
        assert result.exit_code == code, result.output
        return result.output + (str(result.exception) if code == 1 else "")

    here, there = str(tmp_path / "history"), str(tmp_path / "there")
    listed = {r["token_id"]: r for r in json.loads(run(here, "list", "--json"))}
    assert (listed[TOKEN]["snapshots"], listed[TOKEN]["deltas"], listed[TOKEN]["gaps"]) == (2, 2, 1)
    assert "2 tokens" in run(here, "list")
    assert "RECORD_BOOKS" in run(there, "list")
    out = str(tmp_path / "out.parquet")
    assert "6 rows" in run(here, "export", out, "--token", TOKEN)
    assert "exists already" in run(here, "export", out, code=1)
    assert "6 rows" in run(there, "import", out)
    assert "nothing is read twice" in run(there, "import", out)
    assert "is no day" in run(here, "export", str(tmp_path / "n"), "--from", "yesterday", code=2)


def test_an_export_of_what_was_not_recorded_is_refused_and_says_of_what(history: History, tmp_path: Path) -> None:
    def export(name: str, *more: str) -> tuple[int, str]:
        env = {"HISTORY_URL": history.url, "DATABASE_URL": f"sqlite:///{tmp_path / 'x.db'}"}
        done = CliRunner().invoke(app, ["books", "export", str(tmp_path / name), *more], env=env)
        return done.exit_code, f"{done.output} {done.exception}"

    code, told = export("nobody.parquet", "--token", "77")
    assert (code, "nothing of that was recorded" in told) == (1, True), told
    code, told = export("never", "--layout", "snapshots", "--to", "2001-01-01")
    assert (code, "nothing of that was recorded" in told) == (1, True), told
    assert not (tmp_path / "nobody.parquet").exists()
    assert not (tmp_path / "never").exists()
    code, told = export("some.parquet", "--token", TOKEN, "--token", "77")
    assert (code, "nothing was recorded of 77; the others are written" in told) == (1, True), told
    assert export("all.parquet", "--token", TOKEN)[0] == 0
    assert len(pq.read_table(tmp_path / "some.parquet")) == len(pq.read_table(tmp_path / "all.parquet")) > 0
