"""Letting go of markets that are over. Live, an engine keeps what it knows of them for rows that come late and for
reorgs, neither of which a past has; over years that would be all of its memory.
"""

from __future__ import annotations

from heapq import heappop, heappush

from pilotfish.core.engine import Engine
from pilotfish.core.holdings import Holding
from pilotfish.core.units import SECOND

LATER = 86_400 * SECOND
"""µs after its payout from which a market is looked at as over."""
AGAIN = 30 * LATER
"""Of what the leader still holds then it is looked again so much later (µs): it may be redeemed at any time."""


class Over:
    """Tokens that were paid out, in the order of when."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._due: list[tuple[int, str]] = []

    def settles(self, token: str, at: int) -> None:
        """What a token pays is known from ``at`` (µs)."""
        heappush(self._due, (at + LATER, token))

    def let_go(self, now: int) -> None:
        """Let go of what is over at ``now`` (µs): the leader's orders, trades that made a holding, and where nothing is
        held by anybody, all that is known of the token."""
        while self._due and self._due[0][0] <= now:
            _, token = heappop(self._due)
            if self._held_by_us(token):
                heappush(self._due, (now + LATER, token))
                continue
            state = self._engine.state
            left = 0
            for wallet in state.leaders:
                for desk in state.desks.values():
                    desk.orders.pop((wallet, token), None)
                    desk.buys.pop(token, None)
                holding = state.holdings.get((wallet, token))
                if holding is None:
                    continue
                left += holding.shares
                if holding.shares:
                    state.holdings[wallet, token] = Holding(holding.shares)
                else:
                    del state.holdings[wallet, token]
                    state.holding_sums.pop((wallet, token), None)
            if left:
                heappush(self._due, (now + AGAIN, token))
            else:
                for desk in state.desks.values():
                    desk.missed.pop(token, None)
                state.markets.pop(token, None)
                state.books.pop(token, None)
                state.traded_at.pop(token, None)

    def _held_by_us(self, token: str) -> bool:
        desks = self._engine.state.desks.values()
        return any(position.shares for desk in desks for position in desk.by_token.get(token, ()))
