"""When alerts are sent: not in the quiet hours, and the daily summary at its hour, in the reader's zone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta, tzinfo
from zoneinfo import ZoneInfo

from pilotfish.core.names import unknown
from pilotfish.core.settings import BY_NAME, SettingError, Value

COMMON = ("UTC", "Europe/London", "Europe/Berlin", "America/New_York", "America/Los_Angeles", "Asia/Tokyo")
"""Zones that a refusal names."""


def zone_of(name: str) -> tzinfo:
    """A zone by its IANA name; raises :class:`SettingError`."""
    if name == "UTC":
        return UTC
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        told = unknown("time zone", name, COMMON)
        raise SettingError(f"alert_zone: {told}; any IANA name will do") from None


@dataclass(frozen=True, slots=True)
class Times:
    """Hours are local ones, 0 to 23; ``quiet_from`` = ``quiet_to``: never quiet."""

    zone: tzinfo = UTC
    quiet_from: int = 0
    quiet_to: int = 0
    daily: int = 8

    def is_quiet(self, now: float) -> bool:
        """True within the quiet hours; ``now`` in epoch seconds."""
        hour = datetime.fromtimestamp(now, self.zone).hour
        if self.quiet_from <= self.quiet_to:
            return self.quiet_from <= hour < self.quiet_to
        return hour >= self.quiet_from or hour < self.quiet_to

    def next_daily(self, now: float) -> float:
        """When the next summary is due, in epoch seconds, after ``now``. On a day whose clock leaves that hour out it
        comes when that hour would have been over, on one that has it twice at the first."""
        day = datetime.fromtimestamp(now, self.zone).date()
        for ahead in range(3):
            due = datetime.combine(day + timedelta(days=ahead), time(self.daily), self.zone).timestamp()
            if due > now:
                return due
        raise AssertionError("a day has an hour")


def times_of(settings: Mapping[str, Value]) -> Times:
    """The times that settings say; a zone that this machine does not know counts as UTC."""

    def value(name: str) -> Value:
        return settings.get(name, BY_NAME[name].default)

    try:
        zone = zone_of(str(value("alert_zone")))
    except SettingError:
        zone = UTC
    return Times(
        zone, int(value("alert_quiet_from_hour")), int(value("alert_quiet_to_hour")), int(value("alert_daily_hour"))
    )
