"""Alerts reach an address of Apprise over a real socket, and what goes wrong with them is nobody's trouble."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from tests.rig import rig, until

pytestmark = pytest.mark.slow
HOSTILE = "<b>Will @everyone win?</b>\nreally"


class Inbox:
    """An HTTP server that keeps what is posted to it."""

    def __init__(self) -> None:
        self.messages: list[str] = []
        self.status = 200
        inbox = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                inbox.messages.append(body["message"])
                self.send_response(inbox.status)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"json://127.0.0.1:{self.server.server_port}/alerts"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def lines(self) -> list[str]:
        return [line for message in self.messages for line in message.splitlines()]


@pytest.fixture
def inbox() -> Iterator[Inbox]:
    made = Inbox()
    yield made
    made.server.shutdown()
    made.server.server_close()


def test_alerts_tell_of_copies_exits_results_bad_input_and_health(tmp_path: Path, inbox: Inbox) -> None:
    with rig(tmp_path, alert_after_sec=0, market_refresh_sec=1) as (stand, pilot):
        token = stand.market(question=HOSTILE)
        pilot.start()
        pilot.follow()
        pilot.cli("settings", "set", "alert_on", "health, copies, exits, results, bad_input")
        pilot.cli("settings", "set", "alert_urls", inbox.address)
        until("they are on", lambda: pilot.status()["worker"]["alerts"]["on"])
        stand.fill(token, "BUY", 100)
        until("the copy is told", lambda: any("bought 50" in line for line in inbox.lines()))
        copied = next(line for line in inbox.lines() if "bought" in line)
        assert copied.startswith(
            "main: bought 50.00 of <b>Will @\u200beveryone win?</b> really / Yes at 0.50 (25.00 USDC)"
        )
        stand.fill(token, "SELL", 40, 0.49)
        until("the exit is told", lambda: any("sold 20" in line for line in inbox.lines()))
        stand.post("/resolve", token_id=token, payouts=[1, 0])
        until("the result is told", lambda: any("paid 30.00 USDC" in line for line in inbox.lines()))
        stand.post("/rpc", action="raw", value="{")
        until("bad input is told", lambda: any("could not be used" in line for line in inbox.lines()))
        stand.post("/rpc", action="refuse", seconds=3)
        until("Polygon is down", lambda: any("Polygon is down" in line for line in inbox.lines()))
        until("Polygon is back", lambda: any("Polygon is back" in line for line in inbox.lines()))
        assert pilot.status()["worker"]["alerts"]["failed"] == 0


def test_a_worker_that_was_killed_is_told_of_by_the_dashboard_and_so_is_its_return(
    tmp_path: Path, inbox: Inbox
) -> None:
    with rig(tmp_path, alert_urls=inbox.address, alert_on="health", alert_after_sec=0) as (_, pilot):
        pilot.start()
        pilot.start_web()
        pilot.kill()
        until("its silence is told", lambda: any("has said nothing" in line for line in inbox.lines()))
        pilot.start()
        until("its return is told", lambda: any("the worker is back" in line for line in inbox.lines()))
        assert sum("has said nothing" in line for line in inbox.lines()) == 1
        pilot.stop()  # asked to: nothing to tell of


def test_an_address_that_refuses_is_shown_and_copying_goes_on(tmp_path: Path, inbox: Inbox) -> None:
    inbox.status = 500
    with rig(tmp_path, alert_urls=inbox.address, alert_on="copies") as (stand, pilot):
        token = stand.market()
        pilot.start()
        pilot.follow()
        stand.fill(token, "BUY", 100)
        pilot.fills(1)
        until("it was tried three times", lambda: len(inbox.messages) == 3)
        until("it is shown", lambda: pilot.status()["worker"]["alerts"]["failed"] == 1)
        told = pilot.status()["worker"]["alerts"]
        assert "refused" in told["error"]
        stand.fill(token, "BUY", 100)
        pilot.fills(2)
        assert inbox.address not in pilot.log.read_text()


def test_an_address_that_is_none_is_refused_by_name_and_never_shown(tmp_path: Path) -> None:
    with rig(tmp_path) as (_, pilot):
        pilot.cli("settings", "set", "alert_urls", "ntfys://secret-topic-name, tgram://nope", code=1)
        pilot.cli("settings", "set", "alert_on", "health, weather", code=1)
        pilot.cli("settings", "set", "alert_urls", "ntfys://secret-topic-name")
        listed = pilot.cli("settings", "list", "--json")
        assert "secret-topic-name" not in listed
        address = pilot.start_web()
        import urllib.request

        for path in ("/api/v1/settings", "/api/v1/settings/audit", "/settings"):
            with urllib.request.urlopen(address + path, timeout=10) as answer:
                assert "secret-topic-name" not in answer.read().decode(), path
