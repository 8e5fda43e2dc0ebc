"""How leaders of the past trade on one happening: its markets are opened, quoted, traded in and left."""

from __future__ import annotations

from random import Random

import msgspec

from pilotfish.core.trade import Side
from pilotfish.core.units import MICRO, PPM
from pilotfish.history.records import Deed
from pilotfish.sim.market import digest
from pilotfish.sim.past_markets import FEES, Mistake, OldMarket, chances, quoted
from pilotfish.sim.past_people import Kind, Person
from pilotfish.sim.past_tape import LOT, Fill, Tape

HOUR = 3_600
NAMES = 0xFFFF
"""The last 16 bits of a token or condition are the index of whose life it is in: so many leaders fit a world."""
BIG = 12
"""BUYs of the one event that made somebody."""
_SUBJECTS = {
    "sports": "Will the {} win match {}?",
    "politics": "Will the {} carry district {}?",
    "crypto": "Will the {} coin close above mark {}?",
    "economics": "Will the {} index rise in report {}?",
    "culture": "Will the {} film pass {} million?",
    "geopolitics": "Will the {} accord be signed by day {}?",
}
_WORDS = ("Harbour", "Lagoon", "Coral", "Reef", "Tidal", "Pelagic", "Estuary", "Current", "Anchor", "Drift")


class Bought(msgspec.Struct, frozen=True, gc=False):
    """A BUY of theirs, and when they were out of it again."""

    fill: Fill
    exit_at: int | None


class Act(msgspec.Struct, kw_only=True):
    """One market of a happening as somebody left it. ``kept`` are shares by outcome at the end; ``given`` is the result
    where it is not drawn; ``twin``: its chance is the complement of its event's other market."""

    market: OldMarket
    tape: Tape
    bought: list[Bought] = []
    moves: list[Deed] = []
    kept: dict[int, int] = {}
    given: bool | None = None
    twin: bool = False


class Stage(msgspec.Struct):
    """What all happenings of a life share."""

    rng: Random
    seed: int
    index: int
    person: Person
    others: tuple[str, ...]
    from_at: int
    to_at: int


class _Happening(msgspec.Struct, frozen=True):
    number: int
    event: str
    category: str
    opens_at: int
    closes_at: int
    resolved_at: int
    tick: int
    half: int


def person_of(hexadecimal_or_token: str) -> int:
    """The index of the leader in whose life a condition or token occurs."""
    number = int(hexadecimal_or_token, 16 if hexadecimal_or_token.startswith("0x") else 10)
    return number & NAMES


def acts_of(stage: Stage, number: int) -> list[Act]:
    """What they did on one happening."""
    if stage.person.kind is Kind.MARKET_MAKER:
        return _make_market(stage, _happening(stage, number, 20, 50))
    hours = (6, 16) if stage.person.kind is Kind.FIRST_SECOND else (20, 60)
    happening = _happening(stage, number, *hours)
    big = stage.person.kind is Kind.ONE_EVENT and number == stage.person.happenings // 2
    several = stage.rng.random() < 0.12 and not big and stage.person.kind in (Kind.VALUE, Kind.SKILLED, Kind.FLIPPER)
    return [_buy(stage, happening, place, big) for place in range(2 if several else 1)]


def _happening(stage: Stage, number: int, least: int, most: int) -> _Happening:
    rng, manner = stage.rng, stage.person.manner
    room = stage.to_at - stage.from_at - 20 * HOUR
    opens = stage.from_at + (room * number + int(room * 0.8 * rng.random())) // stage.person.happenings
    closes = min(opens + rng.randrange(least * HOUR, most * HOUR), stage.to_at - 4 * HOUR)
    category = manner.categories[int(rng.random() * len(manner.categories))]
    name = digest(stage.seed, "past", stage.index, number)
    fine = manner.exact is not None
    return _Happening(
        number=number,
        event=f"{category}-{stage.index}-{number}-{name[:6]}",
        category=category,
        opens_at=opens,
        closes_at=closes,
        resolved_at=closes + rng.randrange(600, 5_400),
        tick=1_000 if fine else 10_000,
        half=(manner.exact or 0) * 1_000 if fine else 10_000,
    )


