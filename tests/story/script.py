"""The script of a story: everything that enters the engine from outside, with its instants.

Logs and pages with all their troubles, health, heartbeats, looks at markets and books, and what people change.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

import msgspec

from pilotfish.core import events as ev
from pilotfish.core.settings import Policy, Value, policy_from
from pilotfish.core.trade import Source, TradeKey
from pilotfish.core.units import MICRO, SECOND
from tests.story.world import BEGIN, LEADERS, World, api_fill

POLL = 8 * SECOND
OVERLAP = 60
AFTER = 900 * SECOND
"""How long a story goes on after its last deed: longer than anything may wait."""

POLICIES: tuple[dict[str, Value], ...] = (
    {},
    {"sizing_mode": "leader_ratio", "leader_ratio": MICRO // 50, "below_min": "accumulate"},
    {"sizing_mode": "fixed_shares", "fixed_shares": 20 * MICRO, "max_spread_bps": 2_000},
    {"fixed_usdc": 40 * MICRO, "catch_up_buy_require_better_price": False, "total_cap_usdc": 400 * MICRO},
    {"sizing_mode": "bankroll_ratio", "take_profit_bps": 1_500, "stop_loss_bps": 2_500},
    {"orphan_policy": "keep", "order_latency_ms": 900, "strict_both": True},
    {"wait_for_api": True, "trigger_mode": "polygon"},
    {"order_latency_ms": 3_000, "order_latency_p99_ms": 9_000, "sell_retry_sec": 20},
)


@dataclass(frozen=True)
class Script:
    """Events in the order of their instants, and when the story ends."""

    events: tuple[ev.Event, ...]
    until: int
    untold: frozenset[TradeKey]
    """Fills that were seen, and taken back while nothing could be heard."""


class _Writing:
    def __init__(self, world: World, minutes: int) -> None:
        self.world = world
        self.chance: Random = world.rng("script")
        self.last = BEGIN + minutes * 60 * SECOND
        self.until = self.last + AFTER
        self.found: list[tuple[int, int, ev.Event]] = []
        self.untold: set[TradeKey] = set()
        self.followed: dict[str, list[tuple[int, int]]] = {w: [(BEGIN, self.until)] for w in LEADERS}
        late, again = LEADERS[3], LEADERS[2]
        mid = BEGIN + minutes * 30 * SECOND
        self.followed[late] = [(BEGIN + 45 * SECOND, self.until)]
        self.followed[again] = [(BEGIN, mid), (mid + 70 * SECOND, self.until)]
        self.deaf = self._outage()
        self.blind = self._outage()

    def _outage(self) -> tuple[int, int]:
        start = self.chance.randint(BEGIN + 60 * SECOND, self.last - 60 * SECOND)
        return start, start + self.chance.randint(15, 80) * SECOND

    def add(self, at: int, event: ev.Event) -> None:
        self.found.append((at, len(self.found), event))

    def write(self) -> Script:
        for part in (self.health, self.people, self.follows, self.logs, self.polls, self.heartbeat, self.markets,
                     self.snapshots):  # fmt: skip
            part()
        self.found.sort(key=lambda x: (x[0], x[1]))
        events = tuple(event for at, _, event in self.found if at <= self.until)
        return Script(events, self.until, frozenset(self.untold))

    # -- sources -------------------------------------------------------------------------------------------------

    def health(self) -> None:
        self.add(BEGIN, ev.HealthChanged(at=BEGIN, source=Source.POLYGON, healthy=True))
        for source, (start, end), after in (
            (Source.POLYGON, self.deaf, 5 * SECOND), (Source.API, self.blind, 12 * SECOND),
        ):  # fmt: skip
            if start + after < end:
                self.add(start + after, ev.HealthChanged(at=start + after, source=source, healthy=False))
                self.add(end, ev.HealthChanged(at=end, source=source, healthy=True))

    def logs(self) -> None:
        for deed in self.world.deeds:
            fill, block = deed.fill, (deed.fill.block_number or 0) + 3
            anew = msgspec.structs.replace(fill, block_number=block, block_hash=f"0x{block:063x}f")
            said = [(deed.chain_at, fill, False), (deed.removed_at, fill, True), (deed.again_at, anew, False)]
            if deed.chain_at is not None and deed.removed_at is None and self.chance.random() < 0.12:
                said.insert(1, (deed.chain_at + self.chance.choice((0, 1, 400)) * 1000, fill, False))
            told = False
            for at, log, removed in said:
                if at is None:
                    continue
                if not self.deaf[0] <= at < self.deaf[1]:
                    told = told or not removed
                    self.add(at, ev.ChainFillSeen(at=at, fill=log, removed=removed))
                elif removed and told and not deed.stands:
                    self.untold.add(fill.key)

    def polls(self) -> None:
        for leader, spans in self.followed.items():
            for start, end in spans:
                cursor = floor = start // SECOND
                at = start + self.chance.randint(500, 4_000) * 1000
                n = 0
                while at < end:
                    wide = n % 12 == 11
                    step = POLL if at < self.last else 4 * POLL
                    if not self.blind[0] <= at < self.blind[1] and self.chance.random() > 0.04:
                        since = floor if wide else max(floor, cursor - OVERLAP)
                        cursor = self._window(leader, since, cursor, at)
                    at, n = at + step, n + 1

    def _window(self, leader: str, since: int, cursor: int, at: int) -> int:
        rows = [
            d for d in self.world.deeds
            if d.fill.leader == leader and d.api_at is not None and d.api_at <= at
            and (d.fill.traded_at or 0) >= since * SECOND
        ]  # fmt: skip
        moves = [m for who, m in self.world.moves if who == leader and since * SECOND <= m.at <= at - 5 * SECOND]
        newest = max([(d.fill.traded_at or 0) // SECOND + 1 for d in rows], default=0)
        cursor = max(cursor, newest)
        fills = tuple(api_fill(d.fill) for d in rows)
        self.add(at, ev.ApiWindowRead(at=at, leader=leader, fills=fills, cursor_ts=cursor, moves=tuple(moves)))
        return cursor

    def snapshots(self) -> None:
        for i, leader in enumerate(LEADERS):
            start, end = self.followed[leader][-1]
            for at in range(start + (41 + 7 * i) * SECOND, end, 60 * SECOND):
                self.add(at, self.world.snapshot(leader, at, at))

    def heartbeat(self) -> None:
        for at in range(BEGIN, self.until, 10 * SECOND):
            self.add(at, ev.Tick(at=at))

    def markets(self) -> None:
        """Held markets and books are read now and then."""
        for place in self.world.places:
            for token in place.tokens:
                for after in (30, 90) if place.resolves_at is not None else ():
                    at = (place.resolves_at or 0) + after * SECOND
                    self.add(at, self.world.market(token, at, at))
        tokens = [t for p in self.world.places for t in p.tokens]
        for at in range(BEGIN + 15 * SECOND, self.until, 15 * SECOND):
            self.add(at, self.world.book(self.chance.choice(tokens), at - 30_000, at))

    # -- people --------------------------------------------------------------------------------------------------

    def follows(self) -> None:
        for leader, spans in self.followed.items():
            for start, end in spans:
                second = start // SECOND
                self.add(start, ev.LeaderFollowed(at=start, leader=leader, follow_from=start, floor_ts=second,
                                                  cursor_ts=second, is_new=True))  # fmt: skip
                if end < self.until:
                    self.add(end, ev.LeaderRemoved(at=end, leader=leader))

    def people(self) -> None:
        chance = self.chance

        def some(low: int, high: int) -> int:
            """An instant between two hundredths of the story."""
            return BEGIN + (self.last - BEGIN) * chance.randint(low, high) // 100 + chance.randint(0, 999_999)

        def policy() -> Policy:
            return policy_from(chance.choice(POLICIES))

        second, third = "second", "third"
        added = some(3, 15)
        self.add(added, ev.PortfolioAdded(at=added, state=fresh(second, policy(), LEADERS[:2])))
        added = some(20, 40)
        self.add(added, ev.PortfolioAdded(at=added, state=fresh(third, policy(), None)))
        for _ in range(2):
            at = some(10, 95)
            self.add(at, ev.PolicyChanged(at=at, portfolio="main", policy=policy()))
        at = some(45, 65)
        self.add(at, ev.FollowsChanged(at=at, portfolio=second, leaders=(LEADERS[0], LEADERS[3])))
        at = some(70, 97)
        self.add(at, ev.PortfolioArchived(at=at, portfolio=third))
        pause = some(25, 60)
        for at, paused in ((pause, True), (pause + 40 * SECOND, False)):
            self.add(at, ev.LeaderPaused(at=at, leader=LEADERS[1], paused=paused))
        for name in ("main", second):
            at = some(40, 99)
            self.add(at, ev.CloseAsked(at=at, portfolio=name, leader=chance.choice((None, LEADERS[0]))))
        if self.world.seed % 2:
            at = some(30, 80)
            self.add(at, ev.PaperReset(at=at, portfolio=chance.choice((None, "main", second))))


def fresh(name: str, policy: Policy, leaders: tuple[str, ...] | None) -> ev.PortfolioState:
    """A portfolio that begins."""
    return ev.PortfolioState(name=name, bankroll=policy.bankroll, cash=policy.bankroll, policy=policy, follows=leaders)


def make_script(world: World, minutes: int = 10) -> Script:
    """Everything that enters from outside in a world."""
    return _Writing(world, minutes).write()
