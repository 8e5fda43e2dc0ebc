"""What commands print for people: sentences, and tables with one line a row.

Nothing that was asked for is cut. A pipe gets every column that a table usually has, each row on one line however long
it is. A terminal gets as many columns as fit whole, the most important first, and a line that names the others; only
columns of text (a market's title) may be shortened there, never numbers, names and identifiers. Other people's text is
printed without anything that a terminal would obey, and is no markup.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeAlias, TypeVar

import typer
from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.text import Text

from pilotfish.app.logs import plain, printable
from pilotfish.cli.choice import one_of
from pilotfish.core.numerals import NOTHING

Row = TypeVar("Row")
Part: TypeAlias = str | tuple[str, str]
"""A text, or a text and the style that it has at a terminal."""
GAP = 2
"""Cells between two columns; within a column no two spaces follow each other."""
WIDE: Any = typer.Option(False, "--wide", help="Show every column of the table whole, however wide the terminal is.")
PIPE = "a wider terminal or a pipe shows them"
"""What shows more columns of a command that has no option for it."""


def minute(at: str | None) -> str:
    """An ISO time to its minute, as tables show it; nothing of nothing."""
    return (at or "")[:16].replace("T", " ")


@dataclass(frozen=True, slots=True)
class Column(Generic[Row]):
    """A column of a table; its heading is the name that ``--columns`` takes.

    ``place`` is its place in the order of importance, 1 first. ``right``: figures. ``least``: of a column of text, to
    how many cells it may be shortened at a terminal; 0 = it is never shortened. ``extra``: shown only if asked for.
    """

    name: str
    cell: Callable[[Row], Part]
    place: int
    right: bool = False
    least: int = 0
    extra: bool = False


class Table(Generic[Row]):
    """The columns of one kind of table, in the order in which they are shown."""

    def __init__(self, *columns: Column[Row]) -> None:
        self.columns = columns
        self.names = tuple(column.name for column in columns)

    @property
    def option(self) -> Any:
        """``--columns`` of a command that prints this table."""
        told = f"Only these columns, in this order, separated by commas: {', '.join(self.names)}."
        return typer.Option("", "--columns", metavar="NAMES", help=told)

    def view(self, names: str = "", *, wide: bool = False, more: str = "--wide or --columns") -> View[Row]:
        """The table as somebody asked for it; ``more``: what shows the columns that find no room. Raises
        :class:`typer.BadParameter` for a name that is no column's."""
        named = _named(names, self.names)
        by_name = dict(zip(self.names, self.columns, strict=True))
        picked = tuple(by_name[name] for name in named)
        usual = tuple(column for column in self.columns if wide or not column.extra)
        return View(picked or usual, tuple(c for c in self.columns if c not in usual), bool(picked), wide, more)


def _named(names: str, known: Sequence[str]) -> list[str]:
    if not names:
        return []
    by_fold = {name.casefold(): name for name in known}
    given = [name.strip() for name in names.split(",") if name.strip()]
    named = list(dict.fromkeys(one_of(known)(by_fold.get(name.casefold(), name)) for name in given))
    if not named:
        raise typer.BadParameter(f"--columns names none; there are: {', '.join(known)}")
    return named


@dataclass(frozen=True, slots=True)
class View(Generic[Row]):
    """A table's columns as they were asked for; ``left_out`` are those that nobody asked for."""

    columns: tuple[Column[Row], ...]
    left_out: tuple[Column[Row], ...]
    picked: bool
    wide: bool
    more: str

    def print(self, rows: Iterable[Row]) -> None:
        """Print the rows under their headings."""
        print_lines(self.lines(rows))

    def lines(self, rows: Iterable[Row]) -> list[Text]:
        """The heading, a line a row, and at a terminal what is not shown."""
        cells = [[_cell(column.cell(row)) for column in self.columns] for row in rows]
        widths = [
            max(cell_len(text) for text, _ in [(column.name, ""), *(row[n] for row in cells)])
            for n, column in enumerate(self.columns)
        ]
        shown = dict(enumerate(widths))
        if sys.stdout.isatty() and not self.wide:
            empty = {n for n in shown if all(row[n][0] == NOTHING for row in cells)}
            shown = self._fitted(widths, empty, Console().width)
        told = [[(column.name, "bold") for column in self.columns], *cells]
        return [self._line(row, shown) for row in told] + self._hidden(shown)

    def _fitted(self, widths: list[int], empty: set[int], room: int) -> dict[int, int]:
        """Of the columns that find room (by their number, in order) the width that each has; those in which nothing
        stands take what the others leave."""
        least = [min(width, c.least or width) for width, c in zip(widths, self.columns, strict=True)]
        ranked = sorted(range(len(widths)), key=lambda n: self.columns[n].place)
        fitted: dict[int, int] = {}
        left = room + GAP
        for some in ([n for n in ranked if n not in empty], [n for n in ranked if n in empty]):
            for n in some:
                if self.picked or not fitted or least[n] + GAP <= left:
                    fitted[n] = least[n]
                    left -= least[n] + GAP
            for n in some:
                if n in fitted:
                    more = max(0, min(left, widths[n] - least[n]))
                    fitted[n] += more
                    left -= more
        return dict(sorted(fitted.items()))

    def _line(self, row: Sequence[tuple[str, str]], shown: dict[int, int]) -> Text:
        line = Text(no_wrap=True, overflow="ignore")
        last = max(shown)
        for n, width in shown.items():
            text, style = row[n]
            if cell_len(text) > width:
                text = set_cell_size(text, width - 1).rstrip() + "…"
            space = " " * (width - cell_len(text))
            right = self.columns[n].right
            line.append(space if right else "")
            line.append(text, style)
            line.append("" if n == last else (" " * GAP if right else space + " " * GAP))
        return line

    def _hidden(self, shown: dict[int, int]) -> list[Text]:
        hidden = [column.name for n, column in enumerate(self.columns) if n not in shown]
        if not self.picked:
            hidden += [column.name for column in self.left_out]
        if not hidden or self.picked or not sys.stdout.isatty():
            return []
        told = f"{len(hidden)} more column{'s' if len(hidden) != 1 else ''}: {', '.join(hidden)}; {self.more}"
        return [Text(told, style="dim")]


def _cell(part: Part) -> tuple[str, str]:
    text, style = (part, "") if isinstance(part, str) else part
    return plain(text) or NOTHING, style


def sentence(*parts: Part) -> Text:
    """Text that a terminal breaks between words, and a pipe never."""
    line = Text()
    for part in parts:
        text, style = (part, "") if isinstance(part, str) else part
        line.append(printable(text), style)
    return line


def say(*parts: Part) -> None:
    """Print a :func:`sentence`."""
    print_lines([sentence(*parts)])


def say_beside(lead: Sequence[Part], *parts: Part) -> None:
    """Print a sentence beside what leads it: a terminal breaks it below its own beginning."""
    console, begin, rest = Console(highlight=False), sentence(*lead), sentence(*parts)
    room = console.width - begin.cell_len
    if not sys.stdout.isatty() or room < begin.cell_len:
        print_lines([begin + rest])
        return
    for line in rest.wrap(console, room):
        line.rstrip()
        console.print(begin + line, soft_wrap=True)
        begin = Text(" " * begin.cell_len)


def print_lines(lines: Iterable[Text]) -> None:
    """Print lines: of a table each as it is, of sentences as the terminal has room."""
    console, piped = Console(highlight=False), not sys.stdout.isatty()
    for line in lines:
        console.print(line, soft_wrap=piped or bool(line.no_wrap))
