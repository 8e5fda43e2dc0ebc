"""``sql``: questions to what is kept."""

from __future__ import annotations

import sys
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

import typer

from pilotfish.cli import printed, session
from pilotfish.cli.choice import one_of
from pilotfish.cli.printed import Column, Table
from pilotfish.core.numerals import NOTHING

if TYPE_CHECKING:
    import pyarrow as pa

FORMATS = ("table", "json", "csv", "parquet")


def sql(
    question: str = typer.Argument(metavar="SELECT", help="One SELECT in DuckDB's SQL; - is standard input."),
    as_json: bool = typer.Option(False, "--json", help="The same as --format json."),
    format_: str = typer.Option(
        "table", "--format", help="table, json, csv, or parquet (into a file: > FILE).", parser=one_of(FORMATS),
        metavar="FORMAT",
    ),
    wide: bool = printed.WIDE,
) -> None:  # fmt: skip
    """Answer one SELECT over what is kept and over pulled history; nothing can be changed by it. Tables: the kinds of
    `export`, and history_activity, history_tape, history_prices, history_markets, history_positions, history_books."""
    from pilotfish.app import questions  # slow to import

    session.begin()
    answer = questions.sql(sys.stdin.read() if question == "-" else question)
    if as_json or format_ == "json":
        session.print_json([{name: _plain(value) for name, value in row.items()} for row in answer.to_pylist()])
    elif format_ == "csv":
        _write_csv(answer)
    elif format_ == "parquet":
        _write_parquet(answer)
    else:
        _print(answer, wide=wide)


def _plain(value: object) -> object:
    """A value as JSON has it: instants in ISO 8601 UTC, whole decimals (sums) as integers."""
    match value:
        case datetime():
            return value.isoformat(timespec="microseconds").replace("+00:00", "Z")
        case date() | time():
            return value.isoformat()
        case timedelta():
            return value.total_seconds()
        case Decimal():
            return int(value) if value == value.to_integral_value() else float(value)
        case dict():
            return {str(k): _plain(v) for k, v in value.items()}
        case list():
            return [_plain(v) for v in value]
        case bytes():
            return value.hex()
        case _:
            return value


def _write_csv(answer: pa.Table) -> None:
    from pyarrow import csv

    csv.write_csv(answer, sys.stdout.buffer)


def _write_parquet(answer: pa.Table) -> None:
    from pilotfish.store.arrow import write_parquet

    if sys.stdout.isatty():
        raise typer.BadParameter("Parquet is for files: say > FILE")
    write_parquet(answer.to_reader(), sys.stdout.buffer)


def _print(answer: pa.Table, *, wide: bool) -> None:
    columns = [_column(n, field) for n, field in enumerate(answer.schema)]
    rows = zip(*(column.to_pylist() for column in answer.columns), strict=True)
    Table(*columns).view(wide=wide, more="--wide").print(rows)


def _column(n: int, field: pa.Field) -> Column[tuple[object, ...]]:
    from pyarrow import types

    right = types.is_integer(field.type) or types.is_floating(field.type) or types.is_decimal(field.type)
    return Column(
        field.name, lambda row: NOTHING if row[n] is None else str(_plain(row[n])), n + 1, right=right,
        least=0 if right else 12,
    )  # fmt: skip
