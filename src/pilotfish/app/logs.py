"""Structured logs on standard error, with secrets taken out whatever they are part of."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog

_URL = re.compile(r"\b((?:https?|wss?|postgresql(?:\+\w+)?)://)([^\s\"'<>]+)")
_secrets: set[str] = set()


def hide(secrets: list[str]) -> None:
    """Never show these texts, in logs or errors."""
    _secrets.update(s for s in secrets if len(s) >= 4)


def redact(text: str) -> str:
    """``text`` without secrets: known ones, and user info, long path parts and queries of URLs (where keys live)."""
    for secret in sorted(_secrets, key=len, reverse=True):
        text = text.replace(secret, "[secret]")
    return _URL.sub(_shorten, text)


def _shorten(match: re.Match[str]) -> str:
    scheme, rest = match.groups()
    rest = rest.split("@")[-1]
    host, slash, path = rest.partition("/")
    path = path.split("?")[0]
    parts = ["…" if len(p) >= 16 and any(c.isdigit() for c in p) else p for p in path.split("/")]
    return f"{scheme}{host}{slash}{'/'.join(parts)}"


def _redact_event(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for key, value in event.items():
        if isinstance(value, str):
            event[key] = redact(value)
        elif isinstance(value, BaseException):
            event[key] = redact(f"{type(value).__name__}: {value}")
    return event


class _StandardError:
    """Standard error as it is when a line is written, not as it was when logging began."""

    def write(self, text: str) -> int:
        return sys.stderr.write(text)

    def flush(self) -> None:
        sys.stderr.flush()


def set_up(level: str, fmt: str) -> None:
    """Configure logging for the process: ``fmt`` is ``console`` or ``json``."""
    number = logging.getLevelName(level)
    renderer: Any = (
        structlog.processors.JSONRenderer()
        if fmt == "json"
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), pad_event_to=0)
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            _redact_event,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.PrintLoggerFactory(_StandardError()),  # type: ignore[arg-type]
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s %(message)s", stream=sys.stderr)
