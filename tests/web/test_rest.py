"""REST reads what the exports read, behind the same doors as the pages."""

from __future__ import annotations

import base64
import csv
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from fastapi.testclient import TestClient
from hypothesis import given, settings
from schemathesis.specs.openapi.checks import response_schema_conformance
from sqlalchemy import Engine
from starlette.websockets import WebSocketDisconnect

from pilotfish.core.effects import RowEffect
from pilotfish.store import leaders_store, portfolios_store, worker_state
from pilotfish.store import tables as t
from pilotfish.store.batch import write
from pilotfish.store.mapping import Plain
from pilotfish.web import server
from pilotfish.web.auth import Doors
from pilotfish.web.reader import Reader
from pilotfish.web.sessions import Sessions
from pilotfish.web.site import Site
from tests.desk import LEADER, OTHER, START, TOKEN, Desk, api_fill
from tests.fresh import fresh_database

ADMIN = "the-admin-token"
LOCAL = "http://127.0.0.1:8080"
AS_ADMIN = {"Authorization": f"Bearer {ADMIN}"}


def filled(folder: Path) -> Engine:
    """A database with what an engine did in a few trades."""
    database = fresh_database(folder / "x.db")
    desk = Desk(holdings={})
    for n in range(1, 6):
        desk.buy(n, 100)
    desk.sell(9, 250)
    desk.api(api_fill(1, "BUY", 100, 0.5, traded_at=START))
    with database.begin() as c:
        write(c, [Plain("portfolios", {"name": "main", "bankroll_micro": 10**10, "created_at": START})])
        leaders_store.add(c, LEADER, "A leader", START, by="test")
        write(c, [e for e in desk.effects if isinstance(e, RowEffect)])
    return database


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    return filled(tmp_path_factory.mktemp("rest"))


@pytest.fixture(scope="module")
def application(database: Engine) -> Any:
    nowhere = dict.fromkeys(("data_api_url", "gamma_api_url"), "http://127.0.0.1:9")
    return server.build(database, {"admin_token": ADMIN, **nowhere})


def alone(database: Engine) -> Doors:
    """REST behind its doors, without pages."""
    site = Site(database, {"admin_token": ADMIN})
    return Doors(server.application(site, Reader(database)), site.sessions)


@pytest.fixture
def rest(application: Any) -> Iterator[TestClient]:
    with TestClient(application, base_url=LOCAL) as client:
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
    tokens = {"admin_token": ADMIN, "view_token": "look-only-token"}
    client = TestClient(Doors(application.app, Sessions(**tokens)), base_url="http://anywhere", follow_redirects=False)
    for path in ("/healthz", "/login", "/static/style.css"):
        assert client.get(path).status_code == 200, path
    for path in ("/", "/api/v1/status", "/api/openapi.json", "/api/docs", "/metrics", "/parts/trade/1"):
        answer = client.get(path)
        assert answer.status_code == 401, path
        assert answer.headers["www-authenticate"].startswith("Bearer")
    page = client.get("/trades", headers={"Accept": "text/html"})
    assert (page.status_code, page.headers["location"]) == (303, "/login?next=/trades")
    for token in tokens.values():
        assert client.get("/api/v1/leaders", headers={"Authorization": f"Bearer {token}"}).status_code == 200
    basic = base64.b64encode(b"me:look-only-token").decode()
    assert client.get("/api/v1/leaders", headers={"Authorization": f"Basic {basic}"}).status_code == 200
    for wrong in ("Bearer nope", "Bearer ", "Basic !!!", "look-only-token"):
        assert client.get("/api/v1/leaders", headers={"Authorization": wrong}).status_code == 401


