"""Which portfolios have to do with a key, in the order of the portfolios: so that what happens to one token or one
leader costs as much as the portfolios that it concerns, not as many as there are."""

from __future__ import annotations

from bisect import insort
from collections.abc import Hashable
from operator import attrgetter
from typing import Generic, TypeVar

from pilotfish.core.desk import Desk

K = TypeVar("K", bound=Hashable)
_NOBODY: list[Desk] = []
_place = attrgetter("number")


class Whose(Generic[K]):
    """Key -> portfolios. One that has nothing to do with a key any more may still be named: whoever asks looks."""

    __slots__ = ("_desks",)

    def __init__(self) -> None:
        self._desks: dict[K, list[Desk]] = {}

    def of(self, key: K) -> list[Desk]:
        """The portfolios of a key, in their order."""
        return self._desks.get(key, _NOBODY)

    def add(self, key: K, desk: Desk) -> None:
        """A portfolio has to do with this key from now on."""
        desks = self._desks.setdefault(key, [])
        if desk not in desks:
            insort(desks, desk, key=_place)

    def drop(self, key: K, desk: Desk) -> None:
        """A portfolio has nothing to do with this key any more."""
        desks = self._desks.get(key, _NOBODY)
        if desk in desks:
            desks.remove(desk)
            if not desks:
                del self._desks[key]

    def forget(self, desk: Desk) -> None:
        """A portfolio takes part no longer."""
        for key in [key for key, desks in self._desks.items() if desk in desks]:
            self.drop(key, desk)
