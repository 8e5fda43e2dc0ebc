"""Leaders as people read them: who is followed or was, and what copying them came to in a portfolio."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Literal, Protocol, TypeAlias

import msgspec
from sqlalchemy import Connection, select

from pilotfish.core.reasons import NEVER_COPIED, Action, Reason
from pilotfish.core.trade import TradeClass
from pilotfish.core.units import Micros, Usdc, proceeds_of
from pilotfish.store import tables as t
from pilotfish.store.copies import State
from pilotfish.store.interned import spelled
from pilotfish.store.mapping import read_rows
from pilotfish.store.report import Reports
from pilotfish.store.rollup import CopyCounts, DecisionCounts
from pilotfish.store.views.base import View, iso, joined
from pilotfish.store.views.positions import HoldingBesideOurs, read_holdings
from pilotfish.store.views.report import Shortfall

Whom: TypeAlias = Literal["followed", "former", "all"]
"""Leaders that are followed (paused ones too), that were followed once, or both."""


class Leader(View, frozen=True, kw_only=True):
    """A leader. Formerly followed ones have the status ``removed`` and, as ``left_at``, when that was;
    ``api_cursor_ts`` is in epoch seconds."""

    wallet: str
    label: str
    status: str
    added_at: str
    followed_from: str | None
    left_at: str | None
    api_cursor_ts: int | None


class LeaderFigures(Leader, frozen=True, kw_only=True):
    """A leader with what a portfolio decided on their trades, and what it made of them. ``copied`` counts decisions to
    copy; ``filled``, ``out`` and ``not_filled`` what became of their orders."""

    portfolio: str
    trades: int
    backfill: int
    copied: int
    orders: int
    orders_copied: int
    filled: int
    out: int
    not_filled: int
    skipped: dict[str, int]
    realized_pnl_micro: Usdc
    unrealized_pnl_micro: Usdc
    fees_micro: Usdc
    cost_micro: Usdc
    value_micro: Usdc
    open_positions: int
    last_trade_at: str | None


class LeaderWhole(LeaderFigures, frozen=True, kw_only=True):
    """A leader with their figures, the shortfall of copying them, and what they hold beside what we hold."""

    report: Shortfall | None
    holdings: list[HoldingBesideOurs]


class _Became(Protocol):
    """Whatever counts what became of orders."""

    @property
    def filled(self) -> int: ...
    @property
    def out(self) -> int: ...
    @property
    def not_filled(self) -> int: ...


def became(n: _Became) -> dict[State, int]:
    """Numbers of orders by what became of them."""
    return {State.FILLED: n.filled, State.OUT: n.out, State.NOT_FILLED: n.not_filled}


class _Entered(msgspec.Struct, frozen=True, kw_only=True):
    """A leader as people entered them, and where reading them stands."""

    wallet: str
    label: str
    status: str
    added_at: Micros
    updated_at: Micros
    follow_from: Micros | None
    api_cursor_ts: int | None


def read_leaders(c: Connection, whom: Whom = "followed") -> list[Leader]:
    """Leaders in the order in which they were added."""
    leaders, cursors = t.leaders.c, t.cursors.c
    removed = leaders.status == "removed"
    statement = (
        select(t.leaders, cursors.follow_from, cursors.api_cursor_ts)
        .outerjoin(t.cursors, cursors.leader == leaders.wallet)
        .order_by(leaders.added_at, spelled(leaders.wallet))
    )
    if whom != "all":
        statement = statement.where(removed if whom == "former" else ~removed)
    return [
        Leader(
            wallet=r.wallet,
            label=r.label,
            status=r.status,
            added_at=iso(r.added_at),
            followed_from=iso(r.follow_from),
            left_at=iso(r.updated_at) if r.status == "removed" else None,
            api_cursor_ts=r.api_cursor_ts,
        )
        for r in read_rows(c, _Entered, statement)
    ]


@dataclass(slots=True)
class _Sums:
    """What is added up of one leader."""

    trades: int = 0
    backfill: int = 0
    copied: int = 0
    orders: int = 0
    orders_copied: int = 0
    became: Counter[State] = field(default_factory=Counter)
    skipped: Counter[str] = field(default_factory=Counter)
    realized: int = 0
    fees: int = 0
    cost: int = 0
    value: int = 0
    open: int = 0


def read_figures(
    c: Connection, portfolio: str, decisions: DecisionCounts | None = None, orders: CopyCounts | None = None
) -> list[LeaderFigures]:
    """All leaders, formerly followed ones too, with their figures in a portfolio, in the order in which they were
    added."""
    everybody = read_leaders(c, "all")
    sums = {leader.wallet: _Sums() for leader in everybody}
    for group, n in (decisions or DecisionCounts()).read(c).items():
        found = sums.get(group.leader)
        if found is None or group.portfolio != portfolio or group.action == Action.EXIT:
            continue
        if group.kind == TradeClass.BACKFILL or group.reason == Reason.SKIP_BACKFILL:
            found.backfill += n
            continue
        found.trades += n
        if group.reason not in NEVER_COPIED:
            found.orders += 0 if group.further else n
            found.orders_copied += n if group.action == Action.COPY else 0
        if group.action == Action.COPY:
            found.copied += n
        elif group.action == Action.SKIP:
            found.skipped[group.reason] += n
    for order, n in (orders or CopyCounts()).read(c).items():
        if order.portfolio == portfolio and order.leader in sums:
            sums[order.leader].became[order.state] += n
    p = t.positions.c
    held = (p.leader, p.shares_micro, p.cost_micro, p.realized_pnl_micro, p.fees_micro, p.mark_price_micro)
    # as the database has them: there can be too many to make structs of
    for leader, shares, cost, realized, fees, mark in c.execute(select(*held).where(p.portfolio == portfolio)).all():
        found = sums.get(leader)
        if found is None:
            continue
        found.value += proceeds_of(shares, mark or 0) if shares else 0
        found.realized += realized
        found.fees += fees
        found.cost += cost
        found.open += shares > 0
    return [_figures(c, leader, portfolio, sums[leader.wallet]) for leader in everybody]


def _figures(c: Connection, leader: Leader, portfolio: str, n: _Sums) -> LeaderFigures:
    tr = t.trades.c
    last = select(tr.traded_at).where(tr.leader == leader.wallet).order_by(tr.traded_at.desc()).limit(1)
    return joined(
        LeaderFigures,
        leader,
        portfolio=portfolio,
        trades=n.trades,
        backfill=n.backfill,
        copied=n.copied,
        orders=n.orders,
        orders_copied=n.orders_copied,
        filled=n.became[State.FILLED],
        out=n.became[State.OUT],
        not_filled=n.became[State.NOT_FILLED],
        skipped=dict(sorted(n.skipped.items(), key=lambda item: (-item[1], item[0]))),
        realized_pnl_micro=Usdc(n.realized),
        unrealized_pnl_micro=Usdc(n.value - n.cost),
        fees_micro=Usdc(n.fees),
        cost_micro=Usdc(n.cost),
        value_micro=Usdc(n.value),
        open_positions=n.open,
        last_trade_at=iso(c.execute(last).scalar()),
    )


def read_leader(
    c: Connection, wallet: str, portfolio: str, counts: DecisionCounts | None = None, reports: Reports | None = None,
    orders: CopyCounts | None = None,
) -> LeaderWhole | None:  # fmt: skip
    """One leader, also a formerly followed one, in a portfolio; ``None`` = never followed."""
    found = next((x for x in read_figures(c, portfolio, counts, orders) if x.wallet == wallet), None)
    if found is None:
        return None
    lines = (reports or Reports()).report(c, portfolio=portfolio, leader=wallet)
    held = read_holdings(c, wallet, portfolio)
    return joined(LeaderWhole, found, report=lines[0] if lines else None, holdings=held)
