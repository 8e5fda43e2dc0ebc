"""An engine in virtual time: tests, simulation, replay, backtest and measurements drive it with this, and nothing else.

Events lie in a heap by their instant; timers that the engine sets become events; what it asks for is put to ``answer``,
which stands for the world and returns events of now or later. No clock, no chance, no I/O.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable
from typing import Any, TypeAlias, TypeVar

import msgspec

from pilotfish.core.effects import CheckChain, Effect, NeedBook, NeedHoldings, NeedMarket, SetTimer
from pilotfish.core.engine import Engine
from pilotfish.core.events import (
    BookMissing,
    BookSeen,
    Event,
    HoldingsSnapshot,
    MarketMissing,
    MarketSeen,
    Past,
    TimerFired,
)
from pilotfish.core.recall import Forgotten, with_past
from pilotfish.core.timers import Timer

Ask: TypeAlias = NeedBook | NeedMarket | NeedHoldings | CheckChain
_ANSWERS: dict[type, Callable[[Any], Ask]] = {
    BookSeen: lambda e: NeedBook(e.book.token_id),
    BookMissing: lambda e: NeedBook(e.token_id),
    MarketSeen: lambda e: NeedMarket(e.market.token_id),
    MarketMissing: lambda e: NeedMarket(e.token_id),
    HoldingsSnapshot: lambda e: NeedHoldings(e.leader, e.bootstrap),
}
"""Which question each kind of event settles."""
_T = TypeVar("_T")
MOST_EVENTS = 10_000_000
"""More events than this in one run are a loop without an end."""


class Drive:
    """``answer(ask, at)`` gives the events that answer; ``sink(event, effects)`` sees every event with what came of
    it; ``look_up`` what a store knows of the past. Raises :class:`RuntimeError` after ``most`` events."""

    def __init__(
        self,
        engine: Engine,
        answer: Callable[[Ask, int], Iterable[Event]],
        sink: Callable[[Event, list[Effect]], None] | None = None,
        *,
        most: int = MOST_EVENTS,
        look_up: Callable[[tuple[Forgotten, ...]], tuple[Past, ...]] | None = None,
    ) -> None:
        self.engine = engine
        self.at = engine.at
        self.events = 0
        self.asks: dict[Ask, int] = {}
        """What was asked for and is not answered yet -> how often."""
        self.timers: dict[Timer, int] = {}
        """Running timers -> how often each was set."""
        self._answer = answer
        self._sink = sink
        self._look_up = look_up
        self._most = most
        self._acts: dict[type, Callable[[Any], None]] = {
            SetTimer: self._set, **dict.fromkeys((NeedBook, NeedMarket, NeedHoldings, CheckChain), self.ask),
        }  # fmt: skip
        """What is done about each kind of effect; about rows nothing."""
        self._heap: list[tuple[int, int, Event]] = []
        self._pushed = 0

    def push(self, event: Event) -> None:
        """Let an event happen at its instant (now, if that is over)."""
        self._pushed += 1
        heapq.heappush(self._heap, (max(event.at, self.at), self._pushed, event))

    def ask(self, ask: Ask) -> None:
        """Put a question to the world, as an effect of the engine would."""
        if not isinstance(ask, CheckChain):
            self.asks[ask] = self.asks.get(ask, 0) + 1
        for answer in self._answer(ask, self.at):
            self.push(answer)

    def run(self, until: int) -> None:
        """Apply everything up to and at ``until`` (µs), in order; then it is ``until``."""
        while self._heap and self._heap[0][0] <= until:
            self._step()
        self.at = max(self.at, until)

    def settle(self) -> None:
        """Apply everything that there is, however late it is due."""
        while self._heap:
            self._step()

    def _step(self) -> None:
        at, _, event = heapq.heappop(self._heap)
        self.at = max(self.at, at)
        if event.at != self.at:
            event = msgspec.structs.replace(event, at=self.at)
        if self._look_up is not None:
            event = with_past(self.engine.recall, event, self._look_up)
        self._note(event)
        effects = played(self.engine, event)
        self.events += 1
        if self.events > self._most:
            raise RuntimeError(f"more than {self._most} events: something goes on for ever, last {event}")
        for effect in effects:
            act = self._acts.get(type(effect))
            if act is not None:
                act(effect)
        if self._sink is not None:
            self._sink(event, effects)

    def _set(self, effect: SetTimer) -> None:
        timer = effect.timer
        self.timers[timer] = self.timers.get(timer, 0) + 1
        self.push(TimerFired(at=effect.at, timer=timer))

    def _note(self, event: Event) -> None:
        """Strike out the timer or the question that this event settles."""
        kind = type(event)
        if type(event) is TimerFired:
            _less(self.timers, event.timer)
        elif kind in _ANSWERS:
            _less(self.asks, _ANSWERS[kind](event))


def played(engine: Engine, event: Event) -> list[Effect]:
    """Apply an event of a recording as it stands: its timers and answers are events of the same recording."""
    return engine.apply(event)


def _less(counts: dict[_T, int], key: _T) -> None:
    left = counts.get(key, 1) - 1
    if left:
        counts[key] = left
    else:
        counts.pop(key, None)
