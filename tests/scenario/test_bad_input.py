"""Promise 16: whatever comes in, there is a clear error and a health sign, nothing is lost, and the rest goes on."""

from __future__ import annotations

import resource
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pilotfish.cli.session import clean_environment
from tests import processes
from tests.rig import WALLET, Pilot, rig, until

pytestmark = [pytest.mark.scenario, pytest.mark.slow]
Saw = Callable[[str], None]


def row(token: str, n: int, **more: Any) -> dict[str, Any]:
    return {
        "type": "TRADE", "proxy_wallet": WALLET, "transaction_hash": f"0x{n:064x}", "is_combo": False,
        "condition_id": "0x" + "12" * 32, "token_id": token, "side": "BUY", "size": 10.5, "usdc_size": 5.25,
        "price": 0.5, "outcome": "Yes", "outcome_index": 0, "title": "", "slug": "", "icon": "", "event_slug": "",
        "timestamp": int(time.time()), **more,
    }  # fmt: skip


def bad_inputs(pilot: Pilot) -> list[str]:
    return [
        str(line["error"]) for line in pilot.logged("input cannot be used; it is kept under bad inputs")
    ]  # fmt: skip


def test_malformed_and_absurd_rows_are_counted_and_shown_and_the_good_ones_go_on(tmp_path: Path, saw: Saw) -> None:
    with rig(tmp_path) as (stand, pilot):
        token = stand.market()
        pilot.start()
        pilot.follow()
        wrong = [
            row(token, 1, size="NaN"), row(token, 2, size=1e40), row(token, 3, price=7), row(token, 4, side="HOLD"),
            row("not-a-token", 5), row(token, 6, transaction_hash="0x12"), row(token, 7, size=None),
        ]  # fmt: skip
        stand.post("/rows", rows=[*wrong, row(token, 8), row(token, 9, type="SOMETHING_NEW")])
        (trade,) = pilot.trades(1)
        pilot.fills(1)
        until("all are reported", lambda: len(bad_inputs(pilot)) == len(wrong))
        state = until("shown", lambda: s if (s := pilot.status())["bad_inputs"] == len(wrong) else None)
        saw(f"{len(wrong)} bad rows, for example: {bad_inputs(pilot)[1]}")
        assert trade["shares_micro"] == 10_500_000
        assert state is not None
        assert state["worker"]["counts"]["bad_api"] == len(wrong)
        assert all(said.split(": ", 1)[1] for said in bad_inputs(pilot))


def test_an_unknown_token_is_skipped_after_bounded_tries_and_holds_nobody_up(tmp_path: Path, saw: Saw) -> None:
    with rig(tmp_path, retry_interval_ms=200) as (stand, pilot):
        token = stand.market()
        pilot.start()
        pilot.follow()
        stand.post("/rows", row=row("123456789", 1))
        stand.fill(token, "BUY", 100)
        pilot.fills(1)
        until("skipped", lambda: "SKIP_UNKNOWN_MARKET" in pilot.reasons())
        asked = stand.get("/requests")["requests"]["data/v2/tokens"]
        saw(f"{sorted(pilot.reasons())} after {asked} look-ups")
        assert sorted(pilot.reasons()) == ["COPY", "SKIP_UNKNOWN_MARKET"]
        assert 1 <= asked <= 5


@pytest.mark.parametrize("mode", ["html", "truncate", "empty", "status", "hang"])
def test_a_broken_data_api_is_shown_and_nothing_is_lost(tmp_path: Path, saw: Saw, mode: str) -> None:
    with rig(tmp_path, trigger_mode="api", api_health_stale_ms=1500) as (stand, pilot):
        token = stand.market()
        pilot.start()
        pilot.follow()
        stand.post("/faults", service="data", mode=mode, status=500)
        until("shown as down", lambda: not pilot.status()["worker"]["api"]["healthy"])
        said = pilot.status()["worker"]["api"]["detail"]
        stand.fill(token, "BUY", 100, api_delay=0)
        stand.post("/faults", service="data", mode="off")
        pilot.trades(1)
        until("well again", lambda: pilot.status()["worker"]["api"]["healthy"])
        saw(f"{mode}: {said[:110]}")
        assert "no answer for" in said


