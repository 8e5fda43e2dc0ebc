"""``pilotfish report``: the answer first, then each leader, then the total."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
from sqlalchemy import update
from typer.testing import CliRunner

from pilotfish.cli import app
from pilotfish.cli.printed import minute
from pilotfish.core.effects import RowEffect
from pilotfish.core.numerals import gain, money
from pilotfish.core.units import MICRO
from pilotfish.store import leaders_store, portfolios_store
from pilotfish.store import tables as t
from pilotfish.store.batch import write
from pilotfish.store.database import open_database
from pilotfish.store.views.base import iso
from tests.desk import LEADER, OTHER, START, Desk, chain_fill, usd


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A database in which two leaders were copied into two portfolios, one of them archived."""
    desk = Desk(others={"old": {"fixed_usdc": usd(10)}})
    desk.follow_leader(OTHER)
    desk.buy(1, 1000, 0.50)
    desk.chain(chain_fill(2, "BUY", 1000, 0.50, leader=OTHER, token_id="1003", traded_at=desk.at, order_hash="0xb2"))
    desk.advance(2)
    desk.value()
    url = f"sqlite:///{tmp_path_factory.mktemp('report') / 'books.db'}"
    database = open_database(url)
    with database.begin() as c:
        for name in ("main", "old"):
            c.execute(t.portfolios.insert().values(name=name, bankroll_micro=usd(10_000), created_at=START))
        for wallet, label in ((LEADER, "Holder"), (OTHER, "[b]Other")):
            leaders_store.add(c, wallet, label, START, by="test")
        write(c, [e for e in desk.effects if isinstance(e, RowEffect)])
        portfolios_store.archive(c, "old", at=desk.at, by="test")
    database.dispose()
    return {"DATABASE_URL": url, "COLUMNS": "200"}


@pytest.fixture
def copied(environment: dict[str, str], tmp_path: Path) -> dict[str, str]:
    """The same, to be changed."""
    shutil.copy(environment["DATABASE_URL"].removeprefix("sqlite:///"), tmp_path / "copied.db")
    return {**environment, "DATABASE_URL": f"sqlite:///{tmp_path / 'copied.db'}"}


def said(environment: dict[str, str], *words: str) -> str:
    done = CliRunner().invoke(app, ["report", *words], env=environment)
    assert done.exit_code == 0, done.output
    return done.stdout


def test_the_verdict_is_the_first_line_and_the_total_the_last_row(environment: dict[str, str]) -> None:
    rows = json.loads(said(environment, "--json"))
    assert {row["portfolio"] for row in rows} == {"main"}
    lines = said(environment).splitlines()
    made, paid = (sum(row[name] for row in rows) for name in ("actual_micro", "paid_micro"))
    assert lines[0].startswith(f"Copying all 2 leaders: {gain(made)} USDC on {money(paid)} paid, ")
    cells = re.split(" {2,}", lines[-1])
    ideal = sum(row["ideal_micro"] for row in rows)
    assert cells[:6] == [
        "all leaders", "2 of 2", money(paid), gain(ideal), gain(made - ideal), gain(made),
    ]  # fmt: skip
    assert sum("[b]Other" in line for line in lines) == 2, "other people's text is no markup"


def test_one_leader_has_a_verdict_of_their_own_and_no_total(environment: dict[str, str]) -> None:
    (row,) = json.loads(said(environment, "--leader", LEADER, "--json"))
    told = said(environment, "--leader", LEADER)
    assert told.splitlines()[0] == row["verdict"]
    assert row["verdict"].startswith("Copying Holder: ")
    assert row["tone"] == "loss"
    assert "all leaders" not in told
    assert row["paid_micro"] == 25 * MICRO


def test_archived_portfolios_are_there_by_name_or_if_asked_for(environment: dict[str, str]) -> None:
    assert {row["portfolio"] for row in json.loads(said(environment, "--all", "--json"))} == {"main", "old"}
    assert {row["portfolio"] for row in json.loads(said(environment, "--portfolio", "old", "--json"))} == {"old"}
    told = said(environment, "--all").splitlines()
    assert told[0].startswith("main: Copying all 2 leaders: ")
    assert any(line.startswith("old: Copying all 2 leaders: ") for line in told)


def test_a_period_says_that_it_is_one(environment: dict[str, str]) -> None:
    (row,) = json.loads(said(environment, "--leader", LEADER, "--since", "2100-01-01", "--json"))
    assert "paid or held at the start" in row["verdict"]
    assert row["trades"] == 0
    for long_ago in ("999999w", "0001-01-01"):
        assert json.loads(said(environment, "--leader", LEADER, "--since", long_ago, "--json"))[0]["trades"] > 0


def test_after_a_reset_it_says_since_when_it_counts(copied: dict[str, str]) -> None:
    database = open_database(copied["DATABASE_URL"])
    with database.begin() as c:
        c.execute(t.portfolios.insert().values(name="new", bankroll_micro=usd(10_000), created_at=START))
    assert CliRunner().invoke(app, ["reset", "--portfolio", "main", "--yes"], env=copied).exit_code == 0
    at = START + 86_400 * MICRO  # the decisions are of a time that this machine's clock knows nothing of
    with database.begin() as c:
        c.execute(update(t.portfolios).where(t.portfolios.c.name == "main").values(reset_at=at))
    database.dispose()
    since = f"nothing was decided since it was reset, {minute(iso(at))} UTC; what was decided before does not count."
    assert said(copied) == f"main: {since}\n"
    assert said(copied, "--portfolio", "main") == f"main: {since}\n"
    assert said(copied, "--portfolio", "main", "--since", "2020-01-01") == f"main: {since}\n"
    assert said(copied, "--portfolio", "new") == "Nothing was decided yet.\n"
    lines = said(copied, "--all").splitlines()
    assert lines[0].startswith("Copying all 2 leaders: ") or lines[0].startswith("old: Copying all 2 leaders: ")
    assert lines[-1] == f"main: {since}", "what others did does not hide it"
    assert json.loads(said(copied, "--json")) == []
    rows = CliRunner().invoke(app, ["portfolio", "list"], env=copied).stdout.splitlines()
    assert next(row for row in rows if row.startswith("main ")).endswith(minute(iso(at)))


def test_what_was_won_or_lost_on_a_leader_has_its_sign(environment: dict[str, str]) -> None:
    told = CliRunner().invoke(app, ["leaders", "show", LEADER], env=environment).stdout
    (row,) = json.loads(said(environment, "--leader", LEADER, "--json"))
    line = f"at their prices {gain(row['ideal_micro'])}, ours {gain(row['actual_micro'])} ("
    assert line in told
    assert gain(-row["parts"]["fees_micro"]) in told.split(line)[1]
    assert re.search(r"realised (?:[+−]\d|0\.00)[\d,.]*, unrealised (?:[+−]\d|0\.00)", told)


def test_without_a_decision_there_was_none_yet(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'x.db'}"
    open_database(url).dispose()
    assert said({"DATABASE_URL": url}) == "Nothing was decided yet.\n"
    assert said({"DATABASE_URL": url}, "--since", "7d") == "Nothing was decided since then.\n"
