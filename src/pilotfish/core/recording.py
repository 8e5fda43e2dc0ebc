"""Between the engine's living objects and the records that are written of them, both ways."""

from __future__ import annotations

from collections.abc import Callable

from pilotfish.core.by_place import maker
from pilotfish.core.events import Market
from pilotfish.core.facts import Verdict
from pilotfish.core.ledger import Position, Trip
from pilotfish.core.orders import Order
from pilotfish.core.records import (
    DecisionChange,
    DecisionRecord,
    IntentChange,
    IntentRecord,
    MarketRecord,
    PositionRecord,
    RoundTripRecord,
    TradeChange,
    TradeRecord,
)
from pilotfish.core.trade import Side, Trade
from pilotfish.core.units import Micros, Price, Shares, Usdc

_ALIKE = tuple(name for name in TradeRecord.__struct_fields__ if name in Trade.__struct_fields__)
"""What a trade and its record call alike and hold alike; amounts have their unit in the record's name."""


def micros(at: int | None) -> Micros | None:
    """An instant, if there is one."""
    return None if at is None else Micros(at)


market_record: Callable[[Market], MarketRecord] = maker(
    MarketRecord, Market, fee_rate_ppm=("fee", "rate_ppm"), fee_half_exponent=("fee", "half_exponent")
)
"""The market behind a token."""
trade_change: Callable[[Trade], TradeChange] = maker(TradeChange, Trade)
"""What a later sighting can change of a trade."""
trade_record: Callable[[Trade], TradeRecord] = maker(TradeRecord, Trade)
"""A trade, whole."""
intent_change: Callable[[Order], IntentChange] = maker(IntentChange, Order)
"""What changes of an order while it is worked on."""
intent_record: Callable[[Order], IntentRecord] = maker(IntentRecord, Order)
"""An order, whole."""
position_record: Callable[[str, Position], PositionRecord] = maker(
    PositionRecord, Position, given=("portfolio",), trip_bought_micro=("trip", "bought"),
    trip_paid_micro=("trip", "paid"), trip_got_micro=("trip", "got"), trip_fees_micro=("trip", "fees"),
)  # fmt: skip
"""A position of a portfolio."""


def trip_record(portfolio: str, p: Position, trip: Trip, ended: str) -> RoundTripRecord:
    """A round trip that is over."""
    return RoundTripRecord(
        portfolio=portfolio,
        leader=p.leader,
        token_id=p.token_id,
        opened_at=Micros(p.opened_at),
        closed_at=micros(p.closed_at),
        bought_micro=Shares(trip.bought),
        paid_micro=Usdc(trip.paid),
        got_micro=Usdc(trip.got),
        fees_micro=Usdc(trip.fees),
        pnl_micro=Usdc(trip.got - trip.paid),
        ended=ended,
    )


def decision_change(number: int, v: Verdict, at: int) -> DecisionChange:
    """What a decision says."""
    granted = v.granted if v.action == "copy" else 0
    return DecisionChange(number, v.action, v.reason, Micros(at), v.kind, Usdc(v.wanted), Usdc(granted), v.trace)


def decision_record(
    number: int, v: Verdict, at: int, portfolio: str, leader: str, token_id: str, side: Side, wanted: int = 0,
    trade_id: int | None = None, adjustment_id: int | None = None, rule: str | None = None,
    order_decision_id: int | None = None, sized_by_order: bool | None = None, exit_price: Price | None = None,
) -> DecisionRecord:  # fmt: skip
    """A decision with whose it is; ``wanted`` is the USDC (millionths) that the ideal takes of it."""
    granted = v.granted if v.action == "copy" else 0
    return DecisionRecord(
        number, v.action, v.reason, Micros(at), v.kind, Usdc(v.wanted), Usdc(granted), v.trace,
        trade_id, adjustment_id, rule, portfolio, leader, token_id, side, Usdc(wanted),
        order_decision_id, sized_by_order, exit_price,
    )  # fmt: skip


# -- and back, when a run begins ---------------------------------------------------------------------------------------


def trade_of(r: TradeRecord) -> Trade:
    """A trade as the engine keeps it."""
    return Trade(
        shares=r.shares_micro,
        usdc=r.usdc_micro,
        fee=r.fee_micro,
        leader_pre_sell_shares=r.leader_pre_sell_shares_micro,
        **{name: getattr(r, name) for name in _ALIKE},
    )


def position_of(r: PositionRecord) -> Position:
    """A position as the engine keeps it."""
    return Position(
        leader=r.leader,
        token_id=r.token_id,
        condition_id=r.condition_id,
        outcome=r.outcome,
        shares=r.shares_micro,
        cost=r.cost_micro,
        realized_pnl=r.realized_pnl_micro,
        fees=r.fees_micro,
        mark_price=r.mark_price_micro,
        unmarked_since=r.unmarked_since,
        status=r.status,
        opened_at=r.opened_at,
        closed_at=r.closed_at,
        trip=Trip(bought=r.trip_bought_micro, paid=r.trip_paid_micro, got=r.trip_got_micro, fees=r.trip_fees_micro),
    )


def order_of(r: IntentRecord, rule: str | None) -> Order:
    """An order as the engine keeps it. ``rule``: what asked for a sale that no leader did."""
    return Order(
        id=r.id,
        decision_id=r.decision_id,
        trade_id=r.trade_id,
        portfolio=r.portfolio,
        leader=r.leader,
        token_id=r.token_id,
        condition_id=r.condition_id,
        side=r.side,
        shares=r.shares_micro,
        budget=r.budget_micro,
        limit_price=r.limit_price_micro,
        leader_price=r.leader_price_micro,
        traded_at=r.traded_at,
        created_at=r.created_at,
        due_at=r.due_at,
        give_up_at=r.give_up_at,
        state=r.state,
        reason=r.reason,
        filled_shares=r.filled_shares_micro,
        attempts=r.attempts,
        share_cap=r.share_cap_micro,
        dust=r.dust_micro,
        rule=rule,
    )
