"""What every command begins with: the environment, logs, and the database."""

from __future__ import annotations

import os
import sys
import time
from typing import Any
from urllib.parse import urlsplit

import msgspec
from sqlalchemy import Engine

from pilotfish.app import logs
from pilotfish.app.config import environment, process_value
from pilotfish.core.settings import ALL, Kind, Value
from pilotfish.store.database import open_database

_opened: list[Engine] = []
"""Databases of the command that is running."""


def begin() -> dict[str, Value]:
    """The environment's settings; logging is set up and secrets are hidden from now on."""
    env = environment()
    logs.set_up(process_value(env, "log_level"), process_value(env, "log_format"))
    logs.hide([_secret_part(s.name, str(env[s.name])) for s in ALL if s.kind is Kind.SECRET and env.get(s.name)])
    return env


def _secret_part(name: str, value: str) -> str:
    """Of a database's URL only the password is secret; people need to see which database is meant."""
    if name != "database_url":
        return value
    return urlsplit(value).password or ""


def clean_environment() -> dict[str, str]:
    """This process's environment without any setting: what a demonstration or a measurement begins with."""
    ours = {s.env_name for s in ALL}
    return {k: v for k, v in os.environ.items() if k not in ours}


def database(env: dict[str, Value]) -> Engine:
    """The configured database, its tables up to date; closed when the command is over."""
    engine = open_database(process_value(env, "database_url"))
    _opened.append(engine)
    return engine


def close() -> None:
    """Close what :func:`database` opened: the end of every command."""
    while _opened:
        _opened.pop().dispose()


def now() -> int:
    """Microseconds since the epoch."""
    return time.time_ns() // 1000


def print_json(value: Any) -> None:
    """One JSON value on standard output."""
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(value), indent=2).decode() + "\n")
