"""How many requests a pull may still make, and doing several things at once within that."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

from pilotfish.history.market_pull import BudgetSpentError

T = TypeVar("T")


class Budget:
    """Requests that are left; ``None`` = any number. Repeated requests of a venue that fails are not counted. What is
    taken of a budget ``within`` another is taken of that one, too."""

    def __init__(self, most: int | None = None, within: Budget | None = None) -> None:
        self.left = most
        self.within = within
        self.made = 0
        """Requests taken and not given back."""
        self.spent = False
        """Whether something was left out for want of requests."""

    def reserve(self, most: int) -> int:
        """Up to so many requests, taken off what is left. Raises :class:`BudgetSpentError` where none is."""
        got = most if self.left is None else min(most, self.left)
        if got <= 0:
            self.spent = True
            raise BudgetSpentError
        if self.within is not None:
            try:
                got = self.within.reserve(got)
            except BudgetSpentError:
                self.spent = True
                raise
        self._take(got)
        return got

    def share(self, most: int, at_once: int) -> int:
        """Of up to so many requests what one of several may reserve that ask at the same time, so that none is left
        without while another gives back what it did not need."""
        room = self.room
        return most if room is None else max(1, min(most, room // at_once))

    @property
    def room(self) -> int | None:
        """What can still be reserved; ``None`` = any number."""
        rooms = [self.left, self.within.room if self.within is not None else None]
        return min((room for room in rooms if room is not None), default=None)

    def back(self, unused: int) -> None:
        """Requests that were reserved and not made."""
        unused = max(0, unused)
        self._take(-unused)
        if self.within is not None:
            self.within.back(unused)

    def _take(self, requests: int) -> None:
        self.made += requests
        if self.left is not None:
            self.left -= requests

    def one(self) -> None:
        """A single request."""
        self.reserve(1)


async def each(items: Iterable[T], work: Callable[[T], Awaitable[None]], at_once: int) -> None:
    """Do some work for every item, at most so many at once; what one raises ends all."""
    todo = iter(items)

    async def worker() -> None:
        for item in todo:
            await work(item)

    tasks = [asyncio.create_task(worker()) for _ in range(at_once)]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
