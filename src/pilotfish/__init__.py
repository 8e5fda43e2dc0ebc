"""pilotfish follows chosen Polymarket wallets and copies their trades into paper portfolios.

``core`` decides, ``polymarket`` speaks to the venue, ``feeds`` turn services into events, ``store`` keeps,
``app`` runs it all, ``web`` and ``cli`` show it, ``sim`` is a stand-in venue on localhost.

For notebooks and scripts: :func:`read` and :func:`sql` give what is kept as Arrow tables (``.to_pandas()``,
``polars.from_arrow(…)``).
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow

__version__ = "0.1.0"
__all__ = ["__version__", "read", "sql"]
_QUESTIONS = "pilotfish.app.questions"
"""Imported when it is asked: every other module is below this one."""


def read(kind: str, database: str = "", *, portfolio: str = "", leader: str = "") -> pyarrow.Table:
    """All rows of a kind of export (``pilotfish export --help`` names them) as an Arrow table, while a worker runs or
    not. Amounts are integers in millionths (``…_micro``), instants timestamps in UTC, what is nested JSON text.

    ``database``: the path of a SQLite file, or a URL; empty = ``DATABASE_URL``, else the platform's own. ``portfolio``
    and ``leader`` (wallet or label) narrow it. Raises :class:`~pilotfish.core.problem.Problem`, which says what to do.
    """
    return import_module(_QUESTIONS).read(kind, database, portfolio=portfolio, leader=leader)


def sql(question: str, database: str = "", history: str = "") -> pyarrow.Table:
    """The answer to one SELECT in DuckDB's SQL as an Arrow table; it can change nothing, and read nothing else of this
    machine.

    Tables: the kinds of :func:`read`, and of pulled history ``history_activity``, ``history_tape``, ``history_prices``,
    ``history_markets``, ``history_positions`` and ``history_books`` with the columns of ``docs/history.md`` after their
    ``key``. ``history``: its folder or URL; empty = ``HISTORY_URL``, else beside the database. Raises
    :class:`~pilotfish.core.problem.Problem`.
    """
    return import_module(_QUESTIONS).sql(question, database, history)
