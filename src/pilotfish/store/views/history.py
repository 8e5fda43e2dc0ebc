"""What happened to a position from flat to flat: its orders with their fills, every entry of the ledger, and what
those come to. Nothing here is taken from the position's own row: it can be held against it."""

from __future__ import annotations

import msgspec
from sqlalchemy import Connection, select

from pilotfish.core.orders import OrderState
from pilotfish.core.reasons import Outcome
from pilotfish.core.trade import Side
from pilotfish.core.units import Micros, Price, Shares, Usdc, price_of
from pilotfish.store import copies
from pilotfish.store import tables as t
from pilotfish.store.copies import State
from pilotfish.store.mapping import read_rows
from pilotfish.store.round_trips import cause_of_sale
from pilotfish.store.views.base import View, decimal, iso
from pilotfish.store.views.trips import Trip, read_trip, trips_of

MOST = 300
"""Orders, and entries, that are listed; the sums are of all."""


class FillTold(View, frozen=True, kw_only=True):
    """A fill of an order. ``orphaned``: a reorg took the leader's trade back."""

    id: int
    at: str
    shares_micro: Shares
    price: float
    usdc_micro: Usdc
    fee_micro: Usdc
    orphaned: bool


class OrderTold(View, frozen=True, kw_only=True):
    """An order on a position. A BUY was to spend ``budget_micro``, a SELL to sell ``shares_micro``. ``cause`` is what
    asked for a sale; ``why`` it got nothing or not all."""

    id: int
    decision_id: int
    trade_id: int | None
    side: Side
    cause: str
    at: str
    budget_micro: Usdc
    shares_micro: Shares
    limit_price: float
    state: State
    partly: bool
    why: str | None
    fills: list[FillTold]


class Move(View, frozen=True, kw_only=True):
    """An entry of the ledger, with the shares that went with it, what they were each, and what was held then."""

    id: int
    at: str
    kind: str
    shares_micro: Shares
    price: float | None
    amount_micro: Usdc
    held_micro: Shares


class Sums(View, frozen=True, kw_only=True):
    """What the entries come to; fees are within what was paid and got. ``out_micro``: shares sold, paid out or written
    off; ``got_micro`` for them."""

    bought_micro: Shares
    paid_micro: Usdc
    out_micro: Shares
    got_micro: Usdc
    fees_micro: Usdc

    @property
    def held_micro(self) -> Shares:
        """Shares that are left."""
        return Shares(self.bought_micro - self.out_micro)

    @property
    def balance_micro(self) -> Usdc:
        """What is in the cash by it: all that was got without all that was paid."""
        return Usdc(self.got_micro - self.paid_micro)


class History(View, frozen=True, kw_only=True):
    """One round trip with all that happened; ``more_…``: how many are not listed. ``others`` are further round trips of
    the same position that are over."""

    trip: Trip
    orders: list[OrderTold]
    more_orders: int
    moves: list[Move]
    more_moves: int
    sums: Sums
    others: list[Trip]


class _Entry(msgspec.Struct, frozen=True, kw_only=True):
    """An entry with its fill, where it has one."""

    id: int
    at: Micros
    kind: str
    amount_micro: Usdc
    settled_micro: Shares | None
    fill_id: int | None
    intent_id: int | None
    side: Side | None
    shares_micro: Shares | None
    usdc_micro: Usdc | None
    price_micro: Price | None
    fee_micro: Usdc | None
    status: str | None


class _Order(msgspec.Struct, frozen=True, kw_only=True):
    id: int
    decision_id: int
    trade_id: int
    decided: int | None
    rule: str | None
    side: Side
    created_at: Micros
    budget_micro: Usdc
    shares_micro: Shares
    limit_price_micro: Price
    filled_shares_micro: Shares
    state: OrderState
    reason: Outcome | None
    became: State


def read_history(c: Connection, portfolio: str, leader: str, token_id: str, number: int) -> History | None:
    """A round trip's history; number 0 is the one under way. ``None`` = there is none such."""
    trip = read_trip(c, portfolio, leader, token_id, number)
    if trip is None:
        return None
    parts, under_way = _parted(_entries(c, portfolio, leader, token_id))
    if number == 0:
        mine = under_way
    else:
        r = t.round_trips.c
        of_position = (r.token_id == token_id, r.portfolio == portfolio, r.leader == leader)
        numbers = list(c.execute(select(r.id).where(*of_position).order_by(r.id)).scalars())
        mine = parts[numbers.index(number)] if len(numbers) == len(parts) else []
    orders = _orders(c, portfolio, leader, token_id, mine, over=number > 0)
    moves, sums = _moves(mine)
    return History(
        trip=trip,
        orders=orders[:MOST],
        more_orders=max(0, len(orders) - MOST),
        moves=moves[:MOST],
        more_moves=max(0, len(moves) - MOST),
        sums=sums,
        others=[one for one in trips_of(c, portfolio, leader, token_id) if one.number != number],
    )


