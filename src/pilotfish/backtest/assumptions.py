"""What a backtest has to assume: when a trade is seen, how much of the tape a copy gets, how wide books are.

Three sets of them make the band of a result. Delays are those of PROTOCOL.md section 4: a log is seen after 2.2 s, a
row of the API after some 5 s, at worst after 22 s.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

from pilotfish.core.units import MICRO, SECOND

CENT = MICRO // 100
EDGE_BAND = MICRO // 10
"""Below this price, and above one minus it, books have a finer tick and smaller spreads."""
LINE_MAX_AGE = 3 * 3600
"""Seconds: an older price is none."""


class Band(StrEnum):
    """Which end of what is not known is assumed."""

    PESSIMISTIC = "pessimistic"
    EXPECTED = "expected"
    OPTIMISTIC = "optimistic"


class Assumptions(msgspec.Struct, frozen=True, kw_only=True):
    """``delay_us`` (µs) from a trade's block to our seeing it. ``share_ppm``: of each print on the tape a copy gets at
    most this part, of prints that come within ``horizon_sec`` after it has arrived. ``half_spread``: half the distance
    between bid and ask (millionths) where no book was recorded, ``edge_half_spread`` the same near 0 and 1.
    ``depth_usdc``: what can be bought or sold at the price line at once (millionths of a USDC).
    """

    band: Band = Band.EXPECTED
    delay_us: int = 2_200_000
    share_ppm: int = 250_000
    horizon_sec: int = 30
    half_spread: int = CENT // 2
    edge_half_spread: int = CENT // 4
    depth_usdc: int = 250 * MICRO
    book_max_age_sec: int = 60

    def half_spread_at(self, price: int) -> int:
        """Half of what bid and ask are assumed to be apart around a price."""
        return self.half_spread if EDGE_BAND <= price <= MICRO - EDGE_BAND else self.edge_half_spread


BANDS: dict[Band, Assumptions] = {
    Band.PESSIMISTIC: Assumptions(
        band=Band.PESSIMISTIC, delay_us=5 * SECOND, share_ppm=100_000, horizon_sec=10,
        half_spread=3 * CENT // 2, edge_half_spread=CENT // 2, depth_usdc=50 * MICRO,
    ),
    Band.EXPECTED: Assumptions(),
    Band.OPTIMISTIC: Assumptions(
        band=Band.OPTIMISTIC, delay_us=SECOND, share_ppm=500_000, horizon_sec=120,
        half_spread=CENT // 4, edge_half_spread=CENT // 10, depth_usdc=1_000 * MICRO,
    ),
}  # fmt: skip
"""The band that a result is given in, where no measurement of one's own says better."""
