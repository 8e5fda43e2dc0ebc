"""Two workers on one PostgreSQL: one writes, the other waits and takes over; whoever lost the database stores nothing
more, however late it comes to it. And a database that goes away while a worker runs."""

from __future__ import annotations

import contextlib
import json
import re
import signal
import socket
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.engine import make_url

from pilotfish.core.exit_codes import ExitCode
from pilotfish.store.database import open_database
from tests.integration.test_alerts import Inbox
from tests.postgres_server import Server, Wire, server
from tests.rig import Pilot, Stand, rig, until

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def postgres() -> Iterator[Server]:
    with server() as made:
        yield made


@pytest.fixture
def inbox() -> Iterator[Inbox]:
    made = Inbox()
    yield made
    made.server.shutdown()
    made.server.server_close()


@contextmanager
def pair(folder: Path, url: str, wired: str = "", alerts: str = "") -> Iterator[tuple[Stand, Pilot, Pilot]]:
    """A venue, a worker that writes (over a way of its own, ``wired``), and one that stands by."""
    with rig(folder, database_url=wired or url) as (stand, first):
        first.start()
        first.follow()
        (folder / "second").mkdir()
        second = Pilot(folder / "second", stand.urls, database_url=url, alert_urls=alerts)
        try:
            second.start(ready=False)
            until("it stands by", lambda: second.logged("another worker writes; standing by to take over"))
            yield stand, first, second
        finally:
            second.close()


class Load:
    """A leader who goes on trading, fill after fill, until told to stop or the venue ends."""

    def __init__(self, stand: Stand, token: str) -> None:
        self._stand, self._token = stand, token
        self._over = threading.Event()
        self.made = 0
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        while not self._over.wait(0.02):
            try:
                self._stand.fill(self._token, "BUY" if self.made % 3 else "SELL", 10 + self.made, 0.50)
            except OSError:
                return
            self.made += 1

    def end(self) -> int:
        """How many there were."""
        self._over.set()
        self._thread.join()
        return self.made


def writes(pilot: Pilot) -> bool:
    """True once this worker says that it runs."""
    assert pilot.process is not None
    state = pilot.status()
    return bool(state["running"] and state["worker"]["pid"] == pilot.process.pid)


def took_over(pilot: Pilot) -> None:
    """Wait until this worker writes. How long that takes is measured where nothing else runs (docs/reliability.md)."""
    until("the standby writes", lambda: writes(pilot))


def each_once(pilot: Pilot, made: int) -> None:
    """Every trade that was made is stored and decided once, and the books agree."""
    trades = pilot.trades(made)
    until("all are decided", lambda: len(pilot.export("decisions")) >= made)
    assert len(trades) == made
    assert len({(t["tx_hash"], t["shares_micro"]) for t in trades}) == made
    decided = [d["trade_id"] for d in pilot.export("decisions")]
    assert len(decided) == len(set(decided)) == made


def test_a_standby_takes_over_within_seconds_of_a_kill_and_nothing_is_lost_or_doubled(
    tmp_path: Path, postgres: Server, inbox: Inbox
) -> None:
    with pair(tmp_path, postgres.database("killed"), alerts=inbox.address) as (stand, first, second):
        assert [s["pid"] for s in first.status()["standby"]] == [second.process.pid if second.process else 0]
        assert "a standby waits" in first.cli("status", code=None)
        load = Load(stand, stand.market())
        first.trades(5)
        first.kill()
        took_over(second)
        until("trades go on", lambda: len(second.export("trades")) > 20)
        each_once(second, load.end())
        assert second.status()["standby"] == []
        until("it is told", lambda: [line for line in inbox.lines() if "this worker took over from process" in line])
        second.stop()
        second.verify()


