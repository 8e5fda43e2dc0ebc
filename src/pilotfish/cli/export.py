"""``export``: everything that is kept, for other people's tools."""

from __future__ import annotations

import csv
import sys
from enum import StrEnum
from typing import Any

import msgspec
import typer

from pilotfish.cli import session
from pilotfish.store import queries

Kind = StrEnum("Kind", {k.upper(): k for k in queries.KINDS})  # type: ignore[misc]


class Format(StrEnum):
    """How rows are written."""

    JSON = "json"
    CSV = "csv"


def export(
    kind: Kind = typer.Argument(help="What to export."),
    format_: Format = typer.Option(Format.JSON, "--format", help="json (one array) or csv."),
) -> None:
    """Write all rows of a kind to standard output. Works while a worker runs."""
    with session.database(session.begin()).connect() as c:
        rows = queries.export(c, kind.value)
        if format_ is Format.CSV:
            _csv(rows)
            return
        first = True
        sys.stdout.write("[")
        for row in rows:
            sys.stdout.write("\n" if first else ",\n")
            sys.stdout.write(msgspec.json.encode(row).decode())
            first = False
        sys.stdout.write("\n]\n" if not first else "]\n")


def _csv(rows: Any) -> None:
    writer = None
    for row in rows:
        flat = {k: _cell(v) for k, v in row.items()}
        if writer is None:
            writer = csv.DictWriter(sys.stdout, list(flat))
            writer.writeheader()
        writer.writerow(flat)


def _cell(value: Any) -> Any:
    """A cell that a spreadsheet does not take for a formula."""
    if isinstance(value, (list, dict)):
        value = msgspec.json.encode(value).decode()
    if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r"):
        return "'" + value
    return value
