"""The venue's taker fee (PROTOCOL.md section 5): ``shares × rate × (p(1−p))^exponent``, floored at 5 decimals."""

from __future__ import annotations

from collections.abc import Iterable
from math import isqrt

import msgspec

from pilotfish.core.book import Take
from pilotfish.core.units import MICRO, PPM

FEE_STEP = 10
"""Fees are floored to 5 decimals: 10 millionths."""


class FeeSchedule(msgspec.Struct, frozen=True, gc=False):
    """``rate_ppm`` in parts per million; ``half_exponent`` is twice the exponent, so 2 means exponent 1."""

    rate_ppm: int = 0
    half_exponent: int = 2


NO_FEE = FeeSchedule()
UNKNOWN_FEE = FeeSchedule(rate_ppm=70_000)
"""Charged where a market's schedule could not be read: the highest documented rate."""


def taker_fee(takes: Iterable[Take], schedule: FeeSchedule) -> int:
    """The fee in millionths of a USDC for one taker order made of ``takes``; one flooring for the whole order."""
    if schedule.rate_ppm == 0:
        return 0
    total = 0
    unit = MICRO**2
    for take in takes:
        pq = take.price * (MICRO - take.price)
        whole, half = divmod(schedule.half_exponent, 2)
        factor = unit
        for _ in range(whole):
            factor = factor * pq // unit
        if half:
            factor = factor * isqrt(pq * unit) // unit
        total += take.shares * schedule.rate_ppm * factor
    fee = total // (PPM * unit)
    return fee // FEE_STEP * FEE_STEP
