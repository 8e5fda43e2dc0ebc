"""Who somebody is before they are followed: their last trades, their record."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable
from typing import TypeVar

import aiohttp

from pilotfish.app.config import process_value
from pilotfish.app.who import UnansweredError, wallet_meant
from pilotfish.core.numerals import rounded
from pilotfish.core.settings import Value
from pilotfish.core.trade import LeaderFill, Side
from pilotfish.core.units import SECOND, Shares, Usdc, price_of
from pilotfish.polymarket.data_api import DataApi
from pilotfish.polymarket.gamma import Gamma, Profile
from pilotfish.polymarket.http import Service, VenueError, make_session
from pilotfish.polymarket.record import read_record
from pilotfish.store.views.base import View, decimal, iso
from pilotfish.web.records import TheirRecord, their_record

T = TypeVar("T")
LOOK_BACK_DAYS = 7
SHOWN = 10
FRESH_SECONDS = 30.0
"""How long an answer is good for."""


class LastTrade(View, frozen=True, kw_only=True):
    """One of somebody's last trades."""

    traded_at: str
    side: Side
    token_id: str
    slug: str
    title: str
    outcome: str
    shares: float
    shares_micro: Shares
    price: float


class Person(View, frozen=True, kw_only=True):
    """Who somebody is, their trades of so many days (``more``: there are more than could be read), what they hold (0
    also where the venue does not tell: then the record says so), and their record."""

    wallet: str
    name: str
    trades_in_days: int
    trades: int
    more: bool
    turnover_usdc: float
    turnover_micro: Usdc
    last_trades: list[LastTrade]
    open_positions: int
    positions_value_usdc: float
    positions_value_micro: Usdc
    record: TheirRecord


class Preview:
    """Asks the venue; one session, opened at the first question."""

    def __init__(self, environment: dict[str, Value]) -> None:
        self._environment = environment
        self._session: aiohttp.ClientSession | None = None
        self._seen: dict[str, tuple[float, Person]] = {}

    def _services(self) -> tuple[DataApi, Gamma]:
        if self._session is None or self._session.closed:
            self._session = make_session()
        data = Service(
            self._session, "data", process_value(self._environment, "data_api_url"), per_second=5, attempts=1
        )
        gamma = Service(
            self._session, "gamma", process_value(self._environment, "gamma_api_url"), per_second=5, attempts=1
        )
        return DataApi(data), Gamma(gamma)

    async def close(self) -> None:
        """End the session."""
        if self._session is not None:
            await self._session.close()

    async def wallet_of(self, who: str) -> str:
        """The wallet of what a person gave. Raises ``WhoError`` or ``LeaderError``."""
        _, gamma = self._services()
        return await wallet_meant(gamma, who)

    async def look(self, wallet: str) -> Person:
        """Who that is, their last trades and their record. Raises :class:`UnansweredError`."""
        seen = self._seen.get(wallet)
        if seen is not None and time.monotonic() - seen[0] < FRESH_SECONDS:
            return seen[1]
        found = await self._read(wallet)
        self._seen = {w: x for w, x in self._seen.items() if time.monotonic() - x[0] < FRESH_SECONDS}
        self._seen[wallet] = (time.monotonic(), found)
        return found

    async def record(self, wallet: str) -> TheirRecord:
        """Their record alone."""
        data, _ = self._services()
        return their_record(await read_record(data.service, wallet))

    async def _read(self, wallet: str) -> Person:
        data, gamma = self._services()
        window, profile, record = await asyncio.gather(
            _answer(data.activity(wallet, int(time.time()) - LOOK_BACK_DAYS * 86_400)),
            _answer(gamma.profile(wallet)),
            read_record(data.service, wallet),
        )
        if isinstance(window, VenueError):
            raise UnansweredError(f"the venue does not answer: {window}")
        fills = window.fills
        turnover = Usdc(sum(f.usdc for f in fills))
        value = record.value or Usdc(0)
        return Person(
            wallet=wallet,
            name=profile.name if isinstance(profile, Profile) else "",
            trades_in_days=LOOK_BACK_DAYS,
            trades=len(fills),
            more=not window.complete or bool(window.gaps),
            turnover_usdc=rounded(turnover),
            turnover_micro=turnover,
            last_trades=[_last_trade(f) for f in fills[::-1][:SHOWN]],
            open_positions=record.open or 0,
            positions_value_usdc=rounded(value),
            positions_value_micro=value,
            record=their_record(record),
        )


async def _answer(question: Awaitable[T]) -> T | VenueError:
    """What the venue says, or what is wrong with it."""
    try:
        return await question
    except VenueError as problem:
        return problem


def _last_trade(f: LeaderFill) -> LastTrade:
    return LastTrade(
        traded_at=iso((f.traded_at or 0) // SECOND * SECOND),
        side=f.side,
        token_id=f.token_id,
        slug=f.slug or "",
        title=f.title or "",
        outcome=f.outcome or "",
        shares=decimal(f.shares),
        shares_micro=Shares(f.shares),
        price=decimal(price_of(f.usdc, f.shares)),
    )
