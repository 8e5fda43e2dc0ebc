"""What became of a decision: not copied, still waiting, or copied, and then filled, still out, or not filled and why.

Decided here alone, from the decision's order (its *intent*) and the order's fills; pages, REST, commands, exports and
counts all take it from here. The way out of a fill that a reorg orphaned hangs on the same decision, but is not its
order.
"""

from __future__ import annotations

from collections.abc import Sequence
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
        orders |= _orders(c, ids[begin : begin + AT_ONCE])
    return {
        number: orders.get(number) or _WITHOUT_ORDER[_BY_ACTION.get(action, State.RESET)]
        for number, action in decisions
    }


_WITHOUT_ORDER = {
    state: Became(
        state=state, partly=None, orphaned=None, our_shares_micro=None, our_usdc_micro=None, our_price=None,
        order_usdc_micro=None, order_shares_micro=None, intent_state=None, intent_reason=None, why=None,
    )
    for state in (State.SKIPPED, State.WAITING, State.RESET)
}  # fmt: skip


class _Order(msgspec.Struct, frozen=True, kw_only=True):
    """A decision's order, and what its fills add up to."""

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


def _orders(c: Connection, ids: list[int]) -> dict[int, Became]:
    i, f = t.intents.c, t.fills.c
    query = (
        select(i.decision_id, STATE.label("became"), i.state, i.reason, i.side, i.shares_micro, i.budget_micro,
               total(f.shares_micro).label("got"), total(f.usdc_micro).label("paid"),
               total(case((f.status != "ok", 1), else_=0)).label("orphaned"))
        .select_from(t.intents.join(t.decisions, t.decisions.c.id == i.decision_id)
                     .outerjoin(t.fills, f.intent_id == i.id))
        .where(i.decision_id.in_(ids), IS_THE_ORDER).group_by(i.id)
    )  # fmt: skip
    return {order.decision_id: _became(order) for order in read_rows(c, _Order, query)}


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
        why=_why(o),
    )


def _why(o: _Order) -> str | None:
    """Why an order got nothing or not all; without an outcome, what it was to sell was gone, or what was on offer."""
    if o.became is State.OUT or (o.became is State.FILLED and o.state is OrderState.FILLED):
        return None
    if o.reason is not None:
        return outcome_words(o.reason)
    return "nothing was left to sell" if o.side is Side.SELL else "no more was on offer within the limit"
