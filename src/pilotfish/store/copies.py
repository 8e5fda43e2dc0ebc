"""What became of a decision: not copied, still waiting, or copied, and then filled, still out, or not filled and why.

Decided here alone, from the decision's order (its *intent*) and the order's fills; pages, REST, commands, exports and
counts all take it from here. The way out of a fill that a reorg orphaned hangs on the same decision, but is not its
order.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from enum import StrEnum
from itertools import islice
from typing import Any

from sqlalchemy import ColumnElement, Connection, case, func, or_, select

from pilotfish.core.reasons import outcome_words
from pilotfish.core.units import MICRO, price_of
from pilotfish.store import tables as t

Row = dict[str, Any]
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
_BY_ACTION = {"skip": State.SKIPPED, "wait": State.WAITING}

STATE: ColumnElement[str] = case(
    (t.INTENT_OUT, State.OUT.value), (t.INTENT_FILLED, State.FILLED.value), else_=State.NOT_FILLED.value
)
"""The state of an intent's row."""
CONDITIONS = {State.FILLED: t.INTENT_FILLED, State.OUT: t.INTENT_OUT, State.NOT_FILLED: t.INTENT_NOT_FILLED}
"""The same, as conditions that indexes know."""
IS_THE_ORDER = or_(t.intents.c.trade_id != 0, t.decisions.c.trade_id.is_(None))
"""True for the order of a decision, not for the way out of an orphaned fill; of intents joined with decisions."""


def of(c: Connection, decisions: Sequence[tuple[int, str]]) -> dict[int, Row]:
    """What became of decisions, given as (id, action):

    ``state``, ``partly`` (filled, but not whole), ``orphaned`` (a reorg took a fill's trade back);
    ``our_shares_micro``, ``our_usdc_micro`` and ``our_price`` of what was got; ``order_usdc_micro`` (a BUY) or
    ``order_shares_micro`` (a SELL) of what was ordered; ``intent_state``, ``intent_reason`` and ``why`` (in words) of
    how the order ended. All but ``state`` are ``None`` without an order.
    """
    ids = [number for number, action in decisions if action not in _BY_ACTION]
    orders: dict[int, Row] = {}
    for begin in range(0, len(ids), AT_ONCE):
        orders |= _orders(c, ids[begin : begin + AT_ONCE])
    return {
        number: orders.get(number) or {**_NO_ORDER, "state": _BY_ACTION.get(action, State.RESET).value}
        for number, action in decisions
    }


_NO_ORDER: Row = dict.fromkeys(
    ("state", "partly", "orphaned", "our_shares_micro", "our_usdc_micro", "our_price", "order_usdc_micro",
     "order_shares_micro", "intent_state", "intent_reason", "why")
)  # fmt: skip


def _orders(c: Connection, ids: list[int]) -> dict[int, Row]:
    i, f = t.intents.c, t.fills.c
    query = (
        select(i.decision_id, STATE.label("became"), i.state, i.reason, i.side, i.shares_micro, i.budget_micro,
               func.sum(f.shares_micro).label("shares"), func.sum(f.usdc_micro).label("usdc"),
               func.sum(case((f.status != "ok", 1), else_=0)).label("orphaned"))
        .select_from(t.intents.join(t.decisions, t.decisions.c.id == i.decision_id)
                     .outerjoin(t.fills, f.intent_id == i.id))
        .where(i.decision_id.in_(ids), IS_THE_ORDER).group_by(i.id)
    )  # fmt: skip
    return {r.decision_id: _order(r) for r in c.execute(query)}


def _order(r: Any) -> Row:
    shares, usdc = int(r.shares or 0), int(r.usdc or 0)
    return {
        "state": r.became,
        "partly": r.became == State.FILLED and r.state != "filled",
        "orphaned": bool(r.orphaned),
        "our_shares_micro": shares or None,
        "our_usdc_micro": usdc or None,
        "our_price": price_of(usdc, shares) / MICRO if shares else None,
        "order_usdc_micro": r.budget_micro if r.side == "BUY" else None,
        "order_shares_micro": None if r.side == "BUY" else r.shares_micro,
        "intent_state": r.state,
        "intent_reason": r.reason,
        "why": _why(r),
    }


def _why(r: Any) -> str | None:
    """Why an order got nothing or not all; without an outcome, what it was to sell was gone, or what was on offer."""
    if r.became == State.OUT or (r.became == State.FILLED and r.state == "filled"):
        return None
    if r.reason is not None:
        return outcome_words(r.reason)
    return "nothing was left to sell" if r.side == "SELL" else "no more was on offer within the limit"


def with_states(c: Connection, rows: Iterable[Row]) -> Iterator[Row]:
    """Decisions with what became of them; looked up in pieces, so that any number fits in memory."""
    left = iter(rows)
    while part := list(islice(left, AT_ONCE)):
        became = of(c, [(row["id"], row["action"]) for row in part])
        yield from ({**row, **became[row["id"]]} for row in part)
