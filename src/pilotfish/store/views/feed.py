"""What just happened: decisions as they come, with their trades and what the copies got."""

from __future__ import annotations

import msgspec
from msgspec.structs import asdict
from sqlalchemy import Connection, select

from pilotfish.core.reasons import Action, Reason
from pilotfish.core.trade import Side, Source
from pilotfish.core.units import Micros, Shares, Usdc, price_of
from pilotfish.store import copies
from pilotfish.store import tables as t
from pilotfish.store.copies import Became
from pilotfish.store.mapping import read_rows
from pilotfish.store.views.base import decimal, iso
from pilotfish.store.views.trades import lag_ms


class FeedRow(Became, frozen=True):
    """A decision with the trade, or the other move of a leader, that it is on, and what became of it.

    ``side`` is BUY or SELL, or what moved a holding without a trade. ``source_gap_ms`` > 0: the chain was first.
    """

    id: int
    trade_id: int | None
    portfolio: str
    action: Action
    reason: Reason
    decided_at: str
    leader: str
    label: str
    title: str
    outcome: str
    side: str
    shares_micro: Shares | None
    price: float | None
    traded_at: str | None
    first_source: Source
    seen_by_both: bool
    source_gap_ms: int | None
    lag_ms: int | None


class _Found(msgspec.Struct, frozen=True, kw_only=True):
    """A decision's row with its trade, or the adjustment that it is on, and the names to show."""

    id: int
    trade_id: int | None
    portfolio: str
    action: Action
    reason: Reason
    decided_at: Micros
    leader: str | None
    side: Side | None
    shares_micro: Shares | None
    usdc_micro: Usdc | None
    traded_at: Micros | None
    first_source: Source | None
    first_seen_by_api_at: Micros | None
    first_seen_by_polygon_at: Micros | None
    title: str | None
    outcome: str | None
    cause: str | None
    delta_micro: Shares | None
    moved_at: Micros | None
    label: str | None
    market_title: str | None
    market_outcome: str | None


def read_feed(c: Connection, limit: int) -> list[FeedRow]:
    """The newest decisions."""
    d = select(t.decisions).order_by(t.decisions.c.id.desc()).limit(limit).subquery()
    tr, moved = t.trades.c, t.holding_adjustments.c
    statement = (
        select(
            d.c.id, d.c.trade_id, d.c.portfolio, d.c.action, d.c.reason, d.c.decided_at, d.c.leader, d.c.side,
            tr.shares_micro, tr.usdc_micro, tr.traded_at, tr.first_source, tr.first_seen_by_api_at,
            tr.first_seen_by_polygon_at, tr.title, tr.outcome, moved.cause, moved.delta_micro,
            moved.at.label("moved_at"), t.leaders.c.label, t.markets.c.title.label("market_title"),
            t.markets.c.outcome.label("market_outcome"),
        )
        .outerjoin(t.trades, tr.id == d.c.trade_id)
        .outerjoin(t.holding_adjustments, moved.id == d.c.adjustment_id)
        .outerjoin(t.leaders, t.leaders.c.wallet == d.c.leader)
        .outerjoin(t.markets, t.markets.c.token_id == d.c.token_id)
        .order_by(d.c.id.desc())
    )  # fmt: skip
    rows = list(read_rows(c, _Found, statement))
    became = copies.of(c, [(r.id, r.action) for r in rows])
    return [_row(r, became[r.id]) for r in rows]


def _row(r: _Found, became: Became) -> FeedRow:
    api, chain = r.first_seen_by_api_at, r.first_seen_by_polygon_at
    gap = None if api is None or chain is None else (api - chain) // 1000
    return FeedRow(
        id=r.id,
        trade_id=r.trade_id,
        portfolio=r.portfolio,
        action=r.action,
        reason=r.reason,
        decided_at=iso(r.decided_at),
        leader=r.leader or "",
        label=r.label or "",
        title=r.title or r.market_title or "",
        outcome=r.outcome or r.market_outcome or "",
        side=r.cause or r.side or "",
        shares_micro=_shares(r, became),
        price=None if r.usdc_micro is None else decimal(price_of(r.usdc_micro, r.shares_micro or 0)),
        traded_at=iso(r.moved_at if r.traded_at is None else r.traded_at),
        first_source=r.first_source or Source.API,
        seen_by_both=gap is not None,
        source_gap_ms=gap,
        lag_ms=None if r.traded_at is None else lag_ms(r.traded_at, api, chain),
        **asdict(became),
    )


def _shares(r: _Found, became: Became) -> Shares | None:
    """Of the trade; without one what was moved, or what an exit of our own sold."""
    if r.shares_micro is not None:
        return r.shares_micro
    return Shares(-r.delta_micro) if r.delta_micro is not None else became.our_shares_micro
