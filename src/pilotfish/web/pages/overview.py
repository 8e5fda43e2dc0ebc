"""Overview: is it working, how are we doing, what just happened, what do we hold."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from nicegui import ui

from pilotfish.app.config import process_value
from pilotfish.core.reasons import MEANING, Reason
from pilotfish.core.settings import Value
from pilotfish.web.charts import equity_options
from pilotfish.web.markup import ago, esc, lag, money, price, shares, short, signed
from pilotfish.web.reader import Reader, Snapshot

REFRESH_SECONDS = 0.5
ALIVE_SECONDS = 5.0


def register(reader: Reader, environment: dict[str, Value]) -> None:
    """Put the page at ``/``."""
    venue = urlsplit(process_value(environment, "data_api_url")).netloc
    simulated = "" if venue.endswith("polymarket.com") else venue

    @ui.page("/", title="pilotfish – overview")
    async def page() -> None:
        first = await reader.first_look()
        ui.add_head_html(
            '<link rel="stylesheet" href="/static/style.css"><script src="/static/page.js" defer></script>'
        )
        with ui.element("main").classes("pf"):
            parts = {"top": ui.html(_top(simulated), sanitize=False)}
            for name in ("banner", "lights", "figures"):
                parts[name] = ui.html("", sanitize=False)
            with ui.element("div").classes("row"):
                with ui.element("section").classes("card"):
                    parts["curve"] = ui.html("", sanitize=False)
                    chart = ui.echart(equity_options([], 0)).classes("chart")
                parts["sources"] = ui.html("", sanitize=False).classes("card")
            with ui.element("div").classes("row"):
                parts["feed"] = ui.html("", sanitize=False).classes("card")
                parts["held"] = ui.html("", sanitize=False).classes("card")
            parts["foot"] = ui.html("", sanitize=False)
        drawn: dict[str, Any] = {}

        def draw(s: Snapshot) -> None:
            fresh = {
                "banner": _banner(s),
                "lights": _lights(s),
                "figures": _figures(s),
                "curve": _curve_head(s),
                "sources": _sources(s),
                "feed": _feed(s),
                "held": _held(s),
                "foot": _foot(s),
            }
            for name, content in fresh.items():
                if parts[name].content != content:
                    parts[name].content = content
            if s.equity and drawn.get("equity") is not s.equity:
                drawn["equity"] = s.equity
                options = equity_options(s.equity, s.main["bankroll_micro"] if s.main else 0)
                if chart.options["series"] != options["series"]:
                    chart.options.update(options)
                    chart.update()

        draw(first)
        ui.timer(REFRESH_SECONDS, lambda: draw(reader.look()))


def _top(simulated: str) -> str:
    banner = (
        f'<div class="banner" role="note"><b>Simulated venue</b> at {esc(simulated)}: leaders, books and trades are'
        " made up. To follow real wallets, leave the venue's URLs at their defaults, then"
        " <code>pilotfish leaders add WALLET</code> and <code>pilotfish run</code>.</div>"
        if simulated
        else ""
    )
    return (
        '<header class="top"><img src="/static/icon.svg" alt=""><h1>pilotfish</h1>'
        '<span class="tag">paper copies of Polymarket leaders</span><span class="space"></span>'
        '<button type="button" onclick="pilotfishToggle()" aria-label="Switch between dark and light">◐ Theme</button>'
        f"</header>{banner}"
    )


def _banner(s: Snapshot) -> str:
    if s.error:
        return f'<div class="banner bad" role="alert"><b>The database cannot be read.</b> {esc(s.error)}</div>'
    if s.worker is None:
        return (
            '<div class="banner bad" role="alert"><b>No worker has run yet.</b>'
            " Start one: <code>pilotfish run</code></div>"
        )
    if s.worker_age is not None and s.worker_age > ALIVE_SECONDS:
        return (
            '<div class="banner bad" role="alert"><b>The worker is not running.</b> What follows is its last state.'
            " Start it: <code>pilotfish run</code></div>"
        )
    return ""


def _lights(s: Snapshot) -> str:
    w = s.worker
    if w is None:
        return ""
    stale = s.worker_age is None or s.worker_age > ALIVE_SECONDS
    mode = w["mode"]
    chain, api, books, database = w["polygon"], w["api"], w["books"], w["database"]
    lag_text = f", {api['serving_lag_seconds']} s behind" if api.get("serving_lag_seconds") is not None else ""
    mode_name = str(mode.get("effectiveTriggerMode", "?"))
    source = str(mode.get("source", ""))
    beaten = mode.get("envTriggerMode") if source == "dashboard" else None
    told = f"from {source}" + (f", overrides environment {beaten}" if beaten and beaten != mode_name else "")
    if mode_name == "both" and chain["healthy"] != api["healthy"]:
        told = f"degraded: only {'Polygon' if chain['healthy'] else 'the API'} is up"
    return '<div class="lights">' + "".join(
        (
            _light("Mode: " + mode_name, "ill" if told.startswith("degraded") else "ok", told, sign="⇄"),
            _light("Polygon", _state(chain["healthy"], stale, off=not chain["enabled"]), chain["detail"]),
            _light("Data API", _state(api["healthy"], stale), api["detail"].replace("last answer ", "") + lag_text),
            _light("Order books", _state(books["healthy"] or books["idle"], stale), _books(books, s.at)),
            _light("Database", _state(database["healthy"], stale), _database(database, s.at)),
        )
    ) + "</div>"  # fmt: skip


def _state(healthy: bool, stale: bool, *, off: bool = False) -> str:
    return "off" if off or stale else "ok" if healthy else "ill"


def _light(name: str, state: str, detail: str, sign: str | None = None) -> str:
    shown = sign or {"ok": "●", "ill": "▲", "off": "○"}[state]
    spoken = {"ok": "works", "ill": "has a problem", "off": "is off"}[state]
    return (
        f'<div class="light {state}" title="{esc(detail)}"><span class="sign" role="img" aria-label="{esc(name)}'
        f' {spoken}">{shown}</span><b>{esc(name)}</b><span class="detail">{esc(detail)}</span></div>'
    )


def _age(then: float | None, now: float) -> str:
    return "nothing yet" if then is None else f"{max(0, now - then):.0f} s ago"


def _books(books: dict[str, Any], now: float) -> str:
    return str(books["detail"]) or ("not needed yet" if books["idle"] else f"read {_age(books['last_ok_at'], now)}")


def _database(database: dict[str, Any], now: float) -> str:
    return str(database["detail"]) or f"last commit {_age(database['last_ok_at'], now)}"


def _figures(s: Snapshot) -> str:
    p = s.main
    if p is None:
        return ""
    gain = p["equity_micro"] - p["bankroll_micro"]
    percent = 100 * gain / p["bankroll_micro"]
    kind = "up" if gain > 0 else "down" if gain < 0 else "flat"

    def figure(name: str, value: str, note: str = "", extra: str = "") -> str:
        return (
            f'<div class="card figure {extra}"><h2>{name}</h2><div class="value">{value}</div>'
            f'<div class="note">{note}</div></div>'
        )

    exposure = 100 * p["exposure_micro"] / max(1, p["equity_micro"])
    return '<div class="figures">' + "".join(
        (
            figure("Equity, USDC", money(p["equity_micro"]),
                   f'{signed(gain)} <span class="{kind}">({percent:+.2f} %)</span> since the start', "first"),
            figure("Cash", money(p["cash_micro"]), f"of {money(p['bankroll_micro'], 0)} at the start"),
            figure("Realised PnL", signed(p["realized_pnl_micro"]), "fees included"),
            figure("Unrealised PnL", signed(p["unrealized_pnl_micro"]), "at the best bid"),
            figure("Fees paid", money(p["fees_micro"]), "by the venue's schedule"),
            figure("Exposure", money(p["exposure_micro"]),
                   f"{exposure:.1f} % in {p['open_positions']} position{'s' if p['open_positions'] != 1 else ''}"),
        )
    ) + "</div>"  # fmt: skip


def _curve_head(s: Snapshot) -> str:
    worst, best = 0.0, 0
    for row in s.equity:
        best = max(best, row["equity_micro"])
        worst = max(worst, 100 * (best - row["equity_micro"]) / best if best else 0)
    return f'<div class="head"><h2>Equity and drawdown</h2><span class="note">worst drawdown {worst:.2f} %</span></div>'


def _sources(s: Snapshot) -> str:
    x = s.latency
    head = '<div class="head"><h2>Who sees trades first</h2></div>'
    if not x or not (x["seen_by_both"] or x["only_api"] or x["only_polygon"]):
        return head + '<div class="empty"><b>No trade seen yet</b>Quiet leaders are normal.</div>'
    total = max(1, x["chain_first"] + x["api_first"])
    gaps = x["api_behind_chain_ms"]

    def seconds(ms: int | None) -> str:
        return "–" if ms is None else f"{ms / 1000:+.1f} s"

    return (
        f'{head}<div class="who"><div>Polygon first <b>{100 * x["chain_first"] / total:.0f} %</b>, Data API first'
        f" <b>{100 * x['api_first'] / total:.0f} %</b> of {x['seen_by_both']} trades seen by both</div>"
        f'<div class="bar" aria-hidden="true"><span style="width:{100 * x["chain_first"] / total:.1f}%"></span>'
        f'<span style="width:{100 * x["api_first"] / total:.1f}%"></span></div><dl class="pairs">'
        f"<dt>API behind the chain, median</dt><dd>{seconds(gaps['p50'])}</dd>"
        f"<dt>90 % of trades within</dt><dd>{seconds(gaps['p90'])}</dd>"
        f"<dt>99 % of trades within</dt><dd>{seconds(gaps['p99'])}</dd>"
        f"<dt>only the chain so far</dt><dd>{x['only_polygon']}</dd>"
        f"<dt>only the API so far</dt><dd>{x['only_api']}</dd>"
        f"<dt>not confirmed by the API in time</dt><dd>{x['api_lagged']}</dd></dl></div>"
    )


def _feed(s: Snapshot) -> str:
    head = (
        '<div class="head"><h2>Live decisions</h2><span class="note">'
        f"{len(s.leaders)} leader{'s' if len(s.leaders) != 1 else ''} followed</span></div>"
    )
    if not s.leaders:
        return (
            f'{head}<div class="empty"><b>Nobody is followed yet</b>Add a leader; copying starts from that moment:'
            " <code>pilotfish leaders add WALLET --label NAME</code></div>"
        )
    if not s.feed:
        return f'{head}<div class="empty"><b>Nothing happened yet</b>The next trade of a leader appears here.</div>'
    rows = "".join(_feed_row(r) for r in s.feed)
    return (
        f'{head}<div class="scroll" tabindex="0"><table class="grid feed"><thead><tr><th>decided</th><th>leader</th>'
        '<th>side</th><th>market</th><th class="num">leader\'s fill</th><th>result</th><th class="num">seen after</th>'
        f"</tr></thead><tbody>{rows}</tbody></table></div>"
    )


def _feed_row(r: dict[str, Any]) -> str:
    reason = Reason(r["reason"])
    meaning = MEANING[reason]
    if r["action"] == "copy":
        ours = r["our_shares_micro"]
        state = f"{shares(ours)} at {price(r['our_price'])}" if ours else (r["intent_state"] or "")
        result = f'<span class="chip copy">✓ copied</span> <small>{esc(state)}</small>'
    elif r["action"] == "wait":
        result = f'<span class="chip wait">… {_words(r["reason"])}</span>'
    else:
        result = f'<span class="chip">– {_words(r["reason"])}</span>'
    kind = "up" if r["side"] == "BUY" else "down"
    source = "chain" if r["first_source"] == "polygon" else "API"
    return (
        f'<tr><td class="when">{ago(r["decided_at"])}</td>'
        f'<td class="who-col" title="{esc(r["leader"])}">{esc(r["label"] or short(r["leader"]))}</td>'
        f'<td class="side {kind}"><i aria-hidden="true">{"▲" if kind == "up" else "▼"}</i> {esc(r["side"])}</td>'
        f'<td class="market">{esc(r["title"] or "unknown market")}<small>{esc(r["outcome"])}</small></td>'
        f'<td class="num size">{shares(r["shares_micro"])}<small>{_at(r["price"])}</small></td>'
        f'<td class="result" title="{esc(r["reason"] + ": " + meaning)}">{result}</td>'
        f'<td class="num lag" title="first seen through {source}">{lag(r["lag_ms"])}<small>{source}</small></td></tr>'
    )


def _at(paid: float | None) -> str:
    return "without a trade" if paid is None else f"at {price(paid)}"


def _words(reason: str) -> str:
    return esc(reason.split("_", 1)[-1].replace("_", " ").lower())


def _held(s: Snapshot) -> str:
    head = f'<div class="head"><h2>Open positions</h2><span class="note">{len(s.positions)}</span></div>'
    if not s.positions:
        return (
            f'{head}<div class="empty"><b>Nothing is held</b>A fresh start holds nothing until a BUY is copied.</div>'
        )
    rows = "".join(_held_row(r) for r in s.positions)
    return (
        f'{head}<div class="scroll" tabindex="0"><table class="grid held"><thead><tr><th>market</th>'
        '<th class="num">shares</th><th class="num">cost</th><th class="num">PnL</th></tr></thead>'
        f"<tbody>{rows}</tbody></table></div>"
    )


def _held_row(r: dict[str, Any]) -> str:
    mark = r["mark_price"] or 0
    worth = round(r["shares_micro"] * mark)
    average = r["cost_micro"] / r["shares_micro"]
    return (
        f'<tr><td class="market">{esc(r["title"] or "unknown market")}<small>{esc(r["outcome"])} ·'
        f" {esc(r['label'] or short(r['leader']))}</small></td>"
        f'<td class="num size">{shares(r["shares_micro"])}<small>at {price(average)}</small></td>'
        f'<td class="num cost">{money(r["cost_micro"])}</td>'
        f'<td class="num pnl">{signed(worth - r["cost_micro"])}<small>bid {price(mark)}</small></td></tr>'
    )


def _foot(s: Snapshot) -> str:
    if s.worker is None:
        return ""
    bad = sum(n for name, n in s.worker["counts"].items() if name.startswith("bad_"))
    told = f" · <b>{bad} inputs could not be used</b>: <code>pilotfish status</code>" if bad else ""
    return f'<p class="foot">{s.worker["polygon"]["logs"]} logs, {s.worker["counts"].get("polls", 0)} polls{told}</p>'
