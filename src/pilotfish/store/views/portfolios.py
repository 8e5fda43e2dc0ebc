"""Portfolios as people read them: their latest valuation, their equity over time, and how much has happened so far."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

import msgspec
from sqlalchemy import BigInteger, ColumnElement, Connection, ScalarSelect, Select, case, func, literal, select

from pilotfish.core.reasons import Action
from pilotfish.core.trade import Source
from pilotfish.core.units import SECOND, Micros, Usdc
from pilotfish.store import tables as t
from pilotfish.store.copies import State
from pilotfish.store.mapping import read_rows
from pilotfish.store.rollup import CopyCounts, DecisionCounts, TradeCounts
from pilotfish.store.round_trips import TripCounts
from pilotfish.store.views.base import View, iso

CURVE_POINTS = 400
LEVEL = 120 * SECOND
"""A figure that held for longer is drawn level, instead of as a slope to the next one."""


class Portfolio(View, frozen=True, kw_only=True):
    """A portfolio with its latest valuation; one that was never valued is worth its bankroll. ``won`` and ``lost``
    count round trips, from flat to flat; ``equity_pessimistic_micro`` is without what nobody bids for."""

    name: str
    bankroll_micro: Usdc
    equity_micro: Usdc
    cash_micro: Usdc
    positions_value_micro: Usdc
    unmarked_value_micro: Usdc
    equity_pessimistic_micro: Usdc
    exposure_micro: Usdc
    realized_pnl_micro: Usdc
    unrealized_pnl_micro: Usdc
    fees_micro: Usdc
    open_positions: int
    peak_micro: Usdc
    drawdown_micro: Usdc
    won: int
    lost: int
    status: str
    follows_all: bool
    note: str
    created_at: str | None
    reset_at: str | None
    valued_at: str | None

    @property
    def began_at(self) -> str | None:
        """When it began, or began anew."""
        return self.reset_at or self.created_at


class EquityPoint(View, frozen=True, kw_only=True):
    """What a portfolio was worth at an instant."""

    at: str
    equity_micro: Usdc
    cash_micro: Usdc
    realized_pnl_micro: Usdc
    unrealized_pnl_micro: Usdc


class FirstSources(View, frozen=True, kw_only=True):
    """Trades by who saw them first."""

    api: int
    polygon: int


class Decisions(View, frozen=True, kw_only=True):
    """Decisions by what they say. ``copied`` counts those to copy; ``filled``, ``out`` and ``not_filled`` what became
    of their orders (those before a reset are gone)."""

    copied: int
    filled: int
    out: int
    not_filled: int
    skipped: dict[str, int]
    waiting: int
    own_exits: int


class Counts(View, frozen=True, kw_only=True):
    """How much has happened so far, in all portfolios."""

    trades: int
    trades_by_first_source: FirstSources
    seen_by_both: int
    decisions: Decisions
    fills: int
    open_positions: int


class _Made(msgspec.Struct, frozen=True, kw_only=True):
    """A portfolio as people made it."""

    name: str
    bankroll_micro: Usdc
    created_at: Micros | None
    reset_at: Micros | None
    status: str
    follows_all: bool
    note: str | None


class _Valued(msgspec.Struct, frozen=True, kw_only=True):
    """A valuation; by itself, one of nothing but cash. Those of earlier versions know neither peak, drawdown nor what
    nobody bids for."""

    portfolio: str
    at: Micros | None = None
    equity_micro: Usdc
    cash_micro: Usdc
    positions_value_micro: Usdc = Usdc(0)
    cost_micro: Usdc = Usdc(0)
    realized_pnl_micro: Usdc = Usdc(0)
    unrealized_pnl_micro: Usdc = Usdc(0)
    fees_micro: Usdc = Usdc(0)
    open_positions: int = 0
    peak_micro: Usdc | None = None
    drawdown_micro: Usdc | None = None
    unmarked_value_micro: Usdc | None = None


class _Point(msgspec.Struct, frozen=True, kw_only=True):
    at: Micros
    equity_micro: Usdc
    cash_micro: Usdc
    realized_pnl_micro: Usdc
    unrealized_pnl_micro: Usdc
    until: Micros | None = None


def read_portfolios(c: Connection, trips: TripCounts | None = None, name: str | None = None) -> list[Portfolio]:
    """All portfolios, archived ones too, the oldest first; or the one of that ``name``. As few statements for a
    thousand as for one."""
    p, e = t.portfolios.c, t.equity_snapshots.c
    ended = (trips or TripCounts()).read(c)
    wanted = select(t.portfolios).where(p.name == name) if name is not None else select(t.portfolios)
    made = sorted(read_rows(c, _Made, wanted), key=lambda one: (one.created_at or 0, one.name))
    newest = e.id.in_(_newest_of_all()) if name is None else e.id == newest_equity(name)
    valued = {one.portfolio: one for one in read_rows(c, _Valued, select(t.equity_snapshots).where(newest))}
    return [_portfolio(one, valued.get(one.name) or _cash_only(one), *ended.get(one.name, (0, 0))) for one in made]


LATELY = 200
"""Among so many valuations the newest is told by its number."""


def newest_equity(portfolio: str) -> ScalarSelect[int]:
    """The number of a portfolio's newest valuation: the last that was written, if it is among the last of all; else the
    one of the latest time. (A clock that ran ahead and was set back leaves times that are later than what followed.)"""
    e = t.equity_snapshots.c
    among = e.id > _before_the_last(), t.unindexed(e.portfolio) == portfolio
    lately = select(e.id).where(*among).order_by(e.id.desc()).limit(1).scalar_subquery()
    return select(func.coalesce(lately, _latest(e.portfolio == portfolio))).scalar_subquery()


def _newest_of_all() -> Select[tuple[int]]:
    """The same of every portfolio; its limit keeps the last valuations of all from being looked for by portfolio."""
    p, e = t.portfolios.c, t.equity_snapshots.c
    last = select(e.portfolio, e.id).where(e.id > _before_the_last()).order_by(e.id.desc()).limit(LATELY).subquery()
    lately = select(last.c.portfolio, func.max(last.c.id).label("id")).group_by(last.c.portfolio).subquery()
    newest = select(func.coalesce(lately.c.id, _latest(e.portfolio == p.name)))
    return newest.select_from(t.portfolios.outerjoin(lately, lately.c.portfolio == p.name))


def _before_the_last() -> ColumnElement[int]:
    return select(func.max(t.equity_snapshots.c.id)).scalar_subquery() - LATELY


def _latest(mine: ColumnElement[bool]) -> ScalarSelect[int]:
    e = t.equity_snapshots.c
    return (
        select(e.id).where(mine).order_by(e.at.desc(), e.id.desc()).limit(1).correlate(t.portfolios).scalar_subquery()
    )


def _cash_only(made: _Made) -> _Valued:
    return _Valued(portfolio=made.name, equity_micro=made.bankroll_micro, cash_micro=made.bankroll_micro)


def _portfolio(made: _Made, now: _Valued, won: int, lost: int) -> Portfolio:
    unmarked = now.unmarked_value_micro or Usdc(0)
    return Portfolio(
        name=made.name,
        bankroll_micro=made.bankroll_micro,
        equity_micro=now.equity_micro,
        cash_micro=now.cash_micro,
        positions_value_micro=now.positions_value_micro,
        unmarked_value_micro=unmarked,
        equity_pessimistic_micro=Usdc(now.equity_micro - unmarked),
        exposure_micro=now.cost_micro,
        realized_pnl_micro=now.realized_pnl_micro,
        unrealized_pnl_micro=now.unrealized_pnl_micro,
        fees_micro=now.fees_micro,
        open_positions=now.open_positions,
        peak_micro=now.peak_micro or made.bankroll_micro,
        drawdown_micro=now.drawdown_micro or Usdc(0),
        won=won,
        lost=lost,
        status=made.status,
        follows_all=made.follows_all,
        note=made.note or "",
        created_at=iso(made.created_at),
        reset_at=iso(made.reset_at),
        valued_at=iso(now.at),
    )


def read_equity(
    c: Connection, portfolio: str, points: int = CURVE_POINTS, since: int | None = None
) -> list[EquityPoint]:
    """A portfolio's equity over time: the last figure at each of ``points`` evenly spaced instants, the newest one
    included; all figures where there are no more. One index look-up a point, however many there are. A figure that
    held for long is there when it began and right before it ended, so that a line through all points is level.
    ``since`` (µs): from then on, beginning with what it was worth then."""
    e = t.equity_snapshots.c
    mine = [e.portfolio == portfolio, *([e.at >= since] if since is not None else [])]
    first, last = c.execute(select(func.min(e.at), func.max(e.at)).where(*mine)).one()
    begin = _worth_at(c, portfolio, since) if since is not None else []
    if first is None:
        return [_told(p) for p in begin]
    statement = select(t.equity_snapshots)
    some = list(_held(read_rows(c, _Point, statement.where(*mine).order_by(e.at, e.id).limit(points + 1))))
    if len(some) > points:
        step = max(1, -(-(last - first) // (points - 1)))
        instant = select(literal(first, BigInteger).label("at")).cte("instants", recursive=True)
        instants = instant.union_all(select(instant.c.at + step).where(instant.c.at < last))
        latest = (
            select(e.id).where(e.portfolio == portfolio, e.at <= instants.c.at).order_by(e.at.desc(), e.id.desc())
            .limit(1).correlate(instants).scalar_subquery()
        )  # fmt: skip
        told = select(latest.label("id"), instants.c.at).select_from(instants).subquery()
        until = case((func.count() > 1, func.max(told.c.at))).label("until")
        chosen = select(told.c.id, until).group_by(told.c.id).subquery()
        found = select(t.equity_snapshots, chosen.c.until).join(chosen, chosen.c.id == e.id).order_by(e.at, e.id)
        some = [p for row in read_rows(c, _Point, found) for p in _twice(row)]
    return [_told(p) for p in (*_held([*begin, *some[:1]]), *some[1:])]


def _told(p: _Point) -> EquityPoint:
    return EquityPoint(
        at=iso(p.at),
        equity_micro=p.equity_micro,
        cash_micro=p.cash_micro,
        realized_pnl_micro=p.realized_pnl_micro,
        unrealized_pnl_micro=p.unrealized_pnl_micro,
    )


def _worth_at(c: Connection, portfolio: str, at: int) -> list[_Point]:
    """The figure that held then, as of then; none where it began later."""
    e = t.equity_snapshots.c
    last = select(t.equity_snapshots).where(e.portfolio == portfolio, e.at < at).order_by(e.at.desc(), e.id.desc())
    return [msgspec.structs.replace(p, at=Micros(at)) for p in read_rows(c, _Point, last.limit(1))]


def _held(points: Iterable[_Point]) -> Iterator[_Point]:
    """Points, and before each that came long after the last one the figure until then."""
    last: _Point | None = None
    for point in points:
        if last is not None and point.at - last.at > LEVEL:
            yield msgspec.structs.replace(last, at=Micros(point.at - SECOND))
        yield point
        last = point


def _twice(point: _Point) -> Iterator[_Point]:
    """The figure when it began, and when it was still there."""
    yield point
    if point.until is not None and point.until - point.at > LEVEL:
        yield msgspec.structs.replace(point, at=point.until)


def read_counts(
    c: Connection, decisions: DecisionCounts | None = None, trades: TradeCounts | None = None,
    orders: CopyCounts | None = None,
) -> Counts:  # fmt: skip
    """What there is, counted; given counts go on from their last look."""
    first = (trades or TradeCounts()).read(c)
    once = c.execute(select(func.count()).select_from(t.trades).where(t.SEEN_ONCE)).scalar_one()
    became = (orders or CopyCounts()).states(c)
    decided: dict[str, Counter[str]] = {action: Counter() for action in Action}
    for group, n in (decisions or DecisionCounts()).read(c).items():
        decided[group.action][group.reason] += n
    return Counts(
        trades=sum(first.values()),
        trades_by_first_source=FirstSources(api=first[Source.API], polygon=first[Source.POLYGON]),
        seen_by_both=sum(first.values()) - once,
        decisions=Decisions(
            copied=decided[Action.COPY].total(),
            filled=became[State.FILLED],
            out=became[State.OUT],
            not_filled=became[State.NOT_FILLED],
            skipped=dict(sorted(decided[Action.SKIP].items())),
            waiting=decided[Action.WAIT].total(),
            own_exits=decided[Action.EXIT].total(),
        ),
        fills=c.execute(select(func.count()).select_from(t.fills)).scalar_one(),
        open_positions=c.execute(select(func.count()).where(t.positions.c.shares_micro > 0)).scalar_one(),
    )
