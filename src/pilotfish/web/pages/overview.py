"""Overview: is it working, how are we doing, what just happened, what do we hold. Without leaders: how to begin."""

from __future__ import annotations

from fastapi import Request
from nicegui import ui

from pilotfish.core.numerals import count, duration, money, percent, price, price_micro
from pilotfish.core.trade import Source
from pilotfish.core.units import price_of
from pilotfish.store import worker_state
from pilotfish.store.portfolios_store import MAIN
from pilotfish.store.views.feed import FeedRow
from pilotfish.store.views.latency import Latency
from pilotfish.store.views.portfolios import EquityPoint, Portfolio
from pilotfish.store.views.positions import PositionInMarket
from pilotfish.store.worker_state import BooksState, DatabaseState
from pilotfish.web.auth import is_admin
from pilotfish.web.charts import equity_options
from pilotfish.web.frame import REFRESH_SECONDS, frame, portfolio_picker, put
from pilotfish.web.markup import (
    Html,
    ago,
    bids,
    esc,
    figure,
    got,
    grid,
    heads,
    leader,
    market,
    shares,
    side,
    signed,
    verdict,
)
from pilotfish.web.pages.leaders import add_form
from pilotfish.web.reader import Reader, Snapshot
from pilotfish.web.site import Site


def register(site: Site, reader: Reader) -> None:
    """Put the page at ``/``."""

    @ui.page("/", title="pilotfish – overview")
    async def page(request: Request, portfolio: str = MAIN) -> None:
        first = await reader.first_look()
        name = portfolio if first.portfolio(portfolio) else MAIN
        with frame(site, reader, request, "/"):
            put('<h1 class="vh">Overview</h1>')
            begin = put("")
            if not first.leaders:
                put(_first_steps(site, request))
            parts = {n: put("", f"row-{n}") for n in ("picker", "lights", "figures")}
            with ui.element("div").classes("row"):
                with ui.element("section").classes("card"):
                    parts["curve"] = put("")
                    chart = ui.echart(equity_options([], 0)).classes("chart")
                parts["sources"] = put("", "card")
            with ui.element("div").classes("row"):
                parts["feed"] = put("", "card")
                parts["held"] = put("", "card")
            parts["foot"] = put("")
        drawn: list[EquityPoint] = []

        def draw(s: Snapshot) -> None:
            nonlocal drawn
            for part, content in _blocks(s, name).items():
                if parts[part].content != content:
                    parts[part].content = content
            curve = s.equity.get(name)
            if curve and drawn is not curve:
                drawn = curve
                mine = s.portfolio(name)
                options = equity_options(curve, mine.bankroll_micro if mine else 0)
                if chart.options["series"] != options["series"]:
                    chart.options.update(options)
                    chart.update()
            if not first.leaders and s.leaders and not begin.content:
                begin.content = '<p class="banner">Somebody is followed now. <a href="/">Show the overview</a></p>'

        draw(first)
        ui.timer(REFRESH_SECONDS, lambda: draw(reader.look()))


_drawn: dict[str, dict[str, Html]] = {}
_drawn_of: dict[str, Snapshot] = {}
"""Portfolio -> its blocks, and the snapshot that they show: drawn once for all tabs."""


def _blocks(s: Snapshot, name: str) -> dict[str, Html]:
    if _drawn_of.get(name) is not s:
        _drawn_of[name] = s
        _drawn[name] = {
            "picker": portfolio_picker(s, name, "/"),
            "lights": _lights(s),
            "figures": _figures(s, name),
            "curve": _curve_head(s, name),
            "sources": _sources(s),
            "feed": _feed(s, name),
            "held": _held(s, name),
            "foot": _foot(s),
        }
        while len(_drawn) > 60:
            oldest = next(iter(_drawn))
            del _drawn[oldest], _drawn_of[oldest]
    return _drawn[name]


