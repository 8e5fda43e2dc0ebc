"""The journal of a real worker: it runs again identically, also after kill -9; nothing secret is in it; and where it
cannot be written, copying goes on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pilotfish.app import journal_format as form
from pilotfish.core import events as ev
from pilotfish.core.units import MICRO
from tests.rig import Pilot, Stand, rig, until

pytestmark = pytest.mark.slow


def replayed(pilot: Pilot, *arguments: str, code: int = 0) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(pilot.cli("replay", *arguments, "--json", code=code))
    return told


def folder(pilot: Pilot) -> Path:
    return pilot.folder / "journal" / "pilotfish.db"


def trade(stand: Stand, pilot: Pilot, n: int = 4, *, patient: bool = True) -> None:
    """The leader buys ``n`` times and sells half; ``patient``: once the copies are filled."""
    token = stand.market()
    before = len(pilot.export("trades"))
    for _ in range(n):
        stand.fill(token, "BUY", 100)
    if patient:
        pilot.fills(n)
    stand.fill(token, "SELL", 50 * n)
    pilot.trades(before + n + 1)


def test_a_workers_run_is_replayed_identically_and_other_settings_are_shown_beside_it(tmp_path: Path) -> None:
    with rig(tmp_path) as (stand, pilot):
        pilot.start()
        pilot.follow()
        trade(stand, pilot)
        pilot.fills(5)
        pilot.stop()
        assert replayed(pilot, str(tmp_path)) == {"replay": "identical"}
        assert replayed(pilot) == {"replay": "identical"}
        told = replayed(pilot, str(folder(pilot)), "--set", "fixed_usdc=50", "max_copy_usdc=1000")
        positions = pilot.export("positions")
        assert told["replay"] == "identical"
        before, after = told["original"]["main"], told["changed"]["main"]
        assert before["realized_pnl_micro"] == sum(p["realized_pnl_micro"] for p in positions)
        assert before["fills"] == len(pilot.export("fills")) == 5
        assert after["cash_micro"] - 10_000 * MICRO == 2 * (before["cash_micro"] - 10_000 * MICRO) < 0
        assert told["books"] == "ok"
        assert told["answered"]["books"]["missing"] == 0
        shown = pilot.cli("replay", "--set", "fixed_usdc=50")
        assert "original" in shown
        assert "changed" in shown
        assert "answered by the next recorded answer" in shown


def test_killed_at_any_moment_the_journal_claims_nothing_that_is_not_stored(tmp_path: Path) -> None:
    with rig(tmp_path) as (stand, pilot):
        pilot.start()
        pilot.follow()
        for kills in range(3):
            trade(stand, pilot, 2 + kills, patient=False)
            pilot.kill()
            told = replayed(pilot, str(tmp_path))
            assert told["replay"] == "identical"
            assert any("has no end" in note for note in told["notes"])
            stored = {row["tx_hash"] for row in pilot.export("trades")}
            assert recorded_trades(pilot) <= stored
            pilot.start()
        pilot.stop()
        told = replayed(pilot, str(tmp_path))
        assert told["replay"] == "identical"
        assert len(form.runs(folder(pilot))) == 4
        assert recorded_trades(pilot) == {row["tx_hash"] for row in pilot.export("trades")}
        pilot.verify()


def recorded_trades(pilot: Pilot) -> set[str]:
    """Transactions that the journal says entered."""
    found = set()
    for run in form.runs(folder(pilot)):
        for entry in form.Reader(run):
            event = form.decode_event(entry.event)
            if isinstance(event, ev.ChainFillSeen):
                found.add(event.fill.tx_hash)
            elif isinstance(event, ev.ApiWindowRead):
                found |= {fill.tx_hash for fill in event.fills}
    return found


def test_where_the_journal_cannot_be_written_copying_goes_on_and_it_is_said(tmp_path: Path) -> None:
    with rig(tmp_path) as (stand, pilot):
        (tmp_path / "journal").write_text("a file where the folder should be")
        pilot.start()
        pilot.follow()
        trade(stand, pilot)
        pilot.fills(5)
        state = until("it is said", lambda: s if (s := journal_of(pilot))["state"] == "paused" else None)
        assert state is not None
        assert str(tmp_path / "journal") in state["detail"]
        assert state["healthy"] is False
        assert "not written" in pilot.cli("status")
        assert pilot.logged("cannot write the journal; copying goes on, trying again")
        (tmp_path / "journal").unlink()
        until("it goes on", lambda: journal_of(pilot)["state"] == "on")
        pilot.stop()
        assert replayed(pilot) == {"replay": "identical"}
        pilot.verify()


def journal_of(pilot: Pilot) -> dict[str, Any]:
    found: dict[str, Any] = pilot.status()["worker"]["journal"]
    return found


def test_nothing_secret_is_in_the_journal(tmp_path: Path) -> None:
    secret = "k3y1234567890abcdef"
    with rig(tmp_path, admin_token="adm1n-token-of-mine", alert_urls="json://nobody:pa55word-of-mine@127.0.0.1:9") as (
        stand,
        pilot,
    ):
        pilot.environment["POLYGON_WS_URL"] = f"ws://127.0.0.1:9/v2/{secret}"
        pilot.start(ready=False)
        pilot.cli("leaders", "add", "0x" + "a1" * 20)
        token = stand.market()
        until("followed", lambda: any(row["event"] == "following" for row in pilot.logged("following")))
        stand.fill(token, "BUY", 100)
        pilot.trades(1)
        pilot.stop()
        assert replayed(pilot)["replay"] == "identical"
        everything = b"".join(bytes(e.event) for run in form.runs(folder(pilot)) for e in form.Reader(run))
        assert b"HealthChanged" in everything
        for hidden in (secret, "adm1n-token-of-mine", "pa55word-of-mine"):
            assert hidden.encode() not in everything
            assert all(hidden.encode() not in s.path.read_bytes() for s in form.segments(folder(pilot)))
        assert all(s.path.stat().st_mode & 0o077 == 0 for s in form.segments(folder(pilot)))


def test_switched_off_nothing_is_written(tmp_path: Path) -> None:
    with rig(tmp_path, journal="false") as (stand, pilot):
        pilot.start()
        pilot.follow()
        trade(stand, pilot, 2)
        assert journal_of(pilot)["state"] == "off"
        pilot.cli("settings", "set", "journal", "true")
        until("it waits for the next start", lambda: journal_of(pilot)["state"] == "waiting")
        pilot.stop()
        assert not (tmp_path / "journal").exists()
        pilot.start()
        until("it is written", lambda: journal_of(pilot)["state"] == "on")
        pilot.stop()
        assert replayed(pilot) == {"replay": "identical"}
