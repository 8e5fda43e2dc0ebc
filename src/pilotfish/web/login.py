"""Signing in: a token for a signed session cookie."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from starlette.exceptions import HTTPException

from pilotfish.web.auth import client_address, require_own_page
from pilotfish.web.markup import Html, esc
from pilotfish.web.sessions import COOKIE, SESSION_SECONDS, Sessions, Throttle


def router(sessions: Sessions) -> APIRouter:
    """``/login`` and ``/logout``."""
    pages = APIRouter(include_in_schema=False)

    @pages.get("/login")
    def login(next_: Annotated[str, Query(alias="next")] = "/") -> HTMLResponse:
        return HTMLResponse(_page(_local(next_), "", sessions))

    @pages.post("/login")
    def sign_in(
        request: Request, token: Annotated[str, Form()] = "", next_: Annotated[str, Form(alias="next")] = "/"
    ) -> Response:
        if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
            raise HTTPException(403, "sign in from the dashboard's own page")
        throttle: Throttle = request.scope["throttle"]
        address = client_address(request)
        wait = throttle.wait(address)
        if wait:
            text = f"Too many wrong tokens. Wait {int(wait) + 1} seconds."
            return HTMLResponse(_page(_local(next_), text, sessions), 429, {"Retry-After": str(int(wait) + 1)})
        role = sessions.role_of(token.strip())
        if role is None:
            throttle.failed(address)
            return HTMLResponse(_page(_local(next_), "That token is not right.", sessions), 401)
        throttle.succeeded(address)
        answer = RedirectResponse(_local(next_), 303)
        secure = request.url.scheme == "https"
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


def _page(target: str, wrong: str, sessions: Sessions) -> Html:
    told = f'<p class="wrong" role="alert">▲ {esc(wrong)}</p>' if wrong else ""
    if sessions.writable or sessions.locked:
        what = "The admin token lets you change things." + (
            " The view token lets you look." if sessions.locked else " Looking needs no token here."
        )
        form = (
            f'<form method="post" action="/login"><input type="hidden" name="next" value="{esc(target)}">'
            '<label for="token">Token</label><input id="token" name="token" type="password" required autofocus'
            f' autocomplete="current-password">{told}<button class="primary">Sign in</button></form><p>{what}</p>'
        )
    else:
        form = (
            "<p>No token is set, so nothing can be changed through the web. Set <code>ADMIN_TOKEN</code> in the"
            ' environment or in <code>.env</code> and start again.</p><p><a href="/">Back to the overview</a></p>'
        )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>pilotfish – sign in</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1"><link rel="icon" href="/static/icon.svg">'
        '<link rel="stylesheet" href="/static/style.css"></head><body class="login"><main class="pf"><section'
        f' class="card"><img src="/static/icon.svg" alt=""><h1>pilotfish</h1>{form}</section></main></body></html>'
    )
