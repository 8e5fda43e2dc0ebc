"""Fragments of the positions page: one position's history, and what closing by hand would bring."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Annotated, ClassVar, TypeAlias, TypeVar

from fastapi import APIRouter, HTTPException, Query
from sqlalchemy import Connection
from starlette.responses import Response

from pilotfish.core.book import LiquidityMemory
from pilotfish.store.database import snapshot
from pilotfish.store.views.history import History, read_history
from pilotfish.store.views.sellable import Sellable, read_sellable, read_taken
from pilotfish.web.estimates import Estimate, estimate
from pilotfish.web.render import Page
from pilotfish.web.view import Looking, View

NAMED = 5
"""Positions of many that are named."""
pages = APIRouter(prefix="/parts", include_in_schema=False)
Wallet: TypeAlias = Annotated[str, Query(max_length=42)]
Token: TypeAlias = Annotated[str, Query(max_length=80, pattern="^[0-9]*$")]
Number: TypeAlias = Annotated[int, Query(ge=0, le=2**63 - 1)]
T = TypeVar("T")


class PositionHistory(Page, frozen=True, kw_only=True):
    """What happened to one position from flat to flat."""

    template: ClassVar[str] = "position_history.html"
    title: ClassVar[str] = "position"

    history: History


class ClosePosition(Page, frozen=True, kw_only=True):
    """What selling one position would bring. ``what``: ``None`` where nothing can be sold."""

    template: ClassVar[str] = "close_position.html"
    title: ClassVar[str] = "close a position"

    what: Sellable | None
    told: Estimate | None


class CloseAll(Page, frozen=True, kw_only=True):
    """What selling all of them, or all of one leader, would bring: the first ones by name, how many more, and sums.
    ``unbid``: how many nobody bids for."""

    template: ClassVar[str] = "close_all.html"
    title: ClassVar[str] = "close all"

    leader: str
    first: list[Sellable]
    count: int
    unbid: int
    worth_micro: int
    cost_micro: int


@pages.get("/position")
async def position(view: Looking, leader: Wallet, token_id: Token, trip: Number = 0) -> Response:
    """One round trip; number 0 is the one under way."""
    whose = (view.portfolio, leader.lower(), token_id, trip)
    found = await _read(view, lambda c: read_history(c, *whose))
    if found is None:
        raise HTTPException(404, "there is no such position: it was closed meanwhile, or reset")
    return view.piece(PositionHistory(history=found))


@pages.get("/close")
async def close(view: Looking, leader: Wallet = "", token_id: Token = "") -> Response:
    """What selling would bring: one position, or without a token all of them, of a leader if named."""
    if not view.admin:
        raise HTTPException(401, "sign in with the admin token")
    wallet = leader.lower()
    if not token_id:
        return view.piece(_all(wallet, await _read(view, lambda c: read_sellable(c, view.portfolio, wallet or None))))
    found = await _read(view, lambda c: _one(c, view.portfolio, wallet, token_id))
    if found is None:
        return view.piece(ClosePosition(what=None, told=None))
    what, taken = found
    return view.piece(ClosePosition(what=what, told=await estimate(view.site.books, what, taken)))


def _one(c: Connection, portfolio: str, leader: str, token_id: str) -> tuple[Sellable, LiquidityMemory] | None:
    found = read_sellable(c, portfolio, leader, token_id)
    return (found[0], read_taken(c, portfolio, token_id)) if found else None


def _all(leader: str, found: list[Sellable]) -> CloseAll:
    bid = [one for one in found if one.mark_micro is not None and one.unmarked_since is None]
    return CloseAll(
        leader=found[0].label or leader if leader and found else leader,
        first=sorted(found, key=lambda one: -one.worth_micro)[:NAMED], count=len(found), unbid=len(found) - len(bid),
        worth_micro=sum(one.worth_micro for one in bid), cost_micro=sum(one.free_cost_micro for one in found),
    )  # fmt: skip


async def _read(view: View, read: Callable[[Connection], T]) -> T:
    """Read on a thread of its own."""

    def look() -> T:
        with snapshot(view.site.database) as c:
            return read(c)

    return await asyncio.to_thread(look)
