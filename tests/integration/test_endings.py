"""A worker is never alive and dead at once: whatever ends it is named in its exit code, in the database, in `status`
and in an alert; what was taken in before is stored."""

from __future__ import annotations

import asyncio
import json
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from pilotfish.app import dashboard
from pilotfish.app.config import environment
from pilotfish.app.runtime import Worker
from pilotfish.cli.session import clean_environment
from pilotfish.core import events as ev
from pilotfish.core.exit_codes import ExitCode, WorkerDiedError
from pilotfish.core.trade import Source
from pilotfish.store.database import open_database
from tests import processes
from tests.integration.test_alerts import Inbox
from tests.rig import PATIENCE, Pilot, Stand, rig, until

pytestmark = pytest.mark.slow


@pytest.fixture
def inbox() -> Iterator[Inbox]:
    made = Inbox()
    yield made
    made.server.shutdown()
    made.server.server_close()


def database(pilot: Pilot) -> sqlite3.Connection:
    """The worker's database, opened by somebody else."""
    return sqlite3.connect(pilot.folder / "pilotfish.db", isolation_level=None, timeout=10)


def ended(pilot: Pilot, seconds: float = 20) -> int:
    """Wait until the worker's process has ended; gives its exit code."""
    assert pilot.process is not None
    return pilot.process.wait(seconds)


def test_a_row_that_the_database_refuses_ends_the_worker_by_name_with_light_alert_and_exit_code(
    tmp_path: Path, inbox: Inbox
) -> None:
    with rig(tmp_path, alert_urls=inbox.address) as (stand, pilot):
        token = stand.market()
        pilot.start()
        pilot.follow()
        stand.fill(token, "BUY", 100)
        pilot.fills(1)
        with database(pilot) as other:
            other.execute("CREATE TRIGGER no BEFORE INSERT ON trades BEGIN SELECT RAISE(ABORT, 'not this one'); END")
        other.close()
        stand.fill(token, "BUY", 50)
        assert ended(pilot) == ExitCode.STORE
        state = pilot.status()
        assert state["running"] is False
        assert state["ended"]["clean"] is False
        assert state["ended"]["exit_code"] == ExitCode.STORE
        assert "writer" in state["ended"]["cause"]
        assert "not this one" in state["ended"]["cause"]
        assert "ended by a fault: writer" in " ".join(pilot.cli("status", code=1).split())
        until("the alert came", lambda: [m for m in inbox.messages if "the worker ended" in m])
        assert "stopped; everything taken in is stored" not in pilot.log.read_text()
        assert "Error: the worker ended: writer" in pilot.log.read_text()
        assert len(pilot.export("fills")) == 1, "what came before is stored"
        with database(pilot) as other:
            other.execute("DROP TRIGGER no")
        other.close()
        pilot.start()
        pilot.trades(2)
        assert pilot.status()["ended"] is None
        pilot.stop()
        pilot.verify()


def test_a_table_that_is_gone_ends_the_worker_instead_of_being_told_for_ever(tmp_path: Path) -> None:
    with rig(tmp_path) as (_, pilot):
        pilot.start()
        with database(pilot) as other:
            other.execute("DROP TABLE commands")
        other.close()
        assert ended(pilot) == ExitCode.INTERNAL
        end = json.loads(database(pilot).execute("SELECT data FROM worker_status WHERE name='worker'").fetchone()[0])
        assert end["ended"]["cause"].startswith("control: OperationalError")
        assert "commands" in end["ended"]["cause"]


def test_a_clean_stop_shows_at_once_and_a_killed_worker_as_silent(tmp_path: Path) -> None:
    with rig(tmp_path) as (_, pilot):
        address = pilot.start_web()
        pilot.start()
        assert _ready(address) == (True, [])
        assert pilot.process is not None
        pilot.process.send_signal(signal.SIGTERM)
        assert ended(pilot, 5) == ExitCode.OK
        state = pilot.status()
        assert (state["running"], state["ended"]["clean"]) == (False, True)
        assert "the worker was stopped" in pilot.cli("status", code=1)
        ready, why = _ready(address)
        assert not ready
        assert why[0].startswith("the worker was stopped")
        pilot.start()
        assert pilot.status()["ended"] is None
        pilot.kill()
        until("it is seen as silent", lambda: not pilot.status()["running"])
        assert "said nothing for" in pilot.cli("status", code=1)
        assert pilot.status()["ended"] is None


def answers(url: str) -> bool:
    """True once something serves there."""
    return subprocess.run(["curl", "-sf", url], capture_output=True).returncode == 0


