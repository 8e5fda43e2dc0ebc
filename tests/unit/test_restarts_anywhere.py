"""For any prefix of a story: killed there and made anew from the store, it ends as without that, but for late BUYs."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from random import Random
from typing import Any

import pytest

from tests.story import Story, make, play

SEEDS = range(2)
PREFIXES = 3


pytestmark = pytest.mark.slow


@cache
def whole(seed: int) -> Story:
    """The story that nobody killed."""
    return play(seed)


@cache
def killed(seed: int) -> dict[int, Story]:
    """The same story, killed once after so many commits."""
    chance, commits = Random(seed), whole(seed).commits
    found = {}
    for after in sorted(chance.randint(5, commits * 3 // 4) for _ in range(PREFIXES)):
        found[after] = make(seed)
        found[after].play([after])
    return found


def different(seed: int, what: Callable[[Story], dict[Any, Any]]) -> dict[int, dict[Any, tuple[Any, Any]]]:
    """Where a killed story ends otherwise: prefix -> key -> (without the kill, with it)."""
    want = what(whole(seed))
    found = {}
    for after, story in killed(seed).items():
        got = what(story)
        apart = {k: (want.get(k), got.get(k)) for k in sorted({*want, *got}) if want.get(k) != got.get(k)}
        if apart:
            found[after] = apart
    return found


def identity(trade: dict[str, Any]) -> tuple[Any, ...]:
    return (*(trade[k] for k in ("leader", "tx_hash", "token_id", "side", "shares_micro", "occurrence")),)


def trades(story: Story) -> dict[Any, Any]:
    return {identity(t): (t["status"], t["usdc_micro"], t["is_backfill"]) for t in story.export("trades")}


def before_sells(story: Story) -> dict[Any, Any]:
    return {identity(t): t["leader_pre_sell_shares_micro"] for t in story.export("trades") if t["side"] == "SELL"}


def truly_before(story: Story, sell: tuple[Any, ...]) -> int:
    """What a leader really held before a SELL."""
    leader, tx_hash, token, _, shares, _ = sell
    at = next(d.fill.traded_at for d in story.world.deeds if d.fill.tx_hash == tx_hash)
    return story.world.holdings(leader, at or 0).get(token, 0) + int(shares)


def holdings(story: Story) -> dict[Any, Any]:
    return {(h["leader"], h["token_id"]): h["shares_micro"] for h in story.export("holdings") if h["shares_micro"]}


def buys(story: Story) -> dict[Any, Any]:
    """What each portfolio bought of each leader's token in the end: what its SELLs depend on."""
    found: dict[Any, int] = {}
    for fill in story.export("fills"):
        if fill["side"] == "BUY":
            key = (fill["portfolio"], fill["leader"], fill["token_id"])
            found[key] = found.get(key, 0) + fill["shares_micro"]
    return found


def sells(story: Story) -> dict[Any, Any]:
    """What was decided on each SELL."""
    known = {t["id"]: t for t in story.export("trades")}
    return {
        (d["portfolio"], identity(known[d["trade_id"]])): (d["action"], d["reason"])
        for d in story.export("decisions")
        if d["trade_id"] in known and known[d["trade_id"]]["side"] == "SELL"
    }


@pytest.mark.parametrize("seed", SEEDS)
def test_after_a_restart_at_any_commit_nothing_waits_for_ever_and_no_order_stays_open(seed: int) -> None:
    assert {after: story.stuck() for after, story in killed(seed).items() if story.stuck()} == {}


@pytest.mark.parametrize("seed", SEEDS)
def test_after_a_restart_at_any_commit_the_books_agree(seed: int) -> None:
    kept = whole(seed).differences()
    assert {after: s.differences() for after, s in killed(seed).items() if len(s.differences()) > len(kept)} == {}


@pytest.mark.parametrize("seed", SEEDS)
def test_after_a_restart_at_any_commit_trades_are_the_same(seed: int) -> None:
    assert different(seed, trades) == {}


@pytest.mark.parametrize("seed", SEEDS)
def test_after_a_restart_at_any_commit_holdings_are_the_same(seed: int) -> None:
    assert different(seed, holdings) == {}


@pytest.mark.parametrize("seed", SEEDS)
def test_after_a_restart_at_any_commit_what_they_held_before_each_sell_is_the_same(seed: int) -> None:
    """Or nearer to the truth: holdings are compared with the venue's soon after a restart."""
    apart = {
        (after, sell): (without, with_it)
        for after, found in different(seed, before_sells).items()
        for sell, (without, with_it) in found.items()
        if with_it != truly_before(whole(seed), sell)
    }
    assert apart == {}


@pytest.mark.parametrize("seed", SEEDS)
def test_after_a_restart_at_any_commit_sells_are_decided_alike(seed: int) -> None:
    """Where the same was bought before; a BUY that became late meanwhile may be decided otherwise."""
    bought = different(seed, buys)
    apart: dict[int, dict[Any, Any]] = {}
    for after, found in different(seed, sells).items():
        late = bought.get(after, {})
        rest = {k: v for k, v in found.items() if (k[0], k[1][0], k[1][2]) not in late}
        if rest:
            apart[after] = rest
    assert apart == {}
