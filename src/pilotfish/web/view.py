"""What all pages share: who looks, at which portfolio, what stands above the content; and how an answer is given."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, NamedTuple, TypeAlias

import msgspec
from fastapi import Depends, Query, Request
from starlette.responses import HTMLResponse, Response

from pilotfish.core.names import nearest
from pilotfish.core.numerals import duration
from pilotfish.store import worker_state
from pilotfish.store.portfolios_store import MAIN
from pilotfish.store.views.sources import Gap
from pilotfish.web.auth import is_admin
from pilotfish.web.keepers import Keepers, keepers_of
from pilotfish.web.reader import Reader, Snapshot
from pilotfish.web.render import Live, Page, render
from pilotfish.web.site import Site

HAVE = "x-live"
"""The header by which an open page says which parts it has."""
FRESH = {"Cache-Control": "no-store"}
"""What a page shows changes, and may be for those only who may look."""
GAPS_SHOWN = 3
HUNG_SHOWN = 3
Name: TypeAlias = Annotated[str, Query(max_length=100)]
"""A parameter of a page."""


class Halt(StrEnum):
    """Why nothing is being copied."""

    NONE = ""
    UNREADABLE = "unreadable"
    NEVER_RUN = "never_run"
    FAULT = "fault"
    STOPPED = "stopped"
    LOST = "lost"


class Stray(msgspec.Struct, frozen=True):
    """The portfolio that an address names and that a page cannot show: it is archived, or there never was one of that
    ``name``; ``near`` is what may be meant, empty = nothing is near."""

    name: str
    archived: bool
    near: str


class Frame(msgspec.Struct, frozen=True, kw_only=True):
    """What stands around a page's content. ``portfolio`` is the chosen one, ``stray`` one that it could not be;
    ``writable``: an admin token is set; ``locked``: looking needs a token; ``simulated``: the stand-in venue's host;
    ``halt_told``: how it ended; ``keepers``: who writes and who stands by; ``hung``: parts of the worker that do not
    move, ``more_hung`` how many more; ``gaps``: what is missing of histories, ``more_gaps`` how many more; ``here``:
    the address, to come back to; ``seconds``: how often the page asks what has changed."""

    title: str
    path: str
    here: str
    portfolio: str
    portfolios: tuple[str, ...]
    admin: bool
    writable: bool
    locked: bool
    simulated: str
    seconds: float
    halt: Halt
    halt_told: str
    keepers: Keepers
    hung: tuple[str, ...]
    more_hung: int
    gaps: tuple[Gap, ...]
    more_gaps: int
    stray: Stray | None

    @property
    def choices(self) -> tuple[tuple[str, str], ...]:
        """Portfolios to choose from, as (value, text); the chosen one is among them also where it is archived."""
        others = () if self.portfolio in self.portfolios else (self.portfolio,)
        return tuple((name, name) for name in (*others, *self.portfolios))


class View:
    """One request for a page."""

    def __init__(self, request: Request, site: Site, reader: Reader, snapshot: Snapshot, portfolio: str) -> None:
        self.request, self.site, self.reader, self.snapshot = request, site, reader, snapshot
        self.asked_for = self.portfolio = portfolio or MAIN
        self.admin = is_admin(request)

    def show(self, page: Page, status: int = 200) -> Response:
        """The page; for a page that is open already what has changed of it, or 204 for nothing."""
        live = Live()
        content = render(page, self._frame(page), live)
        asked = self.request.headers.get(HAVE)
        if asked is None:
            return HTMLResponse(content, status, FRESH)
        changes = live.changes(_have(asked))
        if changes is None:
            return Response(status_code=204, headers=FRESH)
        return Response(changes, headers=FRESH, media_type="application/json")

    def piece(self, page: Page) -> Response:
        """A piece of a page: what a drawer shows."""
        return HTMLResponse(render(page, self._frame(page), Live()), headers=FRESH)

    def _frame(self, page: Page) -> Frame:
        s, site = self.snapshot, self.site
        halt, told = _halt(s, self.reader.stalled_for())
        query = self.request.url.query
        hung = _hung(s) if halt is Halt.NONE else ()
        return Frame(
            title=page.title, path=page.path, here=self.request.url.path + (f"?{query}" if query else ""),
            portfolio=self.portfolio, portfolios=tuple(p.name for p in s.portfolios), admin=self.admin,
            writable=site.sessions.writable, locked=site.sessions.locked, simulated=site.simulated,
            seconds=page.seconds, halt=halt, halt_told=told,
            keepers=keepers_of(s, can_wait=site.database.dialect.name == "postgresql"), hung=hung[:HUNG_SHOWN],
            more_hung=max(0, len(hung) - HUNG_SHOWN),
            gaps=tuple(s.incomplete[:GAPS_SHOWN]), more_gaps=max(0, len(s.incomplete) - GAPS_SHOWN),
            stray=_stray(s, self.asked_for, self.portfolio),
        )  # fmt: skip


def _stray(s: Snapshot, asked: str, shown: str) -> Stray | None:
    """Nobody is told of ``main``, which is there before it was made, nor while the database cannot be read."""
    known = {p.name for p in s.portfolios}
    if asked == MAIN or asked in known or not s.at or s.error:
        return None
    if asked in s.archived:
        return Stray(asked, archived=True, near="") if shown != asked else None
    return Stray(asked, archived=False, near=nearest(asked, known | s.archived) or "")


def _have(asked: str) -> dict[str, str]:
    """What a page says that it has; nothing, if that cannot be read."""
    try:
        return msgspec.json.decode(asked, type=dict[str, str])
    except msgspec.DecodeError:
        return {}


def _halt(s: Snapshot, stalled_for: float) -> tuple[Halt, str]:
    if stalled_for:
        silent = duration(round(stalled_for * 1000))
        return Halt.UNREADABLE, f"It has not answered for {silent}. What follows is what was read before."
    if s.error:
        return Halt.UNREADABLE, s.error
    if s.at == 0:
        return Halt.NONE, ""
    if s.worker is None:
        return Halt.NEVER_RUN, ""
    end = s.worker.ended
    if end is not None:
        return (Halt.STOPPED if end.clean else Halt.FAULT), end.told()
    if s.worker_age is not None and s.worker_age > worker_state.ALIVE_SECONDS:
        return Halt.LOST, ""
    return Halt.NONE, ""


def _hung(s: Snapshot) -> tuple[str, ...]:
    """Names alone: what changes every second would be read out every second."""
    return tuple(sorted(s.worker.stalled)) if s.worker is not None else ()


class Views(NamedTuple):
    """What a :class:`View` is made of, as the application keeps it."""

    site: Site
    reader: Reader


def view_of(request: Request) -> View:
    """For pages outside of the routes, such as errors: nothing is read anew."""
    site, reader = request.app.state.views
    return View(request, site, reader, reader.snapshot, request.query_params.get("portfolio", "")[:100])


async def _view(request: Request, portfolio: Name = "") -> View:
    """The portfolio is a parameter of every page."""
    site, reader = request.app.state.views
    found = await (reader.knowing(portfolio) if portfolio else reader.first_look())
    return View(request, site, reader, found, portfolio)


Looking: TypeAlias = Annotated[View, Depends(_view)]
"""The parameter of a page's route."""
