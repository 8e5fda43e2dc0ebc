"""How many requests a pull may still make, and doing several things at once within that."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

from pilotfish.history.market_pull import BudgetSpentError

T = TypeVar("T")


class Budget:
    """Requests that are left; ``None`` = any number. Repeated requests of a venue that fails are not counted."""

    def __init__(self, most: int | None = None) -> None:
        self._left = most
        self.spent = False
        """Whether something was left out for want of requests."""

    def reserve(self, most: int) -> int:
        """Up to so many requests, taken off what is left. Raises :class:`BudgetSpentError` where none is."""
        if self._left is None:
            return most
        got = min(most, self._left)
        if got <= 0:
            self.spent = True
            raise BudgetSpentError
        self._left -= got
        return got

    def back(self, unused: int) -> None:
        """Requests that were reserved and not made."""
        if self._left is not None:
            self._left += max(0, unused)

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
