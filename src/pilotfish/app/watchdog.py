"""What hangs is noticed, named with where it stands, and ended: a process that looks alive and is not is worse than one
that has ended, which a supervisor starts anew.

Two watch each other: a task looks at the loops (``feeds.parts``), a thread at the event loop and at threads that do
its work. Where not even the thread can run, because other code keeps the interpreter, :mod:`faulthandler` ends the
process. All of them forgive a pause of the whole process (a stopped or suspended machine).
"""

from __future__ import annotations

import asyncio
import faulthandler
import sys
import threading
import time
import traceback
from collections.abc import Callable
from typing import NamedTuple

import structlog

from pilotfish.feeds.hub import Hub
from pilotfish.feeds.parts import Part, where

log = structlog.get_logger(__name__)

STALL_SECONDS = 12.0
"""How long anything may stand still: with the time between two looks below fifteen seconds."""
LOOK_SECONDS = 1.0
PAUSED_SECONDS = 4.0
"""A look that comes so much too late tells that the whole process was paused."""
LAST_RESORT_SECONDS = 120.0
"""After this time without a look the interpreter itself does not move. A process that was stopped for longer ends when
it goes on: that cannot be told apart there."""
CLOCK_SECONDS = 60.0
"""A clock that was set back by more is not waited for: time in the engine never goes back, and a new start is quick."""
NAMED = 5
"""Parts whose stacks are logged at once; the rest is counted."""


class StalledError(Exception):
    """A part has hung."""


class ClockSetBackError(Exception):
    """The machine's clock went back by more than can be made up for."""


class Stall(NamedTuple):
    """What has hung, for how long, and where it stands."""

    what: str
    seconds: float
    stack: list[str]

    def told(self) -> str:
        """For people, without the stack."""
        return f"{self.what} has not moved for {self.seconds:.0f} s"


def stack_of(thread: int | None) -> list[str]:
    """Where a thread stands, the innermost call last."""
    frame = sys._current_frames().get(thread or 0)
    if frame is None:
        return []
    return [f"{f.filename}:{f.lineno} {f.name}" for f in traceback.extract_stack(frame)]


class Watch:
    """Looks at the loops of a worker, once a second, in a task of its own."""

    def __init__(self, hub: Hub, stall_seconds: float = STALL_SECONDS) -> None:
        self._hub = hub
        self._stall = stall_seconds
        self._told: set[Part] = set()

    async def run(self) -> None:
        """Look for ever. The first part that is quiet for longer than it may be ends the worker."""
        last = self._hub.clock.steady()
        while True:
            self._hub.beat(LOOK_SECONDS)
            await asyncio.sleep(LOOK_SECONDS)
            now = self._hub.clock.steady()
            if now - last > LOOK_SECONDS + PAUSED_SECONDS:
                self._forgive(now - last)
            last = now
            self.look(now)
            if self._hub.ahead > CLOCK_SECONDS:
                back = (
                    f"the machine's clock was set back by {self._hub.ahead:.0f} s; started anew, it goes by the new one"
                )
                self._hub.fail("clock", ClockSetBackError(back))

    def _forgive(self, seconds: float) -> None:
        log.warning("the loop was not run for a while; no part is blamed for it", seconds=round(seconds, 1))
        for part in self._hub.parts:
            if part.due is not None:
                part.due += seconds

    def look(self, now: float) -> None:
        """What stands still by now (steady s)."""
        quiet = [(part, part.quiet_for(now)) for part in self._hub.parts]
        late = [(part, seconds) for part, seconds in quiet if seconds > self._stall]
        self._told &= {part for part, _ in late}
        fresh = [(part, seconds) for part, seconds in late if part not in self._told]
        for part, seconds in fresh[:NAMED]:
            stack = where(part.task) if part.task is not None else []
            log.error("a part of the worker does not move", part=part.name, seconds=round(seconds), calls=stack)
        if len(fresh) > NAMED:
            log.error("more parts of the worker do not move", parts=len(fresh) - NAMED)
        self._told |= {part for part, _ in fresh}
        self._hub.stalled = {part.name: seconds for part, seconds in late}
        for part, seconds in late:
            if seconds > self._stall + part.patience:
                self._hub.fail(part.name, StalledError(Stall(part.name, seconds, []).told()))
                return


class Watchdog:
    """A thread that looks at the event loop of the thread that starts it, and at what ``also`` tells of.

    ``stalled`` is called, once and on this thread, with the first that stands still. ``last_resort``: end the process
    where not even this thread has run for so many seconds; 0 = never.
    """

    def __init__(
        self, stalled: Callable[[Stall], None], also: Callable[[], Stall | None] = lambda: None, *,
        stall_seconds: float = STALL_SECONDS, last_resort: float = 0.0,
    ) -> None:  # fmt: skip
        self._stalled = stalled
        self._also = also
        self._stall = stall_seconds
        self._last_resort = last_resort
        self._loop = asyncio.get_running_loop()
        self._watched = threading.get_ident()
        self._heard = time.monotonic()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watchdog", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._arm()
        self._thread.start()

    def stop(self) -> None:
        """Look no more."""
        self._over.set()
        if self._last_resort:
            faulthandler.cancel_dump_traceback_later()

    def _arm(self) -> None:
        """Without another look within its time, the process ends with all stacks, and exit code 1."""
        if self._last_resort:
            faulthandler.dump_traceback_later(self._last_resort, exit=True)

    def _run(self) -> None:
        last = forgiven = time.monotonic()
        while not self._over.wait(LOOK_SECONDS):
            now = time.monotonic()
            self._arm()
            if now - last > LOOK_SECONDS + PAUSED_SECONDS:
                self._heard = forgiven = now
            last = now
            try:
                self._loop.call_soon_threadsafe(self._hear)
            except RuntimeError:  # the loop was closed
                return
            found = self._look(now, forgiven)
            if found is not None and not self._over.is_set():
                self._stalled(found)
                return

    def _hear(self) -> None:
        self._heard = time.monotonic()

    def _look(self, now: float, forgiven: float) -> Stall | None:
        silent = now - self._heard
        if silent > self._stall:
            return Stall("the event loop", silent, stack_of(self._watched))
        found = self._also()
        return found if found is not None and found.seconds > self._stall and now - forgiven > self._stall else None
