"""Time and chance as feeds see them: handed in, so that a simulation can run the same code on a clock of its own.

The only module of ``feeds`` that knows the machine's clock; everything else asks the hub's.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

Chance: TypeAlias = random.Random
"""A source of randomness; one with a seed gives the same run again."""


@dataclass(frozen=True, slots=True)
class Clock:
    """``micros``: microseconds since the epoch, UTC; ``steady``: seconds that only ever grow, from any beginning."""

    micros: Callable[[], int]
    steady: Callable[[], float]

    def wall(self) -> float:
        """Seconds since the epoch."""
        return self.micros() / 1e6


def machine_clock() -> Clock:
    """This machine's clock."""
    return Clock(micros=lambda: time.time_ns() // 1000, steady=time.monotonic)


def new_chance() -> Chance:
    """A source of randomness of its own."""
    return random.Random()
