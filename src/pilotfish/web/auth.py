"""The doors: who may read, and what every answer carries. Tokens are compared in constant time."""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Mapping

from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

OPEN_PATHS = ("/healthz",)

HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": (
        "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline';"
        " img-src 'self' data:; font-src 'self' data:; connect-src 'self' ws: wss:; frame-ancestors 'none';"
        " base-uri 'none'; form-action 'self'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}


def _given(connection: HTTPConnection) -> str:
    """The token that came with a request: ``Bearer TOKEN``, or Basic with any name and the token as password."""
    kind, _, value = connection.headers.get("authorization", "").partition(" ")
    if kind.lower() == "bearer":
        return value.strip()
    if kind.lower() == "basic":
        try:
            return base64.b64decode(value, validate=True).decode().partition(":")[2]
        except (binascii.Error, UnicodeDecodeError):
            return ""
    return ""


class Doors:
    """ASGI middleware: reading needs ``view_token`` (or ``admin_token``) where one is set."""

    def __init__(self, app: ASGIApp, view_token: str, admin_token: str) -> None:
        self._app = app
        self._tokens = [token.encode() for token in (view_token, admin_token) if token] if view_token else []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse or pass on, with the security headers."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        connection = HTTPConnection(scope)
        if self._tokens and scope["path"] not in OPEN_PATHS and not self._allowed(connection):
            if scope["type"] == "websocket":
                await send({"type": "websocket.close", "code": 4401})
                return
            refusal = Response(
                "A token is needed: Authorization: Bearer VIEW_TOKEN, or the token as password.\n",
                401,
                {"WWW-Authenticate": 'Basic realm="pilotfish", charset="UTF-8"'},
                "text/plain",
            )
            await refusal(scope, receive, _with_headers(send))
            return
        await self._app(scope, receive, _with_headers(send) if scope["type"] == "http" else send)

    def _allowed(self, connection: HTTPConnection) -> bool:
        given = _given(connection).encode()
        return sum(hmac.compare_digest(given, token) for token in self._tokens) > 0


def require_admin(connection: HTTPConnection, admin_token: str) -> None:
    """Raise 403 where writing through the web is off, 401 without the admin token."""
    if not admin_token:
        raise HTTPException(403, "writing through the web is off: set ADMIN_TOKEN and start again")
    if not hmac.compare_digest(_given(connection).encode(), admin_token.encode()):
        raise HTTPException(
            401, "the admin token is needed: Authorization: Bearer …", {"WWW-Authenticate": 'Bearer realm="pilotfish"'}
        )


def _with_headers(send: Send) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = list(message.get("headers", []))
            headers += [(name.lower().encode(), value.encode()) for name, value in HEADERS.items()]
            message = {**message, "headers": headers}
        await send(message)

    return sending
