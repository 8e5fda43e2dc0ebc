"""A backup taken from under a running worker is where another machine goes on."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from pilotfish.cli.session import clean_environment
from pilotfish.core.exit_codes import ExitCode
from tests.rig import Pilot, rig

pytestmark = pytest.mark.slow


def test_a_backup_of_a_running_worker_is_where_another_goes_on(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    file = str(tmp_path / "x.pilotfish")
    with rig(tmp_path, max_live_lag_sec=600) as (stand, pilot):
        token = stand.market()
        pilot.cli("settings", "set", "fixed_usdc", "50")
        pilot.start()
        pilot.follow()
        stand.fill(token, "BUY", 100)
        pilot.fills(1)
        told = json.loads(pilot.cli("backup", file, "--json"))
        assert told["rows"]["trades"] == told["rows"]["fills"] == 1
        assert "stop it first" in restore(pilot, file, replace=True)
        stand.fill(token, "SELL", 50, 0.49)  # after the backup: the other finds it by its cursor
        pilot.fills(2)
        pilot.stop()
        other = Pilot(tmp_path / "other", stand.urls, max_live_lag_sec=600)
        try:
            assert json.loads(other.cli("restore", file, "--json"))["verify"] == "ok"
            other.start()
            other.fills(2)
            assert other.held() == pilot.held() == {token: 50_000_000}
            same = ("id", "tx_hash", "side", "shares_micro", "traded_at", "class")
            first, theirs = (one.export("trades")[0] for one in (pilot, other))
            assert [theirs[name] for name in same] == [first[name] for name in same]
            assert other.cli("settings", "get", "fixed_usdc") == "50\n"
            other.stop()
            other.verify()
        finally:
            other.close()


def restore(pilot: Pilot, file: str, *, replace: bool) -> str:
    """What is said where it is refused."""
    from typer.testing import CliRunner

    from pilotfish.cli import app

    done = CliRunner().invoke(app, ["restore", file, *(["--replace"] if replace else [])], env=pilot.environment)
    assert done.exit_code == 1
    return str(done.exception)


def test_a_restore_that_finds_no_room_changes_nothing_and_does_not_blame_the_backup(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    file = tmp_path / "x.pilotfish"
    with rig(tmp_path) as (stand, pilot):
        token = stand.market()
        pilot.start()
        pilot.follow()
        stand.fill(token, "BUY", 100)
        pilot.fills(1)
        pilot.cli("backup", str(file))
        other = Pilot(tmp_path / "other", stand.urls)
        env = {**clean_environment(), **other.environment}
        done = subprocess.run(
            [sys.executable, "-m", "pilotfish", "restore", str(file)], env=env, cwd=tmp_path / "other", text=True,
            capture_output=True, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000)),
        )  # fmt: skip
        assert done.returncode == ExitCode.PROBLEM
        assert "nothing was restored into" in done.stderr
        assert "damaged" not in done.stderr
        assert "Nothing has been recorded yet" in other.cli("leaders", "list")
        assert json.loads(other.cli("restore", str(file), "--json"))["verify"] == "ok"


@pytest.mark.parametrize("broken", [b"", b"PK" + bytes(500), b"no backup at all"])
def test_what_is_no_backup_makes_no_database(tmp_path: Path, broken: bytes) -> None:
    file = tmp_path / "x.pilotfish"
    file.write_bytes(broken)
    told = Pilot(tmp_path, {}).cli("restore", str(file), code=1)
    assert told == ""
    assert not (tmp_path / "pilotfish.db").exists()
