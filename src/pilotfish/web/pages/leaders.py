"""Leaders: worth copying? His trades, what was copied, our profit on him, and where his prices and ours part."""

from __future__ import annotations

import json
from collections.abc import Mapping
from urllib.parse import quote

from fastapi import Request
from nicegui import ui
from sqlalchemy import Connection

from pilotfish.core.numerals import count, money, price
from pilotfish.core.settings import Value
from pilotfish.polymarket.contracts import is_wallet
from pilotfish.store import settings_store
from pilotfish.store.copies import WORDS
from pilotfish.store.portfolios_store import MAIN
from pilotfish.store.views.leaders import LeaderFigures, became, read_figures
from pilotfish.store.views.positions import HoldingBesideOurs, read_holdings
from pilotfish.store.views.report import Shortfall
from pilotfish.web.auth import is_admin
from pilotfish.web.frame import frame, live, portfolio_picker, put
from pilotfish.web.markup import (
    Html,
    ago,
    copied_share,
    esc,
    figure,
    grid,
    heads,
    out,
    shares,
    short,
    signed,
    sortable,
    words,
)
from pilotfish.web.pages.shortfall import parts_html
from pilotfish.web.reader import Reader
from pilotfish.web.site import Site

EVERY = 0.4


def register(site: Site, reader: Reader) -> None:
    """Put the pages at ``/leaders`` and ``/leaders/{wallet}``."""

    @ui.page("/leaders", title="pilotfish – leaders")
    async def page(request: Request, portfolio: str = MAIN, sort: str = "") -> None:
        first = await reader.first_look()
        admin = is_admin(request)

        async def draw() -> dict[str, Html]:
            rows, costs = await site.shared.get(("leaders", portfolio), EVERY, lambda c: _read(site, c, portfolio))
            followed, former = [r for r in rows if not r.left_at], [r for r in rows if r.left_at]
            return {
                "table": _table(followed, costs, portfolio, sort, admin=admin),
                "former": _former(former, costs, portfolio, sort, admin=admin),
            }

        with frame(site, reader, request, "/leaders"):
            picker = portfolio_picker(first, portfolio, "/leaders")
            put(
                f'<div class="title"><h1>Leaders</h1><p>Who is followed or was, and what copying them came to.</p>'
                f'<span class="space"></span>{picker}</div>'
            )
            if admin:
                put(f'<section class="card pad" style="margin-bottom:12px">{add_form()}</section>')
            await live(EVERY, draw, row={"table": "card followed", "former": "card former"})

    @ui.page("/leaders/{wallet:path}", title="pilotfish – leader")
    async def one(request: Request, wallet: str, portfolio: str = MAIN) -> None:
        first = await reader.first_look()
        wallet = wallet.lower()
        admin = is_admin(request)
        label = next((row.label for row in first.everybody if row.wallet == wallet), None)
        if label is None and not first.error:
            ui.context.client.status_code = 404
            with frame(site, reader, request, "/leaders"):
                put(_nobody(wallet), "card")
            return

        async def draw() -> dict[str, Html]:
            rows, costs = await site.shared.get(("leaders", portfolio), EVERY, lambda c: _read(site, c, portfolio))
            row = next((r for r in rows if r.wallet == wallet), None)
            if row is None:
                return {"who": _nobody(wallet), "figures": "", "cost": "", "skips": "", "held": "", "own": ""}
            held = await site.shared.get(
                ("held", wallet, portfolio), EVERY, lambda c: read_holdings(c, wallet, portfolio)
            )
            own = await site.shared.get(
                ("own", wallet), EVERY, lambda c: settings_store.load(c).leaders.get(wallet, {})
            )
            return {
                "who": _who(row, admin=admin),
                "figures": _figures(row),
                "cost": _cost(costs.get(wallet), ready=site.reports.ready),
                "skips": _skips(row, portfolio),
                "held": _held(held),
                "own": _own(wallet, own),
            }

        with frame(site, reader, request, "/leaders"):
            picker = portfolio_picker(first, portfolio, f"/leaders/{wallet}")
            if picker:
                put(f'<div class="title">{picker}</div>')
            grid = {"cost": "card", "skips": "card", "held": "card", "own": "card pad"}
            with ui.element("div").classes("stack"):
                await live(EVERY, draw, row=grid)
                if admin and label is not None:
                    put(_rename(wallet, label), "card pad")