def _market(stage: Stage, happening: _Happening, place: int, outcome: int, first: int) -> OldMarket:
    """A market whose quote is right, and of whose ``outcome`` the chance begins at ``first``."""
    begins = first if outcome == 0 else MICRO - first
    at, fair = chances(stage.rng, begins, happening.opens_at, happening.closes_at)
    ids = [int(digest(stage.seed, happening.event, place, what), 16) for what in range(3)]
    condition, *tokens = [number & ~NAMES | stage.index for number in ids]
    subject = _WORDS[ids[0] % len(_WORDS)]
    title = _SUBJECTS[happening.category].format(subject, happening.number + 1 + 1000 * place)
    return OldMarket(
        condition_id=f"0x{condition:064x}",
        tokens=(str(tokens[0]), str(tokens[1])),
        event=happening.event,
        title=title,
        slug=f"{happening.event}-{place}",
        category=happening.category,
        tick=happening.tick,
        half=happening.half,
        path=quoted(at, fair, None, happening.tick, happening.half),
        opens_at=happening.opens_at,
        closes_at=happening.closes_at,
        resolved_at=happening.resolved_at,
    )


def _mistaken(market: OldMarket, outcome: int, by: int, starts_at: int, ends_at: int, gone_at: int) -> OldMarket:
    """The same market, its quote of ``outcome`` off by ``by`` for a while."""
    mistake = Mistake(starts_at, ends_at, gone_at, by if outcome == 0 else -by)
    path = quoted(market.path.at, market.path.fair, mistake, market.tick, market.half)
    return msgspec.structs.replace(market, path=path)


def _too_cheap(market: OldMarket, chance: int, edge_ppm: int) -> int:
    """How far a mid must be off for a BUY at the ask to earn ``edge_ppm`` a dollar after the fee."""
    cost = chance * PPM // (PPM + edge_ppm)
    rate = FEES[market.category]
    price = cost
    for _ in range(3):
        price = cost - rate * price // PPM * (MICRO - price) // MICRO
    return price - market.half - chance


# -- one side ----------------------------------------------------------------------------------------------------------


def _shares(rng: Random, price: int) -> int:
    """An order of 100 to 600 USDC."""
    return rng.randrange(100, 600) * MICRO * MICRO // price // LOT * LOT


