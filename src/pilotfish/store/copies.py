"""What became of a decision: not copied, still waiting, or copied, and then filled, still out, or not filled and why.

Decided here alone, from the decision's order (its *intent*) and the order's fills; pages, REST, commands, exports and
counts all take it from here. The way out of a fill that a reorg orphaned hangs on the same decision, but is not its
order.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from enum import StrEnum

import msgspec
from sqlalchemy import ColumnElement, Connection, case, or_, select

from pilotfish.core.orders import OrderState
from pilotfish.core.reasons import Action, Outcome, outcome_words
from pilotfish.core.trade import Side
from pilotfish.core.units import Shares, Usdc, price_of
from pilotfish.store import tables as t
from pilotfish.store.mapping import read_rows, total
from pilotfish.store.views.base import View, decimal

AT_ONCE = 500
"""Decisions looked up at a time."""


class State(StrEnum):
    """What became of a decision."""

    FILLED = "filled"
    OUT = "out"
    NOT_FILLED = "not_filled"
    SKIPPED = "skipped"
    WAITING = "waiting"
    RESET = "reset"


WORDS: dict[State, str] = {
    State.FILLED: "filled",
    State.OUT: "order out",
    State.NOT_FILLED: "not filled",
    State.SKIPPED: "skipped",
    State.WAITING: "waiting",
    State.RESET: "reset",
}
"""For people."""
MEANING: dict[State, str] = {
    State.FILLED: "Copied, and the order got shares; partly filled says how much of what.",
    State.OUT: "Copied, and the order is out: it has not reached the book yet, or goes on trying.",
    State.NOT_FILLED: "Copied, but the order got nothing; the outcome says why.",
    State.SKIPPED: "Not copied; the reason says why.",
    State.WAITING: "Not decided yet; the reason says what for.",
    State.RESET: "Copied, but the paper state was reset since, and the order is gone with it.",
}
ORDERS = (State.FILLED, State.OUT, State.NOT_FILLED)
"""What an order can be."""
_BY_ACTION = {Action.SKIP: State.SKIPPED, Action.WAIT: State.WAITING}

STATE: ColumnElement[str] = case(
    (t.INTENT_OUT, State.OUT.value), (t.INTENT_FILLED, State.FILLED.value), else_=State.NOT_FILLED.value
)
"""The state of an intent's row."""
CONDITIONS = {State.FILLED: t.INTENT_FILLED, State.OUT: t.INTENT_OUT, State.NOT_FILLED: t.INTENT_NOT_FILLED}
"""The same, as conditions that indexes know."""
IS_THE_ORDER = or_(t.intents.c.trade_id != 0, t.decisions.c.trade_id.is_(None))
"""True for the order of a decision, not for the way out of an orphaned fill; of intents joined with decisions."""


class Became(View, frozen=True, kw_only=True):
    """What became of a decision. All but ``state`` are ``None`` without an order.

    Views of decisions are made of this, and what they declare themselves comes before it.
    """

    state: State
    partly: bool | None
    """Filled, but not whole."""
    orphaned: bool | None
    """A reorg took the trade of a fill back."""
    our_shares_micro: Shares | None
    our_usdc_micro: Usdc | None
    our_price: float | None
    order_usdc_micro: Usdc | None
    """What a BUY was to spend."""
    order_shares_micro: Shares | None
    """What a SELL was to sell."""
    intent_state: OrderState | None
    intent_reason: Outcome | None
    why: str | None
    """Why an order got nothing or not all, in words."""


def of(c: Connection, decisions: Sequence[tuple[int, Action]]) -> dict[int, Became]:
    """What became of decisions, given as (id, action)."""
    ids = [number for number, action in decisions if action not in _BY_ACTION]
    orders: dict[int, Became] = {}
    for begin in range(0, len(ids), AT_ONCE):
        mine = _read(c, t.intents.c.decision_id.in_(ids[begin : begin + AT_ONCE]), IS_THE_ORDER)
        orders |= {order.decision_id: _became(order) for order in mine}
    return {number: orders.get(number) or without_order(action) for number, action in decisions}