def _ready(address: str) -> tuple[bool, list[str]]:
    done = subprocess.run(["curl", "-s", f"{address}/readyz"], capture_output=True, text=True, check=True)
    told = json.loads(done.stdout)
    return told["ready"], told["why"]


def test_stopped_while_the_database_is_locked_it_says_that_not_everything_is_stored(tmp_path: Path) -> None:
    with rig(tmp_path) as (stand, pilot):
        token = stand.market()
        pilot.start()
        pilot.follow()
        other = database(pilot)
        other.execute("BEGIN IMMEDIATE")
        stand.fill(token, "BUY", 100)
        time.sleep(2)  # the trade is in the worker and cannot be stored: the subject of this test
        assert pilot.process is not None
        pilot.process.send_signal(signal.SIGTERM)
        assert ended(pilot, 15) == ExitCode.STORE
        other.execute("ROLLBACK")
        other.close()
        assert "not stored" in pilot.log.read_text()
        pilot.start()
        pilot.trades(1)
        pilot.stop()
        pilot.verify()


def test_a_lease_that_another_worker_took_ends_the_worker_and_leaves_the_others_state_alone(tmp_path: Path) -> None:
    with rig(tmp_path) as (_, pilot):
        pilot.start()
        with database(pilot) as other:
            other.execute(
                """UPDATE worker_status SET data = json_set(data, '$.token', 'another') WHERE name = 'lease'"""
            )
        other.close()
        assert ended(pilot) == ExitCode.TAKEN_OVER
        assert pilot.status()["ended"] is None
        assert database(pilot).execute("SELECT count(*) FROM worker_status WHERE name='lease'").fetchone() == (1,)


# -- a worker in this process --------------------------------------------------------------------------------------


def fate(folder: Path, act: Callable[[Worker], Awaitable[None]]) -> tuple[Worker, WorkerDiedError]:
    """Run a worker on a quiet venue, do something to it once it works, and give what it ended by."""
    stand = Stand(folder, "--scenario", "quiet")
    try:
        return asyncio.run(_fate(folder, environment({**stand.urls, "POLL_INTERVAL_MS": "300"}), act))
    finally:
        stand.close()


async def _fate(
    folder: Path, env: dict[str, bool | int | str], act: Callable[[Worker], Awaitable[None]]
) -> tuple[Worker, WorkerDiedError]:
    worker = Worker(open_database(f"sqlite:///{folder / 'x.db'}"), env)
    running = asyncio.create_task(worker.run())
    while worker.writer.commits == 0:
        assert not running.done()
        await asyncio.sleep(0.01)  # between two looks at a condition
    await act(worker)
    with pytest.raises(WorkerDiedError) as died:
        await asyncio.wait_for(running, 20)
    return worker, died.value


def last_state(folder: Path) -> dict[str, object]:
    with sqlite3.connect(folder / "x.db") as c:
        state: dict[str, object] = json.loads(
            c.execute("SELECT data FROM worker_status WHERE name='worker'").fetchone()[0]
        )
        return state["ended"]  # type: ignore[return-value]


class Unforeseen(ev.Tick, frozen=True):
    """An event that the engine has no rule for."""


def test_an_event_that_breaks_a_rule_ends_the_worker_names_the_event_and_stores_what_came_before(
    tmp_path: Path,
) -> None:
    async def act(worker: Worker) -> None:
        await worker.hub.emit(ev.HealthChanged(at=worker.hub.now(), source=Source.API, healthy=False, detail="seen"))
        await worker.hub.emit(Unforeseen(at=worker.hub.now()))
        await worker.hub.emit(ev.HealthChanged(at=worker.hub.now(), source=Source.API, healthy=True, detail="after"))

    worker, died = fate(tmp_path, act)
    assert died.code is ExitCode.INTERNAL
    assert "engine (at Unforeseen): KeyError" in str(died)
    assert worker.writer.backlog == 0
    with sqlite3.connect(tmp_path / "x.db") as c:
        details = [row[0] for row in c.execute("SELECT detail FROM health_events")]
    assert "seen" in details
    assert "after" not in details, "nothing is applied to what may be half changed"
    assert last_state(tmp_path)["exit_code"] == ExitCode.INTERNAL


LOOPS = (
    "timers", "tick", "control", "alerts", "health", "local-books", "marks", "reconcile", "api-status", "polygon",
    "followed-books", "missed-marks", "held-markets", "engine", "state", "late-rows", "lease", "watch", "settled",
)  # fmt: skip


