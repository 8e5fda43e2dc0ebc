"""A seeded story in virtual time holds every kind of trouble, ends in the truth, and is the same in every process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from typing import Any

import pytest

from pilotfish.core.effects import NeedMarket
from pilotfish.store import exports
from tests.conftest import PROJECT
from tests.story import Story, make, play
from tests.story.world import LEADERS

SEEDS = range(6)
SHORT, KILLS = 5, (150, 400)
"""The story that other processes play, and after how many commits it is killed."""

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def stories() -> dict[int, Story]:
    return {seed: play(seed) for seed in SEEDS}


def test_the_stories_hold_every_kind_of_trouble(stories: dict[int, Story]) -> None:
    entered = Counter(type(e).__name__ for s in stories.values() for e in s.script.events)
    assert {
        "ChainFillSeen", "ApiWindowRead", "HoldingsSnapshot", "HealthChanged", "PolicyChanged", "PortfolioAdded",
        "PortfolioArchived", "FollowsChanged", "LeaderPaused", "LeaderRemoved", "LeaderFollowed", "PaperReset",
        "CloseAsked", "MarketSeen", "BookSeen", "BookMissing", "Tick",
    } <= set(entered)  # fmt: skip
    deeds = [d for s in stories.values() for d in s.world.deeds]
    assert [d for d in deeds if d.chain_at is None]
    assert [d for d in deeds if d.api_at is None and d.stands]
    assert [d for d in deeds if d.removed_at is not None and not d.stands], "never mined again"
    assert [d for d in deeds if d.again_at is not None], "mined again"
    assert max(Counter((d.fill.key) for d in deeds).values()) > 1, "identical fills"
    assert {m.kind for s in stories.values() for _, m in s.world.moves} == {"SPLIT", "MERGE", "REDEEM", "CONVERSION"}
    reasons = Counter(d["reason"] for s in stories.values() for d in s.export("decisions"))
    assert {
        "COPY", "SKIP_SAME_ORDER", "SKIP_NO_BOOK", "SKIP_UNKNOWN_MARKET", "SKIP_RETRACTED", "EXIT_BY_HAND",
        "SKIP_PAUSED", "SKIP_CATCHUP_WORSE_PRICE",
    } <= set(reasons)  # fmt: skip
    ends = Counter((i["side"], i["state"]) for s in stories.values() for i in s.export("intents"))
    assert min(ends[("BUY", "filled")], ends[("SELL", "filled")], ends[("BUY", "cancelled")]) > 0


@pytest.mark.parametrize("seed", SEEDS)
def test_a_story_ends_in_the_truth_with_nothing_waiting_and_no_order_open(stories: dict[int, Story], seed: int) -> None:
    story = stories[seed]
    assert story.stuck() == []
    held = {(h["leader"], h["token_id"]): h["shares_micro"] for h in story.export("holdings") if h["shares_micro"]}
    true = {(w, t): n for w in LEADERS for t, n in story.world.holdings(w, story.script.until).items()}
    assert held == true
    standing = Counter(d.fill.key for d in story.world.deeds if d.stands or d.fill.key in story.script.untold)
    found = Counter(_key(t) for t in story.export("trades") if t["status"] == "active")
    assert found - standing == Counter(), "no trade that was not one"
    assert all(n == standing[key] for key, n in found.items()), "identical fills are all there"


def test_the_same_seed_is_the_same_story_and_another_one_is_not(stories: dict[int, Story]) -> None:
    assert play(3).digests() == stories[3].digests()
    assert stories[3].digests() != stories[4].digests()


def test_a_story_is_the_same_to_the_byte_in_every_process() -> None:
    """Everything that the engine asks for, and every kind of export, whatever the process's seed for hashes is."""
    want = play(SHORT, minutes=5, deeds=40, restarts=KILLS).digests()
    assert set(want) == {*exports.KINDS, "effects"}
    others = {
        seed: subprocess.Popen(
            [sys.executable, "-m", "tests.story", str(SHORT), "5", "40", *map(str, KILLS)],
            stdout=subprocess.PIPE, text=True, cwd=PROJECT, env={**os.environ, "PYTHONHASHSEED": str(seed)},
        )
        for seed in range(10)
    }  # fmt: skip
    found = {seed: json.loads(process.communicate(timeout=120)[0]) for seed, process in others.items()}
    assert {seed: digests for seed, digests in found.items() if digests != want} == {}


def test_killed_and_made_anew_the_story_goes_on() -> None:
    """Three times in one story."""
    story = make(3)
    story.play([139, 492, 980])
    assert story.stuck() == []
    assert story.differences() == []


def _key(trade: dict[str, Any]) -> tuple[Any, ...]:
    return (trade["leader"], trade["tx_hash"], trade["token_id"], trade["side"], trade["shares_micro"])


@pytest.mark.parametrize("seed", SEEDS)
def test_at_the_end_of_a_story_the_books_agree(stories: dict[int, Story], seed: int) -> None:
    assert stories[seed].differences() == []


@pytest.mark.parametrize("seed", SEEDS)
def test_a_market_that_is_not_listed_is_asked_for_within_bounds(seed: int) -> None:
    """However many portfolios and leaders wait for it: at most once for each retry."""
    story = make(seed)
    asked: Counter[tuple[str, int]] = Counter()
    story.watch = lambda event, effects: asked.update(
        (e.token_id, event.at // 1_000_000) for e in effects if isinstance(e, NeedMarket)
    )
    story.play()
    assert max(asked.values()) <= 2, asked.most_common(3)
