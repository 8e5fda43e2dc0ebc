"""An archived portfolio is a kept record: no reset touches it, and lists show it only if asked for. What is archived,
left or not there is told as that."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from typer.testing import CliRunner, Result

from pilotfish.cli import app
from pilotfish.core.effects import RowEffect
from pilotfish.core.names import UnknownNameError
from pilotfish.store import leaders_store, portfolios_store
from pilotfish.store import tables as t
from pilotfish.store.batch import write
from pilotfish.store.database import open_database
from pilotfish.store.mapping import Plain
from pilotfish.store.worker_state import NAME, WorkerState
from pilotfish.web import server
from tests.desk import LEADER, OTHER, START, Desk, usd

THIRD = "0x" + "c3" * 20


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """A database in which two portfolios hold a position each; one of them is archived."""
    desk = Desk(others={"old": {"fixed_usdc": usd(10)}})
    desk.buy(1, 1000, 0.50)
    desk.advance(2)
    desk.value()
    url = f"sqlite:///{tmp_path / 'books.db'}"
    database = open_database(url)
    with database.begin() as c:
        for name in ("main", "old"):
            c.execute(t.portfolios.insert().values(name=name, bankroll_micro=usd(10_000), created_at=START))
        leaders_store.add(c, LEADER, "Holder", START, by="test")
        write(c, [e for e in desk.effects if isinstance(e, RowEffect)])
        portfolios_store.archive(c, "old", at=desk.at, by="test")
    database.dispose()
    return {"DATABASE_URL": url, "COLUMNS": "200"}


def ran(environment: dict[str, str], *words: str, typed: str = "") -> Result:
    return CliRunner().invoke(app, words, env=environment, input=typed)


def held(environment: dict[str, str], *words: str) -> set[str]:
    """The portfolios whose positions are listed."""
    return {row["portfolio"] for row in json.loads(ran(environment, "positions", "list", *words, "--json").stdout)}


def test_positions_of_archived_portfolios_are_listed_by_name_or_if_asked_for(environment: dict[str, str]) -> None:
    assert held(environment) == {"main"}
    assert held(environment, "--all") == {"main", "old"}
    assert held(environment, "--portfolio", "old") == {"old"}
    database = open_database(environment["DATABASE_URL"])
    with TestClient(server.build(database, {}), base_url="http://127.0.0.1:8080") as client:

        def shown(**asked: str) -> set[str]:
            return {row["portfolio"] for row in client.get("/api/v1/positions", params=asked).json()}

        assert shown() == shown(open_only="false") == shown(status="open") == {"main"}
        assert shown(archived="true") == {"main", "old"}
        assert shown(portfolio="old") == {"old"}
    database.dispose()


def test_a_reset_of_all_says_whom_it_leaves_and_leaves_them(environment: dict[str, str]) -> None:
    done = ran(environment, "reset", typed="y\n")
    assert done.exit_code == 0, done.output
    assert "all portfolios that take part? Archived ones stay as they are" in done.output
    assert "paper state of all portfolios that take part is reset; archived ones stay as they are" in done.output
    assert held(environment) == set()
    assert held(environment, "--portfolio", "old") == {"old"}


def test_a_trade_or_a_position_that_is_not_there_is_none_and_no_wrong_word(environment: dict[str, str]) -> None:
    for words, told in (
        (("trades", "--why", "99999"), "there is no trade 99999; `pilotfish trades` lists"),
        (("positions", "close", "main", "123", "--yes"), "there is no open position of token '123' in main; "),
    ):
        done = ran(environment, *words)
        assert isinstance(done.exception, UnknownNameError), done.output
        assert done.exit_code == 1
        assert told in str(done.exception)
        assert "Usage" not in done.output


def test_the_page_and_rest_say_of_a_reset_what_the_terminal_says(environment: dict[str, str]) -> None:
    database = open_database(environment["DATABASE_URL"])
    admin = {"Authorization": "Bearer of-the-desk"}
    with TestClient(server.build(database, {"admin_token": "of-the-desk"}), base_url="http://127.0.0.1:8080") as client:
        page = client.get("/settings", headers=admin).text
        assert "Wipe the paper state of all portfolios that take part? Archived ones stay as they are." in page
        assert "archived portfolios stay as they are" in page
        assert "rchived" not in client.get("/settings?portfolio=main", headers=admin).text.partition('id="danger"')[2]
        refused = client.post("/api/v1/admin/reset", json={"portfolio": "old"}, headers=admin)
        assert (refused.status_code, "the portfolio 'old' is archived" in refused.json()["detail"]) == (400, True)
        assert client.post("/api/v1/admin/reset", json={}, headers=admin).status_code == 200
        left = client.get("/api/v1/positions", params={"archived": "true"}).json()
        assert {row["portfolio"] for row in left} == {"old"}
    database.dispose()


@pytest.mark.parametrize(
    "words",
    [("reset", "--portfolio", "old", "--yes"), ("portfolio", "reset", "old", "--yes"), ("portfolio", "archive", "old"),
     ("portfolio", "clone", "old", "new"), ("positions", "close", "old", "--yes")],
    ids=" ".join,
)  # fmt: skip
def test_what_is_archived_is_told_to_be_and_what_to_do(environment: dict[str, str], words: tuple[str, ...]) -> None:
    problem = ran(environment, *words).exception
    told = "the portfolio 'old' is archived: it takes part no longer and its books stay as they are"
    assert isinstance(problem, portfolios_store.PortfolioError)
    assert str(problem).startswith(told)
    assert "pilotfish portfolio add" in str(problem)


def test_somebody_left_before_a_worker_ran_was_never_followed(environment: dict[str, str]) -> None:
    for words in (("add", OTHER, "--no-record"), ("add", THIRD, "--no-record"), ("remove", OTHER)):
        assert ran(environment, "leaders", *words).exit_code == 0
    lines = ran(environment, "leaders", "list", "--all", "--columns", "wallet,followed").stdout.splitlines()
    followed = dict(re.split(" {2,}", line, maxsplit=1) for line in lines)
    assert (followed[OTHER], followed[THIRD]) == ("never", "when a worker runs")


def test_status_shows_the_portfolios_of_now_and_tells_programs_of_all(environment: dict[str, str]) -> None:
    database = open_database(environment["DATABASE_URL"])
    with database.begin() as c:
        write(c, [Plain("worker_status", {"name": NAME, "at": START, "data": WorkerState(pid=7).as_json()})])
    database.dispose()
    rows = [line.split()[0] for line in ran(environment, "status").stdout.splitlines() if line.strip()]
    assert "main" in rows
    assert "old" not in rows
    portfolios = json.loads(ran(environment, "status", "--json").stdout)["portfolios"]
    assert {p["name"]: p["status"] for p in portfolios} == {"main": "active", "old": "archived"}
