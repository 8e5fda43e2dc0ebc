"""Everything that the Data API of the stand-in venue knows: what its chain shows by now, and its past before that.

The past is over before the chain begins, so the rows of both are one history without a double or a gap.
"""

from __future__ import annotations

from pilotfish.sim.chain import Chain, Row
from pilotfish.sim.market import SimMarket
from pilotfish.sim.past import PastWorld
from pilotfish.sim.past_markets import OldMarket
from pilotfish.sim.past_rows import activity_rows, listed, tape_rows

BEFORE = -(10**9)
"""Rows of the past are numbered from here on: before every row of the chain."""
LISTED_LIVES = 8
"""Of so many leaders of the past the markets are listed to somebody who names none."""


class Archive:
    """Questions of wallets, markets and tapes. The past is worked out when it is first asked for."""

    def __init__(self, chain: Chain, past: PastWorld | None) -> None:
        self.chain = chain
        self.past = past

    @property
    def begins_at(self) -> int:
        """Epoch second from which on the chain's own rows are all that there is: nothing older is held any more."""
        return self.past.to_at if self.past is not None else 0

    def rows(self, wallet: str, now: float, since: int = 0) -> list[Row]:
        """A wallet's activity from ``since`` (epoch seconds) on that is shown by now, oldest first."""
        shown = self.chain.visible(wallet, now)
        if self.past is None or since >= self.past.to_at:
            return shown
        life = self.past.life(wallet)
        return [*activity_rows(life, BEFORE), *shown] if life is not None else shown

    def tape(self, condition_id: str, now: float) -> list[Row]:
        """A market's trades that are shown by now, oldest first."""
        if self._live(condition_id) is None:
            life = self.past.life_of(condition_id) if self.past is not None else None
            return tape_rows(life, condition_id, BEFORE) if life and condition_id in life.markets else []
        every = [row for wallet in self.chain.rows for row in self.chain.visible(wallet, now)]
        return sorted(row for row in every if row.data["type"] == "TRADE" and row.data["condition_id"] == condition_id)

    def market(self, token_id: str) -> SimMarket | None:
        """A token's market, an old one included."""
        old = None if token_id in self.chain.markets else self.old_market(token_id)
        return listed(old) if old is not None and token_id in old.tokens else self.chain.markets.get(token_id)

    def of_condition(self, condition_id: str) -> SimMarket | None:
        """A market by its condition, an old one included."""
        old = self.old_market(condition_id)
        return self._live(condition_id) or (listed(old) if old is not None else None)

    def old_market(self, token_or_condition: str) -> OldMarket | None:
        """A market of the past by one of its ids."""
        return self.past.market(token_or_condition) if self.past is not None else None

    def old_markets(self) -> list[SimMarket]:
        """Markets of the past for somebody who names none: those of the first leaders."""
        people = self.past.people[:LISTED_LIVES] if self.past is not None else ()
        lives = [life for person in people if self.past and (life := self.past.life(person.wallet)) is not None]
        return [listed(market) for life in lives for market in life.markets.values()]

    def wallets(self) -> list[str]:
        """Everybody of whom there are rows, the leaders of the past first."""
        people = self.past.people if self.past is not None else ()
        return list(dict.fromkeys([*(person.wallet for person in people), *self.chain.rows]))

    def _live(self, condition_id: str) -> SimMarket | None:
        return next((m for m in self.chain.markets.values() if m.condition_id == condition_id), None)
