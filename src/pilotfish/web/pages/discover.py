"""Discover: which of many wallets would have paid to be copied; asking for a search, how far it is, what it found."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, ClassVar

import msgspec
from fastapi import APIRouter, HTTPException, Path, Query
from sqlalchemy import Connection
from starlette.responses import Response

from pilotfish.backtest.verdicts import WORDS, Verdict, came_back
from pilotfish.core import settings as s
from pilotfish.core.settings import Value
from pilotfish.store import look_backs_store
from pilotfish.store.database import snapshot
from pilotfish.store.searches_store import (
    BUDGET,
    DAYS,
    KEPT,
    LEAST_DAYS,
    LONGEST_DAYS,
    MOST,
    MOST_CANDIDATES,
    SearchSource,
)
from pilotfish.store.views.base import View as Row
from pilotfish.store.views.base import decimal
from pilotfish.store.views.leaders import read_leaders
from pilotfish.store.views.look_backs import LookBackRow, read_latest
from pilotfish.store.views.searches import (
    BoardFilter,
    SearchedWallet,
    SearchRow,
    SearchToShow,
    categories_of,
    count_board,
    read_board,
    read_search_to_show,
    read_searches,
    read_whole_board,
)
from pilotfish.web import csv_files
from pilotfish.web.api import LARGEST_ID
from pilotfish.web.filters import ANY, Choices
from pilotfish.web.render import Page
from pilotfish.web.search_answer import SearchAnswer, search_answer
from pilotfish.web.view import Looking, Name

EVERY = 0.4
SHOWN = 25
LISTED = 20
PROBLEMS = 20
"""Wallets of whom something went wrong that are named one by one."""
VERDICTS: Choices = (ANY, *((verdict.value, word.lower()) for verdict, word in WORDS.items()))
LEAST: Choices = (ANY, *((str(edge), f"{came_back(edge)} or more") for edge in (-0.1, -0.05, 0.0, 0.02, 0.05, 0.1)))
"""What a dollar came back as at least: lower ends of the edge."""
SOURCES: Choices = (
    (SearchSource.LEADERBOARD, "the venue's leaderboards"), (SearchSource.MARKETS, "who traded in the busiest markets"),
    (SearchSource.WALLETS, "a list of wallets"),
)  # fmt: skip
Number = Annotated[int, Path(ge=0, le=LARGEST_ID)]
pages = APIRouter(include_in_schema=False)


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What the address asks for: a search (``None`` = the newest that found something), and which wallets of it."""

    search: int | None = None
    verdict: str = ""
    events: int = 0
    category: str = ""
    least: str = ""

    @property
    def query(self) -> dict[str, str]:
        """The same, for links."""
        named = {"verdict": self.verdict, "category": self.category, "least": self.least}
        numbers = {"search": self.search, "events": self.events or None}
        return {
            **{name: str(n) for name, n in numbers.items() if n is not None},
            **{n: v for n, v in named.items() if v},
        }

    @property
    def filter(self) -> BoardFilter:
        """The same, for the database. What is no number is none."""
        return BoardFilter(
            verdict=self.verdict or None, events=self.events or None, category=self.category or None,
            low=_number(self.least),
        )  # fmt: skip


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """A wallet on the board; ``followed``: it is a leader here; ``looked``: the latest look back at it."""

    row: SearchedWallet
    followed: bool
    looked: LookBackRow | None


class Board(msgspec.Struct, frozen=True, kw_only=True):
    """What is shown of a search: the wallets that are wanted, so many of them on all pages; ``after`` is the place to
    continue after."""

    lines: tuple[Line, ...]
    wanted: int
    after: int | None
    categories: tuple[str, ...]


class Discover(Page, frozen=True, kw_only=True):
    """The page. ``row`` with ``found`` and ``board`` is the search that is shown, ``going`` are those that wait or run,
    ``rows`` the newest of all; ``size``: what a look back at a wallet of the board is to spend, as that search did;
    ``held``: look backs go before a search now."""

    template: ClassVar[str] = "discover.html"
    title: ClassVar[str] = "discover"
    path: ClassVar[str] = "/discover"

    row: SearchToShow | None
    found: SearchAnswer | None
    board: Board | None
    asked: Asked
    paged: bool
    size: dict[str, str]
    going: tuple[SearchRow, ...]
    held: bool
    rows: tuple[SearchRow, ...]
    choices: dict[str, Choices]
    bounds: dict[str, int]


