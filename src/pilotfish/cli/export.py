"""``export``: everything that is kept, for other people's tools."""

from __future__ import annotations

import sys

import msgspec
import typer

from pilotfish.cli import session
from pilotfish.cli.choice import one_of
from pilotfish.store import exports, names
from pilotfish.store.database import snapshot

FORMATS = ("json", "csv")
"""How rows are written."""


def export(
    kind: str = typer.Argument(help="What to export.", parser=one_of(exports.KINDS), metavar="KIND"),
    format_: str = typer.Option(
        "json", "--format", help="json (one array) or csv.", parser=one_of(FORMATS), metavar="FORMAT"
    ),
    portfolio: str = typer.Option("", "--portfolio", help="Only of this portfolio."),
    leader: str = typer.Option("", "--leader", help="Only of this leader's wallet."),
) -> None:
    """Write all rows of a kind to standard output. Works while a worker runs."""
    with snapshot(session.reading(session.begin(), as_json=True)) as c:
        of = {"portfolio": names.wanted_portfolio(c, portfolio), "leader": names.wanted_leader(c, leader)}
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
