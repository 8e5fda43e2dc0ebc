"""How a wallet trades, counted from its history alone: both sides, speed, washes, moves. No judgement is made here.

In: what they did (``Past.deeds``) and the tape. Out: frozen counts; seconds, and millionths of a USDC or a share. All
of it is gone through as it comes: no list of a million trades is made.
"""

from __future__ import annotations

from array import array
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from itertools import groupby
from operator import attrgetter

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pilotfish.backtest.takes import seconds_of
from pilotfish.core.leader_orders import rounded_price
from pilotfish.core.trade import Side
from pilotfish.history.columns import values_of
from pilotfish.history.kept import print_columns
from pilotfish.history.records import Deed, Past

TRADE = "TRADE"
MAKER_REBATE = "MAKER_REBATE"
MOVES = frozenset({"SPLIT", "MERGE", "CONVERSION"})
SAME_MINUTES_SEC = 600
"""What lies no further apart happened in the same minutes."""

ORDER_SEC = 60
"""Fills of one order follow each other within this time; where rows do not say the order, price and time do."""


class BothSides(msgspec.Struct, frozen=True, kw_only=True):
    """Of ``markets`` traded, how many had ``two_sided`` trades in the same minutes (bought and sold, or two outcomes
    bought); maker rebates, their number and USDC."""

    markets: int
    two_sided: int
    rebates: int
    rebate_usdc: int


class Speed(msgspec.Struct, frozen=True, kw_only=True):
    """Median seconds between transactions, and from the BUY that opened a position to the next SELL of its token."""

    transactions: int
    between_sec: float | None
    round_trips: int
    round_trip_sec: float | None


class Washes(msgspec.Struct, frozen=True, kw_only=True):
    """Of ``trades``, how many were ``mirrored``: bought and sold in one size at one price in the same minutes. On the
    tape, of ``matched`` shares, how many the ``largest`` of ``counterparties`` had."""

    trades: int
    mirrored: int
    seen_trades: int
    counterparties: int
    matched: int
    largest: int


class Moves(msgspec.Struct, frozen=True, kw_only=True):
    """Splits, merges and conversions, and the USDC (or shares) that they ``moved``, beside what BUYs cost."""

    moves: int
    moved: int
    bought: int


def trades_of(past: Past) -> Iterator[Deed]:
    """Their trades, oldest first."""
    return (deed for deed in past.deeds if deed.kind == TRADE and deed.side is not None)


def both_sides(past: Past) -> BothSides:
    """How much they make markets."""
    rebates, rebate_usdc = 0, 0
    of: dict[str, dict[tuple[str, Side | None], int] | None] = {}
    """Condition -> when each side of each token was traded last; ``None`` once both sides were, in the same minutes."""
    for deed in past.deeds:
        if deed.kind == MAKER_REBATE:
            rebates += 1
            rebate_usdc += deed.usdc or deed.usdc_size
        elif deed.kind == TRADE and deed.side is not None:
            last = of.setdefault(deed.condition_id, {})
            if last is not None and _both(last, deed):
                of[deed.condition_id] = None
    two_sided = sum(last is None for last in of.values())
    return BothSides(markets=len(of), two_sided=two_sided, rebates=rebates, rebate_usdc=rebate_usdc)


def speed(past: Past) -> Speed:
    """How fast they trade. Fills of one transaction are one act, and so are those of one order: of a token at one
    price, each within :data:`ORDER_SEC` of the one before."""
    acts = array("q", _begun(trades_of(past)))
    opened: dict[str, int] = {}
    trips = array("q")
    for deed in trades_of(past):
        if deed.side is Side.BUY:
            opened.setdefault(deed.token_id, deed.at)
        elif deed.token_id in opened:
            trips.append(deed.at - opened.pop(deed.token_id))
    return Speed(
        transactions=len(acts),
        between_sec=float(np.median(np.diff(acts))) if len(acts) > 1 else None,
        round_trips=len(trips),
        round_trip_sec=float(np.median(trips)) if trips else None,
    )


