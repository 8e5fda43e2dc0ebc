"""Small pieces of HTML. Everything that is not markup of ours goes through :func:`esc`: market titles, names and what
stands in an address are other people's text. What is annotated :data:`Html` is ready to be shown; a contract test reads
the code and refuses any value that gets into markup without being either."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from html import escape
from typing import TypeAlias
from urllib.parse import urlencode

from pilotfish.core import numerals, reasons
from pilotfish.core.numerals import count, money, percent, price
from pilotfish.core.reasons import MEANING, OUTCOMES, Action
from pilotfish.store.copies import WORDS, Became, State
from pilotfish.store.views.decisions import Decision
from pilotfish.store.views.feed import FeedRow
from pilotfish.store.views.leaders import Leader, LeaderFigures
from pilotfish.store.views.positions import Position
from pilotfish.store.views.trades import DecisionOnTrade

Html: TypeAlias = str
"""Markup of ours, in which everything else is escaped; good for text and for attributes in quotes."""
Decided: TypeAlias = Decision | DecisionOnTrade | FeedRow
"""What shows a decision and what became of it."""


def esc(value: object) -> str:
    """Text as HTML text or attribute."""
    return escape(str(value), quote=True)


def signed(micro: int) -> Html:
    """A gain or loss: sign, icon and colour, so that colour never stands alone."""
    text = numerals.gain(micro)
    if text == "0.00":
        return f'<span class="flat">{text}</span>'
    kind, icon = ("up", "▲") if micro > 0 else ("down", "▼")
    return f'<span class="{kind}"><i aria-hidden="true">{icon}</i> {text}</span>'


def shares(micro: int) -> Html:
    """Shares, as many digits as tell something."""
    return esc(numerals.shares(micro))


def ago(iso: str | None) -> Html:
    """A time that the page keeps relative; the absolute one is on hover."""
    if not iso:
        return "–"
    return f'<time datetime="{esc(iso)}" title="{esc(iso[:19].replace("T", " "))} UTC" data-ago></time>'


def short(wallet: str) -> str:
    """A wallet, shortened; text, not markup."""
    return f"{wallet[:6]}…{wallet[-4:]}"


def leader(wallet: str, name: str) -> Html:
    """A leader, as a link to his page."""
    return f'<a href="/leaders/{esc(wallet)}" title="{esc(wallet)}">{esc(name or short(wallet))}</a>'


def market(title: str | None, under: Html) -> Html:
    """A market's title with a line under it."""
    return f"{esc(title or 'unknown market')}<small>{under}</small>"


def side(name: str) -> Html:
    """BUY or SELL with a sign, so that colour never stands alone; anything else takes shares away, too."""
    kind, sign = ("up", "▲") if name == "BUY" else ("down", "▼")
    return f'<span class="side {kind}"><i aria-hidden="true">{sign}</i> {esc(name)}</span>'


def words(code: str) -> Html:
    """A reason or state code in words, without the SKIP, WAIT or EXIT before it."""
    return esc(reasons.words(code))


_SIGNS = {
    State.FILLED: ("✓", "copy"),
    State.OUT: ("…", "wait"),
    State.NOT_FILLED: ("✗", "lost"),
    State.WAITING: ("…", "wait"),
    State.RESET: ("–", ""),
    State.SKIPPED: ("–", ""),
}


def verdict(d: Decided) -> Html:
    """What became of a decision; the codes and what they mean are on hover."""
    meaning = f"{d.reason}: {MEANING[d.reason]}"
    if d.intent_reason:
        meaning += f" {d.intent_reason}: {OUTCOMES[d.intent_reason]}"
    sign, kind = _SIGNS[d.state]
    told = esc("partly filled" if d.partly else WORDS[d.state])
    if d.state in (State.SKIPPED, State.WAITING):
        told = words(d.reason)
    elif d.action is Action.EXIT:
        told = f"sold: {words(d.reason)}" if d.state is State.FILLED else f"{told}: {words(d.reason)}"
        sign = "↩" if d.state is State.FILLED else sign
    gone = ' <span class="chip wait" title="A reorg took the trade of this fill back">orphaned</span>'
    chip = f'<span class="chip {esc(kind)}" title="{esc(meaning)}">{esc(sign)} {told}</span>'
    return chip + (gone if d.orphaned else "")


