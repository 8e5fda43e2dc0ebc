"""What positions are worth at what the bids would pay for all of them, and what each portfolio is worth."""

from __future__ import annotations

from collections.abc import Iterable

from pilotfish.core import ledger
from pilotfish.core.book import Book, bid_value
from pilotfish.core.desk import Desk
from pilotfish.core.effects import Insert, Upsert
from pilotfish.core.exits import Exits
from pilotfish.core.recording import position_record
from pilotfish.core.records import EquityRecord, MarkRecord, NoBidRecord
from pilotfish.core.state import State
from pilotfish.core.units import MICRO, SECOND, Micros, Price, Usdc

EQUITY_EVERY = 60 * SECOND
AT_A_TICK = 50
"""Portfolios that are valued at one tick. Of more each has its turn: a thousand at each tick would be more rows than
all that is traded."""


class Valuing:
    """Marks positions with each book, and writes what portfolios are worth when that changed."""

    def __init__(self, state: State, exits: Exits) -> None:
        self.state = state
        self.exits = exits
        self._marks: dict[str, tuple[int | None, int | None]] = {}
        self._turn = 0

    def mark(self, book: Book, at: int) -> None:
        """Value what is held of a token at what its bids would pay for all of it; without bids that is not known."""
        for desk in self.state.holders.of(book.token_id):
            positions = [p for p in desk.by_token.get(book.token_id, ()) if p.shares]
            if not positions:
                continue
            total = positions[0].shares if len(positions) == 1 else sum([p.shares for p in positions])
            price = bid_value(book, total) * MICRO // total if book.bids else None
            for position in positions:
                if ledger.mark(position, price, at):
                    desk.count(position)
                    desk.marked[(position.leader, position.token_id)] = position
                self.exits.look(desk, position, at)
        bids, asks = book.bids, book.asks
        best = (bids[0].price if bids else None, asks[0].price if asks else None)
        if self._marks.get(book.token_id) != best:
            self._marks[book.token_id] = best
            ask = None if best[1] is None else Price(best[1])
            record: MarkRecord | NoBidRecord
            if best[0] is not None:
                record = MarkRecord(book.token_id, Price(best[0]), ask, Micros(at))
            else:
                record = NoBidRecord(token_id=book.token_id, ask_micro=ask, at=Micros(at), unmarked_since=Micros(at))
            self.state.out.append(Upsert(record))

    def tick(self, at: int) -> None:
        """Value all portfolios, or those of many whose turn it is; each day begins for all at once."""
        desks = list(self.state.desks.values())
        turns = max(1, -(-len(desks) // AT_A_TICK))
        self._turn = (self._turn + 1) % turns
        if turns > 1:
            for desk in desks:
                desk.begin_day(at)
        self.value(desks[self._turn :: turns], at, EQUITY_EVERY * turns)

    def value(self, desks: Iterable[Desk], at: int, every: int = EQUITY_EVERY) -> None:
        """Write what portfolios are worth, when that changed or ``every`` (µs) have passed, with the marks that it
        comes from: whoever reads rows finds positions and equity of one instant."""
        for desk in desks:
            desk.begin_day(at)
            if desk.marked:
                for position in desk.marked.values():
                    self.state.out.append(Upsert(position_record(desk.name, position)))
                desk.marked.clear()
            sums = desk.sums
            figures = (desk.cash, sums.worth, sums.unmarked, sums.cost, sums.realized, sums.fees, sums.open)
            if figures == desk.last_equity and at - desk.last_equity_at < every:
                continue
            desk.last_equity, desk.last_equity_at = figures, at
            equity = desk.equity
            if equity > desk.peak:
                desk.peak = equity
            elif desk.peak - equity > desk.drawdown:
                desk.drawdown = desk.peak - equity
            record = EquityRecord(
                desk.name,
                Micros(at),
                Usdc(equity),
                Usdc(desk.cash),
                Usdc(sums.worth),
                Usdc(sums.unmarked),
                Usdc(sums.cost),
                Usdc(sums.realized),
                Usdc(sums.worth - sums.cost),
                Usdc(sums.fees),
                sums.open,
                Usdc(desk.peak),
                Usdc(desk.drawdown),
            )
            self.state.out.append(Insert(record))
