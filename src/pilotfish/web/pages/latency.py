"""Latency: chain against API, who was first, what is missing, and how long it took from a block to our fill."""

from __future__ import annotations

from dataclasses import dataclass

from fastapi import Request
from nicegui import ui
from sqlalchemy import Connection

from pilotfish.core.numerals import count, duration, percent, precise
from pilotfish.core.trade import Source
from pilotfish.store import worker_state
from pilotfish.store.views.latency import (
    LagPoint,
    Latency,
    MissingTrade,
    Pace,
    read_lag_over_time,
    read_latency,
    read_missing,
    read_pace,
)
from pilotfish.store.views.sources import Outage, read_outages
from pilotfish.web.charts import histogram_options, lag_options
from pilotfish.web.frame import frame, live, put
from pilotfish.web.markup import Html, ago, esc, figure, grid, heads, out, short
from pilotfish.web.reader import Reader
from pilotfish.web.site import Site

EVERY = 2.0


@dataclass(frozen=True, slots=True)
class _Look:
    """What the page shows, read at one instant. ``mode`` is the trigger mode that counts."""

    sources: Latency
    pace: Pace
    time: list[LagPoint]
    missing: list[MissingTrade]
    outages: list[Outage]
    mode: str


def register(site: Site, reader: Reader) -> None:
    """Put the page at ``/latency``."""

    @ui.page("/latency", title="pilotfish – latency")
    async def page(request: Request) -> None:
        await reader.first_look()

        async def read() -> _Look:
            return await site.shared.get("latency", EVERY, _read)

        async def draw() -> dict[str, Html]:
            x = await read()
            return {
                "off": _off(x.sources.off, x.mode),
                "figures": _figures(x.sources),
                "pace": _pace(x.pace, off=bool(x.sources.off.get("polygon"))),
                "outages": _outages(x.outages),
                "missing": _missing(x.missing, off=x.sources.off.get("polygon", "")),
            }

        with frame(site, reader, request, "/latency"):
            put(
                '<div class="title"><h1>Latency</h1><p>Over the newest 20,000 trades.</p><span class="space"></span>'
                '<a class="button" href="/api/v1/export/latency.csv">CSV</a></div>'
            )
            x = await read()
            compared = x.sources.chain_first is not None
            with ui.element("div").classes("half" if compared else "hidden"):
                with ui.element("section").classes("card"):
                    put(_head("API behind the chain, by how much"))
                    bars = ui.echart(histogram_options(x.sources.histogram)).classes("chart")
                with ui.element("section").classes("card"):
                    put(_head("API behind the chain, over time"))
                    line = ui.echart(lag_options(x.time)).classes("chart")
            with ui.element("div").classes("stack"):
                await live(EVERY, draw, row={"off": "card pad", "pace": "card", "outages": "card", "missing": "card"})

        async def redraw() -> None:
            fresh = await read()
            for chart, options in ((bars, histogram_options(fresh.sources.histogram)),
                                   (line, lag_options(fresh.time))):  # fmt: skip
                if chart.options["series"] != options["series"]:
                    chart.options.update(options)
                    chart.update()

        ui.timer(EVERY, redraw)


def _read(c: Connection) -> _Look:
    worker, _ = worker_state.read(c)
    return _Look(
        sources=read_latency(c),
        pace=read_pace(c),
        time=read_lag_over_time(c),
        missing=read_missing(c),
        outages=read_outages(c, 20),
        mode=worker.mode.effective if worker is not None else "",
    )


def _head(text: str) -> Html:
    return f'<div class="head"><h2>{esc(text)}</h2></div>'


def _off(off: dict[str, str], mode: str) -> Html:
    """What is off and why, and what that means for the figures."""
    if off.get("polygon"):
        return (
            f"<p><b>Polygon is off: {esc(off['polygon'])}.</b> So there is nothing to compare the Data API with; what"
            " can be measured is the way from the match over the API to the decision and the fill. Trades from such"
            " times do not count as missed by the chain.</p>"
        )
    if mode == "polygon":
        return "<p>Mode polygon: the chain triggers; the Data API confirms and fills gaps.</p>"
    return ""


