"""Texts compared without regard to large and small letters, of any alphabet: SQLite itself knows those of English."""

from __future__ import annotations

import sqlite3
from typing import Any

from sqlalchemy import Engine, Text, event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement


class folded(FunctionElement[str]):  # noqa: N801 - used as a function of SQL
    """A text in small letters; of what is compared both sides are."""

    type = Text()
    inherit_cache = True
    name = "folded"


@compiles(folded)
def _of_the_server(element: folded, compiler: SQLCompiler, **how: Any) -> str:
    return f"lower({compiler.process(element.clauses, **how)})"


@compiles(folded, "sqlite")
def _ours(element: folded, compiler: SQLCompiler, **how: Any) -> str:
    return f"folded({compiler.process(element.clauses, **how)})"


@event.listens_for(Engine, "connect")
def _teach(connection: DBAPIConnection, _record: object) -> None:
    if isinstance(connection, sqlite3.Connection):
        connection.create_function("folded", 1, _folded, deterministic=True)


def _folded(text: str | None) -> str | None:
    return None if text is None else text.casefold()