def of_orders(c: Connection, ids: Sequence[int]) -> dict[int, Became]:
    """What became of orders (*intents*), given by their numbers."""
    return {order.id: _became(order) for order in _read(c, t.intents.c.id.in_(ids))}


def without_order(action: Action) -> Became:
    """What became of a decision that has no order."""
    return _WITHOUT_ORDER[_BY_ACTION.get(action, State.RESET)]


def together(orders: Sequence[Became]) -> Became:
    """What several copies of one order of the leader came to; there is one at least."""
    if len(orders) == 1:
        return orders[0]
    states = {one.state for one in orders}
    state = next((state for state in (State.OUT, State.FILLED, State.NOT_FILLED) if state in states), State.RESET)
    got, paid = _sum(o.our_shares_micro for o in orders), _sum(o.our_usdc_micro for o in orders)
    return Became(
        state=state,
        partly=state is State.FILLED and any(o.state is not State.FILLED or o.partly for o in orders),
        orphaned=any(o.orphaned for o in orders),
        our_shares_micro=Shares(got) or None,
        our_usdc_micro=Usdc(paid) or None,
        our_price=decimal(price_of(paid, got)) if got else None,
        order_usdc_micro=Usdc(_sum(o.order_usdc_micro for o in orders)) or None,
        order_shares_micro=Shares(_sum(o.order_shares_micro for o in orders)) or None,
        intent_state=None,
        intent_reason=next((o.intent_reason for o in orders if o.intent_reason is not None), None),
        why=next((o.why for o in orders if o.why is not None), None),
    )


def _sum(amounts: Iterable[int | None]) -> int:
    return sum(amount for amount in amounts if amount is not None)


_WITHOUT_ORDER = {
    state: Became(
        state=state, partly=None, orphaned=None, our_shares_micro=None, our_usdc_micro=None, our_price=None,
        order_usdc_micro=None, order_shares_micro=None, intent_state=None, intent_reason=None, why=None,
    )
    for state in (State.SKIPPED, State.WAITING, State.RESET)
}  # fmt: skip


class _Order(msgspec.Struct, frozen=True, kw_only=True):
    """An order, and what its fills add up to."""

    id: int
    decision_id: int
    became: State
    state: OrderState
    reason: Outcome | None
    side: Side
    shares_micro: Shares
    budget_micro: Usdc
    got: Shares | None
    paid: Usdc | None
    orphaned: int


def _read(c: Connection, *which: ColumnElement[bool]) -> Iterator[_Order]:
    i, f = t.intents.c, t.fills.c
    query = (
        select(i.id, i.decision_id, STATE.label("became"), i.state, i.reason, i.side, i.shares_micro, i.budget_micro,
               total(f.shares_micro).label("got"), total(f.usdc_micro).label("paid"),
               total(case((f.status != "ok", 1), else_=0)).label("orphaned"))
        .select_from(t.intents.join(t.decisions, t.decisions.c.id == i.decision_id)
                     .outerjoin(t.fills, f.intent_id == i.id))
        .where(*which).group_by(i.id)
    )  # fmt: skip
    return read_rows(c, _Order, query)


def _became(o: _Order) -> Became:
    buys = o.side is Side.BUY
    return Became(
        state=o.became,
        partly=o.became is State.FILLED and o.state is not OrderState.FILLED,
        orphaned=bool(o.orphaned),
        our_shares_micro=o.got or None,
        our_usdc_micro=o.paid or None,
        our_price=decimal(price_of(o.paid or 0, o.got)) if o.got else None,
        order_usdc_micro=o.budget_micro if buys else None,
        order_shares_micro=None if buys else o.shares_micro,
        intent_state=o.state,
        intent_reason=o.reason,
        why=why(o.became, o.state, o.reason, o.side),
    )


def why(became: State, state: OrderState, reason: Outcome | None, side: Side) -> str | None:
    """Why an order got nothing or not all; without an outcome, what it was to sell was gone, or what was on offer."""
    if became is State.OUT or (became is State.FILLED and state is OrderState.FILLED):
        return None
    if reason is not None:
        return outcome_words(reason)
    return "nothing was left to sell" if side is Side.SELL else "no more was on offer within the limit"
