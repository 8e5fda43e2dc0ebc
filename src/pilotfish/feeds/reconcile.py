"""What leaders hold according to the venue: once when a leader is followed, then regularly, to compare."""

from __future__ import annotations

import asyncio

import structlog

from pilotfish.core.events import HoldingsSnapshot
from pilotfish.core.units import SECOND
from pilotfish.feeds.hub import Hub
from pilotfish.feeds.poller import Poller
from pilotfish.polymarket.data_api import DataApi
from pilotfish.polymarket.http import VenueError

log = structlog.get_logger(__name__)

ASSUMED_LAG = 5
"""Seconds that a snapshot is taken to lag behind where the service does not say."""
BOOTSTRAP_ATTEMPTS = 30
BOOTSTRAP_PAUSE = 5.0


class Reconcile:
    """Reads positions and hands them over as snapshots."""

    def __init__(self, hub: Hub, api: DataApi, poller: Poller) -> None:
        self.hub = hub
        self.api = api
        self.poller = poller
        self._followed_at: dict[str, int] = {}

    def follow(self, leader: str, follow_from: int) -> None:
        """Remember since when a leader is followed."""
        self._followed_at[leader] = follow_from

    def unfollow(self, leader: str) -> None:
        """Compare a leader no longer."""
        self._followed_at.pop(leader, None)

    def ask(self, leader: str, *, bootstrap: bool) -> None:
        """Read what a leader holds."""
        self.hub.spawn(self._read(leader, bootstrap=bootstrap), f"holdings-{leader[:10]}")

    async def _read(self, leader: str, *, bootstrap: bool) -> None:
        for attempt in range(1, (BOOTSTRAP_ATTEMPTS if bootstrap else 1) + 1):
            if leader not in self._followed_at:
                return
            requested_at = self.hub.now()
            try:
                holdings = await self.api.positions(leader)
            except VenueError as problem:
                log.warning("holdings not available", leader=leader, attempt=attempt, error=str(problem))
                await asyncio.sleep(BOOTSTRAP_PAUSE if bootstrap else 0)
                continue
            lag = self.poller.serving_lag if self.poller.serving_lag is not None else ASSUMED_LAG
            as_of = max(self._followed_at.get(leader, 0), requested_at - lag * SECOND)
            await self.hub.emit(
                HoldingsSnapshot(
                    at=self.hub.now(),
                    leader=leader,
                    as_of=as_of,
                    holdings=tuple(sorted(holdings.shares.items())),
                    conditions=tuple(sorted(holdings.conditions.items())),
                    bootstrap=bootstrap,
                    value=holdings.value,
                )
            )
            return

    def ask_values(self) -> None:
        """Read what every leader holds soon: its value is needed for sizing."""
        for leader in self._followed_at:
            self.ask(leader, bootstrap=False)

    async def run(self) -> None:
        """Compare every leader in turn; never ends."""
        while True:
            await asyncio.sleep(self.hub.number("reconcile_interval_sec"))
            for leader in sorted(self._followed_at):
                await self._read(leader, bootstrap=False)
