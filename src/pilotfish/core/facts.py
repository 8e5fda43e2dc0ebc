"""What a decision depends on, and what comes of it."""

from __future__ import annotations

import msgspec

from pilotfish.core.book import Book, LiquidityMemory
from pilotfish.core.events import Market
from pilotfish.core.reasons import Reason
from pilotfish.core.records import CheckRow
from pilotfish.core.settings import Policy
from pilotfish.core.trade import Source, Trade, TradeClass


class Facts(msgspec.Struct, gc=False):
    """Everything that a decision depends on. Amounts in millionths, times in µs. ``market`` and ``book`` are the last
    ones known, however old: how old they may be is judged here."""

    at: int
    portfolio: str
    policy: Policy
    trade: Trade
    leader_paused: bool
    healthy: dict[Source, bool]
    market: Market | None
    market_failed: bool
    book: Book | None
    book_failed: bool
    memory: LiquidityMemory
    held: int
    has_position: bool
    same_order: bool
    leader_value: int | None = None
    equity: int = 0
    reference: int = 0
    """What a share of ours is worth (millionths), for a SELL whose own price is not known."""
    later: int = 0
    """How many later trades of its token a SELL comes after, and"""
    late_shares: int = 0
    """what it sells of what is held, where there are any."""
    untold_since: int | None = None
    """Since when (µs) a SELL that could sell something has waited for the first snapshot of what its leader holds."""
    # What follows matters to a BUY alone; what belongs to a limit, only where that is set.
    cash: int = 0
    market_cost: int = 0
    leader_cost: int = 0
    total_cost: int = 0
    spent_today: int = 0
    open_positions: int = 0
    leader_positions: int = 0
    opens_new: bool = False
    buys_of_outcome: int = 0
    lost_today: int = 0
    saved: int = 0

    @property
    def market_age(self) -> int:
        """µs since the market was looked up."""
        return self.at - self.market.fetched_at if self.market is not None else 0

    @property
    def book_age(self) -> int:
        """µs since the book was asked for."""
        return self.at - self.book.requested_at if self.book is not None else 0

    @property
    def fresh_book(self) -> Book | None:
        """The book, while it is young enough to decide on."""
        return self.book if self.book_age <= self.policy.book_max_age_ms * 1000 else None


class Verdict(msgspec.Struct, gc=False):
    """``action`` is copy, skip or wait. A copy says how much (``budget`` or ``shares``) and within which ``limit``.

    ``wanted`` is the size that a BUY asks for at the leader's price before minimums, caps and guards; ``granted`` what
    those left of it; ``saved`` what is saved up of it. ``kind``: how late the trade was judged to be.
    """

    action: str
    reason: Reason
    trace: list[CheckRow] = []
    budget: int = 0
    shares: int = 0
    limit: int = 0
    share_cap: int = 0
    wanted: int = 0
    granted: int = 0
    saved: int = 0
    kind: TradeClass | None = None


class End(Exception):  # noqa: N818 - control flow of one function, not an error
    def __init__(self, reason: Reason) -> None:
        self.reason = reason
