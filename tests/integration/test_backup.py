"""A backup taken from under a running worker is where another machine goes on."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

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
