"""What selling a position by hand would bring: reckoned as the paper venue fills, on the book as the venue has it now,
or on the last known mark where that cannot be read."""

from __future__ import annotations

import asyncio
import time
from enum import StrEnum

import aiohttp

from pilotfish.app.config import process_value
from pilotfish.core import ledger
from pilotfish.core.book import Book, LiquidityMemory, Take
from pilotfish.core.fees import taker_fee
from pilotfish.core.fills import PaperFill, simulate_sell
from pilotfish.core.ledger import Position
from pilotfish.core.setting_values import Value
from pilotfish.core.units import Price, Shares, Usdc, price_of, proceeds_of
from pilotfish.polymarket.clob import BookError, Clob, parse_book
from pilotfish.polymarket.http import Service, VenueError, make_session
from pilotfish.store.views.base import View, iso
from pilotfish.store.views.sellable import Sellable

PATIENCE = 2.5
"""Seconds that a person waits for a book."""
ANY_PRICE = 1
"""The lowest price that a sale by hand takes, in millionths: whatever is bid."""


class BookUnreadableError(Exception):
    """The venue gives no book; the message says why."""


class Basis(StrEnum):
    """What an estimate is reckoned on."""

    BOOK = "book"
    MARK = "mark"
    NOTHING = "nothing"


class Estimate(View, frozen=True, kw_only=True):
    """What a sale would bring: ``got_micro`` after its fee. ``shares_micro`` would find a bid, ``left_micro`` none.
    ``book_at``: when the book was so; ``why`` it could not be read."""

    basis: Basis
    shares_micro: Shares
    left_micro: Shares
    price_micro: Price
    got_micro: Usdc
    fee_micro: Usdc
    pnl_micro: Usdc
    book_at: str | None
    why: str


class VenueBooks:
    """Reads books when a person asks what a sale would bring; one session, opened at the first question."""

    def __init__(self, environment: dict[str, Value]) -> None:
        self._url = process_value(environment, "clob_http_url")
        self._session: aiohttp.ClientSession | None = None
        self._clob: Clob | None = None

    async def close(self) -> None:
        """End the session."""
        if self._session is not None:
            await self._session.close()

    async def read(self, token_id: str) -> Book:
        """A token's book as it is now. Raises :class:`BookUnreadableError`."""
        if self._clob is None:
            self._session = make_session()
            self._clob = Clob(Service(self._session, "clob", self._url, per_second=5, attempts=1))
        asked = _now()
        try:
            async with asyncio.timeout(PATIENCE):
                payload = await self._clob.book(token_id)
        except TimeoutError:
            raise BookUnreadableError(f"the venue did not answer within {PATIENCE} s") from None
        except VenueError as problem:
            raise BookUnreadableError(str(problem)) from None
        if payload is None:
            raise BookUnreadableError("the venue has no book of it")
        try:
            return parse_book(payload, requested_at=asked, received_at=_now())
        except BookError as problem:
            raise BookUnreadableError(str(problem)) from None


def _now() -> int:
    return time.time_ns() // 1000


async def estimate(books: VenueBooks, what: Sellable, taken: LiquidityMemory) -> Estimate:
    """What a sale of all that can be sold would bring now."""
    try:
        book = await books.read(what.token_id)
    except BookUnreadableError as problem:
        return _by_mark(what, str(problem))
    taken.refresh(book)
    fill = simulate_sell(book, what.free_micro, ANY_PRICE, what.schedule, taken, what.portfolio)
    return _told(what, fill, Basis.BOOK if fill else Basis.NOTHING, book_at=iso(book.received_at))


def _by_mark(what: Sellable, why: str) -> Estimate:
    """All of it at what a share was last worth."""
    if what.mark_micro is None or what.unmarked_since is not None:
        return _told(what, None, Basis.NOTHING, why=why)
    take = Take(what.mark_micro, what.free_micro)
    usdc = proceeds_of(take.shares, take.price)
    fill = PaperFill((take,), take.shares, usdc, min(usdc, taker_fee([take], what.schedule)), 2 * take.price)
    return _told(what, fill, Basis.MARK, why=why)


def _told(
    what: Sellable, fill: PaperFill | None, basis: Basis, *, book_at: str | None = None, why: str = ""
) -> Estimate:
    shares = fill.shares if fill else 0
    position = Position(leader=what.leader, token_id=what.token_id, shares=what.shares_micro, cost=what.cost_micro)
    if fill:
        ledger.sell(position, fill.shares, fill.usdc, fill.fee, 0)
    return Estimate(
        basis=basis,
        shares_micro=Shares(shares),
        left_micro=Shares(what.free_micro - shares),
        price_micro=price_of(fill.usdc, fill.shares) if fill else Price(0),
        got_micro=Usdc(fill.usdc - fill.fee if fill else 0),
        fee_micro=Usdc(fill.fee if fill else 0),
        pnl_micro=Usdc(position.realized_pnl),
        book_at=book_at,
        why=why,
    )
