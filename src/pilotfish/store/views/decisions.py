"""What portfolios decided on leaders' trades, with the trace, the orders and their fills, and what became of it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from itertools import islice
from typing import ClassVar, TypeAlias

import msgspec
from msgspec.structs import asdict
from sqlalchemy import Connection, select

from pilotfish.core.reasons import Action, Reason
from pilotfish.core.records import Record, TradeRecord
from pilotfish.core.trade import Side, TradeClass
from pilotfish.core.units import Micros, Usdc
from pilotfish.store import copies
from pilotfish.store import tables as t
from pilotfish.store.copies import Became
from pilotfish.store.interned import spelled
from pilotfish.store.mapping import newest, read, read_row, read_rows
from pilotfish.store.sources import listened
from pilotfish.store.views.base import Iso, Page, View, following, iso
from pilotfish.store.views.orders import IntentFilled, read_orders
from pilotfish.store.views.trades import LeaderTrade, SeenTrade, TradeFilter, leader_trade, read_trades

Scalar: TypeAlias = bool | int | float | str | None
Told: TypeAlias = Scalar | list[Scalar]
"""What a trace tells: a value that was looked at, or what it was held against."""


class StoredDecision(Record, frozen=True, kw_only=True, rename={"trade_class": "class"}):
    """What is read of a decision's row; what earlier versions did not write is ``None``."""

    table: ClassVar[str] = "decisions"
    id: int
    trade_id: int | None
    adjustment_id: int | None
    rule: str | None
    portfolio: str
    leader: str | None
    token_id: str | None
    side: Side | None
    action: Action
    reason: Reason
    trade_class: TradeClass | None
    wanted_usdc_micro: Usdc | None
    granted_usdc_micro: Usdc | None
    decided_at: Micros
    trace: list[tuple[str, Told, Told, bool]]


class TraceLine(View, frozen=True, kw_only=True):
    """One check of a decision."""

    check: str
    value: Told
    limit: Told
    passed: bool


class Decision(Became, frozen=True, rename={"kind": "class"}):
    """A portfolio's decision with its trace, and what became of it."""

    id: int
    trade_id: int | None
    adjustment_id: int | None
    rule: str | None
    portfolio: str
    leader: str | None
    token_id: str | None
    side: Side | None
    action: Action
    reason: Reason
    kind: TradeClass | None
    wanted_usdc_micro: Usdc | None
    granted_usdc_micro: Usdc | None
    decided_at: Iso
    trace: list[TraceLine]


class DecisionTraced(Decision, frozen=True, kw_only=True):
    """A decision with its orders."""

    intents: list[IntentFilled]


class TradeTraced(LeaderTrade, frozen=True, kw_only=True):
    """One trade with each portfolio's decision and the payload that it came in; ``polygon_on``: whether the chain was
    listened to then."""

    polygon_on: bool
    decisions: list[DecisionTraced]
    raw: str | None


class DecisionOfPortfolio(Became, frozen=True):
    """What a portfolio decided on a trade, in short, and what became of it."""

    id: int
    portfolio: str
    action: Action
    reason: Reason


class TradeWithDecisions(SeenTrade, frozen=True, kw_only=True):
    """A trade with each portfolio's decision, in short."""

    decisions: list[DecisionOfPortfolio]


def decisions(c: Connection, rows: Iterable[StoredDecision]) -> Iterator[Decision]:
    """Decisions from their rows, with what became of them; looked up in pieces, so that any number fits in memory."""
    left = iter(rows)
    while part := list(islice(left, copies.AT_ONCE)):
        became = copies.of(c, [(r.id, r.action) for r in part])
        yield from (_decision(r, became[r.id]) for r in part)


def _decision(r: StoredDecision, became: Became) -> Decision:
    return Decision(
        id=r.id,
        trade_id=r.trade_id,
        adjustment_id=r.adjustment_id,
        rule=r.rule,
        portfolio=r.portfolio,
        leader=r.leader,
        token_id=r.token_id,
        side=r.side,
        action=r.action,
        reason=r.reason,
        kind=r.trade_class,
        wanted_usdc_micro=r.wanted_usdc_micro,
        granted_usdc_micro=r.granted_usdc_micro,
        decided_at=iso(r.decided_at),
        trace=[TraceLine(check=name, value=value, limit=limit, passed=ok) for name, value, limit, ok in r.trace],
        **asdict(became),
    )


