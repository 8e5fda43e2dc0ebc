"""Positions from flat to flat, under way or over: sorted by any figure, and what all that match come to.

What is under way is read from ``positions``, what is over from ``round_trips``; a position that was opened and closed
several times is several rows. Sorting what is over by a stored figure is a walk along an index.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from enum import StrEnum
from typing import TypeAlias

import msgspec
from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Connection,
    Float,
    Select,
    String,
    Subquery,
    case,
    cast,
    func,
    literal,
    literal_column,
    null,
    select,
    union_all,
)
from sqlalchemy.sql.base import ReadOnlyColumnCollection
from sqlalchemy.sql.elements import TextClause

from pilotfish.core.units import MICRO, Micros, Price, Shares, Usdc, price_of
from pilotfish.store import names
from pilotfish.store import tables as t
from pilotfish.store.interned import as_text, spelled
from pilotfish.store.mapping import read_row, read_rows, total
from pilotfish.store.round_trips import TripCounts, TripSum
from pilotfish.store.views.base import View, decimal, iso
from pilotfish.store.views.markets import tokens_beside, tokens_by_words

Condition: TypeAlias = ColumnElement[bool] | TextClause
Key: TypeAlias = ColumnElement[int] | ColumnElement[str] | ColumnElement[float | Decimal]


class TripState(StrEnum):
    """Whether a position is held, was sold, or was paid out."""

    OPEN = "open"
    CLOSED = "closed"
    RESOLVED = "resolved"


class Sort(StrEnum):
    """What rows are sorted by. ``END`` is when the market ends, and of what is over when that was; ``EXIT`` what a
    share is worth, and of what is over what it brought; ``LASTED`` how long it was held."""

    TITLE = "title"
    SHARES = "shares"
    COST = "cost"
    WORTH = "worth"
    UNREALIZED = "unrealized"
    REALIZED = "realized"
    RETURN = "return"
    OPENED = "opened"
    CLOSED = "closed"
    END = "end"
    ENTRY = "entry"
    EXIT = "exit"
    FEES = "fees"
    LASTED = "lasted"


INDEXED = frozenset(
    {
        Sort.SHARES, Sort.COST, Sort.WORTH, Sort.REALIZED, Sort.RETURN, Sort.OPENED, Sort.CLOSED, Sort.END, Sort.EXIT,
    }
)  # fmt: skip
"""What is over is sorted by these along an index; it has them all."""


class TripFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which positions; ``None`` = any. ``words`` are of the market's title; ``market`` is any token of the market whose
    outcomes are all asked for; ``besides``: numbers of round trips that are listed with what is held, and not added
    up."""

    portfolio: str
    leader: str | None = None
    words: str | None = None
    market: str | None = None
    state: TripState | None = TripState.OPEN
    besides: tuple[int, ...] = ()


class Trip(View, frozen=True, kw_only=True):
    """A position since it was opened; fees are within what was paid and got.

    ``number`` is the round trip's, 0 while it is under way. ``shares_micro``, ``cost_micro`` and ``worth_micro`` are of
    what is held: what that cost, and what it would bring now; of what is over they are all that was bought, paid and
    got. ``paid_micro`` is all that was paid since it was opened. ``payout``: what a share was paid by the result.
    """

    number: int
    state: TripState
    portfolio: str
    leader: str
    label: str
    token_id: str
    title: str | None
    outcome: str
    slug: str | None
    opened_at: str
    closed_at: str | None
    lasted_ms: int | None
    market_end: str | None
    shares_micro: Shares
    cost_micro: Usdc
    worth_micro: Usdc
    unrealized_pnl_micro: Usdc
    realized_pnl_micro: Usdc
    paid_micro: Usdc
    fees_micro: Usdc
    mark_price: float | None
    unmarked_since: str | None
    payout: float | None
    ended: str | None

    @property
    def gain_micro(self) -> Usdc:
        """Won or lost since it was opened, sold or not."""
        return Usdc(self.realized_pnl_micro + self.unrealized_pnl_micro)

    @property
    def entry_micro(self) -> Price:
        """What a share cost, fees included."""
        return price_of(self.cost_micro, self.shares_micro)

    @property
    def exit_micro(self) -> Price:
        """What a share brings, or brought."""
        return price_of(self.worth_micro, self.shares_micro)


class TripTotal(View, frozen=True, kw_only=True):
    """What all that match come to; ``unmarked_micro`` is the part of the worth that nobody bids for."""

    trips: int
    cost_micro: Usdc
    worth_micro: Usdc
    unmarked_micro: Usdc
    unrealized_pnl_micro: Usdc
    realized_pnl_micro: Usdc
    paid_micro: Usdc
    fees_micro: Usdc

    @property
    def gain_micro(self) -> Usdc:
        """Won or lost since they were opened, sold or not."""
        return Usdc(self.realized_pnl_micro + self.unrealized_pnl_micro)


