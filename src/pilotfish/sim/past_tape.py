"""The tape of an old market: fills of both sides of each match, by leaders and strangers. Amounts in millionths."""

from __future__ import annotations

from functools import lru_cache
from random import Random

import msgspec

from pilotfish.core.book import Take
from pilotfish.core.fees import taker_fee
from pilotfish.core.trade import Side
from pilotfish.core.units import MICRO
from pilotfish.sim.past_markets import OldMarket
from pilotfish.sim.story import wallet_of

LOT = 10_000
"""Sizes are whole hundredths of a share, so that size × price is whole millionths on every tick."""
STRANGERS = 500
AFTER = (1, 2, 4, 6, 9, 13, 18, 24, 31, 40, 52, 70, 95, 130, 180, 260, 400, 620)
"""Seconds after a leader's trade at which strangers trade too: enough for a copy to meet somebody at any delay."""
QUIET = 9_000
"""Seconds between two trades of strangers, in the mean, where nobody of note trades."""


class Fill(msgspec.Struct, frozen=True, gc=False):
    """One order's fill of one transaction. ``usdc`` is shares × price without the fee; ``fee`` is the taker's."""

    at: int
    tx_hash: str
    wallet: str
    condition_id: str
    outcome: int
    side: Side
    shares: int
    price: int
    usdc: int
    fee: int
    taker: bool


@lru_cache(maxsize=4)
def strangers(seed: object) -> tuple[str, ...]:
    """The strangers of a seed's story: they were there before."""
    return tuple(wallet_of(seed, f"stranger {i}") for i in range(STRANGERS))


class Tape:
    """Writes one market's tape, in any order of time."""

    def __init__(self, rng: Random, market: OldMarket, others: tuple[str, ...]) -> None:
        self._rng = rng
        self._others = others
        self.market = market
        self.fills: list[Fill] = []

    def take(self, wallet: str, side: Side, outcome: int, shares: int, at: int, *, deep: bool = False) -> Fill:
        """Somebody takes what rests: all at the best price, or (``deep``) the last third one tick worse."""
        market = self.market
        best = market.ask(outcome, at) if side is Side.BUY else market.bid(outcome, at)
        worse = best + (market.tick if side is Side.BUY else -market.tick)
        second = shares // 3 // LOT * LOT if deep and 0 < worse < MICRO else 0
        takes = [Take(best, shares - second), *([Take(worse, second)] if second else [])]
        return self._match(wallet, side, outcome, takes, at, None)

    def rest(self, wallet: str, side: Side, outcome: int, shares: int, at: int) -> Fill:
        """A stranger takes what somebody rests: they buy at the bid, or sell at the ask, without a fee."""
        price = self.market.bid(outcome, at) if side is Side.BUY else self.market.ask(outcome, at)
        other = Side.SELL if side is Side.BUY else Side.BUY
        stranger = self._others[int(self._rng.random() * STRANGERS)]
        self._match(stranger, other, outcome, [Take(price, shares)], at, wallet)
        return self.fills[-1]

    def _match(self, wallet: str, side: Side, outcome: int, takes: list[Take], at: int, maker: str | None) -> Fill:
        """One transaction: the taker's fill, then each maker's. Some are mints or merges: the maker's fill is then of
        the other outcome, on the same side, at the price's complement."""
        random = self._rng.random
        market, tx_hash = self.market, f"0x{self._rng.getrandbits(256):064x}"
        condition, shares, usdc = market.condition_id, 0, 0
        for take in takes:
            shares += take.shares
            usdc += take.shares * take.price // MICRO
        price = takes[0].price if len(takes) == 1 else (2 * usdc * MICRO + shares) // (2 * shares)
        fee = taker_fee(takes, market.fee)
        taken = Fill(at, tx_hash, wallet, condition, outcome, side, shares, price, usdc, fee, True)
        self.fills.append(taken)
        for take in takes:
            resting, asked, kind, what = maker, take.price, outcome, Side.SELL if side is Side.BUY else Side.BUY
            if resting is None:
                resting = self._others[int(random() * STRANGERS)]
                if random() < 0.2:
                    asked, kind, what = MICRO - take.price, 1 - outcome, side
            paid = take.shares * asked // MICRO
            self.fills.append(Fill(at, tx_hash, resting, condition, kind, what, take.shares, asked, paid, 0, False))
        return taken

    def burst(self, outcome: int, at: int) -> None:
        """Strangers trade after somebody of note did, on both sides, more thinly the later it is."""
        rng = self._rng
        for after in AFTER:
            second = at + after + (int(rng.random() * after / 4) if after > 8 else 0)
            if second < self.market.closes_at:
                self._stranger(outcome, second)

    def quiet(self) -> None:
        """Strangers trade now and then from the opening to the end."""
        rng, market = self._rng, self.market
        second = market.opens_at + 60
        while second < market.closes_at:
            self._stranger(int(rng.random() * 2), second)
            second += 60 + int(rng.random() * 2 * QUIET)

    def _stranger(self, outcome: int, at: int) -> None:
        random = self._rng.random
        shares = (400 + int(random() * 1_600)) * MICRO // LOT * LOT
        side = Side.BUY if random() < 0.5 else Side.SELL
        self.take(self._others[int(random() * STRANGERS)], side, outcome, shares, at)

    def done(self) -> list[Fill]:
        """All fills, oldest first; those of one transaction stay together, the taker's first."""
        return sorted(self.fills, key=_second)


def _second(fill: Fill) -> int:
    return fill.at
