"""How long everybody is patient with a trade that a reorg took back, and since when a decision has waited."""

from __future__ import annotations

from pilotfish.core.trade import Trade
from pilotfish.core.units import SECOND

REORG_PATIENCE = 60 * SECOND
"""How long a retracted trade may take to be mined again before what waits for it is given up."""
ORPHAN_PATIENCE = 10 * SECOND
"""How long an orphaned fill's way out waits: most transactions are mined again within a few blocks."""
REVIVE_BY_API_AFTER = 60 * SECOND
"""A retracted trade that the API still lists this long after the reorg is taken as standing again."""


def given_up_at(trade: Trade, started_at: int) -> int:
    """When (µs) a retracted trade is given up. A run that began later counts from its own beginning: what was mined
    again meanwhile it only learns from now on."""
    return max(trade.retracted_at or 0, started_at) + REORG_PATIENCE


def waited_since(trade: Trade, started_at: int) -> int:
    """Since when (µs) it is waited with a trade for something that a run asks for when it begins: since a source showed
    it. A run that began later counts from its own beginning."""
    seen = (trade.first_seen_by_api_at, trade.first_seen_by_polygon_at)
    return max(started_at, min(at for at in seen if at is not None))