class TripPage(View, frozen=True, kw_only=True):
    """Some rows, and what all that match come to."""

    rows: list[Trip]
    total: TripTotal


class _Found(msgspec.Struct, frozen=True, kw_only=True):
    number: int
    portfolio: str
    leader: str
    token_id: str
    opened_at: Micros
    closed_at: Micros | None
    shares_micro: Shares
    cost_micro: Usdc
    worth_micro: Usdc
    realized_pnl_micro: Usdc
    paid_micro: Usdc
    fees_micro: Usdc
    mark_price_micro: Price | None
    unmarked_since: Micros | None
    ended: str | None
    title: str | None
    slug: str | None
    outcome: str
    end_at: Micros | None
    payout_micro: Price | None


_P, _R, _M = t.positions.c, t.round_trips.c, t.markets.c
_MARK = func.coalesce(_P.mark_price_micro, 0)
_WORTH: ColumnElement[int] = _P.shares_micro // MICRO * _MARK + _P.shares_micro % MICRO * _MARK // MICRO
"""Shares at their mark, rounded down, in two parts: no product is larger than 64 bits."""
_REALIZED: ColumnElement[int] = _P.trip_got_micro + _P.cost_micro - _P.trip_paid_micro
_GAIN: ColumnElement[int] = _WORTH + _P.trip_got_micro - _P.trip_paid_micro
_UNDER_WAY: dict[Sort, Key] = {
    Sort.TITLE: _M.title,
    Sort.SHARES: _P.shares_micro,
    Sort.COST: _P.cost_micro,
    Sort.WORTH: _WORTH,
    Sort.UNREALIZED: _WORTH - _P.cost_micro,
    Sort.REALIZED: _REALIZED,
    Sort.RETURN: _GAIN * 1.0 / func.nullif(_P.trip_paid_micro, 0),
    Sort.OPENED: _P.opened_at,
    Sort.CLOSED: cast(null(), BigInteger),
    Sort.END: _M.end_at,
    Sort.ENTRY: _P.cost_micro * 1.0 / _P.shares_micro,
    Sort.EXIT: _P.mark_price_micro,
    Sort.FEES: _P.trip_fees_micro,
    Sort.LASTED: cast(null(), BigInteger),
}
_OVER: dict[Sort, Key] = {
    Sort.TITLE: _M.title,
    Sort.SHARES: _R.bought_micro,
    Sort.COST: _R.paid_micro,
    Sort.WORTH: _R.got_micro,
    Sort.UNREALIZED: literal(0, BigInteger),
    Sort.REALIZED: _R.pnl_micro,
    Sort.RETURN: literal_column(t.TRIP_RATIOS["return"], Float),
    Sort.OPENED: _R.opened_at,
    Sort.CLOSED: _R.closed_at,
    Sort.END: _R.closed_at,
    Sort.ENTRY: _R.paid_micro * 1.0 / func.nullif(_R.bought_micro, 0),
    Sort.EXIT: literal_column(t.TRIP_RATIOS["exit"], Float),
    Sort.FEES: _R.fees_micro,
    Sort.LASTED: _R.closed_at - _R.opened_at,
}
_ENDS = {TripState.CLOSED: t.TRIP_SOLD, TripState.RESOLVED: t.TRIP_RESOLVED}


def read_trips(
    c: Connection, f: TripFilter, trips: TripCounts, *, sort: Sort, descending: bool = True, limit: int, offset: int = 0
) -> TripPage:
    """A page of rows with what all that match come to."""
    tokens = _tokens(c, f)
    if tokens == []:
        return TripPage(rows=[], total=_added_up(None, TripSum()))
    found = _statement(f, tokens, sort, descending=descending, most=offset + limit)
    rows = list(_rows(c, found.limit(limit).offset(offset)))
    return TripPage(rows=rows, total=_total(c, f, tokens, trips))


def all_trips(c: Connection, f: TripFilter, *, sort: Sort, descending: bool = True) -> Iterator[Trip]:
    """All rows that match, read in pieces."""
    tokens = _tokens(c, f)
    if tokens == []:
        return iter(())
    streamed = c.execution_options(yield_per=1_000)
    return _rows(streamed, _statement(f, tokens, sort, descending=descending, most=None))


def read_trip(c: Connection, portfolio: str, leader: str, token_id: str, number: int) -> Trip | None:
    """One round trip; number 0 is the one under way. ``None`` = there is none such."""
    if number:
        of = (_R.id == number, _R.portfolio == portfolio, _R.leader == leader, _R.token_id == token_id)
        source = _over(Sort.CLOSED, [*of])
    else:
        held = (_P.portfolio == portfolio, _P.leader == leader, _P.token_id == token_id, t.HELD)
        source = _under_way(Sort.COST, [*held])
    return next(_rows(c, _with_market(source.subquery("found"))), None)


