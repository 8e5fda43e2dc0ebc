"""Profit and loss by day, week and month (UTC): what a portfolio was worth at each end against the end before."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from enum import StrEnum

import msgspec
from sqlalchemy import BigInteger, Connection, literal, select

from pilotfish.core.units import SECOND, Usdc
from pilotfish.store import tables as t
from pilotfish.store.mapping import read_rows
from pilotfish.store.views.base import View
from pilotfish.store.views.portfolios import newest_equity

DAY = 86_400 * SECOND
MOST_DAYS = 400
"""Days looked back at most."""


class Period(StrEnum):
    """How profit is grouped."""

    DAY = "day"
    WEEK = "week"
    MONTH = "month"


class PeriodPnl(View, frozen=True, kw_only=True):
    """A period by its first day, what it ended with, and what it made."""

    begins: str
    equity_micro: Usdc
    pnl_micro: Usdc


class _Worth(msgspec.Struct, frozen=True):
    at: int
    equity_micro: int


def read_pnl(c: Connection, portfolio: str, period: Period, now: int) -> list[PeriodPnl]:
    """What each period made, the oldest first, from the portfolio's start (its reset) or the last 400 days on; the
    newest one is not over. One index look-up a day, however many figures there are."""
    p = t.portfolios.c
    made = c.execute(select(p.bankroll_micro, p.created_at, p.reset_at).where(p.name == portfolio)).first()
    if made is None:
        return []
    begin = made.reset_at or made.created_at or now
    first = max(begin, now - MOST_DAYS * DAY) // DAY
    ends = [*range((first + 1) * DAY, now, DAY), now]
    worth = _worth(c, portfolio, first * DAY, ends)
    before = worth.pop(0) if begin < first * DAY else made.bankroll_micro
    days = [(date.fromordinal(_EPOCH + first + n), equity) for n, equity in enumerate(worth[-len(ends) :])]
    return _grouped(days, before, period)


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC).toordinal()


def _worth(c: Connection, portfolio: str, begin: int, ends: list[int]) -> list[int]:
    """The last figure before ``begin`` and before each of ``ends``; ``None`` of it is the one before."""
    e = t.equity_snapshots.c
    instant = select(literal(begin, BigInteger).label("at")).cte("ends", recursive=True)
    instants = instant.union_all(select(instant.c.at + DAY).where(instant.c.at + DAY < ends[-1]))
    latest = (
        select(e.id).where(e.portfolio == portfolio, e.at < instants.c.at).order_by(e.at.desc(), e.id.desc())
        .limit(1).correlate(instants).scalar_subquery()
    )  # fmt: skip
    chosen = select(instants.c.at, latest.label("id")).select_from(instants).subquery()
    query = select(chosen.c.at, e.equity_micro).join(t.equity_snapshots, e.id == chosen.c.id).order_by(chosen.c.at)
    found = {one.at: one.equity_micro for one in read_rows(c, _Worth, query)}
    last = c.execute(select(e.equity_micro).where(e.id == newest_equity(portfolio))).scalar()
    bankroll = c.execute(select(t.portfolios.c.bankroll_micro).where(t.portfolios.c.name == portfolio)).scalar_one()
    figures, known = [], bankroll
    for at in (begin, *ends[:-1]):
        known = found.get(at, known)
        figures.append(known)
    return [*figures, last if last is not None else known]


def _grouped(days: list[tuple[date, int]], before: int, period: Period) -> list[PeriodPnl]:
    groups: dict[date, int] = {}
    for day, equity in days:
        groups[_begins(day, period)] = equity
    rows, known = [], before
    for begins, equity in groups.items():
        rows.append(PeriodPnl(begins=begins.isoformat(), equity_micro=Usdc(equity), pnl_micro=Usdc(equity - known)))
        known = equity
    return rows


def _begins(day: date, period: Period) -> date:
    if period is Period.WEEK:
        return day - timedelta(days=day.weekday())
    return day.replace(day=1) if period is Period.MONTH else day
