"""REST under ``/api/v1/searches``: asking for many wallets to be searched, reading what was found."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
from fastapi import APIRouter, Depends, HTTPException, Request
from pydantic import Field
from sqlalchemy import Connection

from pilotfish.backtest.wallet_file import read_text
from pilotfish.core.problem import Problem
from pilotfish.store import portfolios_store, searches_store, settings_store
from pilotfish.store.database import snapshot
from pilotfish.store.searches_store import (
    BUDGET,
    DAYS,
    LEAST_DAYS,
    LONGEST_DAYS,
    MOST,
    MOST_CANDIDATES,
    Candidate,
    SearchError,
    SearchSource,
    Wanted,
)
from pilotfish.store.views.base import Page
from pilotfish.store.views.searches import SearchRow, SearchWhole, read_search, read_searches
from pilotfish.web import rest
from pilotfish.web.answers import Route
from pilotfish.web.api import Before, Id, Limit
from pilotfish.web.api_writes import BY, Change
from pilotfish.web.auth import require_admin
from pilotfish.web.site import Site, now

MOST_BUDGET = 1_000_000
MOST_TEXT = 1_000_000
NAMED = 3
"""Lines without a wallet that are named one by one."""


class NewSearch(rest.Body):
    """Whom to search: the venue's `leaderboard` (of some `categories`), who traded in its busiest `markets`, or the
    `wallets` of a text (one a line, CSV or JSON); `most` of them, within `budget` requests, over `days` whole days
    (UTC) before today; with a portfolio's settings (`main` unless named), of which `values` changes some."""

    source: SearchSource = SearchSource.LEADERBOARD
    wallets: str = Field("", max_length=MOST_TEXT)
    categories: list[str] = Field([], max_length=20)
    most: int = Field(MOST, ge=1, le=MOST_CANDIDATES)
    budget: int = Field(BUDGET, ge=0, le=MOST_BUDGET)
    days: int = Field(DAYS, ge=LEAST_DAYS, le=LONGEST_DAYS)
    values: dict[str, Change] = {}
    portfolio: str = Field(portfolios_store.MAIN, max_length=100)


def router(site: Site) -> APIRouter:
    """All routes."""
    api = APIRouter(prefix="/api/v1", dependencies=[Depends(rest.known_parameters)], route_class=Route)

    def admin(request: Request) -> None:
        require_admin(request, site.sessions)

    writing = {
        "tags": ["writing"], "dependencies": [Depends(admin)], "responses": {400: {}, 401: {}, 403: {}, 404: {}},
    }  # fmt: skip

    @api.get("/searches", tags=["reading"])
    def searches(limit: Limit = 100, before: Before = None) -> Page[SearchRow]:
        """Searches, newest first, without their boards."""
        with snapshot(site.database) as c:
            return read_searches(c, limit=limit, before=before)

    @api.get("/searches/{number}", tags=["reading"], responses={404: {}})
    def search(number: Id) -> SearchWhole:
        """One search; `result` is what `pilotfish discover --json` gives."""
        return _found(number)

    @api.post("/searches", status_code=201, **writing)  # type: ignore[arg-type]
    def ask(new: NewSearch) -> SearchWhole:
        """Search many wallets: it is worked off in the background, one search after the other, and gives way to look
        backs. What is asked for already and has not ended is not asked for twice."""

        def change(c: Connection) -> int:
            if new.portfolio != portfolios_store.MAIN:
                portfolios_store.find(c, new.portfolio)
            given = {name: value for name, value in new.values.items() if value is not None}
            stored = settings_store.load(c)
            values = settings_store.policy_values(site.environment, stored, new.portfolio, None, given)
            wanted = Wanted(
                source=new.source, wallets=_named(new), categories=tuple(new.categories), most=new.most,
                budget=new.budget, days=new.days, values=values,
            )  # fmt: skip
            return searches_store.ask(c, wanted, at=now(), by=BY)

        return _found(_write(change))

    @api.post("/searches/{number}/again", status_code=201, **writing)  # type: ignore[arg-type]
    def again(number: Id) -> SearchWhole:
        """Ask for the same once more, with the same wallets and settings, over as many days before today."""
        wanted = msgspec.convert(_found(number), Wanted, from_attributes=True)
        return _found(_write(lambda c: searches_store.ask(c, wanted, at=now(), by=BY)))

    @api.post("/searches/{number}/cancel", **writing)  # type: ignore[arg-type]
    def cancel(number: Id) -> SearchWhole:
        """Cancel a search that waits or runs. What was read of the histories is kept: the next one goes on there."""
        _found(number)

        def change(c: Connection) -> int:
            searches_store.JOBS.cancel(c, number, now())
            return number

        return _found(_write(change))

    def _write(change: Callable[[Connection], int]) -> int:
        try:
            with site.database.begin() as c:
                number = change(c)
        except Problem as problem:
            raise HTTPException(400, str(problem)) from None
        site.shared.forget()
        return number

    def _found(number: int) -> SearchWhole:
        with snapshot(site.database) as c:
            found = read_search(c, number)
        if found is None:
            raise HTTPException(404, f"there is no search {number}")
        return found

    return api


def _named(new: NewSearch) -> tuple[Candidate, ...]:
    """The wallets that are named. Raises :class:`Problem` where a line holds none."""
    if new.source is not SearchSource.WALLETS:
        return ()
    read = read_text(new.wallets, "the list")
    if read.bad:
        more = f" and {len(read.bad) - NAMED} more" if len(read.bad) > NAMED else ""
        raise SearchError(f"{'; '.join(read.bad[:NAMED])}{more}; take that out, then search again")
    return tuple(Candidate(wallet=one.wallet, name=one.name) for one in read.candidates)
