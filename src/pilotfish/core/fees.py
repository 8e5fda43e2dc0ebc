"""The venue's taker fee (PROTOCOL.md section 5): ``shares × rate × (p(1−p))^exponent``, floored at 5 decimals."""

from __future__ import annotations

from collections.abc import Iterable
from math import isqrt

import msgspec

from pilotfish.core.book import Take
from pilotfish.core.units import MICRO, PPM

FEE_STEP = 10
"""Fees are floored to 5 decimals: 10 millionths."""


MAX_RATE_PPM = PPM
MAX_HALF_EXPONENT = 20
"""Beyond an exponent of 10 no fee is left at any price."""


class FeeSchedule(msgspec.Struct, frozen=True, gc=False):
    """``rate_ppm`` in parts per million; ``half_exponent`` is twice the exponent, so 2 means exponent 1.

    Raises :class:`ValueError` for what no market charges: rates outside 0 … 100 %, exponents outside 0 … 10.
    """

    rate_ppm: int = 0
    half_exponent: int = 2

    def __post_init__(self) -> None:
        if not 0 <= self.rate_ppm <= MAX_RATE_PPM:
            raise ValueError(f"fee rate: expected 0 to 1, got {self.rate_ppm} millionths")
        if not 0 <= self.half_exponent <= MAX_HALF_EXPONENT:
            raise ValueError(f"fee exponent: expected 0 to {MAX_HALF_EXPONENT // 2}, got {self.half_exponent} halves")


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
