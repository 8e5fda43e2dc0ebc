"""The past of the stand-in venue: a seeded world of leaders whose truth is known, without a clock.

``make_past`` describes the world at once; a leader's life is worked out when it is first asked for, from the seed and
their place alone, so a world of hundreds costs what is looked at. ``past_of`` is what a backtest reads, ``truth`` what
it ought to find.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

import msgspec

from pilotfish.core.book import Take
from pilotfish.core.fees import taker_fee
from pilotfish.core.sizing import buy_limit
from pilotfish.core.units import MICRO, PPM, shares_for
from pilotfish.history.records import Deed, Past, PastMarket, PricePoint, Print
from pilotfish.sim.past_acts import NAMES, person_of
from pilotfish.sim.past_lives import SHORTEST, Life, live_through
from pilotfish.sim.past_markets import DELAYS_MS, OldMarket
from pilotfish.sim.past_people import Person
from pilotfish.sim.past_tape import Fill

LIVES_KEPT = 16
"""Lives that stay in memory."""
MINUTE = 60
FINE = 40
"""One-minute prices after each trade of a leader; else hourly ones."""


class PastWorld:
    """Leaders from ``from_at`` to ``to_at`` (epoch seconds), all of it over an hour before ``to_at``."""

    def __init__(self, seed: int, from_at: int, to_at: int, people: tuple[Person, ...]) -> None:
        self.seed = seed
        self.from_at = from_at
        self.to_at = to_at
        self.people = people
        self._places = {person.wallet: i for i, person in enumerate(people)}
        self._lives: OrderedDict[int, Life] = OrderedDict()

    @property
    def worked_out(self) -> int:
        """How many lives are in memory."""
        return len(self._lives)

    def life(self, wallet: str) -> Life | None:
        """A leader's life, or ``None`` of somebody who is none."""
        place = self._places.get(wallet)
        return self._life(place) if place is not None else None

    def life_of(self, token_or_condition: str) -> Life | None:
        """The life in which a token or condition occurs, or ``None`` where it is none of this past."""
        try:
            place = person_of(token_or_condition)
        except ValueError:
            return None
        return self._life(place) if place < len(self.people) else None

    def market(self, token_or_condition: str) -> OldMarket | None:
        """A market by one of its ids."""
        life = self.life_of(token_or_condition)
        if life is None:
            return None
        return life.markets.get(token_or_condition) or life.by_token.get(token_or_condition)

    def _life(self, place: int) -> Life:
        life = self._lives.get(place)
        if life is None:
            life = live_through(self.seed, place, self.people[place], self.from_at, self.to_at)
            self._lives[place] = life
            if len(self._lives) > LIVES_KEPT:
                self._lives.popitem(last=False)
        else:
            self._lives.move_to_end(place)
        return life


class Truth(msgspec.Struct, frozen=True, kw_only=True):
    """What copying somebody is worth in the mean: ``edge_ppm`` a dollar paid, in parts per million, after spread and
    fees; ``None`` where nothing could be copied. ``copied`` of ``entries`` BUYs were within the limit, in so many
    independent ``events``."""

    edge_ppm: int | None
    copied: int
    entries: int
    events: int


def make_past(seed: int, *, from_at: int, to_at: int, people: Sequence[Person]) -> PastWorld:
    """A world of these leaders between two instants (epoch seconds); nothing is worked out yet.

    Raises :class:`ValueError` for less than two days, for two leaders of one wallet, and for more than fit.
    """
    if to_at - from_at < SHORTEST:
        raise ValueError(f"a past of {to_at - from_at} s: expected at least {SHORTEST}; move from_at back")
    if len(people) > NAMES:
        raise ValueError(f"{len(people)} people: at most {NAMES} fit; make several worlds")
    if len({person.wallet for person in people}) != len(people):
        raise ValueError("two people have the same wallet; give each their own")
    return PastWorld(seed, from_at, to_at, tuple(people))


