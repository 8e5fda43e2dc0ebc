"""Signing in: a token for a signed session cookie."""

from __future__ import annotations

from typing import Annotated, ClassVar

from fastapi import APIRouter, Form, Query, Request
from fastapi.responses import RedirectResponse, Response
from starlette.exceptions import HTTPException

from pilotfish.web.auth import client_address, require_own_page
from pilotfish.web.render import Page
from pilotfish.web.sessions import COOKIE, SESSION_SECONDS, Sessions
from pilotfish.web.throttle import Throttle
from pilotfish.web.view import view_of


class Login(Page, frozen=True, kw_only=True):
    """``target``: where to go then; ``wrong``: what was not right."""

    template: ClassVar[str] = "login.html"
    title: ClassVar[str] = "sign in"
    seconds: ClassVar[float] = 0

    target: str
    wrong: str = ""


def router(sessions: Sessions) -> APIRouter:
    """``/login`` and ``/logout``."""
    pages = APIRouter(include_in_schema=False)

    def asked(request: Request, target: str, wrong: str = "", status: int = 200) -> Response:
        return view_of(request).show(Login(target=_local(target), wrong=wrong), status)

    @pages.get("/login")
    def login(request: Request, next_: Annotated[str, Query(alias="next")] = "/") -> Response:
        return asked(request, next_)

    @pages.post("/login")
    async def sign_in(  # on the loop: nobody gets in between the throttle's word and the look at the token
        request: Request, token: Annotated[str, Form()] = "", next_: Annotated[str, Form(alias="next")] = "/"
    ) -> Response:
        if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
            raise HTTPException(403, "sign in from the dashboard's own page")
        throttle: Throttle = request.scope["throttle"]
        address = client_address(request)
        wait = throttle.wait(address)
        if wait:
            answer = asked(request, next_, f"Too many wrong tokens. Wait {int(wait) + 1} seconds.", 429)
            answer.headers["Retry-After"] = str(int(wait) + 1)
            return answer
        role = sessions.role_of(token.strip())
        if role is None:
            throttle.failed(address)
            return asked(request, next_, "That token is not right.", 401)
        throttle.succeeded(address)
        answer = RedirectResponse(_local(next_), 303)
        # Who says so need not be believed: the flag only keeps a browser from sending the cookie without TLS.
        forwarded = request.headers.get("x-forwarded-proto", "").lower()
        secure = request.url.scheme == "https" or forwarded.startswith("https")
        answer.set_cookie(
            COOKIE, sessions.sign(role), max_age=SESSION_SECONDS, httponly=True, samesite="strict", secure=secure
        )
        return answer

    @pages.post("/logout")
    def sign_out(request: Request) -> Response:
        require_own_page(request)
        answer = Response(status_code=204)
        answer.delete_cookie(COOKIE, httponly=True, samesite="strict")
        return answer

    return pages


def _local(target: str) -> str:
    """A path of this site; anything else is the overview."""
    plain = target.startswith("/") and not target.startswith("//") and "\\" not in target
    return target if plain and all(ord(c) >= 32 for c in target) else "/"
