"""What every route and page needs: the database, the environment, who may come in, and shared reads."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from sqlalchemy import Engine

from pilotfish.app.config import process_value
from pilotfish.core.setting_values import Value, words_of
from pilotfish.store.rollup import DecisionCounts
from pilotfish.web.sessions import Sessions
from pilotfish.web.shared import Shared


@dataclass(slots=True)
class Site:
    """One dashboard."""

    database: Engine
    environment: dict[str, Value]
    sessions: Sessions = field(init=False)
    shared: Shared = field(init=False)
    counts: DecisionCounts = field(default_factory=DecisionCounts)

    def __post_init__(self) -> None:
        tokens = [str(self.environment.get(name, "")) for name in ("admin_token", "view_token")]
        self.sessions = Sessions(*tokens)
        self.shared = Shared(self.database)

    @property
    def simulated(self) -> str:
        """The host of a stand-in venue; empty for the real one."""
        venue = urlsplit(process_value(self.environment, "data_api_url")).netloc
        return "" if venue.endswith("polymarket.com") else venue

    @property
    def allowed_hosts(self) -> tuple[str, ...]:
        """Names besides the loopback ones that the dashboard may be reached by."""
        return words_of(process_value(self.environment, "web_allowed_hosts"))


def now() -> int:
    """Microseconds since the epoch."""
    return time.time_ns() // 1000
