"""The book of one token as recorded rows leave it, in the venue's own digits: what the next segment begins with."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from pilotfish.core.trade import Side
from pilotfish.polymarket.book_rows import BookRow, Heard, micro

CHECKPOINT = "as it stood when the segment began"


@dataclass(slots=True)
class _Book:
    """Price (millionths) -> price and size in the venue's digits."""

    bids: dict[int, tuple[str, str]] = field(default_factory=dict)
    asks: dict[int, tuple[str, str]] = field(default_factory=dict)
    tick: str = ""
    min_size: str = ""


class Standing:
    """Books by token of which every change is known."""

    def __init__(self) -> None:
        self._books: dict[str, _Book] = {}

    def __len__(self) -> int:
        return len(self._books)

    def see(self, row: BookRow) -> None:
        """Take a row in. A delta of a token without a book changes nothing."""
        match row.kind:
            case Heard.SNAPSHOT:
                before = self._books.get(row.token_id, _Book())
                self._books[row.token_id] = _Book(
                    _side(row.bid_prices, row.bid_sizes),
                    _side(row.ask_prices, row.ask_sizes),
                    row.tick or before.tick,
                    row.min_size or before.min_size,
                )
            case Heard.DELTA if (book := self._books.get(row.token_id)) is not None:
                side = book.bids if row.side == Side.BUY else book.asks
                price = micro(row.price)
                if micro(row.size):
                    side[price] = (row.price, row.size)
                else:
                    side.pop(price, None)
            case Heard.TICK if (book := self._books.get(row.token_id)) is not None:
                book.tick = row.price
            case Heard.GAP:
                self._books.pop(row.token_id, None)
            case _:
                pass

    def whole(self, token_id: str, at: int, detail: str = "") -> BookRow | None:
        """A book that stands as a snapshot that follows from what was before; ``None`` where none does."""
        book = self._books.get(token_id)
        if book is None:
            return None
        bids = [book.bids[price] for price in sorted(book.bids, reverse=True)]
        asks = [book.asks[price] for price in sorted(book.asks)]
        return BookRow(
            token_id=token_id,
            at=at,
            kind=Heard.SNAPSHOT,
            bid_prices=tuple(p for p, _ in bids),
            bid_sizes=tuple(s for _, s in bids),
            ask_prices=tuple(p for p, _ in asks),
            ask_sizes=tuple(s for _, s in asks),
            tick=book.tick,
            min_size=book.min_size,
            detail=detail,
        )

    def checkpoint(self, at: int) -> Iterator[BookRow]:
        """Every book that stands."""
        for token in self._books:
            row = self.whole(token, at, CHECKPOINT)
            if row is not None:
                yield row

    def gaps(self, at: int, why: str) -> list[BookRow]:
        """That no book is known from an instant on."""
        return [BookRow(token_id=token, at=at, kind=Heard.GAP, detail=why) for token in self._books]

    def clear(self) -> None:
        """Forget all."""
        self._books.clear()


def _side(prices: tuple[str, ...], sizes: tuple[str, ...]) -> dict[int, tuple[str, str]]:
    return {micro(price): (price, size) for price, size in zip(prices, sizes, strict=True) if micro(size)}
