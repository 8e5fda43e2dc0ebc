"""What each leader holds: a fold over his trades and corrections in the order of the chain, never below zero.

The order in which two sources *deliver* must not matter, so a late row is put where it belongs and the fold is run
again from there.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable

import msgspec

from pilotfish.core.trade import Trade
from pilotfish.core.units import MAX_AMOUNT, SECOND

KEEP = 512
"""Entries kept per holding for re-ordering and reorgs; older ones are final."""

OrderKey = tuple[int, int, int]
_LAST_LOG = 2**31


class _Entry(msgspec.Struct, eq=False, gc=False):
    order: OrderKey
    delta: int
    sets: bool = False
    trade: Trade | None = None
    before: int = 0

    def __lt__(self, other: _Entry) -> bool:
        return self.order < other.order


def order_of(trade: Trade) -> OrderKey:
    """Chain order: block time, then log index, then arrival where the log index is not known."""
    log = trade.log_index
    return (trade.traded_at, log if log is not None else _LAST_LOG, trade.id)


class Holding:
    """One leader's shares of one token."""

    __slots__ = ("_base", "_begin", "_entries", "_first", "shares")

    def __init__(self, shares: int = 0) -> None:
        self._base = shares
        self._entries: list[_Entry] = []
        self._begin: _Entry | None = None
        """What was held when the leader was followed (again): it follows from what the first snapshot since then said,
        ``_first``, and from the trades that this contains."""
        self._first: _Entry | None = None
        self.shares = shares

    @classmethod
    def rebuilt(
        cls, shares: int, trades: Iterable[Trade], sets: Iterable[tuple[int, int, bool]], since: int
    ) -> Holding:
        """The holding of a run before: it is ``shares`` now, after the recent ``trades`` and what snapshots said
        (shares, as of µs, whether it was the first of a following). So a row that comes late finds its place as if
        there had been no restart. Where they do not explain ``shares`` and what was held before each SELL, only
        ``shares`` is taken over. ``since`` (µs): no trade of the following of now is earlier.
        """
        holding = cls(shares)
        return holding if holding._explained([], trades, sets, since) else cls(shares)

    def recall(self, trades: Iterable[Trade], sets: Iterable[tuple[int, int, bool]], since: int, reach: int) -> None:
        """Remember what was before ``reach`` (µs), as :meth:`rebuilt` does, beside what is here; where that does not
        explain what is held, all stays as it is."""
        here = [e for e in self._entries if e is not self._begin]
        known = {id(e.trade) for e in here if e.trade is not None}
        older = [t for t in trades if t.traded_at < reach and id(t) not in known]
        told = [s for s in sets if _second(s[1]) <= reach]
        before = [(e, e.before) for e in self._entries]
        was = (self._base, self._entries, self._begin, self._first)
        if not self._explained(here, older, told, since):
            self._base, self._entries, self._begin, self._first = was
            for entry, held in before:
                entry.before = held

    def _explained(
        self, here: list[_Entry], trades: Iterable[Trade], sets: Iterable[tuple[int, int, bool]], since: int
    ) -> bool:
        """Put the entries of ``trades`` and ``sets`` beside those that are ``here``; True if all together explain what
        is held, and was before each SELL. Where not, the entries are left as they came out."""
        first = self._first if any(e is self._first for e in here) else None
        entries = self._entries = [*here, *(_Entry(order_of(t), t.signed_shares, trade=t) for t in trades)]
        for said, as_of, is_first in sets:
            entry = _Entry((_second(as_of), -1, 0), said, sets=True)
            known = next((e for e in here if e.sets and e.order == entry.order and e.delta == said), None)
            if known is None:
                entries.append(entry)
            first = (known or entry) if is_first and as_of >= since else first
        entries.sort()
        self._begin = self._first = None
        if first is not None and first is next(e for e in entries if e.sets and e.order[0] >= _second(since)):
            self._begin_before(first, since)
        held = self._base = _base(self.shares, self._entries)
        for entry in self._entries:
            entry.before = held
            if entry.trade is not None and entry.delta < 0 and entry.trade.leader_pre_sell_shares != held:
                return False
            held = _after(entry)
        return held == self.shares

    def forget_before(self, at: int) -> None:
        """What was before ``at`` (µs) is final."""
        kept = bisect_left(self._entries, _Entry((at, -(2**31), 0), 0))
        if not kept:
            return
        self._base = self._entries[kept].before if kept < len(self._entries) else self.shares
        del self._entries[:kept]
        if self._begin is not None and self._begin.order[0] < at:
            self._begin = self._first = None

    @property
    def trades(self) -> list[Trade]:
        """The recent trades that count in it, in their order."""
        return [e.trade for e in self._entries if e.trade is not None]

    def after(self, trade: Trade) -> list[Trade]:
        """The trades of it that are later than one that is in it, in their order; most often none."""
        entries = self._entries
        if not entries or entries[-1].trade is trade:
            return []
        place = bisect_left(entries, _Entry(order_of(trade), 0))
        if place == len(entries) or entries[place].trade is not trade:
            return []
        return [e.trade for e in entries[place + 1 :] if e.trade is not None]

    def held_at(self, as_of: int) -> int:
        """Shares before that second, as of which a snapshot says what is held, as earlier snapshots of it corrected
        them."""
        later = bisect_right(self._entries, _Entry((_second(as_of), -1, 0), 0))
        return _after(self._entries[later - 1]) if later else self._base

    def told_as_of(self, said: int, as_of: int) -> int:
        """As of when a first snapshot says ``said``: the next second (µs) where that is what is held by a trade whose
        block may be of the snapshot's own second, so that the snapshot contains it."""
        second = _second(as_of)
        near = [e.trade for e in self._entries if e.trade is not None and e.order[0] >= second]
        contained = near and all(_second(t.traded_at) == second for t in near)
        return second + SECOND if contained and said == self.shares != self.held_at(as_of) else as_of

    def traded_since(self, at: int) -> bool:
        """True if a trade of at or after ``at`` (µs) is in it."""
        return any(e.trade is not None and e.trade.traded_at >= at for e in self._entries[-50:])

    def add_trade(self, trade: Trade) -> list[Trade]:
        """Move the holding by a trade; returns the trades whose ``leader_pre_sell_shares`` it changed."""
        return self._insert(_Entry(order_of(trade), trade.signed_shares, False, trade))

    def remove_trade(self, trade: Trade, at: int) -> list[Trade]:
        """Take a retracted trade out again (or reverse it at ``at`` when it is older than what is kept)."""
        kept = [e for e in self._entries if e.trade is not trade]
        if len(kept) == len(self._entries):
            return self._insert(_Entry((at, _LAST_LOG, 0), -trade.signed_shares))
        self._entries = kept
        return self._refold(0)

    def reorder(self, trade: Trade) -> list[Trade]:
        """Put a trade where its place is now that more is known of it (its log index, its exact time)."""
        for i, entry in enumerate(self._entries):
            if entry.trade is trade:
                if entry.order == order_of(trade):
                    return []
                del self._entries[i]
                changed = self._refold(0)
                return [*changed, *self.add_trade(trade)]
        return []

    def set_to(self, shares: int, as_of: int) -> list[Trade]:
        """What a snapshot said at ``as_of`` (µs): it contains everything before that second.

        Block times are whole seconds, so trades of the very second are taken to come after it.
        """
        return self._insert(_Entry((_second(as_of), -1, 0), shares, sets=True))

    def begin_with(self, shares: int, as_of: int, since: int) -> list[Trade]:
        """What the first snapshot of a following said: unlike a later one it also tells what was held when that began,
        before the trades that it contains. ``since`` (µs): no trade of this following is earlier; what is known of one
        before stays as it is."""
        if any(e.sets and e.order[0] >= _second(since) for e in self._entries):
            return self.set_to(shares, as_of)
        first = _Entry((_second(as_of), -1, 0), shares, sets=True)
        insort(self._entries, first)
        self._begin_before(first, since)
        return self._refold(0)

    def _begin_before(self, first: _Entry, since: int) -> None:
        self._begin, self._first = _Entry((_second(since), -2, 0), 0, sets=True), first
        insort(self._entries, self._begin)
        self._tell_beginning()

    def _tell_beginning(self) -> None:
        if self._begin is not None and self._first is not None:
            contained = [e for e in self._entries if self._begin < e < self._first and not e.sets]
            self._begin.delta = max(0, self._first.delta - sum(e.delta for e in contained))

    def _insert(self, entry: _Entry) -> list[Trade]:
        if not self._entries or entry.order >= self._entries[-1].order:
            self._entries.append(entry)
            changed = self._goes_on(entry)
        else:
            insort(self._entries, entry)
            contained = self._first is not None and entry < self._first
            changed = self._refold(0 if contained else bisect_left(self._entries, entry))
        if len(self._entries) > 2 * KEEP:
            self._base, self._begin, self._first = self._entries[KEEP].before, None, None
            del self._entries[:KEEP]
        return changed

    def _refold(self, start: int) -> list[Trade]:
        changed: list[Trade] = []
        if start == 0:
            self._tell_beginning()
            self.shares = self._base
        else:
            self.shares = _after(self._entries[start - 1])
        for entry in self._entries[start:]:
            changed += self._goes_on(entry)
        return changed

    def _goes_on(self, entry: _Entry) -> list[Trade]:
        """What is held goes on from :attr:`shares` with an entry; the trade whose ``leader_pre_sell_shares`` this
        changes, if any."""
        held = entry.before = self.shares
        self.shares = _after(entry)
        trade = entry.trade
        if trade is None or entry.delta >= 0 or trade.leader_pre_sell_shares == held:
            return []
        trade.leader_pre_sell_shares = held
        return [trade]


def _base(shares: int, entries: list[_Entry]) -> int:
    """What was held before the first of ``entries``: by the first SELL, else by what all of them came to."""
    moved = 0
    for entry in entries:
        if entry.sets:
            return 0
        if entry.trade is not None and entry.delta < 0 and entry.trade.leader_pre_sell_shares is not None:
            return max(0, entry.trade.leader_pre_sell_shares - moved)
        moved += entry.delta
    return max(0, shares - moved)


def _second(at: int) -> int:
    """The whole second (µs) that an instant is in, as block times have it."""
    return at // SECOND * SECOND


def _after(entry: _Entry) -> int:
    held = entry.delta if entry.sets else entry.before + entry.delta
    return held if 0 <= held < MAX_AMOUNT else min(MAX_AMOUNT, held if entry.sets else max(0, held))