def _rename(wallet: str, label: str) -> Html:
    return (
        f'<form class="addform" data-send="PATCH /api/v1/leaders/{esc(wallet)}" data-done="is called so now">'
        f'<label class="field">Their name here<input name="label" maxlength="200" value="{esc(label)}"></label>'
        '<button>Rename</button><p class="wrong" data-wrong hidden role="alert"></p></form>'
    )


def add_form() -> Html:
    """The form that finds somebody and shows who that is, before he is followed."""
    return (
        '<div><form class="addform" data-send="POST /api/v1/leaders/preview" data-show="/parts/preview?wallet=">'
        '<label class="field">Wallet, profile URL or user name'
        '<input name="wallet" required maxlength="300" autocomplete="off" spellcheck="false"'
        ' placeholder="0x…, polymarket.com/profile/…, @name"></label>'
        '<button class="primary">Look him up</button><p class="wrong" data-wrong hidden role="alert"></p></form>'
        "<div data-shown></div></div>"
    )


def _read(site: Site, c: Connection, portfolio: str) -> tuple[list[LeaderFigures], dict[str, Shortfall]]:
    """Leaders with their figures, and his line of the report by wallet; of one instant, so that they agree."""
    rows = read_figures(c, portfolio, site.counts, site.copy_counts)
    costs = site.reports.report(c, portfolio=portfolio) if site.reports.ready else []
    return rows, {row.leader: row for row in costs}


# -- the list --------------------------------------------------------------------------------------------------


COLUMNS = (("leader", "leader", ""), ("trades", "trades", "num"), ("copied", "copied", "num"),
           ("", "most skipped for", ""), ("ideal", "at his prices", "num"), ("actual", "we made", "num"),
           ("lost", "lost on the way", "num"), ("open", "open", "num"), ("", "", ""))  # fmt: skip


def _former(rows: list[LeaderFigures], costs: dict[str, Shortfall], portfolio: str, sort: str, *, admin: bool) -> Html:
    """Those who were followed once: what was copied from them counts in the total, so it stays in sight."""
    if not rows:
        return ""
    head = '<div class="head"><h2>Formerly followed</h2><span class="note">their results stay in the total</span></div>'
    return head + _table(rows, costs, portfolio, sort, admin=admin)


def _order(row: LeaderFigures, cost: Shortfall | None, by: str) -> tuple[int, str]:
    """What a column sorts by: a number, or the name."""
    figures = {
        "trades": row.trades, "copied": row.copied, "open": row.open_positions,
        "ideal": cost.ideal_micro if cost else 0, "actual": cost.actual_micro if cost else 0,
        "lost": cost.difference_micro if cost else 0,
    }  # fmt: skip
    return figures.get(by, 0), "" if by in figures else (row.label or row.wallet).lower()


def _table(rows: list[LeaderFigures], costs: dict[str, Shortfall], portfolio: str, sort: str, *, admin: bool) -> Html:
    if not rows:
        return (
            '<div class="empty"><b>Nobody is followed yet</b>Add somebody by wallet, profile URL or user name:'
            " <code>pilotfish leaders add WALLET --label NAME</code></div>"
        )
    by, up = sort.removeprefix("-"), not sort.startswith("-")
    if by in {name for name, *_ in COLUMNS if name}:
        rows = sorted(rows, key=lambda r: _order(r, costs.get(r.wallet), by), reverse=not up)
    body = "".join(_line(r, costs.get(r.wallet), portfolio, admin=admin) for r in rows)
    return grid("rows", _heads(by, portfolio, up=up, former=bool(rows[0].left_at)), body, tall=True)


def _heads(by: str, portfolio: str, *, up: bool, former: bool) -> Html:
    """The heads of the first table sort both."""
    columns = [("" if former else name, text, kind) for name, text, kind in COLUMNS]
    return sortable(columns, "/leaders", {"portfolio": portfolio}, by, up=up)


