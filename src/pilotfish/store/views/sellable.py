"""What a person could sell now: shares held and not promised to a sale that is out, with all that an estimate of what
they would bring needs."""

from __future__ import annotations

import msgspec
from sqlalchemy import Connection, select

from pilotfish.core.book import LiquidityMemory
from pilotfish.core.fees import UNKNOWN_FEE, FeeSchedule
from pilotfish.core.trade import Side
from pilotfish.core.units import Micros, Price, Shares, Usdc, proceeds_of
from pilotfish.store import names
from pilotfish.store import tables as t
from pilotfish.store.mapping import read_rows
from pilotfish.store.views.base import View, iso


class Sellable(View, frozen=True, kw_only=True):
    """A position of which something could be sold. ``shares_micro`` are held, of which ``free_micro`` are not being
    sold already; ``mark_micro``: what a share was worth when that was last known; ``schedule``: the market's fee, the
    highest one where it is not known."""

    portfolio: str
    leader: str
    label: str
    token_id: str
    title: str | None
    outcome: str
    shares_micro: Shares
    free_micro: Shares
    cost_micro: Usdc
    mark_micro: Price | None
    unmarked_since: str | None
    schedule: FeeSchedule

    @property
    def worth_micro(self) -> Usdc:
        """What can be sold, at the last known mark."""
        return proceeds_of(self.free_micro, self.mark_micro or 0)

    @property
    def free_cost_micro(self) -> Usdc:
        """What that did cost."""
        return Usdc(self.cost_micro * self.free_micro // self.shares_micro)


class _Held(msgspec.Struct, frozen=True, kw_only=True):
    leader: str
    token_id: str
    shares_micro: Shares
    cost_micro: Usdc
    mark_price_micro: Price | None
    unmarked_since: Micros | None
    title: str | None
    outcome: str | None
    fee_rate_ppm: int | None
    fee_half_exponent: int | None


class _Promised(msgspec.Struct, frozen=True):
    leader: str
    token_id: str
    shares_micro: Shares
    filled_shares_micro: Shares


def read_sellable(
    c: Connection, portfolio: str, leader: str | None = None, token_id: str | None = None
) -> list[Sellable]:
    """Positions of which something is held and not being sold already; ``None`` = any."""
    p, m, i = t.positions.c, t.markets.c, t.intents.c
    held = (
        select(p.leader, p.token_id, p.shares_micro, p.cost_micro, p.mark_price_micro, p.unmarked_since, m.title,
               m.outcome, m.fee_rate_ppm, m.fee_half_exponent)
        .outerjoin(t.markets, m.token_id == p.token_id)
        .where(p.portfolio == portfolio, t.HELD)
    )  # fmt: skip
    for column, value in ((p.leader, leader), (p.token_id, token_id)):
        held = held.where(column == value) if value is not None else held
    out = select(i.leader, i.token_id, i.shares_micro, i.filled_shares_micro)
    out = out.where(t.INTENT_OUT, i.portfolio == portfolio, i.side == Side.SELL.value)
    promised: dict[tuple[str, str], int] = {}
    for order in read_rows(c, _Promised, out):
        key = (order.leader, order.token_id)
        promised[key] = promised.get(key, 0) + order.shares_micro - order.filled_shares_micro
    labels = names.labels(c)
    found = (
        _sellable(portfolio, r, labels.get(r.leader, ""), promised.get((r.leader, r.token_id), 0))
        for r in read_rows(c, _Held, held)
    )
    return [one for one in found if one.free_micro > 0]


def _sellable(portfolio: str, r: _Held, label: str, promised: int) -> Sellable:
    schedule = UNKNOWN_FEE
    if r.fee_rate_ppm is not None and r.fee_half_exponent is not None:
        schedule = FeeSchedule(rate_ppm=r.fee_rate_ppm, half_exponent=r.fee_half_exponent)
    return Sellable(
        portfolio=portfolio,
        leader=r.leader,
        label=label,
        token_id=r.token_id,
        title=r.title,
        outcome=r.outcome or "",
        shares_micro=r.shares_micro,
        free_micro=Shares(r.shares_micro - promised),
        cost_micro=r.cost_micro,
        mark_micro=r.mark_price_micro,
        unmarked_since=iso(r.unmarked_since),
        schedule=schedule,
    )


class _Level(msgspec.Struct, frozen=True):
    price_micro: Price
    taken_micro: Shares


def read_taken(c: Connection, portfolio: str, token_id: str) -> LiquidityMemory:
    """What a portfolio's own sales have used up of a token's bids."""
    memory, q = LiquidityMemory(), t.liquidity_taken.c
    mine = (q.portfolio == portfolio, q.token_id == token_id, q.side == Side.SELL.value)
    for level in read_rows(c, _Level, select(q.price_micro, q.taken_micro).where(*mine)):
        memory.take(portfolio, token_id, Side.SELL, level.price_micro, level.taken_micro)
    return memory
