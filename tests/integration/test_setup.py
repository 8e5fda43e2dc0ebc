"""The first minutes: ``init`` writes what is needed, ``doctor`` names what is missing and what to do."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from pilotfish.cli.stand import free_port
from tests.rig import WALLET, Pilot, Stand, rig

pytestmark = pytest.mark.slow


def checks(pilot: Pilot, code: int = 0) -> dict[str, dict[str, str]]:
    told = json.loads(pilot.cli("doctor", "--json", code=code))
    assert told["ok"] is (code == 0)
    return {c["name"]: c for c in told["checks"]}


def test_doctor_names_what_is_wrong_and_what_to_do(tmp_path: Path) -> None:
    with rig(tmp_path, web_port=free_port()) as (stand, pilot):
        found = checks(pilot)
        green = {n for n, c in found.items() if c["state"] == "ok"}
        assert green >= {"settings", "database", "Data API", "clock", "Gamma", "order books", "market channel",
                         "Polygon", "Polygon over HTTP"}  # fmt: skip
        assert found["leaders"]["state"] == "warn"
        assert "leaders add" in found["leaders"]["fix"]
        _broken(stand, pilot)
        stand.post("/rpc", action="chain_id", value=1)
        found = checks(pilot, 1)
        assert "serves chain 1" in found["Polygon"]["detail"]
        assert "137" in found["Polygon"]["fix"]
        del pilot.environment["POLYGON_WS_URL"], pilot.environment["POLYGON_HTTP_URL"]
        found = checks(pilot)
        assert found["Polygon"]["state"] == "warn", "without a key it works, and says what is lost"
        assert "some seconds later" in found["Polygon"]["detail"]
        pilot.environment["FIXED_USDC"] = "a lot"
        assert "FIXED_USDC" in checks(pilot, 1)["settings"]["detail"]
        del pilot.environment["FIXED_USDC"]
        pilot.environment["DATABASE_URL"] = "sqlite:////proc/nowhere/x.db"
        assert "cannot open" in checks(pilot, 1)["database"]["detail"]


def _broken(stand: Stand, pilot: Pilot) -> None:
    for service, part in (("data", "Data API"), ("gamma", "Gamma"), ("clob", "order books")):
        for fault in ({"mode": "status", "status": 500}, {"mode": "html"}):
            stand.post("/faults", service=service, **fault)
            found = checks(pilot, 1)
            assert found[part]["state"] == "fail", (part, fault)
            assert "URL" in found[part]["fix"]
            stand.post("/faults", service=service, mode="off")


def test_doctor_prints_a_line_a_part_and_hides_keys(tmp_path: Path) -> None:
    key = "a1b2c3d4e5f6a7b8c9d0e1f2"
    with rig(tmp_path, polygon_ws_url=f"ws://127.0.0.1:9/v2/{key}") as (_, pilot):
        shown = pilot.cli("doctor", code=1)
        assert "✗ fail  Polygon" in shown
        assert "● ok    Data API" in shown
        assert key not in shown


def test_init_writes_the_environment_for_you_alone_and_follows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    pilot = Pilot(tmp_path, {})
    pilot.cli("init", code=1)
    assert not (tmp_path / ".env").exists(), "nobody is there to be asked"
    told = pilot.cli("init", "--yes", "--leader", WALLET, "--polygon-ws-url", "wss://polygon.example/v2/key")
    written = (tmp_path / ".env").read_text()
    assert stat.S_IMODE((tmp_path / ".env").stat().st_mode) == 0o600
    assert "POLYGON_WS_URL=wss://polygon.example/v2/key" in written
    assert "TRIGGER_MODE=both" in written
    token = next(line.removeprefix("ADMIN_TOKEN=") for line in written.splitlines() if line.startswith("ADMIN_TOKEN="))
    assert len(token) >= 24
    assert token in told
    assert [row["wallet"] for row in json.loads(pilot.cli("leaders", "list", "--json"))] == [WALLET]
    pilot.cli("init", "--yes", code=1)
    assert (tmp_path / ".env").read_text() == written, "what is there is not written over"
    pilot.cli("init", "--yes", "--force")
    assert "TRIGGER_MODE=api" in (tmp_path / ".env").read_text()
    pilot.cli("init", "--yes", "--force", "--leader", "0x12", code=1)
    pilot.cli("init", "--yes", "--force", "--polygon-ws-url", "https://polygon.example", code=1)
