"""A row for each of what a portfolio decided on: a leader's order (:mod:`pilotfish.store.views.order_feed`), or what is
no trade: what moved a leader's holding, or an exit of our own."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from msgspec.structs import asdict
from sqlalchemy import Connection, select

from pilotfish.core.reasons import Action, Reason
from pilotfish.core.trade import Side, Source, TradeClass
from pilotfish.core.units import Micros, Shares, Usdc
from pilotfish.store import copies
from pilotfish.store import tables as t
from pilotfish.store.copies import Became
from pilotfish.store.mapping import read_rows
from pilotfish.store.views.base import View, iso


class OrderDecided(Became, frozen=True):
    """What a portfolio made of a leader's order: what its copies came to together, else why it was skipped or waits.

    ``skipped``: fills that were not copied, by reason; those of an order whose size was spent are none of them.
    """

    action: Action
    reason: Reason
    skipped: dict[Reason, int]


class OrderRow(View, frozen=True, kw_only=True, rename={"kind": "class"}):
    """A leader's order, or what moved a holding without a trade.

    ``key`` names it for good. ``trade_id`` is the fill that tells most: the first that was copied, else the newest;
    ``decision_id`` stands for it where there is no trade. ``side`` is BUY, SELL, or what moved the holding;
    ``usdc_micro`` and ``price`` are of all fills; ``at`` is when the newest was traded or decided, ``began_at`` the
    first; ``taken_back`` counts fills that a reorg took back.
    """

    key: str
    trade_id: int | None
    decision_id: int | None
    leader: str
    label: str
    token_id: str
    title: str
    outcome: str
    side: str
    fills: int
    shares_micro: Shares
    usdc_micro: Usdc | None
    price: float | None
    at: str
    began_at: str
    first_source: Source | None
    lag_ms: int | None
    kind: TradeClass | None
    taken_back: int
    decision: OrderDecided | None


class _Moved(msgspec.Struct, frozen=True, kw_only=True):
    """A decision without a trade: on what moved a leader's holding, or an exit of our own."""

    id: int
    action: Action
    reason: Reason
    decided_at: Micros
    leader: str | None
    token_id: str | None
    side: Side | None
    cause: str | None
    delta_micro: Shares | None
    moved_at: Micros | None
    label: str | None
    title: str | None
    outcome: str | None


def without_trade(c: Connection, ids: Sequence[int]) -> dict[int, OrderRow]:
    """Decisions without a trade by their number, each as an order of its own."""
    if not ids:
        return {}
    d, moved = t.decisions.c, t.holding_adjustments.c
    statement = (
        select(
            d.id, d.action, d.reason, d.decided_at, d.leader, d.token_id, d.side, moved.cause, moved.delta_micro,
            moved.at.label("moved_at"), t.leaders.c.label, t.markets.c.title, t.markets.c.outcome,
        )
        .select_from(
            t.decisions.outerjoin(t.holding_adjustments, moved.id == d.adjustment_id)
            .outerjoin(t.leaders, t.leaders.c.wallet == d.leader)
            .outerjoin(t.markets, t.markets.c.token_id == d.token_id)
        )
        .where(d.id.in_(ids))
    )  # fmt: skip
    rows = list(read_rows(c, _Moved, statement))
    became = copies.of(c, [(r.id, r.action) for r in rows])
    return {r.id: _row_without_trade(r, became[r.id]) for r in rows}


def _row_without_trade(r: _Moved, became: Became) -> OrderRow:
    at = iso(r.moved_at if r.moved_at is not None else r.decided_at)
    skipped = {r.reason: 1} if r.action is Action.SKIP else {}
    return OrderRow(
        key=f"d{r.id}",
        trade_id=None,
        decision_id=r.id,
        leader=r.leader or "",
        label=r.label or "",
        token_id=r.token_id or "",
        title=r.title or "",
        outcome=r.outcome or "",
        side=r.cause or r.side or "",
        fills=1,
        shares_micro=Shares(-r.delta_micro) if r.delta_micro is not None else became.our_shares_micro or Shares(0),
        usdc_micro=None,
        price=None,
        at=at,
        began_at=at,
        first_source=None,
        lag_ms=None,
        kind=None,
        taken_back=0,
        decision=OrderDecided(action=r.action, reason=r.reason, skipped=skipped, **asdict(became)),
    )