@pages.get("/discover")
async def discover(
    view: Looking, search: Annotated[int | None, Query(ge=0, le=LARGEST_ID)] = None, verdict: Name = "",
    events: Annotated[str, Query(max_length=9)] = "", category: Name = "", least: Name = "",
    after: Annotated[int, Query(ge=0, le=MOST_CANDIDATES)] = 0,
) -> Response:  # fmt: skip
    """The page."""
    asked = _asked(search, verdict, events, category, least)
    found = await view.site.shared.get(("discover", asked, after), EVERY, lambda c: [_read(c, asked, after)])
    if search is not None and found[0].row is None:
        raise HTTPException(404, f"there is no search {search}; only the newest {KEPT} are kept")
    return view.show(found[0])


def _asked(search: int | None, verdict: str, events: str, category: str, least: str) -> Asked:
    many = int(events) if events.isdecimal() else 0
    return Asked(search=search, verdict=verdict, events=many, category=category, least=least)


def _read(c: Connection, asked: Asked, after: int) -> Discover:
    row = read_search_to_show(c, asked.search)
    rows = read_searches(c, limit=LISTED).data
    board = _board(c, row.id, asked, after) if row is not None and row.result is not None else None
    categories = board.categories if board is not None else ()
    return Discover(
        row=row, found=search_answer(row.result if row is not None else None), board=board, asked=asked,
        paged=after > 0, size=_size(row.values) if row is not None else {},
        going=tuple(one for one in reversed(rows) if not one.ended), held=look_backs_store.JOBS.anything_to_do(c),
        rows=tuple(rows),
        choices={"verdict": VERDICTS, "least": LEAST, "source": SOURCES,
                 "category": (ANY, *((name, name) for name in categories))},
        bounds={"most": MOST, "largest": MOST_CANDIDATES, "budget": BUDGET, "days": DAYS, "least_days": LEAST_DAYS,
                "longest": LONGEST_DAYS, "kept": KEPT, "problems": PROBLEMS},
    )  # fmt: skip


def _board(c: Connection, number: int, asked: Asked, after: int) -> Board:
    rows, following = read_board(c, number, asked.filter, limit=SHOWN, after=after)
    followed = {leader.wallet for leader in read_leaders(c, "followed")}
    return Board(
        lines=tuple(
            Line(row=row, followed=row.wallet in followed, looked=read_latest(c, row.wallet)) for row in rows
        ),
        wanted=count_board(c, number, asked.filter), after=following, categories=tuple(categories_of(c, number)),
    )  # fmt: skip


def _size(values: dict[str, Value]) -> dict[str, str]:
    """What is spent on an order, where that is fixed: the same question asked again has the same size."""
    if values.get("sizing_mode") != "fixed_usdc" or "fixed_usdc" not in values:
        return {}
    return {"fixed_usdc": s.text_of(s.BY_NAME["fixed_usdc"], values["fixed_usdc"])}


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


class Ranked(Row, frozen=True, kw_only=True):
    """A line of the file. The result in whole USDC; ``came_back`` and its ends are what a dollar came back as."""

    place: int
    wallet: str
    name: str
    verdict: Verdict | str
    why: str
    came_back: float | None
    low: float | None
    high: float | None
    p_value: float | None
    q_value: float
    events: int
    trades: int
    filled_share: float
    result: float
    category: str
    flags: str
    incomplete: str


@pages.get("/discover/{number}/board.csv")
def board_file(
    view: Looking, number: Number, verdict: Name = "", events: Annotated[str, Query(max_length=9)] = "",
    category: Name = "", least: Name = "",
) -> Response:  # fmt: skip
    """The board as a file for a spreadsheet, by the same filters."""
    wanted = _asked(number, verdict, events, category, least).filter
    with snapshot(view.site.database) as c:
        if read_search_to_show(c, number) is None:
            raise HTTPException(404, f"there is no search {number}")
    return csv_files.file(
        view.site.database, f"search-{number}.csv", Ranked, lambda c: _ranked(read_whole_board(c, number, wanted))
    )


def _ranked(rows: Iterator[SearchedWallet]) -> Iterator[Ranked]:
    for row in rows:
        low, high, edge = (None if x is None else round(1 + x, 6) for x in (row.low, row.high, row.edge_per_usdc))
        yield Ranked(
            place=row.place, wallet=row.wallet, name=row.name, verdict=row.verdict, why=row.why, came_back=edge,
            low=low, high=high, p_value=row.p_value, q_value=row.q_value, events=row.events, trades=row.trades,
            filled_share=row.filled_share, result=decimal(row.result_micro), category=row.category,
            flags=", ".join(row.flags), incomplete=row.incomplete,
        )  # fmt: skip
