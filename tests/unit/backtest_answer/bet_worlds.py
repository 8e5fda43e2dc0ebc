"""Invented bets of which the truth is known: in the long run a dollar brings ``edge``, whatever one world shows.

A world has events on some days; an event is won with the chance that its price and the edge say, more or less of it by
the luck of its day, which all events of that day share and which evens out over days.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np

from pilotfish.backtest.bets import Bet
from pilotfish.backtest.judgement import Judgement, Terms, Tried, judge

DAY = 86_400
START = 1_700_006_400
USDC = 1_000_000


class World(msgspec.Struct, frozen=True, kw_only=True):
    """``shock`` is the part of the distance to certainty that a day's luck moves each chance; ``sold`` bets end before
    their event does, with ``take`` won nine times of ten and lost as much as the edge says the
    tenth time. ``uneven`` is how much stakes differ (the deviation of their logarithm)."""

    events: int = 100
    days: int = 50
    prices: Sequence[float] = (0.3, 0.5, 0.7)
    edge: float = 0.0
    most_bets: int = 1
    shock: float = 0.0
    take: float = 0.0
    uneven: float = 0.7


def bets_of(world: World, seed: object) -> list[Bet]:
    """The bets of one such world; the same for the same seed (a number or a list of them)."""
    random = np.random.default_rng(seed)  # type: ignore[arg-type]
    price = random.choice(np.array(world.prices), world.events)
    day = random.integers(0, world.days, world.events)
    luck = random.choice(np.array([-1.0, 1.0]), world.days) * world.shock
    chance = np.minimum(price * (1 + world.edge), 1.0)
    chance = chance + luck[day] * np.minimum(chance, 1 - chance)
    drawn = random.random(world.events)
    if world.take:
        loss = 9 * world.take - 10 * world.edge  # one of ten: 0.9 × take − 0.1 × loss is the edge
        made = np.where(drawn < 0.9, world.take, -loss)
    else:
        made = np.where(drawn < chance, 1 / price, 0.0) - 1
    bets: list[Bet] = []
    for n, number in enumerate(random.integers(1, world.most_bets + 1, world.events)):
        stakes = (random.lognormal(0, world.uneven, number) * 25 * USDC).astype(int)
        bets += [bet(n, price=float(price[n]), paid=int(paid), made=float(made[n]), day=int(day[n])) for paid in stakes]
    return bets


def bet(event: int, *, price: float, paid: int, made: float, day: int = 0, settled: bool = True) -> Bet:
    """One bet; ``made`` is its result as a share of what was ``paid``."""
    result = round(paid * made)
    return Bet(
        token_id=str(event),
        condition_id=f"0x{event:x}",
        event=f"event-{event}",
        category="sports",
        opened_at=START + day * DAY + event,
        ended_at=START + day * DAY + event + 3_600,
        price=round(price * USDC),
        paid=paid,
        result=result,
        theirs=result,
        settled=settled,
    )


def judged(bets: Sequence[Bet], pessimistic: Sequence[Bet] | None = None) -> Judgement:
    """The answer at 25 USDC and 5 s where every order was filled."""
    return judge(
        bets,
        bets if pessimistic is None else pessimistic,
        bets,
        terms=Terms(size=25 * USDC, delay_ms=5_000),
        tried=Tried(orders=len(bets), wanted=len(bets), filled=len(bets)),
    )
