"""What is held: our positions, what leaders hold, and what moved either."""

from __future__ import annotations

import msgspec
from msgspec.structs import asdict
from sqlalchemy import Connection, and_, func, select

from pilotfish.core.records import AdjustmentRecord, EntryRecord, HoldingRecord, PositionRecord
from pilotfish.core.units import Micros, Price, Shares, Usdc, proceeds_of
from pilotfish.store import names
from pilotfish.store import tables as t
from pilotfish.store.interned import as_text, spelled
from pilotfish.store.mapping import read_pairs, read_rows
from pilotfish.store.views.base import Iso, View, decimal, iso


class Position(View, frozen=True, kw_only=True):
    """Shares copied from one leader in one token."""

    portfolio: str
    leader: str
    token_id: str
    condition_id: str
    outcome: str
    shares_micro: Shares
    cost_micro: Usdc
    realized_pnl_micro: Usdc
    fees_micro: Usdc
    mark_price: float | None
    unmarked_since: Iso | None
    value_micro: Usdc
    unrealized_pnl_micro: Usdc
    status: str
    opened_at: Iso
    closed_at: Iso | None


class PositionInMarket(Position, frozen=True, kw_only=True):
    """A position with its market, and its leader's name. ``payout``: what a share was paid."""

    title: str | None
    slug: str | None
    label: str
    market_end: str | None
    payout: float | None


class Holding(View, frozen=True, kw_only=True):
    """What a leader holds of a token."""

    leader: str
    token_id: str
    shares_micro: Shares
    updated_at: Iso


class HoldingBesideOurs(View, frozen=True, kw_only=True):
    """What a leader holds of a token, and a portfolio beside him. ``bid``: what the book bids for a share;
    ``changed_at``: when what we know of the holding last changed."""

    token_id: str
    title: str | None
    outcome: str | None
    shares_micro: Shares
    our_shares_micro: Shares
    our_cost_micro: Usdc
    bid: float | None
    changed_at: Iso


class Adjustment(View, frozen=True, kw_only=True):
    """A correction of a leader's holding that no trade explains, with its cause."""

    id: int
    leader: str
    token_id: str
    before_micro: Shares
    delta_micro: Shares
    cause: str
    tx_hash: str | None
    at: Iso


class LedgerEntry(View, frozen=True, kw_only=True):
    """A movement of cash."""

    id: int
    portfolio: str
    at: Iso
    kind: str
    amount_micro: Usdc
    leader: str
    token_id: str
    fill_id: int | None


def position(r: PositionRecord) -> Position:
    """A position from its row."""
    value = proceeds_of(r.shares_micro, r.mark_price_micro or 0)
    return Position(
        portfolio=r.portfolio,
        leader=r.leader,
        token_id=r.token_id,
        condition_id=r.condition_id,
        outcome=r.outcome,
        shares_micro=r.shares_micro,
        cost_micro=r.cost_micro,
        realized_pnl_micro=r.realized_pnl_micro,
        fees_micro=r.fees_micro,
        mark_price=decimal(r.mark_price_micro),
        unmarked_since=iso(r.unmarked_since),
        value_micro=value,
        unrealized_pnl_micro=Usdc(value - r.cost_micro),
        status=r.status,
        opened_at=iso(r.opened_at),
        closed_at=iso(r.closed_at),
    )


def holding(r: HoldingRecord) -> Holding:
    """What a leader holds of a token, from its row."""
    return Holding(leader=r.leader, token_id=r.token_id, shares_micro=r.shares_micro, updated_at=iso(r.updated_at))


def adjustment(r: AdjustmentRecord) -> Adjustment:
    """A correction of a holding from its row."""
    return Adjustment(
        id=r.id,
        leader=r.leader,
        token_id=r.token_id,
        before_micro=r.before_micro,
        delta_micro=r.delta_micro,
        cause=r.cause,
        tx_hash=r.tx_hash,
        at=iso(r.at),
    )


def ledger_entry(r: EntryRecord) -> LedgerEntry:
    """A movement of cash from its row."""
    return LedgerEntry(
        id=r.id,
        portfolio=r.portfolio,
        at=iso(r.at),
        kind=r.kind,
        amount_micro=r.amount_micro,
        leader=r.leader,
        token_id=r.token_id,
        fill_id=r.fill_id,
    )


