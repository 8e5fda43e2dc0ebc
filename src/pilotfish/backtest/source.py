"""A wallet's past as events for the engine: what the sources would have shown, when, and what is answered to questions.

Nothing is decided here. A trade comes with its second's other rows in one window of the API, ``delay`` after its block;
a market is as it was known at the instant, its payout from when it was resolved.
"""

from __future__ import annotations

from bisect import insort
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping
from heapq import heappop, heappush
from itertools import groupby
from operator import attrgetter
from typing import NamedTuple, TypeAlias

import msgspec

from pilotfish.core import events as ev
from pilotfish.core.settings import Globals, Policy
from pilotfish.core.trade import LeaderFill, Side, Source
from pilotfish.core.units import SECOND
from pilotfish.history.balances import Balances, balances
from pilotfish.history.records import Deed, Past, PastMarket

PORTFOLIO = "look back"
Seen: TypeAlias = Mapping[tuple[str, str, Side, int, int], int]
"""When a trade was seen first (µs), by transaction, token, side, shares, and which of identical fills it is, from 1."""
STRETCH = 500
"""Deeds that are in memory at once."""
EARLY = 3_600 * SECOND
"""So long before its block (µs), by a clock that is wrong, a trade can at most have been seen."""
LAST = 2**62
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


class Second(NamedTuple):
    """What the wallet did in one second, as the API shows it."""

    at: int
    fills: tuple[LeaderFill, ...]
    moves: tuple[ev.Move, ...]


class Stretch(NamedTuple):
    """A part of a past that is taken up at once. ``first`` are the tokens that are traded for the first time, each with
    the second of that; ``done`` counts the deeds up to its end."""

    deeds: list[Deed]
    seconds: list[Second]
    first: dict[str, int]
    done: int


def stretches(past: Past, size: int = STRETCH) -> Iterator[Stretch]:
    """A past in parts of about so many deeds, each of whole seconds."""
    traded: set[str] = set()
    deeds: list[Deed] = []
    seconds: list[Second] = []
    first: dict[str, int] = {}
    done = 0
    for at, rows in groupby(past.deeds, key=attrgetter("at")):
        if len(deeds) >= size:
            yield Stretch(deeds, seconds, first, done)
            deeds, seconds, first = [], [], {}
        these = list(rows)
        done += len(these)
        fills: list[LeaderFill] = []
        moves: list[ev.Move] = []
        for deed in these:
            if deed.kind == "TRADE":
                fills.append(seen(deed, past.wallet))
                if deed.token_id not in traded:
                    traded.add(deed.token_id)
                    first[deed.token_id] = at
            elif deed.kind in MOVES and deed.condition_id:
                moves.append(moved(deed))
        deeds += these if at >= past.from_at else []
        if (fills or moves) and past.from_at <= at <= past.to_at:
            seconds.append(Second(at, tuple(fills), tuple(moves)))
    yield Stretch(deeds, seconds, first, done)


class Windows:
    """When a run sees what the wallet did: each second ``delay`` (µs) later; a trade of which it is ``known`` when it
    was seen, then. What is seen at an instant is given out only once all that the wallet did until then, and ``ahead``
    (µs) longer, was taken up: whatever the run asks on its way there has the same answer, however long the delay and in
    whatever pieces a past comes."""

    def __init__(self, wallet: str, delay: int, known: Seen | None = None, *, ahead: int = 0) -> None:
        self._wallet, self._delay, self._known = wallet, delay, known or {}
        self._held_back = ahead + (EARLY if self._known else 0)
        self._later: list[tuple[int, int, ev.ApiWindowRead]] = []
        self._number = 0
        self._sells: dict[str, list[int]] = {}
        """Token -> when SELLs of it will be seen (µs), the first one first."""

    def of(self, seconds: Iterable[Second]) -> Iterator[ev.ApiWindowRead]:
        """Take up these seconds; out comes what nothing later can come before, in the order in which it is seen."""
        for second in seconds:
            yield from self._seen_before(second.at * SECOND - self._held_back)
            window = ev.ApiWindowRead(
                at=second.at * SECOND + self._delay, leader=self._wallet, fills=second.fills, cursor_ts=second.at + 1,
                moves=second.moves,
            )  # fmt: skip
            for part in _parted(window, self._known) if self._known else (window,):
                self._number += 1
                heappush(self._later, (part.at, self._number, part))
                for token in _sold(part):
                    insort(self._sells.setdefault(token, []), part.at)

    def next_sell(self, token: str, at: int) -> int:
        """When a SELL of a token is seen next after an instant (µs) that the run has come to; :data:`LAST` if none is
        within what it looks ``ahead``."""
        return next((then for then in self._sells.get(token, ()) if then > at), LAST)

    def rest(self) -> Iterator[ev.ApiWindowRead]:
        """What is still to be seen once there is nothing more."""
        return self._seen_before(LAST)

    def _seen_before(self, at: int) -> Iterator[ev.ApiWindowRead]:
        while self._later and self._later[0][0] < at:
            window = heappop(self._later)[2]
            yield window
            for token in _sold(window):
                times = self._sells[token]
                del times[0]
                if not times:
                    del self._sells[token]


