"""What a request to the stand-in venue's Data API asks for, and its refusal in the service's words."""

from __future__ import annotations

from typing import Any


class Refusal(Exception):  # noqa: N818 - an answer, not a failure
    """A 400 of the service."""

    def __init__(self, parameter: str, message: str) -> None:
        super().__init__(message)
        self.parameter = parameter


def integer(query: Any, name: str, default: int) -> int:
    """A whole number out of a query."""
    text = query.get(name)
    if text in (None, ""):
        return default
    try:
        return int(text)
    except ValueError:
        raise Refusal(name, f"{name} must be an integer") from None


def user(query: Any) -> str:
    """The wallet that is asked about."""
    wallet: str = query.get("user", "").lower()
    if not wallet:
        raise Refusal("user", "user is required")
    return wallet