def test_pages_rest_and_readiness_tell_who_writes_who_stands_by_and_of_the_last_takeover(
    tmp_path: Path, postgres: Server
) -> None:
    url = postgres.database("told")
    with rig(tmp_path, database_url=url) as (stand, first):
        first.start()
        first.follow()
        (tmp_path / "second").mkdir()
        second = Pilot(tmp_path / "second", stand.urls, database_url=url)
        try:
            address = second.start_with_web()
            until("it stands by", lambda: second.logged("another worker writes; standing by to take over"))
            assert first.process is not None
            assert second.process is not None
            host = socket.gethostname()
            writer, other = (f"process {p.pid} on {host}" for p in (first.process, second.process))
            ready = until("it is told", lambda: got if (got := answer(f"{address}/readyz"))["standby"] else None)
            assert ready == {"ready": True, "why": [], "role": "stands by", "writes": writer, "standby": [other]}
            assert answer(f"{address}/healthz")["status"] == "ok"
            told = second.rest(address, "GET", "/status")
            assert [(s["pid"], s["host"]) for s in told["standby"]] == [(second.process.pid, host)]
            assert (told["worker"]["pid"], told["worker"]["host"]) == (first.process.pid, host)
            assert told["worker"]["took_over"] is None
            for path in ("/", "/leaders", "/trades", "/latency", "/settings"):
                page = until("the page tells", lambda path=path: p if other in (p := text_of(address + path)) else "")  # type: ignore[misc]
                assert f"Written by {writer}" in page
                assert f"{other} stands by since" in page
            assert "pilotfish_standbys 1.0" in text_of(f"{address}/metrics")

            first.kill()
            until("it writes", lambda: answer(f"{address}/readyz")["role"] == "writes")
            until("copying goes on", lambda: answer(f"{address}/readyz")["ready"])
            worker = second.rest(address, "GET", "/status")["worker"]
            assert worker["took_over"]["over"] == writer
            assert worker["took_over"]["pid"] == second.process.pid
            page = until("the page tells", lambda: p if "last taken over" in (p := text_of(address)) else "")
            assert f"Written by {other}" in page
            assert f"from {writer}" in page
            assert "nobody stands by" in page
            assert "last taken over" in second.cli("status", code=None)
            second.stop()
            second.start()
            assert second.status()["worker"]["took_over"] == worker["took_over"], "who was the last one stays known"
        finally:
            second.close()


def text_of(url: str) -> str:
    """What a page says, without its markup."""
    with urllib.request.urlopen(url, timeout=20) as answered:
        return " ".join(re.sub(r"<[^>]*>", " ", answered.read().decode()).split())


def answer(url: str) -> Any:
    """JSON, whatever its status."""
    try:
        with urllib.request.urlopen(url, timeout=20) as answered:
            return json.load(answered)
    except urllib.error.HTTPError as problem:
        return json.load(problem)


def test_a_worker_that_hangs_is_taken_over_and_stores_nothing_when_it_goes_on(tmp_path: Path, postgres: Server) -> None:
    with pair(tmp_path, postgres.database("hung")) as (stand, first, second):
        load = Load(stand, stand.market())
        first.trades(5)
        assert first.process is not None
        first.process.send_signal(signal.SIGSTOP)
        took_over(second)
        until("trades go on", lambda: len(second.export("trades")) > 20)
        first.process.send_signal(signal.SIGCONT)
        assert first.process.wait(60) == ExitCode.TAKEN_OVER
        each_once(second, load.end())
        assert second.status()["ended"] is None, "who lost the database writes nothing into it, not even its end"
        second.stop()
        second.verify()


def test_a_worker_that_hangs_in_the_middle_of_a_commit_does_not_keep_the_standby_out(
    tmp_path: Path, postgres: Server
) -> None:
    url = postgres.database("middle")
    with pair(tmp_path, url) as (stand, first, second):
        load = Load(stand, stand.market())
        first.trades(5)
        assert first.process is not None
        with engine(url).connect() as other:
            other.execute(text("LOCK TABLE trades IN ACCESS EXCLUSIVE MODE"))
            until("it waits within its transaction", lambda: _waiting(url))
            first.process.send_signal(signal.SIGSTOP)
        took_over(second)
        first.process.send_signal(signal.SIGCONT)
        assert first.process.wait(60) == ExitCode.TAKEN_OVER
        each_once(second, load.end())
        second.stop()
        second.verify()


def test_a_worker_that_is_cut_off_from_the_database_is_taken_over_and_ends(tmp_path: Path, postgres: Server) -> None:
    url = postgres.database("cut_off")
    wire = Wire(url)
    with contextlib.closing(wire), pair(tmp_path, url, wire.url) as (stand, first, second):
        load = Load(stand, stand.market())
        first.trades(5)
        assert first.process is not None
        wire.swallow()
        took_over(second)
        assert first.process.wait(90) in (ExitCode.STALLED, ExitCode.TAKEN_OVER), "it cannot even say so"
        each_once(second, load.end())
        second.stop()
        second.verify()


