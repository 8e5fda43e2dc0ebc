"""What markets pay: which source is believed, and paying positions out."""

from __future__ import annotations

from pilotfish.core import ledger
from pilotfish.core.bookkeeping import Bookkeeping
from pilotfish.core.events import Market
from pilotfish.core.reasons import Outcome
from pilotfish.core.state import State


class Settlement:
    """Pays every position of a resolved token."""

    def __init__(self, state: State, bookkeeping: Bookkeeping) -> None:
        self.state = state
        self.bookkeeping = bookkeeping

    def settle(self, market: Market, at: int) -> None:
        """The market is resolved: what is out is cancelled, and every position in the token is paid out."""
        assert market.payout is not None
        for desk in self.state.desks.values():
            desk.missed = {key for key in desk.missed if key[1] != market.token_id}
            for order in [i for i in desk.intents.values() if i.token_id == market.token_id]:
                self.bookkeeping.cancel(desk, order, Outcome.CANCELLED_RESOLVED, at)
            for position in desk.by_token.get(market.token_id, ()):
                if position.shares:
                    entries = ledger.settle(position, market.payout, at)
                    of = {"leader": position.leader, "token_id": market.token_id}
                    self.state.book_cash(desk, entries, at=at, fill_id=None, **of)
                    self.state.put_position(desk, position, "resolved")
