"""Nothing missed: the leaders' own history is read again, and what is not stored is named, and taken in when asked."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from tests.rig import WALLET, Pilot, rig, until
from tests.scenario.test_bad_input import row

pytestmark = pytest.mark.slow
WARM: dict[str, Any] = {
    "trigger_mode": "api", "startup_mode": "warm", "warm_start_seconds": 900, "late_rows_interval_sec": 0,
    "poll_overlap_sec": 0,
}  # fmt: skip


def compared(pilot: Pilot, *more: str, code: int) -> dict[str, Any]:
    """What ``verify --against-venue`` says."""
    said: dict[str, Any] = json.loads(
        pilot.cli("verify", "--against-venue", "--hours", "1", "--json", *more, code=code)
    )
    return said


def test_each_trade_of_the_venue_is_stored_once_or_named_and_taken_in_as_backfill(tmp_path: Path) -> None:
    with rig(tmp_path, **WARM) as (stand, pilot):
        token = stand.market()
        then = int(time.time()) - 600
        stand.post("/rows", rows=[row(token, n, timestamp=then + n) for n in range(3)])
        stand.post("/rows", rows=[row(token, 9, timestamp=then + 9)] * 2)  # identical fills of one transaction
        pilot.start()
        pilot.follow()
        pilot.trades(5)
        good = compared(pilot, code=0)
        assert good["verify"] == "ok"
        (one,) = good["against_venue"]
        assert (one["leader"], one["rows"], one["stored"], one["missing"]) == (WALLET, 5, 5, [])
        assert "the venue's 5 trades are stored, each once" in " ".join(pilot.cli("verify", "--against-venue").split())

        stand.fill(token, "BUY", 100)  # the cursor is now well beyond what appears late
        pilot.trades(6)
        late = row(token, 50, timestamp=then + 50, size=33.0)
        stand.post("/rows", rows=[late, row(token, 9, timestamp=then + 9)])
        bad = until("the venue shows them", lambda: _missing(pilot, 2))
        assert bad is not None
        assert {m["tx_hash"] for m in bad["against_venue"][0]["missing"]} == {f"0x{50:064x}", f"0x{9:064x}"}
        assert len(bad["verify"]) == 2
        assert "is not stored" in bad["verify"][0]

        taken = compared(pilot, "--take-in", code=0)
        assert taken["taken_in"] == ["2 taken in"]
        assert (taken["verify"], taken["against_venue"][0]["stored"]) == ("ok", 7)
        found = [t for t in pilot.export("trades") if t["tx_hash"] in (f"0x{50:064x}", f"0x{9:064x}")]
        assert {t["class"] for t in found} == {"backfill"}
        assert sorted(t["occurrence"] for t in found) == [1, 1, 2, 3]
        assert compared(pilot, "--take-in", code=0)["against_venue"][0]["missing"] == []
        pilot.stop()
        pilot.verify()


def _missing(pilot: Pilot, n: int) -> dict[str, Any] | None:
    said = json.loads(pilot.cli("verify", "--against-venue", "--hours", "1", "--json", code=None))
    return said if len(said["against_venue"][0]["missing"]) == n else None


def test_without_a_worker_what_is_missing_is_taken_in_by_the_next_one(tmp_path: Path) -> None:
    with rig(tmp_path, **WARM) as (stand, pilot):
        token = stand.market()
        pilot.start()
        pilot.follow()
        stand.fill(token, "BUY", 100)
        pilot.trades(1)
        pilot.stop()
        stand.post("/rows", rows=[row(token, 50, timestamp=int(time.time()) - 300)])
        until("the venue shows it", lambda: _missing(pilot, 1))
        pilot.cli("verify", "--take-in", "--json", code=1)
        pilot.start()
        until("it was taken in", lambda: compared_quietly(pilot) == [])
        pilot.stop()
        pilot.verify()


def compared_quietly(pilot: Pilot) -> list[dict[str, Any]]:
    said = json.loads(pilot.cli("verify", "--against-venue", "--json", code=None))
    return list(said["against_venue"][0]["missing"])


def test_a_venue_that_does_not_answer_is_said_and_proves_nothing(tmp_path: Path) -> None:
    with rig(tmp_path, **WARM) as (stand, pilot):
        pilot.start()
        pilot.follow()
        stand.post("/faults", service="data/v2/activity", mode="status", status=400)
        said = pilot.cli("verify", "--against-venue", code=None)
        assert "stored, each once" not in said
