"""The list of all portfolios: a row each, by any figure, found by words of their names, in pages; as a file, too."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, TypeAlias

import msgspec
from fastapi import Depends, Query

from pilotfish.core.names import has_words
from pilotfish.core.units import format_micro
from pilotfish.store.portfolios_store import MAIN
from pilotfish.store.views.base import View
from pilotfish.store.views.foremost import gained
from pilotfish.store.views.portfolios import Portfolio
from pilotfish.web.view import Name

PAGE = 50
BESIDE = 6
"""So many portfolios are shown side by side without being chosen: all where there are no more, else ``main``, the one
that pages are about, and those that made most of their bankroll."""
MOST_BESIDE = 12
"""Most that can be put side by side: as many columns as can be read."""
ARCHIVED = "archived"


class Sort(StrEnum):
    """What the list can be sorted by."""

    NAME = "name"
    PROFIT = "profit"
    RETURN = "return"
    EQUITY = "equity"
    DRAWDOWN = "drawdown"
    OPEN = "open"
    COPIES = "copies"
    SINCE = "since"


COLUMNS = (
    (Sort.NAME, "portfolio", ""), (Sort.PROFIT, "profit", "num"), (Sort.RETURN, "of its bankroll", "num"),
    (Sort.EQUITY, "equity", "num"), (Sort.DRAWDOWN, "worst drawdown", "num"), (Sort.OPEN, "open", "num"),
    (Sort.COPIES, "whom it copies", "num"), (Sort.SINCE, "since", ""), ("", "side by side", "num"),
)  # fmt: skip
"""What a column sorts by, its head, its class."""


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What the address asks for. ``portfolio``: the one that pages are about; ``beside``: who is to be side by side,
    none = as it comes."""

    portfolio: str
    beside: tuple[str, ...]
    start: str
    words: str
    archived: bool
    sort: Sort
    up: bool
    number: int

    @property
    def query(self) -> dict[str, str | tuple[str, ...]]:
        """The same, for links; without the page."""
        return {
            "portfolio": self.portfolio, "with": self.beside, "from": self.start, "q": self.words,
            "status": ARCHIVED if self.archived else "",
            "sort": "" if (self.sort, self.up) == (Sort.RETURN, False) else ("" if self.up else "-") + self.sort,
        }  # fmt: skip


def _asked(
    beside: Annotated[list[str] | None, Query(alias="with")] = None,
    start: Annotated[str, Query(alias="from", max_length=20)] = "", q: Name = "", status: Name = "", sort: Name = "",
    page: Name = "1", portfolio: Name = "",
) -> Asked:  # fmt: skip
    """What makes no sense is passed over."""
    name = sort.removeprefix("-")
    known = name in set(Sort)
    return Asked(
        portfolio=portfolio, beside=tuple(dict.fromkeys(beside or ()))[:MOST_BESIDE],
        start="start" if start == "start" else "", words=q.strip(),
        archived=status == ARCHIVED, sort=Sort(name) if known else Sort.RETURN, up=known and not sort.startswith("-"),
        number=max(1, int(page) if page.isdecimal() and len(page) < 7 else 1),
    )  # fmt: skip


Wanted: TypeAlias = Annotated[Asked, Depends(_asked)]


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """A portfolio. ``copies``: how many leaders, ``None`` = all; ``beside``: it is side by side with others;
    ``toggled``: who is once it is put there, or taken away; empty = that cannot be."""

    row: Portfolio
    copies: int | None
    beside: bool
    toggled: tuple[str, ...]


class Listed(msgspec.Struct, frozen=True, kw_only=True):
    """A page of the list. ``matching`` of ``total`` have the words; ``archived``: how many there are of those."""

    asked: Asked
    columns: tuple[tuple[str, str, str], ...]
    rows: tuple[Row, ...]
    matching: int
    total: int
    active: int
    archived: int
    of_pages: int


def beside(active: Sequence[Portfolio], chosen: Iterable[str], about: str = MAIN) -> list[Portfolio]:
    """Which are side by side: ``main`` and those chosen; else all where there are few, or of many the one that pages
    are ``about`` and the best; one that has copied nothing yet is not among those while others have. In the order of
    their making."""
    wanted = {p.name for p in active} & set(chosen)
    if not wanted:
        if len(active) <= BESIDE:
            return list(active)
        others = [p for p in active if p.name != MAIN]
        others.sort(key=lambda p: (p.name == about, _has_copied(p), gained(p)), reverse=True)
        wanted = {p.name for p in others[: BESIDE - 1]}
    return [p for p in active if p.name in wanted or p.name == MAIN][:MOST_BESIDE]


