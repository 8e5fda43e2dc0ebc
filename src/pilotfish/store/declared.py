"""Columns of SQLite by the type that they are declared with, which does not bind what they hold."""

from __future__ import annotations

from typing import Any

from sqlalchemy.types import UserDefinedType


class Declared(UserDefinedType[Any]):
    """A column's declared type; values go in and come out as they are."""

    cache_ok = True

    def __init__(self, declared: str) -> None:
        self.declared = declared

    def get_col_spec(self, **_: object) -> str:
        """The declared type."""
        return self.declared