def trips_of(c: Connection, portfolio: str, leader: str, token_id: str, limit: int = 50) -> list[Trip]:
    """The newest round trips of one position that are over."""
    mine = (_R.token_id == token_id, _R.portfolio == portfolio, _R.leader == leader)
    newest = _over(Sort.CLOSED, [*mine]).order_by(_R.id.desc()).limit(limit).subquery("found")
    return list(_rows(c, _with_market(newest).order_by(newest.c.number.desc())))


def sold_since(c: Connection, portfolio: str, at: int) -> list[Trip]:
    """Round trips that ended by a sale since an instant (µs), the oldest first."""
    lately = _over(Sort.CLOSED, [_R.portfolio == portfolio, t.TRIP_SOLD, _R.closed_at >= at]).subquery("found")
    return list(_rows(c, _with_market(lately).order_by(lately.c.number)))


def _tokens(c: Connection, f: TripFilter) -> list[str] | None:
    """The tokens that a filter asks for; ``None`` = any."""
    beside = tokens_beside(c, f.market) if f.market else None
    if not f.words:
        return beside
    named = tokens_by_words(c, f.words)
    return named if beside is None else sorted({*named} & {*beside})


def _statement(
    f: TripFilter, tokens: list[str] | None, sort: Sort, *, descending: bool, most: int | None
) -> Select[tuple[object, ...]]:
    """All that match, in order. ``most``: how many of each kind are enough (``None`` = all)."""
    parts: list[Select[tuple[object, ...]]] = []
    order: tuple[Key, ...]
    for state in (f.state,) if f.state is not None else tuple(TripState):
        if state is TripState.OPEN:
            part = _under_way(sort, [_P.portfolio == f.portfolio, t.HELD, *_chosen(_P, f, tokens)])
            order = (
                _directed(_UNDER_WAY[sort], descending=descending).nulls_last(),
                spelled(_P.token_id),
                spelled(_P.leader),
            )
            parts.append(_limited(part, order, most))
            if not f.besides:
                continue
            part = _over(sort, [_R.portfolio == f.portfolio, _R.id.in_(f.besides), *_chosen(_R, f, tokens)])
            parts.append(_limited(part, (), None))
        else:
            part = _over(sort, [_R.portfolio == f.portfolio, _ENDS[state], *_chosen(_R, f, tokens)])
            first = _directed(_OVER[sort], descending=descending)
            order = (first if sort in INDEXED else first.nulls_last(), _directed(_R.id, descending=descending))
            parts.append(_limited(part, order, most))
    found = union_all(*parts).subquery("found")
    first = _directed(found.c.sorted_by, descending=descending).nulls_last()
    number = _directed(found.c.number, descending=descending)
    return _with_market(found).order_by(first, number, spelled(found.c.token_id), spelled(found.c.leader))


def _limited(part: Select[tuple[object, ...]], order: tuple[Key, ...], most: int | None) -> Select[tuple[object, ...]]:
    """The first of a kind, as a part of a union."""
    return select((part if most is None else part.order_by(*order).limit(most)).subquery())


def _directed(column: Key, *, descending: bool) -> Key:
    by = as_text(column)
    return by.desc() if descending else by.asc()


def _chosen(
    of: ReadOnlyColumnCollection[str, Column[object]], f: TripFilter, tokens: list[str] | None
) -> list[ColumnElement[bool]]:
    by_leader = [of.leader == f.leader] if f.leader else []
    return by_leader if tokens is None else [*by_leader, of.token_id.in_(tokens)]


def _under_way(sort: Sort, where: list[Condition]) -> Select[tuple[object, ...]]:
    """What is held."""
    columns = select(
        literal(0, BigInteger).label("number"), _P.portfolio, _P.leader, _P.token_id, _P.opened_at, _P.closed_at,
        _P.shares_micro, _P.cost_micro, _WORTH.label("worth_micro"), _REALIZED.label("realized_pnl_micro"),
        _P.trip_paid_micro.label("paid_micro"), _P.trip_fees_micro.label("fees_micro"), _P.mark_price_micro,
        _P.unmarked_since, cast(null(), String).label("ended"), _UNDER_WAY[sort].label("sorted_by"),
    )  # fmt: skip
    return _titled(columns.select_from(t.positions), _P.token_id, sort).where(*where)