def _first_steps(site: Site, request: Request) -> Html:
    """What to do first."""
    who = (
        add_form()
        if is_admin(request)
        else "<code>pilotfish leaders add WALLET --label NAME</code>, or "
        + ('<a href="/login">sign in</a> to add somebody here.' if site.sessions.writable
           else "set <code>ADMIN_TOKEN</code> and start again to do it here.")
    )  # fmt: skip
    return (
        '<section class="card pad" style="margin-bottom:14px"><div class="title"><h1>Whom would you copy?</h1>'
        "<p>Three steps to an honest answer whether it would have paid.</p></div>"
        f'<ol class="steps"><li><div><h3>Follow somebody</h3>{who}'
        '<p class="mini">Nothing from before is copied: a fresh start holds nothing.</p></div></li>'
        '<li><div><h3>Look at the lights below</h3><p class="mini">The Data API needs no key. With a Polygon WebSocket'
        " URL (<code>POLYGON_WS_URL</code>, a free plan will do) trades are seen within about two seconds; without one"
        " it works in mode api, some seconds later. <code>pilotfish doctor</code> checks every service.</p></div></li>"
        '<li><div><h3>Choose how much</h3><p class="mini">25 USDC for each of his orders, unless the'
        ' <a href="/settings">settings</a> say otherwise. Then wait: each trade of his appears here, copied or with the'
        " reason why not.</p></div></li></ol></section>"
    )


def _lights(s: Snapshot) -> Html:
    w = s.worker
    if w is None:
        return ""
    stale = not worker_state.alive(w, s.worker_age)
    chain, api = w.polygon, w.api
    lag_text = f", {api.serving_lag_seconds} s behind" if api.serving_lag_seconds is not None else ""
    name, source = w.mode.effective or "?", w.mode.source
    beaten = w.mode.env if source == "dashboard" else None
    told = f"from {source}" + (f", overrides environment {beaten}" if beaten and beaten != name else "")
    degraded = name == "both" and chain.healthy != api.healthy
    if degraded:
        told = f"degraded: only {'Polygon' if chain.healthy else 'the API'} is up"
    return '<div class="lights">' + "".join(
        (
            _light("Mode: " + name, "ill" if degraded else "ok", told, sign="⇄"),
            _light("Polygon", _state(chain.healthy, stale, off=bool(chain.off)), chain.off or chain.detail),
            _light("Data API", _state(api.healthy, stale), api.detail + lag_text),
            _light("Order books", _state(_books_work(w.books), stale), _books(w.books, s.at)),
            _light("Database", _state(w.database.healthy, stale), _database(w.database, s.at)),
        )
    ) + "</div>"  # fmt: skip


def _state(healthy: bool, stale: bool, *, off: bool = False) -> str:
    return "off" if off or stale else "ok" if healthy else "ill"


def _light(name: str, state: str, detail: str, sign: str = "") -> Html:
    shown = esc(sign) or {"ok": "●", "ill": "▲", "off": "○"}[state]
    spoken = {"ok": "works", "ill": "has a problem", "off": "is off"}[state]
    return (
        f'<div class="light {esc(state)}" title="{esc(detail)}"><span class="sign" role="img" aria-label="{esc(name)}'
        f' {spoken}">{shown}</span><b>{esc(name)}</b><span class="detail">{esc(detail)}</span></div>'
    )


def _age(then: float | None, now: float) -> str:
    return "nothing yet" if then is None else f"{duration(round(1000 * max(0.0, now - then)))} ago"


def _books_work(books: BooksState) -> bool:
    """Over HTTP it goes on without the market channel, but slower: a lost channel is a problem to look at."""
    channel = books.local
    lost = channel.kept and not channel.connected and channel.error
    return bool((books.healthy or books.idle) and not lost)


def _books(books: BooksState, now: float) -> str:
    channel = books.local
    if channel.connected:
        return f"channel heard {_age(channel.last_frame_at, now)}, {channel.kept} books"
    if channel.kept and channel.error:
        return f"channel lost, read over HTTP {_age(books.last_ok_at, now)}: {channel.error}"
    return books.detail or ("not needed yet" if books.idle else f"read {_age(books.last_ok_at, now)}")


def _database(database: DatabaseState, now: float) -> str:
    return database.detail or f"last commit {_age(database.last_ok_at, now)}"