def got(d: Became) -> Html:
    """What an order got of what, and why it got nothing or not all; empty for what was not copied."""
    ours = d.our_shares_micro
    text = f"{shares(ours)} at {price(d.our_price)}" if ours else ""
    if d.partly or (ours and d.state is State.OUT):
        if d.order_usdc_micro:
            text += f", {money(d.our_usdc_micro or 0)} of {money(d.order_usdc_micro)} USDC"
        else:
            text += f", of {shares(d.order_shares_micro or 0)}"
    why = esc(d.why or "")
    both = f"{text}; {why}" if text and why else text or why
    return f" <small>{both}</small>" if both else ""


def out(url: str, text: str) -> Html:
    """A link to another site, which learns nothing of this one."""
    return f'<a href="{esc(url)}" target="_blank" rel="noopener noreferrer">{esc(text)} ↗</a>'


def options(choices: Iterable[tuple[str, str]], chosen: str) -> Html:
    """Options of a select: (value, text) pairs."""
    return "".join(
        f'<option value="{esc(value)}"{" selected" if value == chosen else ""}>{esc(text)}</option>'
        for value, text in choices
    )


def leader_choices(rows: Iterable[Leader]) -> list[tuple[str, str]]:
    """Leaders for :func:`options`; formerly followed ones say so."""
    return [(row.wallet, (row.label or row.wallet) + (" (formerly followed)" if row.left_at else "")) for row in rows]


def figure(name: str, value: Html, note: Html, kind: str = "", title: str = "") -> Html:
    """One of the large figures."""
    return (
        f'<div class="card figure {esc(kind)}" title="{esc(title)}"><h2>{esc(name)}</h2>'
        f'<div class="value">{value}</div><div class="note">{note}</div></div>'
    )


def sortable(columns: Iterable[tuple[str, str, str]], path: str, keep: Mapping[str, str], by: str, *, up: bool) -> Html:
    """Column heads as links that sort: (name, text, class) each; without a name it does not sort."""
    head = ""
    for name, text, kind in columns:
        if not name:
            head += f'<th class="{esc(kind)}">{esc(text)}</th>' if text else "<td></td>"
            continue
        mine = name == by
        sort = ("-" if up else "") + name if mine else "-" + name
        sign = (" ▲" if up else " ▼") if mine else ""
        here = f' aria-sort="{"ascending" if up else "descending"}"' if mine else ""
        url = esc(f"{path}?{urlencode({**keep, 'sort': sort})}")
        head += f'<th class="{esc(kind)}"{here}><a href="{url}">{esc(text)}{sign}</a></th>'
    return head


def copied_share(row: LeaderFigures) -> tuple[str, str]:
    """How much of what could be copied was, and of what that is a share: of a leader's orders, where sizes go by
    order."""
    orders, fills = row.orders, row.trades
    told = f"of {count(orders)} orders, eaten in {count(fills)} fills" if fills > orders else ""
    return percent(row.orders_copied, orders), told


def heads(columns: Iterable[Html]) -> Html:
    """Column heads. One that begins with ``#`` holds numbers, over buttons there is none."""
    return "".join(
        "<td></td>" if not c else f'<th class="num">{c[1:]}</th>' if c.startswith("#") else f"<th>{c}</th>"
        for c in columns
    )


def grid(kind: str, head: Html, body: Html, *, tall: bool = False) -> Html:
    """A table, with a head of :func:`heads` or :func:`sortable`, that scrolls in itself unless it is ``tall``."""
    style = ' style="max-height:none"' if tall else ""
    return (
        f'<div class="scroll"{style} tabindex="0"><table class="grid {esc(kind)}"><thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def bids(r: Position) -> Html:
    """What a share of a position would bring; where nobody bids, since when, and what it last would have."""
    last = price(r.mark_price or 0)
    return f"nobody bids since {ago(r.unmarked_since)}, last {last}" if r.unmarked_since else f"bids {last}"