def _over(sort: Sort, where: list[Condition]) -> Select[tuple[object, ...]]:
    """Round trips."""
    columns = select(
        _R.id.label("number"), _R.portfolio, _R.leader, _R.token_id, _R.opened_at, _R.closed_at,
        _R.bought_micro.label("shares_micro"), _R.paid_micro.label("cost_micro"), _R.got_micro.label("worth_micro"),
        _R.pnl_micro.label("realized_pnl_micro"), _R.paid_micro.label("paid_micro"), _R.fees_micro,
        cast(null(), BigInteger).label("mark_price_micro"), cast(null(), BigInteger).label("unmarked_since"), _R.ended,
        _OVER[sort].label("sorted_by"),
    )  # fmt: skip
    return _titled(columns.select_from(t.round_trips), _R.token_id, sort).where(*where)


def _titled(
    statement: Select[tuple[object, ...]], token_id: ColumnElement[str], sort: Sort
) -> Select[tuple[object, ...]]:
    """With the markets, where the order is by something of theirs."""
    return statement.outerjoin(t.markets, _M.token_id == token_id) if sort in (Sort.TITLE, Sort.END) else statement


def _with_market(found: Subquery) -> Select[tuple[object, ...]]:
    named = found.outerjoin(t.markets, _M.token_id == found.c.token_id)
    outcome = func.coalesce(_M.outcome, "").label("outcome")
    return select(found, _M.title, _M.slug, outcome, _M.end_at, _M.payout_micro).select_from(named)


def _rows(c: Connection, statement: Select[tuple[object, ...]]) -> Iterator[Trip]:
    labels = names.labels(c)
    return (_trip(r, labels.get(r.leader, "")) for r in read_rows(c, _Found, statement))


def _trip(r: _Found, label: str) -> Trip:
    over = r.number > 0
    state = TripState.OPEN
    if over:
        state = TripState.RESOLVED if r.ended == "resolved" else TripState.CLOSED
    return Trip(
        number=r.number,
        state=state,
        portfolio=r.portfolio,
        leader=r.leader,
        label=label,
        token_id=r.token_id,
        title=r.title,
        outcome=r.outcome,
        slug=r.slug,
        opened_at=iso(r.opened_at),
        closed_at=iso(r.closed_at),
        lasted_ms=None if r.closed_at is None else (r.closed_at - r.opened_at) // 1000,
        market_end=iso(r.end_at),
        shares_micro=r.shares_micro,
        cost_micro=r.cost_micro,
        worth_micro=r.worth_micro,
        unrealized_pnl_micro=Usdc(0 if over else r.worth_micro - r.cost_micro),
        realized_pnl_micro=r.realized_pnl_micro,
        paid_micro=r.paid_micro,
        fees_micro=r.fees_micro,
        mark_price=decimal(r.mark_price_micro),
        unmarked_since=iso(r.unmarked_since),
        payout=decimal(r.payout_micro) if state is TripState.RESOLVED else None,
        ended=r.ended,
    )


class _Held(msgspec.Struct, frozen=True):
    trips: int
    cost: Usdc | None
    worth: Usdc | None
    unmarked: Usdc | None
    realized: Usdc | None
    paid: Usdc | None
    fees: Usdc | None


def _total(c: Connection, f: TripFilter, tokens: list[str] | None, trips: TripCounts) -> TripTotal:
    held, over = None, TripSum()
    if f.state in (None, TripState.OPEN):
        nobody_bids = case((_P.unmarked_since.is_not(None), _WORTH), else_=0)
        sums = select(
            func.count().label("trips"), total(_P.cost_micro).label("cost"), total(_WORTH).label("worth"),
            total(nobody_bids).label("unmarked"), total(_REALIZED).label("realized"),
            total(_P.trip_paid_micro).label("paid"), total(_P.trip_fees_micro).label("fees"),
        )  # fmt: skip
        held = read_row(c, _Held, sums.where(_P.portfolio == f.portfolio, t.HELD, *_chosen(_P, f, tokens)))
    if f.state is not TripState.OPEN:
        resolved = None if f.state is None else f.state is TripState.RESOLVED
        chosen = None if tokens is None else frozenset(tokens)
        over = trips.total(c, f.portfolio, leader=f.leader, tokens=chosen, resolved=resolved)
    return _added_up(held, over)


def _added_up(held: _Held | None, over: TripSum) -> TripTotal:
    """What is held and what is over, together."""
    cost, worth = (held and held.cost) or 0, (held and held.worth) or 0
    return TripTotal(
        trips=(held.trips if held else 0) + over.trips,
        cost_micro=Usdc(cost + over.paid),
        worth_micro=Usdc(worth + over.got),
        unmarked_micro=(held and held.unmarked) or Usdc(0),
        unrealized_pnl_micro=Usdc(worth - cost),
        realized_pnl_micro=Usdc(((held and held.realized) or 0) + over.got - over.paid),
        paid_micro=Usdc(((held and held.paid) or 0) + over.paid),
        fees_micro=Usdc(((held and held.fees) or 0) + over.fees),
    )