def _figures(s: Snapshot, name: str) -> Html:
    p = s.portfolio(name)
    if p is None:
        return ""
    gain = p.equity_micro - p.bankroll_micro
    grown = percent(gain, p.bankroll_micro, 2, sign=True)
    kind = "up" if gain > 0 else "down" if gain < 0 else "flat"
    exposure = percent(p.exposure_micro, p.equity_micro, 1)
    return '<div class="figures">' + "".join(
        (
            figure("Equity, USDC", money(p.equity_micro),
                   f'{signed(gain)} <span class="{kind}">({grown})</span> since the start', "first"),
            figure("Cash", money(p.cash_micro), f"of {money(p.bankroll_micro, 0)} at the start"),
            figure("Realised PnL", signed(p.realized_pnl_micro), "fees included"),
            figure("Unrealised PnL", signed(p.unrealized_pnl_micro), _unknown(p)),
            figure("Fees paid", money(p.fees_micro), "by the venue's schedule"),
            figure("Exposure", money(p.exposure_micro),
                   f"{exposure} in {count(p.open_positions)} position{'s' if p.open_positions != 1 else ''}"),
        )
    ) + "</div>"  # fmt: skip


def _unknown(p: Portfolio) -> Html:
    """How the open positions are valued, and how much of that nobody bids for."""
    if not p.unmarked_value_micro:
        return "at what the bids pay"
    unknown, least = money(p.unmarked_value_micro), money(p.equity_pessimistic_micro)
    return f"nobody bids for {unknown} of it; without that equity is {least}"


def _curve_head(s: Snapshot, name: str) -> Html:
    worst, of, best = 0, 1, 0
    for row in s.equity.get(name, []):
        best = max(best, row.equity_micro)
        if (best - row.equity_micro) * of > worst * best:
            worst, of = best - row.equity_micro, best
    return (
        '<div class="head"><h2>Equity and drawdown</h2><span class="note">worst drawdown'
        f" {percent(worst, of, 2)}</span></div>"
    )


def _sources(s: Snapshot) -> Html:
    x = s.latency
    head = '<div class="head"><h2>Who sees trades first</h2></div>'
    if x and (x.chain_first is None or x.api_first is None):
        return head + _api_alone(x)
    if not x or not (x.seen_by_both or x.only_api or x.only_polygon):
        return head + '<div class="empty"><b>No trade seen yet</b>Quiet leaders are normal.</div>'
    chain, api = x.chain_first or 0, x.api_first or 0
    total = max(1, chain + api)
    gaps = x.api_behind_chain_ms

    return (
        f'{head}<div class="who"><div>Polygon first <b>{percent(chain, total)}</b>, Data API first'
        f" <b>{percent(api, total)}</b> of {count(x.seen_by_both)} trades seen by both</div>"
        f'<div class="bar" aria-hidden="true"><span style="width:{100 * chain / total:.1f}%"></span>'
        f'<span style="width:{100 * api / total:.1f}%"></span></div><dl class="pairs">'
        f"<dt>API behind the chain, median</dt><dd>{duration(gaps.p50, sign=True)}</dd>"
        f"<dt>90 % of trades within</dt><dd>{duration(gaps.p90, sign=True)}</dd>"
        f"<dt>99 % of trades within</dt><dd>{duration(gaps.p99, sign=True)}</dd>"
        f"<dt>only the chain so far</dt><dd>{count(x.only_polygon or 0)}</dd>"
        f"<dt>only the API so far</dt><dd>{count(x.only_api or 0)}</dd>"
        f"<dt>not confirmed by the API in time</dt><dd>{count(x.api_lagged or 0)}</dd></dl></div>"
    )


def _api_alone(x: Latency) -> Html:
    """Where there is nothing to compare: why, and how late the API is after the match."""
    why = x.off.get("polygon")
    told = f"Polygon is off: {esc(why)}." if why else "Polygon was off when these trades were made."
    after = x.seen_after_match_ms.api
    rows = "".join(
        f"<dt>{esc(name)}</dt><dd>{duration(ms)}</dd>"
        for ms, name in (
            (after.p50, "match → visible in the API, median"), (after.p90, "90 % within"), (after.p99, "99 % within"),
        )
    )  # fmt: skip
    return (
        f'<div class="who"><div><b>{told}</b> All trades come through the Data API.</div><dl class="pairs">{rows}</dl>'
        '<p class="mini"><a href="/latency">All times, to our fill</a></p></div>'
    )