def _entries(c: Connection, portfolio: str, leader: str, token_id: str) -> list[_Entry]:
    e, f = t.ledger_entries.c, t.fills.c
    statement = (
        select(e.id, e.at, e.kind, e.amount_micro, e.shares_micro.label("settled_micro"), e.fill_id, f.intent_id,
               f.side, f.shares_micro, f.usdc_micro, f.price_micro, f.fee_micro, f.status)
        .outerjoin(t.fills, f.id == e.fill_id)
        .where(e.portfolio == portfolio, e.leader == leader, e.token_id == token_id)
        .order_by(e.id)
    )  # fmt: skip
    return list(read_rows(c, _Entry, statement))


def _change(e: _Entry, held: int) -> int:
    """How an entry changes the shares held: all that is held goes where an earlier version did not write how much."""
    match e.kind:
        case "buy":
            return e.shares_micro or 0
        case "sell":
            return -(e.shares_micro or 0)
        case "fee":
            return 0
        case _:
            return -(held if e.settled_micro is None else e.settled_micro)


def _parted(entries: list[_Entry]) -> tuple[list[list[_Entry]], list[_Entry]]:
    """A position's entries by round trip: those that are over, and the one under way. A fee belongs to the entry before
    it."""
    over: list[list[_Entry]] = []
    now: list[_Entry] = []
    held = 0
    for e in entries:
        if e.kind == "fee" and not now and over:
            over[-1].append(e)
            continue
        now.append(e)
        held += _change(e, held)
        if held == 0:
            over.append(now)
            now = []
    return over, now


def _moves(entries: list[_Entry]) -> tuple[list[Move], Sums]:
    moves: list[Move] = []
    held = bought = paid = out = got = fees = 0
    for e in entries:
        change = _change(e, held)
        held += change
        bought, out = bought + max(0, change), out + max(0, -change)
        if e.kind == "fee":
            fees -= e.amount_micro
        if e.side is Side.BUY:
            paid -= e.amount_micro
        else:
            got += e.amount_micro
        price = e.price_micro if e.kind in ("buy", "sell") else None
        if e.kind == "settle":
            price = price_of(e.amount_micro, -change)
        moves.append(
            Move(
                id=e.id,
                at=iso(e.at),
                kind=e.kind,
                shares_micro=Shares(abs(change)),
                price=decimal(price),
                amount_micro=e.amount_micro,
                held_micro=Shares(held),
            )
        )
    return moves, Sums(
        bought_micro=Shares(bought),
        paid_micro=Usdc(paid),
        out_micro=Shares(out),
        got_micro=Usdc(got),
        fees_micro=Usdc(fees),
    )


def _orders(
    c: Connection, portfolio: str, leader: str, token_id: str, entries: list[_Entry], *, over: bool
) -> list[OrderTold]:
    """Orders that these entries' fills are of, and those that got nothing meanwhile, the oldest first."""
    if not entries:
        return []
    fills: dict[int, list[FillTold]] = {}
    for e in entries:
        if e.kind != "fee" and e.intent_id is not None:
            fills.setdefault(e.intent_id, []).append(_fill(e))
    begin, end = entries[0].at, entries[-1].at
    i, d = t.intents.c, t.decisions.c
    statement = (
        select(i.id, i.decision_id, i.trade_id, d.trade_id.label("decided"), d.rule, i.side, i.created_at,
               i.budget_micro, i.shares_micro, i.limit_price_micro, i.filled_shares_micro, i.state, i.reason,
               copies.STATE.label("became"))
        .join(t.decisions, d.id == i.decision_id)
        .where(d.leader == leader, d.token_id == token_id, i.portfolio == portfolio)
        .order_by(i.id)
    )  # fmt: skip
    return [
        _order(o, fills.get(o.id, []))
        for o in read_rows(c, _Order, statement)
        if o.id in fills or (not o.filled_shares_micro and begin <= o.created_at and not (over and o.created_at > end))
    ]


def _fill(e: _Entry) -> FillTold:
    assert e.fill_id is not None and e.price_micro is not None, "the entry has a fill"
    return FillTold(
        id=e.fill_id,
        at=iso(e.at),
        shares_micro=e.shares_micro or Shares(0),
        price=decimal(e.price_micro),
        usdc_micro=e.usdc_micro or Usdc(0),
        fee_micro=e.fee_micro or Usdc(0),
        orphaned=e.status != "ok",
    )


def _order(o: _Order, fills: list[FillTold]) -> OrderTold:
    return OrderTold(
        id=o.id,
        decision_id=o.decision_id,
        trade_id=o.trade_id or None,
        side=o.side,
        cause=cause_of_sale(o.rule, o.trade_id, o.decided),
        at=iso(o.created_at),
        budget_micro=o.budget_micro,
        shares_micro=o.shares_micro,
        limit_price=decimal(o.limit_price_micro),
        state=o.became,
        partly=o.became is State.FILLED and o.state is not OrderState.FILLED,
        why=copies.why(o.became, o.state, o.reason, o.side),
        fills=fills,
    )
