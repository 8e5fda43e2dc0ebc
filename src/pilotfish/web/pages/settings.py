"""Settings: every one with unit, bounds, help, its value, where that comes from and what it overrides; the audit trail;
and the danger zone."""

from __future__ import annotations

import json
from urllib.parse import quote, urlencode

from fastapi import Request
from nicegui import ui
from sqlalchemy import Connection

from pilotfish.core import settings as s
from pilotfish.core.numerals import count
from pilotfish.core.settings import Effective, Kind, Scope
from pilotfish.store import settings_store
from pilotfish.store.views.settings import Change, SettingRow, read_audit, setting_row
from pilotfish.web.auth import is_admin
from pilotfish.web.frame import frame, live, put
from pilotfish.web.markup import Html, ago, esc, grid, heads, options, short
from pilotfish.web.reader import Reader, Snapshot
from pilotfish.web.site import Site

EVERY = 2.0


def register(site: Site, reader: Reader) -> None:
    """Put the page at ``/settings``."""

    @ui.page("/settings", title="pilotfish – settings")
    async def page(request: Request, portfolio: str = "", leader: str = "") -> None:
        first = await reader.first_look()
        admin = is_admin(request)
        leader = leader.lower() if not portfolio else ""

        def read(c: Connection) -> dict[str, Effective]:
            stored = settings_store.load(c)
            return settings_store.effective(site.environment, stored, portfolio or None, leader or None)

        effective = await site.shared.get(("settings", portfolio, leader), 0.0, read)

        async def draw() -> dict[str, Html]:
            rows = await site.shared.get("audit", EVERY, lambda c: read_audit(c, 50))
            return {"audit": _audit(rows)}

        with frame(site, reader, request, "/settings"):
            put(_title(first, portfolio, leader, admin=admin, writable=site.sessions.writable))
            put(_settings(effective, portfolio, leader, admin=admin))
            with ui.element("div").classes("stack"):
                await live(EVERY, draw, row={"audit": "card"})
                if admin and not leader:
                    put(_danger(first, portfolio), "card")


def _title(snapshot: Snapshot, portfolio: str, leader: str, *, admin: bool, writable: bool) -> Html:
    links = [("", "", "All portfolios")]
    links += [("portfolio", p.name, p.name) for p in snapshot.portfolios]
    if leader:
        label = next((row.label for row in snapshot.everybody if row.wallet == leader), "")
        links.append(("leader", leader, label or short(leader)))
    picker = ""
    for key, value, text in links:
        here = ' aria-current="true"' if (portfolio or leader) == value else ""
        picker += f'<a href="/settings{f"?{esc(urlencode({key: value}))}" if key else ""}"{here}>{esc(text)}</a>'
    told = "What is changed here is taken up at once and wins over the environment."
    if not admin:
        told = (
            '<a href="/login?next=/settings">Sign in</a> with the admin token to change something.' if writable
            else "Nothing can be changed here until <code>ADMIN_TOKEN</code> is set."
        )  # fmt: skip
    return (
        f'<div class="title"><h1>Settings</h1><p>{told}</p><span class="space"></span>'
        f'<nav class="picker" aria-label="For">{picker}</nav></div>'
    )


def _settings(effective: dict[str, Effective], portfolio: str, leader: str, *, admin: bool) -> Html:
    groups: dict[str, list[Effective]] = {}
    for e in effective.values():
        if portfolio and e.setting.scope is not Scope.PORTFOLIO:
            continue
        if leader and (e.setting.scope is not Scope.PORTFOLIO or e.setting.name == "bankroll"):
            continue
        groups.setdefault(e.setting.group, []).append(e)
    links = "".join(f'<a href="#{quote(name)}">{esc(name)}</a>' for name in groups)
    query = urlencode({"portfolio": portfolio} if portfolio else {"leader": leader} if leader else {})
    level = "portfolio" if portfolio else "leader" if leader else "dashboard"
    body = ""
    for name, rows in groups.items():
        lines = "".join(_setting(e, query, level, admin=admin) for e in rows)
        note = '<span class="note">read from the environment at start</span>' if name == "Process" else ""
        if name == "Alerts" and admin:
            note = (
                '<span class="note"><button type="button" data-post="/api/v1/alerts/test" data-done="A test was sent">'
                "Send a test</button></span>"
            )
        body += (
            f'<section class="card group" id="{quote(name)}"><div class="head"><h2>{esc(name)}</h2>{note}</div>'
            f"{lines}</section>"
        )
    find = (
        '<input type="search" data-filter placeholder="find a setting" aria-label="Find a setting" autocomplete="off">'
        '<label class="check"><input type="checkbox" data-changed> changed only</label>'
    )
    none = '<p class="card empty" data-none hidden>No setting is called so.</p>'
    return f'<nav class="groups" aria-label="Groups">{links}{find}</nav>{body}{none}'


