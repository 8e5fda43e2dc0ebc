"""The folder of history: what was written comes back the same, and what cannot be read is named with what to do."""

from __future__ import annotations

import re
from pathlib import Path

import duckdb
import pytest

from pilotfish.core.fees import FeeSchedule
from pilotfish.core.trade import Side
from pilotfish.history.columns import SHAPES
from pilotfish.history.folder import PART, History, HistoryError, damaged
from pilotfish.history.records import Deed, HeldToken, PastMarket, PricePoint, Print
from pilotfish.history.windows import State, Window
from tests.conftest import PROJECT

WALLET, CONDITION, TOKEN = "0x" + "a1" * 20, "0x" + "c3" * 32, "9" * 77
DEED = Deed(
    kind="TRADE", at=150, tx_hash="0x" + "1" * 64, condition_id=CONDITION, token_id=TOKEN, side=Side.BUY,
    shares=10_000_000, usdc=5_500_000, usdc_size=5_600_000, size="10", price="0.55", outcome="Yes", title="Will it?",
    slug="will-it", event_slug="it",
)  # fmt: skip
MOVE = Deed(kind="REDEEM", at=151, tx_hash="", condition_id=CONDITION, shares=5, usdc_size=5)
PRINT = Print(at=150, tx_hash="0x", wallet=WALLET, condition_id=CONDITION, token_id=TOKEN, side=Side.SELL, shares=3,
              price=550_000)  # fmt: skip
MARKET = PastMarket(
    condition_id=CONDITION, tokens=(TOKEN, "8"), outcomes=("Yes", "No"), event="it", tags=("politics", "fed"),
    fee=FeeSchedule(40_000, 4), tick=1_000, delay_ms=150, end_at=9, closed_at=8, resolved_at=7, payouts=(1_000_000, 0),
)  # fmt: skip
OPEN = PastMarket(condition_id="0x" + "d4" * 32, tokens=("7", "6"))


@pytest.fixture(params=["folder", "url"])
def history(request: pytest.FixtureRequest, tmp_path: Path) -> History:
    return History(str(tmp_path / "h") if request.param == "folder" else f"file://{tmp_path}/h")


def put(history: History, *deeds: Deed, window: Window = Window(100, 200, State.COMPLETE)) -> Path:
    history.write("activity", WALLET, window, deeds)
    return Path(history.url.removeprefix("file://")) / "activity" / WALLET / window.name


def test_every_record_comes_back_as_it_was_written(history: History) -> None:
    put(history, MOVE, DEED)
    history.write("tape", CONDITION, Window(100, 200, State.COMPLETE), [PRINT])
    history.write("prices", TOKEN, Window(100, 200, State.FRESH), [PricePoint(150, 550_000)])
    history.write("markets", CONDITION, Window(300, 300, State.COMPLETE), [MARKET])
    history.write("markets", OPEN.condition_id, Window(300, 300, State.FRESH), [OPEN])
    held = HeldToken(token_id=TOKEN, condition_id=CONDITION, shares=4)
    history.write("positions", WALLET, Window(300, 300, State.FRESH), [held])
    again = History(history.url)
    assert list(again.deeds(WALLET, 100, 200)) == [DEED, MOVE], "oldest first"
    assert list(again.tape(CONDITION, (100, 200))) == [PRINT]
    assert list(again.prices(TOKEN, 100, 200)) == [PricePoint(150, 550_000)]
    assert (again.market(CONDITION), again.market(OPEN.condition_id), again.market("0x0")) == (MARKET, OPEN, None)
    assert again.positions(WALLET) == (Window(300, 300, State.FRESH), [held])
    assert {kind: len(again.keys(kind)) for kind in SHAPES} == {
        "activity": 1, "tape": 1, "prices": 1, "positions": 1, "markets": 2,
    }  # fmt: skip


