"""Structured logs on standard error, with secrets taken out whatever they are part of.

In three forms: for people, as key=value, and as JSON (``LOG_FORMAT``). The last two hold every field; what is for
people begins with the time of day and the sentence, then says why, then names who and what else matters."""

from __future__ import annotations

import json
import logging
import os
import re
import sys
import threading
import traceback
from collections.abc import Mapping, MutableMapping
from types import TracebackType
from typing import Any
from unicodedata import category
from urllib.parse import parse_qsl, unquote, urlsplit

import structlog

from pilotfish.core.reasons import known
from pilotfish.core.settings import Kind, Setting

_URL = re.compile(r"\b((?:https?|wss?|postgresql(?:\+\w+)?)://)([^\s\"'<>]+)")
_secrets: set[str] = set()
LEAST_OF_A_KEY = 6
"""Characters: a shorter part of a path is a version or the name of a chain."""
_SECRET_NAME = re.compile(r"pass|pwd|key|secret|token|sig", re.IGNORECASE)


def hide(secrets: list[str]) -> None:
    """Never show these texts, in logs or errors."""
    _secrets.update(s for s in secrets if len(s) >= 4)


def secret_parts(setting: Setting, value: str) -> list[str]:
    """What of a setting is never to be seen. Of the URLs of what is kept, and of services, only the password and what
    is called a secret; people need to see what is meant. Of a provider's, all that may be a key, wherever it stands: a
    library writes a URL its own way, and a provider may repeat the key alone."""
    whole = setting.kind is Kind.SECRET and setting.name not in ("database_url", "history_url")
    found = [value] if whole else []
    try:
        url = urlsplit(value)
        found += [url.password or ""]
    except ValueError:  # no URL
        return found
    if whole and url.netloc:
        found += [url.username or "", *(part for part in url.path.split("/") if len(part) >= LEAST_OF_A_KEY)]
    found += [text for name, text in parse_qsl(url.query) if whole or _SECRET_NAME.search(name)]
    return [*found, *map(unquote, found)]


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
    return {key: _redacted(value) for key, value in event.items()}


def _redacted(value: object) -> object:
    """A field without secrets, whatever it is made of."""
    match value:
        case None | bool() | int() | float():
            return value
        case str():
            return redact(value)
        case BaseException():
            return redact(f"{type(value).__name__}: {value}")
        case Mapping():
            return {redact(str(k)): _redacted(v) for k, v in value.items()}
        case list() | tuple():
            return [_redacted(v) for v in value]
        case _:
            return redact(repr(value))


_BOLD, _DIM, _OFF = "\x1b[1m", "\x1b[2m", "\x1b[0m"
_COLOURS = {"warning": "\x1b[33m", "error": "\x1b[31m", "critical": "\x1b[31m"}
_OF_EVERY_LINE = ("timestamp", "level", "event", "exception")
_CAUSES = ("error", "reason", "why", "detail")
"""Fields that say why: they follow the sentence after a colon, without their names."""
_FOR_MACHINES = ("id", "token_id", "condition", "since")
"""Fields that people are not shown; every other form has them."""
_BETWEEN_WORDS = re.compile(r"_|(?<=[a-z])(?=[A-Z])")
_WALLET = re.compile(r"0x[0-9a-fA-F]{40}")


class ForPeople:
    """Writes a line for people; an error's traceback follows on lines of its own."""

    def __init__(self, *, colours: bool) -> None:
        self._colours = colours

    def __call__(self, _logger: Any, _method: str, event: MutableMapping[str, Any]) -> str:
        level = str(event.get("level", "info"))
        told = {k: _told(v) for k, v in event.items() if k not in _OF_EVERY_LINE and v not in (None, "")}
        causes = [_cause(told.pop(name)) for name in _CAUSES if name in told]
        rest = [f"{_BETWEEN_WORDS.sub(' ', k).lower()} {_short(v)}" for k, v in told.items() if k not in _FOR_MACHINES]
        parts = [
            self._in(_DIM, str(event["timestamp"])[11:19]),
            self._in(_COLOURS.get(level, _DIM), level.upper()) if level != "info" else "",
            self._in(_BOLD, ": ".join([plain(str(event.get("event", ""))), *causes])),
            self._in(_DIM, f"({', '.join(rest)})") if rest else "",
        ]
        line = " ".join(part for part in parts if part)
        return redact("\n".join([line, *_lines(event.get("exception"))]))

    def _in(self, colour: str, text: str) -> str:
        return f"{colour}{text}{_OFF}" if self._colours else text


