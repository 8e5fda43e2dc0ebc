"""Trades: every leader's trade with its decision, filtered by what is in the address; a row opens its trace."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlencode

from fastapi import Query, Request
from nicegui import ui

from pilotfish.core.numerals import duration, price
from pilotfish.core.reasons import MEANING
from pilotfish.core.trade import Source, TradeClass
from pilotfish.store.copies import WORDS, State
from pilotfish.store.portfolios_store import MAIN
from pilotfish.store.views.base import Page
from pilotfish.store.views.leaders import Leader
from pilotfish.store.views.trades import TradeDecided, TradeFilter, read_trades
from pilotfish.web.frame import frame, live, portfolio_picker, put
from pilotfish.web.markup import (
    Html,
    ago,
    esc,
    got,
    grid,
    heads,
    leader,
    leader_choices,
    market,
    options,
    shares,
    side,
    verdict,
    words,
)
from pilotfish.web.reader import Reader
from pilotfish.web.site import Site

EVERY = 0.4
PAGE = 50
ANY = ("", "any")
FIELDS = ("leader", "q", "side", "source", "class", "action", "reason", "status", "token", "state")
STATES = (State.FILLED, State.OUT, State.NOT_FILLED, State.SKIPPED, State.WAITING)
"""What can be asked for."""


def register(site: Site, reader: Reader) -> None:
    """Put the page at ``/trades``."""

    @ui.page("/trades", title="pilotfish – trades")
    async def page(
        request: Request, portfolio: str = MAIN, before: str = "", leader: str = "", q: str = "", side: str = "",
        source: str = "", kind: Annotated[str, Query(alias="class")] = "", action: str = "", reason: str = "",
        status: str = "", token: str = "", state: str = "",
    ) -> None:  # fmt: skip
        first = await reader.first_look()
        values = (leader, q, side, source, kind, action, reason, status, token, state)
        given = {name: value[:100] for name, value in zip(FIELDS, values, strict=True)}
        wanted = TradeFilter(
            portfolio=portfolio, leader=given["leader"].lower() or None, words=given["q"].strip() or None,
            side=given["side"] or None, source=given["source"] or None, kind=given["class"] or None,
            action=given["action"] or None, reason=given["reason"] or None, status=given["status"] or None,
            token_id=given["token"] or None, state=given["state"] if given["state"] in STATES else None,
        )  # fmt: skip
        start = int(before) if before.isdigit() and len(before) < 19 else None
        keep = {name: value for name, value in given.items() if value}

        async def draw() -> dict[str, Html]:
            found = await site.shared.get(
                ("trades", wanted, start), EVERY, lambda c: read_trades(c, wanted, limit=PAGE, before=start)
            )
            return {"table": _table(found, {**keep, "portfolio": portfolio}, paged=start is not None)}

        with frame(site, reader, request, "/trades"):
            picker = portfolio_picker(first, portfolio, "/trades", keep)
            of = esc(urlencode({"portfolio": portfolio, **({"leader": given["leader"]} if given["leader"] else {})}))
            put(
                '<div class="title"><h1>Trades</h1><p>Every trade of every leader: what its copy got, or why not.'
                f'</p><span class="space"></span>{picker}'
                f'<a class="button" href="/api/v1/export/trades.csv?{of}">CSV: trades</a>'
                f'<a class="button" href="/api/v1/export/decisions.csv?{of}">CSV: decisions</a></div>'
            )
            with ui.element("section").classes("card"):
                put(_filters(first.everybody, given, portfolio))
                await live(EVERY, draw)


def _filters(leaders: list[Leader], given: dict[str, str], portfolio: str) -> Html:
    whom = [ANY, *leader_choices(leaders)]
    if given["leader"] and given["leader"] not in {w for w, _ in whom}:
        whom.append((given["leader"], given["leader"]))
    reasons = [ANY, *((r.value, words(r.value)) for r in MEANING)]

    def select(name: str, label: str, choices: list[tuple[str, str]]) -> Html:
        return f'<label>{esc(label)}<select name="{esc(name)}">{options(choices, given[name])}</select></label>'

    hidden = "".join(
        f'<input type="hidden" name="{esc(name)}" value="{esc(given[name])}">'
        for name in ("token", "action")
        if given[name]
    )
    clear = (
        f'<a class="button" href="/trades?{urlencode({"portfolio": portfolio})}">Clear</a>'
        if any(given.values())
        else ""
    )
    told = f" ({chosen:d})" if (chosen := sum(1 for name, value in given.items() if value and name != "q")) else ""
    return (
        '<form class="filters folding" method="get" action="/trades" data-auto>'
        f'<input type="hidden" name="portfolio" value="{esc(portfolio)}">{hidden}'
        f'<label>Market<input name="q" type="search" value="{esc(given["q"])}" placeholder="words of it"></label>'
        + f'<button type="button" class="unfold" data-unfold aria-expanded="false">More filters{told}</button>'
        + select("leader", "Leader", whom)
        + select("state", "What became of it", [ANY, *((s.value, WORDS[s]) for s in STATES)])
        + select("reason", "Reason", reasons)
        + select("side", "Side", [ANY, ("BUY", "BUY"), ("SELL", "SELL")])
        + select("source", "First seen by", [ANY, ("polygon", "chain"), ("api", "API")])
        + select("class", "Class", [ANY, ("live", "live"), ("catch-up", "catch-up"), ("backfill", "backfill")])
        + select("status", "On chain", [ANY, ("active", "stands"), ("retracted", "taken back")])
        + f"<button>Filter</button>{clear}</form>"
    )


def _table(found: Page[TradeDecided], keep: dict[str, str], *, paged: bool) -> Html:
    if not found.data:
        told = "No trade matches." if len(keep) > 1 or paged else "No trade seen yet. Quiet leaders are normal."
        return f'<div class="empty"><b>{told}</b></div>'
    body = "".join(_line(r) for r in found.data)
    newer = f'<a class="button" href="/trades?{esc(urlencode(keep))}">Newest</a>' if paged else ""
    older = (
        f'<a class="button" href="/trades?{esc(urlencode({**keep, "before": str(found.next_before)}))}">Older</a>'
        if found.next_before is not None
        else "that is all"
    )
    columns = ("traded", "leader", "side", "market", "#his fill", "decision", "#seen after")
    pager = f'<div class="pager">{newer}{older}<span>{len(found.data)} shown</span></div>'
    return grid("feed", heads(columns), body, tall=True) + pager


def _line(r: TradeDecided) -> Html:
    decided = r.decision
    shown = verdict(decided) if decided else '<span class="chip">not decided</span>'
    came_to = got(decided) if decided else ""
    source = "chain" if r.first_source is Source.POLYGON else "API"
    gone = ' <span class="chip wait" title="A reorg took it back">taken back</span>' if r.status != "active" else ""
    under = esc(r.outcome or "") + (f" · {esc(r.kind)}" if r.kind is not TradeClass.LIVE else "")
    return (
        f'<tr><td class="when">{ago(r.traded_at)}</td><td class="who-col">{leader(r.leader, r.label)}</td>'
        f'<td>{side(r.side)}</td><td class="market">{market(r.title, under)}</td>'
        f'<td class="num size">{shares(r.shares_micro)}<small>at {price(r.price)}</small></td>'
        f'<td class="result"><a href="#" data-drawer="/parts/trade/{r.id:d}">{shown}</a>{came_to}{gone}</td>'
        f'<td class="num lag" title="first seen through {source}">{duration(r.lag_ms)}'
        f"<small>{source}</small></td></tr>"
    )
