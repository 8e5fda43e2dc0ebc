"""REST reads what the exports read, behind the same doors as the pages."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from fastapi.testclient import TestClient
from hypothesis import given, settings
from sqlalchemy import Engine

from pilotfish.core.effects import Insert, Update, Upsert, WipePaper
from pilotfish.store import leaders_store
from pilotfish.store.database import open_database
from pilotfish.store.writer import write
from pilotfish.web import server
from pilotfish.web.auth import Doors
from tests.desk import LEADER, START, TOKEN, Desk, api_fill


def filled(folder: Path) -> Engine:
    """A database with what an engine did in a few trades."""
    database = open_database(f"sqlite:///{folder / 'x.db'}")
    desk = Desk(holdings={})
    for n in range(1, 6):
        desk.buy(n, 100)
    desk.sell(9, 250)
    desk.api(api_fill(1, "BUY", 100, 0.5, traded_at=START))
    with database.begin() as c:
        write(c, [Upsert("portfolios", {"name": "main", "bankroll_micro": 10**10, "created_at": START})])
        leaders_store.add(c, LEADER, "A leader", START)
        write(c, [e for e in desk.effects if isinstance(e, (Insert, Update, Upsert, WipePaper))])
    return database


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    return filled(tmp_path_factory.mktemp("rest"))


@pytest.fixture(scope="module")
def application(database: Engine) -> Any:
    return server.build(database, {})


@pytest.fixture
def rest(application: Any) -> Iterator[TestClient]:
    with TestClient(application) as client:
        yield client


def test_pages_continue_where_the_last_one_ended(rest: TestClient) -> None:
    first = rest.get("/api/v1/trades", params={"limit": 4}).json()
    rest_of_it = rest.get("/api/v1/trades", params={"limit": 4, "before": first["next_before"]}).json()
    assert [t["id"] for t in first["data"] + rest_of_it["data"]] == [6, 5, 4, 3, 2, 1]
    assert rest_of_it["next_before"] is None


def test_one_trade_carries_its_decision_with_trace_and_payload(rest: TestClient) -> None:
    trade = rest.get("/api/v1/trades/1").json()
    assert trade["decisions"][0]["reason"] == "COPY"
    assert {"check", "value", "limit", "passed"} == set(trade["decisions"][0]["trace"][0])
    assert trade["raw"] == "{}"
    assert rest.get("/api/v1/trades/999").status_code == 404


def test_filters_and_figures(rest: TestClient) -> None:
    assert {f["side"] for f in rest.get("/api/v1/fills").json()["data"]} == {"BUY", "SELL"}
    assert len(rest.get("/api/v1/decisions", params={"action": "skip"}).json()["data"]) == 0
    (position,) = rest.get("/api/v1/positions").json()
    assert (position["token_id"], position["label"], position["shares_micro"]) == (TOKEN, "A leader", 125_000_000)
    assert rest.get("/api/v1/latency").json()["seen_by_both"] == 1
    assert rest.get("/api/v1/leaders").json()[0]["wallet"] == LEADER
    assert rest.get("/api/v1/portfolios").json()[0]["bankroll_micro"] == 10**10
    names = {s["name"] for s in rest.get("/api/v1/settings").json()}
    assert "fixed_usdc" in names
    assert not {"admin_token", "polygon_ws_url", "database_url"} & names


def test_every_answer_carries_the_security_headers(rest: TestClient) -> None:
    for path in ("/", "/healthz", "/api/v1/status", "/nowhere"):
        headers = rest.get(path).headers
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"


def test_a_view_token_locks_reading(application: Any) -> None:
    environment = {"view_token": "look-only-token", "admin_token": "the-admin-token"}
    door = Doors(application, **environment)
    client = TestClient(door)
    assert client.get("/healthz").status_code == 200
    for path in ("/", "/api/v1/status", "/api/openapi.json", "/static/style.css"):
        answer = client.get(path)
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"].startswith("Basic")
    for token in environment.values():
        assert client.get("/api/v1/leaders", headers={"Authorization": f"Bearer {token}"}).status_code == 200
    basic = base64.b64encode(b"me:look-only-token").decode()
    assert client.get("/api/v1/leaders", headers={"Authorization": f"Basic {basic}"}).status_code == 200
    for wrong in ("Bearer nope", "Bearer ", "Basic !!!", "look-only-token"):
        assert client.get("/api/v1/leaders", headers={"Authorization": wrong}).status_code == 401


def test_the_whole_schema_holds_for_any_input(application: Any) -> None:
    schema = schemathesis.openapi.from_asgi("/api/openapi.json", application)
    seen: list[str] = []
    for operation in schema.get_all_operations():
        _exercise(operation.ok(), seen)  # type: ignore[union-attr]
    assert len(set(seen)) >= 11


def _exercise(operation: Any, seen: list[str]) -> None:
    @settings(max_examples=15, deadline=None)
    @given(case=operation.as_strategy())
    def check(case: Any) -> None:
        answer = case.call()
        assert answer.status_code in (200, 404, 422), (case.path, answer.status_code, answer.text[:300])
        seen.append(case.path)

    check()
