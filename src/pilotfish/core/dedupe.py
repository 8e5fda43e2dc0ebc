"""The occurrence-counted index: which trade an observation belongs to, or that it is a new one.

Chain: a distinct log is a distinct occurrence, in log order. API: the n-th row of a key within a completely read
window is occurrence n. Trades of a key = max(chain count, API count).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

import msgspec

from pilotfish.core.patience import REVIVE_BY_API_AFTER
from pilotfish.core.trade import LeaderFill, LogId, Source, Trade, TradeKey

_API, _POLYGON = Source.API, Source.POLYGON


class Sighting(msgspec.Struct, gc=False):
    """What one observation means: the trade it belongs to (``None`` = a new one) and what that changed. ``timed``: its
    time was an estimate, and is known now."""

    fill: LeaderFill
    trade: Trade | None
    occurrence: int
    changed: bool = False
    revived: bool = False
    timed: bool = False


class _Key(msgspec.Struct, gc=False):
    trades: list[Trade]
    chain: dict[LogId, Trade]
    """Log -> the occurrence it is bound to."""


def _other_block(trade: Trade, fill: LeaderFill) -> bool:
    """A transaction stands in one block only: another block means that the chain was reorganised in between."""
    if fill.block_hash is not None and trade.block_hash is not None:
        return fill.block_hash != trade.block_hash
    if fill.block_number is not None and trade.block_number is not None:
        return fill.block_number != trade.block_number
    return False


class TradeIndex:
    """Recent trades by identity. Bounded by :meth:`forget_before`."""

    def __init__(self) -> None:
        self._keys: dict[TradeKey, _Key] = {}
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Trade]:
        for entry in self._keys.values():
            yield from entry.trades

    def add(self, trade: Trade) -> None:
        """Enter a trade that is already decided on: a new one, or one restored from the store."""
        key = trade.key
        entry = self._keys.get(key)
        if entry is None:
            entry = self._keys[key] = _Key([], {})
        assert len(entry.trades) + 1 == trade.occurrence, "occurrences are consecutive"
        entry.trades.append(trade)
        self._count += 1
        if trade.first_seen_by_polygon_at is not None and trade.retracted_at is None:
            entry.chain[trade.log_id] = trade

    def recall(self, trade: Trade) -> Trade:
        """Enter a trade from the store unless it is here; returns the one that is here."""
        entry = self._keys.get(trade.key)
        if entry is not None and len(entry.trades) >= trade.occurrence:
            return entry.trades[trade.occurrence - 1]
        self.add(trade)
        return trade

    def knows(self, key: TradeKey) -> bool:
        """True if a trade of this key is in the index."""
        return key in self._keys

    def has(self, trade: Trade) -> bool:
        """True if this very occurrence is in the index."""
        entry = self._keys.get(trade.key)
        return entry is not None and len(entry.trades) >= trade.occurrence

    def see_chain(self, fill: LeaderFill, at: int) -> Sighting:
        """Place a chain log that is not marked removed."""
        assert fill.source is _POLYGON
        entry = self._keys.get(fill.key)
        if entry is None:
            return Sighting(fill, None, 1)
        if any(_other_block(t, fill) for t in entry.chain.values()):
            entry.chain.clear()
        log = fill.log_id
        bound = entry.chain.get(log)
        if bound is not None:
            return Sighting(fill, bound, bound.occurrence)
        taken = {id(t) for t in entry.chain.values()}
        free = next((t for t in entry.trades if id(t) not in taken), None)
        if free is None:
            return Sighting(fill, None, len(entry.trades) + 1)
        revived = not free.active
        free.retracted_at = None
        if free.first_seen_by_polygon_at is None:
            free.first_seen_by_polygon_at = at
        free.learn_from_chain(fill)
        entry.chain[log] = free
        return Sighting(fill, free, free.occurrence, changed=True, revived=revived)

    def see_removed(self, fill: LeaderFill, at: int) -> Trade | None:
        """Retract the occurrence that a ``removed: true`` log names; ``None`` if it names none."""
        entry = self._keys.get(fill.key)
        if entry is None:
            return None
        log = fill.log_id
        trade = entry.chain.get(log)
        if trade is None or not trade.active or _other_block(trade, fill):
            return None
        del entry.chain[log]
        trade.retracted_at = at
        return trade

    def see_api_window(self, fills: Iterable[LeaderFill], at: int) -> Iterator[Sighting]:
        """Place the rows of one completely read window, in their order. Lazy: enter each new trade before the next."""
        counts: dict[TradeKey, int] = {}
        for fill in fills:
            assert fill.source is _API
            key = fill.key
            n = counts[key] = counts.get(key, 0) + 1
            entry = self._keys.get(key)
            if entry is None or n > len(entry.trades):
                yield Sighting(fill, None, n)
                continue
            trade = entry.trades[n - 1]
            sighting = Sighting(fill, trade, n)
            if trade.first_seen_by_api_at is None:
                trade.first_seen_by_api_at = at
                sighting.timed = trade.learn_from_api(fill)
                sighting.changed = True
            if trade.retracted_at is not None and at - trade.retracted_at > REVIVE_BY_API_AFTER:
                trade.retracted_at = None
                sighting.changed = sighting.revived = True
            yield sighting

    def sort_occurrences(self, key: TradeKey) -> list[Trade]:
        """Give occurrence n the n-th log of its transaction; returns the trades whose chain fields moved.

        Two subscriptions deliver in no fixed order, so identical fills can arrive the wrong way round.
        """
        entry = self._keys[key]
        if len(entry.trades) == 1:
            return []
        bound = [t for t in entry.trades if t.log_index is not None and t.active]
        logs = sorted((t.log_facts for t in bound), key=lambda facts: facts[0])
        moved = [t for t, facts in zip(bound, logs, strict=True) if t.log_facts != facts]
        if moved:
            for trade, facts in zip(bound, logs, strict=True):
                trade.be_of_log(facts)
                entry.chain[trade.log_id] = trade
        return moved

    def forget_before(self, traded_at: int, needed: Collection[int] | None = None) -> int:
        """Drop keys whose trades are all older than ``traded_at`` (µs) and not ``needed``, by their ids; returns how
        many trades went. With ``needed`` given, what a source has shown since then stays, too."""

        def goes(t: Trade) -> bool:
            if needed is None:
                return t.traded_at < traded_at
            return last_shown(t) < traded_at and t.id not in needed

        old = [k for k, e in self._keys.items() if all(map(goes, e.trades))]
        gone = sum(len(self._keys.pop(k).trades) for k in old)
        self._count -= gone
        return gone


def last_shown(trade: Trade) -> int:
    """When a source last showed that there is such a trade, at the latest (µs)."""
    return max(trade.traded_at, trade.first_seen_by_api_at or 0, trade.first_seen_by_polygon_at or 0)
