"""Who somebody is: tokens compared in constant time, and signed session cookies."""

from __future__ import annotations

import base64
import hashlib
import hmac
from dataclasses import dataclass
from typing import Literal, TypeAlias

from itsdangerous import BadData, URLSafeTimedSerializer
from starlette.requests import HTTPConnection

Role: TypeAlias = Literal["admin", "view"]

COOKIE = "pilotfish_session"
SESSION_SECONDS = 7 * 86_400


@dataclass(frozen=True, slots=True)
class Caller:
    """``role`` is ``None`` for who showed no valid token; ``ambient``: a browser sends it by itself (cookie, Basic)."""

    role: Role | None
    ambient: bool = False
    tried: bool = False


class Sessions:
    """The tokens that are set, and what is signed with them: another token ends every session."""

    def __init__(self, admin_token: str, view_token: str) -> None:
        self._tokens: list[tuple[Role, bytes]] = []
        if admin_token:
            self._tokens.append(("admin", admin_token.encode()))
        if view_token:
            self._tokens.append(("view", view_token.encode()))
        self.locked = bool(view_token)
        """Reading needs a token."""
        self.writable = bool(admin_token)
        secret = hashlib.sha256(b"pilotfish session\0" + b"\0".join(token for _, token in self._tokens)).digest()
        self._signer = URLSafeTimedSerializer(secret, salt="session")

    def role_of(self, token: str) -> Role | None:
        """What a token allows."""
        given = token.encode()
        found: Role | None = None
        for role, mine in self._tokens:
            if hmac.compare_digest(given, mine) and found is None:
                found = role
        return found

    def sign(self, role: Role) -> str:
        """A session's cookie."""
        return str(self._signer.dumps(role))

    def caller(self, connection: HTTPConnection) -> Caller:
        """Who makes a request: by token in the header, else by session."""
        token = given_token(connection)
        if token:
            basic = connection.headers["authorization"][:5].lower() == "basic"
            return Caller(self.role_of(token), ambient=basic, tried=True)
        cookie = connection.cookies.get(COOKIE)
        if cookie and self._tokens:
            try:
                role = self._signer.loads(cookie, max_age=SESSION_SECONDS)
            except BadData:
                return Caller(None)
            if role in ("admin", "view"):
                return Caller(role, ambient=True)
        return Caller(None)


def given_token(connection: HTTPConnection) -> str:
    """The token that came with a request: ``Bearer TOKEN``, or Basic with any name and the token as password."""
    kind, _, value = connection.headers.get("authorization", "").partition(" ")
    if kind.lower() == "bearer":
        return value.strip()
    if kind.lower() == "basic":
        try:
            return base64.b64decode(value, validate=True).decode().partition(":")[2]
        except ValueError:  # not base64, not ASCII, or not UTF-8 within
            return ""
    return ""