def _buy(stage: Stage, happening: _Happening, place: int, big: bool) -> Act:
    """They buy one outcome, once or more, and sell before the end or not."""
    rng, kind, wallet = stage.rng, stage.person.kind, stage.person.wallet
    outcome = int(rng.random() * 2)
    low, high = (140_000, 200_000) if big else stage.person.manner.chance
    market = _market(stage, happening, place, outcome, rng.randrange(low, high))
    life = happening.closes_at - happening.opens_at
    first = happening.opens_at + int(life * (0.15 + 0.3 * rng.random()))
    times = [first]
    if big:
        times = [first + n * life // 3 // BIG for n in range(BIG)]
    elif kind is not Kind.FIRST_SECOND and rng.random() < 0.2:
        times.append(first + rng.randrange(600, 2_400))
    if kind is Kind.FIRST_SECOND:
        market = _mistaken(market, outcome, -rng.randrange(12_000, 28_000), first - 120, first, first + 1)
    elif stage.person.edge is not None:
        by = _too_cheap(market, market.fair(outcome, first), stage.person.edge)
        good = times[-1] + HOUR // 2
        market = _mistaken(market, outcome, by, market.opens_at, good, good + 8 * HOUR)
    tape = Tape(rng, market, stage.others)
    tape.quiet()
    fills = []
    for at in times:
        shares = _shares(rng, market.ask(outcome, at))
        fills.append(tape.take(wallet, Side.BUY, outcome, shares, at, deep=rng.random() < 0.15))
        tape.burst(outcome, at)
    exit_at = _exit_at(stage, times[-1], happening.closes_at)
    held = sum(fill.shares for fill in fills)
    if exit_at is not None:
        if kind is Kind.FIRST_SECOND:
            tape.rest(wallet, Side.SELL, outcome, held, exit_at)
        else:
            tape.take(wallet, Side.SELL, outcome, held, exit_at)
        tape.burst(outcome, exit_at)
    return Act(
        market=market,
        tape=tape,
        bought=[Bought(fill, exit_at) for fill in fills],
        kept={} if exit_at is not None else {outcome: held},
        given=(outcome == 0) if big else None,
    )


def _exit_at(stage: Stage, last: int, closes_at: int) -> int | None:
    rng = stage.rng
    if stage.person.kind is Kind.FIRST_SECOND:
        return last + rng.randrange(180, 1_200)
    if rng.random() * PPM >= stage.person.manner.sold_ppm:
        return None
    exit_at = last + rng.randrange(8 * HOUR, 20 * HOUR)
    return exit_at if exit_at < closes_at - 600 else None


# -- both sides --------------------------------------------------------------------------------------------------------


def _make_market(stage: Stage, happening: _Happening) -> list[Act]:
    """They rest on both sides for some hours: in and out, pairs that are merged, a split that is sold, and in some
    events of two markets a conversion."""
    rng, wallet = stage.rng, stage.person.wallet
    market = _market(stage, happening, 0, 0, rng.randrange(*stage.person.manner.chance))
    converts = rng.random() < 0.1
    if converts:
        market = msgspec.structs.replace(market, neg_risk=True)
    tape = Tape(rng, market, stage.others)
    tape.quiet()
    act = Act(market=market, tape=tape, bought=[], moves=[])
    clock = happening.opens_at + 2 * HOUR
    for _ in range(rng.randrange(2, 4)):
        outcome = int(rng.random() * 2)
        shares = _shares(rng, market.bid(outcome, clock))
        out = clock + rng.randrange(300, 1_800)
        act.bought.append(Bought(tape.rest(wallet, Side.BUY, outcome, shares, clock), out))
        tape.burst(outcome, clock)
        tape.rest(wallet, Side.SELL, outcome, shares, out)
        tape.burst(outcome, out)
        clock = out + rng.randrange(600, 3_600)
    shares = _shares(rng, MICRO // 2)
    if rng.random() < 0.6:
        out = clock + rng.randrange(900, 2_400)
        for outcome, at in ((0, clock), (1, clock + rng.randrange(60, 600))):
            act.bought.append(Bought(tape.rest(wallet, Side.BUY, outcome, shares, at), out))
            tape.burst(outcome, at)
        act.moves.append(_moved(rng, market, "MERGE", shares, out))
    else:
        act.moves.append(_moved(rng, market, "SPLIT", shares, clock))
        for outcome, at in ((0, clock + rng.randrange(60, 600)), (1, clock + rng.randrange(700, 1_800))):
            tape.rest(wallet, Side.SELL, outcome, shares, at)
            tape.burst(outcome, at)
    return [act, _convert(stage, act, clock + HOUR)] if converts else [act]


def _convert(stage: Stage, act: Act, at: int) -> Act:
    """The event's other market, of which this one's No is the Yes: No is bought here, converted, and sold there."""
    rng, wallet, market = stage.rng, stage.person.wallet, act.market
    path = market.path
    fair = tuple(MICRO - chance for chance in path.fair)
    ids = [int(digest(stage.seed, market.event, "twin", what), 16) & ~NAMES | stage.index for what in range(3)]
    twin = msgspec.structs.replace(
        market,
        condition_id=f"0x{ids[0]:064x}",
        tokens=(str(ids[1]), str(ids[2])),
        title=market.title.replace("Will the", "Will another than the"),
        slug=f"{market.event}-other",
        path=quoted(path.at, fair, None, market.tick, market.half),
    )
    tape = Tape(rng, twin, stage.others)
    tape.quiet()
    shares = _shares(rng, market.bid(1, at))
    act.bought.append(Bought(act.tape.rest(wallet, Side.BUY, 1, shares, at), at + 600))
    act.tape.burst(1, at)
    act.moves.append(_moved(rng, market, "CONVERSION", shares, at + 600))
    tape.rest(wallet, Side.SELL, 0, shares, at + 1_200)
    tape.burst(0, at + 1_200)
    return Act(market=twin, tape=tape, twin=True)


def _moved(rng: Random, market: OldMarket, kind: str, amount: int, at: int) -> Deed:
    return Deed(
        kind=kind,
        at=at,
        tx_hash=f"0x{rng.getrandbits(256):064x}",
        condition_id=market.condition_id,
        shares=amount,
        usdc_size=amount,
        title=market.title,
        slug=market.slug,
        event_slug=market.event,
    )