def _line(r: LeaderFigures, cost: Shortfall | None, portfolio: str, *, admin: bool) -> Html:
    url = f"/leaders/{esc(r.wallet)}" + (f"?portfolio={quote(portfolio)}" if portfolio != MAIN else "")
    skips = list(r.skipped.items())[:2]
    told = ", ".join(f"{words(reason)} {count(n)}" for reason, n in skips) or "–"
    trades, copied = r.trades, r.copied
    share, left_out = copied_share(r)
    ideal = signed(cost.ideal_micro) if cost else "–"
    actual = signed(cost.actual_micro) if cost else "–"
    lost = signed(-cost.difference_micro) if cost else "–"
    name = esc(r.label or short(r.wallet))
    paused = ' <span class="chip wait">paused</span>' if r.status == "paused" else ""
    paused = paused or (f' <span class="chip">left {ago(r.left_at)}</span>' if r.left_at else "")
    return (
        f'<tr data-href="{url}"><td class="wide"><a href="{url}"><b>{name}</b></a>{paused}'
        f'<small class="mini"> {esc(short(r.wallet))} · last trade {ago(r.last_trade_at)}</small></td>'
        f'<td class="num" data-l="trades">{count(trades)}</td>'
        f'<td class="num" data-l="copied" title="{esc(left_out)}">{count(copied)}<small>{esc(share)}</small>'
        f"<small>{_became(r)}</small></td>"
        f'<td class="wide mini">{told}</td>'
        f'<td class="num" data-l="at his prices">{ideal}</td><td class="num" data-l="we made">{actual}</td>'
        f'<td class="num" data-l="lost">{lost}</td>'
        f'<td class="num" data-l="open">{count(r.open_positions)}</td>'
        f'<td class="go">{_buttons(r) if admin else ""}</td></tr>'
    )


def _became(r: LeaderFigures) -> Html:
    """What became of the orders of copies; those from before a reset are not there any more."""
    counts = [(n, WORDS[state]) for state, n in became(r).items()]
    return ", ".join(f"{count(n)} {esc(word)}" for n, word in counts if n) or "no orders"


def _buttons(r: LeaderFigures) -> Html:
    url = f"/api/v1/leaders/{esc(r.wallet)}"
    name = esc(r.label or short(r.wallet))
    if r.left_at:
        again = esc(json.dumps({"wallet": r.wallet}))
        return (
            f'<button type="button" data-post="/api/v1/leaders" data-body="{again}"'
            f' data-done="{name} is followed again, from now on"'
            f' data-confirm="Follow {name} again, from now on? What happened in between is never copied.">'
            "Follow again</button>"
        )
    paused = r.status == "paused"
    body = esc('{"status":"active"}' if paused else '{"status":"paused"}')
    return (
        f'<button type="button" data-post="{url}" data-method="PATCH" data-body="{body}" data-done="{name} is'
        f' {"copied again" if paused else "paused"}">{"Resume" if paused else "Pause"}</button> '
        f'<button type="button" data-post="{url}" data-method="DELETE" data-done="{name} is followed no longer"'
        f' data-confirm="Follow {name} no longer? What was copied from them stays, and so does their page.">'
        "Leave</button>"
    )


# -- one leader ------------------------------------------------------------------------------------------------


def _nobody(wallet: str) -> Html:
    """Nothing of an address that is no wallet is shown: it is anybody's text."""
    told = f"{esc(short(wallet))} is not followed" if is_wallet(wallet) else "This is no leader's address"
    return (
        f'<div class="empty"><h1>{told}</h1><p>A leader\'s page is at /leaders/ and their wallet: 0x and 40 hex digits.'
        '</p><a class="button" href="/leaders">All leaders</a></div>'
    )


