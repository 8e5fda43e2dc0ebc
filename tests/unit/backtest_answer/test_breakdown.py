"""Where a result comes from."""

from __future__ import annotations

import random

import msgspec

from pilotfish.backtest.breakdown import MOST_CATEGORIES, By, band, broken_down, held
from tests.unit.backtest_answer.bet_worlds import USDC, World, bet, bets_of


def test_every_settled_bet_is_in_one_part_of_each_kind() -> None:
    bets = bets_of(World(prices=(0.05, 0.2, 0.4, 0.6, 0.8, 0.95), most_bets=2), 1)
    bets = [
        msgspec.structs.replace(b, category=f"c{n % 20}", ended_at=b.opened_at + 7 ** (n % 8), settled=n % 9 != 0)
        for n, b in enumerate(bets)
    ]
    settled = [b for b in bets if b.settled]
    parts = broken_down(bets)
    for by in By:
        some = [part for part in parts if part.by is by]
        assert sum(part.bets for part in some) == len(settled)
        assert sum(part.paid for part in some) == sum(b.paid for b in settled)
        assert sum(part.result for part in some) == sum(b.result for b in settled)
        for part in some:
            assert part.edge_per_usdc is not None
            assert part.interval is not None
            assert part.interval.low <= part.edge_per_usdc <= part.interval.high
    random.Random(1).shuffle(bets)
    assert broken_down(bets) == parts


def test_prices_and_times_go_from_low_to_high_and_categories_by_what_was_paid() -> None:
    bets = [
        msgspec.structs.replace(bet(n, price=price, paid=paid * USDC, made=0.0), category=category)
        for n, (price, paid, category) in enumerate(
            [(0.95, 1, "sports"), (0.05, 5, "politics"), (0.5, 2, "sports"), (0.5, 9, ""), (0.1, 1, "art")]
        )
    ]
    parts = broken_down(bets)
    assert [part.name for part in parts if part.by is By.PRICE] == [
        "below 0.10", "0.10 to 0.30", "0.50 to 0.70", "0.90 and above",
    ]  # fmt: skip
    assert [part.name for part in parts if part.by is By.CATEGORY] == ["politics", "sports", "art", "other"]


def test_bands_begin_at_their_lower_end() -> None:
    assert [band(price) for price in (1, 99_999, 100_000, 899_999, 900_000, USDC)] == [
        "below 0.10", "below 0.10", "0.10 to 0.30", "0.70 to 0.90", "0.90 and above", "0.90 and above",
    ]  # fmt: skip
    assert [held(seconds) for seconds in (0, 59, 60, 3_600, 86_400, 604_800)] == [
        "below 1 min", "below 1 min", "1 min to 1 h", "1 h to 1 d", "1 d to 7 d", "7 d and longer",
    ]  # fmt: skip


def test_categories_beyond_a_dozen_are_one() -> None:
    bets = [
        msgspec.structs.replace(bet(n, price=0.5, paid=(n + 1) * USDC, made=0.0), category=f"c{n:02}")
        for n in range(30)
    ]
    names = [part.name for part in broken_down(bets) if part.by is By.CATEGORY]
    assert names == [*(f"c{n}" for n in range(29, 29 - MOST_CATEGORIES, -1)), "other"]


def test_no_bets_have_no_parts() -> None:
    assert broken_down([]) == ()
