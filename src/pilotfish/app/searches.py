"""Working off searches: many wallets' histories within a number of requests, then all of them looked back at.

What was read is in the history, so whatever ends a search, the next goes on there. It is asked for in the background:
half of the venue's limits are left to the worker, and while somebody waits for a look back nothing is asked at all.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

import msgspec
from sqlalchemy import Connection, Engine

from pilotfish.app.jobs import Store, Watch, Work
from pilotfish.app.searching import found_by
from pilotfish.backtest.asking import Told
from pilotfish.core.settings import Value
from pilotfish.core.units import SECOND
from pilotfish.polymarket.history_api import HistoryApi
from pilotfish.store import searches_store
from pilotfish.store.database import snapshot
from pilotfish.store.jobs import At
from pilotfish.store.searches_store import SearchJob

PART = 0.5
"""How much of the venue's limits a search takes: the rest is the worker's, and of whoever else asks."""
REST_SECONDS = 5.0
"""How long a search asks nothing once it is seen that a look back is waited for; looked at twice a second."""


def work(database: Engine, environment: Mapping[str, Value]) -> Work[SearchJob]:
    """The searches of a database, and how one is made."""

    def do(number: int, job: SearchJob, watch: Watch) -> Store:
        def told(at: Told) -> None:
            watch.tell(At(at.stage, at.done, at.of, at.requests), at.worked)

        def began(api: HistoryApi) -> None:
            def give_way(c: Connection) -> None:
                if not searches_store.next_in_line(c):
                    api.rest(REST_SECONDS)

            with snapshot(database) as c:
                give_way(c)
            watch.also = give_way

        now = job.asked_at // SECOND
        found = found_by(environment, job, now, told, processes=_processes(), part=PART, began=began)
        kept: dict[str, object] = msgspec.to_builtins(found)
        return lambda c, at: searches_store.finish(c, number, at, kept)

    return Work(searches_store.JOBS, SearchJob, do)


def _processes() -> int:
    """One core is left to the worker and the pages."""
    return max(1, (os.cpu_count() or 1) - 1)
