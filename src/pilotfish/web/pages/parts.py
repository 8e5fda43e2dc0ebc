"""Fragments that pages open in a drawer or show in place: a trade's trace, an exit's trace, who somebody is."""

from __future__ import annotations

import contextlib
import json
from urllib.parse import quote

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import HTMLResponse
from sqlalchemy import select

from pilotfish.core import numerals
from pilotfish.core.numerals import count, money, price
from pilotfish.core.reasons import MEANING, OUTCOMES
from pilotfish.core.trade import Side
from pilotfish.core.units import plain_name
from pilotfish.store import leaders_store
from pilotfish.store import tables as t
from pilotfish.store.database import snapshot
from pilotfish.store.views.decisions import DecisionTraced, TraceLine, TradeTraced, read_decision, read_trade
from pilotfish.store.views.orders import IntentFilled, Level
from pilotfish.store.views.sources import read_bad_inputs
from pilotfish.web.api import Id
from pilotfish.web.auth import is_admin
from pilotfish.web.markup import Html, ago, esc, got, leader, out, shares, side, signed, verdict
from pilotfish.web.preview import Person, Preview, PreviewError
from pilotfish.web.site import Site


def router(site: Site, preview: Preview) -> APIRouter:
    """``/parts/…``."""
    parts = APIRouter(prefix="/parts", include_in_schema=False)

    @parts.get("/trade/{trade_id}")
    def trade(trade_id: Id) -> HTMLResponse:
        with snapshot(site.database) as c:
            found = read_trade(c, trade_id)
            if found is None:
                raise HTTPException(404, f"there is no trade {trade_id}")
            label = c.execute(select(t.leaders.c.label).where(t.leaders.c.wallet == found.leader)).scalar()
            slug = c.execute(select(t.markets.c.slug).where(t.markets.c.token_id == found.token_id)).scalar()
        return HTMLResponse(_trade(found, label or "", slug or ""))

    @parts.get("/decision/{decision_id}")
    def decision(decision_id: Id) -> HTMLResponse:
        with snapshot(site.database) as c:
            found = read_decision(c, decision_id)
            if found is None:
                raise HTTPException(404, f"there is no decision {decision_id}")
            title = c.execute(select(t.markets.c.title).where(t.markets.c.token_id == found.token_id)).scalar()
        head = f'<div class="title"><h1>{esc(title or "unknown market")}</h1><span class="space"></span>{_CLOSE}</div>'
        return HTMLResponse(f'{head}<div class="body">{_decision(found)}</div>')

    @parts.get("/bad-inputs")
    def bad_inputs() -> HTMLResponse:
        with snapshot(site.database) as c:
            rows = read_bad_inputs(c)
        told = "".join(
            f'<section class="card pad"><p><b>{esc(r.source)}</b> {ago(r.at)}</p><p>{esc(r.error or "")}</p>'
            f"<details><summary>what came</summary><pre>{esc(r.payload or '')}</pre></details></section>"
            for r in rows
        )
        head = f'<div class="title"><h1>What could not be used</h1><span class="space"></span>{_CLOSE}</div>'
        why = '<p class="mini">The newest 50. Nothing else stops for them; what came beside them was taken in.</p>'
        return HTMLResponse(f'{head}<div class="body">{why}{told or "<p>Nothing.</p>"}</div>')

    @parts.get("/preview")
    async def look(request: Request, wallet: str = "") -> HTMLResponse:
        if not is_admin(request):
            raise HTTPException(401, "sign in with the admin token")
        try:
            return HTMLResponse(_preview(await preview.look(leaders_store.wallet_of(wallet))))
        except (PreviewError, leaders_store.LeaderError) as problem:
            raise HTTPException(400, str(problem)) from None

    return parts


_CLOSE = '<button type="button" data-close autofocus aria-label="Close the details">✕ Close</button>'


def _trade(r: TradeTraced, label: str, slug: str) -> Html:
    links = [out("https://polygonscan.com/tx/" + r.tx_hash, "transaction")]
    if slug:
        links.append(out("https://polymarket.com/market/" + quote(slug, safe=""), "market"))
    links.append(out("https://polymarket.com/profile/" + r.leader, "profile"))
    raw = r.raw or ""
    with contextlib.suppress(ValueError):
        raw = json.dumps(json.loads(raw), indent=1, ensure_ascii=False)
    decided = "".join(_decision(d) for d in r.decisions) or '<p class="mini">No portfolio has decided on it yet.</p>'
    return (
        f'<div class="title"><h1>{esc(r.title or "unknown market")}</h1><span class="space"></span>{_CLOSE}</div>'
        f'<div class="body"><section class="card pad"><dl class="facts"><dt>trade</dt><dd>{side(r.side)}'
        f" {shares(r.shares_micro)} {esc(r.outcome or '')} at {price(r.price)} for {money(r.usdc_micro)}"
        f" USDC by {leader(r.leader, label)}{' as ' + esc(r.role) if r.role else ''}</dd>"
        f"{_times(r)}<dt>class</dt><dd>{esc(r.kind)}{'' if r.status == 'active' else ', taken back by a reorg'}"
        f"{', a second identical fill' if r.occurrence > 1 else ''}</dd>"
        f"{_fact('held before his sell', _shares(r.leader_pre_sell_shares_micro))}"
        f"{_fact('token', _code(r.token_id))}{_fact('order', _code(r.order_hash))}"
        f"{_fact('block', esc(r.block_number) if r.block_number else None)}"
        f"<dt>look up</dt><dd>{' · '.join(links)}</dd></dl></section>{decided}"
        f"<details><summary>Raw payload, as it came first</summary><pre>{esc(raw)}</pre></details></div>"
    )


