"""What every route and page needs: the database, the environment, who may come in, and shared reads."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import structlog
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from pilotfish.app import listening
from pilotfish.app.config import process_value
from pilotfish.core.setting_values import Value, without_user, words_of
from pilotfish.store.database import snapshot
from pilotfish.store.mapping import UnreadableRowError
from pilotfish.store.report import Reports
from pilotfish.store.rollup import CopyCounts, DecisionCounts, TradeCounts
from pilotfish.store.round_trips import TripCounts
from pilotfish.web.estimates import VenueBooks
from pilotfish.web.preview import Preview
from pilotfish.web.records import Records
from pilotfish.web.sessions import Sessions
from pilotfish.web.shared import Shared

log = structlog.get_logger(__name__)

WARM_UP_PAUSE = 0.1
"""Seconds between two stretches of decisions: about as long as one takes."""


@dataclass(slots=True)
class Site:
    """One dashboard."""

    database: Engine
    environment: dict[str, Value]
    sessions: Sessions = field(init=False)
    shared: Shared = field(init=False)
    books: VenueBooks = field(init=False)
    preview: Preview = field(init=False)
    records: Records = field(init=False)
    counts: DecisionCounts = field(default_factory=DecisionCounts)
    trade_counts: TradeCounts = field(default_factory=TradeCounts)
    copy_counts: CopyCounts = field(default_factory=CopyCounts)
    reports: Reports = field(default_factory=Reports)
    trips: TripCounts = field(default_factory=TripCounts)

    def __post_init__(self) -> None:
        tokens = [str(self.environment.get(name, "")) for name in ("admin_token", "view_token")]
        self.sessions = Sessions(*tokens)
        self.shared = Shared(self.database)
        self.books = VenueBooks(self.environment)
        self.preview = Preview(self.environment)
        self.records = Records(self.preview.record)

    async def close(self) -> None:
        """End what is being asked of the venue."""
        await self.records.close()
        await self.preview.close()
        await self.books.close()

    def count_up(self) -> None:
        """Count what there is once, so that no page has to."""
        try:
            with snapshot(self.database) as c:
                self.counts.read(c)
                self.trade_counts.read(c)
                self.copy_counts.read(c)
                self.trips.read(c)
        except (SQLAlchemyError, UnreadableRowError) as problem:
            log.warning("the database cannot be read yet", error=str(problem).splitlines()[0][:200])

    async def warm_up(self) -> None:
        """Go through all decisions once, so that the report is at hand when a page asks for it; in no hurry, since
        pages are served meanwhile."""
        try:
            await asyncio.to_thread(self._warm_up)
        except (SQLAlchemyError, UnreadableRowError) as problem:
            log.warning("the report is worked out when it is asked for", error=str(problem).splitlines()[0][:200])

    def _warm_up(self) -> None:
        with snapshot(self.database) as c:
            self.reports.lines(c, between=lambda: time.sleep(WARM_UP_PAUSE))

    @property
    def simulated(self) -> str:
        """The host of a stand-in venue; empty for the real one."""
        venue = urlsplit(without_user(process_value(self.environment, "data_api_url"))).netloc
        return "" if venue.endswith("polymarket.com") else venue

    @property
    def allowed_hosts(self) -> tuple[str, ...]:
        """Names besides the loopback ones that the dashboard may be reached by."""
        named = words_of(process_value(self.environment, "web_allowed_hosts"))
        host, _ = listening.address(self.environment)
        return named if host in listening.EVERYWHERE else (*named, host.lower())

    @property
    def proxies(self) -> tuple[str, ...]:
        """Proxies that are believed where a caller is."""
        return listening.proxies(self.environment)


def now() -> int:
    """Microseconds since the epoch."""
    return time.time_ns() // 1000
