"""Portfolios: policies side by side on the same leaders; duplicate one to try a change from now on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from typing import ClassVar, NamedTuple

import msgspec
from fastapi import APIRouter
from sqlalchemy import Connection
from starlette.responses import Response

from pilotfish.core import settings as s
from pilotfish.core.setting_titles import TITLES, ZERO
from pilotfish.core.settings import Scope
from pilotfish.store import portfolios_store, settings_store
from pilotfish.store.copies import ORDERS, State
from pilotfish.store.views.leaders import Leader
from pilotfish.store.views.portfolios import EquityPoint, Portfolio, read_equity, read_portfolios
from pilotfish.store.views.report import Parts, Shortfall
from pilotfish.web import csv_files
from pilotfish.web.charts import Options, compare_options
from pilotfish.web.pages.portfolio_list import (
    BESIDE,
    CsvLine,
    Listed,
    Wanted,
    beside,
    csv_line,
    listed,
    matching,
)
from pilotfish.web.pages.settings import plain
from pilotfish.web.render import Page
from pilotfish.web.site import Site
from pilotfish.web.view import Looking

EVERY = 2.0
CURVE_POINTS = 300
pages = APIRouter(include_in_schema=False)


class Reckoned(msgspec.Struct, frozen=True, kw_only=True):
    """A portfolio's lines of the report, added up."""

    ideal_micro: int
    actual_micro: int
    parts: dict[str, int]


class Column(msgspec.Struct, frozen=True, kw_only=True):
    """One portfolio. ``became``: copies by what became of them; ``gain_micro`` of ``base_micro`` since all of those
    compared run; ``follows``: whom it copies (``None`` = all); ``cost``: ``None`` while the report is being worked
    out."""

    row: Portfolio
    became: dict[State, int]
    gain_micro: int
    base_micro: int
    follows: list[str] | None
    cost: Reckoned | None

    @property
    def active(self) -> bool:
        """It takes part."""
        return self.row.status == "active"


class Differing(msgspec.Struct, frozen=True):
    """A setting that is not the same in all, with its value in each."""

    title: str
    unit: str
    help: str
    values: tuple[str, ...]


class Portfolios(Page, frozen=True, kw_only=True):
    """Portfolios side by side. ``together``: curves begin when the youngest did (``since``); ``folded``: archived ones,
    if few; ``list_``: of all, where not all are side by side."""

    template: ClassVar[str] = "portfolios.html"
    title: ClassVar[str] = "portfolios"
    path: ClassVar[str] = "/portfolios"
    seconds: ClassVar[float] = EVERY

    columns: tuple[Column, ...]
    folded: tuple[Column, ...]
    together: bool
    since: str | None
    curves: Options
    differ: tuple[Differing, ...]
    leaders: list[Leader]
    settable: int
    query: dict[str, str | tuple[str, ...]]
    list_: Listed | None


class _All(NamedTuple):
    """All portfolios, and how many leaders each copies (``None`` = all)."""

    rows: list[Portfolio]
    copies: dict[str, int | None]


@pages.get("/portfolios")
async def portfolios(view: Looking, asked: Wanted) -> Response:
    """The page; ``from`` says where curves begin: when the youngest portfolio did, or each at its own start; ``with``
    who is side by side."""
    site, together = view.site, asked.start != "start"
    every = await site.shared.get("all portfolios", EVERY, lambda c: _all(site, c))
    active = [p for p in every.rows if p.status == "active"]
    gone = [p for p in every.rows if p.status != "active"]
    names = tuple(p.name for p in beside(active, asked.beside, view.portfolio))
    folded = tuple(p.name for p in gone) if len(gone) <= BESIDE else ()
    shown = await site.shared.get(
        ("portfolios", names, folded, together), EVERY, lambda c: _read(site, c, names, folded, together=together)
    )
    many = len(active) > len(shown.columns) or len(gone) > len(folded)
    list_ = listed(every.rows, every.copies, [x.row for x in shown.columns], asked) if many else None
    return view.show(msgspec.structs.replace(shown, leaders=view.snapshot.everybody, list_=list_, query=asked.query))


