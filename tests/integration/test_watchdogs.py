"""What hangs is noticed within seconds, named with where it stands, shown, told, and ended with an exit code of its
own; what looks alive is. Each part of a real process is frozen in turn."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from pilotfish.app.watchdog import STALL_SECONDS
from pilotfish.cli.session import clean_environment
from pilotfish.cli.stand import free_port
from pilotfish.core.exit_codes import ExitCode
from tests.conftest import PROJECT
from tests.integration.test_alerts import Inbox
from tests.rig import Pilot, Stand, until

pytestmark = pytest.mark.slow


@pytest.fixture
def inbox() -> Iterator[Inbox]:
    made = Inbox()
    yield made
    made.server.shutdown()
    made.server.server_close()


class Frozen:
    """A process of which one part hangs."""

    def __init__(self, folder: Path, part: str, **env: str) -> None:
        self.folder = folder
        self.log = folder / "frozen.log"
        self.port = free_port()
        own = {"DATABASE_URL": f"sqlite:///{folder / 'x.db'}", "WEB_PORT": str(self.port), "POLL_INTERVAL_MS": "300"}
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tests.frozen", part], cwd=PROJECT, stderr=log,
                env={**clean_environment(), "PYTHONPATH": os.pathsep.join(sys.path), **own, **env},
            )  # fmt: skip

    def logged(self, event: str) -> list[dict[str, Any]]:
        """Log lines that say this."""
        lines = [json.loads(line) for line in self.log.read_text().splitlines() if line.startswith("{")]
        return [line for line in lines if line.get("event") == event]

    def ended(self) -> int:
        """Wait for its end; gives the exit code."""
        return self.process.wait(90)

    def last_state(self) -> dict[str, Any]:
        """How the worker says that it ended."""
        with sqlite3.connect(self.folder / "x.db") as c:
            state = json.loads(c.execute("SELECT data FROM worker_status WHERE name='worker'").fetchone()[0])
            return dict(state["ended"] or {})


@contextmanager
def frozen(folder: Path, part: str, **env: str) -> Iterator[Frozen]:
    stand = Stand(folder, "--scenario", "quiet")
    made = Frozen(folder, part, **stand.urls, **env)
    try:
        yield made
    finally:
        made.process.kill()
        made.process.wait(60)
        stand.close()


def test_a_loop_that_hangs_is_named_with_its_stack_told_by_alert_and_ends_the_worker(
    tmp_path: Path, inbox: Inbox
) -> None:
    with frozen(tmp_path, "loop", ALERT_URLS=inbox.address) as worker:
        assert worker.ended() == ExitCode.STALLED
        (told,) = worker.logged("the worker hangs and ends itself")
        assert any("frozen_here" in call for call in told["calls"])
        assert told["told"].startswith("the event loop has not moved for")
        end = worker.last_state()
        assert (end["exit_code"], end["clean"]) == (ExitCode.STALLED, False)
        assert "the event loop has not moved" in end["cause"]
        until("the alert came", lambda: [m for m in inbox.messages if "the event loop has not moved" in m])


def test_a_writer_that_hangs_ends_the_worker_by_name(tmp_path: Path, inbox: Inbox) -> None:
    with frozen(tmp_path, "writer", ALERT_URLS=inbox.address) as worker:
        assert worker.ended() == ExitCode.STALLED
        (told,) = worker.logged("the worker hangs and ends itself")
        assert any("frozen_here" in call for call in told["calls"])
        assert "the writer has not moved" in worker.last_state()["cause"]
        until("the alert came", lambda: [m for m in inbox.messages if "the writer has not moved" in m])


def test_a_loop_of_ours_that_hangs_ends_the_worker_by_name_and_where_it_waits(tmp_path: Path, inbox: Inbox) -> None:
    with frozen(tmp_path, "part", ALERT_URLS=inbox.address) as worker:
        assert worker.ended() == ExitCode.STALLED
        (told,) = worker.logged("a part of the worker does not move")
        assert told["part"] == "a-loop-of-ours"
        assert any("stand_still" in call for call in told["calls"])
        assert "a-loop-of-ours: StalledError" in worker.last_state()["cause"]
        until("the alert came", lambda: [m for m in inbox.messages if "a-loop-of-ours" in m])


def test_a_feed_that_hangs_is_logged_with_its_stack_and_shown_everywhere(tmp_path: Path) -> None:
    with frozen(tmp_path, "feed") as worker:
        until("it is noticed", lambda: worker.logged("a part of the worker does not move"))
        (told,) = worker.logged("a part of the worker does not move")
        assert told["part"] == "a-feed"
        assert any("never" in call for call in told["calls"])
        pilot = Pilot(tmp_path, {}, database_url=f"sqlite:///{tmp_path / 'x.db'}")
        try:
            address = pilot.start_web()
            until("it is not ready", lambda: "a-feed has not moved" in get(f"{address}/readyz")[1])
            assert get(f"{address}/readyz")[0] == 503
            for page in ("/", "/leaders", "/trades", "/orders", "/positions", "/latency", "/portfolios", "/settings"):
                assert "<b>A part of the worker hangs:</b> a-feed." in get(f"{address}{page}")[1], page
            assert "a-feed has not moved" in pilot.cli("status", "--json", code=1)
        finally:
            pilot.close()


def get(url: str) -> tuple[int, str]:
    """Status and text of an answer."""
    try:
        with urllib.request.urlopen(url, timeout=20) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as problem:
        return problem.code, problem.read().decode()


def test_an_interpreter_that_is_kept_is_ended_all_the_same(tmp_path: Path) -> None:
    with frozen(tmp_path, "interpreter") as worker:
        assert worker.ended() not in (ExitCode.OK, None)
        assert "most recent call first" in worker.log.read_text()
        assert "in freeze" in worker.log.read_text()


def test_a_dashboard_whose_loop_hangs_ends_itself_with_its_stack(tmp_path: Path) -> None:
    with frozen(tmp_path, "pages") as pages:
        assert pages.ended() == ExitCode.STALLED
        (told,) = pages.logged("the dashboard hangs and ends itself")
        assert any("frozen_here" in call for call in told["calls"])


def test_a_dashboard_that_cannot_read_any_more_says_so_in_its_probe(tmp_path: Path) -> None:
    with frozen(tmp_path, "reader") as pages:
        address = f"http://127.0.0.1:{pages.port}"
        until("it serves", lambda: _serves(f"{address}/healthz"))
        assert urllib.request.urlopen(f"{address}/static/icon.svg", timeout=20).status == 200
        threading.Thread(target=_look, args=(f"{address}/",), daemon=True).start()
        until("the probe says so", lambda: get(f"{address}/healthz")[0] == 503)
        assert "has not answered for" in get(f"{address}/healthz")[1]
        assert pages.process.poll() is None, "starting anew would not help"


def _look(url: str) -> None:
    """Somebody looks at a page, which sets the reader going; it need not come."""
    with contextlib.suppress(OSError):
        get(url)


def _serves(url: str) -> bool:
    try:
        return get(url)[0] == 200
    except OSError:
        return False


def test_a_dashboard_that_does_not_answer_is_ended_and_started_again_beside_a_worker_that_goes_on(
    tmp_path: Path,
) -> None:
    stand = Stand(tmp_path, "--scenario", "quiet")
    port = free_port()
    env = {
        **clean_environment(), **stand.urls, "DATABASE_URL": f"sqlite:///{tmp_path / 'x.db'}", "WEB_PORT": str(port),
        "LOG_FORMAT": "json", "PYTHONPATH": os.pathsep.join(sys.path),
    }  # fmt: skip
    log = tmp_path / "run.log"
    with log.open("w") as errors:
        run = subprocess.Popen([sys.executable, "-m", "pilotfish", "run"], env=env, stderr=errors, cwd=tmp_path)
    try:
        until("the worker has heard of it", lambda: "the dashboard answers" in log.read_text())
        (child,) = _children(run.pid)
        os.kill(child, signal.SIGSTOP)
        until("it is noticed", lambda: "the dashboard does not answer" in log.read_text())
        until(
            "another one serves", lambda: _children(run.pid) != [child] and _serves(f"http://127.0.0.1:{port}/healthz")
        )
        assert run.poll() is None
    finally:
        run.send_signal(signal.SIGINT)
        assert run.wait(60) == ExitCode.OK
        stand.close()


def _children(pid: int) -> list[int]:
    found = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(child) for child in found]


def test_a_worker_that_was_paused_for_longer_than_a_stall_goes_on(tmp_path: Path) -> None:
    stand = Stand(tmp_path, "--scenario", "quiet")
    pilot = Pilot(tmp_path, stand.urls)
    try:
        pilot.start()
        assert pilot.process is not None
        pilot.process.send_signal(signal.SIGSTOP)
        time.sleep(STALL_SECONDS + 3)  # being paused is the subject
        pilot.process.send_signal(signal.SIGCONT)
        until("it goes on", pilot.ready)
        token = stand.market()
        pilot.follow()
        stand.fill(token, "BUY", 100)
        pilot.fills(1)
        pilot.stop()
    finally:
        pilot.close()
        stand.close()
