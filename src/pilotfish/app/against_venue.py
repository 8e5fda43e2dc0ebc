"""Whether nothing was missed: the leaders' own history is read again, and every row of it must be stored, once.

What is missing can be asked for by the second, as a request that the worker takes in as backfill.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

import msgspec
from sqlalchemy import Connection, Engine, select

from pilotfish.app.config import process_value
from pilotfish.app.take_in import MOST_SECONDS, REACH_SECONDS, TAKE_IN, TakeIn
from pilotfish.core.settings import Value
from pilotfish.core.trade import LeaderFill, Side, TradeKey
from pilotfish.core.units import SECOND
from pilotfish.polymarket.data_api import DataApi
from pilotfish.polymarket.http import Service, make_session
from pilotfish.store import commands_store
from pilotfish.store import tables as t
from pilotfish.store.database import snapshot
from pilotfish.store.interned import spelled
from pilotfish.store.views.base import iso

HOUR = 3600
SETTLE_SECONDS = 60
"""What is younger may still be on its way."""
EITHER_SIDE = HOUR * SECOND
"""A trade whose block time was not known is stored with the time of its arrival: it is looked for around that, too."""
PER_SECOND = 20.0
"""Requests: a quarter of what a worker may make, beside which this runs."""
MOST_READINGS = 1000


class Missing(msgspec.Struct, frozen=True, kw_only=True):
    """A trade of the leader that is not stored."""

    leader: str
    tx_hash: str
    token_id: str
    side: Side
    shares_micro: int
    traded_at: str | None
    second: int


class Compared(msgspec.Struct, frozen=True, kw_only=True):
    """One leader's history against what is stored, between two epoch seconds. ``rows``: the venue's trades; ``stored``:
    how many of them are here; ``more``: what is here more often than there, in words; ``only_here``: trades that the
    venue's history does not show, which the chain did; ``unread``: seconds of which not all rows could be had."""

    leader: str
    label: str
    from_ts: int
    to_ts: int
    rows: int
    stored: int
    missing: list[Missing]
    more: list[str]
    only_here: int
    unread: list[tuple[int, int]]

    @property
    def name(self) -> str:
        """What people call them."""
        return f"{self.label} ({self.leader})" if self.label else self.leader

    def differences(self) -> Iterator[str]:
        """Each in a line."""
        for one in self.missing:
            yield (
                f"{self.name}: {one.side} of {one.shares_micro / 1e6:g} shares of {one.token_id[:12]}… in"
                f" {one.tx_hash} at {one.traded_at} is not stored"
            )
        yield from self.more
        for low, high in self.unread:
            yield f"{self.name}: the venue did not give all rows between {low} and {high} (epoch seconds)"


class _Leader(NamedTuple):
    wallet: str
    label: str
    floor_ts: int


class _Stored(NamedTuple):
    counts: Counter[TradeKey]
    inside: set[TradeKey]
    """Keys of trades that were made within the compared time, as far as that is known."""


async def compare(database: Engine, env: Mapping[str, Value], hours: int) -> list[Compared]:
    """Every leader who is followed, over the last ``hours``, never from before they were followed.

    Raises :class:`~pilotfish.polymarket.http.VenueError`.
    """
    end = int(time.time()) - SETTLE_SECONDS
    with snapshot(database) as c:
        leaders = list(_leaders(c))
    found = []
    async with make_session() as http:
        api = DataApi(Service(http, "data", process_value(env, "data_api_url"), per_second=PER_SECOND))
        for leader in leaders:
            start = max(leader.floor_ts, end - hours * HOUR)
            if start > end:
                continue
            fills, unread = await _read(api, leader.wallet, start, end)
            with snapshot(database) as c:  # after the venue was read: what came meanwhile is stored by now
                stored = _stored(c, leader.wallet, start, end, fills)
            found.append(_compared(leader, start, end, fills, stored, unread))
    return found


def _leaders(c: Connection) -> Iterator[_Leader]:
    q = select(t.leaders.c.wallet, t.leaders.c.label, t.cursors.c.floor_ts, t.cursors.c.follow_from)
    q = q.join(t.cursors, t.cursors.c.leader == t.leaders.c.wallet).where(t.leaders.c.status != "removed")
    for row in c.execute(q.order_by(t.leaders.c.added_at, spelled(t.leaders.c.wallet))):
        yield _Leader(row.wallet, row.label, row.floor_ts)


