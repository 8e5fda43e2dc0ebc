"""Market metadata: looked up when the engine asks, and again now and then for what is held."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

import structlog

from pilotfish.core.events import Market, MarketMissing, MarketSeen
from pilotfish.core.fees import UNKNOWN_FEE
from pilotfish.feeds.hub import Hub
from pilotfish.polymarket.contracts import is_combo_token, pad_condition
from pilotfish.polymarket.data_api import DataApi
from pilotfish.polymarket.gamma import Gamma
from pilotfish.polymarket.http import VenueError

log = structlog.get_logger(__name__)

REFRESH_SECONDS = 60.0


class Markets:
    """Answers every ask with a ``MarketSeen`` or a ``MarketMissing``; one look-up a token at a time."""

    def __init__(self, hub: Hub, gamma: Gamma, data: DataApi) -> None:
        self.hub = hub
        self.gamma = gamma
        self.data = data
        self._asked: set[str] = set()

    def ask(self, token_id: str) -> None:
        """Look a token's market up."""
        if token_id not in self._asked:
            self._asked.add(token_id)
            self.hub.spawn(self._read(token_id), f"market-{token_id[:8]}")

    async def _read(self, token_id: str) -> None:
        try:
            market, detail = await self._look_up(token_id)
            if market is not None:
                await self.hub.emit(MarketSeen(at=self.hub.now(), market=market))
            else:
                log.warning("market not found", token_id=token_id, detail=detail)
                await self.hub.emit(MarketMissing(at=self.hub.now(), token_id=token_id, detail=detail))
        finally:
            self._asked.discard(token_id)

    async def _look_up(self, token_id: str) -> tuple[Market | None, str]:
        """Gamma knows fees, ticks and delays; the Data API's token table stands in where Gamma fails."""
        if is_combo_token(token_id):
            return None, "a combo of several legs"
        problems = []
        try:
            market = await self.gamma.market_of_token(token_id, self.hub.now())
            if market is not None:
                return market, ""
            problems.append("Gamma does not list it")
        except VenueError as problem:
            problems.append(str(problem))
        try:
            token = await self.data.token(token_id)
        except VenueError as problem:
            problems.append(str(problem))
            token = None
        if token is None or token.is_combo:
            return None, "; ".join([*problems, "the Data API does not know the token"])
        return (
            Market(
                token_id=token_id,
                condition_id=pad_condition(token.condition_id),
                outcome=token.outcome,
                title=token.title,
                slug=token.slug,
                closed=token.closed,
                fee=UNKNOWN_FEE,
                payout=token.payout,
                fetched_at=self.hub.now(),
            ),
            "",
        )

    async def refresh_held(self, held: Callable[[], Iterable[str]]) -> None:
        """Look up again what is held, for closings and resolutions; never ends."""
        while True:
            await asyncio.sleep(REFRESH_SECONDS)
            for token in sorted(held()):
                self.ask(token)
                await asyncio.sleep(0.05)
