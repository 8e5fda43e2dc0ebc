"""A seed becomes a world: who trades what, how each source tells of it, and everything that goes wrong meanwhile."""

from __future__ import annotations

from random import Random

import msgspec

from pilotfish.core.settings import Value
from pilotfish.core.units import MICRO, SECOND
from pilotfish.simtest.steps import (
    LEADERS,
    MAIN,
    MARKETS,
    Archive,
    Book,
    Close,
    Down,
    Fee,
    Follow,
    Follows,
    Kill,
    Leave,
    Move,
    Pause,
    Portfolio,
    Reset,
    Resolve,
    Settings,
    Step,
    Trade,
    moved_by,
    token,
)

CENT = 10_000
MORE_FROM = 2_000_000_000
"""Worlds from this seed on hold more trouble; those before are known by their seeds, and stay as they are."""
SHAPES = ("fine",) * 8 + ("thin", "wide", "crossed", "no bids", "no asks", "gone", "fails", "fine tick")


def make(seed: int, minutes: int) -> list[Step]:
    """The story of a seed over so many virtual minutes, in order."""
    world = _World(seed, minutes)
    world.tell()
    return sorted(world.steps, key=lambda s: s.at)


class _World:
    def __init__(self, seed: int, minutes: int) -> None:
        self.r = Random(seed)
        self.more = seed >= MORE_FROM
        self.span = minutes * 60 * SECOND
        self.steps: list[Step] = []
        self.numbers = 0
        self.orders = 0
        self.seconds: dict[tuple[int, str], set[int]] = {}
        """(leader, token) -> seconds in which it moves."""
        self.held: dict[int, dict[str, int]] = {n: {} for n in range(len(LEADERS))}
        self.prices = {(m, o): self.r.randrange(10, 90) * CENT for m in range(MARKETS) for o in (0, 1)}
        self.resolved: dict[int, int] = {}
        self.busy: list[tuple[int, int | None]] = []
        """When somebody trades, and who, where that is planned."""

    def tell(self) -> None:
        r = self.r
        self.steps += [Follow(at=0, leader=n) for n in range(r.choice((1, 2, 2, 3)))]
        self.followed = len(self.steps)
        for market in range(MARKETS):
            self.steps.append(Fee(at=0, market=market, rate_ppm=r.choice((0, 30_000, 40_000, 50_000))))
            for outcome in (0, 1):
                self.book(0, market, outcome)
        for market in range(MARKETS):
            if r.random() < 0.35:
                at = self.resolved[market] = self.some(0.3, 1.0)
                self.steps.append(Resolve(at=at, market=market, payout=r.choice((0, MICRO, MICRO // 2))))
        self.people()
        self.trouble()
        self.busy += [(self.some(), None) for _ in range(r.randrange(4, 26))]
        for at, leader in sorted(self.busy, key=lambda planned: planned[0]):
            self.trade(at, r.randrange(self.followed) if leader is None else leader)
        self.redemptions()
        for at in sorted(self.some() for _ in range(r.randrange(0, 20))):
            self.book(at, r.randrange(MARKETS), r.randrange(2))
        self.kills_in_the_middle()

    def some(self, low: float = 0.0, high: float = 1.0) -> int:
        return int(self.span * (low + (high - low) * self.r.random()))

    # -- trades ------------------------------------------------------------------------------------------------

    def trade(self, at: int, leader: int) -> None:
        r = self.r
        market, outcome = r.randrange(MARKETS), r.randrange(2)
        if at >= self.resolved.get(market, self.span):
            return
        if r.random() < 0.12:
            self.move(at, leader, market)
            return
        held = self.held[leader].get(token(market, outcome), 0)
        sells = held > 0 and r.random() < 0.45
        if self.more and self.trades_after(leader, token(market, outcome), at):
            sells = False
        shares = r.randrange(5, 400) * MICRO + r.choice((0, 0, r.randrange(MICRO)))
        if sells:
            part = r.choice((held, held, held // 2, held // 3, held * 999 // 1000, shares))
            shares = max(1, min(held, part))
        count = r.choice((1, 1, 1, 1, 2, 3)) if not sells else 1
        self.orders += 1
        for _ in range(r.choice((1, 1, 1, 2, 4)) if not sells else 1):
            self.fill(at, (leader, market, outcome), "SELL" if sells else "BUY", shares, count)
            at += r.choice((1, 2, 20)) * SECOND
        if self.more and not sells and r.random() < 0.4:
            self.quick_sale((leader, market, outcome))

    def quick_sale(self, key: tuple[int, int, int]) -> None:
        """What was just bought is sold while its copy waits for a market or a book, or a reorg has it taken back."""
        r, last = self.r, self.steps[-1]
        held = self.held[key[0]].get(token(*key[1:]), 0)
        if not isinstance(last, Trade) or last.side != "BUY" or last.chain_us is None or last.reorg == "never":
            return
        if not held or self.trades_after(last.leader, token(*key[1:]), last.at):
            return
        log, shares = (
            last.at + last.chain_us + r.randrange(20_000, 400_000),
            r.choice((held, held, held // 2, held // 3)),
        )
        if last.count == 1 and r.random() < 0.5:
            reorg_us, shares = r.randrange(SECOND, 5 * SECOND), held
            self.steps[-1] = msgspec.structs.replace(last, reorg="again", reorg_us=reorg_us)
            log = last.at + last.chain_us + reorg_us + r.randrange(20_000, 4 * SECOND)
        self.orders += 1
        self.fill(last.at + SECOND, key, "SELL", max(1, shares), 1)
        sale = self.steps[-1]
        if isinstance(sale, Trade) and sale.side == "SELL" and sale.reorg != "never" and sale.at < log:
            self.steps[-1] = msgspec.structs.replace(sale, chain_us=log - sale.at, reorg="")

    def trades_after(self, leader: int, name: str, at: int) -> bool:
        """True where a leader trades a token after an instant, so that what they hold then is not what they do now."""
        return any(second > at // SECOND for second in self.seconds.get((leader, name), ()))

    def fill(self, at: int, key: tuple[int, int, int], side: str, shares: int, count: int) -> None:
        r = self.r
        leader, name = key[0], token(*key[1:])
        second, held = at // SECOND, self.held[leader]
        taken = self.seconds.setdefault((leader, name), set())
        while second in taken:
            second += 1
        if second * SECOND >= min(self.span, self.resolved.get(key[1], self.span)):
            return
        taken.add(second)
        self.numbers += 1
        moved = (1 if side == "BUY" else -1) * shares * count
        chain = None if r.random() < 0.12 else self.lag((1, 2), (2, 6), (20, 120))
        reorg = r.choice(("again", "again", "never")) if chain is not None and r.random() < 0.08 else ""
        if reorg != "never":
            held[name] = held.get(name, 0) + moved
        price = min(99, max(1, self.prices[key[1:]] // CENT + r.randrange(-2, 3))) * CENT
        trade = Trade(
            at=second * SECOND,
            number=self.numbers,
            leader=leader,
            market=key[1],
            outcome=key[2],
            side=side,
            shares=shares,
            price=price,
            order=self.orders,
            count=count,
            chain_us=chain,
            again_us=self.lag((0, 5), (5, 60)) if r.random() < 0.15 else None,
            api_us=self.lag((1, 6), (3, 30), (60, 900)),
            fee=r.choice((0, 10, 1234)),
            reorg=reorg,
            reorg_us=r.choice((r.randrange(300_000), self.lag((1, 5), (5, 40)))),
            backwards=r.random() < 0.3,
            no_time=r.random() < 0.1,
        )
        self.steps.append(trade)

    def move(self, at: int, leader: int, market: int) -> None:
        """What changes holdings without a trade, of what is possible with what is held."""
        r, held = self.r, self.held[leader]
        first, second = (held.get(token(market, outcome), 0) for outcome in (0, 1))
        most = {"SPLIT": 200 * MICRO, "MERGE": min(first, second), "SEND": first}
        if all(at < resolved for resolved in self.resolved.values()):
            most["CONVERSION"] = second
        kind = r.choice([name for name, amount in most.items() if amount > 0])
        amount = most[kind] if kind == "SEND" or r.random() < 0.3 else min(most[kind], r.randrange(1, 200) * MICRO)
        self.moved(at, leader, market, kind, amount)

    def redemptions(self) -> None:
        """Some leaders redeem what they hold of resolved markets."""
        for market, resolved in sorted(self.resolved.items()):
            for leader in range(self.followed):
                at = resolved + self.lag((1, 30), (30, 300), (300, 900))
                shares = sum(self.held[leader].get(token(market, outcome), 0) for outcome in (0, 1))
                if self.r.random() < 0.5 and at < self.span:
                    self.moved(at, leader, market, "REDEEM", shares)

    def moved(self, at: int, leader: int, market: int, kind: str, amount: int) -> None:
        at = at // SECOND * SECOND
        move = Move(
            at=at,
            number=self.numbers + 1,
            leader=leader,
            market=market,
            kind=kind,
            amount=amount,
            api_us=self.lag((1, 6), (3, 30)),
        )
        held = self.held[leader]
        moved = moved_by(move, held)
        taken = [self.seconds.setdefault((leader, name), set()) for name in moved]
        if amount <= 0 or any(abs(at // SECOND - s) < 30 for t in taken for s in t):
            return
        self.numbers += 1
        self.steps.append(move)
        for name, seconds in zip(moved, taken, strict=True):
            held[name] = held.get(name, 0) + moved[name]
            seconds.update(range(at // SECOND - 1, at // SECOND + 2))

    def lag(self, *ranges: tuple[int, int]) -> int:
        """A delay: most are of the first range, few of the last."""
        chosen = ranges[min(len(ranges) - 1, int(self.r.expovariate(1.2)))]
        return int(self.r.uniform(*chosen) * SECOND)

    # -- books -------------------------------------------------------------------------------------------------

    def book(self, at: int, market: int, outcome: int) -> None:
        r = self.r
        price = self.prices[(market, outcome)] = min(
            97 * CENT, max(3 * CENT, self.prices[(market, outcome)] + r.randrange(-6, 7) * CENT)
        )
        shape = r.choice(SHAPES)
        spread = r.choice((1, 1, 2)) * CENT if shape != "wide" else 15 * CENT
        depth = 5 * MICRO if shape == "thin" else r.randrange(50, 5000) * MICRO
        bids = tuple((price - spread - n * CENT, depth * (n + 1)) for n in range(3) if price - spread - n * CENT > 0)
        asks = tuple((price + n * CENT, depth * (n + 1)) for n in range(3) if price + n * CENT < MICRO)
        if shape == "crossed":
            bids = ((price, depth), *bids)
        self.steps.append(
            Book(
                at=at,
                market=market,
                outcome=outcome,
                bids=() if shape == "no bids" else bids,
                asks=() if shape == "no asks" else asks,
                gone=shape == "gone",
                fails=shape == "fails",
                tick=1_000 if shape == "fine tick" else CENT,
            )
        )

    # -- people and trouble ------------------------------------------------------------------------------------

    def values(self) -> dict[str, Value]:
        r = self.r
        mode = r.choice(("fixed_usdc", "fixed_usdc", "fixed_shares", "leader_ratio", "bankroll_ratio"))
        values: dict[str, Value] = {"sizing_mode": mode, "fixed_usdc": r.randrange(2, 60) * MICRO}
        options: dict[str, tuple[Value, ...]] = {
            "leader_ratio": (MICRO // 10, MICRO),
            "max_spread_bps": (300, 1000, 20_000),
            "buy_max_slippage_bps": (0, 300, 10_000),
            "catch_up_buy_require_better_price": (True, False),
            "catch_up_buy_max_age_sec": (0, 60, 300),
            "max_live_lag_sec": (2, 15, 60),
            "order_latency_ms": (0, 300, 3000),
            "orphan_policy": ("exit", "keep"),
            "below_min": ("skip", "accumulate", "raise"),
            "cap_mode": ("cut", "skip"),
            "per_market_cap_usdc": (0, 50 * MICRO),
            "bankroll": (100 * MICRO, 10_000 * MICRO),
            "take_profit_bps": (0, 0, 500),
            "stop_loss_bps": (0, 0, 1000),
            "sell_retry_sec": (5, 60),
            "strict_both": (False, False, True),
            "trigger_mode": ("both", "both", "both", "polygon", "api"),
            "wait_for_api": (False, False, True),
            "copy_side": ("both", "both", "both", "buy", "sell"),
        }
        values.update({name: r.choice(choice) for name, choice in options.items() if r.random() < 0.3})
        return values

    def people(self) -> None:
        r = self.r
        self.steps.append(Settings(at=0, portfolio=MAIN, values=self.values()))
        names = [MAIN]
        if r.random() < 0.4:
            names.append("second")
            self.steps.append(Portfolio(at=self.some(0.0, 0.6), name="second", values=self.values()))
        for _ in range(r.choice((0, 0, 1, 2))):
            self.steps.append(Settings(at=self.some(), portfolio=MAIN, values=self.values()))
        if r.random() < 0.15:
            self.steps.append(Reset(at=self.some(), portfolio=r.choice((None, MAIN))))
        if r.random() < 0.15:
            self.steps.append(Close(at=self.some(), portfolio=MAIN))
        if r.random() < 0.1:
            self.steps.append(Follows(at=self.some(), portfolio=MAIN, leaders=r.choice(((0,), None, ()))))
        if r.random() < 0.15:
            at = self.some(0, 0.8)
            self.steps.append(Pause(at=at, leader=0, paused=True))
            self.steps.append(Pause(at=at + self.some(0, 0.2), leader=0, paused=False))
        if len(names) > 1 and r.random() < 0.2:
            self.steps.append(Archive(at=self.some(0.7, 1.0), name="second"))
        if self.followed < len(LEADERS) and r.random() < 0.3:
            self.steps.append(Follow(at=self.some(0.1, 0.5), leader=self.followed))
            self.followed += 1
        for leader in range(self.followed):
            if r.random() < 0.15:
                self.leave(leader)

    def leave(self, leader: int) -> None:
        """A leader is left, and mostly followed again: soon, or after all that was late has come."""
        at, away = self.some(0.1, 0.8), self.lag((0, 60), (60, 300), (300, 900))
        self.steps.append(Leave(at=at, leader=leader))
        if self.r.random() < 0.75:
            self.steps.append(Follow(at=at + away, leader=leader))
        times = [at + int(self.r.uniform(-1, 2) * away) for _ in range(self.r.randrange(6))]
        self.busy += [(max(0, time), leader) for time in times]

    def trouble(self) -> None:
        r = self.r
        for source, chance in (("chain", 0.4), ("api", 0.3), ("books", 0.2), ("markets", 0.2)):
            if r.random() < chance:
                self.steps.append(Down(at=self.some(), source=source, lasts_us=self.lag((5, 60), (60, 400))))
        if self.more:
            self.nothing_told()
        for _ in range(r.choice((0, 1, 1, 2, 4))):
            self.steps.append(Kill(at=self.some(), away_us=self.lag((0, 2), (2, 60), (60, 400))))

    def nothing_told(self) -> None:
        """The service of positions is away when somebody is followed, and they sell before it is back."""
        r = self.r
        for step in [s for s in self.steps if isinstance(s, Follow) and r.random() < 0.3]:
            lasts = self.lag((5, 40), (40, 120))
            self.steps.append(Down(at=max(0, step.at - SECOND), source="positions", lasts_us=lasts))
            self.busy += [(step.at + r.randrange(lasts), step.leader) for _ in range(r.randrange(4))]

    def kills_in_the_middle(self) -> None:
        """The process dies while an order, a decision or a reorg is under way; now and then the leader is left and
        followed again before it starts."""
        r = self.r
        seen = [s for s in self.steps if isinstance(s, Trade) and s.chain_us is not None]
        chosen = r.sample(seen, min(len(seen), r.choice((0, 0, 1, 2))))
        chosen += [s for s in seen if s.reorg and r.random() < 0.5]
        for trade in chosen:
            log = trade.at + (trade.chain_us or 0) + (trade.reorg_us if trade.reorg else 0)
            moment, away = log + int(r.choice((0.0, 0.05, 0.35, 2.0)) * SECOND), self.lag((0, 2), (2, 60))
            self.steps.append(Kill(at=moment, away_us=away))
            if r.random() < 0.2:
                self.steps.append(Leave(at=moment + away // 3, leader=trade.leader))
                self.steps.append(Follow(at=moment + away // 2, leader=trade.leader))
