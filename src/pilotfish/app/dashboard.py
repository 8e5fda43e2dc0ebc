"""The dashboard's process beside the worker: kept alive within bounds, and its state said where people look. One that
does not answer any more is ended, with its stacks in the log, and started again like one that ended by itself."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass

import structlog

log = structlog.get_logger(__name__)

RESTARTS = 5
"""How often a dashboard that ended by itself is started again in a row."""
FIRST_PAUSE, MAX_PAUSE = 1.0, 16.0
LASTED_SECONDS = 300.0
"""A dashboard that ran for so long has recovered: its restarts count anew."""
END_SECONDS = 2.0
ASK_EVERY, ASK_SECONDS = 1.0, 3.0
SILENT_SECONDS = 10.0
"""How long a dashboard may leave questions without an answer."""
START_SECONDS = 60.0
"""How long its start may take."""
PAUSED_SECONDS = 4.0
"""A look that comes so much too late tells that this process was paused."""


@dataclass(slots=True)
class DashboardStatus:
    """``enabled`` is False without a dashboard beside the worker; ``detail`` says what is wrong with it."""

    enabled: bool = False
    healthy: bool = True
    detail: str = ""
    restarts: int = 0


async def keep(status: DashboardStatus, env: Mapping[str, str], address: str = "") -> None:
    """Keep the dashboard's process alive until cancelled. It ends when its standard input closes. ``address``: where
    it must answer; empty = that is not looked at.

    One that ends again and again is given up after :data:`RESTARTS` tries: copying goes on without it, with a red
    light in ``status`` and an alert.
    """
    status.enabled = True
    in_a_row = 0
    while True:
        began = time.monotonic()
        code = await _run(env, address)
        if time.monotonic() - began > LASTED_SECONDS:
            in_a_row = 0
        if in_a_row >= RESTARTS:
            status.healthy = False
            status.detail = (
                f"given up after {in_a_row + 1} ends in a row (the last with exit code {code}); copying goes on."
                " `pilotfish web` says what is wrong"
            )
            log.critical("the dashboard ends again and again; copying goes on without it", exit_code=code)
            return
        status.healthy, status.detail = False, f"ended with exit code {code}; it is started again"
        pause = min(MAX_PAUSE, FIRST_PAUSE * 2**in_a_row)
        in_a_row, status.restarts = in_a_row + 1, status.restarts + 1
        log.error(
            "the dashboard ended; copying goes on",
            exit_code=code,
            restarts_left=RESTARTS - in_a_row,
            restart_in_s=pause,
        )
        await asyncio.sleep(pause)
        status.healthy, status.detail = True, ""


async def _run(env: Mapping[str, str], address: str) -> int:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "pilotfish", "web", "--beside", stdin=subprocess.PIPE, env=dict(env)
    )
    watching = asyncio.create_task(_watch(process, address), name="dashboard-watch") if address else None
    try:
        return await process.wait()
    finally:
        if watching is not None:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
            try:
                async with asyncio.timeout(END_SECONDS):
                    await process.wait()
            except TimeoutError:
                process.kill()


async def _watch(process: asyncio.subprocess.Process, address: str) -> None:
    """End a process that does not answer for :data:`SILENT_SECONDS`, or has not begun to for longer than a start
    takes: first so that it leaves its stacks in the log, then at once."""
    import aiohttp  # slow to import, and `run --help` has no dashboard

    heard = time.monotonic() + START_SECONDS - SILENT_SECONDS
    started = False
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=ASK_SECONDS)) as session:
        while (silent := time.monotonic() - heard) < SILENT_SECONDS:
            began = time.monotonic()
            await asyncio.sleep(ASK_EVERY)
            if started and time.monotonic() - began > ASK_EVERY + PAUSED_SECONDS:
                heard = time.monotonic()  # this process was paused, not the other one
            with contextlib.suppress(aiohttp.ClientError, TimeoutError, OSError):
                async with session.get(f"{address}/healthz"):
                    if not started:
                        log.info("the dashboard answers", address=address)
                    heard, started = time.monotonic(), True
    log.critical("the dashboard does not answer; it is ended and started again", silent_s=round(silent))
    with contextlib.suppress(ProcessLookupError):
        process.send_signal(signal.SIGABRT)
        await asyncio.sleep(END_SECONDS)
        process.kill()
