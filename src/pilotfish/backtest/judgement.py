"""The answer of a backtest: copyable, not copyable, or cannot tell, and one sentence why.

In: the same copy in three tiers of execution. Out: a frozen :class:`Judgement`. The rules stand in :func:`judge` in
the order in which they are asked; a wallet without any edge is called copyable at most one time in twenty by them
(the interval's lower end lies above the truth with 5 %), and far less among many (see ``ranking``).
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from pilotfish.backtest.bets import Bet
from pilotfish.backtest.statistics import Halves, Interval, Statistics, measure
from pilotfish.backtest.verdicts import WORDS as WORDS
from pilotfish.backtest.verdicts import Verdict as Verdict
from pilotfish.backtest.verdicts import came_back as came_back
from pilotfish.core import numerals
from pilotfish.core.units import MICRO

MIN_EVENTS = 30
"""Independent events below which nothing is said."""
MIN_EFFECTIVE = 10
"""Events of one size that the money must be worth: below, a few large bets are all that was tested."""
MIN_DAYS = 2
"""Days on which bets ended: what one day decided may be one piece of luck."""
ONE_EVENT_PERCENT = 60
"""A result of which one event makes as much stands and falls with it."""
MIN_ORDERS = 30
"""Orders that were tried before their being filled says something."""
FILLED_PERCENT = 10
"""Less than this of what was wanted: nobody could have copied it."""


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """What was asked: ``size`` of a copy in millionths of a USDC and ``delay_ms`` after the leader."""

    size: int
    delay_ms: int

    @property
    def words(self) -> str:
        """For a sentence: *at 25.00 USDC and 5.0 s*."""
        return f"at {numerals.money(self.size)} USDC and {numerals.duration(self.delay_ms)}"


class Tried(msgspec.Struct, frozen=True, kw_only=True):
    """Orders of the expected tier: how many, and what they ``wanted`` and what was ``filled``, in millionths of one
    unit (shares or USDC)."""

    orders: int
    wanted: int
    filled: int


class Judgement(msgspec.Struct, frozen=True, kw_only=True):
    """The answer. ``why`` is a sentence with its figures; ``figures`` are of the expected tier, the other two edges of
    theirs (``None`` where no bet of them was settled)."""

    verdict: Verdict
    why: str
    terms: Terms
    tried: Tried
    figures: Statistics
    pessimistic_edge: float | None = None
    optimistic_edge: float | None = None

    @property
    def events(self) -> int:
        """Independent events of settled bets."""
        return self.figures.events

    @property
    def edge_per_usdc(self) -> float | None:
        """What a dollar that was put in made after all costs."""
        return self.figures.edge_per_usdc

    @property
    def interval(self) -> Interval | None:
        """Where that lies with 90 % confidence."""
        return self.figures.interval

    @property
    def shrunk(self) -> float | None:
        """That, drawn towards zero by how little is known."""
        return self.figures.shrunk

    @property
    def halves(self) -> Halves | None:
        """The first half of the events against the second."""
        return self.figures.halves


def judge(
    bets_expected: Sequence[Bet],
    bets_pessimistic: Sequence[Bet],
    bets_optimistic: Sequence[Bet],
    *,
    terms: Terms,
    tried: Tried,
) -> Judgement:
    """The verdict on a wallet; raises :class:`ValueError` where a bet cannot be (see ``clusters.checked``)."""
    figures = measure(bets_expected)
    pessimistic, optimistic = _edge(bets_pessimistic), _edge(bets_optimistic)
    verdict, reason = _verdict(figures, pessimistic, terms, tried)
    return Judgement(
        verdict=verdict,
        why=f"{WORDS[verdict]}{reason}",
        terms=terms,
        tried=tried,
        figures=figures,
        pessimistic_edge=pessimistic,
        optimistic_edge=optimistic,
    )


def _verdict(figures: Statistics, pessimistic: float | None, terms: Terms, tried: Tried) -> tuple[Verdict, str]:
    if tried.orders >= MIN_ORDERS and tried.filled * 100 < tried.wanted * FILLED_PERCENT:
        share = numerals.percent(tried.filled, tried.wanted, 1)
        orders = numerals.count(tried.orders)
        return Verdict.NOT_COPYABLE, (
            f" {terms.words}: nobody could have copied it; of what {orders} orders wanted, {share} could be had."
        )
    unsure = _too_little(figures)
    if unsure or figures.interval is None or figures.edge_per_usdc is None:
        return Verdict.CANNOT_TELL, unsure
    low, high = figures.interval.low, figures.interval.high
    events = f"over {numerals.count(figures.events)} independent events"
    if high < 0:
        return Verdict.NOT_COPYABLE, f" {terms.words}: a dollar put in came back as {came_back(low, high)} {events}."
    if low <= 0:
        return Verdict.CANNOT_TELL, (
            f" {terms.words}: a dollar put in came back as {came_back(figures.edge_per_usdc)} {events}, but luck alone "
            f"makes that anything from {came_back(low, high)}."
        )
    doubt = _doubt(figures, pessimistic)
    if doubt:
        return Verdict.CANNOT_TELL, f" {terms.words}: a dollar put in came back as {came_back(low, high)}, but {doubt}"
    return Verdict.COPYABLE, f" {terms.words}: a dollar put in came back as {came_back(low, high)} {events}."


def _too_little(figures: Statistics) -> str:
    """Why there is too little for any verdict; empty where there is enough."""
    if not figures.bets:
        still = "1 is" if figures.open_bets == 1 else f"{numerals.count(figures.open_bets)} are"
        return f": no copied position has ended{f'; {still} still open' if figures.open_bets else ''}."
    if figures.events < MIN_EVENTS:
        events = "1 independent event" if figures.events == 1 else f"{figures.events} independent events"
        return f": {events}, at least {MIN_EVENTS} are needed."
    if figures.effective_events < MIN_EFFECTIVE:
        return (
            f": nearly all money was on a few of {numerals.count(figures.events)} events, which tell as much as "
            f"{numerals.count(int(figures.effective_events))} of one size; at least {MIN_EFFECTIVE} are needed."
        )
    if figures.days < MIN_DAYS:
        return f": all {numerals.count(figures.events)} events ended on one day, whose news may have decided them all."
    return ""


def _doubt(figures: Statistics, pessimistic: float | None) -> str:
    """Why a gain that luck does not explain is no verdict; empty where nothing speaks against it."""
    if figures.best_share is not None and figures.best_share * 100 >= ONE_EVENT_PERCENT:
        share = numerals.percent(round(figures.best_share * MICRO), MICRO)
        without = "" if figures.without_best is None else f"; without it: {came_back(figures.without_best)}"
        return f"{share} of the gain is one event{without}."
    if pessimistic is None:
        return "in the pessimistic reckoning no copied position has ended."
    if pessimistic < 0:
        return f"where fills were worse than expected, as {came_back(pessimistic)}."
    if figures.with_open is not None and figures.with_open <= 0:
        left = "1 position at its mark"
        if figures.open_bets > 1:
            left = f"{numerals.count(figures.open_bets)} positions at their marks"
        return f"with what is still open ({left}), as {came_back(figures.with_open)}."
    return ""


def _edge(bets: Sequence[Bet]) -> float | None:
    """The edge of settled bets alone, where nothing else is asked of them."""
    settled = [bet for bet in bets if bet.settled]
    paid = sum(bet.paid for bet in settled)
    return sum(bet.result for bet in settled) / paid if paid else None
