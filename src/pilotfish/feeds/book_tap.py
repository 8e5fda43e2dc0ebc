"""What the kept books and the reads over HTTP show of order books, as rows for who records them.

A token is *open* while every change of its book has become a row. What ends that (doubt, a lost connection, a row that
was not taken) is a gap, and the first row after it is a whole book again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pilotfish.core.trade import Side
from pilotfish.core.units import format_micro
from pilotfish.feeds.kept_book import KeptBook
from pilotfish.polymarket import market_ws as ws
from pilotfish.polymarket.book_rows import BookRow, Heard, whole

NOT_TAKEN = "rows could not be written as fast as they came"


def nowhere(_row: BookRow) -> bool:
    """Where rows go when nobody records."""
    return False


class BookTap:
    """``take(row)`` is False where a row was not taken; ``now`` is the hub's clock (µs); nothing is told while ``on``
    is False."""

    def __init__(self, take: Callable[[BookRow], bool], now: Callable[[], int], on: Callable[[], bool]) -> None:
        self._take = take
        self._now = now
        self._on = on
        self._open: set[str] = set()
        self._lost: dict[str, int] = {}
        """Token -> when its first row since its last gap was not taken (µs)."""

    def snapshot(self, local: KeptBook, raw: Mapping[str, Any]) -> None:
        """The channel showed a whole book, and it is kept now."""
        if self._on() and not local.doubt:
            is_reseed = local.token_id not in self._open
            row = whole(raw, local.token_id, self._now(), Heard.SNAPSHOT, is_reseed=is_reseed)
            if self._told(row):
                self._open.add(local.token_id)
        self.settle(local)

    def change(self, token_id: str, change: ws.Change, at_ms: int, at: int) -> None:
        """The channel showed a change, at our ``at`` (µs)."""
        if token_id in self._open:
            price, size = change.digits
            self._told(
                BookRow(
                    token_id=token_id, at=at, kind=Heard.DELTA, venue_ms=at_ms, side=change.side.value, price=price,
                    size=size,
                )
            )  # fmt: skip

    def settle(self, local: KeptBook, since: int = 0) -> None:
        """After anything that may have cast doubt on a kept book, or ended it: a gap, or the book as it is kept.
        ``since``: from when on nothing is sure (µs)."""
        if local.doubt or local.owner is None:
            self.end(local.token_id, local.doubt.value, since)
        elif local.token_id not in self._open and self._on() and self._told(self._kept(local)):
            self._open.add(local.token_id)

    def replaced(self, local: KeptBook) -> None:
        """A kept book was set right by a read over HTTP: what was told of it before leads there no more."""
        if not local.doubt:
            self._open.discard(local.token_id)
        self.settle(local)

    def end(self, token_id: str, why: str, since: int = 0) -> None:
        """A book is kept no longer, or not to be trusted."""
        if token_id in self._open:
            self._open.discard(token_id)
            self._told(BookRow(token_id=token_id, at=self._now(), kind=Heard.GAP, since=since, detail=why or "let go"))

    def answer(self, payload: Mapping[str, Any], token_id: str, requested_at: int, received_at: int) -> None:
        """A book was read over HTTP, between two instants (µs)."""
        if self._on():
            self._told(whole(payload, token_id, received_at, Heard.ANSWER, since=requested_at))

    def asked(self, token_id: str, at: int) -> None:
        """A kept book was used, as it stood at an instant (µs)."""
        if token_id in self._open:
            self._told(BookRow(token_id=token_id, at=at, kind=Heard.ASKED))

    def tick(self, change: ws.TickChange) -> None:
        """A token's tick is another one now."""
        if change.token_id in self._open:
            row = BookRow(
                token_id=change.token_id, at=self._now(), kind=Heard.TICK, venue_ms=change.at_ms, price=change.digits
            )
            self._told(row)

    def trade(self, trade: ws.LastTrade) -> None:
        """Somebody traded a token that is kept."""
        if trade.token_id in self._open:
            self._told(
                BookRow(
                    token_id=trade.token_id, at=self._now(), kind=Heard.TRADE, venue_ms=trade.at_ms,
                    side=trade.side.value, price=trade.price, size=trade.size,
                )
            )  # fmt: skip

    def _kept(self, local: KeptBook) -> BookRow:
        bids, asks = sorted(local.side(Side.BUY).items(), reverse=True), sorted(local.side(Side.SELL).items())
        return BookRow(
            token_id=local.token_id,
            at=self._now(),
            kind=Heard.SNAPSHOT,
            is_reseed=True,
            bid_prices=tuple(format_micro(price) for price, _ in bids),
            bid_sizes=tuple(format_micro(size) for _, size in bids),
            ask_prices=tuple(format_micro(price) for price, _ in asks),
            ask_sizes=tuple(format_micro(size) for _, size in asks),
            tick=format_micro(local.tick),
            min_size=format_micro(local.min_size),
        )

    def _told(self, row: BookRow) -> bool:
        """Hand a row over; after one that was not taken, first that there is a gap."""
        token = row.token_id
        if not self._on():
            self._open.discard(token)
            return False
        if token in self._lost:
            gap = BookRow(token_id=token, at=row.at, kind=Heard.GAP, since=self._lost[token], detail=NOT_TAKEN)
            if not self._take(gap):
                return False
            del self._lost[token]
            if row.kind is Heard.GAP:
                return True
        if self._take(row):
            return True
        self._lost.setdefault(token, row.at)
        self._open.discard(token)
        return False
