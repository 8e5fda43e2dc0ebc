"""What became of markets: resolutions first, Gamma for the rest, ``/v2/tokens`` for what Gamma does not list."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple, TypeVar

import msgspec

from pilotfish.history.records import PastMarket
from pilotfish.history.rows import market_of_tokens, parse_past_market, parse_resolved
from pilotfish.history.windows import State
from pilotfish.polymarket.history_api import CONDITIONS_AT_ONCE, TOKENS_AT_ONCE, HistoryApi
from pilotfish.polymarket.http import VenueError
from pilotfish.polymarket.rows import RowError, TokenInfo, parse_token

T = TypeVar("T")


class Found(NamedTuple):
    """What is known of a market, how whole that is, and why not wholly."""

    market: PastMarket | None
    state: State
    why: str = ""


class BudgetSpentError(Exception):
    """No request may be made any more."""


async def read_markets(
    api: HistoryApi, conditions: Sequence[str], tokens: Mapping[str, Sequence[str]], spend: Callable[[], None]
) -> dict[str, Found]:
    """Up to :data:`CONDITIONS_AT_ONCE` markets; ``tokens`` are the known tokens of each. ``spend`` is called before
    each request and raises :class:`BudgetSpentError`. A settled market is complete, another one fresh."""
    assert len(conditions) <= CONDITIONS_AT_ONCE
    asking = _Asking(spend)
    settled = {c: (p, at) for c, p, at in await asking.rows(parse_resolved, lambda: api.resolutions(conditions))}
    known = {
        m.condition_id: m for m in await asking.rows(parse_past_market, lambda: api.markets(conditions, closed=True))
    }
    left = [c for c in conditions if c not in known]
    if left:
        more = await asking.rows(parse_past_market, lambda: api.markets(left, closed=False))
        known |= {m.condition_id: m for m in more}
    left = [c for c in conditions if c not in known]
    for market in await _by_tokens(api, [t for c in left for t in tokens.get(c, ())], asking):
        known.setdefault(market.condition_id, market)
    return {c: _found(known.get(c), settled.get(c, (None, None)), asking.failed) for c in conditions}


async def _by_tokens(api: HistoryApi, token_ids: Sequence[str], asking: _Asking) -> list[PastMarket]:
    infos: list[TokenInfo] = []
    for at in range(0, len(token_ids), TOKENS_AT_ONCE):
        some = token_ids[at : at + TOKENS_AT_ONCE]
        infos += await asking.rows(parse_token, partial(api.tokens, some))
    by_condition: dict[str, list[TokenInfo]] = {}
    for info in infos:
        if info.condition_id:
            by_condition.setdefault(info.condition_id, []).append(info)
    return [market_of_tokens(group) for group in by_condition.values()]


def _found(market: PastMarket | None, settled: tuple[tuple[int, ...] | None, int | None], failed: str) -> Found:
    payouts, at = settled
    if market is None:
        return Found(None, State.FAILED, failed or "no service of the venue knows it")
    if payouts is not None and len(payouts) == len(market.tokens):
        market = msgspec.structs.replace(market, payouts=payouts, resolved_at=at or market.resolved_at)
    if market.payouts is not None and market.resolved_at is None:
        market = msgspec.structs.replace(market, resolved_at=market.closed_at)
    if failed:
        return Found(market, State.CAPPED, failed)
    return Found(market, State.COMPLETE if market.payouts is not None else State.FRESH)


class _Asking:
    """Asks, and keeps the last thing that went wrong."""

    def __init__(self, spend: Callable[[], None]) -> None:
        self._spend = spend
        self.failed = ""

    async def rows(self, parse: Callable[[Any], T], ask: Callable[[], Awaitable[list[Any]]]) -> list[T]:
        """The records of an answer; a row that cannot be read is left out."""
        found: list[T] = []
        self._spend()
        try:
            rows = await ask()
        except VenueError as problem:
            self.failed = str(problem)
            return []
        for row in rows:
            try:
                found.append(parse(row))
            except RowError as problem:
                self.failed = str(problem)
        return found
