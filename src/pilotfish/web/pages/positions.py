"""Positions: open, closed and resolved; cost, mark, profit, leader and the market's end; closing by hand (paper)."""

from __future__ import annotations

import json
from urllib.parse import urlencode

from fastapi import Request
from nicegui import ui

from pilotfish.core.numerals import count, money, price, price_micro
from pilotfish.core.units import price_of
from pilotfish.store.portfolios_store import MAIN
from pilotfish.store.views.leaders import Leader
from pilotfish.store.views.positions import POSITION_SORTS, PositionInMarket, read_positions
from pilotfish.web.auth import is_admin
from pilotfish.web.frame import frame, live, portfolio_picker, put
from pilotfish.web.markup import (
    Html,
    ago,
    bids,
    esc,
    grid,
    leader,
    leader_choices,
    market,
    options,
    shares,
    signed,
    sortable,
)
from pilotfish.web.reader import Reader
from pilotfish.web.site import Site

EVERY = 0.4
PAGE = 100
STATES = (("open", "Open"), ("closed", "Closed"), ("resolved", "Resolved"), ("", "All"))
COLUMNS = (("title", "market", ""), ("shares", "shares", "num"), ("cost", "cost", "num"), ("", "worth", "num"),
           ("", "unrealised", "num"), ("realized", "realised", "num"), ("end", "ends, or ended", ""),
           ("", "", ""))  # fmt: skip


def register(site: Site, reader: Reader) -> None:
    """Put the page at ``/positions``."""

    @ui.page("/positions", title="pilotfish – positions")
    async def page(
        request: Request, portfolio: str = MAIN, status: str = "open", leader: str = "", sort: str = "", page: str = "1"
    ) -> None:  # fmt: skip
        first = await reader.first_look()
        admin = is_admin(request)
        number = max(1, int(page)) if page.isdigit() and len(page) < 7 else 1
        column, ascending = sort.removeprefix("-"), sort != "" and not sort.startswith("-")
        column = column if column in POSITION_SORTS else ("cost" if status == "open" else "closed")
        keep = {"portfolio": portfolio, "status": status, "leader": leader.lower(), "sort": sort}

        async def draw() -> dict[str, Html]:
            key = ("positions", portfolio, status, leader, column, ascending, number)
            rows, total = await site.shared.get(
                key, EVERY,
                lambda c: read_positions(
                    c, portfolio=portfolio, leader=leader.lower() or None, status=status or None, sort=column,
                    descending=not ascending, limit=PAGE, offset=(number - 1) * PAGE,
                ),
            )  # fmt: skip
            return {"table": _table(rows, total, number, keep, (column, ascending), admin=admin)}

        with frame(site, reader, request, "/positions"):
            picker = portfolio_picker(first, portfolio, "/positions", {"status": status})
            chosen = {"portfolio": portfolio, **({"leader": leader.lower()} if leader else {})}
            of = esc(urlencode(chosen))
            put(
                '<div class="title"><h1>Positions</h1><p>What was copied, kept apart by leader.</p>'
                f'<span class="space"></span>{picker}{_close_all(chosen) if admin and status == "open" else ""}'
                f'<a class="button" href="/api/v1/export/positions.csv?{of}">CSV</a></div>'
            )
            with ui.element("section").classes("card"):
                put(_filters(first.everybody, keep))
                await live(EVERY, draw)


def _close_all(chosen: dict[str, str]) -> Html:
    whose = "all open positions" + (" copied from this leader" if "leader" in chosen else "")
    return (
        f'<button type="button" data-post="/api/v1/positions/close" data-body="{esc(json.dumps(chosen))}" data-done'
        f' data-typed="SELL" data-confirm="Sell {whose} of {esc(chosen["portfolio"])} at what the books bid?">'
        "Close all</button>"
    )


def _filters(leaders: list[Leader], keep: dict[str, str]) -> Html:
    links = "".join(
        f'<a href="/positions?{esc(urlencode({**keep, "status": value, "sort": ""}))}"'
        f"{' aria-current=true' if value == keep['status'] else ''}>{name}</a>"
        for value, name in STATES
    )
    whom = [("", "any"), *leader_choices(leaders)]
    hidden = "".join(
        f'<input type="hidden" name="{name}" value="{esc(keep[name])}">' for name in ("portfolio", "status", "sort")
    )
    return (
        '<form class="filters" method="get" action="/positions" data-auto><nav class="picker" aria-label="State">'
        f'{links}</nav>{hidden}<label>Leader<select name="leader">{options(whom, keep["leader"])}</select></label>'
        "<button>Filter</button></form>"
    )


def _table(
    rows: list[PositionInMarket], total: int, number: int, keep: dict[str, str], order: tuple[str, bool], *, admin: bool
) -> Html:
    if not rows:
        empty = {
            "open": "<b>Nothing is held</b>A fresh start holds nothing until a BUY is copied.",
            "closed": "<b>Nothing was sold yet</b>Positions come here when the leader, a rule or you sold them.",
            "resolved": "<b>No market was resolved yet</b>Positions come here when their market has paid out.",
        }.get(keep["status"], "<b>There are no positions yet</b>")
        return f'<div class="empty">{empty}</div>'
    head = sortable(COLUMNS, "/positions", keep, order[0], up=order[1])
    body = "".join(_line(r, admin=admin) for r in rows)
    pages = -(-total // PAGE)
    links = [
        f'<a class="button" href="/positions?{esc(urlencode({**keep, "page": str(n)}))}">{esc(text)}</a>'
        for n, text in ((number - 1, "Before"), (number + 1, "Next"))
        if 1 <= n <= pages
    ]
    told = f"<span>{count(total)} positions{f', page {count(number)} of {count(pages)}' if pages > 1 else ''}</span>"
    return grid("rows", head, body, tall=True) + f'<div class="pager">{"".join(links)}{told}</div>'


def _line(r: PositionInMarket, *, admin: bool) -> Html:
    held = r.shares_micro > 0
    under = f"{esc(r.outcome)} · {leader(r.leader, r.label)}"
    average = f"<small>at {price_micro(price_of(r.cost_micro, r.shares_micro))}</small>" if held else ""
    bid = f"<small>{bids(r)}</small>" if held else ""
    if r.status == "resolved":
        name, end = "paid", f"{price(r.payout)} a share<small>{ago(r.closed_at)}</small>"
    elif held:
        name, end = "ends", ago(r.market_end)
    else:
        name, end = "sold", f"<small>{ago(r.closed_at)}</small>"
    body = esc(json.dumps({"portfolio": r.portfolio, "token_id": r.token_id, "leader": r.leader}))
    button = (
        f'<button type="button" data-post="/api/v1/positions/close" data-body="{body}" data-done'
        f' data-confirm="Sell {shares(r.shares_micro)} shares at what the book bids?">Close</button>'
        if held and admin
        else ""
    )
    return (
        f'<tr><td class="market wide">{market(r.title, under)}</td>'
        f'<td class="num" data-l="shares">{shares(r.shares_micro)}{average}</td>'
        f'<td class="num" data-l="cost">{money(r.cost_micro)}</td>'
        f'<td class="num" data-l="worth">{money(r.value_micro)}{bid}</td>'
        f'<td class="num" data-l="unrealised">{signed(r.unrealized_pnl_micro)}</td>'
        f'<td class="num" data-l="realised">{signed(r.realized_pnl_micro)}</td>'
        f'<td class="when" data-l="{name}">{end}</td><td class="go">{button}</td></tr>'
    )
