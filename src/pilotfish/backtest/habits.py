"""How a wallet trades, counted from its history alone: both sides, speed, washes, moves. No judgement is made here.

In: what they did (``Past.deeds``) and the tape. Out: frozen counts; seconds, and millionths of a USDC or a share.
"""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Iterable, Sequence
from itertools import pairwise
from statistics import median

import msgspec

from pilotfish.core.leader_orders import rounded_price
from pilotfish.core.trade import Side
from pilotfish.history.records import Deed, Past, Print

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


def trades_of(past: Past) -> list[Deed]:
    """Their trades, oldest first."""
    return [deed for deed in past.deeds if deed.kind == TRADE and deed.side is not None]


def both_sides(past: Past) -> BothSides:
    """How much they make markets."""
    of: dict[str, list[Deed]] = defaultdict(list)
    for deed in trades_of(past):
        of[deed.condition_id].append(deed)
    rebates = [deed for deed in past.deeds if deed.kind == MAKER_REBATE]
    return BothSides(
        markets=len(of),
        two_sided=sum(_two_sided(deeds) for deeds in of.values()),
        rebates=len(rebates),
        rebate_usdc=sum(deed.usdc or deed.usdc_size for deed in rebates),
    )


def speed(past: Past) -> Speed:
    """How fast they trade. Fills of one transaction are one act, and so are those of one order: of a token at one
    price, each within :data:`ORDER_SEC` of the one before."""
    deeds = trades_of(past)
    acts = sorted(_begun(deeds))
    opened: dict[str, int] = {}
    trips = []
    for deed in deeds:
        if deed.side is Side.BUY:
            opened.setdefault(deed.token_id, deed.at)
        elif deed.token_id in opened:
            trips.append(deed.at - opened.pop(deed.token_id))
    return Speed(
        transactions=len(acts),
        between_sec=float(median(b - a for a, b in pairwise(acts))) if len(acts) > 1 else None,
        round_trips=len(trips),
        round_trip_sec=float(median(trips)) if trips else None,
    )


def _begun(deeds: Sequence[Deed]) -> Iterable[int]:
    """When each order was first filled."""
    transactions: set[str] = set()
    newest: dict[tuple[str, Side | None, int], int] = {}
    for deed in deeds:
        order = (deed.token_id, deed.side, rounded_price(deed.usdc, deed.shares))
        before = newest.get(order)
        newest[order] = deed.at
        if deed.tx_hash not in transactions and (before is None or deed.at - before > ORDER_SEC):
            yield deed.at
        transactions.add(deed.tx_hash)


def washes(past: Past) -> Washes:
    """What looks like trading with oneself. Who stood on the other side is known where the tape has the transaction."""
    deeds = trades_of(past)
    theirs = {deed.tx_hash for deed in deeds}
    against: Counter[str] = Counter()
    seen = set()
    for row in _rows(past.tape.values()):
        if row.tx_hash in theirs and row.wallet != past.wallet:
            against[row.wallet] += row.shares
            seen.add(row.tx_hash)
    return Washes(
        trades=len(deeds),
        mirrored=_mirrored(deeds),
        seen_trades=len(seen),
        counterparties=len(against),
        matched=against.total(),
        largest=max(against.values(), default=0),
    )


def moves(past: Past) -> Moves:
    """How much they turn collateral into outcomes and back instead of trading."""
    done = [deed for deed in past.deeds if deed.kind in MOVES]
    return Moves(
        moves=len(done),
        moved=sum(deed.usdc or deed.usdc_size or deed.shares for deed in done),
        bought=sum(deed.usdc for deed in trades_of(past) if deed.side is Side.BUY),
    )


def _two_sided(deeds: Sequence[Deed]) -> bool:
    """Whether a market was bought and sold, or two of its outcomes bought, in the same minutes."""
    last: dict[tuple[str, Side | None], int] = {}
    for deed in deeds:
        for (token, side), at in last.items():
            other = token == deed.token_id and side is not deed.side
            both = token != deed.token_id and side is deed.side is Side.BUY
            if (other or both) and deed.at - at <= SAME_MINUTES_SEC:
                return True
        last[deed.token_id, deed.side] = deed.at
    return False


def _mirrored(deeds: Sequence[Deed]) -> int:
    """Trades that have a counterpart: the other side of the same token, size and price in the same minutes."""
    waiting: dict[tuple[str, int, int, Side], deque[int]] = defaultdict(deque)
    found = 0
    for deed in deeds:
        other = Side.SELL if deed.side is Side.BUY else Side.BUY
        queue = waiting[deed.token_id, deed.shares, deed.usdc, other]
        while queue and deed.at - queue[0] > SAME_MINUTES_SEC:
            queue.popleft()
        if queue:
            queue.popleft()
            found += 2
        elif deed.side is not None:
            waiting[deed.token_id, deed.shares, deed.usdc, deed.side].append(deed.at)
    return found


def _rows(tapes: Iterable[list[Print]]) -> Iterable[Print]:
    for tape in tapes:
        yield from tape
