"""From history to what a backtest of one wallet reads, and to what of it is not known."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from pilotfish.history.balances import balances
from pilotfish.history.folder import History
from pilotfish.history.plan import Plan, plan_of, prices_span, tape_spans
from pilotfish.history.pull import BEGINNING
from pilotfish.history.records import Deed, Missing, Past, PastMarket
from pilotfish.history.windows import KNOWN, State


def read_past(history: History, wallet: str, from_at: int, to_at: int, name: str = "") -> Past:
    """All that is known of ``wallet`` (lower case) from ``from_at`` to ``to_at`` (epoch seconds, both inclusive).

    What is not known is in ``missing``: nothing of it is guessed. Raises :class:`~.folder.HistoryError`.
    """
    deeds = list(history.deeds(wallet, from_at, to_at))
    plan = plan_of(deeds, to_at)
    missing = history.missing("activity", wallet, from_at, to_at)
    markets = _markets(history, plan, from_at, to_at, missing)
    past = Past(wallet=wallet, name=name, from_at=from_at, to_at=to_at, deeds=deeds, markets=markets, missing=missing)
    for condition, spans in tape_spans(plan).items():
        known = [part for low, high in spans for part in history.known("tape", condition, max(1, low), high)]
        past.tape_known[condition] = known
        past.tape[condition] = [row for low, high in spans for row in history.tape(condition, low, high)]
        missing += [gap for low, high in spans for gap in history.missing("tape", condition, max(1, low), high)]
    begin = max(from_at, plan.first_at or from_at)
    for token, span in sorted(plan.tokens.items()):
        low, high = prices_span(span, markets.get(span.condition_id), begin, to_at)
        past.prices[token] = list(history.prices(token, low, high))
        missing += history.missing("prices", token, low, high)
    past.held = _held(history, wallet, from_at, deeds, missing)
    return past


def _markets(history: History, plan: Plan, from_at: int, to_at: int, missing: list[Missing]) -> dict[str, PastMarket]:
    found: dict[str, PastMarket] = {}
    for condition in sorted(plan.conditions):
        newest, market = history.newest("markets", condition), history.market(condition)
        if market is not None:
            found[condition] = market
        if newest is None or newest.state not in KNOWN:
            why = "not asked" if newest is None else str(newest.state)
            missing.append(Missing(kind="markets", key=condition, from_at=from_at, to_at=to_at, why=why))
    missing += [
        Missing(kind="markets", key=token, from_at=from_at, to_at=to_at, why="not asked")
        for token in sorted(plan.unplaced)
    ]
    return found


def market_reader(history: History) -> Callable[[str], PastMarket | None]:
    """Markets by condition, each read once."""
    return cache(history.market)


def _held(history: History, wallet: str, from_at: int, deeds: list[Deed], missing: list[Missing]) -> dict[str, int]:
    """Shares by token at ``from_at``: by the activity before it, where all of that is known; else what the venue showed
    at the last look, less what happened since."""
    market_of = market_reader(history)
    if not history.missing("activity", wallet, BEGINNING, from_at - 1):
        before = balances(history.deeds(wallet, BEGINNING, from_at - 1), market_of)
        return {token: shares for token, shares in sorted(before.shares.items()) if shares > 0}
    shown = history.positions(wallet)
    if shown is None or shown[0].state is State.FAILED:
        why = "not asked" if shown is None else str(State.FAILED)
        missing.append(Missing(kind="positions", key=wallet, from_at=from_at, to_at=from_at, why=why))
        return {}
    window, rows = shown
    if window.state is State.CAPPED:
        missing.append(Missing(kind="positions", key=wallet, from_at=from_at, to_at=from_at, why=str(window.state)))
    missing += [m for m in history.missing("activity", wallet, from_at, window.from_at) if m not in missing]
    return _back(history, wallet, from_at, window.from_at, {row.token_id: row.shares for row in rows}, market_of)


def _back(
    history: History, wallet: str, from_at: int, shown_at: int, shown: dict[str, int],
    market_of: Callable[[str], PastMarket | None],
) -> dict[str, int]:  # fmt: skip
    """What must have been held at ``from_at`` for the deeds since to end in what was ``shown``. A redemption takes all
    of a market: what it took is what was there."""
    moved = balances(history.deeds(wallet, from_at, shown_at), market_of)
    held = {token: shown.get(token, 0) - moved.shares.get(token, 0) for token in {*shown, *moved.shares}}
    return {token: shares for token, shares in sorted(held.items()) if shares > 0}
