"""What is being sold of positions: asked for by hand and not begun, orders that are out, and what became of those that
a person asked for a moment ago."""

from __future__ import annotations

from typing import TypeAlias

import msgspec
from sqlalchemy import Connection, select

from pilotfish.core.reasons import Action
from pilotfish.core.trade import Side
from pilotfish.core.units import Micros, Shares
from pilotfish.store import copies
from pilotfish.store import tables as t
from pilotfish.store.copies import Became
from pilotfish.store.mapping import read_rows
from pilotfish.store.round_trips import cause_of_sale
from pilotfish.store.views.base import View, iso

Key: TypeAlias = tuple[str, str]
"""(leader, token)"""
HAND = "close"
"""What a sale by hand is caused by."""


class Sale(View, frozen=True, kw_only=True):
    """An order that is out: what asked for it, how much of what it has sold, and when it went out."""

    cause: str
    shares_micro: Shares
    filled_shares_micro: Shares
    at: str


class ByHand(View, frozen=True, kw_only=True):
    """A sale that a person asked for, which is over, and what became of it."""

    decision_id: int
    at: str
    became: Became


class Asked(View, frozen=True, kw_only=True):
    """A request to sell that no worker has taken up yet; ``None`` = any."""

    leader: str | None
    token_id: str | None

    def covers(self, leader: str, token_id: str) -> bool:
        """True if it is for this position, too."""
        return self.leader in (None, leader) and self.token_id in (None, token_id)


class Sales(View, frozen=True, kw_only=True):
    """What is being sold in a portfolio, and what was sold by hand lately, by position: the newest of each."""

    asked: list[Asked]
    out: dict[Key, Sale]
    by_hand: dict[Key, ByHand]


class _Out(msgspec.Struct, frozen=True):
    leader: str
    token_id: str
    trade_id: int
    decided: int | None
    rule: str | None
    shares_micro: Shares
    filled_shares_micro: Shares
    created_at: Micros


class _Decision(msgspec.Struct, frozen=True):
    id: int
    portfolio: str
    leader: str
    token_id: str
    decided_at: Micros


def read_sales(c: Connection, portfolio: str, since: int) -> Sales:
    """``since``: how far back (µs) sales by hand are told of."""
    i, d = t.intents.c, t.decisions.c
    orders = (
        select(i.leader, i.token_id, i.trade_id, d.trade_id.label("decided"), d.rule, i.shares_micro,
               i.filled_shares_micro, i.created_at)
        .join(t.decisions, d.id == i.decision_id)
        .where(t.INTENT_OUT, i.portfolio == portfolio, i.side == Side.SELL.value)
        .order_by(i.id)
    )  # fmt: skip
    out = {
        (o.leader, o.token_id): Sale(
            cause=cause_of_sale(o.rule, o.trade_id, o.decided),
            shares_micro=o.shares_micro,
            filled_shares_micro=o.filled_shares_micro,
            at=iso(o.created_at),
        )
        for o in read_rows(c, _Out, orders)
    }
    lately = select(d.id, d.portfolio, d.leader, d.token_id, d.decided_at).where(d.decided_at >= since, d.rule == HAND)
    decided = [one for one in read_rows(c, _Decision, lately.order_by(d.decided_at)) if one.portfolio == portfolio]
    became = copies.of(c, [(one.id, Action.EXIT) for one in decided])
    by_hand = {
        (one.leader, one.token_id): ByHand(decision_id=one.id, at=iso(one.decided_at), became=became[one.id])
        for one in decided
    }
    return Sales(asked=_asked(c, portfolio), out=out, by_hand=by_hand)


class _Command(msgspec.Struct, frozen=True):
    payload: dict[str, str | None]


def _asked(c: Connection, portfolio: str) -> list[Asked]:
    command = t.commands.c
    waiting = select(command.payload).where(command.done_at.is_(None), command.kind == "close")
    return [
        Asked(leader=one.payload.get("leader"), token_id=one.payload.get("token_id"))
        for one in read_rows(c, _Command, waiting.order_by(command.id))
        if one.payload.get("portfolio") == portfolio
    ]