def test_only_the_seconds_that_are_asked_for_are_given_and_others_are_missing(history: History) -> None:
    put(history, DEED, MOVE)
    put(history, window=Window(201, 300, State.CAPPED))
    put(history, window=Window(301, 400, State.FAILED))
    assert list(history.deeds(WALLET, 151, 500)) == [MOVE]
    assert [(m.from_at, m.to_at, m.why) for m in history.missing("activity", WALLET, (50, 500))] == [
        (50, 99, "not asked"), (201, 300, "capped"), (301, 400, "failed"), (401, 500, "not asked"),
    ]  # fmt: skip
    assert history.known("activity", WALLET, (50, 500)) == [(100, 200)]


def test_a_second_in_two_windows_counts_once_and_the_one_that_is_not_needed_goes(history: History) -> None:
    put(history, DEED, MOVE, window=Window(150, 250, State.FRESH))
    put(history, DEED, MOVE)
    assert list(history.deeds(WALLET, 100, 250)) == [DEED, MOVE]
    put(history, window=Window(201, 300, State.COMPLETE))
    history.tidy("activity", WALLET)
    assert history.windows("activity", WALLET) == [Window(100, 200, State.COMPLETE), Window(201, 300, State.COMPLETE)]


def test_of_looks_at_a_market_a_later_failure_does_not_hide_what_is_known(history: History) -> None:
    history.write("markets", CONDITION, Window(300, 300, State.FRESH), [MARKET])
    history.write("markets", CONDITION, Window(400, 400, State.FAILED), [])
    history.tidy("markets", CONDITION)
    assert history.market(CONDITION) == MARKET
    assert history.windows("markets", CONDITION) == [Window(300, 300, State.FRESH)]


@pytest.mark.parametrize("keep", [0, 3, 400, -20])
def test_a_half_or_damaged_file_is_named_with_what_to_do(history: History, keep: int) -> None:
    path = put(history, DEED)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(HistoryError, match=r"100-200.complete.parquet is damaged.*history check.*history remove"):
        list(history.deeds(WALLET, 100, 200))
    assert [kept.window.name for kept, _ in damaged(history, {"activity": [WALLET]})] == [path.name]


def test_a_file_with_other_columns_is_named_too(history: History) -> None:
    path = put(history, DEED)
    duckdb.sql(f"copy (select 1 as at) to '{path}' (format parquet)")
    with pytest.raises(HistoryError, match="other columns"):
        list(history.deeds(WALLET, 100, 200))


def test_what_is_no_window_is_not_read_and_fresh_leftovers_of_others_stay(history: History) -> None:
    path = put(history, DEED)
    (path.parent / f"1-2.complete.parquet.ab{PART}").write_bytes(b"half")
    (path.parent / "notes.txt").write_text("mine")
    history.tidy("activity", WALLET)
    assert history.windows("activity", WALLET) == [Window(100, 200, State.COMPLETE)]
    assert len(list(path.parent.iterdir())) == 3


@pytest.mark.parametrize("url", ["nonsense://x/y", "/proc/1/nowhere/h", "A_FILE"])
def test_a_place_that_cannot_be_used_is_an_error_that_says_so(tmp_path: Path, url: str) -> None:
    (tmp_path / "A_FILE").write_text("no folder")
    with pytest.raises(HistoryError, match="HISTORY_URL"):
        History(url.replace("A_FILE", str(tmp_path / "A_FILE"))).write(
            "activity", WALLET, Window(1, 2, State.COMPLETE), []
        )


def test_the_example_for_duckdb_in_the_documents_works_and_names_every_column(history: History) -> None:
    put(history, DEED, MOVE)
    text = (PROJECT / "docs" / "history.md").read_text()
    example = text.split("```sql\n")[1].split("```")[0].replace("HISTORY", history.url.removeprefix("file://"))
    assert duckdb.sql(example).fetchall() == [(WALLET, CONDITION, 1, 5.5, 0.0)]
    for kind, shape in SHAPES.items():
        part = re.split(r"\n##+ ", text.split(f"### {kind}\n")[1])[0]
        assert [line.split("`")[1] for line in part.splitlines() if line.startswith("| `")] == shape.schema.names, kind