def engine(url: str) -> Engine:
    return create_engine(make_url(url).set(drivername="postgresql+psycopg"))


def _waiting(url: str) -> bool:
    """True while a statement of a worker waits for somebody's lock."""
    with engine(url).connect() as c:
        waits = (
            "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND application_name LIKE 'pilot%'"
        )
        return bool(c.execute(text(waits)).scalar())


def test_a_standby_stops_when_asked_and_leaves_the_other_alone(tmp_path: Path, postgres: Server) -> None:
    with pair(tmp_path, postgres.database("asked")) as (_, first, second):
        second.stop()
        assert first.status()["running"]
        until("it is not shown any more", lambda: first.status()["standby"] == [])


def test_who_is_stopped_hands_over_at_once(tmp_path: Path, postgres: Server) -> None:
    with pair(tmp_path, postgres.database("handed")) as (stand, first, second):
        token = stand.market()
        first.stop()
        took_over(second)
        stand.fill(token, "BUY", 100)
        second.fills(1)
        second.stop()
        second.verify()


def test_two_workers_that_start_together_are_one_that_writes_and_one_that_waits(
    tmp_path: Path, postgres: Server
) -> None:
    url = postgres.database("together")
    open_database(url).dispose()
    with rig(tmp_path, database_url=url) as (stand, first):
        (tmp_path / "second").mkdir()
        second = Pilot(tmp_path / "second", stand.urls, database_url=url)
        try:
            first.start(ready=False)
            second.start(ready=False)
            until("one writes", lambda: writes(first) or writes(second))
            waits = second if writes(first) else first
            until("the other waits", lambda: waits.logged("another worker writes; standing by to take over"))
        finally:
            second.close()


# -- the database goes away ----------------------------------------------------------------------------------------


def test_a_database_that_crashes_and_comes_back_loses_and_doubles_nothing(tmp_path: Path) -> None:
    with server() as own, rig(tmp_path, database_url=own.database("crashed")) as (stand, pilot):
        pilot.start()
        pilot.follow()
        load = Load(stand, stand.market())
        for n in (1, 2):
            pilot.trades(20 * n)
            own.crash()
            until("the worker has noticed", partial(_noticed, pilot, n))
            own.start()
            pilot.trades(20 * n + 10)
        each_once(pilot, load.end())
        assert pilot.runs == 1, "the same worker, all the time"
        pilot.stop()
        pilot.verify()


def _noticed(pilot: Pilot, times: int) -> bool:
    return len(pilot.logged(CANNOT_WRITE)) >= times


CANNOT_WRITE = "cannot write to the database; nothing is lost, trying again"


def test_a_commit_whose_answer_is_lost_is_stored_once(tmp_path: Path, postgres: Server) -> None:
    url = postgres.database("answers")
    wire = Wire(url)
    with contextlib.closing(wire), rig(tmp_path, database_url=wire.url) as (stand, pilot):
        pilot.start()
        pilot.follow()
        load = Load(stand, stand.market())
        pilot.trades(5)
        wire.cut = 40
        until("they were cut", lambda: wire.cut == 0)
        each_once(pilot, load.end())
        assert pilot.logged(CANNOT_WRITE), "some of them were the writer's"
        assert pilot.runs == 1
        pilot.stop()
        pilot.verify()


def test_sessions_that_an_administrator_ends_are_made_anew(tmp_path: Path, postgres: Server) -> None:
    url = postgres.database("ended")
    with rig(tmp_path, database_url=url) as (stand, pilot):
        pilot.start()
        pilot.follow()
        load = Load(stand, stand.market())
        ended = 0
        for n in range(1, 6):
            pilot.trades(10 * n)
            with engine(url).connect() as c:
                ended += len(list(c.execute(text(ENDS))))
        assert ended
        each_once(pilot, load.end())
        until("the lock is held again", lambda: _locks(url) == 1)
        pilot.stop()
        pilot.verify()


ENDS = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
    " WHERE application_name LIKE 'pilotfish %' AND datname = current_database()"
)


def _locks(url: str) -> int:
    with engine(url).connect() as c:
        held = text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted AND classid = 7074689")
        return int(c.execute(held).scalar_one())
