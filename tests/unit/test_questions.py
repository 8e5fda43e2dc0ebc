"""What is kept, as Arrow, as Parquet and by SQL: the same rows under the same names, and nothing can be changed."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Iterator
from contextlib import redirect_stdout
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sqlalchemy import insert
from typer.testing import CliRunner

import pilotfish
from pilotfish.cli import app
from pilotfish.core.problem import Problem
from pilotfish.history import tables as past
from pilotfish.history.folder import History
from pilotfish.history.records import PricePoint
from pilotfish.history.windows import State, Window
from pilotfish.store import arrow, exports
from pilotfish.store import tables as t
from pilotfish.store.backup import backup
from pilotfish.store.database import open_database, snapshot
from pilotfish.store.refill import refill
from tests.conftest import PROJECT
from tests.fresh import fresh_database
from tests.story import play

MICRO = 1_000_000


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of a database with a story in it."""
    folder = tmp_path_factory.mktemp("kept")
    backup(play(3, minutes=6, deeds=60).database, folder / "x.pilotfish")
    database = fresh_database(folder / "x.db")
    refill(database, folder / "x.pilotfish")
    with database.begin() as c:
        c.execute(insert(t.look_backs).values(
            wallet="0x1", name="", asked_at=1_800_000_000 * MICRO, by="x", days=3, values={"a": 1}, state="waiting",
            attempts=0, stage="", done=0, of=0, requests=0,
        ))  # fmt: skip
        c.execute(insert(t.searches).values(
            asked_at=1_800_000_000 * MICRO, by="x", source="wallets", wallets=[], categories=[], most=1, budget=1,
            days=1, values={}, state="waiting", attempts=0, stage="", done=0, of=0, requests=0,
        ))  # fmt: skip
        c.execute(insert(t.searched_wallets).values(
            search_id=1, place=1, wallet="0x1", name="", verdict="copyable", why="", edge_per_usdc=0.5, q_value=0.1,
            events=1, trades=1, filled_share=1.0, result_micro=1, flags=["one_event"], incomplete="", category="",
        ))  # fmt: skip
    database.dispose()
    return folder / "x.db"


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """No ``.env`` and no history but the test's own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DATABASE_URL", raising=False)
    yield


@pytest.mark.parametrize("kind", exports.KINDS)
def test_arrow_has_the_rows_of_the_export(kept: Path, kind: str) -> None:
    database = open_database(f"sqlite:///{kept}")
    with snapshot(database) as c:
        want = [msgspec.to_builtins(row) for row in exports.rows(c, kind)]
    database.dispose()
    table = pilotfish.read(kind, str(kept))
    assert want
    assert table.schema.equals(arrow.schema(kind))
    assert [as_exported(row, table.schema) for row in table.to_pylist()] == want
    assert all(f.type == pa.int64() for f in table.schema if f.name.endswith("_micro"))
    assert all(pa.types.is_timestamp(f.type) for f in table.schema if f.name.endswith("_at"))


def as_exported(row: dict[str, Any], schema: pa.Schema) -> dict[str, Any]:
    """An Arrow row as JSON has it."""
    nested = {"trace", "levels", "parts", "values", "result", "wallets", "categories", "flags", "settings"} | {
        n for n in schema.names if n.endswith(("_by_reason", "_by_cause"))
    }
    found = {}
    for name, value in row.items():
        if isinstance(value, datetime):
            value = value.isoformat(timespec="microseconds").replace("+00:00", "Z")
        found[name] = json.loads(value) if name in nested and value is not None else value
    return found


def test_a_portfolio_or_leader_narrows_it_and_names_that_are_none_are_refused(kept: Path) -> None:
    whole = pilotfish.read("fills", str(kept))
    leader = whole.column("leader")[0].as_py()
    part = pilotfish.read("fills", f"sqlite:///{kept}", leader=leader)
    assert 0 < part.num_rows == sum(x == leader for x in whole.column("leader").to_pylist())
    for kind, database, portfolio, told in (
        ("trade", str(kept), "", "did you mean trades"), ("fills", str(kept), "man", "did you mean main"),
        ("fills", str(kept.parent / "none.db"), "", "Nothing has been recorded yet"),
    ):  # fmt: skip
        with pytest.raises(Problem, match=told):
            pilotfish.read(kind, database, portfolio=portfolio)
    assert not (kept.parent / "none.db").exists()


@pytest.mark.parametrize("kind", ["trades", "look_backs", "decisions"])
def test_an_export_as_parquet_is_what_read_gives(kept: Path, kind: str, tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["export", kind, "--format", "parquet"], env={"DATABASE_URL": f"sqlite:///{kept}"})
    assert done.exit_code == 0, done.output
    assert pq.read_table(io.BytesIO(done.stdout_bytes)).equals(pilotfish.read(kind, str(kept)))
    empty = CliRunner().invoke(
        app, ["export", kind, "--format", "parquet"], env={"DATABASE_URL": f"sqlite:///{tmp_path / 'no.db'}"}
    )
    nothing = pq.read_table(io.BytesIO(empty.stdout_bytes))
    assert (nothing.num_rows, nothing.schema) == (0, arrow.schema(kind))


def test_sql_answers_what_python_reckons(kept: Path) -> None:
    trades = pilotfish.read("trades", str(kept)).to_pylist()
    found = pilotfish.sql(
        "select t.side, count(distinct t.id) n, sum(f.usdc_micro)::bigint usdc from trades t"
        " left join intents i on i.trade_id = t.id left join fills f on f.intent_id = i.id group by 1 order by 1",
        str(kept),
    ).to_pylist()
    assert {row["side"]: row["n"] for row in found} == {
        side: sum(x["side"] == side for x in trades) for side in ("BUY", "SELL")
    }
    fills = pilotfish.read("fills", str(kept)).to_pylist()
    of_trades = {i["id"] for i in pilotfish.read("intents", str(kept)).to_pylist() if i["trade_id"]}
    assert sum(row["usdc"] or 0 for row in found) == sum(f["usdc_micro"] for f in fills if f["intent_id"] in of_trades)
    first = pilotfish.sql("select trace->>'$[0].check' as first from decisions order by id limit 1", str(kept))
    assert first.to_pylist()[0]["first"]


@pytest.mark.parametrize(
    ("question", "told"),
    [
        ("delete from trades", "expected one SELECT"),
        ("select 1; drop table trades", "expected one SELECT"),
        ("copy trades to 'x.csv'", "expected one SELECT"),
        ("attach 'x.db' as y", "expected one SELECT"),
        ("install httpfs", "expected one SELECT"),
        ("select * from read_text('/etc/passwd')", "disabled by configuration"),
        ("select * from '/etc/passwd'", "there is no table"),
        ("select * from kept", "there is no table"),
        ("select * from trade", "did you mean trades"),
        ("selec 1", "syntax error"),
        ("select nonsense from trades", "nonsense"),
        ("", "expected one SELECT"),
    ],
)
def test_sql_changes_nothing_and_reads_nothing_else(kept: Path, question: str, told: str, tmp_path: Path) -> None:
    before = kept.read_bytes()
    with pytest.raises(Problem) as refused:
        pilotfish.sql(question, str(kept))
    assert told in str(refused.value)
    assert kept.read_bytes() == before
    assert list(tmp_path.iterdir()) == []


def test_sql_reads_each_second_of_history_once(tmp_path: Path) -> None:
    history = History(str(tmp_path / "history"))
    points = [PricePoint(at=n, price=500_000 + n) for n in range(10)]
    history.write("prices", "7", Window(0, 6, State.COMPLETE), points[:7])
    history.write("prices", "7", Window(4, 9, State.FRESH), points[4:])  # 4 to 6 are in both files
    found = pilotfish.sql('select key, "at", price from history_prices order by "at"', history=history.url)
    assert found.to_pylist() == [{"key": "7", "at": p.at, "price": p.price} for p in points]
    for kind in past.KINDS:  # the others are there, too, and empty
        if kind != "prices":
            assert pilotfish.sql(f"select * from history_{kind}", history=history.url).num_rows == 0


@pytest.mark.parametrize("form", ["table", "json", "csv", "parquet"])
def test_the_command_writes_an_answer_in_each_form(kept: Path, form: str) -> None:
    env = {"DATABASE_URL": f"sqlite:///{kept}"}
    question = "select id, traded_at, sum(usdc_micro) over () as whole, null as none from trades order by id limit 2"
    done = CliRunner().invoke(app, ["sql", "-", "--format", form], env=env, input=question)
    assert done.exit_code == 0, done.output
    first = pilotfish.read("trades", str(kept)).to_pylist()[0]
    if form == "parquet":
        assert pq.read_table(io.BytesIO(done.stdout_bytes)).to_pylist()[0]["traded_at"] == first["traded_at"]
    elif form == "json":
        row = json.loads(done.stdout)[0]
        assert isinstance(row["whole"], int)
        assert row["traded_at"] == first["traded_at"].isoformat(timespec="microseconds").replace("+00:00", "Z")
        assert row["none"] is None
    else:
        lines = done.stdout.splitlines()
        assert len(lines) == 3
        assert str(first["id"]) in lines[1]


NOTEBOOK = PROJECT / "docs" / "what-did-delay-cost.ipynb"


def test_the_notebook_runs_and_its_figures_are_those_of_the_fills(kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(os.environ, "DATABASE_URL", f"sqlite:///{kept}")
    notebook = json.loads(NOTEBOOK.read_text())
    assert (notebook["nbformat"], notebook["nbformat_minor"]) == (4, 5)
    assert len({cell["id"] for cell in notebook["cells"]}) == len(notebook["cells"])
    names: dict[str, Any] = {}
    out = io.StringIO()
    with redirect_stdout(out):
        for cell in notebook["cells"]:
            if cell["cell_type"] == "code":
                assert cell["outputs"] == []
                exec(compile("".join(cell["source"]), NOTEBOOK.name, "exec"), names)
    fills = pilotfish.read("fills").to_pylist()
    of_trades = {i["id"] for i in pilotfish.read("intents").to_pylist() if i["trade_id"]}
    cost = sum(f["delay_cost_micro"] for f in fills if f["intent_id"] in of_trades)
    assert round(MICRO * sum(row["delay_cost"] for row in names["by_delay"].to_pylist())) == cost != 0
    report = pilotfish.read("report").to_pylist()
    delay = sum(json.loads(row["parts"])["delay_micro"] for row in report)
    assert round(MICRO * sum(row["delay"] for row in names["by_leader"].to_pylist())) == delay
    assert "came later than 3 s" in out.getvalue()
