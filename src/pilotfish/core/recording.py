"""Between the engine's living objects and the records that are written of them, both ways."""

from __future__ import annotations

from pilotfish.core.ledger import Position, Trip
from pilotfish.core.orders import Order
from pilotfish.core.policy import Verdict
from pilotfish.core.records import (
    DecisionChange,
    DecisionRecord,
    IntentChange,
    IntentRecord,
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


def _usdc(amount: int | None) -> Usdc | None:
    return None if amount is None else Usdc(amount)


def _shares(amount: int | None) -> Shares | None:
    return None if amount is None else Shares(amount)


def trade_change(t: Trade) -> TradeChange:
    """What a later sighting can change of a trade."""
    return TradeChange(
        id=t.id,
        usdc_micro=Usdc(t.usdc),
        traded_at=Micros(t.traded_at),
        traded_at_estimated=t.traded_at_estimated,
        first_seen_by_api_at=micros(t.first_seen_by_api_at),
        first_seen_by_polygon_at=micros(t.first_seen_by_polygon_at),
        is_combo=t.is_combo,
        condition_id=t.condition_id,
        outcome=t.outcome,
        title=t.title,
        slug=t.slug,
        fee_micro=_usdc(t.fee),
        role=t.role,
        order_hash=t.order_hash,
        exchange=t.exchange,
        block_number=t.block_number,
        block_hash=t.block_hash,
        log_index=t.log_index,
        leader_pre_sell_shares_micro=_shares(t.leader_pre_sell_shares),
        api_lagged=t.api_lagged,
        retracted_at=micros(t.retracted_at),
    )


def trade_record(t: Trade) -> TradeRecord:
    """A trade, whole."""
    return TradeRecord(
        id=t.id,
        usdc_micro=Usdc(t.usdc),
        traded_at=Micros(t.traded_at),
        traded_at_estimated=t.traded_at_estimated,
        first_seen_by_api_at=micros(t.first_seen_by_api_at),
        first_seen_by_polygon_at=micros(t.first_seen_by_polygon_at),
        is_combo=t.is_combo,
        condition_id=t.condition_id,
        outcome=t.outcome,
        title=t.title,
        slug=t.slug,
        fee_micro=_usdc(t.fee),
        role=t.role,
        order_hash=t.order_hash,
        exchange=t.exchange,
        block_number=t.block_number,
        block_hash=t.block_hash,
        log_index=t.log_index,
        leader_pre_sell_shares_micro=_shares(t.leader_pre_sell_shares),
        api_lagged=t.api_lagged,
        retracted_at=micros(t.retracted_at),
        leader=t.leader,
        tx_hash=t.tx_hash,
        token_id=t.token_id,
        side=t.side,
        shares_micro=Shares(t.shares),
        occurrence=t.occurrence,
        first_source=t.first_source,
        trade_class=t.trade_class,
        moves_holding=t.moves_holding,
    )


def position_record(portfolio: str, p: Position) -> PositionRecord:
    """A position of a portfolio."""
    return PositionRecord(
        portfolio=portfolio,
        leader=p.leader,
        token_id=p.token_id,
        condition_id=p.condition_id,
        outcome=p.outcome,
        shares_micro=Shares(p.shares),
        cost_micro=Usdc(p.cost),
        realized_pnl_micro=Usdc(p.realized_pnl),
        fees_micro=Usdc(p.fees),
        mark_price_micro=None if p.mark_price is None else Price(p.mark_price),
        unmarked_since=micros(p.unmarked_since),
        status=p.status,
        opened_at=Micros(p.opened_at),
        closed_at=micros(p.closed_at),
        trip_bought_micro=Shares(p.trip.bought),
        trip_paid_micro=Usdc(p.trip.paid),
        trip_got_micro=Usdc(p.trip.got),
        trip_fees_micro=Usdc(p.trip.fees),
    )


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
    return DecisionChange(
        id=number,
        action=v.action,
        reason=v.reason,
        decided_at=Micros(at),
        trade_class=v.kind,
        asked_usdc_micro=Usdc(v.wanted),
        granted_usdc_micro=Usdc(v.granted if v.action == "copy" else 0),
        trace=v.trace,
    )


def decision_record(
    number: int, v: Verdict, at: int, *, portfolio: str, leader: str, token_id: str, side: Side, wanted: int = 0,
    trade_id: int | None = None, adjustment_id: int | None = None, rule: str | None = None,
    order_decision_id: int | None = None, sized_by_order: bool | None = None, exit_price: Price | None = None,
) -> DecisionRecord:  # fmt: skip
    """A decision with whose it is; ``wanted`` is the USDC (millionths) that the ideal takes of it."""
    return DecisionRecord(
        id=number,
        action=v.action,
        reason=v.reason,
        decided_at=Micros(at),
        trade_class=v.kind,
        asked_usdc_micro=Usdc(v.wanted),
        granted_usdc_micro=Usdc(v.granted if v.action == "copy" else 0),
        trace=v.trace,
        trade_id=trade_id,
        adjustment_id=adjustment_id,
        rule=rule,
        portfolio=portfolio,
        leader=leader,
        token_id=token_id,
        side=side,
        wanted_usdc_micro=Usdc(wanted),
        order_decision_id=order_decision_id,
        sized_by_order=sized_by_order,
        exit_price_micro=exit_price,
    )


def intent_change(i: Order) -> IntentChange:
    """What changes of an order while it is worked on."""
    return IntentChange(
        id=i.id,
        shares_micro=Shares(i.shares),
        budget_micro=Usdc(i.budget),
        limit_price_micro=Price(i.limit_price),
        due_at=Micros(i.due_at),
        give_up_at=Micros(i.give_up_at),
        state=i.state,
        reason=i.reason,
        filled_shares_micro=Shares(i.filled_shares),
        attempts=i.attempts,
        share_cap_micro=Shares(i.share_cap),
        dust_micro=Shares(i.dust),
    )


def intent_record(i: Order) -> IntentRecord:
    """An order, whole."""
    return IntentRecord(
        id=i.id,
        shares_micro=Shares(i.shares),
        budget_micro=Usdc(i.budget),
        limit_price_micro=Price(i.limit_price),
        due_at=Micros(i.due_at),
        give_up_at=Micros(i.give_up_at),
        state=i.state,
        reason=i.reason,
        filled_shares_micro=Shares(i.filled_shares),
        attempts=i.attempts,
        share_cap_micro=Shares(i.share_cap),
        dust_micro=Shares(i.dust),
        decision_id=i.decision_id,
        trade_id=i.trade_id,
        portfolio=i.portfolio,
        leader=i.leader,
        token_id=i.token_id,
        condition_id=i.condition_id,
        side=i.side,
        leader_price_micro=Price(i.leader_price),
        traded_at=Micros(i.traded_at),
        created_at=Micros(i.created_at),
    )


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
