"""``run`` and ``web``: the worker in the foreground, the dashboard as a second process beside it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading

import structlog
import typer

from pilotfish.app.config import process_value
from pilotfish.cli import session
from pilotfish.core.problem import Problem
from pilotfish.core.settings import Value

log = structlog.get_logger(__name__)


class ListenError(Problem):
    """The dashboard cannot, or must not, listen where it was told to."""


WEB_RESTARTS = 5
"""How often a dashboard that ended by itself is started again."""


def run(
    no_web: bool = typer.Option(False, "--no-web", help="Run the worker alone, without the dashboard."),
) -> None:
    """Run the worker and the dashboard until Ctrl-C."""
    import uvloop

    env = session.begin()
    if not no_web:
        check_port(process_value(env, "web_host"), int(process_value(env, "web_port")))
    uvloop.run(_run(env, no_web=no_web))


async def _run(env: dict[str, Value], *, no_web: bool) -> None:
    from pilotfish.app.runtime import Worker

    worker = Worker(session.database(env), env)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, worker.request_stop)
    beside = None if no_web else asyncio.create_task(_keep_web(), name="dashboard")
    try:
        await worker.run()
    finally:
        if beside is not None:
            beside.cancel()
            await asyncio.gather(beside, return_exceptions=True)
    log.info("stopped; everything taken in is stored")


async def _keep_web() -> None:
    """Keep the dashboard's process alive beside the worker; it ends when its standard input closes."""
    for attempt in range(WEB_RESTARTS + 1):
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "pilotfish", "web", "--beside", stdin=subprocess.PIPE
        )
        try:
            code = await process.wait()
        finally:
            if process.returncode is None:
                process.terminate()
                try:
                    async with asyncio.timeout(2.0):
                        await process.wait()
                except TimeoutError:
                    process.kill()
        log.error("the dashboard ended; copying goes on", exit_code=code, restarts_left=WEB_RESTARTS - attempt)
        await asyncio.sleep(2**attempt)


def web(
    beside: bool = typer.Option(False, "--beside", hidden=True, help="End when standard input closes."),
) -> None:
    """Run the dashboard alone, on the same database as a worker."""
    from pilotfish.web.server import serve

    env = session.begin()
    host, port = process_value(env, "web_host"), int(process_value(env, "web_port"))
    check_host(env, host)
    if not beside:
        check_port(host, port)
    else:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        threading.Thread(target=_end_with_parent, name="parent", daemon=True).start()
    serve(session.database(env), env, host, port)


def _end_with_parent() -> None:
    with contextlib.suppress(OSError):
        while os.read(sys.stdin.fileno(), 4096):
            pass
    os.kill(os.getpid(), signal.SIGTERM)


def check_port(host: str, port: int) -> None:
    """Raise :class:`ListenError` if the dashboard's port is taken."""
    if port == 0:
        return
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as problem:
            raise ListenError(
                f"the dashboard cannot listen on {host}:{port} ({problem.strerror}); set WEB_PORT to another port,"
                " or run without it (--no-web)"
            ) from None


def check_host(env: dict[str, Value], host: str) -> None:
    """Refuse to listen beyond this machine without a token for reading."""
    local = host in ("127.0.0.1", "::1", "localhost")
    if not local and not (env.get("admin_token") and env.get("view_token")):
        raise ListenError(
            f"WEB_HOST={host} makes the dashboard reachable from other machines; set ADMIN_TOKEN and VIEW_TOKEN first"
        )
