"""The main job as a person meets it: demo, replay, flat start, kill at any moment."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec
import pytest

from pilotfish.cli.session import clean_environment
from pilotfish.core.units import micro_from_decimal
from tests import processes
from tests.payloads.reading import Payloads
from tests.rig import WALLET, Pilot, Stand, rig, until


@pytest.mark.slow
def test_demo_ends_with_the_venues_own_number_of_trades_and_right_books(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pilotfish", "demo", "--for", "20", "--json", "--port", "0", "--seed", "11"],
        capture_output=True,
        text=True,
        timeout=120,
        cwd=tmp_path,
        env={**clean_environment(), "TRIGGER_MODE": "api", "FIXED_USDC": "9999"},
    )
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["verify"] == "ok"
    assert result["trades"] == result["venue_trades"] > 20
    first = result["trades_by_first_source"]
    assert first["api"] > 0
    assert first["polygon"] > first["api"]
    assert result["seen_by_both"] == result["trades"]
    assert result["decisions"]["copied"] >= result["fills"] - 1 > 0
    assert sum(result["decisions"]["skipped"].values()) + result["decisions"]["copied"] == result["trades"]
    assert result["open_positions"] > 0


@pytest.mark.slow
def test_the_replayed_whale_becomes_one_trade_a_row_exact_to_the_millionth(tmp_path: Path, payloads: Payloads) -> None:
    rows = msgspec.json.decode((payloads.folder / "activity_v1_whale.json").read_bytes())
    (whale,) = {str(r["proxyWallet"]) for r in rows}
    wanted = Counter((r["transactionHash"], r["asset"], r["side"], micro_from_decimal(r["size"]))
                     for r in rows if r["type"] == "TRADE")  # fmt: skip
    with rig(tmp_path, "--replay", str(payloads.folder)) as (_, pilot):
        pilot.start()
        pilot.follow(whale)
        trades = pilot.trades(wanted.total(), seconds=60)
        got = Counter((t["tx_hash"], t["token_id"], t["side"], t["shares_micro"]) for t in trades)
        assert got == wanted
        until(
            "all decided",
            lambda: len(pilot.reasons()) == wanted.total() and not [r for r in pilot.reasons() if "WAIT" in r],
        )
        counts = Counter(pilot.reasons())
        assert counts["SKIP_SAME_ORDER"] >= 32
        pilot.stop()
        pilot.verify()


@pytest.mark.slow
def test_replayed_logs_and_rows_are_one_trade_each(tmp_path: Path, payloads: Payloads) -> None:
    cases = msgspec.json.decode((payloads.folder / "order_filled_logs.json").read_bytes())
    with rig(tmp_path, "--replay", str(payloads.folder)) as (_, pilot):
        pilot.start()
        wallets = {c["expect"]["wallet"] for c in cases}
        for wallet in sorted(wallets):
            pilot.follow(wallet)
        until("all seen by both", lambda: sum(_by_both(t) for t in pilot.export("trades")) == len(cases))
        trades = pilot.export("trades")
        for case in cases:
            want = case["expect"]
            mine = [t for t in trades if t["leader"] == want["wallet"] and t["token_id"] == want["token_id"]
                    and t["shares_micro"] == want["shares_micro"]]  # fmt: skip
            assert [(t["side"], t["role"], t["usdc_micro"], t["fee_micro"]) for t in mine] == [
                (want["side"], want["role"], want["usdc_micro"], want["fee_micro"])
            ], case["name"]


def _by_both(trade: dict[str, Any]) -> bool:
    return bool(trade["first_seen_by_api_at"] and trade["first_seen_by_polygon_at"])


def test_a_flat_start_holds_nothing_and_takes_nothing_in_from_before(tmp_path: Path) -> None:
    with rig(tmp_path) as (stand, pilot):
        token = stand.market()
        for n in range(1, 6):
            stand.fill(token, "BUY", 10 * n, age=30, api_delay=0)
        pilot.start()
        pilot.follow()
        stand.fill(token, "BUY", 7)
        (trade,) = pilot.trades(1)
        assert trade["shares_micro"] == 7_000_000
        pilot.fills(1)
        assert pilot.held() == {token: 50_000_000}
        assert pilot.leader_holds(token) == 157_000_000
        pilot.verify()


@pytest.mark.slow
def test_killing_the_worker_at_any_moment_loses_and_doubles_nothing(tmp_path: Path) -> None:
    """The venue's story runs on while the worker is killed again and again, sooner and later after its start."""
    with rig(tmp_path, "--seed", "5", "--paused") as (stand, pilot):
        wallets = [x["wallet"] for x in stand.get("")["leaders"]]
        for wallet in wallets:
            pilot.cli("leaders", "add", wallet)
        pilot.start()
        stand.post("/resume")
        for round_ in range(6):
            time.sleep(0.7 + 0.45 * round_)  # the moment of the kill is the subject of this test
            pilot.kill()
            pilot.start(ready=round_ % 2 == 0)
        stand.post("/pause")
        until("the venue is settled", lambda: stand.get("/truth")["settled"])
        truth = stand.get("/truth")
        assert truth["trades"] > 15
        until("every trade is there", lambda: len(pilot.export("trades")) >= truth["trades"])
        until("all decided", lambda: all(d["action"] != "wait" for d in pilot.export("decisions")))
        trades = pilot.export("trades")
        assert Counter(t["leader"] for t in trades) == Counter({w: n for w, n in truth["by_wallet"].items() if n})
        decisions = pilot.export("decisions")
        assert sorted(d["trade_id"] for d in decisions) == sorted(t["id"] for t in trades)
        held = {(h["leader"], h["token_id"]): h["shares_micro"] for h in pilot.export("holdings")}
        assert held == {(w, t): n for w, tokens in truth["holdings"].items() for t, n in tokens.items()}
        pilot.stop()
        pilot.verify()


