"""What a backtest is judged by: one bet for each position that was copied, from flat to flat."""

from __future__ import annotations

import msgspec


class Bet(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A copied position. Amounts in millionths of a USDC.

    ``event`` groups bets that one happening decides; ``opened_at`` and ``ended_at`` are epoch seconds. ``paid`` is what
    its BUYs cost with fees, ``result`` what it made after all costs, ``theirs`` what the same shares would have made at
    the leader's own prices without fees. ``settled`` is False where it was still open at the end and is only marked.
    ``price`` is the mean price of entry in millionths.
    """

    token_id: str
    condition_id: str
    event: str
    category: str
    opened_at: int
    ended_at: int
    price: int
    paid: int
    result: int
    theirs: int
    settled: bool = True
