"""Searches beside a dashboard, as real processes: killed, cancelled, behind look backs, and what the terminal found."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
import urllib.error
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, select

from pilotfish.app import searches
from pilotfish.app.jobs import work_off
from pilotfish.core.settings import Value
from pilotfish.core.units import SECOND
from pilotfish.history.folder import History
from pilotfish.polymarket.history_api import HistoryApi
from pilotfish.polymarket.http import Service, make_session
from pilotfish.sim.past_people import Kind, crowd
from pilotfish.sim.story import cast
from pilotfish.store import look_backs_store, searches_store
from pilotfish.store import tables as t
from pilotfish.store.database import open_database, snapshot
from pilotfish.store.searches_store import Candidate, SearchSource, Wanted
from pilotfish.store.views.searches import read_search
from tests import processes
from tests.kept_past import DAY, kept_world
from tests.past_venue import NOW, WALLET, PastVenue, serving
from tests.rig import Pilot, Stand, until

WHALE, *_ = (person.wallet for person in cast(7))
KNOWN = (*crowd(9, Kind.FLIPPER, 1, events=32), *crowd(9, Kind.SKILLED, 1, events=40, edge_ppm=600_000))
"""Their histories are read already."""
ACTIVITY = "data/v2/activity"


class Desk:
    """A venue, and a dashboard beside a history that knows two people."""

    def __init__(self, stand: Stand, pilot: Pilot) -> None:
        self.stand, self.pilot = stand, pilot
        self.database = create_engine(pilot.environment["DATABASE_URL"])
        self.address = pilot.start_web()

    def call(self, method: str, path: str, body: object = None) -> Any:
        return self.pilot.rest(self.address, method, path, body)

    def search(self, *wallets: str, budget: int = 50) -> int:
        """Ask for a search among the two, and others."""
        text = "\n".join([*(person.wallet for person in KNOWN), *wallets])
        asked = {"source": "wallets", "wallets": text, "budget": budget, "days": 60}
        number: int = self.call("POST", "/searches", asked)["id"]
        return number

    def reached(self, number: int, that: Callable[[dict[str, Any]], bool], of: str = "searches") -> dict[str, Any]:
        found: dict[str, Any] = {}

        def look() -> bool:
            found.update(self.call("GET", f"/{of}/{number}"))
            return that(found)

        until(f"{of} {number} is so far", look, 300)
        return found

    def pid(self) -> int:
        """The process that works off searches; 0 = there is none."""
        with self.database.connect() as c:
            data = c.execute(select(t.worker_status.c.data).where(t.worker_status.c.name == "searches")).scalar()
        return 0 if data is None else int(json.loads(data)["pid"] if isinstance(data, str) else data["pid"])


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    folder = tmp_path_factory.mktemp("searches")
    kept_world(History(str(folder / "history")), 9, KNOWN, to_at=int(time.time()) // DAY * DAY)
    stand = Stand(folder, "--past", "10", "--paused", "--seed", "7")
    pilot = Pilot(folder, stand.urls, admin_token="the-admin-token")
    made = Desk(stand, pilot)
    try:
        yield made
    finally:
        pilot.close()
        stand.close()
        made.database.dispose()


def done(row: dict[str, Any]) -> bool:
    return row["state"] not in ("waiting", "running")


@pytest.mark.slow
def test_a_search_that_is_killed_in_the_middle_goes_on_and_finds_what_the_terminal_finds(desk: Desk) -> None:
    with desk.stand.holding(ACTIVITY):
        number = desk.search(WHALE)
        desk.reached(number, lambda r: r["stage"] == "activity")
        os.kill(desk.pid(), signal.SIGKILL)
    found = desk.reached(number, done)
    assert (found["state"], found["error"], found["tested"]) == ("done", None, 2)
    with desk.database.connect() as c:
        assert c.execute(select(t.searches.c.attempts).where(t.searches.c.id == number)).scalar_one() == 2
    (desk.pilot.folder / "wallets.txt").write_text("\n".join(one["wallet"] for one in found["wallets"]))
    told = json.loads(
        desk.pilot.cli("discover", "--from", str(desk.pilot.folder / "wallets.txt"), "--budget", "50", "--days", "60",
                       "--processes", "1", "--json")
    )  # fmt: skip
    assert {**found["result"], "requests": 0} == {**told, "requests": 0}
    (kept, asked) = desk.call("GET", "/searches")["data"]
    assert (kept["by"], kept["why"], asked["id"]) == ("terminal", told["why"], number)
    assert desk.call("GET", f"/searches/{kept['id']}")["result"] == told
    assert [row["result"] for row in desk.pilot.export("searches")] == [found["result"], told]
    board = [{k: v for k, v in row.items() if k != "search_id"} for row in desk.pilot.export("searched_wallets")]
    assert board == [*found["result"]["rows"], *told["rows"]]


@pytest.mark.slow
def test_a_search_that_is_cancelled_ends_at_once_and_the_next_has_its_turn(desk: Desk) -> None:
    with desk.stand.holding(ACTIVITY):
        first = desk.search("0x" + "12" * 20)
        assert desk.search("0x" + "12" * 20) == first, "asked for twice, it is one"
        second = desk.search()
        desk.reached(first, lambda r: r["stage"] == "activity")
        process = desk.pid()
        assert desk.call("POST", f"/searches/{first}/cancel")["state"] == "cancelled"
        until("its process has ended", lambda: processes.gone(process))
        assert desk.reached(second, done)["state"] == "done", "what is known needs no venue"
    with pytest.raises(urllib.error.HTTPError) as refused:
        desk.call("POST", f"/searches/{first}/cancel")
    assert "has ended: cancelled" in json.load(refused.value)["detail"]


async def test_who_gives_way_asks_nothing_until_that_is_over() -> None:
    venue = PastVenue()
    async with serving(venue) as (_, url), make_session() as http:
        service = Service(http, "data", url, per_second=1_000, attempts=1)
        api = HistoryApi(service, service, service)
        api.rest(0.2)
        began = time.monotonic()
        api.rest(0.1)
        await api.activity(WALLET, 1, 2, 1)
        assert time.monotonic() - began >= 0.19, "the longer rest counts"
    assert venue.requests["/v2/activity"] == 1


@pytest.mark.slow
@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"source": "wallets", "wallets": "nobody"}, "line 1: 'nobody' is not a wallet"),
        ({"source": "wallets", "wallets": f"{WHALE}\nx\ny\nz\nw"}, "line 4: 'z' is not a wallet: expected 0x and 40"),
        ({"source": "wallets"}, "the list holds no wallet"),
        ({"budget": 0}, "takes requests, and none are allowed; allow some, or name wallets"),
        ({"days": 1}, "days"),
        ({"source": "leaders"}, "leaderboard"),
        ({"values": {"fixed_usdc": "-3"}}, "fixed_usdc"),
        ({"values": {"poll_overlap_sec": 5}}, "belongs to no policy"),
        ({"portfolio": "nothing"}, "nothing"),
    ],
)
def test_what_cannot_be_searched_is_refused_with_what_to_do(desk: Desk, more: dict[str, Any], told: str) -> None:
    with pytest.raises(urllib.error.HTTPError) as refused:
        desk.call("POST", "/searches", more)
    assert refused.value.code in (400, 422)
    assert told in json.load(refused.value)["detail"]


async def test_a_search_asks_nothing_while_somebody_waits_for_a_look_back(tmp_path: Path) -> None:
    database = open_database(f"sqlite:///{tmp_path / 'x.db'}")
    venue = PastVenue()
    with database.begin() as c:
        first = look_backs_store.ask(c, WALLET, name="", days=9, values={}, at=NOW * SECOND, by="test")
        assert not searches_store.next_in_line(c), "there is none"
        wanted = Wanted(source=SearchSource.WALLETS, wallets=(Candidate(wallet=WALLET),))
        number = searches_store.ask(c, wanted, at=NOW * SECOND, by="test")
        assert not searches_store.next_in_line(c), "it is not even begun"

    def state() -> tuple[str, str]:
        with snapshot(database) as c:
            found = read_search(c, number)
        assert found is not None
        return found.state, found.stage

    async with serving(venue) as (_, url):
        env: dict[str, Value] = {
            "data_api_url": url, "gamma_api_url": url, "database_url": str(database.url),
        }  # fmt: skip
        work = asyncio.create_task(asyncio.to_thread(work_off, database, searches.work(database, env)))
        await asyncio.to_thread(until, "it is about to ask", lambda: state() == ("running", "activity"))
        assert venue.requests == {}
        with database.begin() as c:
            look_backs_store.JOBS.cancel(c, first, NOW * SECOND)
            assert searches_store.next_in_line(c)
        await work
    assert venue.requests["/v2/activity"] == 1
    assert state()[0] == "done"
    database.dispose()
