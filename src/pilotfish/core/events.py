"""What can happen. Every event carries ``at``: microseconds since the epoch, UTC, as the runtime saw it."""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from pilotfish.core.book import Book
from pilotfish.core.fees import NO_FEE, FeeSchedule
from pilotfish.core.leader_orders import LeaderOrder
from pilotfish.core.ledger import Position
from pilotfish.core.orders import Execution, How, Order
from pilotfish.core.settings import Globals, Policy
from pilotfish.core.timers import Timer
from pilotfish.core.trade import LeaderFill, Side, Source, Trade


class Market(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What the engine needs to know of the market behind a token. ``payout`` is millionths per share, once resolved."""

    token_id: str
    condition_id: str
    outcome: str = ""
    title: str = ""
    slug: str = ""
    category: str = ""
    tags: tuple[str, ...] = ()
    index: int = -1
    closed: bool = False
    accepting_orders: bool = True
    tick: int = 10_000
    fee: FeeSchedule = NO_FEE
    delay_ms: int = 0
    end_at: int | None = None
    payout: int | None = None
    fetched_at: int = 0


class Move(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A row of the API that changes holdings without a trade: SPLIT, MERGE, REDEEM or CONVERSION of a condition.

    ``amount`` is in millionths: shares of each outcome for SPLIT and MERGE. ``at`` is the block's time in µs.
    """

    kind: str
    tx_hash: str
    condition_id: str
    amount: int
    at: int

    @property
    def is_exit(self) -> bool:
        """True for a move that takes shares away, as a SELL would."""
        return self.kind in ("MERGE", "REDEEM", "CONVERSION")


class PendingDecision(msgspec.Struct, frozen=True, kw_only=True):
    """A decision that was waiting when the worker stopped: on a trade, or on an exit without one."""

    id: int
    portfolio: str
    trade_id: int | None
    adjustment_id: int | None = None
    exit: Trade | None = None
    order_decision_id: int | None = None


class PortfolioState(msgspec.Struct, frozen=True, kw_only=True):
    """A portfolio as the store knows it.

    ``orders``: the leaders' orders that further fills may belong to, oldest first. ``spent_today`` counts the UTC day
    ``spent_day``; ``buys`` counts copied BUYs by token. ``recent``: intents with fills that a reorg could still
    touch, with the fills' ids. ``follows`` names the leaders that it copies; ``None`` = all. ``saved``: (leader, token,
    USDC) saved up below the minimum. ``day_equity``: equity when this UTC day began; ``peak`` the highest so far and
    ``drawdown`` the deepest fall below a peak. ``missed``: (leader, token) of BUYs in markets that are not resolved.
    ``taken``: (token, side, price, shares) of the liquidity that it has used up.
    """

    name: str
    bankroll: int
    cash: int
    policy: Policy
    positions: tuple[Position, ...] = ()
    intents: tuple[Order, ...] = ()
    pending: tuple[PendingDecision, ...] = ()
    orders: tuple[LeaderOrder, ...] = ()
    spent_day: int = 0
    spent_today: int = 0
    buys: tuple[tuple[str, int], ...] = ()
    recent: tuple[tuple[Order, tuple[int, ...]], ...] = ()
    follows: tuple[str, ...] | None = None
    saved: tuple[tuple[str, str, int], ...] = ()
    day_equity: int | None = None
    peak: int = 0
    drawdown: int = 0
    missed: tuple[tuple[str, str], ...] = ()
    taken: tuple[tuple[str, Side, int, int], ...] = ()


class _Event(msgspec.Struct, frozen=True, kw_only=True, tag=True, gc=False):
    at: int


class Past(msgspec.Struct, frozen=True, kw_only=True):
    """What the store knows of a leader and token and memory does not, brought with the event that needs it.

    ``trades`` are all of ``since`` (µs) and later, ``sets`` what snapshots said since then (shares, as of µs, whether
    it was the first of a following); nothing of either where ``since`` is ``None``. ``orders``: the leader's orders as
    portfolios, named, know them, oldest first.
    """

    leader: str
    token_id: str
    since: int | None = None
    trades: tuple[Trade, ...] = ()
    sets: tuple[tuple[int, int, bool], ...] = ()
    orders: tuple[tuple[str, LeaderOrder], ...] = ()


class Restored(_Event, frozen=True, kw_only=True, tag=True):
    """The first event of every run: the last ids given, and the portfolios with their open business.

    ``keep`` (µs; 0 = everything): trades of so late alone are among ``trades``, and kept later on, but for what
    something waits for; others come with the event that needs them. ``recalled``: (leader, token) whose orders the
    portfolios have.
    """

    portfolios: tuple[PortfolioState, ...]
    globals: Globals = Globals()
    trades: tuple[Trade, ...] = ()
    keep: int = 0
    recalled: tuple[tuple[str, str], ...] = ()
    last_trade_id: int = 0
    last_decision_id: int = 0
    last_intent_id: int = 0
    last_fill_id: int = 0
    last_entry_id: int = 0
    last_adjustment_id: int = 0


class LeaderFollowed(_Event, frozen=True, kw_only=True, tag=True):
    """A leader is followed from now on (``cursor_ts`` = None) or again after a restart (stored cursor).

    ``floor_ts`` (epoch seconds): nothing traded earlier is taken in. ``follow_from`` (µs): earlier is backfill.
    """

    leader: str
    follow_from: int
    floor_ts: int
    cursor_ts: int
    is_new: bool
    paused: bool = False
    bootstrapped: bool = False
    holdings: tuple[tuple[str, int], ...] = ()
    sets: tuple[tuple[str, int, int, bool], ...] = ()
    """What snapshots said of late: (token, shares, as of µs, whether it was the first of this leader)."""
    value: int | None = None
    gaps: tuple[tuple[int, int], ...] = ()
    """What is missing of their history: seconds (from, to)."""
    gone: tuple[tuple[str, int], ...] = ()
    """Tokens that the venue showed as gone for an unknown reason lately, and as of when (µs)."""


class LeaderPaused(_Event, frozen=True, kw_only=True, tag=True):
    """A leader's copying was paused or resumed; his trades are still recorded."""

    leader: str
    paused: bool


class LeaderRemoved(_Event, frozen=True, kw_only=True, tag=True):
    """A leader is no longer followed. What was copied from him stays."""

    leader: str


class PolicyChanged(_Event, frozen=True, kw_only=True, tag=True):
    """A portfolio's effective settings changed."""

    portfolio: str
    policy: Policy


class GlobalsChanged(_Event, frozen=True, kw_only=True, tag=True):
    """The settings that belong to no portfolio changed."""

    globals: Globals


class PortfolioAdded(_Event, frozen=True, kw_only=True, tag=True):
    """A new portfolio that starts with its bankroll in cash."""

    state: PortfolioState


class FollowsChanged(_Event, frozen=True, kw_only=True, tag=True):
    """A portfolio copies these leaders from now on (``None`` = all)."""

    portfolio: str
    leaders: tuple[str, ...] | None


class PortfolioArchived(_Event, frozen=True, kw_only=True, tag=True):
    """A portfolio takes part no longer: nothing is decided or filled for it, its books stay."""

    portfolio: str


class CloseAsked(_Event, frozen=True, kw_only=True, tag=True):
    """A person wants positions sold: of a portfolio, and of one leader and token if named. ``command``: the request to
    answer, if there is one."""

    portfolio: str
    leader: str | None = None
    token_id: str | None = None
    command: int | None = None


class PaperReset(_Event, frozen=True, kw_only=True, tag=True):
    """Positions, intents, fills and ledger of a portfolio (``None`` = all) were wiped; cash is the bankroll again.
    ``command``: the request to answer, if there is one."""

    portfolio: str | None = None
    command: int | None = None


class ChainFillSeen(_Event, frozen=True, kw_only=True, tag=True):
    """A log with a followed wallet as maker; ``removed`` when a reorg takes it back."""

    fill: LeaderFill
    removed: bool = False
    past: tuple[Past, ...] = ()


class ApiWindowRead(_Event, frozen=True, kw_only=True, tag=True):
    """All TRADE rows of one leader from a start to now, in the API's order, other moves, where the cursor goes.

    ``read_from`` (``None`` = not said) to ``read_to`` (``None`` = now), epoch seconds, is what was read, and ``gaps``
    the seconds of it (from, to) of which not all rows could be had. ``backfill``: what is new in it was asked for
    long after and is only recorded; ``command``: the request to answer then.
    """

    leader: str
    fills: tuple[LeaderFill, ...]
    cursor_ts: int
    moves: tuple[Move, ...] = ()
    read_from: int | None = None
    read_to: int | None = None
    gaps: tuple[tuple[int, int], ...] = ()
    past: tuple[Past, ...] = ()
    backfill: bool = False
    command: int | None = None


class HoldingsSnapshot(_Event, frozen=True, kw_only=True, tag=True):
    """What ``/v2/positions`` says that a leader holds, as of an instant (µs); ``conditions`` of those tokens, and what
    all of it is worth. Of ``unread`` tokens it says nothing; nor, unless it is ``whole``, of those it does not list."""

    leader: str
    as_of: int
    holdings: tuple[tuple[str, int], ...]
    bootstrap: bool = False
    conditions: tuple[tuple[str, str], ...] = ()
    value: int | None = None
    unread: tuple[str, ...] = ()
    whole: bool = True
    past: tuple[Past, ...] = ()


class MarketSeen(_Event, frozen=True, kw_only=True, tag=True):
    """A token's market, looked up."""

    market: Market


class MarketMissing(_Event, frozen=True, kw_only=True, tag=True):
    """A look-up that found nothing or failed."""

    token_id: str
    detail: str = ""


class BookSeen(_Event, frozen=True, kw_only=True, tag=True):
    """A token's order book."""

    book: Book


class BookMissing(_Event, frozen=True, kw_only=True, tag=True):
    """No book: none exists, or the request failed."""

    token_id: str
    detail: str = ""
    gone: bool = False


class OrderFilled(_Event, frozen=True, kw_only=True, tag=True):
    """A part of an order, or all of it, was filled. ``number`` counts the order's fills from 1."""

    order_id: int
    number: int
    execution: Execution


class OrderTried(_Event, frozen=True, kw_only=True, tag=True):
    """An order was tried and is still out. ``attempts`` and ``due_at``: how many books were missing so far, and when it
    is tried next; ``limit``: within which it was tried at a book (``None`` = there was none)."""

    order_id: int
    attempts: int
    due_at: int
    limit: int | None = None


class OrderEnded(_Event, frozen=True, kw_only=True, tag=True):
    """An order is over. ``attempts`` and ``due_at``: how many books were missing, and when it was last to be tried."""

    order_id: int
    how: How
    attempts: int = 0
    due_at: int | None = None


class HealthChanged(_Event, frozen=True, kw_only=True, tag=True):
    """A source became healthy or ill."""

    source: Source
    healthy: bool
    detail: str = ""


class TimerFired(_Event, frozen=True, kw_only=True, tag=True):
    """A timer that the engine set has run out."""

    timer: Timer


class Tick(_Event, frozen=True, kw_only=True, tag=True):
    """Regular heartbeat: values the portfolios."""


Event: TypeAlias = (
    Restored
    | LeaderFollowed
    | LeaderPaused
    | LeaderRemoved
    | PolicyChanged
    | GlobalsChanged
    | PortfolioAdded
    | FollowsChanged
    | PortfolioArchived
    | CloseAsked
    | PaperReset
    | ChainFillSeen
    | ApiWindowRead
    | HoldingsSnapshot
    | MarketSeen
    | MarketMissing
    | BookSeen
    | BookMissing
    | OrderFilled
    | OrderTried
    | OrderEnded
    | HealthChanged
    | TimerFired
    | Tick
)
