"""What the prices themselves say of chance: the interval that resampling cannot know.

Whoever bought forty favourites at 0.95 and lost none has results without any spread, and resampling is certain of a
gain; but fair prices lose none of forty one time in eight. A price is a probability, so it says how much a bet held to
its end can vary, whatever happened so far. The edge is tested at each value that it could have (a score interval:
E. B. Wilson, JASA 22 (1927)), with the skewness that a long shot or a favourite has (Pearson type III, made normal by
the cube root: E. B. Wilson and M. M. Hilferty, PNAS 17 (1931)).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import optimize, special

from pilotfish.backtest.bets import Bet
from pilotfish.backtest.clusters import Floats, by_event
from pilotfish.backtest.resampling import TAIL, Spread
from pilotfish.core.units import MICRO

HIGHEST_FEE = 0.08
"""Above the venue's highest rate, a dollar paid times ``1 − price`` (PROTOCOL.md section 5): what a winner may bring
less than a dollar a share and still have been held to the end."""
NOTHING_LEFT = 0.01
"""Who got back at most this share of what they paid held a loser to its end."""

CERTAIN = 1e6
"""Standard errors of what nothing can change."""


@dataclass(frozen=True, slots=True)
class _Chances:
    """Shares of all that was paid: of each market held to its end the ``shares`` (net of its other side), bought at a
    mean ``price``; by event what was ``sold_paid`` and ``sold_result`` of positions sold before."""

    edge: float
    price: Floats
    shares: Floats
    sold_paid: Floats
    sold_result: Floats

    def score(self, edge: float) -> float:
        """How many standard errors above ``edge`` the result is, as a standard normal; falls as ``edge`` rises."""
        chance = np.clip(self.price * (1 + edge), 1e-9, 1 - 1e-9)
        left = self.sold_result - edge * self.sold_paid
        spread = chance * (1 - chance)
        of_held, of_sold = float((self.shares**2 * spread).sum()), float((left**2).sum())
        square = of_held + of_sold
        if square <= 0.0:
            return math.copysign(CERTAIN, self.edge - edge)
        cube = float((self.shares**3 * spread * (1 - 2 * chance)).sum() + (left**3).sum())
        score = _normal((self.edge - edge) / math.sqrt(square), cube / square**1.5)
        if of_held <= of_sold:
            return score
        sold = float(left.sum()) / math.sqrt(of_sold) if of_sold > 0.0 else None
        return self._no_rarer_than_all(score, chance[self.shares > 0], sold)

    def _no_rarer_than_all(self, score: float, chance: Floats, sold: float | None) -> float:
        """No result is rarer than that everything held was won, nor than that everything was lost, while what was sold
        did as well, or as badly, as it did: ``sold`` standard errors above the edge."""
        as_well, as_badly = (1.0, 1.0) if sold is None else (float(special.ndtr(-sold)), float(special.ndtr(sold)))
        all_won = as_well * math.exp(float(np.log(chance).sum()))
        all_lost = as_badly * math.exp(float(np.log1p(-chance).sum()))
        return float(np.clip(score, special.ndtri(all_lost), -special.ndtri(all_won)))


def from_prices(bets: Sequence[Bet]) -> Spread:
    """The spread of the edge where each price is a probability; the error is the one at no edge at all.

    A dollar at price ``p`` with an edge of ``e`` a dollar wins with ``p × (1 + e)``. Both sides of one market cancel;
    markets of one event count as independent here, since resampling by event has what they share. Positions sold before
    their end count with what they made.
    """
    chances = _chances(bets)
    highest = highest_edge(bets)
    z = float(special.ndtri(1 - TAIL))
    return Spread(
        error=_error(chances),
        low=_crossing(chances, z, -1.0, chances.edge),
        high=_crossing(chances, -z, chances.edge, highest),
        p_value=float(special.ndtr(-chances.score(0.0))),
    )


def highest_edge(bets: Sequence[Bet]) -> float:
    """The edge if every bet had won, and no less than what it was."""
    paid = sum(bet.paid for bet in bets)
    won = sum(bet.paid * MICRO // bet.price for bet in bets) - paid
    return max(won, sum(bet.result for bet in bets)) / paid


def held_to_the_end(bet: Bet) -> bool:
    """Whether it brought what a winner or a loser brings, as far as amounts tell."""
    back = bet.paid + bet.result
    if back <= NOTHING_LEFT * bet.paid:
        return True
    price = bet.price / MICRO
    return back * price >= bet.paid * (1 - HIGHEST_FEE * (1 - price))


def _chances(bets: Sequence[Bet]) -> _Chances:
    total = sum(bet.paid for bet in bets)
    tokens: dict[tuple[str, str, str], tuple[int, int]] = {}
    sold = []
    for bet in bets:
        if not held_to_the_end(bet):
            sold.append(bet)
            continue
        key = (bet.event, bet.condition_id, bet.token_id)
        paid, shares = tokens.get(key, (0, 0))
        tokens[key] = paid + bet.paid, shares + bet.paid * MICRO * MICRO // bet.price
    markets: dict[tuple[str, str], list[tuple[int, int]]] = {}
    for (event, condition, _), (paid, shares) in sorted(tokens.items()):
        markets.setdefault((event, condition), []).append((shares, paid))
    price, net = [], []
    for sides in markets.values():
        sides.sort(reverse=True)
        shares, paid = sides[0]
        price.append(paid * MICRO / shares)
        net.append((shares - (sides[1][0] if len(sides) > 1 else 0)) / (total * MICRO))
    events = by_event(sold)
    return _Chances(
        edge=sum(bet.result for bet in bets) / total,
        price=np.array(price),
        shares=np.array(net),
        sold_paid=events.paid / total,
        sold_result=events.result / total,
    )


def _error(chances: _Chances) -> float:
    spread = chances.price * (1 - chances.price)
    square = float((chances.shares**2 * spread).sum() + (chances.sold_result**2).sum())
    return math.sqrt(square)


def _crossing(chances: _Chances, z: float, low: float, high: float) -> float:
    """The edge between the two at which the score is ``z``; an end where it never gets there."""
    if chances.score(low) <= z:
        return low
    if chances.score(high) >= z:
        return high
    return float(optimize.brentq(lambda edge: chances.score(edge) - z, low, high, xtol=1e-13))


def _normal(score: float, skewness: float) -> float:
    """Wilson and Hilferty's cube root: a Pearson type III variable as a standard normal one."""
    if abs(skewness) < 1e-6:
        return score
    return float(6 / skewness * (np.cbrt(max(skewness * score / 2 + 1, 0.0)) - 1) + skewness / 6)
