"""REST refuses by name what does not exist, and every error of it has one shape."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from pilotfish.store import leaders_store, portfolios_store
from pilotfish.web import server
from pilotfish.web.auth import Doors
from pilotfish.web.reader import Reader
from pilotfish.web.site import Site
from tests.desk import LEADER, OTHER
from tests.web.test_rest import AS_ADMIN, LOCAL, alone, filled

STRANGER = "0x" + "99" * 20


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    database = filled(tmp_path_factory.mktemp("refusals"))
    with database.begin() as c:
        portfolios_store.add(c, "old", {}, at=1, by="test")
        portfolios_store.archive(c, "old", at=1, by="test")
        leaders_store.add(c, OTHER, "", 1, by="test")
        leaders_store.set_status(c, OTHER, "removed", 2, by="test")
    with TestClient(alone(database), base_url=LOCAL, raise_server_exceptions=False) as made:
        yield made
    database.dispose()


def refused(answer: Any, status: int) -> str:
    """The detail of a problem."""
    assert answer.status_code == status, answer.text[:300]
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert set(body) == {"type", "title", "status", "detail"}
    assert body["status"] == status
    return str(body["detail"])


BY_PORTFOLIO = ("trades", "decisions", "fills", "positions", "equity", "report", "settings", "stream",
                f"leaders/{LEADER}", "export/trades.json", "export/report.csv", "export/equity.json")  # fmt: skip
BY_LEADER = (
    "trades",
    "decisions",
    "fills",
    "positions",
    "report",
    "settings",
    "export/trades.json",
    "export/report.csv",
)


@pytest.mark.parametrize("path", BY_PORTFOLIO)
def test_a_portfolio_that_never_was_is_refused_and_an_archived_one_is_not(client: TestClient, path: str) -> None:
    url = f"/api/v1/{path}"
    more = {"seconds": 0} if path == "stream" else {}
    assert "did you mean main" in refused(client.get(url, params={"portfolio": "mian", **more}), 422)
    for there in ("main", "old"):
        assert client.get(url, params={"portfolio": there, **more}).status_code == 200, there


@pytest.mark.parametrize("path", BY_LEADER)
def test_a_leader_who_never_was_is_refused_and_a_former_one_is_not(client: TestClient, path: str) -> None:
    url = f"/api/v1/{path}"
    assert f"there is no leader '{STRANGER}'" in refused(client.get(url, params={"leader": STRANGER}), 422)
    assert f"did you mean {LEADER}" in refused(client.get(url, params={"leader": "a leadr"}), 422)
    for there in (LEADER, LEADER.upper().replace("0X", "0x"), OTHER):
        assert client.get(url, params={"leader": there}).status_code == 200, there


@pytest.mark.parametrize(
    ("path", "name", "given", "near"),
    [
        ("trades", "reason", "SKIP_SPRED", "SKIP_SPREAD"), ("decisions", "reason", "skip_cash", "SKIP_CASH"),
        ("trades", "side", "buy", "BUY"), ("trades", "source", "polygn", "polygon"), ("trades", "class", "liv", "live"),
        ("trades", "action", "skipp", "skip"), ("trades", "status", "retract", "retracted"),
        ("decisions", "action", "cpy", "copy"), ("positions", "status", "opened", "open"),
    ],
)  # fmt: skip
def test_a_word_that_is_none_of_a_list_is_refused_with_the_nearest(
    client: TestClient, path: str, name: str, given: str, near: str
) -> None:
    told = refused(client.get(f"/api/v1/{path}", params={name: given}), 422)
    assert f"there is no {name} '{given}'; did you mean {near}?" in told


def test_paths_bodies_and_parameters_are_refused_by_name(client: TestClient) -> None:
    assert "did you mean trades" in refused(client.get("/api/v1/export/trads.json"), 422)
    assert "did you mean csv" in refused(client.get("/api/v1/export/trades.cvs"), 422)
    assert STRANGER in refused(client.get(f"/api/v1/leaders/{STRANGER}"), 404)
    assert client.get(f"/api/v1/leaders/{LEADER}").status_code == 200
    assert "did you mean leader?" in refused(client.get("/api/v1/trades", params={"leadr": LEADER}), 422)
    assert "token_id" in refused(client.get("/api/v1/trades", params={"token_id": "yes"}), 422)
    assert "did you mean wallet" in refused(
        client.post("/api/v1/leaders", json={"walet": OTHER}, headers=AS_ADMIN), 422
    )
    assert "did you mean fixed_usdc" in refused(
        client.patch("/api/v1/settings", json={"fixed_usd": 1}, headers=AS_ADMIN), 400
    )
    for where in ({"portfolio": "mian"}, {"leader": STRANGER}):
        assert "there is no" in refused(
            client.patch("/api/v1/settings", params=where, json={"fixed_usdc": 1}, headers=AS_ADMIN), 400
        )
    for body in ({"portfolio": "mian"}, {"portfolio": "main", "leader": STRANGER}):
        assert "there is no" in refused(client.post("/api/v1/positions/close", json=body, headers=AS_ADMIN), 400)
    assert client.get("/api/v1/settings").json() != []


def test_what_is_asked_for_twice_or_both_ways_is_refused_and_what_is_kept_is_told(client: TestClient) -> None:
    for path, query in (("portfolios", "limit=1&limit=2"), ("fills", "portfolio=main&portfolio=old")):
        name = query.split("=")[0]
        assert f"the parameter {name} is there twice" in refused(client.get(f"/api/v1/{path}?{query}"), 422)
    both = {"name": "both", "clone_of": "main", "leaders": [LEADER]}
    told = refused(client.post("/api/v1/portfolios", json=both, headers=AS_ADMIN), 400)
    assert "leaders: a portfolio like another one has that one's" in told
    chosen = {"leaders": [LEADER.upper().replace("0X", "0x"), LEADER]}
    kept = client.patch("/api/v1/portfolios/main", json=chosen, headers=AS_ADMIN)
    assert kept.json() == {"name": "main", "leaders": [LEADER]}


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"])
def test_below_the_rest_root_every_unknown_path_and_method_is_a_problem(client: TestClient, method: str) -> None:
    for path in ("/api/v1/nosuch", "/api/v1", "/api/v1/", "/api/nosuch", "/api/v1/trades/1/2", "/api/v1/trades/"):
        answer = client.request(method, path, headers=AS_ADMIN)
        assert answer.status_code == 404, path
        assert answer.headers["content-type"] == "application/problem+json", path
    if method not in ("GET", "HEAD", "PATCH"):
        answer = client.request(method, "/api/v1/settings", headers=AS_ADMIN)
        assert answer.status_code == 405
        assert answer.headers["allow"] == "GET, HEAD, PATCH"
        assert answer.headers["content-type"] == "application/problem+json"


def test_a_database_that_cannot_be_read_is_a_problem_as_well(tmp_path: Path) -> None:
    database = filled(tmp_path)
    with database.begin() as c:
        c.exec_driver_sql("DROP TABLE trades")
    site = Site(database, {})
    with TestClient(Doors(server.application(site, Reader(database)), site.sessions), base_url=LOCAL) as client:
        assert "no such table" in refused(client.get("/api/v1/trades"), 503)
    database.dispose()


def test_an_instant_out_of_reach_is_refused(client: TestClient) -> None:
    for given in ("9999-12-31T23:59:59-23:59", "0001-01-01T00:00+23:59", "\u0661", "[", "9" * 30):
        assert "ISO 8601" in refused(client.get("/api/v1/report", params={"since": given}), 400)
    for given in ("0001-01-01", "9999-12-31T23:59:59.999999Z"):
        assert client.get("/api/v1/report", params={"since": given}).status_code == 200, given