def _setting(e: Effective, query: str, level: str, *, admin: bool) -> Html:
    setting, row = e.setting, setting_row(e)
    source = row.source + "".join(f", overrides {o.source} {o.value}" for o in row.overrides)
    facts = _bounds(setting)
    head = (
        f'<div><b>{esc(setting.name)}</b><p>{esc(setting.help)}</p>'
        f'<p class="mini">{esc(facts)}{" · " if facts else ""}<code>{esc(setting.env_name)}</code></p></div>'
    )  # fmt: skip
    changed = " changed" if row.source != "default" else ""
    if not admin or setting.scope is Scope.PROCESS:
        value = str(row.value).lower() if isinstance(row.value, bool) else row.value
        shown = esc(value) if value != "" else "–"
        return (
            f'<div class="setting{changed}">{head}<div class="ctl"><b>{shown}</b> <span class="unit">'
            f'{esc(setting.unit)}</span></div><span class="src">{esc(source)}</span></div>'
        )
    back = (
        f'<button type="button" data-unset data-level="{esc(level)}" title="Take this change back"'
        f"{'' if row.source == level else ' hidden'}>Undo</button>"
    )
    url = f"/api/v1/settings{'?' + esc(query) if query else ''}"
    return (
        f'<form class="setting{changed}" data-send="PATCH {url}" data-setting="{esc(setting.name)}"'
        f' data-done="{esc(setting.name)} is saved">{head}<div class="ctl">{_control(setting, row)}'
        f'<span class="unit">{esc(setting.unit)}</span>{back}</div><span class="src" data-source>{esc(source)}</span>'
        '<p class="wrong" data-wrong hidden role="alert"></p></form>'
    )


def _bounds(setting: s.Setting) -> str:
    if setting.low is None and setting.high is None:
        return {Kind.LIST: "words, separated by commas", Kind.TIERS: "like 0:1, 1000:0.5"}.get(setting.kind, "")
    low, high = (s.show(setting, b) if b is not None else "…" for b in (setting.low, setting.high))
    default = s.show(setting, setting.default)
    return (
        f"{_plain(low)} to {_plain(high)}, default {_plain(default)}" if not isinstance(low, str) else f"up to {high}"
    )


def _plain(value: object) -> str:
    return count(value) if isinstance(value, int) else str(value)


def _control(setting: s.Setting, row: SettingRow) -> Html:
    name = f'name="{esc(setting.name)}" aria-label="{esc(setting.name)}"'
    value = row.value
    if setting.kind is Kind.BOOL:
        return f'<input type="checkbox" {name}{" checked" if value else ""}>'
    if setting.kind is Kind.CHOICE:
        return f"<select {name}>{options([(x, x) for x in setting.choices], str(value))}</select>"
    if setting.kind is Kind.SECRET:
        told = "is set; type another" if value else "not set"
        return f'<input type="password" {name} placeholder="{told}" autocomplete="off">'
    number = ' inputmode="decimal"' if setting.kind in (Kind.INT, Kind.USDC, Kind.RATIO) else ""
    return f'<input {name} value="{esc(value)}" autocomplete="off" spellcheck="false"{number}>'


def _audit(rows: list[Change]) -> Html:
    head = '<div class="head"><h2>Who changed what</h2></div>'
    if not rows:
        return head + '<div class="empty">Nothing was changed yet.</div>'
    body = "".join(
        f'<tr><td class="when">{ago(r.at)}</td><td>{esc(r.name)}</td>'
        f"<td>{esc(r.portfolio or short(r.leader) if r.portfolio or r.leader else 'all')}</td>"
        f'<td class="num">{esc(r.old if r.old is not None else "–")}</td>'
        f'<td class="num">{esc(r.new if r.new is not None else "–")}</td><td>{esc(r.by)}</td></tr>'
        for r in rows
    )
    return head + grid("plain", heads(("when", "setting", "for", "#from", "#to", "by")), body)


def _danger(snapshot: Snapshot, portfolio: str) -> Html:
    who = portfolio or "all portfolios"
    body = esc(json.dumps({"portfolio": portfolio})) if portfolio else "{}"
    return (
        '<div class="head"><h2>Danger zone</h2></div><div class="pad"><p>Reset the paper state of'
        f" <b>{esc(who)}</b>: positions, intents, fills, ledger and equity are wiped, and cash is the bankroll again."
        " Trades, leaders, decisions and settings stay.</p>"
        f'<button type="button" class="danger" data-post="/api/v1/admin/reset" data-body="{body}" data-typed="RESET"'
        f' data-confirm="Wipe the paper state of {esc(who)}? This cannot be undone." data-done>'
        "Reset paper state</button>"
        "</div>"
    )
