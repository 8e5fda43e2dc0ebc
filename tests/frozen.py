"""A worker or a dashboard of which one part stops moving: ``python -m tests.frozen PART``, a process of its own.

Nothing of ours is replaced: the code that hangs is handed to the parts from where such code comes, the event loop and
the database's driver.
"""

from __future__ import annotations

import asyncio
import ctypes
import sys
import threading
import time
from collections.abc import Callable

import uvicorn
from sqlalchemy import Engine, event

from pilotfish.app import logs
from pilotfish.app.config import environment, process_value
from pilotfish.app.runtime import Worker
from pilotfish.core.exit_codes import WorkerDiedError
from pilotfish.store.database import open_database
from pilotfish.web import server

FOREVER = 10_000.0


def frozen_here() -> None:
    """Where it hangs, for whoever looks for that in a stack."""
    time.sleep(FOREVER)  # hanging is the subject


def hang_in_database(database: Engine, thread: str) -> None:
    """Every transaction of a thread whose name begins so hangs from now on, before it has the database.

    In the middle of one it would keep SQLite's lock, and nobody else could write down how it ended.
    """

    def hang(*_: object) -> None:
        if threading.current_thread().name.startswith(thread):
            frozen_here()

    event.listen(database, "begin", hang, insert=True)


async def stand_still(beat: Callable[[], None]) -> None:
    """A loop that shows itself once, and then waits for what never comes."""
    beat()
    await asyncio.Event().wait()


async def never() -> float:
    """A feed's round that never ends."""
    await asyncio.Event().wait()
    return 0.0


async def freeze(worker: Worker, part: str) -> None:
    """Once the worker has stored something, one part of it stops."""
    hub = worker.hub
    while worker.writer.commits == 0 or "late-rows" not in {task.get_name() for task in hub.essential}:
        await asyncio.sleep(0.01)  # between two looks at a condition
    match part:
        case "loop":
            frozen_here()
        case "interpreter":
            ctypes.PyDLL(None).sleep(int(FOREVER))  # unlike the other ways, this one keeps the interpreter
        case "writer":
            hang_in_database(worker.database, "writer")
        case "part":
            hub.spawn(stand_still(hub.beat), "a-loop-of-ours", essential=True)
        case "feed":
            hub.spawn(hub.rounds("a feed", never), "a-feed", essential=True)


async def work(part: str) -> None:
    """A worker as ``pilotfish run`` has it."""
    env = environment()
    worker = Worker(open_database(process_value(env, "database_url")), env, last_resort=15.0)
    freezing = asyncio.create_task(freeze(worker, part))
    try:
        await worker.run()
    finally:
        freezing.cancel()


async def serve(part: str) -> None:
    """A dashboard as ``pilotfish web`` has it."""
    env = environment()
    database = open_database(process_value(env, "database_url"))
    serving = uvicorn.Server(
        uvicorn.Config(
            server.build(database, env, own_process=True), port=int(process_value(env, "web_port")), log_level="warning"
        )
    )
    running = asyncio.create_task(serving.serve())
    while not serving.started:
        await asyncio.sleep(0.01)  # between two looks at a condition
    if part == "pages":
        frozen_here()
    hang_in_database(database, "asyncio_")
    await running


def main() -> None:
    """One part of one process hangs."""
    import uvloop

    part = sys.argv[1]
    logs.set_up("INFO", "json")
    try:
        if part in ("pages", "reader"):
            asyncio.run(serve(part))
        else:
            uvloop.run(work(part))
    except WorkerDiedError as died:
        sys.exit(died.code)


if __name__ == "__main__":
    main()
