"""The processes for long work beside the dashboard: started when something waits, ended with the dashboard."""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import sys
from collections.abc import Callable, Mapping

import structlog
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from pilotfish.core import settings as s
from pilotfish.core.settings import Value
from pilotfish.store.database import snapshot

log = structlog.get_logger(__name__)

LOOK_SECONDS = 1.0
"""How often it is looked whether something waits."""
MAX_PAUSE = 32.0
"""Seconds until a process that failed is started again, at most."""
MODULE = "pilotfish.cli.job_process"


class Keeper:
    """Looks for what waits of one kind until cancelled; one process at a time. It is a process of its own, and a
    patient one: it takes the processor that nobody else wants. ``kind`` is what that process is told to work off, and
    ``anything_to_do`` says whether there is any."""

    def __init__(
        self,
        database: Engine,
        environment: Mapping[str, Value],
        kind: str,
        anything_to_do: Callable[[Connection], bool],
    ) -> None:
        self._database = database
        self.kind = kind
        self._to_do = anything_to_do
        self._environment = {
            **os.environ,
            **{s.BY_NAME[name].env_name: s.text_of(s.BY_NAME[name], value) for name, value in environment.items()},
            "DATABASE_URL": database.url.render_as_string(hide_password=False),
        }

    async def run(self) -> None:
        """Never ends by itself."""
        failed = 0
        while True:
            if await asyncio.to_thread(self._anything_to_do):
                code = await self._process()
                failed = failed + 1 if code else 0
                if code:
                    log.error(f"the process for {self.kind} ended", exit_code=code, restart_in_s=_pause(failed))
            await asyncio.sleep(_pause(failed))

    def _anything_to_do(self) -> bool:
        try:
            with snapshot(self._database) as c:
                return self._to_do(c)
        except SQLAlchemyError:
            return False  # the pages say that the database cannot be read

    async def _process(self) -> int:
        """Run it to its end; gives the exit code. It ends when its standard input closes, too."""
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", MODULE, self.kind, stdin=subprocess.PIPE, env=self._environment
        )
        try:
            return await process.wait()
        finally:
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
                await process.wait()


def _pause(failed: int) -> float:
    return LOOK_SECONDS if not failed else min(MAX_PAUSE, LOOK_SECONDS * 2.0**failed)
