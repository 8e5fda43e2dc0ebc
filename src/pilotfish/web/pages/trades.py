"""Trades: every leader's orders with what their copies came to, or the trades that they were eaten in; filtered by what
is in the address. A row unfolds the fills of its order, and opens the trace of the one that tells most."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, ClassVar, Literal, TypeAlias

from fastapi import APIRouter, Depends, Query
from sqlalchemy import Connection
from starlette.responses import Response

from pilotfish.core.reasons import MEANING
from pilotfish.store.copies import WORDS, State
from pilotfish.store.views.base import Page as Rows
from pilotfish.store.views.markets import MarketNamed
from pilotfish.store.views.order_feed import read_leader_orders
from pilotfish.store.views.order_rows import OrderRow
from pilotfish.store.views.trades import TradeDecided, TradeFilter, read_trades
from pilotfish.web import csv_files
from pilotfish.web.filters import ANY, Before, Choices, Filters, leader_choices, market_asked
from pilotfish.web.pages import trades_csv
from pilotfish.web.render import Page
from pilotfish.web.view import Looking, Name

EVERY = 0.4
PAGE = 50
By: TypeAlias = Literal["orders", "fills"]
STATES = (State.FILLED, State.OUT, State.NOT_FILLED, State.SKIPPED, State.WAITING)
"""What can be asked for."""
pages = APIRouter(include_in_schema=False)


class Asked(Filters, frozen=True, kw_only=True):
    """Which of them."""

    source: str = ""
    class_: str = ""
    action: str = ""
    reason: str = ""
    status: str = ""

    def filter(self, portfolio: str) -> TradeFilter:
        """The same for the store."""
        return TradeFilter(
            portfolio=portfolio, leader=self.leader.lower() or None, words=self.q.strip() or None,
            side=self.side or None, source=self.source or None, kind=self.class_ or None, action=self.action or None,
            reason=self.reason or None, status=self.status or None, market=self.token or None,
            state=self.state if self.state in STATES else None,
        )  # fmt: skip


def _asked(
    leader: Name = "", q: Name = "", side: Name = "", source: Name = "",
    kind: Annotated[str, Query(alias="class", max_length=100)] = "", action: Name = "", reason: Name = "",
    status: Name = "", token: Name = "", state: Name = "",
) -> Asked:  # fmt: skip
    return Asked(
        leader=leader, q=q, side=side, source=source, class_=kind, action=action, reason=reason, status=status,
        token=token, state=state,
    )  # fmt: skip


Asking: TypeAlias = Annotated[Asked, Depends(_asked)]
CHOICES: dict[str, Choices] = {
    "state": (ANY, *((state.value, WORDS[state]) for state in STATES)),
    "reason": (ANY, *((reason.value, reason.words) for reason in MEANING)),
    "side": (ANY, ("BUY", "BUY"), ("SELL", "SELL")),
    "source": (ANY, ("polygon", "chain"), ("api", "API")),
    "class": (ANY, ("live", "live"), ("catch-up", "catch-up"), ("backfill", "backfill")),
    "status": (ANY, ("active", "stands"), ("retracted", "taken back")),
}


class Trades(Page, frozen=True, kw_only=True):
    """Orders, or fills, whichever ``by`` says. ``only``: the market that is asked for; ``older``: where the next page
    begins; ``paged``: this is not the first."""

    template: ClassVar[str] = "trades.html"
    title: ClassVar[str] = "trades"
    path: ClassVar[str] = "/trades"
    seconds: ClassVar[float] = EVERY

    by: By
    asked: Asked
    choices: dict[str, Choices]
    leaders: Choices
    only: MarketNamed | None
    orders: list[OrderRow]
    fills: list[TradeDecided]
    older: int | None
    paged: bool


@pages.get("/trades")
async def trades(view: Looking, asked: Asking, before: Before = None, by: By = "orders") -> Response:
    """The page."""
    wanted, shared = asked.filter(view.portfolio), view.site.shared
    orders: Rows[OrderRow] = Rows(data=[], next_before=None)
    fills: Rows[TradeDecided] = Rows(data=[], next_before=None)
    if by == "orders":
        orders = await shared.get(
            ("orders of leaders", wanted, before), EVERY,
            lambda c: read_leader_orders(c, wanted, limit=PAGE, before=before),
        )  # fmt: skip
    else:
        fills = await shared.get(
            ("trades", wanted, before), EVERY, lambda c: read_trades(c, wanted, limit=PAGE, before=before)
        )
    shown = Trades(
        by=by, asked=asked, choices=CHOICES, leaders=leader_choices(view.snapshot.everybody, asked.leader),
        only=await market_asked(view, asked.token), orders=orders.data, fills=fills.data,
        older=orders.next_before or fills.next_before, paged=before is not None,
    )  # fmt: skip
    return view.show(shown)


@pages.get("/trades.csv")
def as_csv(view: Looking, asked: Asking, by: By = "orders") -> Response:
    """What the page shows, all pages of it, as a file."""
    wanted, database, most = asked.filter(view.portfolio), view.site.database, csv_files.PAGE

    def orders(c: Connection) -> Iterable[trades_csv.Order]:
        found = csv_files.all_pages(lambda before: read_leader_orders(c, wanted, limit=most, before=before))
        return map(trades_csv.order, found)

    def fills(c: Connection) -> Iterable[trades_csv.Fill]:
        found = csv_files.all_pages(lambda before: read_trades(c, wanted, limit=most, before=before))
        return map(trades_csv.fill, found)

    if by == "orders":
        return csv_files.file(database, "pilotfish-leaders-orders.csv", trades_csv.Order, orders, view.portfolio)
    return csv_files.file(database, "pilotfish-leaders-fills.csv", trades_csv.Fill, fills, view.portfolio)
