"""What the core asks for: rows to keep, data to fetch, timers to set.

The effects of one event are one commit. Row effects carry finished rows, so that what is written is what was true
when the event was applied, whatever happens to the engine's state afterwards.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import msgspec

from pilotfish.core.ledger import Position, Trip
from pilotfish.core.orders import CancelOrder, Order, PlaceOrder
from pilotfish.core.policy import Verdict
from pilotfish.core.timers import Timer
from pilotfish.core.trade import Trade

Row: TypeAlias = dict[str, Any]


class Insert(msgspec.Struct, frozen=True, tag=True):
    """A new row."""

    table: str
    row: Row


class Update(msgspec.Struct, frozen=True, tag=True):
    """New values for the row with the same ``id``. All updates of one table carry the same columns."""

    table: str
    row: Row


class Upsert(msgspec.Struct, frozen=True, tag=True):
    """Insert, or replace the row with the same key."""

    table: str
    row: Row


class Delete(msgspec.Struct, frozen=True, tag=True):
    """Remove the row with this key (all columns of the primary key); none there is none removed."""

    table: str
    key: Row


class WipePaper(msgspec.Struct, frozen=True, tag=True):
    """Delete positions, intents, fills, ledger entries and equity of a portfolio."""

    portfolio: str


class NeedMarket(msgspec.Struct, frozen=True, tag=True):
    """Look a token's market up; answered by ``MarketSeen`` or ``MarketMissing``."""

    token_id: str


class NeedBook(msgspec.Struct, frozen=True, tag=True):
    """Read a token's book, asked for from now on; answered by ``BookSeen`` or ``BookMissing``."""

    token_id: str


class NeedHoldings(msgspec.Struct, frozen=True, tag=True):
    """Read what a leader holds; answered by ``HoldingsSnapshot``."""

    leader: str
    bootstrap: bool


class CheckChain(msgspec.Struct, frozen=True, tag=True):
    """The chain source looks healthy but did not deliver a log: make its subscriptions anew."""

    detail: str


class Answered(msgspec.Struct, frozen=True, tag=True):
    """What became of a person's request."""

    command: int
    text: str


class Refused(msgspec.Struct, frozen=True, tag=True):
    """Something that was told cannot be, and was not booked: it is counted and shown."""

    source: str
    error: str
    payload: str


class SetTimer(msgspec.Struct, frozen=True, tag=True):
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


def trade_row(t: Trade) -> Row:
    """The whole row of a trade (table ``trades``)."""
    return {
        "id": t.id,
        "leader": t.leader,
        "tx_hash": t.tx_hash,
        "token_id": t.token_id,
        "side": t.side.value,
        "shares_micro": t.shares,
        "occurrence": t.occurrence,
        "first_source": t.first_source.value,
        "class": t.trade_class.value,
        "moves_holding": t.moves_holding,
        **_trade_changing(t),
    }


def _trade_changing(t: Trade) -> Row:
    return {
        "usdc_micro": t.usdc,
        "traded_at": t.traded_at,
        "traded_at_estimated": t.traded_at_estimated,
        "first_seen_by_api_at": t.first_seen_by_api_at,
        "first_seen_by_polygon_at": t.first_seen_by_polygon_at,
        "is_combo": t.is_combo,
        "condition_id": t.condition_id,
        "outcome": t.outcome,
        "title": t.title,
        "slug": t.slug,
        "fee_micro": t.fee,
        "role": t.role,
        "order_hash": t.order_hash,
        "exchange": t.exchange,
        "block_number": t.block_number,
        "block_hash": t.block_hash,
        "log_index": t.log_index,
        "leader_pre_sell_shares_micro": t.leader_pre_sell_shares,
        "api_lagged": t.api_lagged,
        "retracted_at": t.retracted_at,
    }


def trade_update(t: Trade) -> Update:
    """What a later sighting can change of a trade."""
    return Update("trades", {"id": t.id, **_trade_changing(t)})


def position_row(portfolio: str, p: Position) -> Row:
    """The row of a position (table ``positions``)."""
    return {
        "portfolio": portfolio,
        "leader": p.leader,
        "token_id": p.token_id,
        "condition_id": p.condition_id,
        "outcome": p.outcome,
        "shares_micro": p.shares,
        "cost_micro": p.cost,
        "realized_pnl_micro": p.realized_pnl,
        "fees_micro": p.fees,
        "mark_price_micro": p.mark_price,
        "unmarked_since": p.unmarked_since,
        "status": p.status,
        "opened_at": p.opened_at,
        "closed_at": p.closed_at,
        "trip_bought_micro": p.trip.bought,
        "trip_paid_micro": p.trip.paid,
        "trip_got_micro": p.trip.got,
        "trip_fees_micro": p.trip.fees,
    }


def trip_row(portfolio: str, p: Position, trip: Trip, ended: str) -> Row:
    """The row of a round trip that is over (table ``round_trips``)."""
    return {
        "portfolio": portfolio,
        "leader": p.leader,
        "token_id": p.token_id,
        "opened_at": p.opened_at,
        "closed_at": p.closed_at,
        "bought_micro": trip.bought,
        "paid_micro": trip.paid,
        "got_micro": trip.got,
        "fees_micro": trip.fees,
        "pnl_micro": trip.got - trip.paid,
        "ended": ended,
    }


def decision_row(number: int, v: Verdict, at: int) -> Row:
    """What a decision says; whose it is, and what the ideal takes of it, goes into the row once,
    when it is first written."""
    return {
        "id": number,
        "action": v.action,
        "reason": v.reason.value,
        "decided_at": at,
        "class": v.kind.value if v.kind else None,
        "asked_usdc_micro": v.wanted,
        "granted_usdc_micro": v.granted if v.action == "copy" else 0,
        "trace": [[c.check, c.value, c.limit, c.passed] for c in v.trace],
    }


def intent_row(i: Order) -> Row:
    """The whole row of an intent (table ``intents``)."""
    return {
        "decision_id": i.decision_id,
        "trade_id": i.trade_id,
        "portfolio": i.portfolio,
        "leader": i.leader,
        "token_id": i.token_id,
        "condition_id": i.condition_id,
        "side": i.side.value,
        "leader_price_micro": i.leader_price,
        "traded_at": i.traded_at,
        "created_at": i.created_at,
        **_intent_changing(i),
    }


def _intent_changing(i: Order) -> Row:
    return {
        "id": i.id,
        "shares_micro": i.shares,
        "budget_micro": i.budget,
        "limit_price_micro": i.limit_price,
        "due_at": i.due_at,
        "give_up_at": i.give_up_at,
        "state": i.state.value,
        "reason": i.reason.value if i.reason else None,
        "filled_shares_micro": i.filled_shares,
        "attempts": i.attempts,
        "share_cap_micro": i.share_cap,
        "dust_micro": i.dust,
    }


def intent_update(i: Order) -> Update:
    """What changes of an intent while it is worked on."""
    return Update("intents", _intent_changing(i))