@pages.get("/portfolios.csv")
def as_csv(view: Looking, asked: Wanted) -> Response:
    """All that match, in the page's order, as a file."""

    def rows(c: Connection) -> Iterable[CsvLine]:
        every = _all(view.site, c)
        wanted = [p for p in every.rows if (p.status != "active") == asked.archived]
        return (csv_line(p, every.copies.get(p.name)) for p in matching(wanted, every.copies, asked))

    return csv_files.file(view.site.database, "pilotfish-portfolios.csv", CsvLine, rows)


def _all(site: Site, c: Connection) -> _All:
    follows = portfolios_store.everyones_follows(c, archived=True)
    copies = {name: None if chosen is None else len(chosen) for name, chosen in follows.items()}
    return _All(read_portfolios(c, site.trips), copies)


def _read(
    site: Site, c: Connection, names: tuple[str, ...], folded: tuple[str, ...], *, together: bool
) -> Portfolios:  # fmt: skip
    rows = [p for p in read_portfolios(c, site.trips) if p.name in names or p.name in folded]
    active = [p for p in rows if p.name in names]
    starts = [p.began_at for p in active]
    since = max((at for at in starts if at is not None), default=None)
    begin = _micros(since) if together and since is not None else None
    curves = {p.name: read_equity(c, p.name, CURVE_POINTS, since=begin) for p in active}
    everyone = (*names, *folded)
    costs = _costs(site.reports.among(c, everyone)) if site.reports.ready else {}
    became = site.copy_counts.of_each(c, everyone)
    columns = {p.name: _column(c, p, curves.get(p.name, []), became[p.name], costs, together=together) for p in rows}
    shown = tuple(columns[p.name] for p in active)
    return Portfolios(
        columns=shown, folded=tuple(x for x in columns.values() if x.row.name in folded), together=together,
        since=since if together else None, curves=compare_options(curves, {x.row.name: x.base_micro for x in shown}),
        leaders=[], differ=_differ(site, c, [p.name for p in active]),
        settable=sum(1 for x in s.ALL if x.scope is Scope.PORTFOLIO), query={}, list_=None,
    )  # fmt: skip


def _micros(iso: str) -> int:
    return round(datetime.fromisoformat(iso).timestamp() * 1_000_000)


def _column(
    c: Connection, p: Portfolio, curve: list[EquityPoint], became: Counter[State], costs: dict[str, Reckoned], *,
    together: bool,
) -> Column:  # fmt: skip
    base = curve[0].equity_micro if together and curve else p.bankroll_micro
    return Column(
        row=p, became={state: became[state] for state in ORDERS}, gain_micro=p.equity_micro - base,
        base_micro=base, follows=portfolios_store.follows(c, p.name), cost=costs.get(p.name),
    )  # fmt: skip


def _costs(lines: list[Shortfall]) -> dict[str, Reckoned]:
    found: dict[str, list[Shortfall]] = {}
    for row in lines:
        found.setdefault(row.portfolio, []).append(row)
    return {
        name: Reckoned(
            ideal_micro=sum(row.ideal_micro for row in rows), actual_micro=sum(row.actual_micro for row in rows),
            parts={part: sum(getattr(row.parts, part) for row in rows) for part in Parts.__struct_fields__},
        )
        for name, rows in found.items()
    }  # fmt: skip


def _told(setting: s.Setting, value: s.Value) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return ZERO[setting.name] if value == 0 and setting.name in ZERO else plain(s.show(setting, value)) or "–"


def _differ(site: Site, c: Connection, names: list[str]) -> tuple[Differing, ...]:
    stored = settings_store.load(c)
    effective = {name: settings_store.effective(site.environment, stored, name) for name in names}
    found = []
    for x in s.ALL:
        values = tuple(_told(x, effective[name][x.name].value) for name in names)
        if x.scope is Scope.PORTFOLIO and x.name != "bankroll" and len(set(values)) > 1:
            found.append(Differing(TITLES[x.name], x.unit, x.help, values))
    return tuple(found)
