"""The first minutes: ``init`` writes what is needed, ``doctor`` names what is missing and what to do."""

from __future__ import annotations

import json
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import pilotfish
from pilotfish.cli.session import clean_environment
from pilotfish.cli.stand import free_port
from tests.rig import WALLET, Pilot, Stand, rig
from tests.terminal import at_terminal

pytestmark = pytest.mark.slow
NOWHERE = {"DATA_API_URL": "http://127.0.0.1:9", "GAMMA_API_URL": "http://127.0.0.1:9"}
"""A venue that cannot be reached."""
SOURCE = Path(pilotfish.__file__).parent.parent


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
    pilot = Pilot(tmp_path, NOWHERE)
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


@pytest.fixture(scope="module")
def busy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stand]:
    """A venue with people who have names."""
    stand = Stand(tmp_path_factory.mktemp("busy"), "--paused")
    yield stand
    stand.close()


def wallets(stand: Stand) -> dict[str, str]:
    """Name -> wallet of who trades there."""
    return {one["label"]: one["wallet"] for one in stand.get("")["leaders"]}


def test_init_takes_names_and_urls_and_shows_who_that_is(
    busy: Stand, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    pilot, known = Pilot(tmp_path, busy.urls), wallets(busy)
    profile = f"https://polymarket.com/profile/{known['Holder']}"
    for wrong in ("Nobody at all", "Nobodyatall", "0x12"):
        pilot.cli("init", "--yes", "--leader", "Whale", "--leader", wrong, code=1)
        assert not (tmp_path / ".env").exists(), "somebody who is not there is refused before anything is written"
    told = pilot.cli("init", "--yes", "--leader", "whale", "--leader", profile, "--leader", WALLET).splitlines()
    assert told[0].startswith(f"{known['Whale']} is Whale. ")
    assert told[1].startswith(f"{known['Holder']} is Holder. ")
    assert told[2].startswith(f"{WALLET} is somebody without a name at the venue. ")
    assert "3 leaders followed." in told[4]
    rows = json.loads(pilot.cli("leaders", "list", "--json"))
    assert {r["wallet"]: r["label"] for r in rows} == {known["Whale"]: "Whale", known["Holder"]: "Holder", WALLET: ""}
    assert pilot.cli("leaders", "add", "@Stepper").splitlines()[-1] == f"{known['Stepper']} is followed from now on"
    pilot.cli("leaders", "add", known["Whale"], "--label", "The whale")
    pilot.cli("leaders", "add", "Whale")
    labels = {r["wallet"]: r["label"] for r in json.loads(pilot.cli("leaders", "list", "--json"))}
    assert (labels[known["Stepper"]], labels[known["Whale"]]) == ("Stepper", "The whale")


def test_init_goes_on_with_wallets_where_the_venue_cannot_be_reached(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    pilot = Pilot(tmp_path, NOWHERE)
    told = pilot.cli("init", "--yes", "--leader", WALLET, "--leader", "Whale", code=1)
    assert f"{WALLET} is somebody whose name is not known (gamma /public-profile" in told
    assert "Their own record is not known: data /v2/" in told
    assert "the venue cannot be asked who 'Whale' is" in told
    assert "1 leader followed." in told
    assert [row["wallet"] for row in json.loads(pilot.cli("leaders", "list", "--json"))] == [WALLET]


def test_init_asks_at_a_terminal_and_shows_who_that_is_before_it_follows(busy: Stand, tmp_path: Path) -> None:
    known = wallets(busy)
    env = {**clean_environment(), **Pilot(tmp_path, busy.urls).environment, "PYTHONPATH": str(SOURCE)}
    asked = "Whom to follow"
    shown = at_terminal(
        lambda tty: subprocess.Popen(
            [sys.executable, "-m", "pilotfish", "init"], cwd=tmp_path, env=env, stdin=tty, stdout=tty, stderr=tty
        ),
        typed=[
            (asked, "Whale"), ("is Whale.", ""), (asked, "Nobodyatall"), (asked, known["Holder"]),
            ("Follow them?", "n"), (asked, ""), ("Polygon WebSocket URL", ""),
        ],
    )  # fmt: skip
    assert "nobody is called exactly 'Nobodyatall'" in " ".join(shown.split())
    assert "1 leader followed." in " ".join(shown.split())
    pilot = Pilot(tmp_path, busy.urls)
    assert [row["wallet"] for row in json.loads(pilot.cli("leaders", "list", "--json"))] == [known["Whale"]]
