"""What markets pay: which source is believed, and paying positions out."""

from __future__ import annotations

from typing import NamedTuple

from pilotfish.core import ledger
from pilotfish.core.bookkeeping import Bookkeeping
from pilotfish.core.events import Market
from pilotfish.core.reasons import Outcome
from pilotfish.core.state import State


class Said(NamedTuple):
    """What the venue's services say that a token pays, in millionths a share; ``None`` where one says nothing.

    ``resolutions``: ``/v2/resolutions``; ``unsettled``: it knows the question and says that it is not settled.
    ``winner``: by the CLOB's winner; ``gamma``: by the market's metadata.
    """

    resolutions: int | None = None
    unsettled: bool = False
    winner: int | None = None
    gamma: int | None = None


def payout(said: Said) -> int | None:
    """What a token pays by the best source that says it (PROTOCOL.md section 7): ``/v2/resolutions``, else the CLOB's
    winner, else Gamma; ``None`` while it is not settled. What ``/v2/resolutions`` calls unsettled is, whatever the
    others say."""
    if said.resolutions is not None:
        return said.resolutions
    if said.unsettled:
        return None
    return said.winner if said.winner is not None else said.gamma


class Settlement:
    """Pays every position of a resolved token."""

    def __init__(self, state: State, bookkeeping: Bookkeeping) -> None:
        self.state = state
        self.bookkeeping = bookkeeping

    def settle(self, market: Market, at: int) -> None:
        """The market is resolved: what is out is cancelled, and every position in the token is paid out."""
        assert market.payout is not None
        for desk in self.state.desks.values():
            desk.missed.pop(market.token_id, None)
            for order in [i for i in desk.intents.values() if i.token_id == market.token_id]:
                self.bookkeeping.cancel(desk, order, Outcome.CANCELLED_RESOLVED, at)
            for position in desk.by_token.get(market.token_id, ()):
                if position.shares:
                    entries = ledger.settle(position, market.payout, at)
                    self.state.book_cash(desk, entries, at, position.leader, market.token_id, None)
                    self.state.put_position(desk, position, "resolved")
