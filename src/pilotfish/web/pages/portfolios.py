"""Portfolios: policies side by side on the same leaders; duplicate one to try a change from now on."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, ClassVar, Literal

import msgspec
from fastapi import APIRouter, Query
from sqlalchemy import Connection
from starlette.responses import Response

from pilotfish.core import settings as s
from pilotfish.core.setting_titles import TITLES
from pilotfish.core.settings import Scope
from pilotfish.store import portfolios_store, settings_store
from pilotfish.store.copies import ORDERS, State
from pilotfish.store.views.leaders import Leader
from pilotfish.store.views.portfolios import EquityPoint, Portfolio, read_equity, read_portfolios
from pilotfish.store.views.report import Parts, Shortfall
from pilotfish.web.charts import Options, compare_options
from pilotfish.web.render import Page
from pilotfish.web.site import Site
from pilotfish.web.view import Looking

EVERY = 2.0
CURVE_POINTS = 300
From = Annotated[Literal["together", "start"], Query(alias="from")]
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
    """All portfolios. ``together``: curves begin when the youngest did (``since``); ``folded``: archived ones."""

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


@pages.get("/portfolios")
async def portfolios(view: Looking, begin: From = "together") -> Response:
    """The page; ``from`` says where curves begin: when the youngest portfolio did, or each at its own start."""
    together = begin == "together"
    shown = await view.site.shared.get(
        ("portfolios", together), EVERY, lambda c: _read(view.site, c, together=together)
    )
    return view.show(msgspec.structs.replace(shown, leaders=view.snapshot.everybody))


def _read(site: Site, c: Connection, *, together: bool) -> Portfolios:
    rows = read_portfolios(c, site.trips)
    active = [p for p in rows if p.status == "active"]
    starts = [p.reset_at or p.created_at for p in active]
    since = max((at for at in starts if at is not None), default=None)
    begin = _micros(since) if together and since is not None else None
    curves = {p.name: read_equity(c, p.name, CURVE_POINTS, since=begin) for p in active}
    costs = _costs(site.reports.report(c, archived=True)) if site.reports.ready else {}
    columns = tuple(_column(site, c, p, curves.get(p.name, []), costs, together=together) for p in rows)
    return Portfolios(
        columns=tuple(x for x in columns if x.active), folded=tuple(x for x in columns if not x.active),
        together=together, since=since if together else None,
        curves=compare_options(curves, {x.row.name: x.base_micro for x in columns}), leaders=[],
        differ=_differ(site, c, [p.name for p in active]),
        settable=sum(1 for x in s.ALL if x.scope is Scope.PORTFOLIO),
    )  # fmt: skip


def _micros(iso: str) -> int:
    return round(datetime.fromisoformat(iso).timestamp() * 1_000_000)


def _column(
    site: Site, c: Connection, p: Portfolio, curve: list[EquityPoint], costs: dict[str, Reckoned], *, together: bool
) -> Column:
    base = curve[0].equity_micro if together and curve else p.bankroll_micro
    became = site.copy_counts.states(c, p.name)
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


def _differ(site: Site, c: Connection, names: list[str]) -> tuple[Differing, ...]:
    stored = settings_store.load(c)
    effective = {name: settings_store.effective(site.environment, stored, name) for name in names}
    found = []
    for x in s.ALL:
        values = tuple(str(s.show(x, effective[name][x.name].value)) for name in names)
        if x.scope is Scope.PORTFOLIO and x.name != "bankroll" and len(set(values)) > 1:
            found.append(Differing(TITLES[x.name], x.unit, x.help, values))
    return tuple(found)