def _who(r: LeaderFigures, *, admin: bool) -> Html:
    wallet = r.wallet
    return (
        f'<div class="title"><h1>{esc(r.label or short(wallet))}</h1>'
        f"<p>{esc(wallet)} · {out('https://polymarket.com/profile/' + wallet, 'profile')} ·"
        f" {'formerly followed, from' if r.left_at else 'followed since'} {ago(r.followed_from or r.added_at)}"
        f"{' until ' + ago(r.left_at) if r.left_at else ''}"
        f'{" · <b>paused</b>" if r.status == "paused" else ""}</p><span class="space"></span>'
        f'<a class="button" href="/trades?leader={esc(wallet)}">Their trades</a>'
        f'<a class="button" href="/positions?leader={esc(wallet)}">Their positions</a>'
        f"{_buttons(r) if admin else ''}</div>"
    )


def _figures(r: LeaderFigures) -> Html:
    trades, copied = r.trades, r.copied
    share, left_out = copied_share(r)
    return '<div class="figures" style="grid-template-columns:repeat(auto-fit,minmax(150px,1fr))">' + "".join(
        (
            figure("Trades seen", count(trades), f"last {ago(r.last_trade_at)}"),
            figure(
                "Copied", count(copied),
                f"{esc(share)} of what could be; {_became(r)}" if trades else "none yet", title=left_out,
            ),
            figure("Realised PnL", signed(r.realized_pnl_micro), "on what was copied from him"),
            figure(
                "Unrealised PnL", signed(r.unrealized_pnl_micro), f"{count(r.open_positions)} open"
            ),
            figure("Exposure", money(r.cost_micro), "at cost"),
            figure("Fees", money(r.fees_micro), "paid"),
        )
    ) + "</div>"  # fmt: skip


def _cost(row: Shortfall | None, *, ready: bool) -> Html:
    head = '<div class="head"><h2>His prices → ours: where the difference went</h2></div>'
    if not ready:
        return head + '<div class="empty"><b>Being added up</b>All decisions are gone through once.</div>'
    if row is None:
        return head + '<div class="empty"><b>Nothing decided yet</b>It begins with his next trade.</div>'
    return f'{head}<div class="pad">{parts_html(row)}</div>'


def _skips(r: LeaderFigures, portfolio: str) -> Html:
    head = '<div class="head"><h2>Why trades were not copied</h2></div>'
    skipped = r.skipped
    if not skipped:
        return head + '<div class="empty">No trade was skipped.</div>'
    most = max(skipped.values())
    lines = "".join(
        f'<div class="part"><a href="/trades?leader={esc(r.wallet)}&amp;reason={esc(reason)}&amp;portfolio='
        f'{quote(portfolio)}">{words(reason)}</a><span class="track"><i style="left:0;width:{100 * n / most:.1f}%;'
        f'background:var(--accent)"></i></span><span class="num">{count(n)}</span></div>'
        for reason, n in skipped.items()
    )
    return f'{head}<div class="pad parts">{lines}</div>'


def _held(rows: list[HoldingBesideOurs]) -> Html:
    head = f'<div class="head"><h2>What he holds, and we</h2><span class="note">{len(rows)} shown</span></div>'
    if not rows:
        return head + '<div class="empty">He holds nothing that we know of.</div>'
    body = "".join(
        f'<tr><td class="wide">{esc(r.title or "market " + r.token_id[:12] + "…")}'
        f'<small class="mini"> {esc(r.outcome or "")}</small></td>'
        f'<td class="num" data-l="he">{shares(r.shares_micro)}</td>'
        f'<td class="num" data-l="we">{shares(r.our_shares_micro) if r.our_shares_micro else "–"}</td>'
        f'<td class="num" data-l="our cost">{money(r.our_cost_micro) if r.our_shares_micro else "–"}</td>'
        f'<td class="num" data-l="bid">{price(r.bid)}</td></tr>'
        for r in rows
    )
    return head + grid("rows", heads(("market", "#he", "#we", "#our cost", "#bid")), body)


def _own(wallet: str, own: Mapping[str, Value]) -> Html:
    link = f'<a href="/settings?leader={esc(wallet)}">Settings for his trades</a>'
    if not own:
        return f'<p class="mini">His trades are copied by the portfolio\'s settings. {link}</p>'
    told = ", ".join(f"{esc(name)} = {esc(value)}" for name, value in sorted(own.items()))
    return f'<p class="mini">Settings of his own: {told}. {link}</p>'
