"""Portfolios: policies side by side on the same leaders; duplicate one to try a change from now on."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from urllib.parse import quote, urlencode

from fastapi import Request
from nicegui import ui
from sqlalchemy import Connection

from pilotfish.core import settings as s
from pilotfish.core.numerals import count, money, percent
from pilotfish.core.settings import Scope
from pilotfish.store import portfolios_store, settings_store
from pilotfish.store.copies import State
from pilotfish.store.views.leaders import Leader
from pilotfish.store.views.portfolios import EquityPoint, Portfolio, read_equity, read_portfolios
from pilotfish.store.views.report import Shortfall
from pilotfish.web.auth import is_admin
from pilotfish.web.charts import compare_options
from pilotfish.web.frame import frame, live, put
from pilotfish.web.markup import Html, ago, esc, grid, heads, options, short, signed
from pilotfish.web.pages.shortfall import PARTS
from pilotfish.web.reader import Reader
from pilotfish.web.site import Site

EVERY = 2.0


@dataclass(slots=True)
class _Cost:
    """A portfolio's lines of the report, added up; parts in the order of :data:`PARTS`."""

    ideal: int
    parts: list[int]


@dataclass(frozen=True, slots=True)
class _Shown:
    """What the page shows, of one instant; by portfolio where it is a portfolio's."""

    rows: list[Portfolio]
    costs: dict[str, _Cost]
    curves: dict[str, list[EquityPoint]]
    bankrolls: dict[str, int]
    became: dict[str, Counter[State]]
    follows: dict[str, list[str] | None]
    differ: list[tuple[s.Setting, dict[str, bool | int | float | str]]]
    """Settings that are not the same everywhere, and what they are in each portfolio."""


def register(site: Site, reader: Reader) -> None:
    """Put the page at ``/portfolios``."""

    @ui.page("/portfolios", title="pilotfish – portfolios")
    async def page(request: Request) -> None:
        first = await reader.first_look()
        admin = is_admin(request)

        async def read() -> _Shown:
            return await site.shared.get("portfolios", EVERY, lambda c: _read(site, c))

        async def draw() -> dict[str, Html]:
            x = await read()
            return {"table": _table(x, admin=admin), "differ": _differ(x)}

        with frame(site, reader, request, "/portfolios"):
            put('<div class="title"><h1>Portfolios</h1><p>The same leaders, the same trades, other policies.</p></div>')
            x = await read()
            with ui.element("section").classes("card").style("margin-bottom:12px"):
                put('<div class="head"><h2>Profit in percent of the bankroll</h2></div>')
                chart = ui.echart(compare_options(x.curves, x.bankrolls)).classes("chart")
            with ui.element("div").classes("stack"):
                await live(EVERY, draw, row={"table": "card", "differ": "card"})
                if admin:
                    put(_whom(first.portfolios, x.follows, first.everybody), "card")
                    put(_new(first.portfolios), "card")

        async def redraw() -> None:
            fresh = await read()
            options_ = compare_options(fresh.curves, fresh.bankrolls)
            if chart.options["series"] != options_["series"]:
                chart.options.update(options_)
                chart.update()

        ui.timer(EVERY, redraw)


def _read(site: Site, c: Connection) -> _Shown:
    rows = read_portfolios(c, site.trips)
    shown = [p for p in rows if p.status == "active"]
    stored = settings_store.load(c)
    effective = {p.name: settings_store.effective(site.environment, stored, p.name) for p in shown}
    differing = [
        x for x in s.ALL
        if x.scope is Scope.PORTFOLIO and x.name != "bankroll"
        and len({str(effective[p.name][x.name].value) for p in shown}) > 1
    ]  # fmt: skip
    return _Shown(
        rows=rows,
        costs=_costs(site.reports.report(c)) if site.reports.ready else {},
        curves={p.name: read_equity(c, p.name, 300) for p in shown},
        bankrolls={p.name: p.bankroll_micro for p in shown},
        became={p.name: site.copy_counts.states(c, p.name) for p in rows},
        follows={p.name: portfolios_store.follows(c, p.name) for p in shown},
        differ=[(x, {p.name: s.show(x, effective[p.name][x.name].value) for p in shown}) for x in differing],
    )


def _costs(rows: list[Shortfall]) -> dict[str, _Cost]:
    """Portfolio -> its lines of the report, added up."""
    found: dict[str, _Cost] = {}
    for row in rows:
        mine = found.setdefault(row.portfolio, _Cost(0, [0] * len(PARTS)))
        mine.ideal += row.ideal_micro
        mine.parts = [n + part.lost(row.parts) for n, part in zip(mine.parts, PARTS, strict=True)]
    return found


