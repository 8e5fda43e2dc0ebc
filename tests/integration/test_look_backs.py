"""Look backs against a venue: killed, cancelled, and whatever is wrong with a past said in a sentence."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import signal
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow.fs as pafs
import pytest
from sqlalchemy import create_engine, select

from pilotfish.app.look_backs import looked
from pilotfish.backtest.refusal import NothingToLookAtError
from pilotfish.cli.session import clean_environment
from pilotfish.cli.stand import free_port
from pilotfish.core.units import SECOND
from pilotfish.history.folder import History, HistoryError, HistoryFullError
from pilotfish.sim.story import cast
from pilotfish.store import settings_store
from pilotfish.store import tables as t
from pilotfish.store.database import empty_database
from pilotfish.store.jobs import At
from pilotfish.store.look_backs_store import Job
from tests import processes
from tests.past_venue import NOW, WALLET, PastVenue, condition_id, serving, trade
from tests.rig import Pilot, Stand, until

TOKEN = "the-admin-token"
LONG = 300.0
"""Seconds that a look back may take on a busy machine."""
WHALE, SCALPER, HOLDER, STEPPER = (person.wallet for person in cast(7))
DAY = 86_400


# -- whatever is wrong with a past -------------------------------------------------------------------------------------


def job() -> Job:
    values = settings_store.policy_values({}, settings_store.Stored({}, {}, {}), "main", WALLET, {})
    return Job(wallet=WALLET, name="", days=30, asked_at=NOW * SECOND, values=values)


async def look(venue: PastVenue, history: History) -> dict[str, Any]:
    async with serving(venue) as (_, url):
        environment = {"data_api_url": url, "gamma_api_url": url}
        stages: list[At] = []
        found, kept = await asyncio.to_thread(looked, empty_database(), environment, history, job(), stages.append)
    assert [at.stage for at in stages][-1] == "running"
    return {**kept, "why": found.why}


def lively(**more: Any) -> PastVenue:
    venue = PastVenue(every=3600, **more)
    for n in range(3):
        venue.market(n, payouts=[1_000_000, 0])
    venue.rows = [trade(n, NOW - (9 - n) * DAY, market=n % 3) for n in range(6)]
    venue.tape = [*venue.rows]
    return venue


async def test_a_past_without_trades_only_combos_or_unknown_markets_is_refused_in_a_sentence(tmp_path: Path) -> None:
    nothing = PastVenue()
    combos = PastVenue(rows=[trade(n, NOW - n * DAY, is_combo=True) for n in range(1, 4)])
    unknown = PastVenue(rows=[trade(n, NOW - n * DAY, market=n) for n in range(1, 4)])
    for name, venue, told in (
        ("nothing", nothing, "there are no trades of .* --days looks further back"),
        ("combos", combos, "all 3 trades of .* are combos, which are not copied"),
        ("unknown", unknown, "of the 3 trades of .* no market is known"),
    ):
        with pytest.raises(NothingToLookAtError, match=told):
            await look(venue, History(str(tmp_path / name)))


async def test_where_the_venue_goes_away_in_the_middle_the_answer_says_what_is_missing_and_the_next_has_all(
    tmp_path: Path,
) -> None:
    history = History(str(tmp_path / "h"))
    found = await look(lively(failing={"/v2/trades": 99}), history)
    assert found["history"].startswith("Incomplete: 6 windows of the tape failed")
    assert {missing["kind"] for missing in found["complete"]} == {"tape"}
    again = await look(lively(), history)
    assert (again["complete"], again["history"]) == (True, "Complete: all that was asked for is known.")


async def test_a_venue_that_never_answers_is_told_apart_from_a_wallet_that_does_nothing(tmp_path: Path) -> None:
    away = lively(failing={"/v2/activity": 99})
    with pytest.raises(NothingToLookAtError, match="Incomplete: 1 window of activity failed"):
        await look(away, History(str(tmp_path / "h")))


async def test_half_a_file_is_named_with_what_to_do(tmp_path: Path) -> None:
    history = History(str(tmp_path / "h"))
    await look(lively(), history)
    damaged = next((tmp_path / "h" / "markets" / condition_id(0)).iterdir())
    damaged.write_bytes(damaged.read_bytes()[:100])
    with pytest.raises(HistoryError, match=r"is damaged .*history remove --damaged"):
        await look(lively(), history)


async def test_a_full_disk_is_told_what_was_read_is_kept_and_it_goes_on_later(tmp_path: Path) -> None:
    history = History(str(tmp_path / "h"))
    real = pafs.LocalFileSystem()

    class Full:
        left = 2

        def __getattr__(self, name: str) -> Any:
            return getattr(real, name)

        def open_output_stream(self, path: str) -> Any:
            self.left -= 1
            if self.left < 0:
                raise OSError(errno.ENOSPC, "No space left on device", path)
            return real.open_output_stream(path)

    history.fs = Full()
    with pytest.raises(HistoryFullError, match="make room, then do the same again"):
        await look(lively(), history)
    history.fs = real
    venue = lively()
    assert (await look(venue, history))["complete"] is True
    assert venue.requests["/v2/activity"] <= 2, "what was read is not asked for again, but for the last hour"


# -- the process -------------------------------------------------------------------------------------------------------


class Desk:
    """A venue with a past, and a dashboard."""

    def __init__(self, stand: Stand, pilot: Pilot) -> None:
        self.stand, self.pilot = stand, pilot
        self.database = create_engine(pilot.environment["DATABASE_URL"])
        self.address = ""

    def call(self, method: str, path: str, body: object = None) -> Any:
        return self.pilot.rest(self.address, method, f"/look-backs{path}", body)

    def ask(self, wallet: str, days: int = 100) -> int:
        number: int = self.call("POST", "", {"wallet": wallet, "days": days})["id"]
        return number

    def reached(self, number: int, that: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        found: dict[str, Any] = {}

        def look() -> bool:
            found.update(self.call("GET", f"/{number}"))
            return that(found)

        until(f"look back {number} is so far", look, LONG)
        return found

    def caught(self, number: int, stage: str, done: int = 0) -> None:
        """Wait until it is in a stage that may be short: with so little between two looks that it is not missed."""
        x = t.look_backs.c
        state = select(x.stage, x.state, x.done).where(x.id == number)
        end = time.monotonic() + LONG
        while True:
            with self.database.connect() as c:
                found = c.execute(state).one()
            if found.stage == stage and found.done >= done:
                return
            assert found.state in ("waiting", "running") and time.monotonic() < end, found
            time.sleep(0.005)  # between two looks

    def pid(self) -> int:
        """The process that works off look backs; 0 = there is none."""
        with self.database.connect() as c:
            data = c.execute(select(t.worker_status.c.data).where(t.worker_status.c.name == "look_backs")).scalar()
        return 0 if data is None else int(json.loads(data)["pid"] if isinstance(data, str) else data["pid"])

    def attempts(self, number: int) -> int:
        with self.database.connect() as c:
            return int(c.execute(select(t.look_backs.c.attempts).where(t.look_backs.c.id == number)).scalar_one())


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    stand = Stand(tmp_path, "--past", "90", "--paused", "--seed", "7")
    pilot = Pilot(tmp_path, stand.urls, admin_token=TOKEN)
    made = Desk(stand, pilot)
    try:
        made.address = pilot.start_web()
        yield made
    finally:
        pilot.close()
        stand.close()
        made.database.dispose()


@pytest.mark.slow
def test_killed_in_the_middle_it_is_taken_up_again_and_the_history_goes_on_where_it_was(desk: Desk) -> None:
    number = desk.ask(SCALPER)
    desk.caught(number, "tape", 20)
    os.kill(desk.pid(), signal.SIGKILL)
    done = desk.reached(number, lambda r: r["state"] not in ("waiting", "running"))
    assert (done["state"], done["verdict"], desk.attempts(number)) == ("done", "not_copyable", 2)
    assert done["result"]["complete"] is True
    assert done["result"]["history"] == "Complete: all that was asked for is known."
    first = desk.call("GET", "")["data"][0]
    assert (first["id"], first["why"]) == (number, done["result"]["why"])
    exported = desk.pilot.export("look_backs")
    assert [row["id"] for row in exported] == [number]
    assert exported[0]["result"] == done["result"]


@pytest.mark.slow
@pytest.mark.parametrize("stage", ["tape", "running"])
def test_cancelled_in_any_stage_it_stops_and_the_next_in_the_queue_has_its_turn(desk: Desk, stage: str) -> None:
    long, waiting, short = desk.ask(HOLDER), desk.ask(STEPPER), desk.ask(WHALE)
    assert desk.call("POST", f"/{waiting}/cancel")["state"] == "cancelled"
    desk.caught(long, stage)
    process = desk.pid()
    assert desk.call("POST", f"/{long}/cancel")["state"] == "cancelled"
    done = desk.reached(short, lambda r: r["state"] == "done")
    assert done["verdict"] == "cannot_tell"
    assert desk.pid() != process, "what was cancelled works on nowhere"
    assert [row["state"] for row in desk.call("GET", "")["data"]] == ["done", "cancelled", "cancelled"]
    with pytest.raises(urllib.error.HTTPError) as refused:
        desk.call("POST", f"/{long}/cancel")
    assert "has ended: cancelled" in json.load(refused.value)["detail"]


@pytest.mark.slow
def test_it_ends_with_the_dashboard_however_that_ends_and_goes_on_with_the_next(desk: Desk) -> None:
    number = desk.ask(HOLDER, 25)
    desk.caught(number, "tape", 5)
    process = desk.pid()
    assert desk.pilot.web is not None
    desk.pilot.web.kill()
    desk.pilot.web.wait(20)

    until("the process has ended, too", lambda: processes.gone(process))
    desk.address = desk.pilot.start_web()
    done = desk.reached(number, lambda r: r["state"] not in ("waiting", "running"))
    assert (done["state"], done["error"]) == ("done", None)
    assert done["verdict"]


@pytest.mark.slow
def test_what_the_terminal_found_stands_with_the_others_and_what_is_wrong_is_refused(desk: Desk) -> None:
    desk.pilot.cli("backtest", WHALE, "--days", "100", "--set", "fixed_usdc=5", "--json")
    (row,) = desk.call("GET", "")["data"]
    assert (row["by"], row["state"], row["verdict"]) == ("terminal", "done", "cannot_tell")
    assert desk.call("GET", f"/{row['id']}")["values"]["fixed_usdc"] == 5_000_000
    failed = desk.reached(desk.ask("0x" + "12" * 20, 3), lambda r: r["state"] == "failed")
    assert "there are no trades of 0x1212" in failed["error"]
    for body, told in (
        ({"wallet": "not a wallet"}, "expected a wallet"),
        ({"wallet": WHALE, "values": {"fixed_usdc": "-3"}}, "fixed_usdc"),
        ({"wallet": WHALE, "values": {"poll_overlap_sec": 5}}, "belongs to no policy"),
        ({"wallet": WHALE, "portfolio": "nothing"}, "nothing"),
    ):
        with pytest.raises(urllib.error.HTTPError) as refused:
            desk.call("POST", "", body)
        assert told in json.load(refused.value)["detail"]


@pytest.mark.slow
def test_a_demonstration_looks_back_at_its_leaders_searches_among_them_and_leaves_nothing_behind(
    tmp_path: Path,
) -> None:
    port = free_port()
    env = {**clean_environment(), "TMPDIR": str(tmp_path)}
    with (tmp_path / "told").open("w") as told:
        demo = processes.start("demo", "--port", str(port), cwd=tmp_path, env=env, stderr=told)

    def rows(of: str = "look-backs") -> list[dict[str, Any]]:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/v1/{of}", timeout=10) as answer:
                return list(json.load(answer)["data"])
        except OSError:
            return []

    try:
        until("all are looked back at", lambda: [r["state"] for r in rows()] == ["done"] * 4, 300)
        verdicts = {row["label"]: row["verdict"] for row in rows()}
        until("they are searched", lambda: [r["state"] for r in rows("searches")] == ["done"], 120)
        (search,) = rows("searches")
    finally:
        demo.send_signal(signal.SIGINT)
        code = demo.wait(90)
    assert verdicts == {
        "Whale": "cannot_tell", "Scalper": "not_copyable", "Holder": "copyable", "Stepper": "cannot_tell",
    }  # fmt: skip
    assert (search["tested"], search["copyable"]) == (3, 1), search
    assert search["requests"] < 100, "it goes by what the look backs have read"
    assert code == 0, (tmp_path / "told").read_text()
    assert [path.name for path in tmp_path.iterdir()] == ["told"]