def test_a_session_reads_and_writes_with_the_header_that_only_our_pages_send(application: Any) -> None:
    def door() -> TestClient:
        sessions = Sessions(admin_token=ADMIN, view_token="")
        return TestClient(Doors(application.app, sessions), base_url=LOCAL, follow_redirects=False)

    client = door()
    answer = client.post("/login", data={"token": ADMIN, "next": "/settings"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/settings")
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    change = {"poll_overlap_sec": 60}
    own = {"X-Pilotfish": "1"}
    assert client.patch("/api/v1/settings", json=change).status_code == 403, "without the header"
    forged = {**own, "Origin": "http://evil.example"}
    assert client.patch("/api/v1/settings", json=change, headers=forged).status_code == 403
    assert client.patch("/api/v1/settings", json=change, headers=own).status_code == 200
    assert client.patch("/api/v1/settings", json=change, headers={**own, "Origin": LOCAL}).status_code == 200
    assert client.post("/logout").status_code == 403
    assert client.post("/logout", headers=own).status_code == 204
    assert client.patch("/api/v1/settings", json=change, headers=own).status_code == 401
    for target in ("//evil.example", "https://evil.example", "/\\evil.example"):
        assert door().post("/login", data={"token": ADMIN, "next": target}).headers["location"] == "/"
    assert client.post("/login", data={"token": ADMIN}, headers={"Sec-Fetch-Site": "cross-site"}).status_code == 403
    stolen = Sessions(admin_token="another", view_token="").sign("admin")
    client.cookies.set("pilotfish_session", stolen)
    assert client.patch("/api/v1/settings", json=change, headers=own).status_code == 401


def test_who_guesses_tokens_has_to_wait_and_nothing_is_looked_at_meanwhile(application: Any) -> None:
    doors = Doors(application.app, Sessions(admin_token=ADMIN, view_token="look"), clock=lambda: 1_000.0)
    client = TestClient(doors, base_url=LOCAL)
    told = [client.get("/api/v1/status", headers={"Authorization": f"Bearer {n}"}).status_code for n in range(14)]
    assert told[:11] == [401] * 11
    assert told[11:] == [429] * 3
    answer = client.get("/api/v1/status", headers=AS_ADMIN)
    assert answer.status_code == 429
    assert 1 <= int(answer.headers["retry-after"]) <= 31
    assert client.post("/login", data={"token": ADMIN}).status_code == 429


def test_another_name_for_this_machine_is_refused_while_reading_needs_no_token(application: Any) -> None:
    sessions = Sessions(admin_token=ADMIN, view_token="")
    door = Doors(application.app, sessions, allowed_hosts=("desk.example",))
    for host, code in (("evil.example", 421), ("desk.example", 200), ("localhost:8080", 200), ("[::1]:8080", 200)):
        assert TestClient(door, base_url=f"http://{host}").get("/api/v1/leaders").status_code == code, host


def test_writes_need_the_admin_token(rest: TestClient) -> None:
    calls: list[tuple[str, str, Any]] = [
        ("PATCH", "/api/v1/settings", {"fixed_usdc": 1}),
        ("POST", "/api/v1/leaders", {"wallet": OTHER}),
        ("DELETE", f"/api/v1/leaders/{LEADER}", None),
        ("POST", "/api/v1/admin/reset", {}),
    ]
    for method, path, body in calls:
        for headers in ({}, {"Authorization": "Bearer guess"}, {"Authorization": f"Bearer {ADMIN}x"}):
            answer = rest.request(method, path, json=body, headers=headers)
            assert answer.status_code == 401, (method, path)
            assert answer.headers["content-type"] == "application/problem+json"
    assert len(rest.get("/api/v1/leaders").json()) == 1
    assert len(rest.get("/api/v1/fills").json()["data"]) > 0


def test_settings_change_all_or_none_and_null_takes_a_change_back(rest: TestClient) -> None:
    def fixed() -> dict[str, Any]:
        return next(s for s in rest.get("/api/v1/settings").json() if s["name"] == "fixed_usdc")

    wrong = rest.patch("/api/v1/settings", json={"fixed_usdc": 40, "trigger_mode": "maybe"}, headers=AS_ADMIN)
    assert wrong.status_code == 400
    assert "expected one of api, polygon, both" in wrong.json()["detail"]
    assert fixed()["source"] == "default"
    right = rest.patch("/api/v1/settings", json={"fixed_usdc": 40.5, "strict_both": True}, headers=AS_ADMIN)
    assert {s["name"]: s["value"] for s in right.json()} == {"fixed_usdc": 40.5, "strict_both": True}
    assert (fixed()["value"], fixed()["source"]) == (40.5, "dashboard")
    rest.patch("/api/v1/settings", json={"fixed_usdc": None, "strict_both": None}, headers=AS_ADMIN)
    assert (fixed()["value"], fixed()["source"]) == (25, "default")


def test_a_leaders_value_holds_in_every_portfolio_and_is_not_one_portfolios(tmp_path: Path) -> None:
    database = filled(tmp_path)
    with database.begin() as c:
        portfolios_store.add(c, "second", {}, at=1, by="test")

    def fixed(**where: str) -> tuple[Any, Any]:
        rows = client.get("/api/v1/settings", params=where).json()
        return next((row["value"], row["source"]) for row in rows if row["name"] == "fixed_usdc")

    with TestClient(alone(database), base_url=LOCAL) as client:
        both = {"portfolio": "second", "leader": LEADER}
        refused = client.patch("/api/v1/settings", params=both, json={"fixed_usdc": 7}, headers=AS_ADMIN)
        assert (refused.status_code, refused.json()["detail"]) == (400, "portfolio or leader, not both")
        client.patch("/api/v1/settings", params={"portfolio": "second"}, json={"fixed_usdc": 9}, headers=AS_ADMIN)
        assert fixed(**both) == (9, "portfolio")
        client.patch("/api/v1/settings", params={"leader": LEADER}, json={"fixed_usdc": 8}, headers=AS_ADMIN)
        for portfolio in ("main", "second"):
            assert fixed(portfolio=portfolio, leader=LEADER) == (8, "leader")
        assert fixed(portfolio="second") == (9, "portfolio")
    database.dispose()


def test_leaders_come_and_go(rest: TestClient) -> None:
    added = rest.post("/api/v1/leaders", json={"wallet": OTHER.upper().replace("0X", "0x")}, headers=AS_ADMIN)
    assert (added.status_code, added.json()) == (201, {"wallet": OTHER, "result": "added"})
    assert rest.post("/api/v1/leaders", json={"wallet": "0x12"}, headers=AS_ADMIN).status_code == 400
    assert rest.delete(f"/api/v1/leaders/{OTHER}", headers=AS_ADMIN).status_code == 200
    assert rest.delete(f"/api/v1/leaders/{OTHER}", headers=AS_ADMIN).status_code == 400
    assert [row["wallet"] for row in rest.get("/api/v1/leaders").json()] == [LEADER]


@pytest.mark.slow
def test_the_whole_schema_holds_for_any_input(application: Any) -> None:
    door = Doors(application.app, Sessions(admin_token=ADMIN, view_token=""), allowed_hosts=("testserver",))
    schema = schemathesis.openapi.from_asgi("/api/openapi.json", door)
    seen: list[str] = []
    with TestClient(door) as client:
        for operation in schema.get_all_operations():
            _exercise(operation.ok(), seen, client)  # type: ignore[union-attr]
    assert set(seen) == set(application.app.openapi()["paths"]), "every route was asked"


def _exercise(operation: Any, seen: list[str], client: TestClient) -> None:
    @settings(max_examples=15, deadline=None)
    @given(case=operation.as_strategy())
    def check(case: Any) -> None:
        if case.path.endswith("/stream"):
            case.query = {**(case.query or {}), "seconds": 0}
        answer = case.call(headers=AS_ADMIN, session=client)
        assert answer.status_code in (200, 201, 400, 404, 422), (case.path, answer.status_code, answer.text[:300])
        if answer.status_code < 300:
            case.validate_response(answer, checks=[response_schema_conformance])
        seen.append(case.path)

    check()


HOSTILE = ('=cmd|"/c calc"!A0', "+1+1", "-2+3", "@SUM(A1)", "\t=1", "<script>alert(1)</script>", 'a"b,c\nd')


def test_a_spreadsheet_takes_nothing_in_a_csv_for_a_formula_and_json_stays_as_it_is(tmp_path: Path) -> None:
    database = filled(tmp_path)
    with database.begin() as c:
        for number, title in enumerate(HOSTILE, start=1):
            c.execute(t.trades.update().where(t.trades.c.id == number).values(title=title))
        c.execute(t.leaders.update().values(label="=HYPERLINK(1)"))
    with TestClient(alone(database), base_url=LOCAL) as client:
        trades = list(csv.DictReader(io.StringIO(client.get("/api/v1/export/trades.csv").text, newline="")))
        assert len(trades) == 6
        for row, title in zip(trades, HOSTILE, strict=False):
            assert row["title"].removeprefix("'") == title
            assert row["title"][0] not in "=+-@\t\r\n"
        for row in csv.DictReader(io.StringIO(client.get("/api/v1/export/report.csv").text, newline="")):
            assert row["label"] == "'=HYPERLINK(1)"
        assert [r["title"] for r in client.get("/api/v1/export/trades.json").json()] == list(HOSTILE[:6])
        for path in ("/parts/trade/6", "/api/docs"):
            assert "<script>alert" not in client.get(path).text
    database.dispose()


def test_exports_of_one_portfolio_or_leader(rest: TestClient) -> None:
    everything = rest.get("/api/v1/export/decisions.json").json()
    assert rest.get("/api/v1/export/decisions.json", params={"portfolio": "main"}).json() == everything
    for unknown in ({"portfolio": "another"}, {"leader": "0x" + "99" * 20}):
        assert rest.get("/api/v1/export/decisions.json", params=unknown).status_code == 422
    assert len(rest.get("/api/v1/export/trades.json", params={"leader": LEADER.upper()}).json()) == 6


def test_beside_the_pages_an_unknown_path_of_rest_is_a_problem(rest: TestClient) -> None:
    for method in ("GET", "POST", "DELETE"):
        answer = rest.request(method, "/api/v1/nosuch", headers={**AS_ADMIN, "Accept": "text/html"})
        assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")
        assert "/api/v1/nosuch" in answer.json()["detail"]
    assert rest.post("/api/v1/trades", headers=AS_ADMIN).status_code == 405


def test_secrets_are_in_no_answer_and_not_in_the_audit_trail(rest: TestClient) -> None:
    address = "ntfys://my-very-secret-topic"
    answer = rest.patch("/api/v1/settings", json={"alert_urls": address}, headers=AS_ADMIN)
    assert answer.json()[0]["value"] == "[set]"
    nonsense = rest.patch("/api/v1/settings", json={"alert_urls": "what://ever"}, headers=AS_ADMIN)
    assert nonsense.status_code == 400
    assert "entry 1 (what) is not an Apprise address" in nonsense.json()["detail"]
    assert rest.patch("/api/v1/settings", json={"alert_on": "weather"}, headers=AS_ADMIN).status_code == 400
    for path in ("/api/v1/settings", "/api/v1/settings/audit", "/settings", "/metrics", "/api/v1/status"):
        assert "my-very-secret-topic" not in rest.get(path).text, path
    assert rest.get("/api/v1/settings/secrets", headers=AS_ADMIN).status_code == 200
    assert rest.get("/api/v1/settings/audit").json()[0]["new"] == "[set]"
    assert rest.patch("/api/v1/settings", json={"alert_urls": None}, headers=AS_ADMIN).status_code == 200
    assert rest.post("/api/v1/alerts/test", headers=AS_ADMIN).status_code == 400


def test_a_reset_without_a_worker_is_done_at_once(tmp_path: Path) -> None:
    database = filled(tmp_path)
    with TestClient(alone(database), base_url=LOCAL) as client:
        assert client.post("/api/v1/admin/reset", json={"portfolio": "nobody"}, headers=AS_ADMIN).status_code == 400
        assert len(client.get("/api/v1/fills").json()["data"]) == 6
        answer = client.post("/api/v1/admin/reset", json={"portfolio": "main"}, headers=AS_ADMIN)
        assert answer.json() == {"command": None, "status": "done"}
        assert client.get("/api/v1/fills").json()["data"] == []
        assert client.get("/api/v1/positions", params={"open_only": False}).json() == []
        assert client.get("/api/v1/portfolios").json()[0]["cash_micro"] == 10**10
        assert len(client.get("/api/v1/trades").json()["data"]) == 6
        assert all(line["fills"] == 0 for line in client.get("/api/v1/report").json())
    database.dispose()


def test_probes_tell_machines_what_is_wrong(rest: TestClient, database: Engine) -> None:
    assert rest.get("/healthz").json()["status"] == "ok"
    ready = rest.get("/readyz")
    assert (ready.status_code, ready.json()["why"]) == (503, ["no worker has run yet"])
    metrics = rest.get("/metrics").text
    assert "pilotfish_worker_up 0.0" in metrics
    assert 'pilotfish_decisions_total{action="copy"' in metrics
    healthy = {"healthy": True, "detail": "", "logs": 1, "reconnects": 0, "requests": 1, "errors": 0, "commits": 1,
               "backlog": 0}  # fmt: skip
    worker: dict[str, Any] = {name: dict(healthy) for name in ("api", "polygon", "books", "database")}
    worker |= {"mode": {"effectiveTriggerMode": "both"}, "counts": {}}
    for ill, mode, why in (
        ((), "both", []),
        (("polygon",), "both", []),
        (("polygon",), "polygon", ["Polygon"]),
        (("api",), "api", ["the Data API"]),
        (("api", "polygon"), "both", ["the Data API"]),
        (("database",), "both", ["the database"]),
    ):
        state = {**worker, "mode": {"effectiveTriggerMode": mode}, **{n: {**healthy, "healthy": False} for n in ill}}
        told = worker_state.not_ready(worker_state.of(state), 0.1)
        assert [x.partition(":")[0] for x in told] == why, (ill, mode)
    assert worker_state.not_ready(worker_state.of(worker), 60.0) == ["the worker said nothing for 60 s"]


def test_a_password_that_a_browser_sends_by_itself_needs_the_header_of_our_pages_too(application: Any) -> None:
    client = TestClient(Doors(application.app, Sessions(admin_token=ADMIN, view_token="")), base_url=LOCAL)
    basic = {"Authorization": "Basic " + base64.b64encode(f"me:{ADMIN}".encode()).decode()}
    change = {"poll_overlap_sec": 60}
    assert client.patch("/api/v1/settings", json=change, headers=basic).status_code == 403
    assert client.patch("/api/v1/settings", json=change, headers={**basic, "X-Pilotfish": "1"}).status_code == 200


def test_a_page_of_another_site_opens_no_socket(application: Any) -> None:
    door = Doors(application.app, Sessions(admin_token=ADMIN, view_token=""), allowed_hosts=("desk.example",))
    client = TestClient(door, base_url=LOCAL)
    path = "/_nicegui_ws/socket.io/?EIO=4&transport=websocket"
    with (
        pytest.raises(WebSocketDisconnect) as refused,
        client.websocket_connect(path, headers={"Host": "127.0.0.1:8080", "Origin": "http://evil.example"}),
    ):
        pass
    assert refused.value.code == 4401
