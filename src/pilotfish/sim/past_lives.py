"""What a leader of the past did, from the first happening to the last: markets, tapes, moves, and what it was worth."""

from __future__ import annotations

from random import Random

import msgspec

from pilotfish.core.units import MICRO
from pilotfish.history.records import Deed
from pilotfish.sim.past_acts import Act, Stage, acts_of
from pilotfish.sim.past_markets import OldMarket
from pilotfish.sim.past_people import Kind, Person
from pilotfish.sim.past_tape import Fill, strangers

DAY = 86_400
SHORTEST = 2 * DAY
"""A past is at least so many seconds long."""
LUCK = 500
"""So many falls of the coin are tried until one is lucky."""
LUCKY_PPM = 300_000
"""A lucky gambler made at least this part of what they staked."""


class Entry(msgspec.Struct, frozen=True, gc=False):
    """A BUY that somebody may copy: what it cost them (without a fee), and when they were out of it again
    (``None`` = never, it was settled)."""

    at: int
    condition_id: str
    outcome: int
    shares: int
    usdc: int
    exit_at: int | None


class Life(msgspec.Struct, frozen=True, kw_only=True):
    """Everything about one leader. ``tapes`` by condition and ``moves`` are oldest first, ``trades`` are the leader's
    own fills."""

    person: Person
    markets: dict[str, OldMarket]
    tapes: dict[str, list[Fill]]
    trades: list[Fill]
    moves: list[Deed]
    entries: list[Entry]
    by_token: dict[str, OldMarket]


def live_through(seed: int, index: int, person: Person, from_at: int, to_at: int) -> Life:
    """A leader's life between two instants (epoch seconds): a function of its arguments. Everything is over an hour
    before ``to_at``. ``index`` marks the ids of its markets: see :func:`~pilotfish.sim.past_acts.person_of`."""
    rng = Random(f"{seed}|past|{index}|{person.wallet}")
    stage = Stage(rng, seed, index, person, strangers(seed), from_at, to_at)
    acts = [act for number in range(person.happenings) for act in acts_of(stage, number)]
    won = _outcomes(rng, person, acts)
    markets = {
        act.market.condition_id: msgspec.structs.replace(act.market, payouts=(MICRO, 0) if first else (0, MICRO))
        for act, first in zip(acts, won, strict=True)
    }
    tapes = {act.market.condition_id: act.tape.done() for act in acts}
    moves = [move for act in acts for move in act.moves]
    moves += [move for act in acts for move in _redeemed(rng, act, markets[act.market.condition_id])]
    moves += _credits(rng, person, from_at, to_at)
    trades = [fill for tape in tapes.values() for fill in tape if fill.wallet == person.wallet]
    entries = [
        Entry(b.fill.at, b.fill.condition_id, b.fill.outcome, b.fill.shares, b.fill.usdc, b.exit_at)
        for act in acts
        for b in act.bought
    ]
    return Life(
        person=person,
        markets=markets,
        tapes=tapes,
        trades=sorted(trades, key=lambda fill: fill.at),
        moves=sorted(moves, key=lambda move: move.at),
        entries=sorted(entries, key=lambda entry: entry.at),
        by_token={token: market for market in markets.values() for token in market.tokens},
    )


def _outcomes(rng: Random, person: Person, acts: list[Act]) -> list[bool]:
    """Whether the first outcome of each market came: by its true chance at the end, one draw for all markets of an
    event. A gambler is one of those who were lucky; of somebody's one event it is given that they won."""
    for _ in range(LUCK if person.kind is Kind.GAMBLER else 1):
        draws = {act.market.event: 0.0 for act in acts}
        for event in draws:
            draws[event] = rng.random()
        won = [_came(act, draws[act.market.event]) for act in acts]
        if person.kind is not Kind.GAMBLER or _made(acts, won) * MICRO >= LUCKY_PPM * _staked(acts):
            break
    return won


def _came(act: Act, draw: float) -> bool:
    if act.given is not None:
        return act.given
    if act.twin:
        return not draw * MICRO < MICRO - act.market.path.fair[-1]
    return draw * MICRO < act.market.path.fair[-1]


def _staked(acts: list[Act]) -> int:
    return sum(b.fill.usdc for act in acts for b in act.bought)


def _made(acts: list[Act], won: list[bool]) -> int:
    paid = sum(
        shares
        for act, first in zip(acts, won, strict=True)
        for outcome, shares in act.kept.items()
        if first is (outcome == 0)
    )
    return paid - _staked(acts)


def _redeemed(rng: Random, act: Act, market: OldMarket) -> list[Deed]:
    """What is left is redeemed after the end, for nothing where it lost."""
    return [
        Deed(
            kind="REDEEM",
            at=market.resolved_at + rng.randrange(300, 3_600),
            tx_hash=f"0x{rng.getrandbits(256):064x}",
            condition_id=market.condition_id,
            shares=shares * market.payouts[outcome] // MICRO,
            usdc_size=shares * market.payouts[outcome] // MICRO,
            outcome=market.outcomes[outcome],
            title=market.title,
            slug=market.slug,
            event_slug=market.event,
        )
        for outcome, shares in sorted(act.kept.items())
        if shares
    ]


def _credits(rng: Random, person: Person, from_at: int, to_at: int) -> list[Deed]:
    """What the venue pays those who rest orders: rewards a day, and rebates."""
    if person.kind is not Kind.MARKET_MAKER:
        return []
    return [
        Deed(
            kind="REWARD" if day % 3 else "MAKER_REBATE",
            at=at,
            tx_hash=f"0x{rng.getrandbits(256):064x}",
            usdc_size=rng.randrange(300, 2_000) * 10_000,
        )
        for day, at in enumerate(range(from_at + DAY, to_at - DAY // 12, DAY))
    ]
