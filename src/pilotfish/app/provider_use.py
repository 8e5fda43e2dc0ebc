"""What a provider of Polygon was asked for today: calls and notifications, in its own units. It survives restarts."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime

from pilotfish.feeds.hub import Hub
from pilotfish.polymarket.polygon import CALLS, EVENTS
from pilotfish.store.worker_state import ProviderState


class ProviderUse:
    """Counts by UTC day, from what ``used`` has counted since the start."""

    def __init__(self, hub: Hub, used: Counter[str]) -> None:
        self._hub = hub
        self._used = used
        self._day = ""
        self._before: Counter[str] = Counter()
        """What of today was counted before :attr:`_from` was."""
        self._from: Counter[str] = Counter()

    def go_on(self, last: ProviderState) -> None:
        """Go on with what the worker before had counted today."""
        self._turn()
        if last.day == self._day:
            self._before = Counter({CALLS: last.calls, EVENTS: last.events})

    def _turn(self) -> None:
        today = datetime.fromtimestamp(self._hub.clock.wall(), UTC).date().isoformat()
        if today != self._day:
            self._day, self._before, self._from = today, Counter(), Counter(self._used)

    def state(self) -> ProviderState:
        """Today's use."""
        self._turn()
        calls, events = (self._before[k] + self._used[k] - self._from[k] for k in (CALLS, EVENTS))
        number = self._hub.number
        units = calls * number("provider_call_units") + events * number("provider_event_units")
        return ProviderState(
            day=self._day, calls=calls, events=events, units=units, of_units=number("provider_units_daily")
        )
