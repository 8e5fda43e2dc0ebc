"""How names get their numbers (``interned``): in the transaction that needs them, whoever writes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from sqlalchemy import Connection, Engine, Table, event
from sqlalchemy.sql.dml import Insert, Update
from sqlalchemy.sql.elements import BindParameter

from pilotfish.store.interned import Name, numbered_alike


class Numbers(dict[str, int]):
    """The numbers of names that a writer has met, of one database. A name that has none gets one, in the transaction
    that needs it.

    What was learned in a transaction is asked for once more when the next one begins: a transaction that was rolled
    back took its names with it.
    """

    MOST = 200_000
    """Names that are kept; all are forgotten when there are more."""

    def __init__(self) -> None:
        super().__init__()
        self._transaction: object = None
        self._learned: dict[str, int] = {}
        self._cursor: Any = None

    def begin(self, c: Connection) -> None:
        """Give numbers in the transaction that ``c`` is in."""
        transaction = c.get_transaction() or c.begin()
        if transaction is not self._transaction:
            self._cursor = c.connection.cursor()
            if len(self) > self.MOST:
                self.forget_all()
            for text, number in list(self._learned.items()):
                if self._asked(text) != number:
                    self.pop(text, None)
            self._learned.clear()
            self._transaction = transaction

    def __missing__(self, text: str) -> int:
        number = self._asked(text)
        if number is None:  # by now somebody else may have given it one
            self._cursor.execute("INSERT INTO names (name) VALUES (?) ON CONFLICT DO NOTHING", (text,))
            number = self._asked(text)
            assert number is not None, "it is there now"
        self[text] = self._learned[text] = number
        return number

    def forget(self, texts: Iterable[str]) -> None:
        """Ask anew for what somebody else gives numbers to."""
        for text in texts:
            self.pop(text, None)
            self._learned.pop(text, None)

    def forget_all(self) -> None:
        """Ask anew for all: the names were taken away with their table."""
        self.clear()
        self._learned.clear()

    def _asked(self, text: str) -> int | None:
        row = self._cursor.execute("SELECT id FROM names WHERE name = ?", (text,)).fetchone()
        return None if row is None else int(row[0])


def numbers_of(engine: Engine) -> Numbers:
    """The numbers that are known of a database. They live as long as its engine, which they refer to."""
    numbers: Numbers = vars(engine).setdefault("pilotfish_numbers", Numbers())
    return numbers


@event.listens_for(Engine, "before_execute")
def _numbered(c: Connection, clause: Any, many: Any, one: Any, _options: Any) -> None:
    """Before rows are inserted or changed: their names get numbers, so that nobody has to think of it."""
    if isinstance(clause, (Insert, Update)) and c.dialect.name == "sqlite" and isinstance(clause.table, Table):
        columns = {column.key for column in clause.table.columns if isinstance(column.type, Name)}
        if columns:
            texts = sorted(set(_said(clause, columns, [*many, *([one] if one else ())])))
            if texts:
                c.exec_driver_sql("INSERT INTO names (name) VALUES (?) ON CONFLICT DO NOTHING", [(x,) for x in texts])
                numbers_of(c.engine).forget(texts)


def _said(clause: Insert | Update, columns: set[str], rows: list[Mapping[str, Any]]) -> Iterator[str]:
    """All texts that a statement writes into columns of names."""
    fixed: list[Any] = [clause._values or {}, *(row for rows_ in clause._multi_values for row in rows_)]
    for values in fixed:
        for key, value in values.items():
            if getattr(key, "key", key) in columns:
                yield from _texts(value, rows)
    for row in rows:
        yield from (row[key] for key in columns & row.keys() if isinstance(row[key], str))


def _texts(value: Any, rows: list[Mapping[str, Any]]) -> Iterator[str]:
    """What a value that is given with the statement says. Raises :class:`TypeError` for what would be written as it is,
    and not by its number."""
    if not numbered_alike(value):
        raise TypeError(f"{value} has no number: give the text itself")
    if isinstance(value, BindParameter):
        found = [row[value.key] for row in rows if value.key in row] or [value.value]
        yield from (x for x in found if isinstance(x, str))
    elif isinstance(value, str):
        yield value
