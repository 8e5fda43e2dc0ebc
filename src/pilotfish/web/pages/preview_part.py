"""Who somebody is before they are followed: what the look-up shows in place."""

from __future__ import annotations

from typing import ClassVar

from fastapi import APIRouter, HTTPException
from starlette.responses import Response

from pilotfish.app.who import WhoError
from pilotfish.store import leaders_store
from pilotfish.store.views.leaders import Leader, read_leaders
from pilotfish.web.preview import Person
from pilotfish.web.render import Page
from pilotfish.web.view import Looking, Name

pages = APIRouter(prefix="/parts", include_in_schema=False)


class PreviewPart(Page, frozen=True, kw_only=True):
    """Who somebody is; ``known``: the same as a leader, if they are followed or were."""

    template: ClassVar[str] = "_preview.html"
    title: ClassVar[str] = "who that is"

    person: Person
    known: Leader | None


@pages.get("/preview")
async def look(view: Looking, wallet: Name = "") -> Response:
    """The card; each is a question to the venue, so it is for the admin alone."""
    if not view.admin:
        raise HTTPException(401, "sign in with the admin token")
    try:
        person = await view.site.preview.look(leaders_store.wallet_of(wallet))
    except (WhoError, leaders_store.LeaderError) as problem:
        raise HTTPException(400, str(problem)) from None
    everybody = await view.site.shared.get("everybody", 0.0, lambda c: read_leaders(c, "all"))
    return view.piece(PreviewPart(person=person, known=next((x for x in everybody if x.wallet == person.wallet), None)))
