"""``export``: everything that is kept, for other people's tools."""

from __future__ import annotations

import sys

import msgspec
import typer
from sqlalchemy import Connection

from pilotfish.cli import session
from pilotfish.cli.choice import one_of
from pilotfish.store import exports, names
from pilotfish.store.database import snapshot

FORMATS = ("json", "csv", "parquet")
"""How rows are written."""


def export(
    kind: str = typer.Argument(help="What to export.", parser=one_of(exports.KINDS), metavar="KIND"),
    format_: str = typer.Option(
        "json",
        "--format",
        help="json (one array), csv, or parquet (into a file: > FILE).",
        parser=one_of(FORMATS),
        metavar="FORMAT",
    ),
    portfolio: str = typer.Option("", "--portfolio", help="Only of this portfolio."),
    leader: str = typer.Option("", "--leader", help="Only of this leader's wallet."),
) -> None:
    """Write all rows of a kind to standard output. Works while a worker runs."""
    with snapshot(session.reading(session.begin(), as_json=True)) as c:
        of = {"portfolio": names.wanted_portfolio(c, portfolio), "leader": names.wanted_leader(c, leader)}
        if format_ == "parquet":
            _write_parquet(c, kind, of)
            return
        rows = exports.rows(c, kind, **of)
        if format_ == "csv":
            sys.stdout.writelines(exports.csv_lines(rows))
            return
        first = True
        sys.stdout.write("[")
        for row in rows:
            sys.stdout.write("\n" if first else ",\n")
            sys.stdout.write(msgspec.json.encode(row).decode())
            first = False
        sys.stdout.write("\n]\n" if not first else "]\n")


def _write_parquet(c: Connection, kind: str, of: dict[str, str | None]) -> None:
    from pilotfish.store import arrow  # slow to import, and not needed by the other formats

    if sys.stdout.isatty():
        raise typer.BadParameter("Parquet is for files: say > FILE")
    arrow.write_parquet(arrow.reader(c, kind, **of), sys.stdout.buffer)
