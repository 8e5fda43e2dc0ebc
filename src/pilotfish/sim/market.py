"""Markets of the stand-in venue and their moving order books."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from random import Random

from pilotfish.core.fees import FeeSchedule
from pilotfish.core.units import MICRO
from pilotfish.polymarket.contracts import CTF_EXCHANGE_V2, EXCHANGE_V3, NEG_RISK_EXCHANGE_V2

LEVELS = 8
"""Price levels a side."""


def digest(*parts: object) -> str:
    """64 hex digits that depend on nothing but ``parts``."""
    return hashlib.sha256("|".join(str(p) for p in parts).encode()).hexdigest()


@dataclass(slots=True)
class SimMarket:
    """A two-outcome market. ``mid`` is the first outcome's price in millionths, ``bids`` and ``asks`` its book.

    ``told_by``: the services that know the result. ``unlisted``: ``/v2/resolutions`` has no row for it. ``event`` is
    empty where it is an event of its own; ``closed_at`` and ``resolved_at`` are epoch seconds of a market that is over.
    """

    condition_id: str
    question: str
    slug: str
    category: str
    tokens: tuple[str, str]
    outcomes: tuple[str, str] = ("Yes", "No")
    exchange: str = CTF_EXCHANGE_V2
    fee_rate_ppm: int = 0
    tick: int = 10_000
    mid: int = 500_000
    half_spread_ticks: int = 1
    level_size: int = 800 * MICRO
    closed: bool = False
    payouts: tuple[int, int] | None = None
    disputed: bool = False
    unlisted: bool = False
    told_by: tuple[str, ...] = ("resolutions", "clob", "gamma")
    frozen: bool = False
    event: str = ""
    closed_at: int | None = None
    resolved_at: int | None = None
    bids: dict[int, int] = field(default_factory=dict)
    asks: dict[int, int] = field(default_factory=dict)
    changed_at: float = 0.0
    last_trade: int = 0

    @property
    def fee(self) -> FeeSchedule:
        """The taker's schedule, exponent 1."""
        return FeeSchedule(rate_ppm=self.fee_rate_ppm)

    @property
    def neg_risk(self) -> bool:
        """True on the neg-risk exchange."""
        return self.exchange == NEG_RISK_EXCHANGE_V2

    @property
    def version(self) -> str:
        """Protocol version, as Gamma names it."""
        return "v2" if self.exchange == EXCHANGE_V3 else "v1"

    def paid(self, service: str) -> tuple[int, int] | None:
        """What each outcome pays, as far as a service says so."""
        return self.payouts if service in self.told_by else None

    def index(self, token_id: str) -> int:
        """0 or 1: which outcome a token is."""
        return self.tokens.index(token_id)

    def price(self, token_id: str) -> int:
        """The mid price of a token."""
        return self.mid if self.index(token_id) == 0 else MICRO - self.mid

    def sides(self, token_id: str) -> tuple[dict[int, int], dict[int, int]]:
        """(bids, asks) of a token; the second outcome's book is the first one's, mirrored."""
        if self.index(token_id) == 0:
            return self.bids, self.asks
        return (
            {MICRO - p: s for p, s in self.asks.items()},
            {MICRO - p: s for p, s in self.bids.items()},
        )

    def best(self, token_id: str, side: str) -> int:
        """The price that a taker of ``side`` meets first."""
        bids, asks = self.sides(token_id)
        return min(asks) if side == "BUY" else max(bids)

    def eat(self, token_id: str, side: str, price: int, shares: int) -> None:
        """Take shares off a level."""
        if self.index(token_id) == 1:
            price, side = MICRO - price, "SELL" if side == "BUY" else "BUY"
        level = self.asks if side == "BUY" else self.bids
        left = level.get(price, 0) - shares
        if left > 0:
            level[price] = left
        else:
            level.pop(price, None)

    def move(self, rng: Random, now: float, *, jump: int = 0) -> None:
        """One step of a random walk (or a jump of so many ticks), and fresh sizes on some levels."""
        if self.frozen or self.closed:
            return
        reach = 10_000 // self.tick
        step = jump or rng.choice((0, 0, 1)) * rng.randrange(-reach // 2 - 1, reach // 2 + 2)
        low, high = 120_000, MICRO - 120_000
        mid = min(high, max(low, self.mid + step * self.tick))
        fresh = mid != self.mid or not self.bids or not self.asks
        self.mid = mid
        for side, sign in ((self.bids, -1), (self.asks, 1)):
            prices = [mid + sign * (self.half_spread_ticks + i) * self.tick for i in range(LEVELS)]
            for gone in [p for p in side if p not in prices]:
                del side[gone]
            for i, price in enumerate(prices):
                if not 0 < price < MICRO:
                    continue
                if price not in side or rng.random() < 0.3:
                    size = self.level_size * (1 + i) * rng.randrange(60, 140) // 100
                    side[price] = size // 10_000 * 10_000
                    fresh = True
        if fresh:
            self.changed_at = now


_QUESTIONS = (
    ("Will the Harbour Lights win the Winter Cup?", "sports", 50_000, CTF_EXCHANGE_V2, 1_000, 541_000, 3),
    ("Will the central bank cut rates in December?", "economics", 50_000, CTF_EXCHANGE_V2, 10_000, 380_000, 1),
    ("Will the Lagoon Party win the most seats?", "politics", 40_000, NEG_RISK_EXCHANGE_V2, 1_000, 624_000, 4),
    ("Will Coral Coin close above 100k this week?", "crypto", 70_000, EXCHANGE_V3, 1_000, 452_000, 4),
    ("Will a ceasefire hold until the end of the year?", "geopolitics", 0, NEG_RISK_EXCHANGE_V2, 1_000, 303_000, 3),
    ("Will the reef expedition set a depth record?", "culture", 50_000, EXCHANGE_V3, 10_000, 470_000, 6),
)


def token_id_of(seed: object, name: str, outcome: int, *, v2: bool) -> str:
    """A token id as the venue makes them: a hash, or (Protocol V2) module byte 1 with bits 40-103 zero."""
    number = int(digest(seed, "token", name, outcome), 16)
    if v2:
        number = (number & ((1 << 248) - 1)) | (1 << 248)
        number &= ~(((1 << 64) - 1) << 40)
    return str(number)


def make_markets(seed: int) -> list[SimMarket]:
    """The story's markets, on all three exchanges, with the documented fee rates."""
    markets = []
    for question, category, rate, exchange, tick, mid, half in _QUESTIONS:
        slug = "-".join("".join(c for c in question.lower() if c.isalnum() or c == " ").split())
        v2 = exchange == EXCHANGE_V3
        markets.append(
            SimMarket(
                condition_id="0x" + digest(seed, "condition", slug)[: 62 if v2 else 64] + ("00" if v2 else ""),
                question=question,
                slug=slug,
                category=category,
                tokens=(token_id_of(seed, slug, 0, v2=v2), token_id_of(seed, slug, 1, v2=v2)),
                exchange=exchange,
                fee_rate_ppm=rate,
                tick=tick,
                mid=mid,
                half_spread_ticks=half,
            )
        )
    for market in markets:
        market.move(Random(f"{seed}|first|{market.slug}"), 0.0)
    return markets
