"""Where a result comes from: by price band, by category, by how long a position was held.

In: :class:`Bet`s. Out: :class:`Part`s in a fixed order, each with its own interval. A part is a look at what was
there, not a test of its own: of many parts, one in ten lies outside its interval.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from enum import StrEnum

from pilotfish.backtest.bets import Bet
from pilotfish.backtest.statistics import measure
from pilotfish.backtest.told import Part as Part

NO_CATEGORY = "other"
MOST_CATEGORIES = 12
"""Categories that stand alone: those with most paid; the rest is one, so that a page and its cost stay bounded."""
_BANDS = (
    (100_000, "below 0.10"),
    (300_000, "0.10 to 0.30"),
    (500_000, "0.30 to 0.50"),
    (700_000, "0.50 to 0.70"),
    (900_000, "0.70 to 0.90"),
)
_HIGHEST = "0.90 and above"
_TIMES = (
    (60, "below 1 min"),
    (3_600, "1 min to 1 h"),
    (86_400, "1 h to 1 d"),
    (7 * 86_400, "1 d to 7 d"),
)
_LONGEST = "7 d and longer"


class By(StrEnum):
    """What bets are parted by."""

    PRICE = "price"
    CATEGORY = "category"
    HOLDING = "holding"


def broken_down(bets: Sequence[Bet]) -> tuple[Part, ...]:
    """Parts of the settled bets: prices and times from low to high, categories by what was paid, the most first.

    Each kind holds every settled bet once; parts without one are left out. Raises :class:`ValueError` as
    ``statistics.measure`` does.
    """
    settled = [bet for bet in bets if bet.settled]
    categories = _categories(settled)
    return (
        *_parts(By.PRICE, settled, lambda bet: band(bet.price), [*(name for _, name in _BANDS), _HIGHEST]),
        *_parts(By.CATEGORY, settled, lambda bet: _category(bet, categories), [*categories, NO_CATEGORY]),
        *_parts(
            By.HOLDING, settled, lambda bet: held(bet.ended_at - bet.opened_at), [*(n for _, n in _TIMES), _LONGEST]
        ),
    )


def band(price: int) -> str:
    """The price band of an entry at ``price`` millionths."""
    return next((name for below, name in _BANDS if price < below), _HIGHEST)


def held(seconds: int) -> str:
    """The class of a holding time."""
    return next((name for below, name in _TIMES if seconds < below), _LONGEST)


def _categories(bets: Sequence[Bet]) -> list[str]:
    paid: dict[str, int] = {}
    for bet in bets:
        if bet.category and bet.category != NO_CATEGORY:
            paid[bet.category] = paid.get(bet.category, 0) + bet.paid
    return sorted(paid, key=lambda name: (-paid[name], name))[:MOST_CATEGORIES]


def _category(bet: Bet, categories: Sequence[str]) -> str:
    return bet.category if bet.category in categories else NO_CATEGORY


def _parts(by: By, bets: Sequence[Bet], name_of: Callable[[Bet], str], order: Iterable[str]) -> list[Part]:
    of: dict[str, list[Bet]] = {name: [] for name in order}
    for bet in bets:
        of[name_of(bet)].append(bet)
    parts = []
    for name, some in of.items():
        if not some:
            continue
        figures = measure(some)
        parts.append(
            Part(
                by=by,
                name=name,
                bets=figures.bets,
                events=figures.events,
                paid=figures.paid,
                result=figures.result,
                edge_per_usdc=figures.edge_per_usdc,
                interval=figures.interval,
            )
        )
    return parts