def _begun(deeds: Iterable[Deed]) -> Iterator[int]:
    """When each order was first filled."""
    newest: dict[tuple[str, Side | None, int], int] = {}
    for at, rows in groupby(deeds, key=attrgetter("at")):  # a transaction is of one second
        transactions: set[str] = set()
        for deed in rows:
            order = (deed.token_id, deed.side, rounded_price(deed.usdc, deed.shares))
            before = newest.pop(order, None)
            newest[order] = at
            if deed.tx_hash not in transactions and (before is None or at - before > ORDER_SEC):
                yield at
            transactions.add(deed.tx_hash)
        while at - newest[first := next(iter(newest))] > ORDER_SEC:
            del newest[first]


def washes(past: Past) -> Washes:
    """What looks like trading with oneself. Who stood on the other side is known where the tape has the transaction."""
    against: Counter[str] = Counter()
    seen = 0
    for tape in past.tape.values():
        for batch in seconds_of(print_columns(tape, ("at", "tx_hash", "wallet", "shares"))):
            mine = pc.equal(batch.column("wallet"), pa.scalar(past.wallet, pa.string()))
            theirs = pc.unique(batch.column("tx_hash").filter(mine))
            others = batch.filter(pc.and_(pc.is_in(batch.column("tx_hash"), theirs), pc.invert(mine)))
            seen += pc.count_distinct(others.column("tx_hash")).as_py()
            for wallet, shares in zip(
                values_of(others.column("wallet")), values_of(others.column("shares")), strict=True
            ):
                against[wallet] += shares
    trades, mirrored = _mirrored(trades_of(past))
    return Washes(
        trades=trades,
        mirrored=mirrored,
        seen_trades=seen,
        counterparties=len(against),
        matched=against.total(),
        largest=max(against.values(), default=0),
    )


def moves(past: Past) -> Moves:
    """How much they turn collateral into outcomes and back instead of trading."""
    count = moved = bought = 0
    for deed in past.deeds:
        if deed.kind in MOVES:
            count += 1
            moved += deed.usdc or deed.usdc_size or deed.shares
        elif deed.kind == TRADE and deed.side is Side.BUY:
            bought += deed.usdc
    return Moves(moves=count, moved=moved, bought=bought)


def _both(last: dict[tuple[str, Side | None], int], now: Deed) -> bool:
    """Whether a market was bought and sold, or two of its outcomes bought, in the same minutes; takes a trade in."""
    for (token, side), at in last.items():
        other = token == now.token_id and side is not now.side
        both = token != now.token_id and side is now.side is Side.BUY
        if (other or both) and now.at - at <= SAME_MINUTES_SEC:
            return True
    last[now.token_id, now.side] = now.at
    return False


def _mirrored(deeds: Iterable[Deed]) -> tuple[int, int]:
    """How many trades there are, and how many have a counterpart: the other side of the same token, size and price in
    the same minutes."""
    waiting: dict[tuple[str, int, int, Side], deque[int]] = {}
    trades = found = 0
    for deed in deeds:
        trades += 1
        assert deed.side is not None
        other = Side.SELL if deed.side is Side.BUY else Side.BUY
        queue = waiting.get((deed.token_id, deed.shares, deed.usdc, other), deque())
        while queue and deed.at - queue[0] > SAME_MINUTES_SEC:
            queue.popleft()
        if queue:
            queue.popleft()
            found += 2
        else:
            mine = (deed.token_id, deed.shares, deed.usdc, deed.side)
            waiting[mine] = waiting.pop(mine, deque())  # the last to be over stands last
            waiting[mine].append(deed.at)
        while waiting and (not (old := waiting[first := next(iter(waiting))]) or deed.at - old[-1] > SAME_MINUTES_SEC):
            del waiting[first]
    return trades, found
