"""The world of a story: who trades what when, what each source shows of it, and what it answers when asked.

Everything follows from the seed and the instant, so that a run that asks at other instants lives in the same world.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random

from pilotfish.core import effects as fx
from pilotfish.core import events as ev
from pilotfish.core.book import make_book
from pilotfish.core.drive import Ask
from pilotfish.core.fees import NO_FEE, FeeSchedule
from pilotfish.core.trade import LeaderFill, Side, Source
from pilotfish.core.units import MICRO, SECOND

BEGIN = 1_800_000_000 * SECOND
LEADERS = tuple(f"0x{i:02x}" + "ab" * 19 for i in range(1, 5))
LAG = 4 * SECOND
"""How far what the venue says of holdings lags behind the chain."""
SLOT = 4 * SECOND
"""A book stays as it is for so long."""


@dataclass(frozen=True)
class Place:
    """A market of the world. ``known_from``: its look-up fails before, ``None`` = for ever."""

    condition_id: str
    tokens: tuple[str, str]
    known_from: int | None
    resolves_at: int | None
    payout: tuple[int, int]
    tick: int
    finer_from: int | None
    delay_ms: int
    fee: FeeSchedule

    def resolved(self, at: int) -> bool:
        """True once it has a result."""
        return self.resolves_at is not None and at >= self.resolves_at


@dataclass(frozen=True)
class Deed:
    """One fill of a leader as it really was, and when each source shows it (µs; ``None`` = never)."""

    fill: LeaderFill
    chain_at: int | None
    api_at: int | None
    removed_at: int | None = None
    again_at: int | None = None

    @property
    def stands(self) -> bool:
        """False for a fill that a reorg took back for good."""
        return self.removed_at is None or self.again_at is not None


@dataclass
class World:
    """Markets, deeds and moves of one seed."""

    seed: int
    places: list[Place] = field(default_factory=list)
    deeds: list[Deed] = field(default_factory=list)
    moves: list[tuple[str, ev.Move]] = field(default_factory=list)
    changes: list[tuple[int, str, str, int]] = field(default_factory=list)
    """What moved the leaders' holdings: (instant, leader, token, shares)."""

    def rng(self, *parts: object) -> Random:
        """Chance that depends on the seed and ``parts`` alone."""
        return Random("|".join(str(p) for p in (self.seed, *parts)))

    def place(self, token_id: str) -> Place:
        """The market of a token."""
        return next(p for p in self.places if token_id in p.tokens)

    def holdings(self, leader: str, at: int) -> dict[str, int]:
        """What a leader holds: token -> shares."""
        held: dict[str, int] = {}
        for when, who, token, shares in self.changes:
            if who == leader and when <= at:
                held[token] = held.get(token, 0) + shares
        return {token: shares for token, shares in sorted(held.items()) if shares > 0}

    def mid(self, token_id: str, at: int) -> int:
        """The middle of a token's book."""
        place = self.place(token_id)
        base = self.rng("base", place.condition_id).randint(150, 850)
        drift = sum(self.rng("drift", place.condition_id, at // (k * SLOT)).randint(-20, 20) for k in (1, 7))
        yes = max(60, min(940, base + drift)) * 1000
        return yes if token_id == place.tokens[0] else MICRO - yes

    # -- answers -----------------------------------------------------------------------------------------------

    def answer(self, ask: Ask, at: int) -> list[ev.Event]:
        """What comes of a question, some time later."""
        match ask:
            case fx.NeedBook(token_id):
                delay = self.rng("book delay", token_id, at).randint(15_000, 90_000)
                return [self.book(token_id, at, at + delay)]
            case fx.NeedMarket(token_id):
                return [self.market(token_id, at, at + 120_000)]
            case fx.NeedHoldings(leader, bootstrap):
                slow = self.rng("positions", leader, at // SECOND).random() < 0.1
                return [self.snapshot(leader, at, at + (20 * SECOND if slow else 300_000), bootstrap=bootstrap)]
            case _:
                return []

    def book(self, token_id: str, at: int, arrives: int) -> ev.Event:
        """The book of an instant: mostly good; sometimes missing, empty, one-sided or crossed."""
        place, chance = self.place(token_id), self.rng("book", token_id, at // SLOT)
        if place.resolved(at):
            return ev.BookMissing(at=arrives, token_id=token_id, detail="closed", gone=True)
        luck = chance.random()
        if luck < 0.07:
            return ev.BookMissing(at=arrives, token_id=token_id, detail="no answer")
        tick = 1_000 if place.finer_from is not None and at >= place.finer_from else place.tick
        mid = self.mid(token_id, at) // tick * tick
        bids = [(mid - (i + 1) * tick, chance.randint(5, 400) * MICRO) for i in range(4)]
        asks = [(mid + (i + 1) * tick, chance.randint(5, 400) * MICRO) for i in range(4)]
        if luck < 0.10:
            bids = []
        elif luck < 0.13:
            asks = []
        elif luck < 0.15:
            bids, asks = [], []
        elif luck < 0.18:
            bids = [(price + 4 * tick, size) for price, size in bids]
        good = [[(p, s) for p, s in side if 0 < p < MICRO] for side in (bids, asks)]
        book = make_book(token_id, good[0], good[1], requested_at=at, received_at=arrives, tick=tick)
        return ev.BookSeen(at=arrives, book=book)

    def market(self, token_id: str, at: int, arrives: int) -> ev.Event:
        """What a look-up of a token's market gives."""
        place = self.place(token_id)
        if place.known_from is None or at < place.known_from:
            return ev.MarketMissing(at=arrives, token_id=token_id, detail="not listed")
        index = place.tokens.index(token_id)
        over = place.resolved(at)
        market = ev.Market(
            token_id=token_id,
            condition_id=place.condition_id,
            outcome=("Yes", "No")[index],
            title=f"Market {place.condition_id[-4:]}",
            slug=place.condition_id[-4:],
            index=index,
            closed=over,
            accepting_orders=not over,
            tick=place.tick,
            fee=place.fee,
            delay_ms=place.delay_ms,
            payout=place.payout[index] if over else None,
            fetched_at=at,
        )
        return ev.MarketSeen(at=arrives, market=market)

    def snapshot(self, leader: str, at: int, arrives: int, *, bootstrap: bool = False) -> ev.HoldingsSnapshot:
        """What the venue says that a leader holds."""
        held = self.holdings(leader, at if bootstrap else at - LAG)
        return ev.HoldingsSnapshot(
            at=arrives,
            leader=leader,
            as_of=at,
            holdings=tuple(held.items()),
            bootstrap=bootstrap,
            conditions=tuple((token, self.place(token).condition_id) for token in held),
            value=sum(shares * self.mid(token, at) // MICRO for token, shares in held.items()),
        )


def make_places(world: World, minutes: int) -> None:
    """Eight markets: some unknown at first or for ever, some that resolve on the way, one 50-50."""
    chance = world.rng("places")
    for i in range(8):
        condition = f"0x{chance.getrandbits(256):064x}"
        payout = ((MICRO, 0), (0, MICRO), (MICRO // 2, MICRO // 2))[i % 3]
        ends = BEGIN + chance.randint(40, 90) * minutes * 60 * SECOND // 100
        world.places.append(
            Place(
                condition_id=condition,
                tokens=(str(chance.getrandbits(250)), str(chance.getrandbits(250))),
                known_from=None if i == 6 else BEGIN + chance.randint(0, 200) * SECOND if i % 4 == 1 else BEGIN,
                resolves_at=ends if i % 2 else None,
                payout=payout,
                tick=10_000,
                finer_from=BEGIN + minutes * 30 * SECOND if i % 4 == 0 else None,
                delay_ms=(0, 150, 2_000)[i % 3],
                fee=NO_FEE if i % 2 else FeeSchedule(50_000),
            )
        )


def api_fill(deed: LeaderFill) -> LeaderFill:
    """The same fill as a row of the API tells it: no order, no log, no fee of its own."""
    return LeaderFill(
        source=Source.API, leader=deed.leader, tx_hash=deed.tx_hash, token_id=deed.token_id, side=Side(deed.side),
        shares=deed.shares, usdc=deed.usdc, traded_at=deed.traded_at, condition_id=deed.condition_id, outcome="",
        title="", slug="", is_combo=deed.is_combo, raw="{}",
    )  # fmt: skip
