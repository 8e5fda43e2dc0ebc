"""What to look at before believing a result: each flag with a sentence and its figures.

In: the history of a wallet, the bets of its copy and their :class:`Statistics`. Out: flags, in the order of
:class:`Kind`. A flag is no verdict; what a verdict rests on stands in ``judgement``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import StrEnum

from pilotfish.backtest import habits
from pilotfish.backtest.bets import Bet
from pilotfish.backtest.judgement import MIN_EVENTS, ONE_EVENT_PERCENT, came_back
from pilotfish.backtest.statistics import Statistics
from pilotfish.backtest.told import Flag as Flag
from pilotfish.core import numerals
from pilotfish.core.units import MICRO
from pilotfish.history.records import Past

MIN_MARKETS = 5
TWO_SIDED_PERCENT = 30
"""Markets with both sides in the same minutes from which they make markets."""
MIN_REBATES = 10
"""Rebates from which resting orders are a habit."""
MIN_TRADES = 20
"""Trades below which their speed, mirrors and counterparties say nothing."""
BOT_BETWEEN_SEC = 10
BOT_ROUND_TRIP_SEC = 60
"""Faster than these, by the median, is a program."""
MIRRORED_PERCENT = 20
ONE_COUNTERPARTY_PERCENT = 50
LONG_SHOT_PRICE = 100_000
"""Below 0.10."""
LONG_SHOT_PERCENT = 50
MIN_MOVES = 5
MOVED_PERCENT = 20
"""What was split, merged and converted, of what BUYs cost, from which it is a strategy that a copy does not have."""


class Kind(StrEnum):
    """What was found."""

    TOO_FEW_EVENTS = "too_few_events"
    ONE_EVENT = "one_event"
    WITHOUT_BEST = "without_best"
    LONG_SHOTS = "long_shots"
    MARKET_MAKER = "market_maker"
    BOT_SPEED = "bot_speed"
    WASH_LIKE = "wash_like"
    MOVES = "moves"


def find_flags(past: Past, bets: Sequence[Bet], figures: Statistics) -> tuple[Flag, ...]:
    """Everything that is to be said of a wallet and the copy of it; ``figures`` are those of ``bets``."""
    return (
        *_of_result(figures),
        *_of_prices(bets),
        *_of_market_making(past),
        *_of_speed(past),
        *_of_washes(past),
        *_of_moves(past),
    )


def _of_result(figures: Statistics) -> Iterator[Flag]:
    if figures.events < MIN_EVENTS:
        events = "1 independent event" if figures.events == 1 else f"{figures.events} independent events"
        yield Flag(
            kind=Kind.TOO_FEW_EVENTS,
            text=f"Too few events: {events}; at least {MIN_EVENTS} are needed.",
            figures={"events": figures.events, "needed": MIN_EVENTS},
        )
    if figures.best_share is not None and figures.best_share * 100 >= ONE_EVENT_PERCENT:
        yield Flag(
            kind=Kind.ONE_EVENT,
            text=f"One event made {numerals.percent(round(figures.best_share * MICRO), MICRO)} of the result.",
            figures={"share": figures.best_share},
        )
    if figures.without_best is not None and figures.without_best <= 0 < figures.result:
        yield Flag(
            kind=Kind.WITHOUT_BEST,
            text=f"Without its best event, a dollar put in came back as {came_back(figures.without_best)}.",
            figures={"edge_without_best": figures.without_best},
        )


def _of_prices(bets: Sequence[Bet]) -> Iterator[Flag]:
    paid = sum(bet.paid for bet in bets)
    long = sum(bet.paid for bet in bets if bet.price < LONG_SHOT_PRICE)
    if paid and long * 100 > paid * LONG_SHOT_PERCENT:
        share, price = numerals.percent(long, paid), numerals.price_micro(LONG_SHOT_PRICE)
        yield Flag(
            kind=Kind.LONG_SHOTS,
            text=f"Long shots: {share} of what was paid went into prices below {price}.",
            figures={"long_micro": long, "paid_micro": paid, "share": long / paid},
        )


def _of_market_making(past: Past) -> Iterator[Flag]:
    found = habits.both_sides(past)
    often = found.markets >= MIN_MARKETS and found.two_sided * 100 >= found.markets * TWO_SIDED_PERCENT
    if often or found.rebates >= MIN_REBATES:
        yield Flag(
            kind=Kind.MARKET_MAKER,
            text=(
                f"Market maker: both sides within {numerals.duration(habits.SAME_MINUTES_SEC * 1000)} in "
                f"{numerals.count(found.two_sided)} of {numerals.count(found.markets)} markets, "
                f"{numerals.count(found.rebates)} maker rebates of {numerals.money(found.rebate_usdc)} USDC. "
                "A copy takes the prices that they offer."
            ),
            figures={
                "markets": found.markets,
                "two_sided": found.two_sided,
                "rebates": found.rebates,
                "rebate_usdc_micro": found.rebate_usdc,
            },
        )


def _of_speed(past: Past) -> Iterator[Flag]:
    found = habits.speed(past)
    said: list[str] = []
    figures: dict[str, int | float] = {}
    if found.transactions >= MIN_TRADES and found.between_sec is not None and found.between_sec < BOT_BETWEEN_SEC:
        said.append(f"{_seconds(found.between_sec)} between {numerals.count(found.transactions)} trades")
        figures |= {"transactions": found.transactions, "between_sec": found.between_sec}
    trips = found.round_trips
    if trips >= MIN_TRADES and found.round_trip_sec is not None and found.round_trip_sec < BOT_ROUND_TRIP_SEC:
        said.append(f"{_seconds(found.round_trip_sec)} from BUY to SELL in {numerals.count(trips)} round trips")
        figures |= {"round_trips": trips, "round_trip_sec": found.round_trip_sec}
    if said:
        yield Flag(kind=Kind.BOT_SPEED, text=f"Bot speed, by the median: {', '.join(said)}.", figures=figures)


def _of_washes(past: Past) -> Iterator[Flag]:
    found = habits.washes(past)
    said: list[str] = []
    figures: dict[str, int | float] = {}
    if found.trades >= MIN_TRADES and found.mirrored * 100 >= found.trades * MIRRORED_PERCENT:
        trades = f"{numerals.count(found.mirrored)} of {numerals.count(found.trades)} trades"
        said.append(f"{trades} were bought and sold in one size at one price within minutes")
        figures |= {"trades": found.trades, "mirrored": found.mirrored}
    if found.seen_trades >= MIN_TRADES and found.largest * 100 >= found.matched * ONE_COUNTERPARTY_PERCENT:
        share = numerals.percent(found.largest, found.matched)
        whom = (
            f"{numerals.count(found.counterparties)} counterparties" if found.counterparties > 1 else "1 counterparty"
        )
        said.append(f"of {whom} on the tape, the largest had {share} of the shares")
        figures |= {
            "seen_trades": found.seen_trades,
            "counterparties": found.counterparties,
            "largest_micro": found.largest,
            "matched_micro": found.matched,
        }
    if said:
        yield Flag(kind=Kind.WASH_LIKE, text=f"Looks like wash trading: {'; '.join(said)}.", figures=figures)


def _of_moves(past: Past) -> Iterator[Flag]:
    found = habits.moves(past)
    if found.moves >= MIN_MOVES and found.moved * 100 >= found.bought * MOVED_PERCENT:
        yield Flag(
            kind=Kind.MOVES,
            text=(
                f"Splits and merges as a strategy: {numerals.count(found.moves)} of them moved "
                f"{numerals.money(found.moved)} USDC, BUYs cost {numerals.money(found.bought)}. "
                "A copy makes none."
            ),
            figures={"moves": found.moves, "moved_micro": found.moved, "bought_micro": found.bought},
        )


def _seconds(seconds: float) -> str:
    return numerals.duration(round(seconds * 1000))