def read_decisions(
    c: Connection, *, limit: int, before: int | None = None, portfolio: str | None = None, leader: str | None = None,
    action: str | None = None, reason: str | None = None,
) -> Page[Decision]:  # fmt: skip
    """Decisions, newest first."""
    of = {"portfolio": portfolio, "leader": leader, "action": action, "reason": reason}
    rows = list(read_rows(c, StoredDecision, newest(StoredDecision, limit + 1, before, **of)))
    return Page(data=list(decisions(c, rows[:limit])), next_before=following(rows, limit))


def read_decision(c: Connection, decision_id: int) -> DecisionTraced | None:
    """One decision with its orders and their fills; ``None`` = no such."""
    rows = read_rows(c, StoredDecision, read(StoredDecision).where(t.decisions.c.id == decision_id))
    return next((_traced(c, one) for one in decisions(c, list(rows))), None)


FEW = 6
"""Decisions on a trade that are all told whole; of more some are, and the others in groups."""


def read_trade(c: Connection, trade_id: int, whole: Collection[str] | None = None) -> TradeTraced | None:
    """One trade with its payload, and each portfolio's decision with its orders and their fills; ``None`` = no such.
    Of more than :data:`FEW` decisions only those of the portfolios that are to be told ``whole`` have their orders."""
    row = read_row(c, TradeRecord, read(TradeRecord).where(t.trades.c.id == trade_id))
    if row is None:
        return None
    raw = c.execute(select(t.trade_raw.c.payload).where(t.trade_raw.c.trade_id == trade_id)).scalar()
    d = t.decisions.c
    decided = read_rows(
        c, StoredDecision, read(StoredDecision).where(d.trade_id == trade_id).order_by(spelled(d.portfolio))
    )
    found = list(decisions(c, list(decided)))
    named = whole if whole is not None and len(found) > FEW else None
    return TradeTraced(
        **asdict(leader_trade(row)),
        polygon_on=listened(c, "polygon").at(row.traded_at),
        decisions=[_traced(c, one, orders=named is None or one.portfolio in named) for one in found],
        raw=raw,
    )


def _traced(c: Connection, one: Decision, *, orders: bool = True) -> DecisionTraced:
    return DecisionTraced(**asdict(one), intents=read_orders(c, one.id) if orders else [])


class _OnTrade(msgspec.Struct, frozen=True, kw_only=True):
    """What is read of a decision to say it in short."""

    id: int
    trade_id: int
    portfolio: str
    action: Action
    reason: Reason


def read_trades_with_decisions(c: Connection, f: TradeFilter, *, limit: int) -> list[TradeWithDecisions]:
    """Leaders' trades, newest first, each with what every portfolio decided on it."""
    found = read_trades(c, f, limit=limit).data
    decided = read_decisions_on(c, [one.id for one in found])
    return [
        TradeWithDecisions(**{name: value for name, value in asdict(one).items() if name != "decision"},
                           decisions=decided.get(one.id, []))
        for one in found
    ]  # fmt: skip


def read_decisions_on(c: Connection, trade_ids: list[int]) -> dict[int, list[DecisionOfPortfolio]]:
    """What was decided on trades, and what became of it: by trade, one for each portfolio."""
    d = t.decisions.c
    query = select(d.id, d.trade_id, d.portfolio, d.action, d.reason).where(d.trade_id.in_(trade_ids))
    rows = list(read_rows(c, _OnTrade, query.order_by(spelled(d.portfolio))))
    became = copies.of(c, [(r.id, r.action) for r in rows])
    found: dict[int, list[DecisionOfPortfolio]] = {}
    for r in rows:
        one = DecisionOfPortfolio(
            id=r.id, portfolio=r.portfolio, action=r.action, reason=r.reason, **asdict(became[r.id])
        )
        found.setdefault(r.trade_id, []).append(one)
    return found
