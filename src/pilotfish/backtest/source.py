"""A wallet's past as events for the engine: what the sources would have shown, when, and what is answered to questions.

Nothing is decided here. A trade comes with its second's other rows in one window of the API, ``delay`` after its block;
a market is as it was known at the instant, its payout from when it was resolved.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import groupby, takewhile
from typing import TypeAlias

import msgspec

from pilotfish.core import events as ev
from pilotfish.core.settings import Globals, Policy
from pilotfish.core.trade import LeaderFill, Side, Source
from pilotfish.core.units import SECOND
from pilotfish.history.records import Deed, Past, PastMarket

PORTFOLIO = "look back"
Seen: TypeAlias = Mapping[tuple[str, str, Side, int, int], int]
"""When a trade was seen first (µs), by transaction, token, side, shares, and which of identical fills it is, from 1."""
MOVES = frozenset(("SPLIT", "MERGE", "REDEEM", "CONVERSION"))
"""Kinds of activity that change a holding without a trade."""


def beginning(past: Past, policy: Policy, shared: Globals) -> Iterator[ev.Event]:
    """The portfolio with its bankroll in cash, and the wallet followed from the first second on."""
    at = past.from_at * SECOND
    bankroll = policy.bankroll
    state = ev.PortfolioState(name=PORTFOLIO, bankroll=bankroll, cash=bankroll, policy=policy)
    yield ev.Restored(at=at, portfolios=(state,), globals=shared)
    for source in Source:
        yield ev.HealthChanged(at=at, source=source, healthy=True)
    yield ev.LeaderFollowed(
        at=at, leader=past.wallet, follow_from=at, floor_ts=past.from_at, cursor_ts=past.from_at, is_new=True
    )


def windows(past: Past, delay: int, known: Seen | None = None) -> Iterator[ev.ApiWindowRead]:
    """What the wallet did, second by second, each seen ``delay`` (µs) later; a trade of which it is ``known`` when it
    was seen, then. In the order in which it was seen."""
    whole = _seconds(past, delay)
    if not known:
        return whole
    return iter(sorted((part for window in whole for part in _parted(window, known)), key=lambda w: w.at))


def _seconds(past: Past, delay: int) -> Iterator[ev.ApiWindowRead]:
    within = (d for d in past.deeds if past.from_at <= d.at <= past.to_at)
    for second, rows in groupby(within, key=lambda d: d.at):
        deeds = list(rows)
        fills = tuple(seen(d, past.wallet) for d in deeds if d.kind == "TRADE")
        moves = tuple(moved(d) for d in deeds if d.kind in MOVES and d.condition_id)
        if fills or moves:
            yield ev.ApiWindowRead(
                at=second * SECOND + delay, leader=past.wallet, fills=fills, cursor_ts=second + 1, moves=moves
            )


def _parted(window: ev.ApiWindowRead, known: Seen) -> Iterator[ev.ApiWindowRead]:
    """A window by when each of its fills was seen; its moves come with what is seen last."""
    at: dict[int, list[LeaderFill]] = {}
    times: Counter[tuple[str, str, Side, int]] = Counter()
    for fill in window.fills:
        same = (fill.tx_hash, fill.token_id, fill.side, fill.shares)
        times[same] += 1
        at.setdefault(known.get((*same, times[same]), window.at), []).append(fill)
    last = max(at, default=window.at)
    for then, fills in at.items():
        moves = window.moves if then == last else ()
        yield msgspec.structs.replace(window, at=then, fills=tuple(fills), moves=moves)
    if not at:
        yield window


def seen(deed: Deed, wallet: str) -> LeaderFill:
    """A TRADE as the API shows it."""
    assert deed.side is not None
    return LeaderFill(
        source=Source.API, leader=wallet, tx_hash=deed.tx_hash, token_id=deed.token_id, side=deed.side,
        shares=deed.shares, usdc=deed.usdc, traded_at=deed.at * SECOND, condition_id=deed.condition_id or None,
        outcome=deed.outcome or None, title=deed.title or None, slug=deed.slug or None, is_combo=deed.is_combo,
    )  # fmt: skip


def moved(deed: Deed) -> ev.Move:
    """What changed a holding without a trade."""
    return ev.Move(
        kind=deed.kind, tx_hash=deed.tx_hash, condition_id=deed.condition_id, amount=deed.shares, at=deed.at * SECOND
    )


def resolutions(past: Past) -> Iterator[tuple[int, str]]:
    """(µs, token): when it was known what each token that was traded pays, if it was known by the end."""
    traded = dict.fromkeys(d.token_id for d in past.deeds if d.kind == "TRADE")
    markets = {token: market for market in past.markets.values() for token in market.tokens}
    for token in traded:
        market = markets.get(token)
        paid_at = paid_from(market, past.to_at) if market is not None else None
        if paid_at is not None and past.from_at <= paid_at <= past.to_at:
            yield paid_at * SECOND, token


def paid_from(market: PastMarket, end: int) -> int | None:
    """From which second a market's payouts were known; where nobody says when, since it closed, else the end."""
    if market.payouts is None:
        return None
    for known in (market.resolved_at, market.closed_at, market.end_at):
        if known is not None:
            return min(known, end) if known <= end else None
    return end


