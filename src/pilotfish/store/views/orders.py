"""Our orders (*intents*) and their fills."""

from __future__ import annotations

from typing import ClassVar

from msgspec.structs import asdict
from sqlalchemy import Connection

from pilotfish.core.orders import OrderState
from pilotfish.core.reasons import Outcome
from pilotfish.core.records import IntentRecord, Record
from pilotfish.core.trade import Side
from pilotfish.core.units import Micros, Price, Shares, Usdc
from pilotfish.store import tables as t
from pilotfish.store.mapping import newest, read, read_rows
from pilotfish.store.views.base import Iso, Page, View, decimal, following, iso


class StoredFill(Record, frozen=True, kw_only=True):
    """What is read of a fill's row; what earlier versions did not write is ``None``."""

    table: ClassVar[str] = "fills"
    id: int
    intent_id: int
    portfolio: str
    leader: str
    token_id: str
    side: Side
    shares_micro: Shares
    usdc_micro: Usdc
    price_micro: Price
    fee_micro: Usdc
    filled_at: Micros
    levels: list[tuple[Price, Shares]]
    delay_cost_micro: Usdc
    spread_cost_micro: Usdc
    status: str
    leader_price_micro: Price | None


class Intent(View, frozen=True, kw_only=True):
    """What a copy set out to do, and how far it got."""

    id: int
    decision_id: int
    trade_id: int | None
    portfolio: str
    leader: str
    token_id: str
    side: Side
    shares_micro: Shares
    budget_micro: Usdc
    filled_shares_micro: Shares
    limit_price: float
    leader_price: float
    state: OrderState
    reason: Outcome | None
    attempts: int
    created_at: Iso
    due_at: Iso


class Level(View, frozen=True, kw_only=True):
    """What was taken of one level of a book."""

    price: float
    shares_micro: Shares


class Fill(View, frozen=True, kw_only=True):
    """A paper fill."""

    id: int
    intent_id: int
    portfolio: str
    leader: str
    token_id: str
    side: Side
    shares_micro: Shares
    usdc_micro: Usdc
    price: float
    fee_micro: Usdc
    leader_price: float | None
    filled_at: Iso
    levels: list[Level]
    delay_cost_micro: Usdc
    spread_cost_micro: Usdc
    status: str


class IntentFilled(Intent, frozen=True, kw_only=True):
    """An order with its fills."""

    fills: list[Fill]


def intent(r: IntentRecord) -> Intent:
    """What a copy set out to do, from its row."""
    return Intent(
        id=r.id,
        decision_id=r.decision_id,
        trade_id=r.trade_id or None,
        portfolio=r.portfolio,
        leader=r.leader,
        token_id=r.token_id,
        side=r.side,
        shares_micro=r.shares_micro,
        budget_micro=r.budget_micro,
        filled_shares_micro=r.filled_shares_micro,
        limit_price=decimal(r.limit_price_micro),
        leader_price=decimal(r.leader_price_micro),
        state=r.state,
        reason=r.reason,
        attempts=r.attempts,
        created_at=iso(r.created_at),
        due_at=iso(r.due_at),
    )


def fill(r: StoredFill) -> Fill:
    """A paper fill from its row."""
    return Fill(
        id=r.id,
        intent_id=r.intent_id,
        portfolio=r.portfolio,
        leader=r.leader,
        token_id=r.token_id,
        side=r.side,
        shares_micro=r.shares_micro,
        usdc_micro=r.usdc_micro,
        price=decimal(r.price_micro),
        fee_micro=r.fee_micro,
        leader_price=decimal(r.leader_price_micro),
        filled_at=iso(r.filled_at),
        levels=[Level(price=decimal(price), shares_micro=shares) for price, shares in r.levels],
        delay_cost_micro=r.delay_cost_micro,
        spread_cost_micro=r.spread_cost_micro,
        status=r.status,
    )


def read_fills(
    c: Connection, *, limit: int, before: int | None = None, portfolio: str | None = None, leader: str | None = None
) -> Page[Fill]:
    """Fills, newest first."""
    statement = newest(StoredFill, limit + 1, before, portfolio=portfolio, leader=leader)
    rows = list(read_rows(c, StoredFill, statement))
    return Page(data=[fill(r) for r in rows[:limit]], next_before=following(rows, limit))


def read_orders(c: Connection, decision_id: int) -> list[IntentFilled]:
    """A decision's orders, each with its fills."""
    i, f = t.intents.c, t.fills.c
    found = []
    for one in read_rows(c, IntentRecord, read(IntentRecord).where(i.decision_id == decision_id)):
        filled = read_rows(c, StoredFill, read(StoredFill).where(f.intent_id == one.id).order_by(f.id))
        found.append(IntentFilled(**asdict(intent(one)), fills=[fill(row) for row in filled]))
    return found
