"""What the core asks for: rows to keep, data to fetch, timers to set.

The effects of one event are one commit. Row effects carry finished rows, so that what is written is what was true
when the event was applied, whatever happens to the engine's state afterwards.
"""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from pilotfish.core.orders import CancelOrder, PlaceOrder
from pilotfish.core.records import Record
from pilotfish.core.timers import Timer


class Insert(msgspec.Struct, frozen=True, gc=False, tag=True):
    """A new row."""

    record: Record


class Update(msgspec.Struct, frozen=True, gc=False, tag=True):
    """New values for the row with the same ``id``: a record of the columns that change."""

    record: Record


class Upsert(msgspec.Struct, frozen=True, gc=False, tag=True):
    """Insert, or replace the columns of the row with the same key."""

    record: Record


class Delete(msgspec.Struct, frozen=True, gc=False, tag=True):
    """Remove the row with this key; none there is none removed."""

    key: Record


class WipePaper(msgspec.Struct, frozen=True, gc=False, tag=True):
    """Delete positions, intents, fills, ledger entries and equity of a portfolio."""

    portfolio: str


class NeedMarket(msgspec.Struct, frozen=True, gc=False, tag=True):
    """Look a token's market up; answered by ``MarketSeen`` or ``MarketMissing``."""

    token_id: str


class NeedBook(msgspec.Struct, frozen=True, gc=False, tag=True):
    """Read a token's book, asked for from now on; answered by ``BookSeen`` or ``BookMissing``."""

    token_id: str


class NeedHoldings(msgspec.Struct, frozen=True, gc=False, tag=True):
    """Read what a leader holds; answered by ``HoldingsSnapshot``."""

    leader: str
    bootstrap: bool


class CheckChain(msgspec.Struct, frozen=True, gc=False, tag=True):
    """The chain source looks healthy but did not deliver a log: make its subscriptions anew."""

    detail: str


class Answered(msgspec.Struct, frozen=True, gc=False, tag=True):
    """What became of a person's request."""

    command: int
    text: str


class Refused(msgspec.Struct, frozen=True, gc=False, tag=True):
    """Something that was told cannot be, and was not booked: it is counted and shown."""

    source: str
    error: str
    payload: str


class SetTimer(msgspec.Struct, frozen=True, gc=False, tag=True):
    """Send ``TimerFired(timer)`` at ``at`` (µs)."""

    timer: Timer
    at: int


RowEffect: TypeAlias = Insert | Update | Upsert | Delete | WipePaper
"""What is written."""
Effect: TypeAlias = (
    RowEffect
    | NeedMarket
    | NeedBook
    | NeedHoldings
    | CheckChain
    | SetTimer
    | PlaceOrder
    | CancelOrder
    | Answered
    | Refused
)
