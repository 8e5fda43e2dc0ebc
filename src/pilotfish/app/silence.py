"""A worker that says nothing any more cannot tell of it: the dashboard's process does."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import structlog
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from pilotfish.app.alerts import SendError, send
from pilotfish.app.logs import hide
from pilotfish.core.setting_values import words_of
from pilotfish.core.settings import Value
from pilotfish.store import settings_store, worker_state
from pilotfish.store.database import snapshot
from pilotfish.store.mapping import UnreadableRowError

log = structlog.get_logger(__name__)

LOOK_SECONDS = 2.0


class Silence:
    """Looks every two seconds; tells once when a worker has said nothing for ``alert_after_sec``, and once when one is
    back. One that ended by itself, asked to or by a fault, has told that already."""

    def __init__(self, database: Engine, environment: Mapping[str, Value]) -> None:
        self._database = database
        self._environment = environment
        self._told = False

    async def run(self) -> None:
        """Look for ever."""
        while True:
            try:
                line, urls = await asyncio.to_thread(self._look)
                if line:
                    await send(urls, [line])
            except (SQLAlchemyError, UnreadableRowError) as problem:
                log.warning("cannot look after the worker", error=str(problem).splitlines()[0][:200])
            except SendError as problem:
                log.error("an alert could not be sent", error=str(problem))
            await asyncio.sleep(LOOK_SECONDS)

    def _look(self) -> tuple[str, str]:
        """What is to be told, and to whom; nothing of nothing."""
        with snapshot(self._database) as c:
            worker, age = worker_state.read(c)
            values = settings_store.effective(self._environment, settings_store.load(c))
        urls = str(values["alert_urls"].value)
        if not urls or "health" not in words_of(str(values["alert_on"].value)):
            return "", ""
        hide([urls])
        if worker is None or age is None or worker.ended is not None:
            return "", ""
        patience = max(worker_state.ALIVE_SECONDS, float(values["alert_after_sec"].value))
        if age >= patience and not self._told:
            self._told = True
            return f"the worker has said nothing for {age:.0f} s and copies nothing: see `pilotfish status`", urls
        if self._told and worker_state.alive(worker, age):
            self._told = False
            return "the worker is back", urls
        return "", ""
