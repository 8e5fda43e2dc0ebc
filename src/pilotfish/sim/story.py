"""The leaders of the stand-in venue and their temperaments. Block n of a seed always brings the same actions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from pilotfish.core.units import MICRO
from pilotfish.sim.chain import Chain, Order
from pilotfish.sim.market import SimMarket, digest


@dataclass(frozen=True, slots=True)
class Character:
    """A leader of the story."""

    wallet: str
    label: str
    manner: str


def wallet_of(seed: object, name: str) -> str:
    """An address that depends on nothing but its arguments."""
    return "0x" + digest(seed, "wallet", name)[:40]


def cast(seed: int) -> list[Character]:
    """The leaders, in the order in which a person would add them."""
    return [
        Character(wallet_of(seed, "whale"), "Whale", "rests large orders that are eaten in dozens of fills"),
        Character(wallet_of(seed, "scalper"), "Scalper", "in and out within seconds"),
        Character(wallet_of(seed, "holder"), "Holder", "buys, moves the price, and keeps"),
        Character(wallet_of(seed, "stepper"), "Stepper", "buys in parts and sells in steps"),
    ]


class Story:
    """Acts once per block."""

    def __init__(self, chain: Chain, markets: list[SimMarket], seed: int) -> None:
        self.chain = chain
        self.markets = markets
        self.seed = seed
        self.block = 0
        self.characters = cast(seed)
        self._orders = 0
        self._held: dict[tuple[str, str], int] = {}
        self._whale_order: tuple[str, str, int, int] | None = None
        """Order hash, token, price, shares left."""
        old = self.markets[1].tokens[1]
        holder = self.characters[2].wallet
        chain.initial[holder] = {old: 5_000 * MICRO, self.markets[4].tokens[0]: 1_234 * MICRO}
        self._held[(holder, old)] = 5_000 * MICRO

    def step(self, now: float) -> None:
        """One block's worth of life."""
        self.block += 1
        rng = Random(f"{self.seed}|block|{self.block}")
        for market in self.markets:
            market.move(rng, now)
        acts: list[Callable[[Random, float], None]] = [self._whale, self._scalper, self._holder, self._stepper]
        for act in acts:
            act(rng, now)
        if self.block % 7 == 0:
            self._reward(self.characters[self.block // 7 % 4].wallet, now)

    # -- temperaments ------------------------------------------------------------------------------------------

    def _whale(self, rng: Random, now: float) -> None:
        me, phase = self.characters[0].wallet, (self.block - 1) % 36
        if phase == 0:
            market = self.markets[(0, 2, 1, 4)[self.block // 36 % 4]]
            token = market.tokens[rng.randrange(2)]
            self._whale_order = (self._hash(), token, market.best(token, "SELL"), rng.randrange(3_000, 6_000) * MICRO)
        if phase < 14 and self._whale_order is not None:
            for _ in range(rng.randrange(2, 5)):
                self._eat_whale(me, rng, now)
        if phase in (24, 28) and self._whale_order is not None:
            token = self._whale_order[1]
            held = self._held.get((me, token), 0)
            self._take(me, "SELL", token, held // 2 if phase == 24 else held, rng, now)

    def _eat_whale(self, me: str, rng: Random, now: float) -> None:
        assert self._whale_order is not None
        order_hash, token, price, left = self._whale_order
        shares = min(left, rng.choice((13_698_629, 54_794_519, 136_986_300, 27_397_259, 210_000_000)))
        if shares <= 0:
            return
        self._whale_order = (order_hash, token, price, left - shares)
        makers = [Order(me, "BUY", token, shares, price, order_hash)]
        if rng.random() < 0.15:
            makers.append(Order(me, "BUY", token, shares, price, "0x" + digest(order_hash, "second")))
        total = sum(m.shares for m in makers)
        other = self._stranger(rng)
        if rng.random() < 0.3:
            market = self.chain.markets[token]
            opposite = market.tokens[1 - market.index(token)]
            taker = Order(other, "BUY", opposite, total, MICRO - price, self._hash())
        else:
            taker = Order(other, "SELL", token, total, price, self._hash())
        self.chain.match(taker, makers, now=now)
        self._hold(me, token, total)

    def _scalper(self, rng: Random, now: float) -> None:
        me, phase = self.characters[1].wallet, self.block % 6
        market = self.markets[(self.block // 6) % 4]
        token = market.tokens[(self.block // 12) % 2]
        if phase == 0:
            self._take(me, "BUY", token, rng.randrange(60, 240) * MICRO, rng, now)
        elif phase == 3:
            self._take(me, "SELL", token, self._held.get((me, token), 0), rng, now)

    def _holder(self, rng: Random, now: float) -> None:
        me = self.characters[2].wallet
        if self.block % 5 == 2:
            market = rng.choice(self.markets[:5])
            token = market.tokens[rng.randrange(2)]
            self._take(me, "BUY", token, rng.randrange(200, 900) * MICRO, rng, now)
            if rng.random() < 0.45:
                market.move(rng, now, jump=(6 if market.index(token) == 0 else -6) * max(1, 10_000 // market.tick))
        if self.block % 30 == 16:
            self._take(me, "SELL", self.markets[1].tokens[1], 500 * MICRO, rng, now)

    def _stepper(self, rng: Random, now: float) -> None:
        me, phase = self.characters[3].wallet, self.block % 22
        market = self.markets[3 + (self.block // 22) % 3]
        token = market.tokens[(self.block // 44) % 2]
        held = self._held.get((me, token), 0)
        if phase in (1, 3, 5):
            self._take(me, "BUY", token, rng.randrange(80, 300) * MICRO, rng, now)
        elif phase in (10, 13):
            self._take(me, "SELL", token, held * (3 if phase == 10 else 5) // 10, rng, now)
        elif phase == 17:
            self._take(me, "SELL", token, held, rng, now)

    # -- matching ----------------------------------------------------------------------------------------------

    def _take(self, wallet: str, side: str, token: str, shares: int, rng: Random, now: float) -> None:
        """A taker order through the book, level by level, against strangers' resting orders."""
        market = self.chain.markets[token]
        makers: list[Order] = []
        shares = shares // 10_000 * 10_000
        while shares > 0 and len(makers) < 6:
            bids, asks = market.sides(token)
            levels = asks if side == "BUY" else bids
            if not levels:
                break
            price = min(levels) if side == "BUY" else max(levels)
            taken = min(shares, levels[price])
            other = "SELL" if side == "BUY" else "BUY"
            makers.append(Order(self._stranger(rng), other, token, taken, price, self._hash()))
            market.eat(token, side, price, taken)
            shares -= taken
        total = sum(m.shares for m in makers)
        if total == 0:
            return
        market.changed_at = now
        taker = Order(wallet, side, token, total, makers[-1].price, self._hash())
        self.chain.match(taker, makers, now=now)
        self._hold(wallet, token, total if side == "BUY" else -total)

    def _hold(self, wallet: str, token: str, delta: int) -> None:
        self._held[(wallet, token)] = max(0, self._held.get((wallet, token), 0) + delta)

    def _hash(self) -> str:
        self._orders += 1
        return "0x" + digest(self.seed, "order", self._orders)

    def _stranger(self, rng: Random) -> str:
        return wallet_of(self.seed, f"stranger {rng.randrange(500)}")

    def _reward(self, wallet: str, now: float) -> None:
        row = {
            "type": "REWARD",
            "proxy_wallet": wallet,
            "timestamp": int(now),
            "transaction_hash": "0x" + digest(self.seed, "reward", self.block),
            "condition_id": "",
            "token_id": "",
            "side": "",
            "usdc_size": 1.25,
            "outcome": "",
            "outcome_index": 999,
            "title": "",
            "slug": "",
            "icon": "",
            "event_slug": "",
        }
        self.chain.add_row(wallet, row, now + 4.0)
