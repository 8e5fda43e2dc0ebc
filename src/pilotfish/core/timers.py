"""What wakes the engine later: one frozen struct a kind, handled by type as events are.

Timers follow from state: each belongs to something that waits (an order, a decision, a trade, a leader), whose state
says when; ``engine.timers()`` works all of them out, so that no restart loses one.
"""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from pilotfish.core.words import Word


class Waited(Word):
    """What a decision can wait for; each wait is for one token."""

    BOOK = "book"
    MARKET = "market"
    CHAIN = "chain"
    API = "api"
    HOLDINGS = "holdings"


class OrderDue(msgspec.Struct, frozen=True, gc=False, tag=True):
    """An order reaches the book, or is tried again."""

    order_id: int


class LookAgain(msgspec.Struct, frozen=True, gc=False, tag=True):
    """A decision that waits for something of a token is looked at again."""

    what: Waited
    token_id: str


class ReorgOver(msgspec.Struct, frozen=True, gc=False, tag=True):
    """A retracted trade was not mined again in time."""

    trade_id: int


class HoldingsAgain(msgspec.Struct, frozen=True, gc=False, tag=True):
    """A leader's holdings are compared with the venue's once more."""

    leader: str


class ApiOverdue(msgspec.Struct, frozen=True, gc=False, tag=True):
    """A trade seen on chain should have been confirmed by the API by now."""

    trade_id: int


class LogOverdue(msgspec.Struct, frozen=True, gc=False, tag=True):
    """The log of a trade that the API has shown should have come by now."""

    trade_id: int


class RuleAgain(msgspec.Struct, frozen=True, gc=False, tag=True):
    """The second look of take-profit and stop-loss at a position."""

    portfolio: str
    leader: str
    token_id: str


Timer: TypeAlias = OrderDue | LookAgain | ReorgOver | HoldingsAgain | ApiOverdue | LogOverdue | RuleAgain
