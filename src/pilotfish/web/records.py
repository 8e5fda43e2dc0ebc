"""Somebody's own record as pages and REST show it, and a keeper that asks for those of leaders in the background."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import structlog

from pilotfish.core.units import Micros, Shares, Usdc
from pilotfish.polymarket.record import HeldPosition, Record
from pilotfish.store.views.base import Iso, View, decimal, iso

log = structlog.get_logger(__name__)

FRESH_SECONDS = 600.0
"""How long a record is good for: the venue's figures are those of all time."""
AGAIN_SECONDS = 30.0
"""After how long it is asked again for what was not told."""
KEPT = 200
"""Records kept; the oldest go first."""
LARGEST = 10
"""Positions shown."""


class TheirPosition(View, frozen=True, kw_only=True):
    """One of the positions that somebody holds, as the venue values it; ``slug`` is its market's name in the venue's
    addresses. What the venue does not say is empty or null."""

    token_id: str
    slug: str
    title: str
    outcome: str
    shares_micro: Shares
    average_price: float | None
    price: float | None
    value_micro: Usdc
    pnl_micro: Usdc | None


class NotTold(View, frozen=True):
    """What the venue did not tell, and why."""

    what: str
    why: str


class TheirRecord(View, frozen=True, kw_only=True):
    """What the venue says of somebody's own trading (:class:`pilotfish.polymarket.record.Record`); null where it does
    not. ``positions`` are the largest of ``open_positions``; ``asked_at``: when it was asked."""

    realized_pnl_micro: Usdc | None
    volume_micro: Usdc | None
    biggest_win_micro: Usdc | None
    markets: int | None
    trades: int | None
    rank: int | None
    joined_at: str | None
    value_micro: Usdc | None
    positions: list[TheirPosition]
    open_positions: int | None
    more_open: bool
    won: int | None
    lost: int | None
    more_decided: bool
    not_told: list[NotTold]
    asked_at: Iso


def their_record(record: Record) -> TheirRecord:
    """A record that was asked for now, as it is shown."""
    return TheirRecord(
        realized_pnl_micro=record.realized,
        volume_micro=record.volume,
        biggest_win_micro=record.biggest_win,
        markets=record.markets,
        trades=record.trades,
        rank=record.rank,
        joined_at=iso(record.joined_at),
        value_micro=record.value,
        positions=[_position(position) for position in record.held[:LARGEST]],
        open_positions=record.open,
        more_open=record.more_open,
        won=record.won,
        lost=record.lost,
        more_decided=record.more_decided,
        not_told=[NotTold(one.what, one.why) for one in record.missing],
        asked_at=iso(Micros(time.time_ns() // 1000)),
    )


def _position(p: HeldPosition) -> TheirPosition:
    return TheirPosition(
        token_id=p.token_id,
        slug=p.slug,
        title=p.title,
        outcome=p.outcome,
        shares_micro=p.shares,
        average_price=decimal(p.average),
        price=decimal(p.price),
        value_micro=p.value,
        pnl_micro=p.gain,
    )


@dataclass(slots=True)
class _Kept:
    """One record, when it was read, and the task that reads it anew."""

    record: TheirRecord | None = None
    read_at: float = float("-inf")
    task: asyncio.Task[None] | None = None

    @property
    def stale(self) -> bool:
        whole = self.record is not None and not self.record.not_told
        return time.monotonic() - self.read_at > (FRESH_SECONDS if whole else AGAIN_SECONDS)


class Records:
    """Records of leaders, each read in the background when it is first looked for, and again once it is old."""

    def __init__(self, read: Callable[[str], Awaitable[TheirRecord]]) -> None:
        self._read = read
        self._kept: dict[str, _Kept] = {}

    def get(self, wallet: str) -> TheirRecord | None:
        """What is known by now; ``None`` while it is being asked for the first time. Only for wallets that are
        followed or were: each is a question to the venue."""
        kept = self._kept.setdefault(wallet, _Kept())
        while len(self._kept) > KEPT:
            del self._kept[next(iter(self._kept))]
        if kept.stale and kept.task is None:
            kept.task = asyncio.create_task(self._refresh(wallet, kept), name=f"record of {wallet}")
        return kept.record

    async def _refresh(self, wallet: str, kept: _Kept) -> None:
        try:
            kept.record = await self._read(wallet)
        except Exception:
            log.exception("a leader's record could not be read", wallet=wallet)
        finally:
            kept.read_at, kept.task = time.monotonic(), None

    async def close(self) -> None:
        """End what is being asked."""
        tasks = [kept.task for kept in self._kept.values() if kept.task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