def test_frames_that_are_cut_off_are_counted_and_the_socket_goes_on(tmp_path: Path, saw: Saw) -> None:
    with rig(tmp_path) as (stand, pilot):
        token = stand.market()
        pilot.start()
        pilot.follow()
        broken = '{"jsonrpc":"2.0","method":"eth_subscription","params":{"subscription":"0x1","result":'
        for frame in (
            broken,
            "[1, 2]",
            '"text"',
            '{"id": "x"}',
            broken + '{"number": "zz"}}}',
            broken + '{"topics": ["0x1"]}}}',
            broken + "null}}",
        ):
            stand.post("/rpc", action="raw", value=frame)
        stand.fill(token, "BUY", 100, api_delay=3600)
        pilot.trades(1)
        until("reported", lambda: len(bad_inputs(pilot)) >= 5)
        saw(f"{len(bad_inputs(pilot))} reported, for example: {bad_inputs(pilot)[0]}")
        assert pilot.status()["worker"]["polygon"]["reconnects"] == 0


def test_the_wrong_chain_is_refused_by_name_and_the_api_goes_on(tmp_path: Path, saw: Saw) -> None:
    with rig(tmp_path) as (stand, pilot):
        token = stand.market()
        stand.post("/rpc", action="chain_id", value=1)
        pilot.start(ready=False)
        pilot.cli("leaders", "add", WALLET)
        until(
            "said",
            lambda: (
                "serves chain 1; expected Polygon (137)"
                in str((pilot.status()["worker"] or {}).get("polygon", {}).get("detail"))
            ),
        )
        until("polled", lambda: pilot.status()["worker"]["leaders"].get(WALLET, {}).get("last_ok_at"))
        stand.fill(token, "BUY", 100)
        assert pilot.trades(1)[0]["first_source"] == "api"
        saw(str(pilot.status()["worker"]["polygon"]["detail"]))
        stand.post("/rpc", action="chain_id", value=137)
        until("accepted", lambda: pilot.status()["worker"]["polygon"]["healthy"])


def test_with_every_service_down_at_the_start_it_waits_and_then_works(tmp_path: Path, saw: Saw) -> None:
    with rig(tmp_path, api_health_stale_ms=1500) as (stand, pilot):
        token = stand.market()
        for service in ("data", "gamma", "clob"):
            stand.post("/faults", service=service, mode="status", status=503)
        stand.post("/rpc", action="refuse", seconds=3600)
        pilot.cli("leaders", "add", WALLET)
        pilot.start(ready=False)
        until(
            "both are down",
            lambda: (
                (w := pilot.status()["worker"])
                and "no answer for" in w["api"]["detail"]
                and not w["api"]["healthy"]
                and not w["polygon"]["healthy"]
            ),
        )
        code = pilot.cli("status", code=1)
        for service in ("data", "gamma", "clob"):
            stand.post("/faults", service=service, mode="off")
        stand.post("/rpc", action="refuse", seconds=0)
        until("up", pilot.ready)
        stand.fill(token, "BUY", 100)
        pilot.fills(1)
        saw("status had exit code 1 while both sources were down; copied once they were up")
        assert "down" in code


def test_gamma_down_the_data_apis_tokens_stand_in_with_the_highest_fee(tmp_path: Path, saw: Saw) -> None:
    with rig(tmp_path) as (stand, pilot):
        token = stand.market(fee_rate=0.04)
        pilot.start()
        pilot.follow()
        stand.post("/faults", service="gamma", mode="html")
        stand.fill(token, "BUY", 100)
        (fill,) = pilot.fills(1)
        saw(f"fee {fill['fee_micro']} where the true one is 500000")
        assert fill["fee_micro"] == 875_000


def test_a_book_that_is_rubbish_is_no_book(tmp_path: Path, saw: Saw) -> None:
    with rig(tmp_path, retry_interval_ms=200, local_books=False) as (stand, pilot):
        token = stand.market()
        pilot.start()
        pilot.follow()
        stand.post("/faults", service="clob", mode="html")
        stand.fill(token, "BUY", 100)
        pilot.decided("SKIP_NO_BOOK")
        saw(str(pilot.status()["worker"]["books"]["detail"])[:110])
        assert not pilot.status()["worker"]["books"]["healthy"]
        assert pilot.held() == {}