def market_at(market: PastMarket, token: str, at: int, end: int) -> ev.Market:
    """A market as it was at an instant (µs): its payout only once it was known."""
    index = market.tokens.index(token)
    paid_at = paid_from(market, end)
    paid = paid_at is not None and at >= paid_at * SECOND and market.payouts is not None
    closed = paid or (market.closed_at is not None and at >= market.closed_at * SECOND)
    return ev.Market(
        token_id=token,
        condition_id=market.condition_id,
        outcome=market.outcomes[index] if index < len(market.outcomes) else "",
        title=market.title,
        slug=market.slug,
        category=market.category,
        tags=market.tags,
        index=index,
        closed=closed,
        accepting_orders=not closed,
        tick=market.tick,
        fee=market.fee,
        delay_ms=market.delay_ms,
        end_at=market.end_at * SECOND if market.end_at is not None else None,
        payout=market.payouts[index] if paid and market.payouts is not None else None,
        fetched_at=at,
    )


class Balances:
    """What the wallet held, second after second; asked for in the order of time. Where a CONVERSION was made, what it
    took and gave of other markets is not known from its row, and stays as it was."""

    def __init__(self, past: Past) -> None:
        self._held = dict(past.held)
        self._deeds = [d for d in past.deeds if d.at >= past.from_at]
        self._next = 0
        self._tokens = {m.condition_id: m.tokens for m in past.markets.values()}
        self._moved: dict[str, int] = {}
        """Token -> second of its last move, the latest last."""

    def before(self, second: int) -> dict[str, int]:
        """Shares by token, by everything of before a second."""
        while self._next < len(self._deeds) and self._deeds[self._next].at < second:
            self._apply(self._deeds[self._next])
            self._next += 1
        return self._held

    def moved_since(self, second: int) -> tuple[tuple[str, int], ...]:
        """(token, shares) of what has moved since a second, nothing left of it included."""
        late = takewhile(lambda token: self._moved[token] >= second, reversed(self._moved))
        return tuple(sorted((token, self._held[token]) for token in late))

    def _apply(self, deed: Deed) -> None:
        if deed.kind == "TRADE":
            self._set(deed.token_id, deed.shares if deed.side == "BUY" else -deed.shares, deed.at)
            return
        sign = {"SPLIT": 1, "MERGE": -1}.get(deed.kind, 0)
        for token in self._tokens.get(deed.condition_id, ()):
            if deed.kind == "REDEEM":
                self._set(token, -self._held.get(token, 0), deed.at)
            elif sign:
                self._set(token, sign * deed.shares, deed.at)

    def _set(self, token: str, change: int, at: int) -> None:
        self._held[token] = max(0, self._held.get(token, 0) + change)
        self._moved.pop(token, None)
        self._moved[token] = at
