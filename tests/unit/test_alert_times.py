"""Quiet hours, the daily summary's hour over changes of the clock, the provider's units, and a fall that is told."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest

from pilotfish.app import alerts
from pilotfish.app.alert_times import Times, times_of, zone_of
from pilotfish.app.alerts import Alerts
from pilotfish.app.daily import summary
from pilotfish.app.provider_use import ProviderUse
from pilotfish.core.effects import Insert
from pilotfish.core.records import EquityRecord
from pilotfish.core.settings import SettingError, Value
from pilotfish.core.units import MICRO, SECOND
from pilotfish.feeds.clock import Clock
from pilotfish.feeds.hub import Hub
from pilotfish.polymarket.polygon import CALLS, EVENTS
from pilotfish.store.worker_state import ProviderState
from tests.integration.test_alerts import Inbox
from tests.story import play

BERLIN = ZoneInfo("Europe/Berlin")


def at(*parts: int, zone: Any = BERLIN, fold: int = 0) -> float:
    return datetime(*parts, tzinfo=zone, fold=fold).timestamp()  # type: ignore[misc, arg-type]


def test_quiet_hours_go_over_midnight_and_by_the_readers_zone() -> None:
    night = Times(BERLIN, quiet_from=22, quiet_to=7)
    day = [hour for hour in range(24) if not night.is_quiet(at(2026, 7, 1, hour))]
    assert day == list(range(7, 22))
    assert [h for h in range(24) if Times(UTC, 9, 17).is_quiet(at(2026, 7, 1, h, zone=UTC))] == list(range(9, 17))
    assert not any(Times(BERLIN, 5, 5).is_quiet(at(2026, 7, 1, hour)) for hour in range(24))
    assert night.is_quiet(at(2026, 3, 29, 3))  # the hour after the one that was left out
    assert night.is_quiet(at(2026, 10, 25, 2, fold=1))


def test_the_daily_hour_comes_once_a_day_also_when_clocks_change() -> None:
    for hour in (2, 8):
        times = Times(BERLIN, daily=hour)
        for first in (datetime(2026, 3, 27, 12, tzinfo=BERLIN), datetime(2026, 10, 23, 12, tzinfo=BERLIN)):
            due = first.timestamp()
            days = []
            for _ in range(5):
                due = times.next_daily(due)
                told = datetime.fromtimestamp(due, BERLIN)
                days.append(told.day)
                assert told.hour == hour or (hour == 2 and told.hour == 3 and (told.month, told.day) == (3, 29))
            assert len(set(days)) == 5
    leap = Times(UTC, daily=0).next_daily(at(2028, 2, 28, 12, zone=UTC))
    assert datetime.fromtimestamp(leap, UTC) == datetime(2028, 2, 29, tzinfo=UTC)


def test_a_zone_that_is_none_is_refused_and_one_that_is_gone_counts_as_utc() -> None:
    assert zone_of("Asia/Tokyo") == ZoneInfo("Asia/Tokyo")
    for name in ("Europe/Berlim", "../etc/passwd", "", "/etc/localtime"):
        with pytest.raises(SettingError, match="alert_zone"):
            alerts.check({"alert_zone": name or " x"})
    assert times_of({"alert_zone": "Europe/Atlantis", "alert_daily_hour": 5}) == Times(UTC, daily=5)


class Machine:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.wall = at(2026, 7, 1, 21)
        self.hub = Hub(Clock(micros=lambda: int(self.wall * MICRO), steady=lambda: self.wall))


def test_what_a_provider_was_asked_for_counts_by_day_and_over_a_restart() -> None:
    machine, used = Machine(), Counter[str]()
    machine.hub.settings = {"provider_event_units": 40, "provider_call_units": 20, "provider_units_daily": 1000}
    use = ProviderUse(machine.hub, used)
    assert use.state() == ProviderState(day="2026-07-01", of_units=1000)
    used.update({CALLS: 5, EVENTS: 10})
    first = use.state()
    assert (first.calls, first.events, first.units) == (5, 10, 500)
    assert "500 of 1,000 (50%)" in first.told().replace(" %", "%")
    again = ProviderUse(machine.hub, Counter())
    again.go_on(first)
    assert again.state() == first
    machine.wall += 86_400
    assert use.state() == ProviderState(day="2026-07-02", of_units=1000)
    late = ProviderUse(machine.hub, Counter())
    late.go_on(first)
    assert late.state().units == 0
    used[EVENTS] += 1
    assert use.state().units == 40


def test_the_marks_of_a_providers_units_are_told_once_each() -> None:
    used = [0, 700, 799, 800, 900, 999, 1000, 1500]
    told = [now for before, now in pairwise(used) if ProviderState(units=now, of_units=1000).passed(before)]
    assert told == [800, 1000]
    assert not ProviderState(units=10**9, of_units=0).passed(0)


@pytest.fixture
def inbox() -> Iterator[Inbox]:
    made = Inbox()
    yield made
    made.server.shutdown()
    made.server.server_close()


def worth(equity: int, peak: int = 1000) -> Insert:
    """A valuation of the portfolio main, in USDC."""
    nothing = {name: 0 for name in EquityRecord.__struct_fields__ if name.endswith("_micro")}
    told = {"portfolio": "main", "at": 1, "open_positions": 0, "equity_micro": equity * MICRO}
    return Insert(msgspec.convert({**nothing, **told, "peak_micro": peak * MICRO}, EquityRecord))


async def seen(inbox: Inbox, *parts: str) -> None:
    """Wait until lines with these parts have come, each."""
    async with asyncio.timeout(30):
        while not all(any(part in line for line in inbox.lines()) for part in parts):
            await asyncio.sleep(0.05)  # between two looks


async def test_quiet_hours_hold_what_gathers_and_the_summary_comes_at_its_hour(inbox: Inbox) -> None:
    machine = Machine()
    settings: dict[str, Value] = {
        "alert_urls": inbox.address, "alert_on": "drawdown, daily, provider", "alert_zone": "Europe/Berlin",
        "alert_quiet_from_hour": 22, "alert_quiet_to_hour": 7, "alert_daily_hour": 8, "provider_units_daily": 100,
    }  # fmt: skip
    machine.hub.settings = settings
    told = Alerts(machine.hub, {})
    told.take(settings)
    use = [ProviderState(units=10, of_units=100)]
    task = asyncio.create_task(told.run(dict, lambda: use[0], lambda: ["the last 24 hours: 3 trades of leaders"]))
    try:
        told.see([worth(950), worth(899), worth(880)])
        await seen(inbox, "main: 10.1 % below its highest value, 899.00 of 1,000.00 USDC")
        told.see([worth(960), worth(890)])  # made up for more than half of it, and fell again
        await seen(inbox, "890.00 of 1,000.00")
        assert not any("880.00" in line for line in inbox.lines())
        machine.wall, before = at(2026, 7, 2, 0), len(inbox.messages)
        use[0] = ProviderState(units=81, of_units=100)
        async with asyncio.timeout(30):
            while not told.waiting:
                await asyncio.sleep(0.05)  # between two looks
        assert len(inbox.messages) == before
        machine.wall = at(2026, 7, 2, 8, 1)
        await seen(inbox, "81 of 100", "the last 24 hours: 3 trades")
        count = sum("24 hours" in line for line in inbox.lines())
        machine.wall = at(2026, 7, 3, 9)
        async with asyncio.timeout(30):
            while sum("24 hours" in line for line in inbox.lines()) == count:
                await asyncio.sleep(0.05)  # between two looks
        assert count == 1
        assert told.status.failed == 0
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def test_the_daily_summary_counts_what_the_exports_hold() -> None:
    story = play(3, minutes=6, deeds=60)
    decisions, fills = story.export("decisions"), story.export("fills")
    lines = summary(story.database, 1_800_000_000 * SECOND + 3_600 * SECOND)
    assert lines[0] == f"the last 24 hours: {len(story.export('trades'))} trades of leaders"
    mine = [d for d in decisions if d["portfolio"] == "main"]
    copied = sum(d["action"] == "copy" for d in mine)
    main = next(line for line in lines if line.startswith("main: "))
    assert f"{copied} of {len(mine)} decisions copied, {sum(f['portfolio'] == 'main' for f in fills)} fills" in main
    assert any(line.startswith("not copied: ") for line in lines)
    quiet = summary(story.database, 1_900_000_000 * SECOND)
    assert quiet[0] == "the last 24 hours: 0 trades of leaders"
