"""Secrets in every setting that can hold one, and a search for them in everything that comes out."""

from __future__ import annotations

import io
import json
import sqlite3
import subprocess
import sys
import urllib.error
import urllib.request
import zipfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import pyarrow.parquet as pq
import pytest

from pilotfish.app import journal_format as form
from pilotfish.cli.session import clean_environment
from pilotfish.core.settings import ALL, Kind
from pilotfish.store import arrow, exports
from pilotfish.store.database import open_to_read, snapshot
from tests import processes
from tests.rig import WALLET, Pilot, rig, until

pytestmark = pytest.mark.slow
PLANTED = {
    name: f"planted-{name.replace('_', '-')}-Zq7x0"
    for name in (
        "admin_token", "view_token", "polygon_ws_url", "polygon_http_url", "alert_urls", "data_api_url",
        "gamma_api_url", "clob_http_url", "clob_market_ws_url", "database_url", "history_url",
    )
}  # fmt: skip

AS_ADMIN = {"Authorization": f"Bearer {PLANTED['admin_token']}"}


def found_in(text: str | bytes) -> set[str]:
    """Whose secrets are in it."""
    data = text.encode() if isinstance(text, str) else text
    return {name for name, secret in PLANTED.items() if secret.encode() in data}


def with_key(url: str, secret: str) -> str:
    """A URL that a key is part of, as its user."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=f"someone:{secret}@{parts.netloc}"))


def test_every_setting_that_can_hold_a_secret_is_planted() -> None:
    can = {s.name for s in ALL if s.kind is Kind.SECRET or s.name.endswith("_url")}
    assert can == set(PLANTED)


@pytest.fixture
def planted(tmp_path: Path) -> Iterator[tuple[Pilot, str]]:
    """A worker and its pages that have copied, met bad input and lost their sources, with secrets in every setting."""
    with rig(tmp_path) as (stand, _):
        urls = {
            name: with_key(url, PLANTED[name.lower()])
            for name, url in stand.urls.items()
            if name.lower() in PLANTED and url
        }
        urls["POLYGON_WS_URL"] = stand.urls["POLYGON_WS_URL"] + f"?key={PLANTED['polygon_ws_url']}"
        urls["POLYGON_HTTP_URL"] = stand.urls["POLYGON_HTTP_URL"] + f"?key={PLANTED['polygon_http_url']}"
        pilot = Pilot(
            tmp_path, urls, admin_token=PLANTED["admin_token"], view_token=PLANTED["view_token"], log_level="DEBUG",
            alert_after_sec=0, alert_on="health, copies, exits, bad_input",
        )  # fmt: skip
        try:
            token = stand.market()
            pilot.cli("settings", "set", "alert_urls", f"json://127.0.0.1:9/{PLANTED['alert_urls']}")
            pilot.start()
            pilot.follow()
            stand.fill(token, "BUY", 100)
            pilot.fills(1)
            address = pilot.start_web()
            stand.post("/rpc", action="raw", value="{")
            stand.post("/faults", service="data", mode="status")
            stand.post("/rpc", action="refuse", seconds=3)
            until("an alert could not be sent", lambda: pilot.status()["worker"]["alerts"]["failed"] > 0)
            until("Polygon was lost", lambda: pilot.status()["worker"]["polygon"]["reconnects"] > 0)
            yield pilot, address
        finally:
            pilot.close()


def fetched(address: str, path: str) -> bytes:
    """What a page or route answers to somebody who is signed in, errors included, with its headers."""
    request = urllib.request.Request(address + path, headers=AS_ADMIN)
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return bytes(answer.read()) + str(answer.headers).encode()
    except urllib.error.HTTPError as problem:
        return problem.read() + str(problem.headers).encode()


def test_secrets_are_in_nothing_that_comes_out(planted: tuple[Pilot, str], tmp_path: Path) -> None:
    pilot, address = planted
    with urllib.request.urlopen(
        urllib.request.Request(address + "/api/openapi.json", headers=AS_ADMIN), timeout=20
    ) as answer:
        shape = json.load(answer)
    routes = [path for path, methods in shape["paths"].items() if "get" in methods and "{" not in path]
    pages = ["/", "/leaders", f"/leaders/{WALLET}", "/trades", "/positions", "/latency", "/portfolios", "/settings",
             "/look-backs", "/parts/bad-inputs", "/parts/trade/1", "/metrics", "/readyz", "/healthz", "/api/docs",
             "/login", "/nowhere"]  # fmt: skip
    assert len(routes) > 12
    for path in (*pages, *routes):
        if path not in ("/api/v1/stream", "/api/v1/settings/secrets"):
            assert found_in(fetched(address, path)) == set(), path
    assert found_in(fetched(address, "/api/v1/settings/secrets")) <= {"alert_urls"}  # for whoever may change it

    for kind in exports.KINDS:
        for shape_ in ("json", "csv"):
            assert found_in(pilot.cli("export", kind, "--format", shape_)) == set(), kind
    commands = (
        ("status", "--json"), ("status",), ("settings", "list", "--json"), ("settings", "list", "--wide"),
        ("config", "export"), ("doctor", "--json"), ("doctor",), ("report",), ("latency",), ("verify", "--json"),
        *(("settings", "get", name, "--json") for name in PLANTED), *(("settings", "get", name) for name in PLANTED),
    )  # fmt: skip
    for words in commands:
        assert found_in(pilot.cli(*words, code=None)) == set(), words

    backup = tmp_path / "x.pilotfish"
    assert found_in(pilot.cli("backup", str(backup))) == set()
    with zipfile.ZipFile(backup) as whole:
        assert {name for part in whole.namelist() for name in found_in(whole.read(part))} == set()
    pilot.stop()
    assert form.folder_of is not None
    runs = form.runs(form.find_folder(tmp_path / "journal"))
    entries = [bytes(entry.event) for run in runs for entry in form.Reader(run)]
    assert entries
    assert set().union(*map(found_in, entries)) == set()
    for log in [*tmp_path.glob("run-*.log"), tmp_path / "web.log"]:
        assert found_in(log.read_bytes()) == set(), log
    with sqlite3.connect(tmp_path / "pilotfish.db") as c:
        assert found_in("\n".join(c.iterdump())) == {"alert_urls"}  # where it is kept
        c.execute("UPDATE settings SET value = '' WHERE name = 'alert_urls'")
        c.commit()
        assert found_in("\n".join(c.iterdump())) == set()


KEY = "AbcdefghPlantedKey"
"""A key of letters alone, which nothing but knowing it tells from a word."""


@pytest.mark.parametrize("form", ["{scheme}://{host}/v2/{key}", "{scheme}://{key}@{host}{path}",
                                  "{scheme}://someone:{key}@{host}{path}", "{scheme}://{host}{path}?apikey={key}&x=1",
                                  "{scheme}://{host}:notaport/{key}"])  # fmt: skip
def test_a_providers_key_is_nowhere_wherever_it_stands_in_the_url_and_whoever_repeats_it(
    tmp_path: Path, form: str
) -> None:
    with rig(tmp_path) as (stand, _):
        urls = dict(stand.urls)
        for name in ("POLYGON_WS_URL", "POLYGON_HTTP_URL"):
            parts = urlsplit(stand.urls[name])
            urls[name] = form.format(scheme=parts.scheme, host=parts.netloc, path=parts.path, key=KEY)
        pilot = Pilot(tmp_path, urls, admin_token="a-token-of-the-admin", log_level="DEBUG")
        try:
            pilot.start(ready=False)
            until("it runs", lambda: pilot.status()["running"])
            pilot.cli("leaders", "add", WALLET)
            stand.post("/rpc", action="raw", value=json.dumps({"error": f"the key {KEY} is over its limit"}))
            stand.post("/rpc", action="raw", value="{" + KEY)
            stand.post("/rpc", action="refuse", seconds=2)
            until("Polygon was lost", lambda: pilot.status()["worker"]["polygon"]["reconnects"] > 1)
            address = pilot.start_web()
            pages = ["/", "/latency", "/settings", "/parts/bad-inputs", "/metrics", "/readyz", "/api/v1/status",
                     "/api/v1/settings", "/api/v1/bad-inputs"]  # fmt: skip
            told = [fetched(address, path).decode() for path in pages]
            told += [pilot.cli(*words, code=None) for words in (("status", "--json"), ("doctor",), ("config", "export"),
                                                                ("settings", "list", "--json", "--wide"))]  # fmt: skip
            pilot.process.terminate() if pilot.process is not None else None
            assert pilot.process is not None
            pilot.process.wait(20)
            told += [path.read_text() for path in [*tmp_path.glob("run-*.log"), tmp_path / "web.log"]]
            with sqlite3.connect(tmp_path / "pilotfish.db") as c:
                told.append("\n".join(c.iterdump()))
            assert [text[max(0, text.find(KEY) - 200) :][:300] for text in told if KEY in text] == []
        finally:
            pilot.close()


def test_what_nobody_foresaw_and_what_libraries_log_has_no_secrets_either(tmp_path: Path) -> None:
    code = (
        "import logging, threading, sys\n"
        "from pilotfish.cli import session\n"
        "session.begin()\n"
        f"logging.getLogger('asyncio').error('never retrieved', exc_info=ValueError('wss://x/v2/{KEY}'))\n"
        f"thread = threading.Thread(target=lambda: int('{KEY}'))\n"
        "thread.start(); thread.join()\n"
        f"raise RuntimeError('the key {KEY} is wrong, and so is wss://host/{KEY}')\n"
    )
    env = {**clean_environment(), "POLYGON_WS_URL": f"wss://host/v2/{KEY}"}
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=env, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.count("Traceback") >= 2
    assert "RuntimeError" in done.stderr
    assert KEY not in done.stderr.replace(f"'{KEY}'", "")


def test_sql_and_parquet_have_no_secrets(planted: tuple[Pilot, str]) -> None:
    pilot, _ = planted
    assert found_in(pilot.cli("sql", "select * from information_schema.tables", "--format", "json")) == set()
    database = open_to_read(pilot.environment["DATABASE_URL"])
    assert database is not None
    with snapshot(database) as c:
        for kind in exports.KINDS:
            assert found_in(pilot.cli("sql", f'select * from "{kind}"', "--format", "json")) == set(), kind
            file = io.BytesIO()
            arrow.write_parquet(arrow.reader(c, kind), file)
            assert found_in(repr(pq.read_table(file).to_pylist())) == set(), kind
    database.dispose()
    for other in ("settings", "settings_audit", "worker_status"):
        assert found_in(pilot.cli("sql", f"select * from {other}", code=None)) == set(), other


@pytest.mark.parametrize(
    ("setting", "url", "words"),
    [
        ("DATABASE_URL", "postgresql://someone:{}@127.0.0.1:9/pilotfish", ("status",)),
        ("DATABASE_URL", "postgresql://someone:{}@127.0.0.1:9/pilotfish", ("run", "--no-web")),
        ("DATABASE_URL", "postgresql://someone:{}@127.0.0.1:9/pilotfish", ("backup", "x.pilotfish")),
        ("DATABASE_URL", "postgresql://someone@127.0.0.1:9/x?password={}", ("status",)),
        ("DATABASE_URL", "postgresql://someone@127.0.0.1:9/x?password={}", ("run", "--no-web")),
        ("DATABASE_URL", "mysql://someone:{}@127.0.0.1/x", ("leaders", "list")),
        ("HISTORY_URL", "s3://someone:{}@bucket/folder?endpoint_override=127.0.0.1:9", ("history", "list")),
        ("HISTORY_URL", "nothing://someone:{}@bucket/folder", ("sql", "select * from history_tape")),
    ],
)
def test_a_url_that_cannot_be_reached_is_told_without_its_secret(
    tmp_path: Path, setting: str, url: str, words: tuple[str, ...]
) -> None:
    env = {**clean_environment(), "DATABASE_URL": f"sqlite:///{tmp_path / 'x.db'}", "AWS_EC2_METADATA_DISABLED": "true"}
    done = processes.run(*words, cwd=tmp_path, env={**env, setting: url.format(PLANTED[setting.lower()])}, timeout=120)
    assert done.returncode != 0
    assert done.stderr
    assert found_in(done.stdout + done.stderr) == set()
