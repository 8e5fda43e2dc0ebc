"""Whose order books are worth a place: of a few hundred, where leaders may hold thousands of tokens."""

from __future__ import annotations

from collections.abc import Callable

from pilotfish.core.state import State


def worth_keeping(state: State, is_worthless: Callable[[str, str], bool]) -> list[str]:
    """Tokens whose book may be needed soon, the likeliest first: what we hold or have orders for, what leaders traded,
    the latest first, then what else they hold. Left out is what no longer trades, and what ``is_worthless`` (leader,
    token) says can only be redeemed."""
    ours = {key[1] for desk in state.desks.values() for key, p in desk.positions.items() if p.shares}
    ours |= {intent.token_id for desk in state.desks.values() for intent in desk.intents.values()}
    theirs = {
        token for (leader, token), held in state.holdings.items() if held.shares and not is_worthless(leader, token)
    }
    open_ones = [token for token in ours | theirs if _trades(state, token)]
    return sorted(open_ones, key=lambda token: (token not in ours, -state.traded_at.get(token, 0), token))


def _trades(state: State, token_id: str) -> bool:
    market = state.markets.get(token_id)
    return market is None or (market.payout is None and not market.closed)
