"""Many wallets: which of them survive being looked at together, and whether past rank meant anything among them.

In: the :class:`Judgement` of every wallet that was tested, also of those that failed. Out: a :class:`Board`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import msgspec
import numpy as np

from pilotfish.backtest.judgement import WORDS, Judgement, Verdict, came_back
from pilotfish.backtest.statistics import PLACES, shrink
from pilotfish.core import numerals
from pilotfish.core.units import MICRO

FALSE_DISCOVERIES = 0.10
"""The share of those called copyable that may be luck, on average."""
MIN_HALF_EVENTS = 5
"""Events that a wallet needs in each half to have a rank in it."""
MIN_RANKED = 10
"""Wallets below which their ranks say nothing."""
LITTLE = 0.3
"""A rank correlation below which the future is nearly all something else: under a tenth of it (0.3² = 0.09)."""
_Z = 1.6448536269514722


class Ranked(msgspec.Struct, frozen=True, kw_only=True):
    """A wallet's place. ``verdict`` and ``why`` are those among all that were tested; ``q_value`` is the p-value with
    their number reckoned in, ``shrunk`` the edge as these wallets differ."""

    place: int
    wallet: str
    verdict: Verdict
    why: str
    judgement: Judgement
    q_value: float
    shrunk: float | None


class PastRank(msgspec.Struct, frozen=True, kw_only=True):
    """Rank in the first half of the events against rank in the second, over ``wallets``; ``correlation`` with its 90 %
    interval and two-sided ``p_value``, ``None`` with too few wallets. ``words`` is the sentence above the board."""

    wallets: int
    words: str
    correlation: float | None = None
    low: float | None = None
    high: float | None = None
    p_value: float | None = None


class Board(msgspec.Struct, frozen=True, kw_only=True):
    """The wallets, the best lower bound first; ``tested`` is their number, ``copyable`` how many survived."""

    tested: int
    copyable: int
    prior_sd: float | None
    past_rank: PastRank
    rows: tuple[Ranked, ...]


def rank(judged: Mapping[str, Judgement]) -> Board:
    """Wallets by the lower end of their edge, with false discoveries controlled over all of them.

    Hand in every wallet that was tested: one that is left out makes the others look better than they are. Who has no
    p-value counts as a test that found nothing. The control is Benjamini and Yekutieli's (Annals of Statistics 29
    (2001)) rather than Benjamini and Hochberg's (1995), since wallets bet on the same events, together and against each
    other: it holds however tests depend, and asks for more in return.
    """
    from scipy import stats  # slow to import; only who ranks needs it

    wallets = sorted(judged)
    p_values = [1.0 if (p := judged[wallet].figures.p_value) is None else p for wallet in wallets]
    adjusted = stats.false_discovery_control(p_values, method="by") if wallets else np.array([])
    prior_sd = spread_of_edges(judged)
    order = sorted(range(len(wallets)), key=lambda n: (_lower(judged[wallets[n]]), wallets[n]))
    rows = tuple(
        _row(place, wallets[n], judged[wallets[n]], float(adjusted[n]), prior_sd, len(wallets))
        for place, n in enumerate(order, 1)
    )
    return Board(
        tested=len(wallets),
        copyable=sum(row.verdict is Verdict.COPYABLE for row in rows),
        prior_sd=prior_sd,
        past_rank=past_rank(judged),
        rows=rows,
    )


def spread_of_edges(judged: Mapping[str, Judgement]) -> float | None:
    """How much the true edges of these wallets differ around zero (a standard deviation), from how much the measured
    ones do beyond their errors; ``None`` with fewer than :data:`MIN_RANKED`.

    Σ w (edge² − error²) / Σ w with w = 1 / error⁴, not below zero: empirical Bayes by moments (C. N. Morris,
    *Parametric Empirical Bayes Inference*, JASA 78 (1983)).
    """
    known = sorted(
        (f.edge_per_usdc, f.error)
        for f in (judgement.figures for judgement in judged.values())
        if f.edge_per_usdc is not None and f.error
    )
    if len(known) < MIN_RANKED:
        return None
    weights = [error**-4 for _, error in known]
    square = math.fsum(w * (edge**2 - error**2) for w, (edge, error) in zip(weights, known, strict=True))
    return round(math.sqrt(max(square / math.fsum(weights), 0.0)), PLACES)


def past_rank(judged: Mapping[str, Judgement]) -> PastRank:
    """Spearman's rank correlation of the edges of both halves. Its interval is Fisher's with the variance of D. Bonett
    and T. Wright, *Sample Size Requirements for Estimating Pearson, Kendall and Spearman Correlations*, Psychometrika
    65 (2000): (1 + ρ²/2) / (n − 3)."""
    pairs = sorted(
        (halves.first, halves.second)
        for halves in (judgement.figures.halves for judgement in judged.values())
        if halves is not None and min(halves.first_events, halves.second_events) >= MIN_HALF_EVENTS
    )
    first, second = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    if len(pairs) < MIN_RANKED or len(set(first)) == 1 or len(set(second)) == 1:
        return PastRank(
            wallets=len(pairs),
            words=(
                "Whether past rank says anything about the future here cannot be told: "
                f"{numerals.count(len(pairs))} wallets have a past of two halves, at least {MIN_RANKED} that differ "
                "are needed."
            ),
        )
    from scipy import stats  # slow to import; only who ranks needs it

    found = stats.spearmanr(first, second)
    rho = float(found.statistic)
    reach = _Z * math.sqrt((1 + rho**2 / 2) / (len(pairs) - 3))
    middle = math.atanh(max(min(rho, 1 - 1e-9), -1 + 1e-9))
    low, high = math.tanh(middle - reach), math.tanh(middle + reach)
    return PastRank(
        wallets=len(pairs),
        words=_words(rho, low, high, len(pairs)),
        correlation=round(rho, PLACES),
        low=round(low, PLACES),
        high=round(high, PLACES),
        p_value=round(float(found.pvalue), PLACES),
    )


def _words(rho: float, low: float, high: float, wallets: int) -> str:
    if low > LITTLE:
        says = "Past rank says something about the future here"
    elif high < 0:
        says = "Past rank misleads about the future here"
    elif low > 0 and rho >= LITTLE:
        says = "Past rank says a little about the future here"
    else:
        says = "Past rank says little about the future here"
    figures = [numerals.money(round(value * MICRO)) for value in (rho, low, high)]
    return (
        f"{says}: over {numerals.count(wallets)} wallets, the rank in the first half of their events and in the second "
        f"agree by {figures[0]} (90 %: {figures[1]} to {figures[2]}), where 0 is chance and 1 the same order."
    )


def _row(place: int, wallet: str, judged: Judgement, q_value: float, prior_sd: float | None, tested: int) -> Ranked:
    verdict, why, figures = judged.verdict, judged.why, judged.figures
    if verdict is Verdict.COPYABLE and q_value > FALSE_DISCOVERIES and figures.interval is not None:
        verdict = Verdict.CANNOT_TELL
        why = (
            f"{WORDS[verdict]} {judged.terms.words}: alone it looks copyable, a dollar put in came back as "
            f"{came_back(figures.interval.low, figures.interval.high)}; but of {numerals.count(tested)} wallets tested "
            "some do as well by luck."
        )
    shrunk = figures.shrunk
    if prior_sd is not None and figures.edge_per_usdc is not None and figures.error is not None:
        shrunk = shrink(figures.edge_per_usdc, figures.error, prior_sd)
    return Ranked(
        place=place,
        wallet=wallet,
        verdict=verdict,
        why=why,
        judgement=judged,
        q_value=float(f"{q_value:.{PLACES}e}"),
        shrunk=shrunk,
    )


def _lower(judged: Judgement) -> tuple[bool, float]:
    """Sorts the highest lower end first, and who has none last."""
    interval = judged.figures.interval
    return (True, 0.0) if interval is None else (False, -interval.low)
