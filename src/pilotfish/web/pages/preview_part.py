"""Who somebody is before they are followed: what the look-up shows in place."""

from __future__ import annotations

from typing import ClassVar

from fastapi import APIRouter, HTTPException
from sqlalchemy import Connection
from starlette.responses import Response

from pilotfish.app.who import WhoError
from pilotfish.store import leaders_store
from pilotfish.store.views.leaders import Leader, read_leaders
from pilotfish.store.views.look_backs import LookBackRow, read_latest
from pilotfish.web.preview import Person
from pilotfish.web.render import Page
from pilotfish.web.view import Looking, Name

pages = APIRouter(prefix="/parts", include_in_schema=False)


class PreviewPart(Page, frozen=True, kw_only=True):
    """Who somebody is; ``known``: the same as a leader, if they are followed or were; ``looked``: what looking back
    says of them."""

    template: ClassVar[str] = "_preview.html"
    title: ClassVar[str] = "who that is"

    person: Person
    known: Leader | None
    looked: LookBackRow | None


@pages.get("/preview")
async def look(view: Looking, wallet: Name = "") -> Response:
    """The card; each is a question to the venue, so it is for the admin alone."""
    if not view.admin:
        raise HTTPException(401, "sign in with the admin token")
    try:
        person = await view.site.preview.look(leaders_store.wallet_of(wallet))
    except (WhoError, leaders_store.LeaderError) as problem:
        raise HTTPException(400, str(problem)) from None
    known, looked = await view.site.shared.get(("known", person.wallet), 0.0, lambda c: _read(c, person.wallet))
    return view.piece(PreviewPart(person=person, known=known, looked=looked))


def _read(c: Connection, wallet: str) -> tuple[Leader | None, LookBackRow | None]:
    known = next((x for x in read_leaders(c, "all") if x.wallet == wallet), None)
    return known, read_latest(c, wallet)
