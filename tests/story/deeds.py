"""What the leaders of a story do: buys, sells in proportion, whole orders eaten fill by fill, moves without a trade."""

from __future__ import annotations

from random import Random

from pilotfish.core import events as ev
from pilotfish.core.trade import LeaderFill, Side, Source
from pilotfish.core.units import MICRO, SECOND
from tests.story.world import BEGIN, LEADERS, Deed, World, make_places

SINCE = 20 * SECOND
"""The first deed comes so long after the beginning."""


class Doing:
    """Writes the deeds of one world, in the order of their time."""

    def __init__(self, world: World, minutes: int, deeds: int) -> None:
        self.world = world
        self.chance: Random = world.rng("deeds")
        self.until = BEGIN + minutes * 60 * SECOND
        self.block, self.log, self.tx = 80_000_000, 0, 0
        make_places(world, minutes)
        for leader in LEADERS[:2]:
            token = world.places[0].tokens[0]
            world.changes.append((BEGIN - 3600 * SECOND, leader, token, self.chance.randint(20, 300) * MICRO))
        times = sorted(self.chance.randint(BEGIN + SINCE, self.until) for _ in range(deeds))
        for at in times:
            self.one(at // SECOND * SECOND)
        world.deeds.sort(key=lambda d: (d.fill.traded_at or 0, d.fill.log_index or 0))

    def one(self, at: int) -> None:
        """One deed, or several that belong together."""
        chance, world = self.chance, self.world
        leader = chance.choice(LEADERS)
        held = world.holdings(leader, at)
        luck = chance.random()
        if held and luck < 0.32:
            token = chance.choice(sorted(held))
            if not world.place(token).resolved(at):
                part = chance.choice((1, 1, 2, 3, 5))
                self.fills(leader, token, Side.SELL, max(1, held[token] // part), at, 1)
        elif luck < 0.42:
            self.move(leader, held, at)
        elif luck < 0.50:
            self.redeem(leader, held, at)
        else:
            open_ = [p for p in world.places if not p.resolved(at)]
            token = chance.choice(chance.choice(open_).tokens)
            count = chance.choice((1, 1, 1, 2, 3, 7))
            self.fills(leader, token, Side.BUY, chance.randint(10_000_000, 400_000_000), at, count)

    def fills(self, leader: str, token: str, side: Side, shares: int, at: int, count: int) -> None:
        """``count`` fills of one order: in one transaction and identical, or one after the other."""
        chance, world = self.chance, self.world
        order = f"0x{chance.getrandbits(256):064x}"
        twins = side is Side.BUY and count in (2, 3) and chance.random() < 0.5
        price = world.mid(token, at) + chance.randint(-10, 10) * 1000
        price = max(10_000, min(990_000, price))
        tx, block = self._next()
        deed: Deed | None = None
        for i in range(count):
            if not twins and i:
                tx, block = self._next()
                shares = chance.randint(5_000_000, 90_000_000)
            when = at if twins else at + i * SECOND
            self.log += 1
            fill = LeaderFill(
                source=Source.POLYGON, leader=leader, tx_hash=tx, token_id=token, side=side, shares=shares,
                usdc=shares * price // MICRO, traded_at=when, condition_id=None, fee=0,
                role=chance.choice(("maker", "taker")), order_hash=order, block_number=block,
                block_hash=f"0x{block:064x}", log_index=self.log, raw="{}",
            )  # fmt: skip
            deed = self._beside(fill, deed) if twins and deed is not None else self._shown(fill, when)
            world.deeds.append(deed)
            if deed.stands:
                world.changes.append((when, leader, token, shares if side is Side.BUY else -shares))

    def _beside(self, fill: LeaderFill, first: Deed) -> Deed:
        """The same fate, since it is the same transaction; each log and row comes at an instant of its own."""
        chance, chain, api = self.chance, first.chain_at, first.api_at
        chain = None if chain is None else chain - chance.randint(0, 600) * 1000
        api = None if api is None else api + chance.choice((0, 0, 30)) * SECOND
        return Deed(fill, chain, api, first.removed_at, first.again_at)

    def _shown(self, fill: LeaderFill, at: int) -> Deed:
        """When each source shows it: out of order, late, by one source only, taken back by a reorg."""
        chance = self.chance
        chain = at + chance.randint(800, 4_500) * 1000
        api = at + chance.choice((3, 5, 8, 20, 70, 200)) * SECOND + chance.randint(0, 900) * 1000
        luck = chance.random()
        if luck < 0.08:
            return Deed(fill, None, api)
        if luck < 0.14:
            return Deed(fill, chain, None)
        if luck < 0.22 and fill.side is Side.BUY:
            gone = chain + chance.choice((200, 2_500, 20_000)) * 1000
            if luck < 0.18:
                return Deed(fill, chain, None, gone, None)
            return Deed(fill, chain, gone + 90 * SECOND, gone, gone + chance.choice((1, 6, 30)) * SECOND)
        return Deed(fill, chain, api)

    def _next(self) -> tuple[str, int]:
        self.tx += 1
        self.block += 1
        return f"0x{self.world.seed:08x}{self.tx:056x}", self.block

    # -- moves without a trade -----------------------------------------------------------------------------------

    def move(self, leader: str, held: dict[str, int], at: int) -> None:
        """SPLIT, MERGE or CONVERSION."""
        chance, world = self.chance, self.world
        place = chance.choice([p for p in world.places if not p.resolved(at)])
        both = min(held.get(token, 0) for token in place.tokens)
        kind = "MERGE" if both else chance.choice(("SPLIT", "CONVERSION"))
        amount = both if kind == "MERGE" else chance.randint(5, 60) * MICRO
        if kind == "CONVERSION":
            no = place.tokens[1]
            amount = held.get(no, 0)
            if not amount:
                return
            other = chance.choice([p for p in world.places if p is not place])
            world.changes += [(at, leader, no, -amount), (at, leader, other.tokens[0], amount)]
        else:
            sign = -1 if kind == "MERGE" else 1
            world.changes += [(at, leader, token, sign * amount) for token in place.tokens]
        self._move(leader, kind, place.condition_id, amount, at)

    def redeem(self, leader: str, held: dict[str, int], at: int) -> None:
        """Everything that is resolved is redeemed at once: several moves of one instant."""
        for place in self.world.places:
            if place.resolved(at):
                mine = [(token, held[token]) for token in place.tokens if token in held]
                for token, shares in mine:
                    self.world.changes.append((at, leader, token, -shares))
                if mine:
                    self._move(leader, "REDEEM", place.condition_id, sum(s for _, s in mine), at)

    def _move(self, leader: str, kind: str, condition: str, amount: int, at: int) -> None:
        tx, _ = self._next()
        move = ev.Move(kind=kind, tx_hash=tx, condition_id=condition, amount=amount, at=at)
        self.world.moves.append((leader, move))


def make_world(seed: int, minutes: int = 10, deeds: int = 90) -> World:
    """The world of a seed."""
    world = World(seed)
    Doing(world, minutes, deeds)
    return world
