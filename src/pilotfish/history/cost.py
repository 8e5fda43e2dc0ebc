"""How many requests a pull will take of a wallet whose activity is known: the least, one a window."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from pilotfish.history.folder import History
from pilotfish.history.plan import Plan, prices_span, tape_spans
from pilotfish.history.records import PastMarket
from pilotfish.history.windows import State, cut, wanted
from pilotfish.polymarket.history_api import CONDITIONS_AT_ONCE, PRICES_SPAN

MARKET_QUESTIONS = 2
"""Of each batch of markets: what they paid, and what they are."""


def least_requests(
    history: History, plan: Plan, markets: Mapping[str, PastMarket], from_at: int, until: int
) -> int:  # fmt: skip
    """The requests that are needed at least for what belongs to a plan and is not there yet, until an instant (epoch
    seconds); ``markets`` are those that are known. A window of several pages takes more."""
    unsettled = [c for c in plan.conditions if not _settled(history, c)]
    needed = MARKET_QUESTIONS * -(-len(unsettled) // CONDITIONS_AT_ONCE)
    for condition, spans in tape_spans(plan).items():
        windows = history.windows("tape", condition)
        needed += sum(len(wanted(windows, low, high)) for low, high in spans)
    begin = max(from_at, plan.first_at or from_at)
    for token, span in plan.tokens.items():
        market = markets.get(span.condition_id)
        # Of a market that is not known yet nobody knows its end: at least the hour after the last trade is asked for.
        low, high = prices_span(span if market else replace(span, shares=0), market, begin, until)
        needed += sum(1 for _ in cut(wanted(history.windows("prices", token), low, high), PRICES_SPAN))
    return needed + 1


def _settled(history: History, condition: str) -> bool:
    newest = history.newest("markets", condition)
    return newest is not None and newest.state is State.COMPLETE
