"""Searching many wallets: over real sockets to a venue with a past, and as the command that people call."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from pilotfish.backtest.asking import ACTIVITY_REQUESTS, Asked, ask
from pilotfish.backtest.candidates import Candidate, of_leaderboards, of_markets
from pilotfish.backtest.discover import look_back_at, span_of
from pilotfish.backtest.one_wallet import Dropped
from pilotfish.core.exit_codes import ExitCode
from pilotfish.core.settings import policy_from
from pilotfish.history.folder import History
from pilotfish.history.spending import Budget
from pilotfish.polymarket.contracts import is_wallet
from pilotfish.polymarket.history_api import HistoryApi
from pilotfish.polymarket.http import Service, make_session
from pilotfish.sim.past_people import Kind, crowd
from pilotfish.sim.server import serve
from pilotfish.sim.venue import Venue
from tests import processes
from tests.kept_past import DAY, kept_world
from tests.past_venue import NOW, WALLET, PastVenue, serving, trade
from tests.rig import Pilot, rig, until

PEOPLE = (*crowd(9, Kind.FLIPPER, 2, events=32), *crowd(9, Kind.GAMBLER, 1))
STRANGER = Candidate(wallet="0x" + "9" * 40)
CANDIDATES = [STRANGER, *(Candidate(wallet=p.wallet, name=p.name) for p in PEOPLE)]


@asynccontextmanager
async def venue_of(days: int = 40) -> AsyncIterator[tuple[Venue, HistoryApi]]:
    """A venue whose leaders, and the people here, have a past."""
    venue = Venue(7, "quiet", paused=True, past_days=days, others=PEOPLE)
    async with serve(venue, 0) as port, make_session() as http:
        data, trades, gamma = (
            Service(http, name, f"http://127.0.0.1:{port}/{path}", per_second=100_000, attempts=1)
            for name, path in (("data", "data"), ("data", "data"), ("gamma", "gamma"))
        )
        yield venue, HistoryApi(data, trades, gamma)


def counted(asked: Asked) -> None:
    """Everybody is somewhere, once."""
    everywhere = [c.wallet for c in asked.known] + [d.wallet for d in (*asked.early, *asked.late)]
    assert sorted(everywhere) == sorted(c.wallet for c in CANDIDATES)


async def test_the_board_is_read_in_the_same_order_by_both_versions_each_wallet_once() -> None:
    async with venue_of(20) as (venue, api):
        found = await of_leaderboards(api, Budget(50), 500)
        assert {p.wallet for p in PEOPLE} <= {c.wallet for c in found}
        assert len({c.wallet for c in found}) == len(found)
        assert next(c.name for c in found if c.wallet == PEOPLE[0].wallet) == PEOPLE[0].name
        venue.api_v1_only = True
        assert [c.wallet for c in await of_leaderboards(api, Budget(50), 500)] == [c.wallet for c in found]
        assert await of_leaderboards(api, Budget(50), 2) == found[:2]
        assert await of_leaderboards(api, Budget(0), 500) == []


async def test_who_traded_in_most_markets_comes_first() -> None:
    async with venue_of() as (_, api):
        budget = Budget(100)
        found = await of_markets(api, budget, 500, span_of(int(time.time()), 40).from_at)
        assert found
        assert all(is_wallet(c.wallet) for c in found)
        assert len({c.wallet for c in found}) == len(found)
        assert budget.made == api.requests <= 100
        again = await of_markets(api, Budget(100), 500, span_of(int(time.time()), 40).from_at)
        assert again == found


@pytest.mark.slow
async def test_histories_are_read_within_the_requests_and_what_is_there_costs_nothing(tmp_path: Path) -> None:
    history, span = History(str(tmp_path / "h")), span_of(int(time.time()), 40)
    async with venue_of() as (_, api):
        few = Budget(12)
        first = await ask(history, api, CANDIDATES, span, few)
        counted(first)
        assert api.requests == few.made == first.requests <= 12
        assert {d.wallet: d.why for d in first.early} == {
            STRANGER.wallet: Dropped.NO_TRADES,
            PEOPLE[2].wallet: Dropped.FEW_TRADES,
        }
        assert [(d.wallet, d.why) for d in first.late] == [(p.wallet, Dropped.NOT_ASKED) for p in PEOPLE[:2]]
        assert all("requests are needed" in d.detail for d in first.late)
        before, half = api.requests, Budget(150)
        second = await ask(history, api, CANDIDATES, span, half)
        counted(second)
        assert len(second.known) == 1, "the cheaper one, whole, rather than a part of both"
        assert api.requests - before == half.made <= 150
        third = await ask(history, api, CANDIDATES, span, Budget(1_000))
        assert [c.wallet for c in third.known] == [p.wallet for p in PEOPLE[:2]]
        before = api.requests
        fourth = await ask(history, api, CANDIDATES, span, Budget(1_000))
        assert fourth.known == third.known
        assert (api.requests - before, fourth.requests) == (0, 0)
        offline = await ask(history, api, CANDIDATES, span, Budget(0))
        assert offline.known == third.known
    found = look_back_at(history, CANDIDATES, fourth, span, policy_from({}))
    assert found.tested == 2
    assert found.incomplete == 0


async def test_a_wallet_with_too_much_activity_does_not_eat_the_requests_of_the_others(tmp_path: Path) -> None:
    history, budget = History(str(tmp_path / "h")), Budget(1_000)
    venue = PastVenue(page=1, rows=[trade(n, NOW - DAY - 100 * n) for n in range(60)])
    async with serving(venue) as (api, _):
        asked = await ask(history, api, [Candidate(wallet=WALLET)], span_of(NOW, 30), budget)
    assert [(drop.wallet, drop.why) for drop in asked.early] == [(WALLET, Dropped.TOO_MANY)]
    assert budget.made == venue.requests["/v2/activity"] == ACTIVITY_REQUESTS


async def test_a_venue_that_is_away_is_not_asked_for_ever_and_what_is_known_stays_known(tmp_path: Path) -> None:
    history, now = History(str(tmp_path / "h")), int(time.time())
    span = span_of(now, 60)
    kept_world(history, 9, PEOPLE[:1], to_at=now // DAY * DAY)
    strangers = [Candidate(wallet=f"0x{n:040x}") for n in range(1, 41)]
    async with make_session() as http:
        nowhere = Service(http, "data", "http://127.0.0.1:9", per_second=100_000, attempts=1)
        api = HistoryApi(nowhere, nowhere, nowhere)
        asked = await ask(history, api, [*strangers, CANDIDATES[1]], span, Budget(1_000))
    assert [c.wallet for c in asked.known] == [PEOPLE[0].wallet]
    assert {d.why for d in asked.early} == {Dropped.REFUSED}
    assert len(asked.early) == 40
    assert api.requests < 20


# -- the command -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a database's place and the history of three wallets, and a file that names them."""
    folder = tmp_path_factory.mktemp("kept")
    kept_world(History(str(folder / "history")), 9, PEOPLE, to_at=int(time.time()) // DAY * DAY)
    lines = [PEOPLE[0].wallet, "nobody", PEOPLE[1].wallet, PEOPLE[2].wallet, STRANGER.wallet]
    (folder / "wallets.txt").write_text("\n".join(lines))
    return folder


def pilot_of(folder: Path) -> Pilot:
    return Pilot(folder, {"DATA_API_URL": "http://127.0.0.1:9", "GAMMA_API_URL": "http://127.0.0.1:9"})


OFFLINE = ("--budget", "0", "--days", "60", "--processes", "1")


def test_the_command_tells_its_answer_then_the_funnel_then_the_board(kept: Path) -> None:
    done = processes.run("discover", "--from", "wallets.txt", *OFFLINE, cwd=kept, env=pilot_of(kept).environment)
    lines = done.stdout.splitlines()
    assert lines[0].startswith("Of 2 wallets tested, none can be told from luck as worth copying at 25.00 USDC")
    assert lines[1] == "4 candidates"
    assert lines[2].startswith("2 with at least 30 BUYs (1 fewer than 30 BUYs; 1 not asked")
    words = next(n for n, line in enumerate(lines) if line.startswith("Whether past rank"))
    head = next(n for n, line in enumerate(lines) if line.startswith("place  who"))
    assert words < head, "the sentence stands above the board"
    assert [line.split()[0] for line in lines[head + 1 :]] == ["1", "2"]
    assert "wallets.txt, line 2: 'nobody' is not a wallet" in done.stderr


def test_what_was_found_is_json_can_be_kept_filtered_and_looked_at_again(kept: Path) -> None:
    pilot = pilot_of(kept)
    file, out = str(kept / "wallets.txt"), str(kept / "found.json")
    told = json.loads(pilot.cli("discover", "--from", file, *OFFLINE, "--out", out, "--json"))
    assert {"funnel", "past_rank", "tested", "rows"} <= told.keys()
    assert told["tested"] == len(told["rows"]) == 2
    assert json.loads(pilot.cli("discover", "--show", out, "--json")) == told
    none = json.loads(pilot.cli("discover", "--show", out, "--verdict", "copyable", "--json"))
    assert (none["rows"], none["tested"]) == ([], 2), "a filter changes what is shown, not how many were tested"
    events = [row["events"] for row in told["rows"]]
    some = json.loads(pilot.cli("discover", "--show", out, "--min-events", str(max(events)), "--json"))
    assert [row["events"] for row in some["rows"]] == [n for n in events if n == max(events)]
    assert "0 of 2 are shown." in pilot.cli("discover", "--show", out, "--verdict", "copyable")
    again = json.loads(pilot.cli("discover", "--from", out, *OFFLINE, "--json"))
    assert {row["wallet"] for row in again["rows"]} == {row["wallet"] for row in told["rows"]}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--from", "nowhere.txt"], "is no file, and neither leaderboard nor markets"),
        (["--budget", "0"], "takes requests, and --budget allows none"),
        (
            ["--from", "wallets.txt", "--dask", "host:8786"],
            "is no address of a Dask scheduler: expected tcp://host:8786",
        ),
        (["--verdict", "copiable"], "Did you mean copyable?"),
        (["--show", "wallets.txt"], "is not what `pilotfish discover --out` writes"),
        ([], "the venue does not say whom to look at"),
    ],
)
def test_what_cannot_be_done_is_refused_with_what_to_do(kept: Path, arguments: list[str], words: str) -> None:
    done = processes.run("discover", *arguments, cwd=kept, env=pilot_of(kept).environment)
    assert done.returncode in (ExitCode.PROBLEM, 2)
    assert words in " ".join(done.stderr.replace("│", " ").split())


COMMAND = ("discover", "--days", "30", "--budget", "200")


@pytest.mark.slow
def test_ctrl_c_keeps_what_is_read_and_the_same_command_goes_on(tmp_path: Path) -> None:
    with rig(tmp_path, "--scenario", "quiet", "--past", "30") as (_, pilot):
        board = History(str(tmp_path / "history"))
        with (tmp_path / "told").open("w") as told_to:
            stopped = processes.start(*COMMAND, cwd=tmp_path, env=pilot.environment, stderr=told_to)
        until("a market is read", lambda: board.keys("tape"))
        stopped.send_signal(signal.SIGINT)
        assert stopped.wait(60) == ExitCode.INTERRUPTED
        assert "the same command goes on from there" in (tmp_path / "told").read_text()
        tapes = board.keys("tape")
        told = json.loads(pilot.cli(*COMMAND, "--json"))
        assert set(tapes) <= set(board.keys("tape"))
        assert told["requests"] <= 200
        assert told["tested"] >= 1
