"""``books``: the order books that were recorded, and those that others publish."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path

import msgspec
import typer

from pilotfish.app.book_recording import spool_of
from pilotfish.app.config import history_place, process_value
from pilotfish.cli import printed, session
from pilotfish.core.numerals import count
from pilotfish.core.settings import Value
from pilotfish.history.book_export import write_events, write_snapshots
from pilotfish.history.book_layouts import LayoutError, read_in
from pilotfish.history.book_segments import segments
from pilotfish.history.books import Recorded, recorded, rows_between
from pilotfish.history.folder import History
from pilotfish.polymarket.book_rows import BookRow
from pilotfish.store.database import database_url
from pilotfish.store.views.base import micros_of

app = typer.Typer(help="Order books that were recorded, or are brought along.", no_args_is_help=True)
SECOND = 1_000_000
FOREVER = 2**62
_TABLE = printed.Table[Recorded](
    printed.Column("token", lambda r: r.token_id, 1),
    printed.Column("from", lambda r: _minute(r.from_at), 3),
    printed.Column("to", lambda r: _minute(r.to_at), 4),
    printed.Column("whole books", lambda r: count(r.snapshots + r.answers), 2, right=True),
    printed.Column("changes", lambda r: count(r.deltas), 5, right=True),
    printed.Column("trades", lambda r: count(r.trades), 7, right=True),
    printed.Column("gaps", lambda r: count(r.gaps), 6, right=True),
)


@app.command("list")
def list_(
    as_json: bool = typer.Option(False, "--json", help="Print JSON."),
    columns: str = _TABLE.option,
    wide: bool = printed.WIDE,
) -> None:
    """Of which tokens there are books, from when to when, and how often nothing was known in between."""
    view = _TABLE.view(columns, wide=wide)
    history, spool = _places(session.begin())
    found = recorded(history, spool)
    if as_json:
        session.print_json(msgspec.to_builtins(found))
        return
    if not found:
        print(f"No order books at {history}: `pilotfish run` records those that it keeps (RECORD_BOOKS).")
        return
    size = sum(s.size for s in segments(history))
    printed.say(f"{count(len(found))} tokens, {size / 2**30:.2f} GiB at {history}.")
    view.print(found)


@app.command("export")
def export(
    to: Path = typer.Argument(help="A new file for events; a new folder for snapshots."),
    layout: str = typer.Option(
        "events", "--layout", help="events: snapshots, changes, trades; snapshots: whole books."
    ),
    token: list[str] = typer.Option([], "--token", help="Only this token; repeatable."),
    begin: str = typer.Option("", "--from", help="A day or an instant, UTC, such as 2026-11-28T12:00."),
    end: str = typer.Option("", "--to", help="The same, inclusive."),
) -> None:
    """Write recorded books as Parquet for others."""
    if layout not in ("events", "snapshots"):
        raise typer.BadParameter(f"--layout {layout[:20]!r}: expected events or snapshots")
    if to.exists():
        raise LayoutError(f"{to} exists already; name another place")
    history, spool = _places(session.begin())
    rows = _Found(rows_between(history, token, _instant(begin, 0), _instant(end, FOREVER), spool))
    if not rows.any:
        raise LayoutError(f"nothing of that was recorded; `pilotfish books list` tells what there is at {history}")
    if layout == "events":
        print(f"{count(write_events(rows, to))} rows are written to {to}")
    else:
        written, unplaced = write_snapshots(history, rows, to)
        print(f"{count(written)} books are written to {to}")
        if unplaced:
            print(f"{count(len(unplaced))} tokens are left out: their markets are not in the history")
    missing = [text for text in token if text not in rows.tokens]
    if missing:
        raise LayoutError(f"nothing was recorded of {', '.join(text[:80] for text in missing)}; the others are written")


@app.command("import")
def import_(
    path: Path = typer.Argument(help="A folder with markets.parquet and books.parquet, or a Parquet file of events."),
    as_json: bool = typer.Option(False, "--json", help="Print JSON."),
) -> None:
    """Read published order books into the folder of history."""
    history, _ = _places(session.begin())
    told = read_in(history, path)
    if as_json:
        session.print_json(msgspec.to_builtins(told))
    elif told.again:
        print(f"{path} is there already: nothing is read twice")
    else:
        print(f"{count(told.rows)} rows and {count(told.markets)} markets are read ({told.layout})")
        if told.unreadable:
            print(f"{count(told.unreadable)} rows cannot be read and are left out")


class _Found:
    """Rows on their way into a file, and of which tokens they are."""

    def __init__(self, rows: Iterator[BookRow]) -> None:
        self._first = next(rows, None)
        self._rows = rows
        self.any = self._first is not None
        self.tokens: set[str] = set()

    def __iter__(self) -> Iterator[BookRow]:
        for row in chain([] if self._first is None else [self._first], self._rows):
            self.tokens.add(row.token_id)
            yield row


def _places(env: dict[str, Value]) -> tuple[History, Path | None]:
    return History(history_place(env)), spool_of(database_url(process_value(env, "database_url")))


def _instant(text: str, otherwise: int) -> int:
    if not text:
        return otherwise
    try:
        return micros_of(text) // SECOND * SECOND
    except ValueError:
        raise typer.BadParameter(
            f"{text[:40]!r} is no day and no instant; write 2026-11-28 or 2026-11-28T12:00"
        ) from None


def _minute(at: int) -> str:
    return datetime.fromtimestamp(at // SECOND, UTC).strftime("%Y-%m-%d %H:%M")
