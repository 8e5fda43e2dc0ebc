"""How late a backtest sees: what the worker measured, where it has seen enough trades, else what is assumed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from pilotfish.backtest.assumptions import Assumptions, Band
from pilotfish.core.numerals import count

LEAST_TRADES = 200
"""Trades that came in time, below which what was measured says too little."""
_PARTS = {Band.OPTIMISTIC: 10, Band.EXPECTED: 50, Band.PESSIMISTIC: 90}
"""Which percentile of the measured delays stands for which end of the band."""


def by_measured(bands: Mapping[Band, Assumptions], delays: Sequence[int]) -> tuple[dict[Band, Assumptions], str]:
    """The band with the delays (µs, least first) that a worker measured, and in words where they are from. With fewer
    than :data:`LEAST_TRADES` the band stays as it is."""
    if len(delays) < LEAST_TRADES:
        few = f"; the {count(len(delays))} trades seen here are too few to measure by" if delays else ""
        return dict(bands), f"delays as assumed{few}"
    found = {
        band: msgspec.structs.replace(bands[band], delay_us=delays[len(delays) * part // 100])
        for band, part in _PARTS.items()
    }
    return found, f"delays as measured here on {count(len(delays))} trades"