def truth(world: PastWorld, wallet: str, *, delay: int = 2, usdc: int = 25 * MICRO, limit_bps: int = 300) -> Truth:
    """What a copy of ``usdc`` of each BUY is worth that pays the ask ``delay`` seconds later, if that is within
    ``limit_bps`` of the leader's price, and leaves at the bid ``delay`` seconds after the leader left.

    It is the mean over what was still unknown: each share is worth its true chance. What an exit costs is the distance
    of bid and fee from the chance at that time. Raises :class:`ValueError` for a wallet that is not in the world.
    """
    life = world.life(wallet)
    if life is None:
        raise ValueError(f"{wallet} is nobody of this past; ask for one of world.people")
    gained = copied = 0
    events = set()
    for entry in life.entries:
        market = life.markets[entry.condition_id]
        at = entry.at + delay
        price = market.ask(entry.outcome, at)
        if at >= market.closes_at or price > buy_limit(entry.usdc, entry.shares, limit_bps, market.tick):
            continue
        shares = shares_for(usdc, price)
        cost = usdc + taker_fee([Take(price, shares)], market.fee)
        worth = market.fair(entry.outcome, at)
        if entry.exit_at is not None:
            out = entry.exit_at + delay
            bid = market.bid(entry.outcome, out)
            fee = taker_fee([Take(bid, shares)], market.fee) * MICRO // shares
            worth -= market.fair(entry.outcome, out) - bid + fee
        gained += (shares * worth // MICRO - cost) * PPM // cost
        copied += 1
        events.add(market.event)
    return Truth(
        edge_ppm=gained // copied if copied else None, copied=copied, entries=len(life.entries), events=len(events)
    )


# -- what a backtest reads ---------------------------------------------------------------------------------------------


def past_of(
    world: PastWorld, wallet: str, from_at: int | None = None, to_at: int | None = None, *, prices: bool = True
) -> Past:
    """The history of one wallet between two instants (the whole world's without them), as if it had been pulled whole;
    without lines of prices on request. Raises :class:`ValueError` for a wallet that is not in the world."""
    life = world.life(wallet)
    if life is None:
        raise ValueError(f"{wallet} is nobody of this past; ask for one of world.people")
    begin = world.from_at if from_at is None else from_at
    end = world.to_at if to_at is None else to_at
    deeds = [deed for deed in deeds_of(life) if begin <= deed.at <= end]
    events = {life.markets[deed.condition_id].event for deed in deeds if deed.condition_id}
    markets = {condition: market for condition, market in life.markets.items() if market.event in events}
    return Past(
        wallet=wallet,
        name=life.person.name,
        from_at=begin,
        to_at=end,
        deeds=deeds,
        markets={condition: known_market(market, end) for condition, market in markets.items()},
        tape={c: [print_of(f, m) for f in life.tapes[c] if begin <= f.at <= end] for c, m in markets.items()},
        tape_known={c: [(max(begin, m.opens_at), min(end, m.closes_at))] for c, m in markets.items()},
        prices=_lines(life, deeds, end) if prices else {},
        held=held_at(life, begin),
    )


def deeds_of(life: Life) -> list[Deed]:
    """All of a leader's activity, oldest first."""
    deeds = [deed_of(fill, life.markets[fill.condition_id]) for fill in life.trades]
    return sorted([*deeds, *life.moves], key=lambda deed: deed.at)


def deed_of(fill: Fill, market: OldMarket) -> Deed:
    """A fill as a row of activity."""
    return Deed(
        kind="TRADE",
        at=fill.at,
        tx_hash=fill.tx_hash,
        condition_id=fill.condition_id,
        token_id=market.tokens[fill.outcome],
        side=fill.side,
        shares=fill.shares,
        usdc=fill.usdc,
        usdc_size=fill.usdc + fill.fee,
        size=repr(fill.shares / MICRO),
        price=repr(round(fill.usdc / fill.shares, 10)),
        outcome=market.outcomes[fill.outcome],
        title=market.title,
        slug=market.slug,
        event_slug=market.event,
    )


def print_of(fill: Fill, market: OldMarket) -> Print:
    """A fill as a row of its market's tape."""
    return Print(
        at=fill.at,
        tx_hash=fill.tx_hash,
        wallet=fill.wallet,
        condition_id=fill.condition_id,
        token_id=market.tokens[fill.outcome],
        side=fill.side,
        shares=fill.shares,
        price=fill.price,
    )


def known_market(market: OldMarket, by: int) -> PastMarket:
    """A market as it was known at an instant."""
    closed, resolved = market.closes_at <= by, market.resolved_at <= by
    return PastMarket(
        condition_id=market.condition_id,
        tokens=market.tokens,
        outcomes=market.outcomes,
        title=market.title,
        slug=market.slug,
        event=market.event,
        category=market.category,
        tags=(market.category,),
        fee=market.fee,
        tick=market.tick,
        delay_ms=DELAYS_MS.get(market.category, 0),
        end_at=market.closes_at,
        closed_at=market.closes_at if closed else None,
        resolved_at=market.resolved_at if resolved else None,
        payouts=market.payouts if resolved else None,
    )


def held_at(life: Life, at: int) -> dict[str, int]:
    """What a leader held, by token, just before a second."""
    held: dict[str, int] = {}
    for deed in deeds_of(life):
        if deed.at >= at:
            break
        for token, delta in changes(life, deed, held):
            held[token] = held.get(token, 0) + delta
    return {token: shares for token, shares in held.items() if shares > 0}


def changes(life: Life, deed: Deed, held: dict[str, int]) -> list[tuple[str, int]]:
    """By how much a row changes which token, given what was held before it (PROTOCOL.md section 8)."""
    if deed.kind == "TRADE":
        return [(deed.token_id, deed.shares if deed.side == "BUY" else -deed.shares)]
    if not deed.condition_id:
        return []
    market = life.markets[deed.condition_id]
    if deed.kind in ("SPLIT", "MERGE"):
        delta = deed.shares if deed.kind == "SPLIT" else -deed.shares
        return [(token, delta) for token in market.tokens]
    if deed.kind == "CONVERSION":
        others = [m for m in life.markets.values() if m.event == market.event and m is not market]
        return [(market.tokens[1], -deed.shares), *((other.tokens[0], deed.shares) for other in others)]
    token = market.tokens[market.outcomes.index(deed.outcome)]
    return [(token, -held.get(token, 0))]


def _lines(life: Life, deeds: list[Deed], end: int) -> dict[str, list[PricePoint]]:
    """Prices of each token that they traded: hourly, by the minute around their trades, and the settlement."""
    trades: dict[str, set[int]] = {}
    for deed in deeds:
        if deed.kind == "TRADE":
            minute = deed.at // MINUTE
            trades.setdefault(deed.token_id, set()).update(range(minute - 5, minute + FINE))
    lines = {}
    for token, minutes in trades.items():
        market = life.by_token[token]
        outcome = market.tokens.index(token)
        minutes.update(range(market.opens_at // MINUTE + 1, market.closes_at // MINUTE, 60))
        seconds = [m * MINUTE for m in sorted(minutes) if market.opens_at <= m * MINUTE < min(market.closes_at, end)]
        line = [PricePoint(second, market.mid(outcome, second)) for second in seconds]
        if market.resolved_at <= end:
            line.append(PricePoint(market.resolved_at, market.payouts[outcome]))
        lines[token] = line
    return lines
