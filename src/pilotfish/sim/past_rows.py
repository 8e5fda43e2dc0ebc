"""The past in the venue's words: rows of activity and of tapes in the v2 shape, markets as the venue lists them."""

from __future__ import annotations

from typing import Any

from pilotfish.core.units import MICRO
from pilotfish.history.records import Deed
from pilotfish.polymarket.contracts import CTF_EXCHANGE_V2, NEG_RISK_EXCHANGE_V2
from pilotfish.sim.chain import Row
from pilotfish.sim.market import SimMarket
from pilotfish.sim.past import changes
from pilotfish.sim.past_lives import Life
from pilotfish.sim.past_markets import OldMarket
from pilotfish.sim.past_tape import Fill

UNLABELLED = 999
"""The outcome's place of a row that names no outcome."""


def activity_rows(life: Life, first: int) -> list[Row]:
    """All of a leader's activity, oldest first, numbered from ``first`` on. What a move changes is under ``_moves``."""
    mine: list[tuple[int, Fill | Deed]] = [(fill.at, fill) for fill in life.trades]
    mine += [(move.at, move) for move in life.moves]
    mine.sort(key=lambda pair: pair[0])
    held: dict[str, int] = {}
    rows = []
    for place, (at, what) in enumerate(mine):
        if isinstance(what, Fill):
            data = trade_row(what, life.markets[what.condition_id])
            sign = 1 if what.side == "BUY" else -1
            held[data["token_id"]] = held.get(data["token_id"], 0) + sign * what.shares
        else:
            moved = changes(life, what, held)
            data = _move_row(what, life) | {"_moves": dict(moved)}
            for token, delta in moved:
                held[token] = held.get(token, 0) + delta
        rows.append(Row(at, first + place, at, data))
    return rows


def tape_rows(life: Life, condition_id: str, first: int) -> list[Row]:
    """A market's tape, oldest first, numbered from ``first`` on."""
    market = life.markets[condition_id]
    return [Row(f.at, first + i, f.at, trade_row(f, market)) for i, f in enumerate(life.tapes[condition_id])]


def trade_row(fill: Fill, market: OldMarket) -> dict[str, Any]:
    """A TRADE row; whether they were the taker is under ``_taker``."""
    return {
        "type": "TRADE",
        "proxy_wallet": fill.wallet,
        "timestamp": fill.at,
        "transaction_hash": fill.tx_hash,
        "is_combo": False,
        "condition_id": fill.condition_id,
        "token_id": market.tokens[fill.outcome],
        "side": str(fill.side),
        "size": fill.shares / MICRO,
        "usdc_size": (fill.usdc + fill.fee) / MICRO,
        "price": round(fill.usdc / fill.shares, 10),
        "outcome": market.outcomes[fill.outcome],
        "outcome_index": fill.outcome,
        "title": market.title,
        "slug": market.slug,
        "icon": "",
        "event_slug": market.event,
        "_taker": fill.taker,
    }


def _move_row(move: Deed, life: Life) -> dict[str, Any]:
    market = life.markets.get(move.condition_id)
    return {
        "type": move.kind,
        "proxy_wallet": life.person.wallet,
        "timestamp": move.at,
        "transaction_hash": move.tx_hash,
        "condition_id": move.condition_id,
        "token_id": "",
        "side": "",
        "usdc_size": move.usdc_size / MICRO,
        "outcome": move.outcome,
        "outcome_index": market.outcomes.index(move.outcome) if market and move.outcome else UNLABELLED,
        "title": move.title,
        "slug": move.slug,
        "icon": "",
        "event_slug": move.event_slug,
    }


def listed(market: OldMarket) -> SimMarket:
    """An old market as one of the venue's: closed, settled, without a book."""
    return SimMarket(
        condition_id=market.condition_id,
        question=market.title,
        slug=market.slug,
        category=market.category,
        tokens=market.tokens,
        outcomes=market.outcomes,
        exchange=NEG_RISK_EXCHANGE_V2 if market.neg_risk else CTF_EXCHANGE_V2,
        fee_rate_ppm=market.fee.rate_ppm,
        tick=market.tick,
        mid=market.payouts[0],
        closed=True,
        payouts=market.payouts,
        event=market.event,
        closed_at=market.closes_at,
        resolved_at=market.resolved_at,
    )