def _feed(s: Snapshot, name: str) -> Html:
    head = (
        '<div class="head"><h2>Live decisions</h2><span class="note">'
        f"{len(s.leaders)} leader{'s' if len(s.leaders) != 1 else ''} followed ·"
        ' <a href="/trades">all trades</a></span></div>'
    )
    if not s.leaders:
        return (
            f'{head}<div class="empty"><b>Nobody is followed yet</b>Add a leader; copying starts from that moment:'
            " <code>pilotfish leaders add WALLET --label NAME</code></div>"
        )
    rows = "".join(_feed_row(r) for r in s.feed if r.portfolio == name)
    if not rows:
        return f'{head}<div class="empty"><b>Nothing happened yet</b>The next trade of a leader appears here.</div>'
    return head + grid(
        "feed", heads(("decided", "leader", "side", "market", "#his fill", "result", "#seen after")), rows
    )


def _feed_row(r: FeedRow) -> Html:
    source = "chain" if r.first_source is Source.POLYGON else "API"
    part = f"/parts/trade/{r.trade_id:d}" if r.trade_id else f"/parts/decision/{r.id:d}"
    return (
        f'<tr><td class="when">{ago(r.decided_at)}</td>'
        f'<td class="who-col">{leader(r.leader, r.label)}</td>'
        f"<td>{side(r.side)}</td>"
        f'<td class="market">{market(r.title, esc(r.outcome))}</td>'
        f'<td class="num size">{shares(r.shares_micro or 0)}<small>{_at(r.price)}</small></td>'
        f'<td class="result"><a href="#" data-drawer="{part}">{verdict(r)}</a>{got(r)}</td>'
        f'<td class="num lag" title="first seen through {source}">{duration(r.lag_ms)}'
        f"<small>{source}</small></td></tr>"
    )


def _at(paid: float | None) -> Html:
    return "without a trade" if paid is None else f"at {price(paid)}"


def _held(s: Snapshot, name: str) -> Html:
    mine = [p for p in s.positions if p.portfolio == name]
    head = (
        f'<div class="head"><h2>Open positions</h2><span class="note">{len(mine)} ·'
        ' <a href="/positions">all positions</a></span></div>'
    )
    if not mine:
        return (
            f'{head}<div class="empty"><b>Nothing is held</b>A fresh start holds nothing until a BUY is copied.</div>'
        )
    rows = "".join(_held_row(r) for r in mine[:100])
    return head + grid("held", heads(("market", "#shares", "#cost", "#PnL")), rows)


def _held_row(r: PositionInMarket) -> Html:
    average = price_micro(price_of(r.cost_micro, r.shares_micro))
    return (
        f'<tr><td class="market">{market(r.title, esc(r.outcome) + " · " + leader(r.leader, r.label))}</td>'
        f'<td class="num size">{shares(r.shares_micro)}<small>at {average}</small></td>'
        f'<td class="num cost">{money(r.cost_micro)}</td>'
        f'<td class="num pnl">{signed(r.unrealized_pnl_micro)}<small>{bids(r)}</small></td>'
        "</tr>"
    )


def _foot(s: Snapshot) -> Html:
    if s.worker is None:
        return ""
    bad = s.worker.bad_inputs
    told = (
        f' · <a href="#" data-drawer="/parts/bad-inputs">{count(bad)} input{"s" if bad != 1 else ""}'
        " could not be used</a>"
        if bad
        else ""
    )
    if s.worker.alerts.error:
        told += f" · <b>alerts cannot be sent</b>: {esc(s.worker.alerts.error)}"
    logs, polls = s.worker.polygon.logs, s.worker.counts.get("polls", 0)
    return f'<p class="foot">{count(logs)} logs, {count(polls)} polls{told}</p>'
