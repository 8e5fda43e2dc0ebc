"""Small pieces of HTML. Everything that is not markup of ours goes through :func:`esc`: market titles and names are
other people's text."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from html import escape
from typing import Any
from urllib.parse import urlencode

from pilotfish.core import numerals
from pilotfish.core.numerals import count, percent
from pilotfish.core.reasons import MEANING, Reason


def esc(value: object) -> str:
    """Text as HTML text or attribute."""
    return escape(str(value), quote=True)


def signed(micro: int) -> str:
    """A gain or loss: sign, icon and colour, so that colour never stands alone."""
    text = numerals.gain(micro)
    if text == "0.00":
        return f'<span class="flat">{text}</span>'
    kind, icon = ("up", "▲") if micro > 0 else ("down", "▼")
    return f'<span class="{kind}"><i aria-hidden="true">{icon}</i> {text}</span>'


def shares(micro: int) -> str:
    """Shares, as many digits as tell something."""
    return esc(numerals.shares(micro))


def ago(iso: str | None) -> str:
    """A time that the page keeps relative; the absolute one is on hover."""
    if not iso:
        return "–"
    return f'<time datetime="{esc(iso)}" title="{esc(iso[:19].replace("T", " "))} UTC" data-ago></time>'


def short(wallet: str) -> str:
    """A wallet, shortened."""
    return f"{wallet[:6]}…{wallet[-4:]}"


def leader(wallet: str, name: str) -> str:
    """A leader, as a link to his page."""
    return f'<a href="/leaders/{esc(wallet)}" title="{esc(wallet)}">{esc(name or short(wallet))}</a>'


def market(title: str | None, under: str) -> str:
    """A market's title with a line under it (``under`` is HTML)."""
    return f"{esc(title or 'unknown market')}<small>{under}</small>"


def side(name: str) -> str:
    """BUY or SELL with a sign, so that colour never stands alone; anything else takes shares away, too."""
    kind, sign = ("up", "▲") if name == "BUY" else ("down", "▼")
    return f'<span class="side {kind}"><i aria-hidden="true">{sign}</i> {esc(name)}</span>'


def words(code: str) -> str:
    """A reason or state code in words, without the SKIP, WAIT or EXIT before it."""
    prefix, _, rest = code.partition("_")
    return esc((rest if prefix in ("SKIP", "WAIT", "EXIT") else code).replace("_", " ").lower())


def verdict(action: str, reason: str, extra: str = "") -> str:
    """What was decided; what it means is on hover. ``extra`` is HTML."""
    meaning = MEANING.get(Reason(reason), "") if reason in Reason.__members__ else ""
    sign, kind, text = {
        "copy": ("✓", "copy", "copied"),
        "exit": ("↩", "copy", "sold: " + words(reason)),
        "wait": ("…", "wait", words(reason)),
    }.get(action, ("–", "", words(reason)))
    return f'<span class="chip {kind}" title="{esc(reason + ": " + meaning)}">{sign} {text}</span>{extra}'


def out(url: str, text: str) -> str:
    """A link to another site, which learns nothing of this one."""
    return f'<a href="{esc(url)}" target="_blank" rel="noopener noreferrer">{esc(text)} ↗</a>'


def options(choices: Iterable[tuple[str, str]], chosen: str) -> str:
    """Options of a select: (value, text) pairs."""
    return "".join(
        f'<option value="{esc(value)}"{" selected" if value == chosen else ""}>{esc(text)}</option>'
        for value, text in choices
    )


def figure(name: str, value: str, note: str, extra: str = "", title: str = "") -> str:
    """One of the large figures; ``value`` and ``note`` are HTML."""
    return (
        f'<div class="card figure {extra}" title="{esc(title)}"><h2>{name}</h2><div class="value">{value}</div>'
        f'<div class="note">{note}</div></div>'
    )


def sortable(columns: Iterable[tuple[str, str, str]], path: str, keep: Mapping[str, str], by: str, *, up: bool) -> str:
    """Column heads as links that sort: (name, text, class) each; without a name it does not sort."""
    head = ""
    for name, text, kind in columns:
        if not name:
            head += f'<th class="{kind}">{text}</th>' if text else "<td></td>"
            continue
        mine = name == by
        sort = ("-" if up else "") + name if mine else "-" + name
        sign = (" ▲" if up else " ▼") if mine else ""
        here = f' aria-sort="{"ascending" if up else "descending"}"' if mine else ""
        url = esc(f"{path}?{urlencode({**keep, 'sort': sort})}")
        head += f'<th class="{kind}"{here}><a href="{url}">{text}{sign}</a></th>'
    return head


def copied_share(row: Mapping[str, Any]) -> tuple[str, str]:
    """How much of what could be copied was, and of what that is a share: of a leader's orders, where sizes go by order.
    ``row`` has ``orders``, ``orders_copied`` and ``trades``."""
    orders, fills = row.get("orders", 0), row.get("trades", 0)
    told = f"of {count(orders)} orders, eaten in {count(fills)} fills" if fills > orders else ""
    return percent(row.get("orders_copied", 0), orders), told


def heads(columns: Iterable[str]) -> str:
    """Column heads. ``columns`` are HTML; one that begins with ``#`` holds numbers, over buttons there is none."""
    return "".join(
        "<td></td>" if not c else f'<th class="num">{c[1:]}</th>' if c.startswith("#") else f"<th>{c}</th>"
        for c in columns
    )


def grid(kind: str, head: str, body: str, *, tall: bool = False) -> str:
    """A table, with a head of :func:`heads` or :func:`sortable`, that scrolls in itself unless it is ``tall``."""
    style = ' style="max-height:none"' if tall else ""
    return (
        f'<div class="scroll"{style} tabindex="0"><table class="grid {kind}"><thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )
