"""Texts as SQLite keeps them small: what repeats by its number, what is hexadecimal by its bytes.

PostgreSQL keeps every text as it is. Nothing outside of this package sees the difference: a column is compared with
texts, and read as a text. What is to be searched or folded by its text is :class:`spelled` first, what is to be ordered
by it goes through :func:`as_text`.

A name is a text that many rows share: a wallet, a token, a title. ``names`` has it once, and rows hold its number.
Names are never taken away: a number says the same for ever, also after a reset.
"""

from __future__ import annotations

from binascii import unhexlify
from collections.abc import Collection, Mapping
from typing import Any

from sqlalchemy import BigInteger, Dialect, String, Text, and_, literal, type_coerce
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql import operators
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.elements import BindParameter, ClauseElement, ColumnElement, UnaryExpression
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.sql.selectable import Select, SelectBase
from sqlalchemy.types import NullType, TypeDecorator, TypeEngine

from pilotfish.store.declared import Declared


class spelled(FunctionElement[str]):  # noqa: N801 - used as a function of SQL
    """The text of a column of names, to order by it, or to compare it otherwise than for being equal."""

    type = Text()
    inherit_cache = True
    name = "spelled"


class ordered(FunctionElement[str]):  # noqa: N801 - used as a function of SQL
    """A column of texts, to order by it: by code points. PostgreSQL's own order is that of its database's language."""

    type = Text()
    inherit_cache = True
    name = "ordered"


@compiles(ordered)
def _as_it_is(element: ordered, compiler: SQLCompiler, **how: Any) -> str:
    return compiler.process(element.clauses, **how)


@compiles(ordered, "postgresql")
@compiles(spelled)
def _by_code_points(element: ordered | spelled, compiler: SQLCompiler, **how: Any) -> str:
    return f'({compiler.process(element.clauses, **how)}) COLLATE "C"'


@compiles(spelled, "sqlite")
def _by_its_number(element: spelled, compiler: SQLCompiler, **how: Any) -> str:
    return f"(SELECT spelled.name FROM names AS spelled WHERE spelled.id = {compiler.process(element.clauses, **how)})"


class _number(FunctionElement[int]):  # noqa: N801 - used as a function of SQL
    """The number of a text; nothing where it has none."""

    type = BigInteger()
    inherit_cache = True
    name = "number"


@compiles(_number)
def _of_names(element: _number, compiler: SQLCompiler, **how: Any) -> str:
    # in one line, and with IN: SQLAlchemy repeats it for each of many values, and of none it makes a SELECT
    return f"(SELECT known.id FROM names AS known WHERE known.name IN ({compiler.process(element.clauses, **how)}))"


class ending(FunctionElement[Any]):  # noqa: N801 - used as a function of SQL
    """The end of a column of hashes, by which SQLite looks them up: an index of half the size. What ends alike has yet
    to be compared."""

    inherit_cache = True
    name = "ending"


@compiles(ending)
def _whole(element: ending, compiler: SQLCompiler, **how: Any) -> str:
    return compiler.process(element.clauses, **how)


@compiles(ending, "sqlite")
def _last_bytes(element: ending, compiler: SQLCompiler, **how: Any) -> str:
    return f"substr({compiler.process(element.clauses, **how)}, -8)"


def ending_in(column: ColumnElement[Any], hashes: Collection[str]) -> ColumnElement[bool]:
    """Whether a column of hashes is one of some."""
    ends = ending(column)
    return and_(ends.in_([ending(literal(one, column.type)) for one in hashes]), column.in_(hashes))


_ALIKE = (operators.eq, operators.in_op, operators.is_, operators.is_not)
_OTHER = (operators.ne, operators.not_in_op)


class _Compared(TypeDecorator.Comparator[str], TypeEngine.Comparator[str]):
    def operate(self, op: Any, *other: Any, **more: Any) -> ColumnElement[Any]:
        if all(numbered_alike(one) for one in other):
            if op in _ALIKE or (op in _OTHER and all(isinstance(one, ClauseElement) for one in other)):
                return super().operate(op, *other, **more)
            if op in _OTHER:  # a name that nobody knows has no number: nothing would differ from it
                return spelled(self.expr).operate(op, *other, **more)
        raise TypeError(f"{self.expr} holds numbers of names: compare its text, as spelled() gives it")


def numbered_alike(other: object) -> bool:
    """Whether something can be held against a column of names: texts, which become numbers, or another such column."""
    if isinstance(other, SelectBase):
        return all(isinstance(column.type, Name) for column in other.selected_columns)
    return not isinstance(other, ColumnElement) or isinstance(other.type, (Name, NullType))


class Name(TypeDecorator[str]):
    """A text that many rows share, by its number in ``names``; of SQLite. Use :func:`name`.

    A text that has no number yet gets one when a row with it is inserted or updated (``numbers``).
    """

    impl = BigInteger
    cache_ok = True
    comparator_factory = _Compared

    def bind_expression(self, bindvalue: BindParameter[str]) -> ColumnElement[Any]:
        """The number of a text; nothing where it has none."""
        return _number(type_coerce(bindvalue, Text()))

    def column_expression(self, column: ColumnElement[Any]) -> ColumnElement[Any]:
        """The text of a number."""
        return spelled(column)


@compiles(Select, "sqlite")
def _ordered_by_texts(element: Select[Any], compiler: SQLCompiler, **how: Any) -> str:
    """A query, unless it is ordered by what says something else than it shows: numbers, places and bytes of texts, or
    texts that each database orders by rules of its own."""
    for by in element._order_by_clauses:
        column: ColumnElement[Any] = by
        while isinstance(column, UnaryExpression):
            column = column.element
        if isinstance(column.type, (Name, String, _OfSqlite)) and not isinstance(column, (spelled, ordered)):
            raise TypeError(f"{column} would be ordered in another way by another database: order by as_text() of it")
    written: str = compiler.visit_select(element, **how)  # type: ignore[no-untyped-call]
    return written


