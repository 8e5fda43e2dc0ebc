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


def test_exports_are_the_same_whatever_the_hash_seed() -> None:
    seed = 5
    here = {kind: digest for kind, digest in play(seed).digests().items() if kind in exports.KINDS}
    assert set(here) == set(exports.KINDS)
    for hash_seed in ("0", "1", "7"):
        assert {k: v for k, v in _elsewhere(seed, hash_seed).items() if k in here} == here, hash_seed


def test_killed_and_made_anew_the_story_goes_on() -> None:
    """Three times in one story."""
    story = make(3)
    story.play([139, 492, 980])
    assert story.stuck() == []
    assert story.differences() == []


def _elsewhere(seed: int, hash_seed: str) -> dict[str, str]:
    done = subprocess.run(
        [sys.executable, "-m", "tests.story", str(seed)],
        capture_output=True, text=True, timeout=120, cwd=PROJECT, env={**os.environ, "PYTHONHASHSEED": hash_seed},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    digests: dict[str, str] = json.loads(done.stdout)
    return digests


def _key(trade: dict[str, Any]) -> tuple[Any, ...]:
    return (trade["leader"], trade["tx_hash"], trade["token_id"], trade["side"], trade["shares_micro"])


@pytest.mark.parametrize("seed", [0, 1, 3, 5])
def test_what_the_engine_asks_for_is_the_same_to_the_byte_whatever_the_hash_seed(seed: int) -> None:
    here = play(seed).digests()
    for hash_seed in ("0", "1", "7"):
        assert _elsewhere(seed, hash_seed) == here, hash_seed


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
