"""What the stand-in venue says of a wallet's own trading: worked out from the rows that it shows of them."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

from pilotfish.core.units import MICRO, cost_of, price_of, proceeds_of
from pilotfish.sim.archive import Archive
from pilotfish.sim.chain import Row
from pilotfish.sim.market import SimMarket


@dataclass(slots=True)
class Book:
    """One token of a wallet, at average cost; amounts in millionths. ``last_at`` in epoch seconds."""

    shares: int = 0
    cost: int = 0
    bought: int = 0
    realized: int = 0
    last_at: int = 0

    def move(self, delta: int, usdc: int, at: int) -> None:
        """Shares that came for ``usdc``, or went for it; of what went without being there nothing was made."""
        self.last_at = at
        if delta >= 0:
            self.shares += delta
            self.bought += delta
            self.cost += usdc
            return
        gone = min(self.shares, -delta)
        cost = self.cost * gone // self.shares if self.shares else 0
        self.shares -= gone
        self.cost -= cost
        self.realized += usdc * gone // -delta - cost

    @property
    def average(self) -> int:
        """What a share cost; of what is gone, nothing is known any more."""
        return price_of(self.cost, self.shares)


@dataclass(slots=True)
class WalletRecord:
    """A wallet's tokens, and what its trades come to."""

    books: dict[str, Book] = field(default_factory=dict)
    volume: int = 0
    trades: int = 0
    joined_at: int | None = None

    def take(self, row: Row, archive: Archive) -> None:
        """Take the next row in."""
        data = row.data
        if self.joined_at is None:
            self.joined_at = row.timestamp
        if data["type"] == "TRADE":
            shares = round(data["size"] * MICRO)
            usdc = round(data["size"] * data["price"] * MICRO)
            self.volume += usdc
            self.trades += 1
            book = self.books.setdefault(data["token_id"], Book())
            book.move(shares if data["side"] == "BUY" else -shares, usdc, row.timestamp)
        for token, delta in data.get("_moves", {}).items():
            market = archive.market(token)
            worth = proceeds_of(abs(delta), market.price(token)) if market else 0
            self.books.setdefault(token, Book()).move(delta, worth, row.timestamp)

    @property
    def realized(self) -> int:
        """What was made on what was sold."""
        return sum(book.realized for book in self.books.values())

    @property
    def shares(self) -> int:
        """How many shares were bought, which is the venue's volume in shares."""
        return sum(book.bought for book in self.books.values())


def begun_record(archive: Archive, wallet: str) -> WalletRecord:
    """A wallet's record before its first row. What it held then came at the market's price."""
    record = WalletRecord()
    for token, shares in archive.chain.initial.get(wallet, {}).items():
        market = archive.market(token)
        record.books[token] = Book(shares, cost_of(shares, market.price(token)) if market else 0, shares)
    return record


def read_record(archive: Archive, wallet: str, now: float, since: int = 0) -> WalletRecord:
    """A wallet's record by now, of what was from ``since`` (epoch seconds) on."""
    record = begun_record(archive, wallet)
    for row in archive.rows(wallet, now, since):
        record.take(row, archive)
    return record


def rank(archive: Archive, wallet: str, now: float, by: str) -> int:
    """A wallet's place among all that trade here, by ``realized`` or ``volume``; 0 = it never traded."""
    figures = {
        other: record.realized if by == "realized" else record.volume
        for other in archive.wallets()
        if (record := read_record(archive, other, now)).trades
    }
    return 1 + sum(figure > figures[wallet] for figure in figures.values()) if wallet in figures else 0


def open_positions(archive: Archive, wallet: str) -> list[dict[str, Any]]:
    """Rows of ``/v2/positions`` of what a wallet holds, settled markets included."""
    now = time.time()
    books = read_record(archive, wallet, now, archive.begins_at).books
    return [
        _position(wallet, market, token, shares, books.get(token, Book()))
        for token, shares in sorted(archive.chain.holdings(wallet, now).items())
        if (market := archive.market(token)) is not None
    ]


def closed_positions(archive: Archive, wallet: str) -> list[dict[str, Any]]:
    """The same of what it held and sold, the newest first."""
    now = time.time()
    held = archive.chain.holdings(wallet, now)
    rows = [
        {**_position(wallet, market, token, 0, book), "status": "CLOSED"}
        for token, book in sorted(read_record(archive, wallet, now).books.items())
        if token not in held and book.bought and (market := archive.market(token)) is not None
    ]
    return sorted(rows, key=lambda row: -(row["last_event_at"] or 0))


def _position(user: str, market: SimMarket, token: str, shares: int, book: Book) -> dict[str, Any]:
    index, paid = market.index(token), market.payouts
    price = paid[index] if paid else market.price(token)
    worth = proceeds_of(shares, price)
    gain = worth - book.cost if shares else 0
    return {
        "proxy_wallet": user,
        "token_id": token,
        "condition_id": market.condition_id,
        "current_size": shares / MICRO,
        "total_size": book.bought / MICRO,
        "avg_price": book.average / MICRO,
        "entry_cost_usdc": book.cost / MICRO,
        "entry_fees_usdc": 0.0,
        "total_cost_usdc": book.cost / MICRO,
        "current_price": price / MICRO,
        "current_value": worth / MICRO,
        "realized_pnl": book.realized / MICRO,
        "unrealized_pnl": gain / MICRO,
        "total_pnl": (book.realized + gain) / MICRO,
        "percent_pnl": 100 * gain / book.cost if book.cost else 0.0,
        "percent_realized_pnl": 0.0,
        "status": "REDEEMABLE" if paid else "OPEN",
        "redeemable": paid is not None,
        "mergeable": False,
        "negative_risk": market.neg_risk,
        "archived": False,
        "verified": True,
        "title": market.question,
        "slug": market.slug,
        "event_slug": market.event or market.slug,
        "outcome": market.outcomes[index],
        "outcome_index": index,
        "opposite_token_id": market.tokens[1 - index],
        "opposite_outcome": market.outcomes[1 - index],
        "event_id": "1",
        "end_date": "2030-12-31",
        "last_event_at": book.last_at or None,
    }
