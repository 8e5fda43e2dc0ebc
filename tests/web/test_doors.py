"""The doors: whatever a caller says about itself, it is counted by where it is, and rubbish is refused as such."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient

from pilotfish.web.auth import HEADERS, Doors
from pilotfish.web.hosts import authority_of, name_of
from pilotfish.web.sessions import Sessions
from tests.web.test_refusals import refused
from tests.web.test_rest import ADMIN, LOCAL, alone, filled

VIEW = "look-only-token"
OWN = {"X-Pilotfish": "1"}
NO_HOSTS = (
    "[", "[::1", "[zz]", "]", "[]", "[1]", "a b", "evil.example@127.0.0.1", "127.0.0.1#evil.example", "127.0.0.1/x",
    "127.0.0.1?x", "evil.example\\@127.0.0.1", "127.0.0.1:99999", "127.0.0.1:x", "127.0.0.1:" + "9" * 5_000, "::1",
    "127.0.0.1,evil.example", "http://127.0.0.1", "\xff\xfe", "127.0.0.1:\xb2", "%", "[::1]x", "[fe80::1%25]]",
)  # fmt: skip


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    database = filled(tmp_path_factory.mktemp("doors"))
    door = alone(database)
    with TestClient(door, base_url=LOCAL):
        yield door.app
    database.dispose()


def client(app: Any, at: str = "127.0.0.1", *, view: str = VIEW, **doors: Any) -> TestClient:
    """A caller at an address, at doors for which no time goes by."""
    door = Doors(app, Sessions(admin_token=ADMIN, view_token=view), **doors, clock=lambda: 1_000.0)
    return at_door(door, at)


def at_door(door: Doors, at: str) -> TestClient:
    """Another caller at the same doors."""
    return TestClient(door, base_url=LOCAL, client=(at, 4_000), raise_server_exceptions=False, follow_redirects=False)


def guesses(caller: TestClient, many: int, **more: str) -> list[int]:
    """What wrong tokens are answered, each with another ``X-Forwarded-For``."""
    asked = []
    for n in range(many):
        headers = {"Authorization": f"Bearer wrong{n}", "X-Forwarded-For": f"10.9.{n // 250}.{n % 250}", **more}
        asked.append(caller.get("/api/v1/status", headers=headers).status_code)
    return asked


@pytest.mark.parametrize("at", ["127.0.0.1", "::1", "192.0.2.7"])
def test_a_callers_own_header_gets_it_no_further_wrong_tokens(app: Any, at: str) -> None:
    caller = client(app, at)
    assert guesses(caller, 40) == [401] * 11 + [429] * 29
    signing = client(app, at)
    told = [
        signing.post("/login", data={"token": "x"}, headers={"X-Forwarded-For": f"10.9.8.{n}"}).status_code
        for n in range(14)
    ]
    assert told == [401] * 11 + [429] * 3


def test_behind_a_proxy_that_is_named_each_caller_is_counted_and_the_header_it_sends_counts_for_nothing(
    app: Any,
) -> None:
    caller = client(app, "10.0.0.1", proxies=("10.0.0.0/30",))
    door: Any = caller.app
    status, right = "/api/v1/status", f"Bearer {VIEW}"
    for n in range(14):
        said = {"X-Forwarded-For": f"172.16.0.{n}, 203.0.113.5", "Authorization": f"Bearer wrong{n}"}
        assert caller.get(status, headers=said).status_code == (401 if n < 11 else 429), n
    other = {"X-Forwarded-For": "203.0.113.6", "Authorization": right}
    assert caller.get(status, headers=other).status_code == 200
    same = {"X-Forwarded-For": "203.0.113.5", "Authorization": right}
    assert caller.get(status, headers=same).status_code == 429
    elsewhere = at_door(door, "192.0.2.7")
    assert guesses(elsewhere, 14) == [401] * 11 + [429] * 3


def test_a_proxy_that_passes_on_whatever_it_is_told_still_slows_wrong_tokens(app: Any) -> None:
    caller = client(app, "10.0.0.1", proxies=("10.0.0.1",))
    known = {"X-Forwarded-For": "203.0.113.5", "Authorization": f"Bearer {VIEW}"}
    assert caller.get("/api/v1/status", headers=known).status_code == 200
    assert guesses(caller, 300) == [401] * 100 + [429] * 200
    assert caller.get("/api/v1/status", headers=known).status_code == 200


@pytest.mark.parametrize(
    ("proxies", "forwarded", "secure"),
    [((), "", False), ((), "http", False), ((), "https", True), (("127.0.0.1",), "https", True), ((), "[", False)],
)
def test_a_session_that_began_with_tls_is_sent_with_tls_alone(
    app: Any, proxies: tuple[str, ...], forwarded: str, secure: bool
) -> None:
    said = {"X-Forwarded-Proto": forwarded} if forwarded else {}
    answer = client(app, proxies=proxies).post("/login", data={"token": ADMIN}, headers=said)
    assert answer.status_code == 303
    assert ("; secure" in answer.headers["set-cookie"].lower()) is secure
    led = client(app, view="", proxies=proxies).get("/trades/", headers=said).headers["location"]
    assert led == f"{'https' if secure and proxies else 'http'}://127.0.0.1:8080/trades"


@pytest.mark.parametrize("view", [VIEW, ""])
@pytest.mark.parametrize("host", NO_HOSTS)
def test_a_host_that_is_none_is_refused_as_a_problem_with_all_headers(app: Any, host: str, view: str) -> None:
    caller = client(app, view=view)
    for method, path in (("GET", "/api/v1/status"), ("GET", "/"), ("POST", "/login"), ("GET", "/static/style.css")):
        sent: Any = [(b"host", host.encode("latin-1")), (b"accept", b"text/html")]
        answer = caller.request(method, path, headers=sent)
        assert "Host" in refused(answer, 400)
        for name, value in HEADERS.items():
            assert answer.headers[name] == value


def test_two_hosts_are_refused(app: Any) -> None:
    two: Any = [(b"host", b"127.0.0.1"), (b"host", b"evil.example")]
    refused(client(app, view="").get("/api/v1/status", headers=two), 400)


@pytest.mark.parametrize("origin", ["http://[", "http://[zz]/", "//[", "[", "null", "", "http://", "\xff", "x" * 9_000])
def test_an_origin_that_is_none_is_another_sites(app: Any, origin: str) -> None:
    caller = client(app, view="")
    assert caller.post("/login", data={"token": ADMIN}).status_code == 303
    sent: Any = {"Origin": origin.encode("latin-1"), **OWN}
    assert "header" in refused(caller.patch("/api/v1/settings", json={}, headers=sent), 403)
    assert caller.post("/logout", headers=sent).status_code == 403
    sent["Origin"] = LOCAL
    assert caller.post("/logout", headers=sent).status_code == 204


@pytest.mark.parametrize(
    "given", [b"\xff\xfe", b"\xd9\xa1", b"eDp4\xe9", b"eDr//w==", b"!", b"", b"====", b"e" * 9_001]
)
def test_a_password_that_cannot_be_read_is_no_token(app: Any, given: bytes) -> None:
    for kind in (b"Basic ", b"bearer ", b""):
        sent: Any = {"Authorization": kind + given}
        answer = client(app).get("/api/v1/status", headers=sent)
        assert "token" in refused(answer, 401)
        assert answer.headers["x-frame-options"] == "DENY"


@pytest.mark.parametrize(
    "name",
    ["Cookie", "If-None-Match", "If-Modified-Since", "If-Range", "Range", "Accept", "Accept-Encoding", "Last-Event-ID",
     "X-Forwarded-For", "X-Forwarded-Proto", "Sec-Fetch-Site", "X-Live", "Content-Type", "Referer"],
)  # fmt: skip
def test_no_rubbish_in_a_header_is_an_error_of_the_program(app: Any, name: str) -> None:
    caller = client(app, view="", proxies=("127.0.0.1",))
    auth = ("Authorization", f"Basic {base64.b64encode(f'me:{ADMIN}'.encode()).decode()}")
    rubbish = (b"[", b"http://[", b"\xff\xfe", b"%", b"9" * 5_000, b"-1", b"NaN", b"\xd9\xa1", b",", b";=", b'"', b"{",
               b'{"a":"\\ud800"}', b"bytes=9-1,,", b"bytes=" + b"9" * 5_000 + b"-", b"[::1]:" + b"9" * 5_000,
               b"pilotfish_session=[", b"pilotfish_session=.", b"pilotfish_session=\xff.\xff.\xff",
               b"multipart/form-data; boundary=\xff", b"application/json; charset=[")  # fmt: skip
    for value in rubbish:
        for method, path in (("GET", "/static/style.css"), ("GET", "/api/v1/trades"), ("POST", "/login"),
                             ("PATCH", "/api/v1/settings"), ("GET", "/api/v1/export/trades.csv")):  # fmt: skip
            sent: Any = {name: value, auth[0]: auth[1], **OWN}
            answer = caller.request(method, path, headers=sent, content=b"{}")
            assert answer.status_code < 500, (name, value, path)
            assert answer.headers["x-frame-options"] == "DENY"


def test_names_are_read_as_browsers_write_them() -> None:
    for written, name in (
        ("localhost", "localhost"), ("LOCALHOST:8080", "localhost"), ("127.0.0.1:", "127.0.0.1"), ("[::1]:80", "::1"),
        ("[fe80::1%25eth0]:80", "fe80::1%25eth0"), ("my_box.lan:65535", "my_box.lan"), ("", ""),
    ):  # fmt: skip
        assert name_of(written) == name, written
    assert authority_of("https://desk.example:8443") == "desk.example:8443"
    assert authority_of("null") == ""
