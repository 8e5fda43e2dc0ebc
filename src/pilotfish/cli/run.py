"""``run`` and ``web``: the worker in the foreground, the dashboard as a second process beside it."""

from __future__ import annotations

import asyncio
import contextlib
import faulthandler
import os
import signal
import sys
import threading
from collections.abc import Mapping

import structlog
import typer

from pilotfish.app import dashboard, listening
from pilotfish.app.config import misnamed
from pilotfish.app.listening import ListenError as ListenError
from pilotfish.app.listening import check_host as check_host
from pilotfish.app.listening import check_port as check_port
from pilotfish.app.watchdog import LAST_RESORT_SECONDS
from pilotfish.cli import session
from pilotfish.core.settings import Value

log = structlog.get_logger(__name__)


def run(
    no_web: bool = typer.Option(False, "--no-web", help="Run the worker alone, without the dashboard."),
) -> None:
    """Run the worker and the dashboard until Ctrl-C."""
    import uvloop

    env = session.begin()
    tell_misnamed()
    beside: Mapping[str, str] | None = None
    address = ""
    if not no_web:
        host, port = listening.check(env)
        print("\n".join(listening.greeting(env, host, port)), flush=True)
        beside, address = {**os.environ, "WEB_PORT": str(port)}, listening.asked_at(host, port)
    uvloop.run(_run(env, beside, address))


async def _run(env: dict[str, Value], beside: Mapping[str, str] | None, address: str) -> None:
    from pilotfish.app.runtime import Worker

    faulthandler.enable()
    worker = Worker(session.database(env), env, last_resort=LAST_RESORT_SECONDS)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, worker.request_stop)
    web = asyncio.create_task(dashboard.keep(worker.dashboard, beside, address), name="dashboard") if beside else None
    try:
        await worker.run()
    finally:
        if web is not None:
            web.cancel()
            await asyncio.gather(web, return_exceptions=True)
    log.info("stopped; everything taken in is stored")


def web(
    beside: bool = typer.Option(False, "--beside", hidden=True, help="End when standard input closes."),
) -> None:
    """Run the dashboard alone, on the same database as a worker; makes the database where there is none yet."""
    env = session.begin()
    host, port = listening.check(env)
    if not beside:
        tell_misnamed()
        print("\n".join(listening.greeting(env, host, port)), flush=True)
    else:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        threading.Thread(target=end_with_parent, name="parent", daemon=True).start()
    from pilotfish.web.server import serve  # slow to import, and not needed to refuse

    serve(session.database(env), env, host, port)


def tell_misnamed() -> None:
    """Say which names in ``.env`` and the environment are none of ours."""
    for found in misnamed():
        log.warning(str(found))


def end_with_parent() -> None:
    """End this process as soon as the one that started it has ended: its standard input closes then."""
    with contextlib.suppress(OSError):
        while os.read(sys.stdin.fileno(), 4096):
            pass
    os.kill(os.getpid(), signal.SIGTERM)