def _sold(window: ev.ApiWindowRead) -> set[str]:
    """The tokens that it shows a SELL of."""
    return {fill.token_id for fill in window.fills if fill.side is Side.SELL}


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
    fee = role = order = exchange = block = block_hash = log = None
    return LeaderFill(
        Source.API, wallet, deed.tx_hash, deed.token_id, deed.side, deed.shares, deed.usdc, deed.at * SECOND,
        fee, role, order, exchange, block, block_hash, log,
        deed.condition_id or None, deed.outcome or None, deed.title or None, deed.slug or None, deed.is_combo,
    )  # fmt: skip


def moved(deed: Deed) -> ev.Move:
    """What changed a holding without a trade."""
    return ev.Move(
        kind=deed.kind, tx_hash=deed.tx_hash, condition_id=deed.condition_id, amount=deed.shares, at=deed.at * SECOND
    )


def resolutions(
    first: Mapping[str, int], markets: Mapping[str, tuple[PastMarket, int]], past: Past
) -> Iterator[tuple[int, str]]:
    """(µs, token): when it was known what each of these pays, if it was known by the end; not before the second in
    which it was traded first, until when nothing of it is looked at."""
    for token, second in first.items():
        known = markets.get(token)
        paid_at = paid_from(known[0], past.to_at) if known is not None else None
        if paid_at is not None and past.from_at <= paid_at <= past.to_at:
            yield max(paid_at, second) * SECOND, token


def paid_from(market: PastMarket, end: int) -> int | None:
    """From which second a market's payouts were known; where nobody says when, since it closed, else the end."""
    if market.payouts is None:
        return None
    for known in (market.resolved_at, market.closed_at, market.end_at):
        if known is not None:
            return min(known, end) if known <= end else None
    return end


def market_at(market: PastMarket, index: int, at: int, end: int) -> ev.Market:
    """A market's token as it was at an instant (µs): its payout only once it was known."""
    paid_at = paid_from(market, end)
    paid = paid_at is not None and at >= paid_at * SECOND and market.payouts is not None
    closed = paid or (market.closed_at is not None and at >= market.closed_at * SECOND)
    return ev.Market(
        token_id=market.tokens[index],
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


class Holdings:
    """What the venue would show of the wallet's holdings, second after second; asked for in the order of time."""

    def __init__(self, past: Past) -> None:
        self._held = Balances(shares=dict(past.held), never_short=True)
        self._deeds: deque[Deed] = deque()
        self._markets = past.markets
        self._moved: dict[str, int] = {}
        """Token -> second of its last move, the latest last."""

    def add(self, deeds: Iterable[Deed]) -> None:
        """What comes next."""
        self._deeds += deeds

    def before(self, second: int) -> Mapping[str, int]:
        """Shares by token, by everything of before a second."""
        while self._deeds and self._deeds[0].at < second:
            deed = self._deeds.popleft()
            balances((deed,), self._markets.get, self._held)
            market = self._markets.get(deed.condition_id) if deed.kind in MOVES else None
            for token in (deed.token_id,) if deed.kind == "TRADE" else market.tokens if market is not None else ():
                self._moved.pop(token, None)
                self._moved[token] = deed.at
        return self._held.shares

    def moved_since(self, second: int) -> tuple[tuple[str, int], ...]:
        """(token, shares) of what has moved since a second, nothing left of it included. Nobody asks any more of an
        earlier one."""
        while self._moved and (token := next(iter(self._moved))) and self._moved[token] < second:
            del self._moved[token]
            if not self._held.shares.get(token):
                self._held.forget(token)
        return tuple(sorted((token, self._held.shares.get(token, 0)) for token in self._moved))
