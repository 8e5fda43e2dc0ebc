"""Stories that worlds have found and that were told wrongly once: each stays as it was found, shortened."""

from __future__ import annotations

from typing import Any

import pytest

from pilotfish.core.units import SECOND
from pilotfish.simtest import steps as st
from pilotfish.simtest.worlds import play
from tests.desk import usd


def trade(number: int, at: float, side: str, shares: float, price: float, **more: Any) -> st.Trade:
    """A trade of the first leader in the first market; its log never comes where nothing is said of it."""
    told: dict[str, Any] = {"leader": 0, "market": 0, "outcome": 0, "order": number, "api_us": 4 * SECOND, **more}
    return st.Trade(
        at=round(at * SECOND), number=number, side=side, shares=usd(shares), price=usd(price), **told,
    )  # fmt: skip


STORIES: dict[str, list[st.Step]] = {
    "left and followed again in the very second by which a log without a time is dated": [
        st.Follow(at=0, leader=0),
        trade(1, 323, "BUY", 5, 0.6),
        trade(2, 343, "BUY", 5, 0.6),
        trade(3, 837, "SELL", 5, 0.58, chain_us=1_225_927, no_time=True),
        st.Kill(at=838_275_927, away_us=697_568),
        st.Leave(at=838_508_449, leader=0),
        st.Follow(at=838_624_711, leader=0),
        trade(4, 930, "SELL", 5, 0.6, chain_us=2_162_245, api_us=115_104_547),
    ],
    "mined again after the leader was followed again and nothing of before is in memory": [
        st.Follow(at=0, leader=0),
        trade(1, 429, "BUY", 276, 0.57),
        trade(
            2,
            546,
            "SELL",
            276,
            0.55,
            chain_us=103_585_562,
            no_time=True,
            reorg="again",
            reorg_us=10_439_738,
            backwards=True,
        ),
        st.Leave(at=634_969_194, leader=0),
        st.Follow(at=635_120_021, leader=0),
        st.Kill(at=660_375_300, away_us=79_460),
    ],
    "first told what is held long after a SELL, which is no longer in memory": [
        trade(1, 5, "BUY", 100, 0.32),
        st.Down(at=8 * SECOND, source="api", lasts_us=300 * SECOND),
        st.Follow(at=10 * SECOND, leader=0),
        trade(2, 24, "SELL", 50, 0.33, chain_us=1_225_927),
    ],
    "a SELL that comes while nobody says yet what is held": [
        st.Book(at=0, market=0, outcome=0, bids=((usd(0.49), usd(5_000)),), asks=((usd(0.5), usd(5_000)),)),
        trade(1, 2, "BUY", 900, 0.5),
        st.Down(at=8 * SECOND, source="positions", lasts_us=45 * SECOND),
        st.Follow(at=10 * SECOND, leader=0),
        trade(2, 20, "BUY", 100, 0.5, chain_us=1_225_927),
        trade(3, 30, "SELL", 100, 0.49, chain_us=1_225_927),
        st.Kill(at=40 * SECOND, away_us=2 * SECOND),
    ],
    "left before anybody said what is held": [
        trade(1, 2, "BUY", 100, 0.5),
        st.Down(at=8 * SECOND, source="positions", lasts_us=90 * SECOND),
        st.Follow(at=10 * SECOND, leader=0),
        trade(2, 30, "SELL", 100, 0.49, chain_us=1_225_927),
        st.Leave(at=60 * SECOND, leader=0),
    ],
    "followed again in the very second in which a SELL was copied": [
        st.Follow(at=0, leader=0),
        st.Book(at=0, market=0, outcome=0, bids=((usd(0.49), usd(5_000)),), asks=((usd(0.5), usd(5_000)),)),
        trade(1, 20, "BUY", 100, 0.5, chain_us=1_225_927),
        trade(2, 59, "SELL", 50, 0.49, chain_us=1_005_000),
        st.Leave(at=60_600_000, leader=0),
        st.Follow(at=60_700_000, leader=0),
    ],
    "first told what is held long after a SELL, and after a restart": [
        trade(1, 5, "BUY", 100, 0.32),
        st.Down(at=8 * SECOND, source="api", lasts_us=300 * SECOND),
        st.Follow(at=10 * SECOND, leader=0),
        trade(2, 24, "SELL", 50, 0.33, chain_us=1_225_927),
        st.Kill(at=200 * SECOND, away_us=2 * SECOND),
    ],
}


@pytest.mark.parametrize("name", STORIES)
def test_a_story_that_was_told_wrongly_once_is_told_as_it_was(name: str) -> None:
    """The seed says how long answers take: so many, since only some of them show it."""
    for seed in range(10):
        assert play(STORIES[name], seed) is None, seed
