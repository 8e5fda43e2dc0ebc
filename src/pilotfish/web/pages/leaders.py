"""Leaders: who is followed or was, and what copying them came to; and one of them: would copying have paid, where did
the difference go, what do they hold, what is their own record."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import ClassVar

import msgspec
from fastapi import APIRouter
from sqlalchemy import Connection
from starlette.responses import Response

from pilotfish.core import settings as s
from pilotfish.core.setting_titles import TITLES
from pilotfish.core.settings import Value
from pilotfish.polymarket.contracts import is_wallet
from pilotfish.store import settings_store
from pilotfish.store.views.leaders import LeaderFigures, read_figures
from pilotfish.store.views.look_backs import LookBackRow, read_latest
from pilotfish.store.views.positions import HoldingBesideOurs, read_holdings
from pilotfish.store.views.report import Reported, Shortfall
from pilotfish.store.views.results import LeaderResults, read_results
from pilotfish.web.charts import Options, results_options
from pilotfish.web.records import TheirRecord
from pilotfish.web.render import Page
from pilotfish.web.site import Site, now
from pilotfish.web.view import Looking, Name
from pilotfish.web.waterfall import Waterfall, waterfall

EVERY = 0.4
HELD_SHOWN = 100
COLUMNS = (
    ("leader", "leader", ""), ("last", "last trade", ""), ("trades", "trades", "num"), ("copied", "copied", "num"),
    ("passed", "orders not copied", ""), ("paid", "paid", "num"), ("ideal", "at their prices", "num"),
    ("lost", "lost on the way", "num"), ("actual", "we made", "num"), ("return", "return", "num"),
    ("open", "open", "num"), ("", "", ""),
)  # fmt: skip
"""What the list shows: what a column sorts by, its head, its class."""
pages = APIRouter(include_in_schema=False)


class Line(msgspec.Struct, frozen=True):
    """A leader with their row of the report, where there is one."""

    who: LeaderFigures
    report: Shortfall | None


_OWN: dict[str, Callable[[LeaderFigures], tuple[int, str]]] = {
    "leader": lambda who: (0, (who.label or who.wallet).lower()),
    "last": lambda who: (0, who.last_trade_at or ""),
    "trades": lambda who: (who.trades, ""),
    "copied": lambda who: (who.copied, ""),
    "open": lambda who: (who.open_positions, ""),
}
"""What columns of a leader's own figures sort by."""
_REPORTED: dict[str, Callable[[Shortfall], int]] = {
    "passed": lambda row: sum(row.orders_passed_by_reason.values()),
    "paid": lambda row: row.paid_micro,
    "ideal": lambda row: row.ideal_micro,
    "lost": lambda row: -row.difference_micro,
    "actual": lambda row: row.actual_micro,
    "return": lambda row: row.actual_micro * 10**9 // row.paid_micro if row.paid_micro else 0,
}
"""What columns of the report sort by."""


class Sums(msgspec.Struct, frozen=True, kw_only=True):
    """The lines' own numbers added up."""

    trades: int
    copied: int
    orders: int
    orders_copied: int
    open: int


class Leaders(Page, frozen=True, kw_only=True):
    """The list in one portfolio, by ``sort``, ``up`` or down. ``total`` is what all lines of the report add up to;
    ``None`` until the report is worked out."""

    template: ClassVar[str] = "leaders.html"
    title: ClassVar[str] = "leaders"
    path: ClassVar[str] = "/leaders"
    seconds: ClassVar[float] = EVERY

    followed: tuple[Line, ...]
    former: tuple[Line, ...]
    sums: Sums
    total: Shortfall | None
    sort: str
    up: bool
    columns: tuple[tuple[str, str, str], ...]


class Own(msgspec.Struct, frozen=True):
    """A setting that counts for one leader's trades."""

    title: str
    value: str


class OneLeader(Page, frozen=True, kw_only=True):
    """One leader in one portfolio. ``results`` is ``None`` until the report is worked out, ``fall`` where nothing was
    decided; ``record`` while the venue is being asked for the first time; ``looked``: what looking back says of them;
    ``own``: settings of their own."""

    template: ClassVar[str] = "leader.html"
    title: ClassVar[str] = "leader"
    path: ClassVar[str] = "/leaders"
    seconds: ClassVar[float] = EVERY

    who: LeaderFigures
    results: LeaderResults | None
    fall: Waterfall | None
    curve: Options
    held: list[HoldingBesideOurs]
    record: TheirRecord | None
    looked: LookBackRow | None
    own: tuple[Own, ...]


