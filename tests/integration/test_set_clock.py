"""A machine whose clock is set by an hour while a worker runs: nothing hangs, nothing is lost, nobody is alarmed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from pilotfish.core.exit_codes import ExitCode
from tests.integration.test_alerts import Inbox
from tests.processes import SetClock
from tests.rig import Pilot, Stand, rig, until

pytestmark = pytest.mark.slow
HOUR = 3600
FALSE_ALARMS = ("a part of the worker does not move", "the worker hangs and ends itself",
                "the loop was not run for a while; no part is blamed for it")  # fmt: skip


@pytest.fixture
def inbox() -> Iterator[Inbox]:
    made = Inbox()
    yield made
    made.server.shutdown()
    made.server.server_close()


def alarms(pilot: Pilot) -> list[str]:
    """What the worker took for a hang."""
    return [name for name in FALSE_ALARMS if pilot.logged(name)]


def traded(stand: Stand, pilot: Pilot, token: str, made: int) -> None:
    """One trade more is stored and decided; ``made``: how many there are then."""
    stand.fill(token, "BUY", 10 + made)
    pilot.trades(made)
    until("it is decided", lambda: len(pilot.export("decisions")) == made)


@pytest.mark.parametrize("step", [HOUR, -HOUR], ids=["forward and back", "back and forward"])
def test_a_clock_that_is_set_by_an_hour_under_a_running_worker_hangs_loses_and_alarms_nothing(
    tmp_path: Path, inbox: Inbox, step: int
) -> None:
    clock = SetClock(tmp_path)
    with rig(tmp_path, alert_urls=inbox.address, alert_on="health", alert_after_sec=5) as (stand, pilot):
        pilot.environment |= clock.environment
        token = stand.market()
        pilot.start()
        pilot.follow()
        traded(stand, pilot, token, 1)
        made = 1
        for ahead in (step, 0):
            assert pilot.process is not None
            back = ahead < (0 if ahead else step)
            clock.set(ahead)
            if back:
                assert pilot.process.wait(60) == ExitCode.INTERNAL, "time in the engine never goes back"
                assert "clock" in pilot.log.read_text()
                assert alarms(pilot) == []
                pilot.start(ready=False)
                until("it works", lambda: pilot.logged("following"))
            made += 1
            traded(stand, pilot, token, made)
            ticks = _events(pilot)
            until("time goes on", lambda ticks=ticks: _events(pilot) > ticks + 5)  # type: ignore[misc]
            assert pilot.process.poll() is None
            assert alarms(pilot) == []
        cash = pilot.status()["portfolios"][0]["cash_micro"]
        assert cash == 10_000 * 10**6 - sum(f["usdc_micro"] for f in pilot.export("fills")), "of now, not of later"
        told = [line for line in inbox.lines() if "clock" not in line]
        assert told == [], "nobody is told of a source that is down: none was"
        pilot.stop()
        pilot.verify()


def _events(pilot: Pilot) -> int:
    """How many events the engine has taken, as the worker says itself."""
    return int(json.loads(pilot.cli("status", "--json", code=None))["worker"]["counts"].get("events", 0))
