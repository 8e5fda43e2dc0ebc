"""What a pull asks for besides a wallet's activity: windows of tapes and prices, from what it did. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from pilotfish.core.trade import Side
from pilotfish.history.records import Deed, PastMarket
from pilotfish.history.spans import Spans

BEFORE, AFTER = 120, 300
"""Seconds of tape before and after a trade."""
APART = 600
"""Windows of tape that are closer than so many seconds are read as one."""
PRICES_BEFORE, PRICES_AFTER = 300, 3600
"""Seconds of prices before the first trade of a token, and after the last or the market's end."""


@dataclass(slots=True)
class TokenSpan:
    """When a wallet traded a token, and what is left of it by its trades."""

    condition_id: str
    first_at: int
    last_at: int
    shares: int = 0
    held_before: bool = False


@dataclass(slots=True)
class Plan:
    """What belongs to a wallet's activity: its conditions with the events that rows name, windows of tape by condition,
    and tokens. ``unplaced`` are tokens of trades that name no condition; combos are in ``combos`` alone. ``deeds``
    counts all rows, ``trades`` those of trades."""

    conditions: dict[str, str] = field(default_factory=dict)
    tape: dict[str, Spans] = field(default_factory=dict)
    tokens: dict[str, TokenSpan] = field(default_factory=dict)
    unplaced: set[str] = field(default_factory=set)
    combos: set[str] = field(default_factory=set)
    deeds: int = 0
    trades: int = 0
    first_at: int | None = None


def plan_of(deeds: Iterable[Deed], until: int) -> Plan:
    """What belongs to these deeds, which come oldest first; nothing after ``until`` is asked for."""
    plan = Plan()
    for deed in deeds:
        plan.deeds += 1
        plan.first_at = plan.first_at or deed.at
        if deed.is_combo:
            plan.trades += deed.kind == "TRADE"
            plan.combos.add(deed.token_id or deed.condition_id)
            continue
        if deed.condition_id:
            plan.conditions[deed.condition_id] = deed.event_slug or plan.conditions.get(deed.condition_id, "")
        if deed.kind != "TRADE":
            continue
        plan.trades += 1
        if not deed.condition_id:
            plan.unplaced.add(deed.token_id)
            continue
        spans = plan.tape.get(deed.condition_id) or plan.tape.setdefault(deed.condition_id, Spans())
        spans.add(max(1, deed.at - BEFORE), min(deed.at + AFTER, until), APART)
        bought = deed.side is Side.BUY
        span = plan.tokens.setdefault(
            deed.token_id, TokenSpan(deed.condition_id, deed.at, deed.at, held_before=not bought)
        )
        span.last_at = deed.at
        span.shares += deed.shares if bought else -deed.shares
    return plan


def prices_span(span: TokenSpan, market: PastMarket | None, from_at: int, until: int) -> tuple[int, int]:
    """The seconds of a token's prices that matter: from the first trade (from the beginning, where it was held before)
    to the last, or to the end of its market while some is held."""
    low = from_at if span.held_before else max(from_at, span.first_at - PRICES_BEFORE)
    end = (market.resolved_at or market.closed_at) if market is not None else None
    high = span.last_at + PRICES_AFTER
    if span.shares > 0:
        high = max(high, end + PRICES_AFTER) if end is not None else until
    return low, min(high, until)


def tape_spans(plan: Plan) -> dict[str, list[tuple[int, int]]]:
    """Windows of tape by condition, in order."""
    return {condition: list(spans) for condition, spans in sorted(plan.tape.items())}
