"""How a worker ends: asked to, or by a fault; what it leaves in the database, whom it tells, and its exit code."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable

import msgspec
import structlog
from sqlalchemy import Engine, select

from pilotfish.app.alerts import SendError, send
from pilotfish.app.logs import redact
from pilotfish.app.watchdog import StalledError
from pilotfish.core.exit_codes import ExitCode
from pilotfish.store import tables as t
from pilotfish.store.batch import write
from pilotfish.store.fence import Fence, TakenOverError
from pilotfish.store.mapping import Plain
from pilotfish.store.worker_state import NAME, Ended, WorkerState

log = structlog.get_logger(__name__)

ALERT_SECONDS = 5.0
"""How long the last alert may take."""
STORE_SECONDS = 3.0
"""How long storing what is queued may take: with the rest below five seconds from being asked to stop."""
NOTE_SECONDS = 0.75
"""How long writing down that the worker ended, and giving the lease back, may take each."""


END_SECONDS = 25.0
"""How long ending in order may take after a fault; then it is done without."""


class UnstoredError(Exception):
    """Something that was taken in could not be stored before stopping."""


async def within(seconds: float, work: Callable[[], None], what: str) -> bool:
    """Run what may block on a thread that nobody waits for longer than so; False if it failed or took too long."""
    loop, done, failed = asyncio.get_running_loop(), asyncio.Event(), []

    def run() -> None:
        try:
            work()
        except Exception as problem:
            failed.append(problem)
            log.warning("could not be done while ending", what=what, error=redact(str(problem))[:200])
        loop.call_soon_threadsafe(done.set)

    threading.Thread(target=run, name=what, daemon=True).start()
    try:
        async with asyncio.timeout(seconds):
            await done.wait()
    except TimeoutError:
        log.warning("took too long while ending", what=what, seconds=seconds)
        return False
    return not failed


def code_of(cause: BaseException, *, by_writer: bool) -> ExitCode:
    """The exit code that tells what ended a worker."""
    if isinstance(cause, TakenOverError):
        return ExitCode.TAKEN_OVER
    if isinstance(cause, StalledError):
        return ExitCode.STALLED
    return ExitCode.STORE if by_writer or isinstance(cause, UnstoredError) else ExitCode.INTERNAL


async def write_down(database: Engine, fence: Fence, state: WorkerState, cause: str, code: ExitCode) -> None:
    """Leave the worker's last state with ``ended``, so that whoever looks knows at once."""
    last = msgspec.structs.replace(state, ended=end_of(cause, code))
    await within(NOTE_SECONDS, lambda: leave(database, fence, last), "the last state")


def end_of(cause: str, code: ExitCode) -> Ended:
    """How a worker ended, now."""
    return Ended(at=time.time(), clean=code is ExitCode.OK, cause=redact(cause), exit_code=int(code))


def leave(database: Engine, fence: Fence, state: WorkerState) -> None:
    """Store a last state, unless another worker has the database by now."""
    with database.begin() as c:
        if not fence.holds(c):
            return
        last = c.execute(select(t.worker_status.c.at).where(t.worker_status.c.name == NAME)).scalar()
        at = max(time.time_ns() // 1000, last or 0)
        write(c, [Plain("worker_status", {"name": NAME, "at": at, "data": state.as_json()})])


def at_once(
    database: Engine, fence: Fence, state: Callable[[], WorkerState], cause: str, code: ExitCode, urls: str
) -> None:
    """The same from a thread beside a loop that hangs, or that does not come to its end: the last state, the alert,
    each within its bound. The caller ends the process."""

    def note() -> None:
        leave(database, fence, msgspec.structs.replace(state(), ended=end_of(cause, code)))

    def alert() -> None:
        asyncio.run(tell(urls, cause))

    works = [threading.Thread(target=work, daemon=True) for work in (note, alert)]
    for work in works:
        work.start()
    until = time.monotonic() + ALERT_SECONDS + NOTE_SECONDS
    for work in works:
        work.join(max(0.0, until - time.monotonic()))


async def tell(urls: str, cause: str) -> None:
    """One last alert, within a bound; whatever kinds are wanted: a worker that died tells nothing more."""
    if not urls:
        return
    try:
        async with asyncio.timeout(ALERT_SECONDS):
            await send(urls, [f"the worker ended and copies nothing more: {redact(cause)}"])
    except (SendError, TimeoutError) as problem:
        log.error("the last alert could not be sent", error=str(problem) or "it took too long")
    except Exception as problem:
        log.error("the last alert could not be sent", exc_info=problem)
