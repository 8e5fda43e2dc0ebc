"""One leader in one portfolio in detail: what copying came to by category and by price of entry, and day by day at the
leader's prices and at ours."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from sqlalchemy import Connection, select

from pilotfish.core.units import Price, Usdc, price_of
from pilotfish.store import tables as t
from pilotfish.store.names import labels
from pilotfish.store.report import Reports, Results, TokenResult, results
from pilotfish.store.views.base import View, iso
from pilotfish.store.views.report import Shortfall, row_of

BANDS = ((100_000, "under 0.10"), (300_000, "0.10 to 0.30"), (700_000, "0.30 to 0.70"), (900_001, "0.70 to 0.90"))
"""Prices of entry, in millionths, by what they are below; 0.90 itself is in the last of these."""
HIGHEST = "over 0.90"
NO_CATEGORY = "no category"
AT_ONCE = 500
"""Tokens looked up at a time."""


class Slice(View, frozen=True, kw_only=True):
    """Positions of a kind: how many of our BUYs got something, what was paid for them with fees, and what it came to,
    what is held valued as in the report. ``open`` counts those that are held."""

    name: str
    orders: int
    spent_micro: Usdc
    pnl_micro: Usdc
    open: int


class CurvePoint(View, frozen=True, kw_only=True):
    """Both results at the end of the day that began at ``at``."""

    at: str
    ideal_micro: Usdc
    actual_micro: Usdc


class LeaderResults(View, frozen=True, kw_only=True):
    """The report's row, and the same money in slices: each of ``categories`` and ``bands`` adds up to what we made, and
    the last point of ``curve`` is the row's. Bands go by the average price of a share of a position, without fees."""

    report: Shortfall
    categories: list[Slice]
    bands: list[Slice]
    curve: list[CurvePoint]


def read_results(c: Connection, portfolio: str, leader: str, now: int, reports: Reports | None = None) -> LeaderResults:
    """One leader in one portfolio as of now (µs)."""
    found = (reports.results if reports is not None else results)(c, portfolio, leader, now)
    bought = [token for token in found.tokens if token.bought]
    kinds = _categories(c, [token.token_id for token in bought])
    categories = _slices(bought, lambda token: kinds.get(token.token_id) or NO_CATEGORY)
    named = labels(c)
    return LeaderResults(
        report=row_of(portfolio, leader, named.get(leader, ""), found.line),
        categories=sorted(categories, key=lambda x: (-x.spent_micro, x.name)),
        bands=_in_order(_slices(bought, lambda token: band(price_of(token.spent, token.bought)))),
        curve=_curve(found),
    )


def band(price: Price) -> str:
    """The band that a price of entry is in."""
    return next((name for below, name in BANDS if price < below), HIGHEST)


def _slices(tokens: Iterable[TokenResult], kind: Callable[[TokenResult], str]) -> list[Slice]:
    found: dict[str, list[TokenResult]] = {}
    for token in tokens:
        found.setdefault(kind(token), []).append(token)
    return [
        Slice(
            name=name, orders=sum(x.buys for x in some), spent_micro=Usdc(sum(x.paid for x in some)),
            pnl_micro=Usdc(sum(x.actual for x in some)), open=sum(x.held for x in some),
        )
        for name, some in found.items()
    ]  # fmt: skip


def _in_order(slices: Sequence[Slice]) -> list[Slice]:
    order = [*(name for _, name in BANDS), HIGHEST]
    return sorted(slices, key=lambda x: order.index(x.name))


def _categories(c: Connection, tokens: Sequence[str]) -> dict[str, str]:
    """Token -> its market's category; a few hundred at a time, so that any number can be asked for."""
    found: dict[str, str] = {}
    m = t.markets.c
    for begin in range(0, len(tokens), AT_ONCE):
        some = select(m.token_id, m.category).where(m.token_id.in_(tokens[begin : begin + AT_ONCE]))
        found.update((row.token_id, row.category) for row in c.execute(some))
    return found


def _curve(found: Results) -> list[CurvePoint]:
    return [
        CurvePoint(at=iso(day.at), ideal_micro=Usdc(day.ideal), actual_micro=Usdc(day.actual)) for day in found.days
    ]
