"""Our orders and fills: what each order of a portfolio was for, what it got, what it cost and why it ended; filtered by
what is in the address. A row opens its history."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, ClassVar, TypeAlias

from fastapi import APIRouter, Depends
from sqlalchemy import Connection
from starlette.responses import Response

from pilotfish.core.trade import Side
from pilotfish.store.copies import ORDERS, WORDS, State
from pilotfish.store.views.markets import MarketNamed
from pilotfish.store.views.our_orders import MOST, OrderFilter, OurOrder, OurTotals, read_our_orders, read_our_totals
from pilotfish.web import csv_files
from pilotfish.web.csv_files import amount, price_text
from pilotfish.web.filters import ANY, Before, Choices, Filters, leader_choices, market_asked
from pilotfish.web.pages.trades_csv import Came, came
from pilotfish.web.render import Page
from pilotfish.web.view import Looking, Name

EVERY = 0.5
TOTALS_EVERY = 2.0
PAGE = 50
pages = APIRouter(include_in_schema=False)


class Asked(Filters, frozen=True, kw_only=True):
    """Which of them."""

    def filter(self, portfolio: str) -> OrderFilter:
        """The same for the store."""
        return OrderFilter(
            portfolio=portfolio, leader=self.leader.lower() or None, side=self.side or None, market=self.token or None,
            state=State(self.state) if self.state in ORDERS else None, words=self.q.strip() or None,
        )  # fmt: skip


def _asked(leader: Name = "", state: Name = "", side: Name = "", token: Name = "", q: Name = "") -> Asked:
    return Asked(leader=leader, state=state, side=side, token=token, q=q)


Asking: TypeAlias = Annotated[Asked, Depends(_asked)]


class Orders(Page, frozen=True, kw_only=True):
    """Our orders. ``only``: the market that is asked for; ``most``: how many the totals are of at most; ``older``:
    where the next page begins; ``paged``: this is not the first."""

    template: ClassVar[str] = "orders.html"
    title: ClassVar[str] = "orders"
    path: ClassVar[str] = "/orders"
    seconds: ClassVar[float] = EVERY

    asked: Asked
    leaders: Choices
    states: Choices
    sides: Choices
    only: MarketNamed | None
    totals: OurTotals
    most: int
    orders: list[OurOrder]
    older: int | None
    paged: bool


@pages.get("/orders")
async def orders(view: Looking, asked: Asking, before: Before = None) -> Response:
    """The page."""
    wanted, shared = asked.filter(view.portfolio), view.site.shared
    page = await shared.get(
        ("our orders", wanted, before), EVERY, lambda c: read_our_orders(c, wanted, limit=PAGE, before=before)
    )
    totals = await shared.get(("totals of our orders", wanted), TOTALS_EVERY, lambda c: read_our_totals(c, wanted))
    shown = Orders(
        asked=asked, leaders=leader_choices(view.snapshot.everybody, asked.leader),
        states=(ANY, *((state.value, WORDS[state]) for state in ORDERS)),
        sides=(ANY, *((side.value, side.value) for side in Side)),
        only=await market_asked(view, asked.token), totals=totals, most=MOST, orders=page.data,
        older=page.next_before, paged=before is not None,
    )  # fmt: skip
    return view.show(shown)


class Line(Came, frozen=True):
    """One of our orders as a line of a file. Times are UTC."""

    sent_at: str
    at_the_venue_at: str
    leader: str
    wallet: str
    side: str
    market: str
    outcome: str
    asked_usdc: str
    asked_shares: str
    limit_price: str
    leader_price: str
    fees_usdc: str
    after_the_leader_seconds: float | None
    order: int
    leaders_trade: int | None


@pages.get("/orders.csv")
def as_csv(view: Looking, asked: Asking) -> Response:
    """What the page shows, all pages of it, as a file."""
    wanted = asked.filter(view.portfolio)

    def rows(c: Connection) -> Iterable[Line]:
        found = csv_files.all_pages(lambda before: read_our_orders(c, wanted, limit=csv_files.PAGE, before=before))
        return map(_line, found)

    return csv_files.file(view.site.database, "pilotfish-our-orders.csv", Line, rows, view.portfolio)


def _line(r: OurOrder) -> Line:
    return Line(
        sent_at=r.created_at, at_the_venue_at=r.due_at, leader=r.label, wallet=r.leader, side=r.side, market=r.title,
        outcome=r.outcome, asked_usdc=amount(r.order_usdc_micro), asked_shares=amount(r.order_shares_micro),
        limit_price=price_text(r.limit_price), leader_price=price_text(r.leader_price), fees_usdc=amount(r.fees_micro),
        after_the_leader_seconds=None if r.delay_ms is None else r.delay_ms / 1000, order=r.id,
        leaders_trade=r.trade_id, **came(r),
    )  # fmt: skip
