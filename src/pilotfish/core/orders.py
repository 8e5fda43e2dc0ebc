"""An order of ours: what it is, the states that it goes through, and what is said to and by whoever executes it.

The bookkeeping places and cancels (:class:`PlaceOrder`, :class:`CancelOrder`, effects); whoever executes answers with
:class:`OrderFilled`, :class:`OrderTried` and :class:`OrderEnded` (events). ``core/paper.py`` is one such; another needs
nothing more.
"""

from __future__ import annotations

import msgspec

from pilotfish.core.book import Take
from pilotfish.core.fees import FeeSchedule
from pilotfish.core.reasons import Outcome
from pilotfish.core.sizing import Slack
from pilotfish.core.trade import Side
from pilotfish.core.words import Word


class OrderState(Word):
    """Where an order stands."""

    PENDING = "pending"
    """Out, and not tried yet, or nobody had a book."""
    WORKING = "working"
    """Out, and tried at a book: a part was filled, or nothing was within its limit yet."""
    FILLED = "filled"
    PARTIAL = "partial"
    """Ended with a part filled."""
    CANCELLED = "cancelled"
    FAILED = "failed"


OPEN = frozenset({OrderState.PENDING, OrderState.WORKING})
ENDED = frozenset(OrderState) - OPEN
TRANSITIONS: dict[OrderState, frozenset[OrderState]] = {
    OrderState.PENDING: ENDED | {OrderState.WORKING},
    OrderState.WORKING: ENDED | {OrderState.WORKING},
    **dict.fromkeys(sorted(ENDED), frozenset[OrderState]()),
}
"""From each state, the states that may follow. What has ended stays ended: a fill that is told of later is refused.
A cancelled order may have been filled in part, and between our cancelling and the end a fill may still come."""


class Order(msgspec.Struct):
    """What to buy or sell, within which limit, and how far it got (table ``intents``). Amounts in millionths, times in
    µs. ``trade_id`` is 0 where no trade of a leader is behind it."""

    id: int
    decision_id: int
    trade_id: int
    portfolio: str
    leader: str
    token_id: str
    condition_id: str
    side: Side
    shares: int
    budget: int
    limit_price: int
    leader_price: int
    traded_at: int
    created_at: int
    due_at: int
    give_up_at: int
    state: OrderState = OrderState.PENDING
    reason: Outcome | None = None
    filled_shares: int = 0
    attempts: int = 0
    share_cap: int = 0
    dust: int = 0
    """Shares written off with it: what was left of the position was too little to sell."""
    leader_usdc: int = 0
    leader_shares: int = 0
    """The exact amounts of the leader's fill, for limits; 0 where no trade of theirs is behind it."""
    rule: str | None = None
    """What asked for a sale that no leader did: take_profit, stop_loss, close, dust, or a reorg."""
    fills: int = 0
    """How many fills were booked; the executor numbers them from 1."""
    placed: int = 0
    """The budget that it is out with: until it is sent anew or ends, fills of so much may come."""
    spent: int = 0
    """What the fills of a BUY cost, without fees."""
    held: bool = False
    """It is not out: a reorg took the leader's trade back, until that stands again."""
    resumed: bool = False
    """It was open when a run before ended: whenever it goes out it is judged as a late trade would be."""
    ending: Outcome | None = None
    """Why it was cancelled; the end itself is still to come."""

    def move(self, state: OrderState, reason: Outcome | None = None) -> None:
        """Go on to another state."""
        assert state in TRANSITIONS[self.state], f"order {self.id} cannot go from {self.state} to {state}"
        self.state, self.reason = state, reason

    @property
    def key(self) -> tuple[str, str]:
        """(leader, token)"""
        return (self.leader, self.token_id)


class PlaceOrder(msgspec.Struct, frozen=True, gc=False, tag=True):
    """Send an order: fill-and-kill for a BUY; a SELL is tried until ``give_up_at`` (µs).

    A BUY spends at most ``budget`` USDC, ``spend`` with its fee, for at most ``shares`` (0 = any number); a SELL sells
    ``shares``. No share costs more, or brings less, than ``limit``; ``slack`` says how a SELL's limit follows a tick
    that became finer. It reaches the book at ``due_at``. ``account`` is whose liquidity it uses up.
    """

    order_id: int
    account: str
    token_id: str
    side: Side
    shares: int
    budget: int
    spend: int
    limit: int
    slack: Slack | None
    due_at: int
    give_up_at: int
    retry_us: int
    attempts: int
    """How many books may be missing before a BUY is given up."""
    missing: int
    """How many books were missing already."""
    fills: int
    """How many fills the order has had already: the next one is told of under the next number."""


class CancelOrder(msgspec.Struct, frozen=True, gc=False, tag=True):
    """Take an order back; answered by ``OrderEnded``, before which it may still be filled."""

    order_id: int


class How(Word):
    """How an order ended."""

    FILLED = "filled"
    PARTIAL = "partial"
    """A BUY found less within its limit than it was to spend."""
    UNFILLED = "unfilled"
    """Nothing was on offer within the limit."""
    NO_CASH = "no_cash"
    NO_BOOK = "no_book"
    LIMIT = "limit"
    """A SELL's time is over, and nobody bid within the limit for what is left."""
    CANCELLED = "cancelled"
    REJECTED = "rejected"


class Execution(msgspec.Struct, frozen=True, gc=False):
    """One fill as it was executed: ``usdc`` without ``fee``; ``mid2`` is twice the mid at that instant."""

    takes: tuple[Take, ...]
    shares: int
    usdc: int
    fee: int
    schedule: FeeSchedule
    mid2: int
    limit: int