def test_a_disk_that_is_full_loses_nothing(tmp_path: Path, saw: Saw) -> None:
    """The worker's files may not grow for some seconds, as on a full disk."""
    with rig(tmp_path) as (stand, pilot):
        token = stand.market()
        pilot.start()
        pilot.follow()
        stand.fill(token, "BUY", 100)
        pilot.fills(1)
        assert pilot.process is not None
        unlimited = resource.prlimit(pilot.process.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(pilot.process.pid, resource.RLIMIT_FSIZE, (4096, unlimited[1]))
        message = "cannot write to the database; nothing is lost, trying again"
        with (tmp_path / "run-1.log").open() as log:
            until("it says so", lambda: message in log.read())
        stand.fill(token, "SELL", 50, 0.49, api_delay=0)
        time.sleep(2)  # so that the fill is taken in while nothing can be written
        assert len(pilot.export("trades")) == 1
        resource.prlimit(pilot.process.pid, resource.RLIMIT_FSIZE, unlimited)
        pilot.fills(2)
        until("well again", lambda: pilot.status()["running"] and pilot.status()["worker"]["database"]["healthy"])
        database = pilot.status()["worker"]["database"]
        saw(f"{database['failures']} refused writes, then all {len(pilot.export('trades'))} trades and the fill of the "
            "sell")  # fmt: skip
        assert database["failures"] > 0
        assert pilot.held() == {token: 25_000_000}
        pilot.stop()
        pilot.verify()


def test_a_database_that_is_locked_for_a_while_loses_nothing(tmp_path: Path, saw: Saw) -> None:
    with rig(tmp_path) as (stand, pilot):
        token = stand.market()
        pilot.start()
        pilot.follow()
        locker = sqlite3.connect(tmp_path / "pilotfish.db", isolation_level=None)
        locker.execute("BEGIN IMMEDIATE")
        stand.fill(token, "BUY", 100, api_delay=0)
        time.sleep(7)  # longer than the busy timeout
        locker.execute("ROLLBACK")
        locker.close()
        pilot.fills(1)
        saw(f"{pilot.status()['worker']['database']['failures']} refused writes, then everything")
        pilot.stop()
        pilot.verify()


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("sqlite:////proc/nowhere/x.db", "cannot open /proc/nowhere/x.db"),
        ("mysql://a:secret@b/c", "mysql is not supported"),
        ("postgresql://me:secret@127.0.0.1:1/x", "cannot open postgresql"),
        ("rubbish", "DATABASE_URL cannot be read"),
    ],
)
def test_a_database_that_cannot_be_opened_is_an_error_that_says_what_to_do(
    tmp_path: Path, saw: Saw, url: str, said: str
) -> None:
    for arguments in (["run", "--no-web"], ["leaders", "add", WALLET], ["leaders", "list"]):
        done = processes.run(*arguments, cwd=tmp_path, env={**clean_environment(), "DATABASE_URL": url}, timeout=30)
        nothing_there = url.startswith("sqlite") and arguments[-1] == "list"  # no file: nothing to open, and none made
        assert done.returncode == (0 if nothing_there else 1)
        assert ("Nothing has been recorded yet" if nothing_there else said) in done.stdout + done.stderr
        assert "secret" not in done.stderr
        assert "Traceback" not in done.stderr
    saw(done.stderr.strip()[:150])


def test_two_workers_on_one_database_the_second_refuses(tmp_path: Path, saw: Saw) -> None:
    with rig(tmp_path) as (stand, pilot):
        pilot.start()
        second = Pilot(tmp_path, stand.urls)
        second.runs = 5
        second.start(ready=False)
        assert second.process is not None
        assert second.process.wait(10) == 1
        (said,) = [line for line in second.log.read_text().splitlines() if "another worker" in line]
        saw(said)
        second.process = None
        assert pilot.process is not None
        assert pilot.process.poll() is None
        pilot.kill()
        pilot.start()
