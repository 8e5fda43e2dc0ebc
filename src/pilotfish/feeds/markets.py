"""Market metadata and resolutions: looked up when the engine asks, and again for what is held.

Here is only asked; which source is believed about what a market pays is :func:`pilotfish.core.settlement.payout`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

import msgspec
import structlog

from pilotfish.core.events import Market, MarketMissing, MarketSeen
from pilotfish.core.fees import UNKNOWN_FEE
from pilotfish.core.settlement import Said, payout
from pilotfish.feeds.hub import Hub
from pilotfish.polymarket.clob import Clob, winner_payout
from pilotfish.polymarket.contracts import is_combo_token, pad_condition
from pilotfish.polymarket.data_api import DataApi, Payouts, RowError
from pilotfish.polymarket.gamma import Gamma
from pilotfish.polymarket.http import VenueError

log = structlog.get_logger(__name__)

RESOLUTIONS_AT_ONCE = 20


class Markets:
    """Answers every ask with a ``MarketSeen`` or a ``MarketMissing``; one look-up a token at a time."""

    def __init__(self, hub: Hub, gamma: Gamma, data: DataApi, clob: Clob) -> None:
        self.hub = hub
        self.gamma = gamma
        self.data = data
        self.clob = clob
        self.settled: dict[str, tuple[int, ...]] = {}
        """Condition -> what each outcome pays; final once known."""
        self._asked: set[str] = set()
        self._seen: dict[str, Market] = {}

    def ask(self, token_id: str) -> None:
        """Look a token's market up."""
        if token_id not in self._asked:
            self._asked.add(token_id)
            self.hub.spawn(self._read(token_id), f"market-{token_id[:8]}")

    async def _read(self, token_id: str) -> None:
        try:
            try:
                market, detail = await self._look_up(token_id)
            except Exception as problem:
                market, detail = None, self.hub.fault("market look-up", problem)
            if market is not None:
                self._seen[token_id] = market
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
                return await self._with_payout(market), ""
            problems.append("Gamma does not list it")
        except VenueError as problem:
            problems.append(str(problem))
        try:
            token = await self.data.token(token_id)
        except VenueError as problem:
            problems.append(str(problem))
            token = None
        except RowError as problem:
            self.hub.bad_input("data", f"/v2/tokens of {token_id}: {problem}", token_id)
            problems.append(str(problem))
            token = None
        if token is None or token.is_combo:
            return None, "; ".join([*problems, "the Data API does not know the token"])
        market = Market(
            token_id=token_id,
            condition_id=pad_condition(token.condition_id),
            outcome=token.outcome,
            title=token.title,
            slug=token.slug,
            closed=token.closed,
            fee=UNKNOWN_FEE,
            payout=token.payout,
            index=token.index,
            fetched_at=self.hub.now(),
        )
        return await self._with_payout(market), ""

    # -- what it pays ------------------------------------------------------------------------------------------

    async def _with_payout(self, market: Market) -> Market:
        """The market with what it pays by the best source; a market that plainly trades is not asked about."""
        ended = market.end_at is not None and market.end_at <= self.hub.now()
        trades = market.accepting_orders and not market.closed and market.payout is None and not ended
        if trades and market.condition_id not in self.settled:
            return market
        paid = await self._payout(market)
        if paid is None:
            return msgspec.structs.replace(market, payout=None)
        return msgspec.structs.replace(market, payout=paid, closed=True)

    async def _payout(self, market: Market) -> int | None:
        """What a token pays; the CLOB is asked only where that can matter."""
        condition = market.condition_id
        unsettled = False
        if condition not in self.settled:
            known = await self._resolutions([condition])
            unsettled = condition in known and known[condition] is None
        paid = self.settled.get(condition)
        settled = paid[market.index] if paid is not None and 0 <= market.index < len(paid) else None
        said = Said(resolutions=settled, unsettled=unsettled, gamma=market.payout)
        if settled is None and not unsettled:
            said = said._replace(winner=await self._winner(condition, market.token_id))
        return payout(said)

    async def _winner(self, condition: str, token_id: str) -> int | None:
        try:
            told = await self.clob.market(condition)
        except VenueError as problem:
            log.warning("the CLOB cannot be asked who won", condition=condition, error=str(problem))
            return None
        return winner_payout(told, token_id) if told is not None else None

    async def _resolutions(self, conditions: list[str]) -> dict[str, Payouts]:
        """Ask what conditions pay, and keep what is settled. Unknown or unusable answers are left out."""
        try:
            found, bad = await self.data.resolutions(conditions)
        except VenueError as problem:
            log.warning("resolutions not available", error=str(problem))
            return {}
        for payload, error in bad:
            self.hub.bad_input("data", f"/v2/resolutions: {error}", payload)
        self.settled.update({c: payouts for c, payouts in found.items() if payouts is not None})
        return found

    async def refresh(self, wanted: Callable[[], Iterable[str]]) -> None:
        """Look up again what is held or followed, for closings and resolutions: at once, then regularly."""
        await self.hub.rounds("held markets", lambda: self._refresh(wanted))

    async def _refresh(self, wanted: Callable[[], Iterable[str]]) -> float:
        tokens = sorted(wanted())
        conditions = sorted({self._seen[x].condition_id for x in tokens if x in self._seen} - set(self.settled))
        for i in range(0, len(conditions), RESOLUTIONS_AT_ONCE):
            await self._resolutions(conditions[i : i + RESOLUTIONS_AT_ONCE])
        tokens.sort(key=lambda x: x in self._seen and self._seen[x].condition_id not in self.settled)
        for token in tokens:
            self.ask(token)
            await asyncio.sleep(0.05)
        return self.hub.number("market_refresh_sec")