def _figures(s: Latency) -> Html:
    gaps, api = s.api_behind_chain_ms, s.seen_after_match_ms.api
    seen = (
        figure("Match → API, median", precise(api.p50), "until the Data API showed a trade"),
        figure("90 % within", precise(api.p90), f"99 % within {precise(api.p99)}"),
    )
    if s.chain_first is None or s.api_first is None:
        return f'<div class="figures even">{"".join(seen)}</div>'
    total = s.chain_first + s.api_first
    share = percent(s.chain_first, total)
    rest = percent(s.api_first, total)

    return '<div class="figures even">' + "".join(
        (
            figure("Chain first", share, f"{count(s.chain_first)} of {count(total)} seen by both"),
            figure("API first", rest, f"{count(s.api_first)} trades"),
            figure("API behind, median", duration(gaps.p50, sign=True), "negative = the API was first"),
            figure("90 % within", duration(gaps.p90, sign=True), f"99 % within {duration(gaps.p99, sign=True)}"),
            figure("Only the chain so far", count(s.only_polygon or 0), "the API has not shown them"),
            figure("Only the API so far", count(s.only_api or 0), "no log came"),
            figure("Not confirmed in time", count(s.api_lagged or 0), "within api_lag_fallback_ms"),
            *seen,
        )
    ) + "</div>"  # fmt: skip


def _pace(pace: Pace, *, off: bool) -> Html:
    head = _head("From their trade to our fill")
    if not pace.seen.n:
        return head + '<div class="empty"><b>Nothing copied live yet</b></div>'
    spans = (
        ("match → visible in the API" if off else "match → first seen here", pace.seen),
        ("seen → decided", pace.decided),
        ("decided → filled (with the simulated latency)", pace.filled),
        ("match → filled", pace.whole),
    )
    body = "".join(
        f'<tr><td class="wide">{esc(text)}</td><td class="num" data-l="median">{precise(span.p50)}</td>'
        f'<td class="num" data-l="90 %">{precise(span.p90)}</td>'
        f'<td class="num" data-l="99 %">{precise(span.p99)}</td>'
        f'<td class="num" data-l="of">{count(span.n)}</td></tr>'
        for text, span in spans
    )
    return head + grid("rows", heads(("step", "#median", "#90 % within", "#99 % within", "#copies")), body)


def _outages(rows: list[Outage]) -> Html:
    head = _head("When a source was down")
    if not rows:
        return head + '<div class="empty">Never so far.</div>'
    names = {"api": "Data API", "polygon": "Polygon"}
    body = "".join(
        f'<tr><td class="when">{ago(r.since)}</td><td>{esc(names.get(r.source, r.source))}</td>'
        f'<td class="num" data-l="for">{"still is" if r.seconds is None else precise(round(1000 * r.seconds))}</td>'
        f'<td class="wide">{esc(r.why)}</td></tr>'
        for r in rows
    )
    return head + grid("rows", heads(("since", "source", "#for", "why")), body)


def _missing(rows: list[MissingTrade], *, off: str) -> Html:
    head = _head("Seen by one source only, for more than a minute")
    if not rows and off:
        return f'{head}<div class="empty">Chain off: {esc(off)}. Nothing is missing for that.</div>'
    if not rows:
        return head + '<div class="empty">None: both sources have shown everything.</div>'
    body = "".join(
        f'<tr><td class="when">{ago(r.traded_at)}</td><td>{esc(short(r.leader))}</td>'
        f'<td class="wide">{esc(r.title or "unknown market")}</td>'
        f"<td>{'the API' if r.missing is Source.API else 'the chain'}</td>"
        f"<td>{out('https://polygonscan.com/tx/' + r.tx_hash, 'transaction')}</td></tr>"
        for r in rows
    )
    return head + grid("rows", heads(("traded", "leader", "market", "not shown by", "transaction")), body)
