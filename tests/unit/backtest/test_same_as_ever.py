"""Look backs of seeded pasts come out as they always did, to the byte: every decision with its trace, every order and
fill, and the answer. What is written here changes only with a rule, and then on purpose.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import msgspec
import pytest

from pilotfish.backtest.assumptions import BANDS, Band
from pilotfish.backtest.look_back import look_back
from pilotfish.backtest.run import Whole, play
from pilotfish.backtest.told import answer_of
from pilotfish.core.effects import Effect, Insert, Update
from pilotfish.core.records import DecisionChange, DecisionRecord, FillRecord, IntentRecord, RoundTripRecord
from pilotfish.core.settings import Value, policy_from
from pilotfish.history.folder import History
from pilotfish.history.past import read_past
from pilotfish.history.records import Past
from pilotfish.sim.past import make_past, past_of
from pilotfish.sim.past_people import Kind, crowd
from tests.kept_past import keep

TO_AT = 1_790_000_000 // 86_400 * 86_400
KEPT = (DecisionRecord, DecisionChange, FillRecord, IntentRecord, RoundTripRecord)
RUNS = {
    Kind.FIRST_SECOND: "66e98797567300d9",
    Kind.VALUE: "4d285acbf6345a5a",
    Kind.GAMBLER: "48947f57c1968bd1",
    Kind.MARKET_MAKER: "094ff7cb451c5bd6",
    Kind.ONE_EVENT: "af097170f223f76e",
    Kind.FLIPPER: "d09898ec47df7c09",
    Kind.SKILLED: "32312f26c0e972c7",
}
"""What each kind's decisions, orders, fills and round trips are, by the first digits of their digest."""
ANSWERS = {
    (Kind.VALUE, "in memory"): "d1c2dbe7373e14f4",
    (Kind.VALUE, "from files"): "f819216f046fccca",
    (Kind.VALUE, "from an object store"): "f819216f046fccca",
    (Kind.MARKET_MAKER, "in memory"): "b7c42e98354f5e36",
    (Kind.MARKET_MAKER, "from files"): "a4dad0d6052a1de3",
}
"""Files hold more and less than the stand-in venue's past: prices while something was held alone."""
POLICIES: dict[Kind, dict[str, Value]] = {
    Kind.VALUE: {"sizing_mode": "bankroll_ratio"},
    Kind.MARKET_MAKER: {"sizing_mode": "leader_ratio", "leader_ratio": 100_000},
}
LATER = ("uncopyable",)
"""Fields of the answer that are younger than the digests."""


def a_past(kind: Kind) -> Past:
    events = 40 if kind is not Kind.GAMBLER else 12
    world = make_past(11, from_at=TO_AT - 60 * 86_400, to_at=TO_AT, people=crowd(11, kind, 1, events=events))
    return past_of(world, world.people[0].wallet)


def read_back(past: Past, url: str) -> Past:
    history = History(url)
    keep(history, past)
    return read_past(history, past.wallet, past.from_at, past.to_at, past.name)


def digest_of_run(past: Past, kind: Kind) -> str:
    digest = hashlib.sha256()

    def see(_event: object, effects: list[Effect]) -> None:
        for effect in effects:
            if isinstance(effect, Insert | Update) and isinstance(effect.record, KEPT):
                digest.update(msgspec.json.encode(effect.record))

    play(Whole(past=past), policy_from(POLICIES.get(kind, {})), BANDS[Band.EXPECTED], see)
    return digest.hexdigest()[:16]


@pytest.mark.parametrize("kind", RUNS)
def test_a_seeded_past_makes_the_same_decisions_orders_and_fills_as_ever(kind: Kind) -> None:
    assert digest_of_run(a_past(kind), kind) == RUNS[kind]


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "where"), ANSWERS)
def test_a_seeded_look_back_gives_the_same_answer_as_ever(kind: Kind, where: str, tmp_path: Path) -> None:
    past = a_past(kind)
    if where != "in memory":
        past = read_back(past, str(tmp_path) if where == "from files" else f"memory:/{tmp_path}")
    told = answer_of(look_back(past, policy_from(POLICIES.get(kind, {}))))
    kept = {name: value for name, value in told.items() if name not in LATER}
    assert hashlib.sha256(msgspec.json.encode(kept)).hexdigest()[:16] == ANSWERS[kind, where]
