"""Positions: open, sold and resolved, by any figure, with what all of them come to; closing by hand (paper)."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Annotated, ClassVar, TypeAlias

import msgspec
from fastapi import APIRouter, Depends
from sqlalchemy import Connection
from starlette.responses import Response

from pilotfish.core.units import SECOND, format_micro
from pilotfish.store.copies import State
from pilotfish.store.portfolios_store import MAIN
from pilotfish.store.views.base import View
from pilotfish.store.views.markets import MarketNamed
from pilotfish.store.views.sales import ByHand, Sale, Sales, read_sales
from pilotfish.store.views.trips import (
    Sort,
    Trip,
    TripFilter,
    TripState,
    TripTotal,
    all_trips,
    read_trips,
    sold_since,
)
from pilotfish.web import csv_files
from pilotfish.web.filters import Choices, leader_choices, market_asked
from pilotfish.web.render import Page
from pilotfish.web.site import Site, now
from pilotfish.web.telling import ended
from pilotfish.web.view import Looking, Name

EVERY = 0.4
PAGE = 100
MOST_PAGES = 10_000
TOLD_FOR = 120 * SECOND
"""How long (µs) a row tells what became of a sale by hand."""
ALL = "all"
STATES = (("open", "Open"), ("closed", "Closed"), ("resolved", "Resolved"), (ALL, "All"))
_FIRST: dict[TripState | None, Sort] = {
    TripState.OPEN: Sort.COST, TripState.CLOSED: Sort.CLOSED, TripState.RESOLVED: Sort.CLOSED, None: Sort.OPENED,
}  # fmt: skip
"""What rows are sorted by where nothing else is asked for."""
_OVER = (
    ("title", "market", ""), ("opened", "opened", ""), ("closed", "closed", ""), ("lasted", "held for", "num"),
    ("shares", "shares", "num"), ("entry", "entry", "num"), ("exit", "exit", "num"), ("cost", "cost", "num"),
    ("worth", "proceeds", "num"), ("fees", "fees", "num"), ("realized", "PnL", "num"), ("return", "return", "num"),
    ("", "how it ended", ""),
)  # fmt: skip
COLUMNS: dict[TripState | None, tuple[tuple[str, str, str], ...]] = {
    TripState.OPEN: (
        ("title", "market", ""), ("shares", "shares", "num"), ("cost", "cost", "num"), ("worth", "worth", "num"),
        ("unrealized", "unrealised", "num"), ("realized", "realised", "num"), ("return", "return", "num"),
        ("opened", "opened", ""), ("end", "ends", ""), ("", "", ""),
    ),
    TripState.CLOSED: _OVER,
    TripState.RESOLVED: tuple(("closed", "resolved", "") if name == "closed" else (name, text, kind)
                              for name, text, kind in _OVER),
    None: (
        ("title", "market", ""), ("", "state", ""), ("opened", "opened", ""), ("end", "ends, or ended", ""),
        ("shares", "shares", "num"), ("cost", "cost", "num"), ("worth", "worth", "num"),
        ("unrealized", "unrealised", "num"), ("realized", "realised", "num"), ("return", "return", "num"),
    ),
}  # fmt: skip
"""What is shown: what a column sorts by, its head, its class."""
pages = APIRouter(include_in_schema=False)


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What the address asks for."""

    f: TripFilter
    sort: Sort
    up: bool
    number: int

    @property
    def query(self) -> dict[str, str]:
        """The same, for links; without the page."""
        f = self.f
        return {
            "portfolio": f.portfolio, "status": "" if f.state is TripState.OPEN else f.state or ALL,
            "leader": f.leader or "", "q": f.words or "", "token": f.market or "", "sort": self.sorted_by,
        }  # fmt: skip

    @property
    def sorted_by(self) -> str:
        """The order as addresses say it; empty for that of the state."""
        plain = self.sort is _FIRST[self.f.state] and not self.up
        return "" if plain else ("" if self.up else "-") + self.sort

    @property
    def sifted(self) -> bool:
        """Some are left out by leader or market."""
        return bool(self.f.leader or self.f.words or self.f.market)


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """A row. ``sale``: an order is out; ``asked``: a sale is asked for and not begun; ``by_hand``: what became of the
    last sale by hand, for a while."""

    id: str
    trip: Trip
    sale: Sale | None
    asked: bool
    by_hand: ByHand | None


class Positions(Page, frozen=True, kw_only=True):
    """A page of them. ``of_pages``: how many there are; ``query``: the address's, without the page; ``only``: the
    market that is asked for."""

    template: ClassVar[str] = "positions.html"
    title: ClassVar[str] = "positions"
    path: ClassVar[str] = "/positions"
    seconds: ClassVar[float] = EVERY

    state: TripState | None
    states: tuple[tuple[str, str], ...]
    status: str
    columns: tuple[tuple[str, str, str], ...]
    sort: Sort
    up: bool
    query: dict[str, str]
    sifted: bool
    words: str
    leader: str
    leaders: Choices
    only: MarketNamed | None
    lines: list[Line]
    total: TripTotal
    number: int
    of_pages: int


def _asked(
    portfolio: Name = "", status: Name = "open", leader: Name = "", q: Name = "", token: Name = "", sort: Name = "",
    page: Name = "1",
) -> Asked:  # fmt: skip
    """What is asked for; what makes no sense is passed over."""
    state = None if status in (ALL, "") else TripState(status) if status in set(TripState) else TripState.OPEN
    name = sort.removeprefix("-")
    known = name in set(Sort) and name in {column for column, _, _ in COLUMNS[state]}
    number = int(page) if page.isdecimal() and len(page) < 7 else 1
    return Asked(
        f=TripFilter(
            portfolio=portfolio or MAIN, leader=leader.strip().lower() or None, words=q.strip() or None,
            market=token or None, state=state,
        ),
        sort=Sort(name) if known else _FIRST[state], up=known and not sort.startswith("-"),
        number=max(1, min(number, MOST_PAGES)),
    )  # fmt: skip


