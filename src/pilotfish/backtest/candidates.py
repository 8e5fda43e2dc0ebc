"""Whom to look back at: the venue's leaderboard, or who traded in markets that many traded in. Each wallet once, in an
order that depends on what the venue said alone.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime

import msgspec

from pilotfish.history.market_pull import BudgetSpentError
from pilotfish.history.rows import parse_past_market, parse_print
from pilotfish.history.spending import Budget
from pilotfish.polymarket.contracts import is_wallet
from pilotfish.polymarket.history_api import HistoryApi
from pilotfish.polymarket.http import VenueError
from pilotfish.polymarket.leaderboard import By, Period
from pilotfish.polymarket.rows import RowError

BOARDS = tuple(itertools.product((Period.MONTH, Period.ALL), (By.PNL, By.VOLUME)))
"""The boards that are read: of the last month and of ever, by what was made and by what was traded."""
MARKETS = 40
"""Markets whose tapes are read."""
TAPE_PAGES = 5
"""Pages of each, the first of the span."""
TAPE_SPAN = 3 * 86_400
"""Seconds of tape before a market's end."""


class Candidate(msgspec.Struct, frozen=True, kw_only=True):
    """A wallet in lower case, and what it calls itself where that is known."""

    wallet: str
    name: str = ""


def merged(lists: Iterable[Iterable[Candidate]], most: int) -> list[Candidate]:
    """The first of each list, then the second of each, and so on: each wallet once, at most so many."""
    found: dict[str, Candidate] = {}
    for row in itertools.zip_longest(*lists):
        for candidate in row:
            if candidate is not None:
                found.setdefault(candidate.wallet, candidate)
    return list(found.values())[:most]


async def of_leaderboards(
    api: HistoryApi, budget: Budget, most: int, categories: Sequence[str] = ("",)
) -> list[Candidate]:
    """Wallets of the venue's boards, the best of each first; of fewer boards where the requests are used up. Raises
    :class:`~pilotfish.polymarket.http.VenueError`."""
    boards = []
    try:
        for category, (period, by) in itertools.product(categories, BOARDS):
            listed = await api.leaderboard(period, by, category, most, budget.one)
            boards.append([Candidate(wallet=one.wallet, name=one.name) for one in listed])
    except BudgetSpentError:
        pass
    return merged(boards, most)


async def of_markets(
    api: HistoryApi, budget: Budget, most: int, from_at: int, told: Callable[[int, int], None] = lambda _done, _of: None
) -> list[Candidate]:
    """Wallets on the tapes of the most traded markets that were resolved since ``from_at`` (epoch seconds): who is in
    most of them first, then who traded most; of fewer markets where the requests are used up. A market whose tape
    cannot be had is passed over. Raises :class:`~pilotfish.polymarket.http.VenueError` where no market can."""
    seen: dict[str, _Seen] = {}
    read, problem = 0, None
    try:
        budget.one()
        day = datetime.fromtimestamp(from_at, UTC).date().isoformat()
        rows = await api.most_traded(day, MARKETS)
        for done, row in enumerate(rows, 1):
            try:
                read += await _read_tape(api, budget, row, from_at, seen)
            except VenueError as why:
                problem = why
            told(done, len(rows))
    except BudgetSpentError:
        pass
    if problem is not None and not read:
        raise problem
    order = sorted(seen.items(), key=lambda item: (-len(item[1].markets), -item[1].traded, item[0]))
    return [Candidate(wallet=wallet) for wallet, _ in order[:most]]


class _Seen:
    """What a wallet did on the tapes."""

    def __init__(self) -> None:
        self.markets: set[str] = set()
        self.traded = 0


async def _read_tape(api: HistoryApi, budget: Budget, row: object, from_at: int, seen: dict[str, _Seen]) -> bool:
    """Take in who traded before a market's end; False for one that does not count."""
    try:
        market = parse_past_market(row)
    except RowError:
        return False
    end = market.closed_at or market.end_at
    if end is None or end < from_at:
        return False
    allowed = budget.reserve(TAPE_PAGES)
    reading = await api.tape(market.condition_id, max(from_at, end - TAPE_SPAN), end, allowed)
    budget.back(allowed - reading.requests)
    for _, raw in reading.rows:
        try:
            fill = parse_print(raw)
        except RowError:
            continue
        if is_wallet(fill.wallet):
            one = seen.setdefault(fill.wallet, _Seen())
            one.markets.add(market.condition_id)
            one.traded += fill.shares * fill.price
    return True
