"""What a page shows as a file for a spreadsheet: the same rows by the same filters, all pages of them, streamed.

Amounts are in plain units, and names and titles stand beside what they are the names of. The raw rows, in millionths,
are exports of REST.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from sqlalchemy import Connection, Engine
from starlette.responses import Response, StreamingResponse

from pilotfish.core.units import MICRO, format_micro
from pilotfish.store import names
from pilotfish.store.database import snapshot
from pilotfish.store.exports import csv_lines
from pilotfish.store.portfolios_store import MAIN
from pilotfish.store.views.base import Page, View

T = TypeVar("T")
PAGE = 500
"""Rows read at a time."""


def file(
    database: Engine, name: str, kind: type[View], rows: Callable[[Connection], Iterable[View]], portfolio: str = MAIN
) -> Response:  # fmt: skip
    """Rows of a kind as a file of this name, all of one instant. Raises
    :class:`~pilotfish.core.names.UnknownNameError` for a ``portfolio`` that there never was."""
    with snapshot(database) as c:
        names.portfolio(c, portfolio)

    def lines() -> Iterator[str]:
        with snapshot(database) as c:
            yield from csv_lines(rows(c), kind)

    said = {"Content-Disposition": f'attachment; filename="{name}"'}
    return StreamingResponse(lines(), headers=said, media_type="text/csv; charset=utf-8")


def all_pages(read: Callable[[int | None], Page[T]]) -> Iterator[T]:
    """The rows of one page after the other; ``read`` gives the page that begins before a number."""
    before = None
    while True:
        page = read(before)
        yield from page.data
        before = page.next_before
        if before is None:
            return


def amount(micro: int | None) -> str:
    """Shares, USDC or a price in whole units, to the last digit; empty = there is none."""
    return "" if micro is None else format_micro(micro)


def price_text(price: float | None) -> str:
    """A price that is a decimal already; empty = there is none."""
    return "" if price is None else format_micro(round(price * MICRO))