async def _read(
    api: DataApi, wallet: str, start: int, end: int
) -> tuple[list[LeaderFill], list[tuple[int, int]]]:  # fmt: skip
    fills: list[LeaderFill] = []
    unread: list[tuple[int, int]] = []
    at = start
    for _ in range(MOST_READINGS):
        window = await api.activity(wallet, at, end)
        fills += [f for f in window.fills if (f.traded_at or 0) < (window.through or end + 1) * SECOND]
        unread += window.gaps
        if window.through is None or window.through > end:
            return fills, unread
        at = window.through
    return fills, [*unread, (at, end)]


def _stored(c: Connection, wallet: str, start: int, end: int, fills: Iterable[LeaderFill]) -> _Stored:
    """What is here of that time, and of the transactions that the venue shows."""
    x = t.trades.c
    columns = select(x.tx_hash, x.token_id, x.side, x.shares_micro, x.occurrence, x.traded_at, x.retracted_at)
    low, high = start * SECOND - EITHER_SIDE, (end + 1) * SECOND + EITHER_SIDE
    counts: Counter[TradeKey] = Counter()
    inside: set[TradeKey] = set()
    for row in c.execute(columns.where(x.leader == wallet, x.traded_at >= low, x.traded_at < high)):
        key: TradeKey = (wallet, row.tx_hash, row.token_id, Side(row.side), row.shares_micro)
        counts[key] += 1
        if start * SECOND <= row.traded_at <= end * SECOND and row.retracted_at is None:
            inside.add(key)
    for fill in fills:
        if fill.key not in counts:
            of = (x.tx_hash == fill.tx_hash, x.leader == wallet, x.token_id == fill.token_id, x.side == fill.side)
            n = len(list(c.execute(select(x.id).where(*of, x.shares_micro == fill.shares))))
            if n:
                counts[fill.key] = n
    return _Stored(counts, inside)


def _compared(
    leader: _Leader, start: int, end: int, fills: list[LeaderFill], stored: _Stored, unread: list[tuple[int, int]]
) -> Compared:
    seen: Counter[TradeKey] = Counter()
    missing = []
    for fill in fills:
        seen[fill.key] += 1
        if seen[fill.key] > stored.counts[fill.key]:
            missing.append(
                Missing(
                    leader=leader.wallet, tx_hash=fill.tx_hash, token_id=fill.token_id, side=fill.side,
                    shares_micro=fill.shares, traded_at=iso(fill.traded_at), second=(fill.traded_at or 0) // SECOND,
                )
            )  # fmt: skip
    name = f"{leader.label} ({leader.wallet})" if leader.label else leader.wallet
    more = [
        f"{name}: {key[3]} in {key[1]} is stored {stored.counts[key]} times, and the venue shows {n}"
        for key, n in seen.items()
        if stored.counts[key] > n
    ]
    return Compared(
        leader=leader.wallet, label=leader.label, from_ts=start, to_ts=end, rows=len(fills),
        stored=len(fills) - len(missing), missing=missing, more=more,
        only_here=sum(stored.counts[key] for key in stored.inside - set(seen)), unread=unread,
    )  # fmt: skip


def ask(database: Engine, found: Iterable[Compared], *, by: str) -> tuple[list[int], int]:
    """Ask the worker to take in what is missing; gives the requests' numbers, and how many trades are too old for
    it."""
    now = time.time()
    numbers, too_old = [], 0
    for one in found:
        young = [m for m in one.missing if m.second > now - REACH_SECONDS]
        too_old += len(one.missing) - len(young)
        seconds = sorted({m.second for m in young})
        for i in range(0, len(seconds), MOST_SECONDS):
            asked = TakeIn(leader=one.leader, seconds=seconds[i : i + MOST_SECONDS])
            with database.begin() as c:
                at = time.time_ns() // 1000
                numbers.append(commands_store.ask(c, TAKE_IN, msgspec.to_builtins(asked), at=at, by=by))
    return numbers, too_old