POSITION_SORTS = {
    "cost": t.positions.c.cost_micro, "opened": t.positions.c.opened_at, "closed": t.positions.c.closed_at,
    "realized": t.positions.c.realized_pnl_micro, "shares": t.positions.c.shares_micro,
    "end": t.markets.c.end_at, "title": t.markets.c.title,
}  # fmt: skip


class _Market(msgspec.Struct, frozen=True):
    """The market of a position's token, where it is known."""

    title: str | None
    slug: str | None
    end_at: Micros | None
    payout_micro: Price | None


def read_positions(
    c: Connection, *, portfolio: str | None = None, leader: str | None = None, status: str | None = "open",
    archived: bool = False, sort: str = "cost", descending: bool = True, limit: int | None = 100, offset: int = 0,
) -> tuple[list[PositionInMarket], int]:  # fmt: skip
    """Positions with their market, and how many there are. ``status``: open, closed, resolved; ``None`` = any.
    Those of archived portfolios are there if asked for, by name or with ``archived``. ``limit`` ``None`` = all."""
    p = t.positions.c
    wanted = [p.status == status if status and status != "open" else p.shares_micro > 0] if status else []
    wanted += [column == value for column, value in ((p.portfolio, portfolio), (p.leader, leader)) if value]
    if not (portfolio or archived):
        o = t.portfolios.c
        wanted.append(p.portfolio.not_in(select(o.name).where(o.status != "active")))
    joined = t.positions.outerjoin(t.markets, t.markets.c.token_id == p.token_id)
    column = POSITION_SORTS.get(sort, p.cost_micro)
    by = as_text(column)
    order = by.desc().nulls_last() if descending else by.asc().nulls_last()
    total = c.execute(select(func.count()).select_from(t.positions).where(*wanted)).scalar_one()
    columns = select(t.positions, t.markets.c.title, t.markets.c.slug, t.markets.c.end_at, t.markets.c.payout_micro)
    statement = columns.select_from(joined).where(*wanted)
    statement = statement.order_by(order, spelled(p.token_id), spelled(p.leader), spelled(p.portfolio))
    labels = names.labels(c)
    rows = [
        PositionInMarket(
            **asdict(position(r)),
            title=market.title,
            slug=market.slug,
            label=labels.get(r.leader, ""),
            market_end=iso(market.end_at),
            payout=decimal(market.payout_micro),
        )
        for r, market in read_pairs(c, PositionRecord, _Market, statement.limit(limit).offset(offset))
    ]
    return rows, total


class _Held(msgspec.Struct, frozen=True, kw_only=True):
    """A holding's row with our position in the token, its market and its mark, where there are any."""

    token_id: str
    shares_micro: Shares
    ours: Shares | None
    cost_micro: Usdc | None
    title: str | None
    outcome: str | None
    bid_micro: Price | None
    updated_at: Micros


def read_holdings(c: Connection, leader: str, portfolio: str, limit: int = 100) -> list[HoldingBesideOurs]:
    """What a leader holds beside what was copied from him, the largest first."""
    h, p = t.leader_holdings.c, t.positions.c
    ours = and_(p.leader == h.leader, p.token_id == h.token_id, p.portfolio == portfolio)
    statement = (
        select(h.token_id, h.shares_micro, p.shares_micro.label("ours"), p.cost_micro, t.markets.c.title,
               t.markets.c.outcome, t.marks.c.bid_micro, h.updated_at)
        .select_from(t.leader_holdings.outerjoin(t.positions, ours)
                     .outerjoin(t.markets, t.markets.c.token_id == h.token_id)
                     .outerjoin(t.marks, t.marks.c.token_id == h.token_id))
        .where(h.leader == leader, h.shares_micro > 0)
        .order_by(func.coalesce(p.shares_micro, 0).desc(), h.shares_micro.desc(), spelled(h.token_id))
        .limit(limit)
    )  # fmt: skip
    return [
        HoldingBesideOurs(
            token_id=r.token_id,
            title=r.title,
            outcome=r.outcome,
            shares_micro=r.shares_micro,
            our_shares_micro=r.ours or Shares(0),
            our_cost_micro=r.cost_micro or Usdc(0),
            bid=decimal(r.bid_micro),
            changed_at=iso(r.updated_at),
        )
        for r in read_rows(c, _Held, statement)
    ]