def as_text(column: ColumnElement[Any]) -> ColumnElement[Any]:
    """A column to order by: where it holds texts, by their code points, on every database. Raises :class:`TypeError`
    for what SQLite keeps as something else."""
    if isinstance(column.type, Name):
        return spelled(column)
    if isinstance(column.type, _OfSqlite):
        raise TypeError(f"{column} is kept as something else than its text")
    return ordered(column) if isinstance(column.type, String) else column


def name(size: int | None) -> TypeEngine[str]:
    """The type of a column of names; ``size``: characters at most, as PostgreSQL has it (``None`` = any)."""
    return Name().with_variant(Text() if size is None else String(size), "postgresql")


class _OfSqlite(TypeDecorator[str]):
    """A text that SQLite keeps as something else, where that gives the same text back."""

    impl = String
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """A column of SQLite that keeps values as they come; the text's own type elsewhere."""
        return Declared("BLOB") if dialect.name == "sqlite" else String(self.impl_instance.length)  # type: ignore[attr-defined]


class Hex(_OfSqlite):
    """``0x`` and lower-case hexadecimal digits as bytes; any other text as itself."""

    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> Any:
        """As it is kept."""
        return value if value is None or dialect.name != "sqlite" else bytes_of(value)

    def process_result_value(self, value: Any | None, dialect: Dialect) -> str | None:
        """As it was given."""
        return f"0x{value.hex()}" if isinstance(value, bytes) else value


def bytes_of(text: str) -> bytes | str:
    """A text as :class:`Hex` keeps it in SQLite."""
    if len(text) > 2 and text.startswith("0x"):
        try:
            found = unhexlify(text[2:])
        except ValueError:
            return text
        if found.hex() == text[2:]:
            return found
    return text


WORDS: Mapping[str, tuple[str, ...]] = {
    "side": ("BUY", "SELL"),
    "source": ("polygon", "api"),
    "class": ("live", "backfill", "catch-up"),
    "role": ("taker", "maker"),
    "action": ("skip", "copy", "wait", "exit"),
    "reason": (
        "SKIP_SAME_ORDER", "COPY", "COPY_GONE", "SKIP_BACKFILL", "SKIP_PAUSED", "SKIP_SIDE", "SKIP_UNSUPPORTED",
        "SKIP_UNKNOWN_MARKET", "SKIP_MARKET_CLOSED", "SKIP_POLYGON_UNHEALTHY", "SKIP_API_UNHEALTHY", "SKIP_NO_POSITION",
        "SKIP_UNEXPLAINED_EXIT", "SKIP_CATCHUP_TOO_OLD", "SKIP_CATCHUP_WORSE_PRICE", "SKIP_CATCHUP_NEW_POSITION",
        "SKIP_PRICE_RANGE", "SKIP_LEADER_SIZE", "SKIP_FILTERED", "SKIP_END_DATE", "SKIP_BUYS_PER_OUTCOME",
        "SKIP_LEADER_VALUE", "SKIP_BELOW_MIN", "SKIP_ACCUMULATING", "SKIP_DAILY_LOSS", "SKIP_CASH", "SKIP_CAP_TRADE",
        "SKIP_CAP_MARKET", "SKIP_CAP_LEADER", "SKIP_CAP_TOTAL", "SKIP_CAP_DAILY", "SKIP_CAP_POSITIONS",
        "SKIP_NO_BOOK", "SKIP_SPREAD", "SKIP_SLIPPAGE", "SKIP_DEPTH", "SKIP_RETRACTED", "SKIP_RESET",
        "EXIT_TAKE_PROFIT", "EXIT_STOP_LOSS", "EXIT_BY_HAND", "EXIT_DUST", "WAIT_MARKET", "WAIT_BOOK", "WAIT_TURN",
        "WAIT_CHAIN", "WAIT_API", "WAIT_POLYGON_UNHEALTHY", "WAIT_API_UNHEALTHY", "WAIT_REORG",
        "WAIT_HOLDINGS",
    ),
}  # fmt: skip
"""Words of this program by their places, the most frequent first (0 and 1 take no room). New ones go to the end: what
is written stays. A word that is not here is kept as it is."""


class _Places(dict[str, Any]):
    def __missing__(self, word: str | int) -> str | int:
        return word if isinstance(word, int) else str(word)


PLACES: Mapping[str, _Places] = {
    kind: _Places({word: n for n, word in enumerate(words)}) for kind, words in WORDS.items()
}
"""What SQLite keeps of a word of a kind."""


class Code(_OfSqlite):
    """A word of this program, by its place among those of its ``kind`` (:data:`WORDS`); any other text as itself."""

    cache_ok = True

    def __init__(self, kind: str, length: int) -> None:
        super().__init__(length)
        self.kind = kind

    def process_bind_param(self, value: Any, dialect: Dialect) -> Any:
        """As it is kept. A number is a place that an earlier version found (:meth:`process_result_value`)."""
        if dialect.name == "sqlite":
            return value if value is None else PLACES[self.kind][value]
        return self._word(value) if isinstance(value, int) else value

    def process_result_value(self, value: Any | None, dialect: Dialect) -> Any:
        """As it was given; the place of a later version's word as that number, which no record takes for a word, and
        a backup hands on."""
        return self._word(value) if isinstance(value, int) else value

    def _word(self, place: int) -> str | int:
        words = WORDS[self.kind]
        return words[place] if place < len(words) else place