def _has_copied(p: Portfolio) -> bool:
    return bool(p.open_positions or p.won or p.lost or p.fees_micro or p.realized_pnl_micro)


def listed(
    rows: Sequence[Portfolio], copies: dict[str, int | None], shown: Sequence[Portfolio], asked: Asked
) -> Listed:
    """The page of the list that is asked for."""
    names = [p.name for p in shown]
    of_status = [p for p in rows if (p.status != "active") == asked.archived]
    found = matching(of_status, copies, asked)
    begin = (asked.number - 1) * PAGE
    archived = sum(1 for p in rows if p.status != "active")
    return Listed(
        asked=asked, columns=COLUMNS, rows=tuple(_row(p, copies, names) for p in found[begin : begin + PAGE]),
        matching=len(found), total=len(of_status), active=len(rows) - archived, archived=archived,
        of_pages=-(-len(found) // PAGE),
    )  # fmt: skip


def matching(rows: Iterable[Portfolio], copies: dict[str, int | None], asked: Asked) -> list[Portfolio]:
    """Those that have all words in their names, sorted; those alike by name."""
    found = sorted((p for p in rows if has_words(p.name, asked.words)), key=lambda p: p.name)
    return sorted(found, key=_keys(copies)[asked.sort], reverse=not asked.up)


def _keys(copies: dict[str, int | None]) -> dict[Sort, Callable[[Portfolio], float | str]]:
    def whom(p: Portfolio) -> float:
        number = copies.get(p.name)
        return float("inf") if number is None else number

    return {
        Sort.NAME: lambda p: p.name.casefold(),
        Sort.PROFIT: lambda p: p.equity_micro - p.bankroll_micro,
        Sort.RETURN: gained,
        Sort.EQUITY: lambda p: p.equity_micro,
        Sort.DRAWDOWN: lambda p: p.drawdown_micro,
        Sort.OPEN: lambda p: p.open_positions,
        Sort.COPIES: whom,
        Sort.SINCE: lambda p: p.began_at or "",
    }


def _row(p: Portfolio, copies: dict[str, int | None], names: list[str]) -> Row:
    there = p.name in names
    toggled = tuple(n for n in names if n != p.name) if there else (*names, p.name)
    can = p.status == "active" and p.name != MAIN and (there or len(names) < MOST_BESIDE)
    return Row(row=p, copies=copies.get(p.name), beside=there, toggled=(toggled or (MAIN,)) if can else ())


class CsvLine(View, frozen=True, kw_only=True):
    """A portfolio as a line of a file. Times are UTC; ``copies``: how many leaders, or ``all``."""

    portfolio: str
    status: str
    profit_usdc: Decimal
    profit_percent: float
    bankroll_usdc: Decimal
    equity_usdc: Decimal
    cash_usdc: Decimal
    realised_usdc: Decimal
    unrealised_usdc: Decimal
    fees_usdc: Decimal
    worst_drawdown_usdc: Decimal
    open_positions: int
    won: int
    lost: int
    copies: str
    since: str
    note: str


def csv_line(p: Portfolio, copies: int | None) -> CsvLine:
    """A row of the file."""
    began = p.began_at
    return CsvLine(
        portfolio=p.name, status=p.status, profit_usdc=_exact(p.equity_micro - p.bankroll_micro),
        profit_percent=round(100 * gained(p), 4), bankroll_usdc=_exact(p.bankroll_micro),
        equity_usdc=_exact(p.equity_micro), cash_usdc=_exact(p.cash_micro), realised_usdc=_exact(p.realized_pnl_micro),
        unrealised_usdc=_exact(p.unrealized_pnl_micro), fees_usdc=_exact(p.fees_micro),
        worst_drawdown_usdc=_exact(p.drawdown_micro), open_positions=p.open_positions, won=p.won, lost=p.lost,
        copies="all" if copies is None else str(copies),
        since=f"{datetime.fromisoformat(began):%Y-%m-%d %H:%M:%S}" if began else "", note=p.note,
    )  # fmt: skip


def _exact(micro: int) -> Decimal:
    return Decimal(format_micro(micro))
