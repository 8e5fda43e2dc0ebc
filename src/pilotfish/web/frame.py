"""What all pages share: the head with navigation, banners, and blocks that are kept fresh."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TypeAlias
from urllib.parse import urlencode

from fastapi import Request
from nicegui import ui

from pilotfish import __version__
from pilotfish.store import worker_state
from pilotfish.web.auth import is_admin
from pilotfish.web.markup import Html, esc
from pilotfish.web.reader import Reader, Snapshot
from pilotfish.web.site import Site

PAGES = (
    ("/", "Overview"), ("/leaders", "Leaders"), ("/trades", "Trades"), ("/positions", "Positions"),
    ("/latency", "Latency"), ("/portfolios", "Portfolios"), ("/settings", "Settings"),
)  # fmt: skip
REFRESH_SECONDS = 0.3
GAPS_SHOWN = 3

Blocks: TypeAlias = Mapping[str, Html]


@contextmanager
def frame(site: Site, reader: Reader, request: Request, current: str) -> Iterator[None]:
    """The page around its content."""
    version = esc(__version__)
    ui.add_head_html(
        f'<link rel="stylesheet" href="/static/style.css?{version}">'
        f'<script src="/static/page.js?{version}" defer></script>'
    )
    with ui.element("div").classes("pf"):
        put(_header(site, request, current))
        told = put(_told(reader.look()))

        def refresh() -> None:
            fresh = _told(reader.look())
            if told.content != fresh:
                told.content = fresh

        ui.timer(1.0, refresh)
        with ui.element("div").props('id="main" tabindex="-1"'):
            yield
        put('<div id="toasts" role="status" aria-live="polite"></div>')


def put(content: Html, classes: str = "") -> ui.html:
    """Markup as a part of the page."""
    return ui.html(content, sanitize=False).classes(classes)


async def live(seconds: float, draw: Callable[[], Awaitable[Blocks]], *, row: Mapping[str, str] | None = None) -> None:
    """HTML blocks by name, each redrawn when it has changed. ``row``: classes of a block's element."""
    blocks = {}
    for name, content in (await draw()).items():
        blocks[name] = put(content, (row or {}).get(name, ""))

    async def refresh() -> None:
        for name, content in (await draw()).items():
            if blocks[name].content != content:
                blocks[name].content = content

    ui.timer(seconds, refresh)


def _header(site: Site, request: Request, current: str) -> Html:
    here = ' aria-current="page"'
    links = "".join(f'<a href="{url}"{here if url == current else ""}>{name}</a>' for url, name in PAGES)
    if is_admin(request):
        door = '<button type="button" data-post="/logout" data-go="/">Sign out</button>'
    elif site.sessions.writable or site.sessions.locked:
        query = urlencode({"next": request.url.path})
        door = f'<a class="button" href="/login?{esc(query)}">Sign in</a>'
    else:
        door = (
            '<a class="button" href="/login" title="ADMIN_TOKEN is not set: nothing can be changed here">Read only</a>'
        )
    simulated = (
        f'<div class="banner" role="note"><b>Simulated venue</b> at {esc(site.simulated)}: leaders, books and trades'
        " are made up. To follow real wallets, leave the venue's URLs at their defaults, then"
        " <code>pilotfish init</code> and <code>pilotfish run</code>.</div>"
        if site.simulated
        else ""
    )
    return (
        '<a class="skip" href="#main">Skip to the content</a><header class="top">'
        '<a class="home" href="/" aria-label="pilotfish, overview"><img src="/static/icon.svg" alt="">'
        '<span class="brand">pilotfish</span></a>'
        f'<nav aria-label="Pages">{links}</nav><span class="space"></span>{door}'
        '<button type="button" data-theme-toggle aria-label="Switch between dark and light">◐</button></header>'
        f"{simulated}"
    )


def _told(s: Snapshot) -> Html:
    if s.error:
        return f'<div class="banner bad" role="alert"><b>The database cannot be read.</b> {esc(s.error)}</div>'
    if s.at == 0:
        return ""
    return _worker(s) + _incomplete(s)


def _worker(s: Snapshot) -> Html:
    """Why nothing is being copied, where that is so."""
    if s.worker is None:
        return (
            '<div class="banner bad" role="alert"><b>No worker has run yet.</b>'
            " Start one: <code>pilotfish run</code></div>"
        )
    if (end := s.worker.ended) is not None and not end.clean:
        return (
            '<div class="banner bad" role="alert"><b>The worker ended by a fault and copies nothing.</b>'
            f" {esc(end.told())} Its log says more. Start it: <code>pilotfish run</code></div>"
        )
    if end is not None:
        return (
            '<div class="banner bad" role="alert"><b>The worker is not running.</b>'
            f" As asked, {esc(end.told())}. What follows is its last state."
            " Start it: <code>pilotfish run</code></div>"
        )
    if s.worker_age is not None and s.worker_age > worker_state.ALIVE_SECONDS:
        return (
            '<div class="banner bad" role="alert"><b>The worker is not running.</b> What follows is its last state.'
            " Start it: <code>pilotfish run</code></div>"
        )
    return ""


def _incomplete(s: Snapshot) -> Html:
    """What is missing of leaders' histories, plainly."""
    if not s.incomplete:
        return ""
    told = "; ".join(esc(gap.told) for gap in s.incomplete[:GAPS_SHOWN])
    more = f" and {len(s.incomplete) - GAPS_SHOWN} more gaps" if len(s.incomplete) > GAPS_SHOWN else ""
    return (
        f'<div class="banner" role="note"><b>Trades may be missing:</b> {told}{esc(more)}.'
        " The API did not give all rows of that time; they are asked for again.</div>"
    )


def portfolio_picker(s: Snapshot, chosen: str, path: str, keep: Mapping[str, str] | None = None) -> Html:
    """Links between the portfolios of a page; nothing where there is one only."""
    if len(s.portfolios) < 2:
        return ""
    links = ""
    for p in s.portfolios:
        query = urlencode({**(keep or {}), "portfolio": p.name})
        here = ' aria-current="true"' if p.name == chosen else ""
        links += f'<a href="{esc(path)}?{esc(query)}"{here}>{esc(p.name)}</a>'
    return f'<nav class="picker" aria-label="Portfolio">{links}</nav>'
