"""Bets as sums by what decides them together: their event, and the day on which they ended.

In: :class:`Bet`s in any order. Out: whole numbers, so that neither the order of the bets nor how one of them is split
changes anything that is reckoned from here.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pilotfish.backtest.bets import Bet
from pilotfish.core.units import MICRO

Floats = NDArray[np.float64]
Whole = NDArray[np.int64]
DAY_SEC = 86_400


@dataclass(frozen=True, slots=True)
class Clusters:
    """Sums in millionths of a USDC of what belongs together, in the order of ``names``."""

    names: tuple[Any, ...]
    paid: Whole
    result: Whole

    def __len__(self) -> int:
        return len(self.names)


def checked(bets: Sequence[Bet]) -> None:
    """Raises :class:`ValueError` that names the bet which cannot be: nothing paid, or a price outside (0, 1]."""
    for bet in bets:
        if bet.paid <= 0:
            raise ValueError(
                f"bet on token {bet.token_id} opened at {bet.opened_at}: paid {bet.paid} millionths, but a bet costs "
                "something; leave out positions that nothing was paid for"
            )
        if not 0 < bet.price <= MICRO:
            raise ValueError(
                f"bet on token {bet.token_id} opened at {bet.opened_at}: price {bet.price} is not from 1 to {MICRO} "
                "millionths; give the mean price of entry"
            )


def by_event(bets: Sequence[Bet]) -> Clusters:
    """Sums by the happening that decides them."""
    return _sums([bet.event for bet in bets], bets)


def by_day(bets: Sequence[Bet]) -> Clusters:
    """Sums by the day (UTC) on which a bet ended: what one day's news decided."""
    return _sums([bet.ended_at // DAY_SEC for bet in bets], bets)


def _sums(keys: Sequence[Any], bets: Sequence[Bet]) -> Clusters:
    names = tuple(sorted(set(keys)))
    places = numbered(names)
    where = np.fromiter((places[key] for key in keys), np.int64, len(keys))
    return Clusters(
        names=names,
        paid=_total(where, [bet.paid for bet in bets], len(names)),
        result=_total(where, [bet.result for bet in bets], len(names)),
    )


def numbered(names: Sequence[Hashable]) -> dict[Hashable, int]:
    """The place of each name."""
    return {name: place for place, name in enumerate(names)}


def _total(where: Whole, amounts: Sequence[int], size: int) -> Whole:
    total = np.zeros(size, np.int64)
    np.add.at(total, where, np.array(amounts, np.int64))
    return total