def printable(text: str) -> str:
    """A line of text without anything that a terminal would obey."""
    return "".join(ch if ch.isprintable() else "" if category(ch) == "Cf" else " " for ch in text)


def plain(text: str) -> str:
    """Other people's text on one line, without anything that a terminal would obey."""
    return " ".join(printable(text).split())


def _lines(traceback: object) -> list[str]:
    return [printable(line) for line in str(traceback or "").splitlines()]


def _told(value: object) -> str:
    return ("yes" if value else "no") if isinstance(value, bool) else plain(str(value))


def _cause(text: str) -> str:
    """A cause; the code of a decision's reason in words."""
    reason = known(text)
    return reason.words if reason is not None else text


def _short(text: str) -> str:
    """A wallet so that people can tell it from others."""
    return f"{text[:6]}…{text[-4:]}" if _WALLET.fullmatch(text) else text


def _key_value(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> str:
    """``key=value``, what every line has first."""
    ordered = {k: event[k] for k in _OF_EVERY_LINE if k in event} | dict(event)
    told = (f"{_NOT_A_KEY.sub('_', k)}={_quoted(v)}" for k, v in ordered.items())
    return redact(" ".join(told))


def _quoted(value: object) -> str:
    """A value as it stands if it is one word, else in quotes as JSON writes it."""
    text = str(value).lower() if isinstance(value, bool) else "" if value is None else str(value)
    if text and text.isprintable() and not any(ch in text for ch in ' ="\\'):
        return text
    return "".join(ch if ch.isprintable() else json.dumps(ch)[1:-1] for ch in json.dumps(text, ensure_ascii=False))


_NOT_A_KEY = re.compile(r"[^\w.-]+")


class _StandardError:
    """Standard error as it is when a line is written, not as it was when logging began."""

    def write(self, text: str) -> int:
        return sys.stderr.write(text)

    def flush(self) -> None:
        sys.stderr.flush()


class _Redacting(logging.Formatter):
    """What libraries log, tracebacks included, has no secrets either."""

    def format(self, record: logging.LogRecord) -> str:
        return redact(super().format(record))


def _tell_unforeseen(kind: type[BaseException], problem: BaseException | None, where: TracebackType | None) -> None:
    """The last word of what nobody foresaw."""
    sys.stderr.write(redact("".join(traceback.format_exception(kind, problem, where))))


def set_up(level: str, fmt: str) -> None:
    """Configure logging for the process: ``fmt`` is a choice of ``LOG_FORMAT``."""
    number = logging.getLevelName(level)
    renderers: dict[str, Any] = {
        "people": ForPeople(colours=sys.stderr.isatty() and "NO_COLOR" not in os.environ),
        "keyvalue": _key_value,
        "json": structlog.processors.JSONRenderer(),
    }
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            _redact_event,
            renderers[fmt],
        ],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.PrintLoggerFactory(_StandardError()),  # type: ignore[arg-type]
        cache_logger_on_first_use=True,
    )
    of_others = logging.StreamHandler(_StandardError())
    of_others.setFormatter(_Redacting("%(levelname)s %(name)s %(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[of_others])
    sys.excepthook = _tell_unforeseen
    threading.excepthook = lambda told: _tell_unforeseen(told.exc_type, told.exc_value, told.exc_traceback)
