"""``export``: everything that is kept, for other people's tools."""

from __future__ import annotations

import sys
from enum import StrEnum

import msgspec
import typer

from pilotfish.cli import session
from pilotfish.store import exports
from pilotfish.store.database import snapshot

Kind = StrEnum("Kind", {k.upper(): k for k in exports.KINDS})  # type: ignore[misc]


class Format(StrEnum):
    """How rows are written."""

    JSON = "json"
    CSV = "csv"


def export(
    kind: Kind = typer.Argument(help="What to export."),
    format_: Format = typer.Option(Format.JSON, "--format", help="json (one array) or csv."),
    portfolio: str = typer.Option("", "--portfolio", help="Only of this portfolio."),
    leader: str = typer.Option("", "--leader", help="Only of this leader's wallet."),
) -> None:
    """Write all rows of a kind to standard output. Works while a worker runs."""
    with snapshot(session.database(session.begin())) as c:
        rows = exports.rows(c, kind.value, portfolio=portfolio or None, leader=leader.lower() or None)
        if format_ is Format.CSV:
            sys.stdout.writelines(exports.csv_lines(rows))
            return
        first = True
        sys.stdout.write("[")
        for row in rows:
            sys.stdout.write("\n" if first else ",\n")
            sys.stdout.write(msgspec.json.encode(row).decode())
            first = False
        sys.stdout.write("\n]\n" if not first else "]\n")
