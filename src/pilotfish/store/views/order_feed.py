"""The leaders' orders: however many fills one is eaten in, it is one row, with what its copy came to.

Which fills are one order a portfolio has decided where sizes go by order (``core/leader_orders.py``); of other trades a
source may have said it; a trade of which nobody has said it is an order of its own. An order stands where the newest of
its fills is that match the filter. A page costs the same in a million trades as in a hundred: fills are looked for
newest first, and the others of their orders are found by index.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from typing import TypeAlias

import msgspec
from msgspec.structs import asdict
from sqlalchemy import (
    ColumnElement,
    Connection,
    FromClause,
    Select,
    TextClause,
    and_,
    case,
    exists,
    func,
    not_,
    or_,
    select,
)

from pilotfish.core.reasons import Action, Reason
from pilotfish.core.units import Micros, Shares, Usdc, price_of
from pilotfish.store import copies
from pilotfish.store import tables as t
from pilotfish.store.copies import Became, State
from pilotfish.store.interned import ending, ending_in
from pilotfish.store.mapping import read_rows, total
from pilotfish.store.views.base import Page, decimal, iso
from pilotfish.store.views.order_rows import OrderDecided, OrderRow, without_trade
from pilotfish.store.views.trades import TradeDecided, TradeFilter, asked_for, read_selected, selection

NEWEST = 10_000
"""Decisions that are looked through for what just happened."""
FILLS = 200
"""Fills of an order that are shown, the newest first."""
Which: TypeAlias = ColumnElement[bool] | TextClause


# -- which -------------------------------------------------------------------------------------------------------------


def read_leader_orders(c: Connection, f: TradeFilter, *, limit: int, before: int | None = None) -> Page[OrderRow]:
    """Leaders' orders of which a fill matches, the one with the newest such first. ``before``: a trade's number."""
    chosen = selection(c, f)
    if chosen is not None:
        newest = chosen.statement.where(*_not_spent(f, t.decisions), not_(_has_newer(f)))
        chosen = chosen._replace(statement=newest)
    page = read_selected(c, chosen, limit=limit, before=before)
    return Page(data=_of_trades(c, f.portfolio, page.data), next_before=page.next_before)


def read_happened(c: Connection, portfolio: str, limit: int) -> list[OrderRow]:
    """What just happened to a portfolio: the newest of what it decided on, an order of a leader as one."""
    d, f = t.decisions.c, TradeFilter(portfolio=portfolio)
    newest = select(func.max(d.id)).scalar_subquery()
    heads = (
        select(d.id, d.trade_id)
        .select_from(t.decisions.outerjoin(t.trades, t.trades.c.id == d.trade_id))
        .where(d.id > newest - NEWEST, t.unindexed(d.portfolio) == portfolio, not_(_has_newer(f, decided=True)))
        .order_by(d.id.desc())
        .limit(limit)
    )
    found = list(read_rows(c, _Head, heads))
    trades = _read(c, portfolio, [head.trade_id for head in found if head.trade_id is not None])
    rows = dict(zip((trade.id for trade in trades), _of_trades(c, portfolio, trades), strict=True))
    moved = without_trade(c, [head.id for head in found if head.trade_id is None])
    return [moved[head.id] if head.trade_id is None else rows[head.trade_id] for head in found]


def read_fills_of_order(c: Connection, portfolio: str, trade_id: int) -> list[TradeDecided]:
    """The trades of the order that a trade belongs to, the newest first, at most :data:`FILLS`."""
    numbers = [trade_id]
    for fills in _fills(portfolio, _orders(c, portfolio, [trade_id])):
        newest = fills.with_only_columns(t.trades.c.id).order_by(t.trades.c.id.desc()).limit(FILLS)
        numbers = list(c.execute(newest).scalars())
    return _read(c, portfolio, numbers)


def read_copied_fill(c: Connection, portfolio: str, trade_id: int) -> int | None:
    """The trade on which a portfolio copied the order that a trade is a further fill of; ``None`` = there is none."""
    d = t.decisions.c
    for order in _orders(c, portfolio, [trade_id]):
        if order.number is not None:
            of_number = or_(d.id == order.number, d.order_decision_id == order.number)
            ours = select(d.trade_id).where(of_number, t.unindexed(d.action) == Action.COPY).order_by(d.id).limit(1)
            return c.execute(ours).scalar()
    return None


def _read(c: Connection, portfolio: str, trade_ids: Sequence[int]) -> list[TradeDecided]:
    """Trades by their numbers, the newest first, with the decisions of a portfolio."""
    chosen = selection(c, TradeFilter(portfolio=portfolio))
    assert chosen is not None, "no words are asked for"
    some = chosen._replace(statement=chosen.statement.where(t.trades.c.id.in_(trade_ids)))
    return read_selected(c, some, limit=len(trade_ids)).data


class _Head(msgspec.Struct, frozen=True):
    id: int
    trade_id: int | None


def _has_newer(f: TradeFilter, *, decided: bool = False) -> ColumnElement[bool]:
    """Whether a newer fill of the same order matches, too; of trades joined with decisions. ``decided``: only fills
    that the portfolio decided on."""
    tr, d = t.trades.c, t.decisions.c
    newer, of_newer = t.trades.alias("newer"), t.decisions.alias("of_newer")
    matching = [*_matching(f, newer, of_newer), *([of_newer.c.id.is_not(None)] if decided else [])]
    by_number = exists(
        select(of_newer.c.id)
        .select_from(of_newer.join(newer, newer.c.id == of_newer.c.trade_id))
        .where(of_newer.c.order_decision_id == func.coalesce(d.order_decision_id, d.id), of_newer.c.id > d.id)
        .where(*matching)
    )
    of_portfolio = and_(of_newer.c.trade_id == newer.c.id, of_newer.c.portfolio == f.portfolio)
    by_source = exists(
        select(newer.c.id)
        .select_from(newer.outerjoin(of_newer, of_portfolio))
        .where(ending(newer.c[t.ORDER_OF_TRADE]) == ending(tr[t.ORDER_OF_TRADE]))
        .where(newer.c[t.ORDER_OF_TRADE] == tr[t.ORDER_OF_TRADE], newer.c.id > tr.id)
        .where(of_newer.c.sized_by_order.is_(None), *matching)
    )
    return case((d.sized_by_order.is_not(None), by_number), else_=by_source)


def _matching(f: TradeFilter, trades: FromClause, decisions: FromClause) -> list[Which]:
    """What a filter asks of one fill, where that may differ within an order."""
    tr, d = trades.c, decisions.c
    action, order_state = asked_for(f)
    wanted: list[Which] = [
        column == value
        for column, value in (
            (tr["first_source"], f.source), (tr["class"], f.kind), (d["action"], action), (d["reason"], f.reason),
        )
        if value
    ]  # fmt: skip
    if f.status:
        taken_back = tr["retracted_at"].is_not(None)
        wanted.append(not_(taken_back) if f.status == "active" else taken_back)
    if order_state:
        i = t.intents.c
        ours = select(i.id).where(i.decision_id == d["id"], i.trade_id != 0, copies.CONDITIONS[order_state])
        wanted.append(exists(ours.correlate_except(t.intents)))
    return [*wanted, *_not_spent(f, decisions)]


def _not_spent(f: TradeFilter, decisions: FromClause) -> list[Which]:
    """What is asked for as skipped is no fill of an order whose size was spent on another of its fills."""
    return [decisions.c["reason"] != Reason.SKIP_SAME_ORDER] if f.state == State.SKIPPED and not f.reason else []


# -- what they came to -------------------------------------------------------------------------------------------------


class _Order(msgspec.Struct, frozen=True, kw_only=True):
    """What the fills of an order have alike: the decision on the first of them, else what a source says; neither of a
    trade that is an order of its own."""

    trade_id: int
    number: int | None
    said: str | None

    @property
    def key(self) -> _Key:
        return self.number if self.number is not None else self.said if self.said is not None else -self.trade_id


class _Part(msgspec.Struct, frozen=True, kw_only=True):
    """Fills of an order that were decided alike."""

    number: int | None
    said: str | None
    action: Action | None
    reason: Reason | None
    fills: int
    shares_micro: Shares
    usdc_micro: Usdc
    began_at: Micros
    at: Micros
    first: int
    newest: int
    taken_back: int


class _Copied(msgspec.Struct, frozen=True, kw_only=True):
    """A fill of an order that was copied."""

    number: int | None
    said: str | None
    decision_id: int
    trade_id: int


_Key: TypeAlias = int | str
_NUMBER = case(
    (t.decisions.c.sized_by_order.is_not(None), func.coalesce(t.decisions.c.order_decision_id, t.decisions.c.id))
)
_SAID = case((t.decisions.c.sized_by_order.is_(None), t.trades.c[t.ORDER_OF_TRADE]))


def _orders(c: Connection, portfolio: str, trade_ids: Sequence[int]) -> list[_Order]:
    d, tr = t.decisions.c, t.trades.c
    of_portfolio = and_(d.trade_id == tr.id, d.portfolio == portfolio)
    statement = select(tr.id.label("trade_id"), _NUMBER.label("number"), _SAID.label("said"))
    statement = statement.select_from(t.trades.outerjoin(t.decisions, of_portfolio)).where(tr.id.in_(trade_ids))
    return list(read_rows(c, _Order, statement))


def _of_trades(c: Connection, portfolio: str, heads: Sequence[TradeDecided]) -> list[OrderRow]:
    """The orders of trades, one each, in their order."""
    orders = {order.trade_id: order for order in _orders(c, portfolio, [head.id for head in heads])}
    parts: dict[_Key, list[_Part]] = defaultdict(list)
    copied: dict[_Key, list[_Copied]] = defaultdict(list)
    d, tr = t.decisions.c, t.trades.c
    alike = (_NUMBER.label("number"), _SAID.label("said"))
    for fills in _fills(portfolio, orders.values()):
        by_decision = fills.with_only_columns(
            *alike, d.action, d.reason, func.count().label("fills"), total(tr.shares_micro).label("shares_micro"),
            total(tr.usdc_micro).label("usdc_micro"), func.min(tr.traded_at).label("began_at"),
            func.max(tr.traded_at).label("at"), func.min(tr.id).label("first"), func.max(tr.id).label("newest"),
            func.count(tr.retracted_at).label("taken_back"),
        ).group_by(*alike, d.action, d.reason)  # fmt: skip
        for part in read_rows(c, _Part, by_decision):
            parts[_key(part)].append(part)
        ours = fills.with_only_columns(*alike, d.id.label("decision_id"), tr.id.label("trade_id"))
        for one in read_rows(c, _Copied, ours.where(t.unindexed(d.action) == Action.COPY).order_by(d.id)):
            copied[_key(one)].append(one)
    became = copies.of(c, [(one.decision_id, Action.COPY) for some in copied.values() for one in some])
    return [
        _row(head, parts.get(orders[head.id].key, ()), copied.get(orders[head.id].key, ()), became) for head in heads
    ]


def _key(of: _Part | _Copied) -> _Key:
    key = of.number if of.number is not None else of.said
    assert key is not None, "fills are looked for by what they have alike"
    return key


def _fills(portfolio: str, orders: Iterable[_Order]) -> list[Select[tuple[object, ...]]]:
    """Statements that find the fills of orders."""
    d, tr = t.decisions.c, t.trades.c
    numbers = [order.number for order in orders if order.number is not None]
    said = [order.said for order in orders if order.said is not None]
    of_portfolio = and_(d.trade_id == tr.id, d.portfolio == portfolio)
    found: list[Select[tuple[object, ...]]] = []
    if numbers:
        of_number = or_(d.id.in_(numbers), d.order_decision_id.in_(numbers))
        found.append(select(tr.id).select_from(t.decisions.join(t.trades, d.trade_id == tr.id)).where(of_number))
    if said:
        of_source = select(tr.id).select_from(t.trades.outerjoin(t.decisions, of_portfolio))
        found.append(of_source.where(ending_in(tr[t.ORDER_OF_TRADE], said), d.sized_by_order.is_(None)))
    return found


def _row(head: TradeDecided, parts: Sequence[_Part], copied: Sequence[_Copied], became: dict[int, Became]) -> OrderRow:
    """An order from its newest fill and from what all its fills add up to; without those it is that fill alone."""
    fills = sum(part.fills for part in parts) or 1
    shares = sum(part.shares_micro for part in parts) if parts else head.shares_micro
    usdc = sum(part.usdc_micro for part in parts) if parts else head.usdc_micro
    first = min((part.first for part in parts), default=head.id)
    return OrderRow(
        key=f"t{first}",
        trade_id=copied[0].trade_id if copied else head.id,
        decision_id=None,
        leader=head.leader,
        label=head.label,
        token_id=head.token_id,
        title=head.title or "",
        outcome=head.outcome or "",
        side=head.side,
        fills=fills,
        shares_micro=Shares(shares),
        usdc_micro=Usdc(usdc),
        price=decimal(price_of(usdc, shares)),
        at=iso(max(part.at for part in parts)) if parts else head.traded_at,
        began_at=iso(min(part.began_at for part in parts)) if parts else head.traded_at,
        first_source=head.first_source,
        lag_ms=head.lag_ms,
        kind=head.kind,
        taken_back=sum(part.taken_back for part in parts) if parts else int(head.status == "retracted"),
        decision=_decided(head, parts, [became[one.decision_id] for one in copied]),
    )


def _decided(head: TradeDecided, parts: Sequence[_Part], ours: Sequence[Became]) -> OrderDecided | None:
    """What a portfolio made of an order: its copies together; else what it waits for, or why it was skipped last."""
    if not parts:
        return _alone(head)
    skipped = Counter[Reason]()
    for part in sorted(parts, key=lambda part: part.first):
        if part.action is Action.SKIP and part.reason is not None and part.reason is not Reason.SKIP_SAME_ORDER:
            skipped[part.reason] += part.fills
    last = max(parts, key=lambda part: (_tells(part), part.newest))
    if last.action is None or last.reason is None:
        return None
    came = copies.together(ours) if ours else copies.without_order(last.action)
    return OrderDecided(action=last.action, reason=last.reason, skipped=dict(skipped), **asdict(came))


def _tells(part: _Part) -> int:
    """How much it tells of its order what some of its fills were decided to be."""
    if part.action is None:
        return 0
    if part.reason is Reason.SKIP_SAME_ORDER:
        return 1
    return {Action.SKIP: 2, Action.WAIT: 3}.get(part.action, 4)


def _alone(head: TradeDecided) -> OrderDecided | None:
    one = head.decision
    if one is None:
        return None
    skipped = {one.reason: 1} if one.action is Action.SKIP else {}
    came = {name: getattr(one, name) for name in Became.__struct_fields__}
    return OrderDecided(action=one.action, reason=one.reason, skipped=skipped, **came)
