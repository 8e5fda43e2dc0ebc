"""REST under ``/api/v1/look-backs``: asking for somebody's past to be looked back at, reading what came of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, TypeAlias

from fastapi import APIRouter, Depends, HTTPException, Query, Request
from pydantic import Field
from sqlalchemy import Connection

from pilotfish.app.who import WhoError
from pilotfish.core.problem import Problem
from pilotfish.polymarket.contracts import is_wallet
from pilotfish.store import leaders_store, look_backs_store, names, portfolios_store, settings_store
from pilotfish.store.database import snapshot
from pilotfish.store.look_backs_store import DAYS, LONGEST_DAYS
from pilotfish.store.views.base import Page
from pilotfish.store.views.look_backs import LookBackRow, LookBackWhole, read_look_back, read_look_backs
from pilotfish.web import rest
from pilotfish.web.answers import Route
from pilotfish.web.api import Before, Id, Limit
from pilotfish.web.api_writes import BY, Change
from pilotfish.web.auth import require_admin
from pilotfish.web.site import Site, now

Of: TypeAlias = Annotated[
    str | None, Query(max_length=42, pattern="^0x[0-9a-fA-F]{40}$", description="Only of this wallet.")
]


class NewLookBack(rest.Body):
    """Whose past, and over how many days: a wallet, a leader's label, a user name or the URL of a profile; with a
    portfolio's settings (`main` unless named), of which `values` changes some."""

    wallet: str = Field(max_length=300)
    days: int = Field(DAYS, ge=1, le=LONGEST_DAYS)
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

    @api.get("/look-backs", tags=["reading"])
    def look_backs(limit: Limit = 100, before: Before = None, wallet: Of = None) -> Page[LookBackRow]:
        """Look backs, newest first, without their results."""
        with snapshot(site.database) as c:
            return read_look_backs(c, limit=limit, before=before, wallet=wallet.lower() if wallet else None)

    @api.get("/look-backs/{number}", tags=["reading"], responses={404: {}})
    def look_back(number: Id) -> LookBackWhole:
        """One look back; `result` is what `pilotfish backtest --json` gives."""
        return _found(number)

    @api.post("/look-backs", status_code=201, **writing)  # type: ignore[arg-type]
    async def ask(new: NewLookBack) -> LookBackWhole:
        """Look back at somebody's past: it is worked off in the background, one after the other. What is asked for
        already and has not ended is not asked for twice."""
        wallet, name = await _whom(new.wallet)

        def change(c: Connection) -> int:
            if new.portfolio != portfolios_store.MAIN:
                portfolios_store.find(c, new.portfolio)
            stored = settings_store.load(c)
            given = {name: value for name, value in new.values.items() if value is not None}
            values = settings_store.policy_values(site.environment, stored, new.portfolio, wallet, given)
            return look_backs_store.ask(c, wallet, name=name, days=new.days, values=values, at=now(), by=BY)

        return _found(_write(change))

    @api.post("/look-backs/{number}/cancel", **writing)  # type: ignore[arg-type]
    def cancel(number: Id) -> LookBackWhole:
        """Cancel a look back that waits or runs. What was read of the history is kept: the next one goes on there."""
        _found(number)

        def change(c: Connection) -> int:
            look_backs_store.JOBS.cancel(c, number, now())
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

    def _found(number: int) -> LookBackWhole:
        with snapshot(site.database) as c:
            found = read_look_back(c, number)
        if found is None:
            raise HTTPException(404, f"there is no look back {number}")
        return found

    async def _whom(who: str) -> tuple[str, str]:
        """The wallet that is meant, and what it is called."""
        with snapshot(site.database) as c:
            called = {label.casefold(): wallet for wallet, label in names.labels(c).items() if label}
        text = who.strip()
        if not is_wallet(text) and text.casefold() in called:
            return called[text.casefold()], text
        try:
            wallet = await site.preview.wallet_of(text)
        except (WhoError, leaders_store.LeaderError) as problem:
            raise HTTPException(400, str(problem)) from None
        return wallet, text.removeprefix("@") if "/" not in text and not is_wallet(text) else ""

    return api