def _fact(name: str, value: Html | None) -> Html:
    return f"<dt>{esc(name)}</dt><dd>{value}</dd>" if value else ""


def _code(text: str | None) -> Html | None:
    return f"<code>{esc(text)}</code>" if text else None


def _shares(micro: int | None) -> Html | None:
    return None if micro is None else f"{shares(micro)} shares"


def _clock(iso: str | None) -> Html:
    return esc(iso[:23].replace("T", " ")) + " UTC" if iso else ""


def _times(r: TradeTraced) -> Html:
    seen = {"chain": r.first_seen_by_polygon_at, "API": r.first_seen_by_api_at}
    lines = _fact("his block", _clock(r.traded_at))
    for name, at in sorted(seen.items(), key=lambda item: item[1] or "9"):
        not_seen = "not yet" if name == "API" or r.polygon_on else "chain off"
        lines += _fact(f"seen by the {name}", _clock(at) if at else not_seen)
    return lines


def _decision(d: DecisionTraced) -> Html:
    checks = "".join(_check(x) for x in d.trace)
    table = (
        '<table class="grid plain trace"><thead><tr><th>check</th><th class="num">value</th><th class="num">limit</th>'
        f'<th class="num">result</th></tr></thead><tbody>{checks}</tbody></table>'
        if checks
        else ""
    )
    return (
        f'<section class="card"><div class="head"><h2>{esc(d.portfolio)}</h2><span class="note">'
        f'{_clock(d.decided_at)}</span></div><div class="pad" style="padding-top:0">'
        f"{verdict(d)}{got(d)}"
        f' <span class="mini"><b>{esc(d.reason)}</b> {esc(MEANING[d.reason])}</span></div>{table}'
        f"{''.join(_intent(i) for i in d.intents)}</section>"
    )


def _check(x: TraceLine) -> Html:
    """One line of a trace. Amounts in millionths are shown as decimals, under the name without ``_micro``."""
    name, micro = plain_name(x.check)
    state = '<td class="ok">✓ passed</td>' if x.passed else '<td class="no">✗ failed</td>'
    return (
        f'<tr><td><code>{esc(name)}</code></td><td class="num">{_value(x.value, micro=micro)}</td>'
        f'<td class="num">{_value(x.limit, micro=micro)}</td>{state}</tr>'
    )


def _value(value: object, *, micro: bool) -> Html:
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return numerals.exact(value) if micro else count(value)
    if isinstance(value, list):
        return " … ".join(_value(x, micro=micro) for x in value) if micro else esc(", ".join(str(x) for x in value))
    return esc(value)


def _intent(i: IntentFilled) -> Html:
    ended = f": {esc(OUTCOMES[i.reason])}" if i.reason else ""
    buys = i.side is Side.BUY
    what = f"spend up to {money(i.budget_micro)} USDC" if buys else f"sell {shares(i.shares_micro)}"
    limit = f", at {'most' if buys else 'least'} {price(i.limit_price)}"
    lines = "".join(
        f"<dt>filled</dt><dd>{shares(f.shares_micro)} at {price(f.price)} for {money(f.usdc_micro)} USDC, fee"
        f" {money(f.fee_micro, 4)}, {_clock(f.filled_at)}{' (orphaned)' if f.status != 'ok' else ''}<br>"
        f'<span class="mini">against his price: delay {signed(-f.delay_cost_micro)}, spread and impact'
        f" {signed(-f.spread_cost_micro)}, fee {signed(-f.fee_micro)}; levels"
        f" {_levels(f.levels)}</span></dd>"
        for f in i.fills
    )
    return (
        f'<div class="pad"><dl class="facts"><dt>order</dt><dd>{what}{limit}; sent {_clock(i.created_at)}, at the'
        f" venue {_clock(i.due_at)}</dd><dt>state</dt><dd>{esc(i.state)}{ended}</dd>{lines}</dl></div>"
    )


def _levels(levels: list[Level]) -> Html:
    return ", ".join(f"{shares(level.shares_micro)} at {price(level.price)}" for level in levels)


def _preview(x: Person) -> Html:
    wallet = x.wallet
    body = "".join(
        f"<tr><td>{side(f.side)}</td><td>{esc(f.title or 'unknown market')}<small class=mini> {esc(f.outcome)}"
        f"</small></td><td class=num>{shares(f.shares_micro)}</td><td class=num>{price(f.price)}</td>"
        f'<td class="when"><time datetime="{esc(f.traded_at)}" data-ago></time></td></tr>'
        for f in x.last_trades
    )
    trades = (
        f'<table class="grid plain"><tbody>{body}</tbody></table>' if body
        else f'<p class="mini">No trade in the last {x.trades_in_days:d} days.</p>'
    )  # fmt: skip
    add = esc(json.dumps({"wallet": wallet, "label": x.name}))
    name = esc(x.name) if x.name else "no public name"
    return (
        f'<div class="pad" style="padding:12px 0 0"><h3>{name}</h3><p class="mini"><code>{esc(wallet)}</code> ·'
        f" {out('https://polymarket.com/profile/' + wallet, 'profile')}</p>"
        f"<p>{count(x.trades)}{'+' if x.more else ''} trades for {money(x.turnover_micro, 0)} USDC in"
        f" {count(x.trades_in_days)} days; holds {count(x.open_positions)} positions worth"
        f" {money(x.positions_value_micro, 0)}"
        f' USDC.</p>{trades}<p><button type="button" class="primary" data-post="/api/v1/leaders" data-body="{add}"'
        ' data-done="is followed from now on" data-go="reload">Follow him from now on</button></p></div>'
    )