Wanted: TypeAlias = Annotated[Asked, Depends(_asked)]


@pages.get("/positions")
async def positions(view: Looking, asked: Wanted) -> Response:
    """The page."""
    read = await view.site.shared.get(("positions", asked), EVERY, lambda c: _read(view.site, c, asked))
    leaders = leader_choices(view.snapshot.everybody, asked.f.leader or "")
    return view.show(
        msgspec.structs.replace(read, leaders=leaders, only=await market_asked(view, asked.f.market or ""))
    )


def _read(site: Site, c: Connection, asked: Asked) -> Positions:
    f, since = asked.f, now() - TOLD_FOR
    sales = read_sales(c, f.portfolio, since)
    if f.state is TripState.OPEN and sales.by_hand:
        lately = sold_since(c, f.portfolio, since)
        besides = tuple(r.number for r in lately if _sold_by_hand(r, sales))
        f = msgspec.structs.replace(f, besides=besides)
    found = read_trips(
        c, f, site.trips, sort=asked.sort, descending=not asked.up, limit=PAGE, offset=(asked.number - 1) * PAGE
    )
    held = {(r.leader, r.token_id) for r in found.rows if r.state is TripState.OPEN}
    return Positions(
        state=f.state, states=STATES, status=f.state or ALL, columns=COLUMNS[f.state], sort=asked.sort, up=asked.up,
        query=asked.query, sifted=asked.sifted, words=f.words or "", leader=f.leader or "",
        leaders=(), only=None, lines=[_line(r, sales, held, by_state=f.state) for r in found.rows], total=found.total,
        number=asked.number, of_pages=-(-found.total.trips // PAGE),
    )  # fmt: skip


def _sold_by_hand(r: Trip, sales: Sales) -> bool:
    """True for a round trip that the last sale by hand has ended."""
    last = sales.by_hand.get((r.leader, r.token_id))
    return last is not None and r.closed_at is not None and r.closed_at >= last.at


def _line(r: Trip, sales: Sales, held: set[tuple[str, str]], *, by_state: TripState | None) -> Line:
    """A row; one that was just sold stands where it stood."""
    key = (r.leader, r.token_id)
    is_open = r.state is TripState.OPEN
    stays = by_state is TripState.OPEN and not is_open
    last = sales.by_hand.get(key) if is_open or stays else None
    mine = last is not None and (stays or (last.at >= r.opened_at and last.became.state is not State.OUT))
    return Line(
        id=f"p{r.leader}-{r.token_id}" if is_open or (stays and key not in held) else f"t{r.number}",
        trip=r,
        sale=sales.out.get(key) if is_open else None,
        asked=is_open and any(a.covers(*key) for a in sales.asked),
        by_hand=last if mine else None,
    )


class CsvLine(View, frozen=True, kw_only=True):
    """A row as a line of a file. Times are UTC; ``shares`` are held, or all that was bought; ``cost_usdc`` and
    ``worth_usdc`` are of them, the worth being the proceeds of what is over."""

    market: str
    outcome: str
    leader: str
    wallet: str
    portfolio: str
    state: str
    opened_at: str
    closed_at: str
    market_ends_at: str
    held_hours: float | None
    how_it_ended: str
    shares: Decimal
    entry_price: Decimal
    exit_price: Decimal
    cost_usdc: Decimal
    worth_usdc: Decimal
    fees_within_usdc: Decimal
    unrealised_usdc: Decimal
    realised_usdc: Decimal
    return_percent: float | None
    nobody_bids_since: str
    token: str


@pages.get("/positions.csv")
def as_csv(view: Looking, asked: Wanted) -> Response:
    """All that match, in the page's order, as a file."""

    def rows(c: Connection) -> Iterable[CsvLine]:
        return map(_csv_line, all_trips(c, asked.f, sort=asked.sort, descending=not asked.up))

    name = f"pilotfish-positions-{asked.f.state or ALL}.csv"
    return csv_files.file(view.site.database, name, CsvLine, rows, view.portfolio)


def _csv_line(r: Trip) -> CsvLine:
    return CsvLine(
        market=r.title or "", outcome=r.outcome, leader=r.label, wallet=r.leader, portfolio=r.portfolio,
        state=r.state.value, opened_at=_instant(r.opened_at), closed_at=_instant(r.closed_at),
        market_ends_at=_instant(r.market_end),
        held_hours=None if r.lasted_ms is None else round(r.lasted_ms / 3_600_000, 3),
        how_it_ended=ended(r.ended) if r.ended else "", shares=_exact(r.shares_micro),
        entry_price=_exact(r.entry_micro), exit_price=_exact(r.exit_micro), cost_usdc=_exact(r.cost_micro),
        worth_usdc=_exact(r.worth_micro), fees_within_usdc=_exact(r.fees_micro),
        unrealised_usdc=_exact(r.unrealized_pnl_micro), realised_usdc=_exact(r.realized_pnl_micro),
        return_percent=round(100 * r.gain_micro / r.paid_micro, 2) if r.paid_micro else None,
        nobody_bids_since=_instant(r.unmarked_since), token=r.token_id,
    )  # fmt: skip


def _exact(micro: int) -> Decimal:
    """An amount to its last digit, as a number: below zero it is no formula."""
    return Decimal(format_micro(micro))


def _instant(iso: str | None) -> str:
    """A time that a spreadsheet takes for one."""
    return iso[:19].replace("T", " ") if iso else ""
