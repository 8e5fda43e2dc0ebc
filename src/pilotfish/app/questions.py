"""What is kept, for people who calculate: rows as Arrow, and questions in SQL that nothing can change anything by.

``pilotfish.read``, ``pilotfish.sql`` and the commands ``export`` and ``sql`` stand on this.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
import pyarrow as pa
from sqlalchemy import Engine

from pilotfish.app.config import environment, history_place, process_value
from pilotfish.core.names import unknown
from pilotfish.core.problem import Problem
from pilotfish.history import tables as past
from pilotfish.history.folder import History
from pilotfish.store import arrow, exports, names
from pilotfish.store.database import nothing_recorded, open_to_read, snapshot

OF_HISTORY = {f"history_{kind}": kind for kind in past.KINDS}
"""The tables of history, and the kind of each."""
TABLES = (*exports.KINDS, *OF_HISTORY)
"""What can be asked for by SQL."""


class QuestionError(Problem, ValueError):
    """A question that cannot be answered; the message says why."""


def read(kind: str, database: str = "", *, portfolio: str = "", leader: str = "") -> pa.Table:
    """All rows of a kind of export; see :func:`pilotfish.read`."""
    if kind not in exports.KINDS:
        raise unknown("kind", kind, exports.KINDS)
    with _opened(_place(database)) as engine, snapshot(engine) as c:
        of = {"portfolio": names.wanted_portfolio(c, portfolio), "leader": names.wanted_leader(c, leader)}
        return arrow.reader(c, kind, **of).read_all()


def sql(question: str, database: str = "", history: str = "") -> pa.Table:
    """The answer to a question; see :func:`pilotfish.sql`. Only the tables that it names are loaded, those of the
    database as they were at one instant. Raises :class:`QuestionError`."""
    with tempfile.TemporaryDirectory(prefix="pilotfish-sql-") as spill, duckdb.connect(":memory:") as duck:
        duck.execute(f"SET temp_directory = '{spill}'")
        duck.execute("SET python_enable_replacements = false")
        duck.execute("SET TimeZone = 'UTC'")
        try:
            _load(duck, _named(duck, question), database, history)
            duck.execute("SET enable_external_access = false")
            duck.execute("SET lock_configuration = true")
            return duck.execute(question).to_arrow_table()
        except duckdb.Error as problem:
            raise QuestionError(f"the question cannot be answered: {str(problem).splitlines()[0]}") from None


def _named(duck: duckdb.DuckDBPyConnection, question: str) -> list[str]:
    """The tables that one question reads; what is no question is refused."""
    found = duck.extract_statements(question)
    if len(found) != 1 or found[0].type != duckdb.StatementType.SELECT:
        raise QuestionError("expected one SELECT: nothing can be changed by `pilotfish sql`")
    named = sorted(str(name).lower() for name in duck.get_table_names(question))
    for name in named:
        if name not in TABLES:
            raise unknown("table", name, TABLES)
    return named


def _load(duck: duckdb.DuckDBPyConnection, named: list[str], database: str, history: str) -> None:
    kept = [name for name in named if name not in OF_HISTORY]
    if kept:
        with _opened(_place(database)) as engine, snapshot(engine) as c:
            for name in kept:
                _fill(duck, name, arrow.reader(c, name))
    if len(kept) < len(named):
        folder = History(history or history_place(environment()))
        for name in set(named) - set(kept):
            _fill(duck, name, past.reader(folder, OF_HISTORY[name]))


def _fill(duck: duckdb.DuckDBPyConnection, name: str, rows: pa.RecordBatchReader) -> None:
    duck.register("loading", rows)
    duck.execute(f'CREATE TABLE "{name}" AS SELECT * FROM loading')
    duck.unregister("loading")


def _place(database: str) -> str:
    """Where a database is: a URL, a SQLite file, or (empty) what the environment says."""
    if not database:
        return process_value(environment(), "database_url")
    return database if "://" in database else f"sqlite:///{Path(database).expanduser().absolute()}"


@contextmanager
def _opened(configured: str) -> Iterator[Engine]:
    found = open_to_read(configured)
    if found is None:
        raise QuestionError(nothing_recorded(configured))
    try:
        yield found
    finally:
        found.dispose()
