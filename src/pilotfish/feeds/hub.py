"""Where feeds meet the runtime: one bounded queue of events, the clock, live settings, and what went wrong."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import Any

import structlog

from pilotfish.core.events import Event
from pilotfish.core.settings import BY_NAME, Value
from pilotfish.core.units import SECOND
from pilotfish.feeds import parts
from pilotfish.feeds.clock import Chance, Clock, machine_clock, new_chance
from pilotfish.feeds.parts import PATIENCE, WAITS, Part

log = structlog.get_logger(__name__)

QUEUE_BOUND = 10_000
SLEWED = 0.9
"""How fast time goes on while it is ahead of a clock that was set back."""
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0
"""Seconds until the next round after an unforeseen fault, growing while they go on."""
FAULTS_KEPT = 100
BAD_KEPT = 1_000
"""Inputs that could not be used and are not stored yet; the oldest go first, and are counted."""


class EndedError(Exception):
    """A loop that must never end came back."""


@dataclass(frozen=True, slots=True)
class Fatal:
    """What ended the worker: which part, by what, and during what (empty = nothing in particular)."""

    part: str
    cause: BaseException
    during: str = ""

    def __str__(self) -> str:
        what = str(self.cause).strip().splitlines()[0][:300] if str(self.cause).strip() else ""
        during = f" ({self.during})" if self.during else ""
        return f"{self.part}{during}: {type(self.cause).__name__}{': ' + what if what else ''}"


@dataclass(frozen=True, slots=True)
class BadInput:
    """Something that could not be used, kept for a person to look at."""

    at: int
    source: str
    error: str
    payload: str


@dataclass(slots=True)
class Fault:
    """An error of this program that one part met: what, when last (µs), how often."""

    error: str
    at: int
    count: int = 0


class Hub:
    """Shared by all feeds of one worker. ``clock`` and ``chance``: the machine's, unless a simulation gives its own."""

    def __init__(self, clock: Clock | None = None, chance: Chance | None = None) -> None:
        self.clock = clock or machine_clock()
        self.chance = chance or new_chance()
        self.queue: asyncio.Queue[Event] = asyncio.Queue(QUEUE_BOUND)
        self.settings: Mapping[str, Value] = {}
        self.counts: Counter[str] = Counter()
        self.bad: deque[BadInput] = deque(maxlen=BAD_KEPT)
        self.bad_inputs = 0
        """How many there were, also of those that are no longer in :attr:`bad`."""
        self.fatal: Fatal | None = None
        """The first thing that nothing can go on after."""
        self.failed = asyncio.Event()
        """Set with :attr:`fatal`."""
        self.faults: dict[str, Fault] = {}
        """By the name of the part that met them."""
        self._tasks: set[asyncio.Task[Any]] = set()
        self._parts: dict[asyncio.Task[Any], Part] = {}
        self.stalled: dict[str, float] = {}
        """Parts that have not moved for too long, and for how many seconds."""
        self._last_now = 0
        self._last_steady = self.clock.steady()

    def now(self) -> int:
        """Microseconds since the epoch, never going backwards. After the clock was set back they go on more slowly,
        until it has caught up: what is timed is late by a tenth then, and does not wait for that."""
        steady = self.clock.steady()
        passed = int(SLEWED * (steady - self._last_steady) * SECOND)
        self._last_now = max(self._last_now + max(1, passed), self.clock.micros())
        self._last_steady = steady
        return self._last_now

    @property
    def ahead(self) -> float:
        """Seconds that :meth:`now` is ahead of a clock that was set back."""
        return max(0, self._last_now - self.clock.micros()) / SECOND

    async def emit(self, event: Event) -> None:
        """Hand an event to the engine; waits while the queue is full."""
        if self.queue.full():
            self.beat(WAITS)
            await self.queue.put(event)
            self.beat(patience=PATIENCE)
            return
        await self.queue.put(event)

    def beat(self, within: float = 0.0, patience: float = 0.0) -> None:
        """A sign of life of the part that this is called for: it goes on, and shows it again within so many seconds.
        ``patience``: how many more may pass before it must have hung."""
        parts.beat(self.clock.steady(), within, patience)

    def progress(self) -> None:
        """A sign of life of what waits for other machines."""
        self.beat(patience=PATIENCE)

    def queued(self) -> None:
        """A sign of life of what waits for its turn below a service's limits: how long that takes is up to what else is
        asked, a thousand leaders' holdings for a minute and more."""
        self.beat(WAITS)

    def give(self, event: Event) -> None:
        """Hand an event to the engine from where nothing can wait."""
        try:
            self.queue.put_nowait(event)
        except asyncio.QueueFull:
            self.spawn(self.emit(event), "queued")

    def number(self, name: str) -> int:
        """A numeric setting's effective value."""
        return int(self.settings.get(name, BY_NAME[name].default))

    def flag(self, name: str) -> bool:
        """A switch's effective value."""
        return bool(self.settings.get(name, BY_NAME[name].default))

    def text(self, name: str) -> str:
        """A text or choice setting's effective value."""
        return str(self.settings.get(name, BY_NAME[name].default))

    def bad_input(self, source: str, error: str, payload: str) -> None:
        """Count, log and keep something that could not be used."""
        self.counts[f"bad_{source}"] += 1
        self.bad_inputs += 1
        self.bad.append(BadInput(self.now(), source, error.replace("\0", "")[:500], payload[:4000]))
        log.warning("input cannot be used; it is kept under bad inputs", source=source, error=error[:300])

    def fail(self, part: str, cause: BaseException, during: str = "") -> None:
        """Something happened after which the worker must not look alive: the first one ends it, by name."""
        if self.fatal is not None:
            return
        self.fatal = Fatal(part, cause, during)
        self.failed.set()
        log.critical("the worker cannot go on", part=part, during=during, exc_info=cause)

    def fault(self, name: str, problem: Exception) -> str:
        """Report an error that nothing foresaw: logged with its traceback, counted, kept for a person to look at.

        Returns it in a few words. Only the piece of work that met it is lost; whoever calls this goes on.
        """
        text = f"{type(problem).__name__}: {problem}"[:300]
        self.counts["faults"] += 1
        known = self.faults.pop(name, Fault(text, 0))
        self.faults[name] = Fault(text, self.now(), known.count + 1)
        while len(self.faults) > FAULTS_KEPT:
            del self.faults[next(iter(self.faults))]
        log.error("an unforeseen error; the next round goes on", part=name, exc_info=problem)
        return text

    async def rounds(
        self,
        name: str,
        one: Callable[[], Awaitable[float]],
        on_fault: Callable[[str], None] = lambda _error: None,
        *,
        lasting: bool = False,
    ) -> None:
        """Do ``one`` round after the other, for ever: it returns how many seconds later the next one is due.

        The one shape of a loop of a feed: a round that ends by an unforeseen error is reported (and ``on_fault`` told
        in a few words), and the next one is done after a pause. Nothing but being cancelled ends it. ``lasting``: a
        round is a connection, which lasts; whether it is alive is judged by what it brings.
        """
        pause = FIRST_PAUSE
        while True:
            self.beat(0.0, PATIENCE)
            parts.lasts(lasting)
            try:
                wait = await one()
                pause = FIRST_PAUSE
            except Exception as problem:
                on_fault(self.fault(name, problem))
                wait, pause = pause, min(LONGEST_PAUSE, 2 * pause)
            parts.lasts(False)
            self.beat(max(0.0, wait))
            await asyncio.sleep(max(0.0, wait))

    def spawn(self, work: Coroutine[Any, Any, None], name: str, *, essential: bool = False) -> asyncio.Task[None]:
        """Run a task that is ended with the worker; an error in it is logged, never swallowed.

        ``essential``: a loop that must never end by itself. If it does, by an error or by coming back, the worker ends
        with its name (:meth:`fail`); cancelling it is how it ends rightly.
        """
        part = Part(name) if essential else None
        task = parts.begin(work, name, part)
        self._tasks.add(task)
        if part is not None:
            self._parts[task] = part
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        essential = self._parts.pop(task, None) is not None
        asked = task.cancelling() > 0
        problem = None if task.cancelled() else task.exception()
        if problem is not None:
            self.counts["task_errors"] += 1
            log.error("a task failed", task=task.get_name(), exc_info=problem)
        if essential and not asked:
            self.fail(task.get_name(), problem or EndedError("it ended, and it must not"))

    @property
    def essential(self) -> frozenset[asyncio.Task[Any]]:
        """The loops that must not end."""
        return frozenset(self._parts)

    @property
    def tasks(self) -> int:
        """How many tasks there are that end with the worker."""
        return len(self._tasks)

    @property
    def parts(self) -> list[Part]:
        """The loops that must not end, with their signs of life."""
        return list(self._parts.values())

    async def close(self) -> None:
        """End every task."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
