"""What positions are worth at what the bids would pay for all of them, and what each portfolio is worth."""

from __future__ import annotations

from pilotfish.core import ledger
from pilotfish.core.book import Book, bid_value
from pilotfish.core.effects import Insert, Row, Upsert
from pilotfish.core.exits import Exits
from pilotfish.core.state import State
from pilotfish.core.units import MICRO, SECOND

EQUITY_EVERY = 60 * SECOND


class Valuing:
    """Marks positions with each book, and writes what portfolios are worth when that changed."""

    def __init__(self, state: State, exits: Exits) -> None:
        self.state = state
        self.exits = exits
        self._marks: dict[str, tuple[int | None, int | None]] = {}

    def mark(self, book: Book, at: int) -> None:
        """Value what is held of a token at what its bids would pay for all of it; without bids that is not known."""
        for desk in self.state.desks.values():
            positions = [p for p in desk.by_token.get(book.token_id, ()) if p.shares]
            total = sum(p.shares for p in positions)
            price = bid_value(book, total) * MICRO // total if total and book.bids else None
            for position in positions:
                if ledger.mark(position, price, at):
                    self.state.put_position(desk, position)
                self.exits.look(desk, position, at)
        best = (book.best_bid, book.best_ask)
        if self._marks.get(book.token_id) != best:
            self._marks[book.token_id] = best
            row: Row = {"token_id": book.token_id, "ask_micro": best[1], "at": at}
            known: Row = {"bid_micro": best[0], "unmarked_since": None} if book.bids else {"unmarked_since": at}
            self.state.out.append(Upsert("marks", {**row, **known}))

    def value(self, at: int) -> None:
        """Write what each portfolio is worth, when that changed or a minute has passed."""
        for desk in self.state.desks.values():
            desk.begin_day(at)
            sums = desk.sums
            figures = (desk.cash, sums.worth, sums.unmarked, sums.cost, sums.realized, sums.fees, sums.open)
            if figures == desk.last_equity and at - desk.last_equity_at < EQUITY_EVERY:
                continue
            desk.last_equity, desk.last_equity_at = figures, at
            desk.peak = max(desk.peak, desk.equity)
            desk.drawdown = max(desk.drawdown, desk.peak - desk.equity)
            self.state.out.append(
                Insert(
                    "equity_snapshots",
                    {
                        "portfolio": desk.name,
                        "at": at,
                        "equity_micro": desk.equity,
                        "cash_micro": desk.cash,
                        "positions_value_micro": sums.worth,
                        "unmarked_value_micro": sums.unmarked,
                        "cost_micro": sums.cost,
                        "realized_pnl_micro": sums.realized,
                        "unrealized_pnl_micro": sums.worth - sums.cost,
                        "fees_micro": sums.fees,
                        "open_positions": sums.open,
                        "peak_micro": desk.peak,
                        "drawdown_micro": desk.drawdown,
                    },
                )
            )
