"""What leaders hold according to the venue: once when a leader is followed, then regularly, to compare."""

from __future__ import annotations

import asyncio

import structlog

from pilotfish.core.events import HoldingsSnapshot
from pilotfish.core.units import SECOND
from pilotfish.feeds.hub import Hub
from pilotfish.feeds.poller import Poller
from pilotfish.polymarket.data_api import DataApi, Holdings
from pilotfish.polymarket.http import VenueError

log = structlog.get_logger(__name__)

ASSUMED_LAG = 5
"""Seconds that a snapshot is taken to lag behind where the service does not say."""
BOOTSTRAP_ATTEMPTS = 30
BOOTSTRAP_PAUSE = 5.0
FIRST_AFTER = 10.0
"""Seconds after the start of the first comparison: it also says what is worthless."""
REPORTED = 5_000


class Reconcile:
    """Reads positions and hands them over as snapshots."""

    def __init__(self, hub: Hub, api: DataApi, poller: Poller) -> None:
        self.hub = hub
        self.api = api
        self.poller = poller
        self._followed_at: dict[str, int] = {}
        self._as_of: dict[str, int] = {}
        self._worthless: dict[str, frozenset[str]] = {}
        self._untold: set[str] = set()
        """Leaders whose first snapshot since they were followed has not come: whatever reads them next is it."""
        self._reported: dict[str, str] = {}

    def follow(self, leader: str, follow_from: int) -> None:
        """Remember since when a leader is followed."""
        self._followed_at[leader] = follow_from

    def unfollow(self, leader: str) -> None:
        """Compare a leader no longer."""
        self._followed_at.pop(leader, None)
        self._as_of.pop(leader, None)
        self._worthless.pop(leader, None)
        self._untold.discard(leader)

    def is_worthless(self, leader: str, token_id: str) -> bool:
        """True for a token of which the venue last said that it can only be redeemed, or is worth nothing."""
        return token_id in self._worthless.get(leader, frozenset())

    def ask(self, leader: str, *, bootstrap: bool) -> None:
        """Read what a leader holds."""
        if bootstrap:
            self._untold.add(leader)
        self.hub.spawn(self._guarded(leader, bootstrap=bootstrap), f"holdings-{leader[:10]}")

    async def _guarded(self, leader: str, *, bootstrap: bool) -> None:
        """Read, whatever happens: a fault is reported, and while nothing is known of a leader it is tried again."""
        for _ in range(BOOTSTRAP_ATTEMPTS if bootstrap else 1):
            try:
                return await self._read(leader, bootstrap=bootstrap)
            except Exception as problem:
                self.hub.fault(f"holdings of {leader}", problem)
            await asyncio.sleep(BOOTSTRAP_PAUSE if bootstrap else 0)
        return None

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
            self._report_bad(leader, holdings)
            self._worthless[leader] = frozenset(holdings.worthless)
            lag = self.poller.serving_lag if self.poller.serving_lag is not None else ASSUMED_LAG
            # what is read later is not of an earlier instant, though the lag is taken for a longer one now
            as_of = max(self._followed_at.get(leader, 0), self._as_of.get(leader, 0), requested_at - lag * SECOND)
            self._as_of[leader] = as_of
            await self.hub.emit(
                HoldingsSnapshot(
                    at=self.hub.now(),
                    leader=leader,
                    as_of=as_of,
                    holdings=tuple(sorted(holdings.shares.items())),
                    conditions=tuple(sorted(holdings.conditions.items())),
                    bootstrap=bootstrap or leader in self._untold,
                    value=holdings.value,
                    unread=tuple(sorted(holdings.unread)),
                    whole=holdings.whole,
                )
            )
            self._untold.discard(leader)
            return

    def _report_bad(self, leader: str, holdings: Holdings) -> None:
        for payload, error in holdings.bad_rows:
            if self._reported.get(payload) != leader:
                self._reported[payload] = leader
                self.hub.bad_input("data", f"position row of {leader}: {error}", payload)
        while len(self._reported) > REPORTED:
            del self._reported[next(iter(self._reported))]

    def ask_values(self) -> None:
        """Read what every leader holds soon: its value is needed for sizing."""
        for leader in self._followed_at:
            self.ask(leader, bootstrap=False)

    async def run(self) -> None:
        """Compare every leader in turn; never ends."""
        await asyncio.sleep(FIRST_AFTER)
        await self.hub.rounds("reconciliation", self._round)

    async def _round(self) -> float:
        for leader in sorted(self._followed_at):
            await self._guarded(leader, bootstrap=False)
        return self.hub.number("reconcile_interval_sec")
