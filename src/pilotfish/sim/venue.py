"""One running stand-in venue: the chain, its story or replay, who listens, what was asked, and which faults are on."""

from __future__ import annotations

import asyncio
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pilotfish.sim.archive import Archive
from pilotfish.sim.chain import BLOCK_SECONDS, Chain
from pilotfish.sim.market import make_markets
from pilotfish.sim.past import PastWorld, make_past
from pilotfish.sim.past_people import Kind, Person
from pilotfish.sim.replay import Replay
from pilotfish.sim.story import Character, Story, cast

LOOP_SECONDS = 0.02
DAY = 86_400
PASTS = {
    "Whale": Kind.GAMBLER,
    "Scalper": Kind.FIRST_SECOND,
    "Holder": Kind.VALUE,
    "Stepper": Kind.ONE_EVENT,
}
"""What the story's leaders lived from before it began: one of each verdict."""


@dataclass(slots=True)
class Fault:
    """What is wrong with a service: its ``mode``, for ``left`` more requests (None = until taken away); ``gone`` is set
    once it is taken away, which ends a ``hang`` early."""

    mode: str
    status: int = 500
    left: int | None = None
    seconds: float = 0.0
    until: float | None = None
    gone: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass(slots=True)
class Habits:
    """What can be odd about the pages of the Data API's activity.

    ``wall``: from this offset on, v1 repeats the page before it. ``newest_first``: the asked-for order is ignored.
    ``more_for_ever``: v2 always says that there is more. ``repeats``: v2 answers each cursor with the first page.
    ``overlap``: rows of a v2 page that the next one begins with. ``between``: rows that appear once a full page was
    answered. ``no_end``: ``end`` is ignored.
    """

    wall: int | None = None
    newest_first: bool = False
    more_for_ever: bool = False
    repeats: bool = False
    overlap: int = 0
    no_end: bool = False
    between: list[dict[str, Any]] = field(default_factory=list)


class Venue:
    """Everything that the routes answer from. With ``past_days`` the story's leaders, and ``others``, have a past of so
    many days."""

    def __init__(
        self, seed: int, scenario: str = "busy", replay: Path | None = None, *, paused: bool = False, speed: float = 1,
        past_days: int = 0, others: Sequence[Person] = (),
    ) -> None:  # fmt: skip
        markets = make_markets(seed)
        self.seed = seed
        self.chain = Chain(seed, markets)
        self.story = Story(self.chain, markets, seed)
        self.scenario = "replay" if replay else scenario
        self.replay = Replay(self.chain, replay) if replay else None
        self.archive = Archive(self.chain, self._past(past_days, others) if past_days else None)
        self.paused = paused
        self.block_seconds = BLOCK_SECONDS / speed
        self.blocks_stopped = False
        self.api_v1_only = False
        self.habits = Habits()
        self.chain_id = 137
        self.faults: dict[str, Fault] = {}
        self.requests: Counter[str] = Counter()
        self.rpc_methods: Counter[str] = Counter()
        self.recent: deque[dict[str, Any]] = deque(maxlen=5_000)
        self.delivered_logs = 0
        self.on_tick: Callable[[], None] = lambda: None
        """Called after each step, for those who listen to books."""

    def characters(self) -> list[Character]:
        """The leaders that are worth following."""
        if self.replay is not None:
            return [Character(w, f"Recorded {i + 1}", "recorded") for i, w in enumerate(self.replay.recordings)]
        return cast(self.seed)

    def everybody(self) -> list[Character]:
        """The same, and who only traded in the past."""
        live = self.characters()
        people = self.archive.past.people if self.archive.past is not None else ()
        known = {c.wallet for c in live}
        return [*live, *(Character(p.wallet, p.name, p.kind) for p in people if p.wallet not in known)]

    def _past(self, days: int, others: Sequence[Person]) -> PastWorld:
        """The story's leaders and others, over so many days until the beginning of today (UTC); nothing is worked out
        yet."""
        people = [Person(wallet=c.wallet, kind=PASTS[c.label], name=c.label) for c in cast(self.seed)]
        today = int(self.chain.started_at) // DAY * DAY
        return make_past(self.seed, from_at=today - days * DAY, to_at=today, people=[*people, *others])

    async def run(self) -> None:
        """Blocks, the story, deliveries; never ends."""
        next_block = time.time()
        while True:
            now = time.time()
            if now >= next_block:
                next_block = max(next_block + self.block_seconds, now)
                if not self.blocks_stopped:
                    self.chain.mine(now)
                    if self.scenario == "busy" and not self.paused:
                        self.story.step(now)
            if self.replay is not None and not self.paused:
                self.replay.tick(now)
            self.chain.tick(now)
            self.on_tick()
            await asyncio.sleep(LOOP_SECONDS)

    def note(self, service: str, path: str, query: dict[str, str]) -> None:
        """Remember a request."""
        self.requests[f"{service}{path}"] += 1
        self.recent.append({"at": time.time(), "service": service, "path": path, "query": query})

    def fault(self, service: str) -> Fault | None:
        """The fault that this request meets, if any."""
        fault = self.faults.get(service)
        if fault is None:
            return None
        if fault.until is not None and time.time() > fault.until:
            del self.faults[service]
            return None
        if fault.left is not None:
            fault.left -= 1
            if fault.left <= 0:
                del self.faults[service]
        return fault