@pytest.mark.parametrize("name", LOOPS)
def test_every_loop_of_a_worker_is_essential(tmp_path_factory: pytest.TempPathFactory, name: str) -> None:
    assert name in _essential(tmp_path_factory)


_found: set[str] = set()


def _essential(factory: pytest.TempPathFactory) -> set[str]:
    if not _found:

        async def act(worker: Worker) -> None:
            _found.update(task.get_name() for task in worker.hub.essential)
            worker.hub.spawn(asyncio.sleep(0), "made-to-end", essential=True)

        _, died = fate(factory.mktemp("loops"), act)
        assert "made-to-end: EndedError" in str(died)
    return _found


LATER = {"marks", "missed-marks", "reconcile"}
"""Loops whose first round comes later."""


def test_every_loop_of_a_worker_shows_by_when_it_goes_on(tmp_path: Path) -> None:
    silent: list[set[str]] = []

    async def act(worker: Worker) -> None:
        while silent[-1:] != [set()]:
            await asyncio.sleep(0.01)  # between two looks at a condition
            silent.append({part.name for part in worker.hub.parts if part.due is None} - LATER)
            assert len(silent) < 6_000, silent[-1]
        assert len(worker.hub.parts) >= len(LOOPS)
        worker.hub.fail("test", TypeError("over"))

    fate(tmp_path, act)


def test_a_feed_that_ends_for_a_reason_nobody_foresaw_ends_the_worker_by_its_name(tmp_path: Path) -> None:
    async def act(worker: Worker) -> None:
        async def feed() -> None:
            raise TypeError("never thought of")

        worker.hub.spawn(feed(), "poll-0xabc", essential=True)

    _, died = fate(tmp_path, act)
    assert died.code is ExitCode.INTERNAL
    assert "poll-0xabc: TypeError: never thought of" in str(died)
    assert "poll-0xabc" in str(last_state(tmp_path)["cause"])


# -- the dashboard beside the worker -------------------------------------------------------------------------------


def test_a_dashboard_that_ends_again_and_again_is_given_up_and_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dashboard, "FIRST_PAUSE", 0.01)
    monkeypatch.setattr(dashboard, "RESTARTS", 2)
    monkeypatch.chdir(tmp_path)
    status = dashboard.DashboardStatus()
    refused = {**clean_environment(), "WEB_HOST": "no-such-host.invalid"}
    asyncio.run(asyncio.wait_for(dashboard.keep(status, refused), 60))
    assert (status.enabled, status.healthy, status.restarts) == (True, False, 2)
    assert "given up after 3 ends in a row (the last with exit code 1)" in status.detail


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "no-such-host.invalid"])
@pytest.mark.parametrize("command", ["run", "web"])
def test_a_door_that_must_not_open_is_refused_before_anything_starts(tmp_path: Path, command: str, host: str) -> None:
    env = {**clean_environment(), "DATABASE_URL": f"sqlite:///{tmp_path / 'new' / 'x.db'}", "WEB_HOST": host}
    done = processes.run(command, cwd=tmp_path, env=env, timeout=30)
    assert done.returncode == ExitCode.PROBLEM
    assert done.stderr.startswith("Error: WEB_HOST=")
    assert done.stdout == ""
    assert list(tmp_path.iterdir()) == [], "nothing was started, nothing was made"


def test_run_prints_where_the_dashboard_is_and_how_to_sign_in_once_and_never_the_token(tmp_path: Path) -> None:
    token = "a-token-that-nobody-sees"
    with rig(tmp_path) as (_, pilot):
        env = {**clean_environment(), **pilot.environment, "WEB_PORT": "0", "ADMIN_TOKEN": token, "TRIGER_MODE": "api"}
        with (tmp_path / "out").open("w") as out, (tmp_path / "err").open("w") as err:
            started = subprocess.Popen(
                [sys.executable, "-m", "pilotfish", "run"], stdout=out, stderr=err, env=env, cwd=tmp_path
            )
            try:
                until("the worker runs", lambda: pilot.status()["running"])
                shown = (tmp_path / "out").read_text()
                address = shown.split()[1]
                until("the dashboard answers", lambda: answers(f"{address}/healthz"))
                assert pilot.status()["worker"]["dashboard"]["healthy"]
            finally:
                started.send_signal(signal.SIGINT)
                assert started.wait(PATIENCE) == 0
        shown, told = (tmp_path / "out").read_text(), (tmp_path / "err").read_text()
        assert shown.count("Dashboard: http://127.0.0.1:") == 1
        assert shown.count("/login") == 1
        assert token not in shown + told
        assert told.count("TRIGER_MODE") == 1
        assert "did you mean TRIGGER_MODE" in told