def _table(x: _Shown, *, admin: bool) -> Html:
    rows, costs = x.rows, x.costs
    if not rows:
        return '<div class="empty"><b>None yet</b>A worker makes the portfolio main when it runs first.</div>'
    lines: list[tuple[Html, list[Html]]] = [
        ("bankroll", [money(p.bankroll_micro) for p in rows]),
        ("equity", [money(p.equity_micro) for p in rows]),
        ("profit", [signed(p.equity_micro - p.bankroll_micro) for p in rows]),
        ("realised", [signed(p.realized_pnl_micro) for p in rows]),
        ("unrealised", [signed(p.unrealized_pnl_micro) for p in rows]),
        ("fees", [money(p.fees_micro) for p in rows]),
        ("worst drawdown", [_drawdown(p) for p in rows]),
        ("exposure", [money(p.exposure_micro) for p in rows]),
        ("open positions", [count(p.open_positions) for p in rows]),
        ("won / lost", [f"{count(p.won)} / {count(p.lost)}" for p in rows]),
        ("copies filled", [_became(x, p, State.FILLED) for p in rows]),
        ("copies with the order out", [_became(x, p, State.OUT) for p in rows]),
        ("copies not filled", [_became(x, p, State.NOT_FILLED) for p in rows]),
        ("whom it copies", [_follows(x.follows.get(p.name)) for p in rows]),
        ("since", [ago(p.reset_at or p.created_at) for p in rows]),
        ("at his prices", [signed(costs[p.name].ideal) if p.name in costs else "–" for p in rows]),
    ]
    for number, part in enumerate(PARTS):
        lost = [costs[p.name].parts[number] if p.name in costs else 0 for p in rows]
        if any(lost):
            lines.append((f"&nbsp;&nbsp;{esc(part.title.lower())}", [signed(-n) for n in lost]))
    columns = [
        f'#<a href="/?portfolio={quote(p.name)}">{esc(p.name)}</a>'
        if p.status == "active"
        else f'#<a href="/positions?portfolio={quote(p.name)}&amp;status=">{esc(p.name)}</a> (archived)'
        for p in rows
    ]
    body = "".join(
        f"<tr><td>{name}</td>{''.join(f'<td class=num>{v}</td>' for v in values)}</tr>" for name, values in lines
    )
    if admin:
        body += f"<tr><td></td>{''.join(f'<td class=num>{_buttons(p)}</td>' for p in rows)}</tr>"
    return grid("plain", heads(("", *columns)), body, tall=True)


def _became(x: _Shown, p: Portfolio, state: State) -> Html:
    n = x.became[p.name][state]
    of = urlencode({"portfolio": p.name, "state": state.value})
    return f'<a href="/trades?{esc(of)}">{count(n)}</a>'


def _drawdown(p: Portfolio) -> Html:
    return f"{money(p.drawdown_micro)} ({percent(p.drawdown_micro, p.peak_micro, 2)})"


def _follows(chosen: list[str] | None) -> Html:
    return "all leaders" if chosen is None else f"{len(chosen)} leader{'s' if len(chosen) != 1 else ''}"


def _buttons(p: Portfolio) -> Html:
    if p.status != "active":
        return ""
    link = f'<a class="button" href="/settings?portfolio={quote(p.name)}">Settings</a>'
    if p.name == portfolios_store.MAIN:
        return link
    url = f"/api/v1/portfolios/{quote(p.name, safe='')}"
    return (
        f'{link} <button type="button" data-post="{url}" data-method="DELETE" data-done="archived"'
        f' data-confirm="Archive {esc(p.name)}? Its books stay as they are.">Archive</button>'
    )


def _differ(x: _Shown) -> Html:
    head = '<div class="head"><h2>Settings that differ</h2></div>'
    if not x.differ:
        told = "Only one portfolio." if len(x.curves) < 2 else "None: all portfolios do the same."
        return f'{head}<div class="empty">{told} Duplicate one below to try a change.</div>'
    names = list(x.curves)
    body = "".join(
        f'<tr><td title="{esc(setting.help)}">{esc(setting.name)}<small class="mini"> {esc(setting.unit)}</small></td>'
        + "".join(f'<td class="num">{esc(values[n])}</td>' for n in names)
        + "</tr>"
        for setting, values in x.differ
    )
    return head + grid("plain", heads(("setting", *(f"#{esc(n)}" for n in names))), body)


def _whom(portfolios: list[Portfolio], follows: dict[str, list[str] | None], leaders: list[Leader]) -> Html:
    """A form for each portfolio: whom it copies."""
    forms = ""
    for p in portfolios:
        chosen = follows.get(p.name)
        boxes = "".join(
            f'<label class="check"><input type="checkbox" name="leaders" data-list value="{esc(row.wallet)}"'
            f"{' checked' if chosen is None or row.wallet in chosen else ''}>"
            f" {esc(row.label or short(row.wallet))}{' (formerly followed)' if row.left_at else ''}</label>"
            for row in leaders
            if not row.left_at or (chosen is not None and row.wallet in chosen)
        )
        forms += (
            f'<details><summary>{esc(p.name)} copies {_follows(chosen)}</summary><form class="checks"'
            f' data-send="PATCH /api/v1/portfolios/{quote(p.name, safe="")}" data-done="saved" data-go="reload">'
            f'<label class="check"><input type="checkbox" name="leaders" data-all{" checked" * (chosen is None)}>'
            f" <b>all, also those to come</b></label>{boxes}"
            '<button class="primary">Save</button><p class="wrong" data-wrong hidden role="alert"></p></form></details>'
        )
    return f'<div class="head"><h2>Whom each portfolio copies</h2></div><div class="pad">{forms}</div>'


def _new(portfolios: list[Portfolio]) -> Html:
    names = [(p.name, p.name) for p in portfolios] or [("main", "main")]
    choices = [(x.name, x.name) for x in s.ALL if x.scope is Scope.PORTFOLIO]
    return (
        '<div class="head"><h2>Duplicate a portfolio to try a change from now on</h2></div><div class="pad">'
        '<form class="addform" data-send="POST /api/v1/portfolios" data-done="made" data-go="reload">'
        f'<label class="field">Like<select name="clone_of">{options(names, "main")}</select></label>'
        '<label class="field">Its name<input name="name" required maxlength="40" placeholder="careful"></label>'
        '<button class="primary">Duplicate</button><p class="wrong" data-wrong hidden role="alert"></p></form>'
        '<p class="mini">It starts with the same bankroll in cash, holds nothing, and is compared from that moment on.'
        " Then change its settings. There are "
        f"{len(choices)} that can differ.</p></div>"
    )
