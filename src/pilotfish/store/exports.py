"""Everything that is kept, for other people's tools: as rows, and as CSV that a spreadsheet takes for what it is."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec
from sqlalchemy import Connection, select

from pilotfish.store import queries, report
from pilotfish.store import tables as t
from pilotfish.store.queries import Row
from pilotfish.store.views.base import iso

KINDS = (*queries.KINDS, "report", "equity")
"""What can be exported."""
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


def rows(c: Connection, kind: str, *, portfolio: str | None = None, leader: str | None = None) -> Iterator[Row]:
    """All rows of a kind, of a portfolio or leader if named, oldest first; large kinds are read in pieces."""
    if kind == "report":
        yield from map(msgspec.to_builtins, report.report(c, portfolio=portfolio, leader=leader))
    elif kind == "equity":
        e = t.equity_snapshots
        statement = select(e).order_by(e.c.id)
        if portfolio is not None:
            statement = statement.where(e.c.portfolio == portfolio)
        for r in c.execution_options(yield_per=queries.STREAMED).execute(statement):
            yield {**{k: v for k, v in r._mapping.items() if k not in ("id", "at")}, "at": iso(r.at)}
    else:
        yield from queries.export(c, kind, portfolio=portfolio, leader=leader)


def csv_lines(found: Iterable[Row]) -> Iterator[str]:
    """CSV with a header. Nested values are JSON; what a spreadsheet would take for a formula gets an apostrophe."""
    writer = None
    text = io.StringIO()
    for row in found:
        flat = {k: _cell(v) for k, v in row.items()}
        if writer is None:
            writer = csv.DictWriter(text, list(flat))
            writer.writeheader()
        writer.writerow(flat)
        yield text.getvalue()
        text.seek(0)
        text.truncate()


def _cell(value: Any) -> Any:
    if isinstance(value, (list, dict)):
        value = msgspec.json.encode(value).decode()
    if isinstance(value, str) and value[:1] in _FORMULA:
        return "'" + value
    return value