class Nobody(Page, frozen=True, kw_only=True):
    """An address that is no leader's. ``wallet`` is empty for what is no wallet: that is anybody's text."""

    template: ClassVar[str] = "nobody.html"
    title: ClassVar[str] = "nobody"
    path: ClassVar[str] = "/leaders"
    seconds: ClassVar[float] = 0

    wallet: str


@pages.get("/leaders")
async def leaders(view: Looking, sort: Name = "") -> Response:
    """The list."""
    rows, reported = await view.site.shared.get(
        ("leaders", view.portfolio), EVERY, lambda c: _read(view.site, c, view.portfolio)
    )
    by, up = sort.removeprefix("-"), not sort.startswith("-")
    reports = {row.leader: row for row in reported.rows} if reported else {}
    lines = _sorted([Line(who, reports.get(who.wallet)) for who in rows], by, up=up)
    return view.show(
        Leaders(
            followed=tuple(line for line in lines if not line.who.left_at),
            former=tuple(line for line in lines if line.who.left_at), sums=_sums(rows),
            total=reported.total if reported else None, sort=by if by in (*_OWN, *_REPORTED) else "", up=up,
            columns=COLUMNS,
        )
    )  # fmt: skip


@pages.get("/leaders/{wallet:path}")
async def leader(view: Looking, wallet: str) -> Response:
    """One leader."""
    wallet = wallet.lower()
    if not is_wallet(wallet):
        return view.show(Nobody(wallet=""), 404)
    found = await view.site.shared.get(
        ("leader", wallet, view.portfolio), EVERY, lambda c: _read_one(view.site, c, wallet, view.portfolio)
    )
    if not found:
        return view.show(Nobody(wallet=wallet), 404)
    return view.show(msgspec.structs.replace(found[0], record=view.site.records.get(wallet)))


def _read(site: Site, c: Connection, portfolio: str) -> tuple[list[LeaderFigures], Reported | None]:
    """Leaders with their figures, and the report; of one instant, so that they agree."""
    rows = read_figures(c, portfolio, site.counts, site.copy_counts)
    return rows, site.reports.of_portfolio(c, portfolio) if site.reports.ready else None


def _sorted(lines: list[Line], by: str, *, up: bool) -> list[Line]:
    """By a column, as they were added where none is named; who has no row of the report comes last."""
    own, reported = _OWN.get(by), _REPORTED.get(by)
    if own is not None:
        return sorted(lines, key=lambda line: own(line.who), reverse=not up)
    if reported is None:
        return lines
    there = [(reported(line.report), line) for line in lines if line.report is not None]
    there.sort(key=lambda pair: pair[0], reverse=not up)
    return [line for _, line in there] + [line for line in lines if line.report is None]


def _sums(rows: list[LeaderFigures]) -> Sums:
    return Sums(
        trades=sum(r.trades for r in rows), copied=sum(r.copied for r in rows), orders=sum(r.orders for r in rows),
        orders_copied=sum(r.orders_copied for r in rows), open=sum(r.open_positions for r in rows),
    )  # fmt: skip


def _read_one(site: Site, c: Connection, wallet: str, portfolio: str) -> list[OneLeader]:
    """Their page, of one instant; empty for who never was a leader."""
    who = next((r for r in read_figures(c, portfolio, site.counts, site.copy_counts) if r.wallet == wallet), None)
    if who is None:
        return []
    results = read_results(c, portfolio, wallet, now(), site.reports) if site.reports.ready else None
    decided = results is not None and results.report.trades + results.report.fills > 0
    return [
        OneLeader(
            who=who, results=results, fall=waterfall(results.report) if results is not None and decided else None,
            curve=results_options(results.curve if results is not None else []),
            held=read_holdings(c, wallet, portfolio, limit=HELD_SHOWN), record=None,
            looked=read_latest(c, wallet), own=_own(settings_store.load(c).leaders.get(wallet, {})),
        )
    ]  # fmt: skip


def _own(values: Mapping[str, Value]) -> tuple[Own, ...]:
    return tuple(Own(TITLES[name], str(s.show(s.find(name), value))) for name, value in sorted(values.items()))