def test_leaders_and_settings_are_taken_up_while_the_worker_runs(tmp_path: Path) -> None:
    with rig(tmp_path, fixed_usdc=40) as (stand, pilot):
        token = stand.market()
        pilot.start()
        pilot.follow()
        stand.fill(token, "BUY", 100)
        assert pilot.fills(1)[0]["usdc_micro"] == 40_000_000
        pilot.cli("settings", "set", "fixed_usdc", "10")
        until("taken up", lambda: pilot.logged("settings taken up"))
        stand.fill(token, "BUY", 100)
        assert pilot.fills(2)[1]["usdc_micro"] == 10_000_000
        (row,) = [s for s in json.loads(pilot.cli("settings", "list", "--json")) if s["name"] == "fixed_usdc"]
        assert (row["value"], row["source"], row["default"]) == (10, "dashboard", 25)
        assert row["overrides"] == [{"source": "environment", "value": 40}]
        pilot.cli("leaders", "remove", WALLET)
        until("left", lambda: pilot.logged("leader removed"))
        stand.fill(token, "BUY", 100, api_delay=0)
        until("polls go on without him", lambda: pilot.status()["worker"]["leaders"] == {})
        assert len(pilot.export("trades")) == 2
        pilot.stop()


def test_commands_before_any_worker_ran_and_wrong_input(tmp_path: Path) -> None:
    pilot = Pilot(tmp_path, {})
    assert pilot.export("trades") == []
    assert json.loads(pilot.cli("leaders", "list", "--json")) == []
    assert json.loads(pilot.cli("status", "--json", code=1))["running"] is False
    pilot.verify()
    pilot.cli("leaders", "add", WALLET.upper().replace("0X", "0x"), "--label", "<b>Whale</b>")
    (leader,) = json.loads(pilot.cli("leaders", "list", "--json"))
    assert (leader["wallet"], leader["label"], leader["status"]) == (WALLET, "<b>Whale</b>", "active")
    pilot.cli("reset", "--yes")
    for arguments in (["leaders", "add", "0x12"], ["settings", "set", "fixed_usdc", "-1"], ["settings", "get", "nope"],
                      ["leaders", "remove", "0x" + "99" * 20], ["settings", "set", "admin_token", "x"]):  # fmt: skip
        done = processes.run(*arguments, cwd=tmp_path, env={**clean_environment(), **pilot.environment})
        assert done.returncode == 1, arguments
        assert done.stderr.startswith("Error: "), done.stderr
        assert "Traceback" not in done.stderr


def test_the_stand_in_venue_says_what_is_wrong_with_a_control(tmp_path: Path) -> None:
    stand = Stand(tmp_path, "--scenario", "quiet")
    try:
        with pytest.raises(OSError, match="400"):
            stand.post("/fills", wallet=WALLET)
        assert "POST /_sim/fills" in stand.get("")["controls"]
    finally:
        stand.close()
