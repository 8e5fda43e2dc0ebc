"""The figures of a backtest: what a dollar that was put in brought, and how sure that is.

In: :class:`Bet`s. Out: one frozen record. Amounts are millionths of a USDC; an edge is a float, a share of a dollar put
in (0.05 = five cents), rounded to :data:`PLACES` so that any machine says the same. What was still open counts nowhere
but in the figures that say so.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np

from pilotfish.backtest.bets import Bet
from pilotfish.backtest.clusters import Clusters, by_day, by_event, checked
from pilotfish.backtest.odds import from_prices, highest_edge
from pilotfish.backtest.resampling import RESAMPLES, Spread, resampled
from pilotfish.backtest.told import Halves as Halves
from pilotfish.backtest.told import Interval as Interval

PLACES = 9
PRIOR_SD = 0.05
"""How much wallets are taken to differ, before anything is known of this one: two of three within five cents a dollar
of nothing."""


class Statistics(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of the settled bets; floats are ``None`` where there is nothing to reckon them from.

    ``effective_events`` is as many events of one size as would tell as much (L. Kish, *Survey Sampling*, 1965:
    (Σ w)² / Σ w², w = what was paid on each). ``error`` is the standard error, ``shrunk`` the edge drawn towards zero
    (see :func:`shrink`), ``p_value`` how often luck brings as much where there is no edge (one-sided). ``best_share``
    is the best event's part of the result where there is a gain, ``without_best`` the edge without it.
    ``with_open`` is the edge with open bets at their marks.
    """

    bets: int
    events: int
    days: int
    effective_events: float
    paid: int
    result: int
    open_bets: int
    open_paid: int
    open_result: int
    edge_per_usdc: float | None = None
    interval: Interval | None = None
    error: float | None = None
    shrunk: float | None = None
    p_value: float | None = None
    halves: Halves | None = None
    best_share: float | None = None
    without_best: float | None = None
    with_open: float | None = None


def measure(bets: Sequence[Bet], *, prior_sd: float = PRIOR_SD, resamples: int = RESAMPLES) -> Statistics:
    """All figures of some bets; raises :class:`ValueError` where a bet cannot be (see :func:`clusters.checked`).

    The interval is the widest of three: events drawn again, days drawn again (both :func:`resampled`), and what prices
    say of chance (:func:`from_prices`); the p-value is the largest, the error too. Events of one day share its news and
    bets of one event its outcome, so that a trade is never a unit of its own; the wider of two one-way clusterings
    stands for a two-way one (A. C. Cameron, J. Gelbach, D. Miller, *Robust Inference with Multiway Clustering*, Journal
    of Business & Economic Statistics 29 (2011)), which can have a negative variance. No bet loses more than was paid,
    nor brings more than a dollar a share: the interval ends there.
    """
    checked(bets)
    settled = [bet for bet in bets if bet.settled]
    still_open = [bet for bet in bets if not bet.settled]
    events, days = by_event(settled), by_day(settled)
    paid, result = int(events.paid.sum()), int(events.result.sum())
    open_paid, open_result = sum(bet.paid for bet in still_open), sum(bet.result for bet in still_open)
    counted = Statistics(
        bets=len(settled),
        events=len(events),
        days=len(days),
        effective_events=_effective(events),
        paid=paid,
        result=result,
        open_bets=len(still_open),
        open_paid=open_paid,
        open_result=open_result,
        with_open=_ratio(result + open_result, paid + open_paid),
    )
    edge = _ratio(result, paid)
    if edge is None:
        return counted
    spread = _widest(settled, [resampled(events, resamples), resampled(days, resamples), from_prices(settled)])
    best = int(np.argmax(events.result))
    best_result, best_paid = int(events.result[best]), int(events.paid[best])
    return msgspec.structs.replace(
        counted,
        edge_per_usdc=edge,
        interval=Interval(low=round(spread.low, PLACES), high=round(spread.high, PLACES)) if len(events) > 1 else None,
        error=round(spread.error, PLACES),
        shrunk=shrink(edge, spread.error, prior_sd),
        p_value=float(f"{spread.p_value:.{PLACES}e}") if len(events) > 1 else None,
        halves=_halves(settled),
        best_share=_ratio(best_result, result) if result > 0 else None,
        without_best=_ratio(result - best_result, paid - best_paid),
    )


def shrink(edge: float, error: float, prior_sd: float = PRIOR_SD) -> float:
    """The best guess of the edge where edges of wallets are spread around zero with ``prior_sd``: the noisier, the
    closer to zero. Source: B. Efron and C. Morris, *Stein's Estimation Rule and Its Competitors*, JASA 68 (1973)."""
    known = prior_sd**2
    return round(edge * known / (known + error**2), PLACES) if known + error**2 > 0 else 0.0


def _widest(bets: Sequence[Bet], spreads: Sequence[Spread | None]) -> Spread:
    known = [spread for spread in spreads if spread is not None]
    lowest = min(-1.0, sum(bet.result for bet in bets) / sum(bet.paid for bet in bets))
    return Spread(
        error=max(spread.error for spread in known),
        low=max(min(spread.low for spread in known), lowest),
        high=min(max(spread.high for spread in known), highest_edge(bets)),
        p_value=max(spread.p_value for spread in known),
    )


def _effective(events: Clusters) -> float:
    if not len(events):
        return 0.0
    weights = events.paid / float(events.paid.sum())
    return round(1 / float((weights * weights).sum()), 3)


def _halves(bets: Sequence[Bet]) -> Halves | None:
    first_at: dict[str, int] = {}
    for bet in bets:
        first_at[bet.event] = min(bet.opened_at, first_at.get(bet.event, bet.opened_at))
    if len(first_at) < 2:
        return None
    order = sorted(first_at, key=lambda event: (first_at[event], event))
    early = set(order[: (len(order) + 1) // 2])
    sums = {True: [0, 0], False: [0, 0]}
    for bet in bets:
        half = sums[bet.event in early]
        half[0] += bet.result
        half[1] += bet.paid
    return Halves(
        split_at=first_at[order[len(early)]],
        first=round(sums[True][0] / sums[True][1], PLACES),
        first_events=len(early),
        second=round(sums[False][0] / sums[False][1], PLACES),
        second_events=len(order) - len(early),
    )


def _ratio(part: int, whole: int) -> float | None:
    return round(part / whole, PLACES) if whole > 0 else None
