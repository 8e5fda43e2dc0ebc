"""The doors: which hosts, who may read, who may write, and what every answer carries."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection, Request
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from pilotfish.web.hosts import authority_of, name_of
from pilotfish.web.sessions import Caller, Sessions
from pilotfish.web.throttle import Throttle

OPEN_PATHS = ("/healthz", "/login", "/static/style.css", "/static/theme.js", "/static/icon.svg")
CSRF_HEADER = "x-pilotfish"
"""Must come with every write that a browser authenticates by itself: other sites cannot send it."""
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})

HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self';"
        " connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


class Doors:
    """ASGI middleware. Without a view token anybody who reaches the socket may read, by a local name only: a page of
    another site that points its own name at this machine (DNS rebinding) is refused. Where a caller is, the connection
    says; ``X-Forwarded-For`` and ``X-Forwarded-Proto`` count from ``proxies`` (addresses, networks) alone."""

    def __init__(
        self,
        app: ASGIApp,
        sessions: Sessions,
        allowed_hosts: tuple[str, ...] = (),
        proxies: tuple[str, ...] = (),
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.app = app
        self._sessions = sessions
        self._hosts = LOOPBACK | frozenset(allowed_hosts)
        self._throttle = Throttle(clock)
        entry: Any = self._enter  # uvicorn and Starlette have types of their own for ASGI
        self._entry: Any = ProxyHeadersMiddleware(entry, list(proxies)) if proxies else entry

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse, or say who it is (``scope["caller"]``) and pass on, with the security headers."""
        if scope["type"] in ("http", "websocket"):
            await self._entry(scope, receive, send)
        else:
            await self.app(scope, receive, send)

    async def _enter(self, scope: Scope, receive: Receive, send: Send) -> None:
        connection = HTTPConnection(scope)
        refusal = self._refusal(scope, connection)
        if refusal is not None:
            if scope["type"] == "websocket":
                await send({"type": "websocket.close", "code": 4401})
            else:
                await refusal(scope, receive, _with_headers(send))
            return
        if scope["type"] == "http" and scope["method"] == "HEAD":
            scope = {**scope, "method": "GET"}  # the server leaves the content out
        await self.app(scope, receive, _with_headers(send) if scope["type"] == "http" else send)

    def _refusal(self, scope: Scope, connection: HTTPConnection) -> Response | None:
        named = connection.headers.getlist("host")
        host = name_of(named[0]) if named else ""
        if host is None or len(named) > 1:
            return problem(400, "the Host header is no name or address, with or without a port")
        if "\0" in scope["path"] or b"%00" in scope["query_string"]:
            return problem(400, "the address holds a NUL character, which nothing here is called by")
        if not self._sessions.locked and host not in self._hosts:
            return problem(421, f"{host[:60]!r} is not a name of this dashboard: set VIEW_TOKEN or WEB_ALLOWED_HOSTS")
        if scope["type"] == "websocket" and not self._sessions.locked and self._foreign(connection, host):
            return problem(403, "this connection comes from a page of another site")
        address = client_address(connection)
        caller = Caller(None)
        scope["caller"], scope["throttle"] = caller, self._throttle
        tried = "authorization" in connection.headers
        wait = self._throttle.wait(address)
        if tried and wait:
            return problem(429, "too many wrong tokens; wait", {"Retry-After": str(int(wait) + 1)})
        caller = scope["caller"] = self._sessions.caller(connection)
        if caller.tried:
            (self._throttle.succeeded if caller.role else self._throttle.failed)(address)
        if scope["path"] in OPEN_PATHS or not self._sessions.locked or caller.role is not None:
            return None
        if "text/html" in connection.headers.get("accept", "") and not tried:
            return RedirectResponse(f"/login?next={quote(scope['path'], safe='/')}", 303)
        return problem(
            401,
            "a token is needed: Authorization: Bearer VIEW_TOKEN, or sign in at /login",
            {"WWW-Authenticate": 'Bearer realm="pilotfish"'},
        )

    def _foreign(self, connection: HTTPConnection, host: str) -> bool:
        """True for a socket that a page of another site opens: browsers let it, whatever the site."""
        origin = connection.headers.get("origin")
        name = name_of(authority_of(origin)) if origin else host
        return name != host and name not in self._hosts


def require_admin(request: Request, sessions: Sessions) -> None:
    """Raise 403 where writing through the web is off or forged, 401 without the admin's token or session."""
    if not sessions.writable:
        raise HTTPException(403, "writing through the web is off: set ADMIN_TOKEN and start again")
    caller: Caller = request.scope["caller"]
    if caller.role != "admin":
        raise HTTPException(
            401,
            "the admin token is needed: Authorization: Bearer ADMIN_TOKEN, or sign in with it at /login",
            {"WWW-Authenticate": 'Bearer realm="pilotfish"'},
        )
    if caller.ambient:
        require_own_page(request)


def require_own_page(request: Request) -> None:
    """Raise 403 for a write that a browser sends for another site."""
    origin, host = request.headers.get("origin"), request.headers.get("host", "")
    own = origin is None or (host != "" and authority_of(origin) == host)
    if not own or request.headers.get(CSRF_HEADER) is None:
        raise HTTPException(403, f"a session's writes need the header {CSRF_HEADER}, from a page of this dashboard")


def is_admin(request: Request) -> bool:
    """True for who may change things."""
    caller: Caller = request.scope["caller"]
    return caller.role == "admin"


def client_address(connection: HTTPConnection) -> str:
    """Where a request comes from."""
    return connection.client.host if connection.client else ""


def problem(status: int, detail: str, headers: Mapping[str, str] | None = None) -> Response:
    """An error as RFC 9457 problem details."""
    body = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status, "detail": detail}
    return Response(msgspec.json.encode(body), status, headers, "application/problem+json")


def _with_headers(send: Send) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = list(message.get("headers", []))
            headers += [(name.lower().encode(), value.encode()) for name, value in HEADERS.items()]
            message = {**message, "headers": headers}
        await send(message)

    return sending
