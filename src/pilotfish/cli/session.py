"""What every command begins with: the environment, logs, and the database."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec
import typer

from pilotfish.app import logs
from pilotfish.app.config import environment, process_value
from pilotfish.core.problem import Problem
from pilotfish.core.settings import ALL, Value

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine


class NothingRecordedError(Problem):
    """What was to be changed cannot be there: there is no database yet."""


_opened: list[Engine] = []
"""Databases of the command that is running."""


def begin() -> dict[str, Value]:
    """The environment's settings; logging is set up and secrets are hidden from now on."""
    env = environment()
    logs.set_up(process_value(env, "log_level"), process_value(env, "log_format"))
    logs.hide([part for s in ALL if env.get(s.name) for part in logs.secret_parts(s, str(env[s.name]))])
    return env


def clean_environment() -> dict[str, str]:
    """This process's environment without any setting: what a demonstration or a measurement begins with."""
    ours = {s.env_name for s in ALL}
    return {k: v for k, v in os.environ.items() if k not in ours}


def database(env: dict[str, Value]) -> Engine:
    """The configured database to write to, made if need be, its tables up to date."""
    from pilotfish.store.database import open_database  # slow to import, here and below; not every command needs it

    return opened(open_database(process_value(env, "database_url")))


def opened(engine: Engine) -> Engine:
    """A database that the command opened itself; it is closed at the command's end."""
    _opened.append(engine)
    return engine


def close() -> None:
    """Close what was opened: the end of every command."""
    while _opened:
        _opened.pop().dispose()


def existing(env: dict[str, Value]) -> Engine:
    """The configured database to change what is in it; raises :class:`NothingRecordedError` where there is none."""
    from pilotfish.store.database import OlderDatabaseError, nothing_recorded, open_database, open_to_read

    configured = process_value(env, "database_url")
    try:
        found = open_to_read(configured)
    except OlderDatabaseError:
        return opened(open_database(configured))
    if found is None:
        raise NothingRecordedError(f"{nothing_recorded(configured)} `pilotfish run` makes it")
    found.dispose()
    return opened(open_database(configured))


def reading(env: dict[str, Value], *, as_json: bool, code: int = 0) -> Engine:
    """The configured database to read, of which nothing is changed. Where there is none yet, people are told so and the
    command ends with ``code``; what reads JSON gets an empty answer of the same shape."""
    from pilotfish.store.database import empty_database, nothing_recorded, open_to_read

    configured = process_value(env, "database_url")
    found = open_to_read(configured)
    if found is not None:
        return opened(found)
    if not as_json:
        print(nothing_recorded(configured))
        raise typer.Exit(code)
    return opened(empty_database())


def keep(env: dict[str, Value], store: Callable[[Connection], object]) -> None:
    """Keep an answer where the dashboard finds it; where there is no database to write to, it is only shown."""
    from sqlalchemy.exc import SQLAlchemyError

    from pilotfish.store.database import DatabaseError

    try:
        with existing(env).begin() as c:
            store(c)
    except NothingRecordedError:
        return
    except (DatabaseError, SQLAlchemyError) as problem:
        print(f"The answer is not kept ({str(problem).splitlines()[0][:200]}).", file=sys.stderr)


def now() -> int:
    """Microseconds since the epoch."""
    return time.time_ns() // 1000


def print_json(value: object) -> None:
    """One JSON value on standard output."""
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(value), indent=2).decode() + "\n")
