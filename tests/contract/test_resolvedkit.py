"""38,333 real order books of 18 settled markets (Resolved Markets, CC BY 4.0, in the package ``resolvedkit``): they are
read as they are, walked as the package walks them, and planted wallets on them are judged right."""

from __future__ import annotations

import random
from functools import cache
from importlib.resources import files
from itertools import cycle
from pathlib import Path

import pytest
import resolvedkit
from resolvedkit.fills import walk_buy as their_walk_buy
from resolvedkit.fills import walk_sell as their_walk_sell

from pilotfish.backtest.assumptions import Band
from pilotfish.backtest.grounds import Grounds
from pilotfish.backtest.judgement import Verdict
from pilotfish.backtest.look_back import look_back
from pilotfish.backtest.told import LookBack
from pilotfish.core.book import Book, LiquidityMemory, walk_buy, walk_sell
from pilotfish.core.fees import NO_FEE
from pilotfish.core.fills import costs, simulate_buy
from pilotfish.core.settings import policy_from
from pilotfish.core.trade import Side
from pilotfish.core.units import MICRO, SECOND, cost_of
from pilotfish.history.book_layouts import read_in
from pilotfish.history.book_track import BookTrack
from pilotfish.history.books import books_of, tracks
from pilotfish.history.folder import History
from pilotfish.history.records import Deed, Past, PastMarket

pytestmark = pytest.mark.slow
SAMPLE = Path(str(files("resolvedkit") / "sample_data"))
BOOKS, MARKETS = 38_333, 18
SIZES = (10, 25, 100, 1_000, 10_000)
"""USDC; each book is walked with one of them."""
SIDES = {"UP": 0, "DOWN": 1}


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> History:
    found = History(str(tmp_path_factory.mktemp("resolved")))
    told = read_in(found, SAMPLE)
    assert (told.rows, told.markets, told.unreadable) == (BOOKS, MARKETS, 0)
    assert read_in(found, SAMPLE).again, "the same books are not read twice"
    return found


@cache
def theirs() -> dict[str, list[resolvedkit.Book]]:
    source = resolvedkit.load_sample()
    return {market.market_id: source.books(market.market_id) for market in source.markets()}


def markets_of(history: History) -> list[PastMarket]:
    found = [history.market(name) for name in history.keys("markets")]
    return sorted((m for m in found if m is not None), key=lambda m: m.end_at or 0)


@pytest.fixture(scope="module")
def every(history: History) -> dict[str, BookTrack]:
    """All books by token."""
    return tracks(history, {token: [(0, 2**62)] for market in markets_of(history) for token in market.tokens})


@pytest.fixture(scope="module")
def pairs(history: History, every: dict[str, BookTrack]) -> list[tuple[Book, resolvedkit.Book]]:
    """Every book as it is read here, beside the package's own."""
    found: list[tuple[Book, resolvedkit.Book]] = []
    for market in markets_of(history):
        for side, index in SIDES.items():
            own = [book for book in theirs()[market.condition_id] if book.side == side]
            found += zip(every[market.tokens[index]].answers(), own, strict=True)
    return found


def test_every_real_book_is_read_as_the_package_reads_it(pairs: list[tuple[Book, resolvedkit.Book]]) -> None:
    assert len(pairs) == BOOKS
    for mine, own in pairs:
        assert mine.received_at == own.ts * 1000
        for levels, their_levels in ((mine.bids, own.bids), (mine.asks, own.asks)):
            assert [(lv.price, lv.size) for lv in levels] == [
                (round(lv.price * MICRO), round(lv.size * MICRO)) for lv in their_levels if lv.size
            ]


def test_a_walk_of_every_real_book_is_the_packages_own_to_the_millionth(
    pairs: list[tuple[Book, resolvedkit.Book]],
) -> None:
    bought = sold = 0
    for (mine, own), size in zip(pairs, cycle(SIZES), strict=False):
        takes = walk_buy(mine, size * MICRO, MICRO, LiquidityMemory(), "me")
        cost = sum(t.shares * t.price for t in takes)
        walked = their_walk_buy(own.asks, cost / MICRO**2)
        assert [(t.price, t.shares) for t in takes] == [
            (round(leg.price * MICRO), round(leg.size * MICRO)) for leg in walked.legs if round(leg.size * MICRO)
        ]
        full = their_walk_buy(own.asks, size)
        short = full.cost - cost / MICRO**2
        assert -1e-6 <= short <= 0.0101, "no more is left unspent than a step of the shares and a cent"
        shares = size * MICRO
        given = walk_sell(mine, shares, 1, LiquidityMemory(), "me")
        legs = their_walk_sell(own.bids, size).legs
        assert [(t.price, t.shares) for t in given] == [(round(x.price * MICRO), round(x.size * MICRO)) for x in legs]
        bought, sold = bought + bool(takes), sold + bool(given)
    assert bought > BOOKS * 0.9
    assert sold > BOOKS * 0.9


def test_fills_at_the_book_are_worse_than_at_the_mid_by_what_the_package_says(
    pairs: list[tuple[Book, resolvedkit.Book]],
) -> None:
    total = their_total = filled = crossed = 0
    for (mine, own), size in zip(pairs, cycle(SIZES), strict=False):
        fill = simulate_buy(mine, size * MICRO, MICRO, size * MICRO, NO_FEE, LiquidityMemory(), "me")
        if fill is None or mine.mid2 is None:
            continue
        if mine.crossed:
            crossed += 1  # the engine takes it for no book
            continue
        _, worse = costs(Side.BUY, fill.shares, fill.usdc, fill.mid2, mine.asks[0].price)
        walked = their_walk_buy(own.asks, sum(t.shares * t.price for t in fill.takes) / MICRO**2)
        their_worse = (walked.avg_price - own.mid) * walked.shares * MICRO
        assert worse > 0
        assert abs(worse - their_worse) <= 1 + len(fill.takes), "each level rounds against us once"
        total, their_total, filled = total + worse, their_total + their_worse, filled + fill.usdc
    assert crossed == 22
    assert total == pytest.approx(their_total, rel=1e-6)
    assert 0.005 < total / filled < 0.2, "some cents a dollar"


# -- planted wallets ---------------------------------------------------------------------------------------------------

WALLET = "0x" + "a1" * 20
BEFORE_END = (720, 480, 240)
"""Seconds before a market's end at which a planted wallet buys."""


def planted(history: History, every: dict[str, BookTrack], outcomes: dict[str, int]) -> Past:
    """A wallet that buys an outcome of each market, three times, at what is asked for it then."""
    markets = markets_of(history)
    deeds: list[Deed] = []
    for market in markets:
        token = market.tokens[outcomes[market.condition_id]]
        assert market.end_at is not None
        for n, before in enumerate(BEFORE_END):
            at = market.end_at - before
            book = every[token].at(at * SECOND)
            if book is None or book.best_ask is None:
                continue
            shares = 200 * MICRO
            deeds.append(
                Deed(
                    kind="TRADE", at=at, tx_hash=f"{market.condition_id}{n}", condition_id=market.condition_id,
                    token_id=token, side=Side.BUY, shares=shares, usdc=cost_of(shares, book.best_ask),
                )
            )  # fmt: skip
    deeds.sort(key=lambda deed: deed.at)
    ends = [m.end_at for m in markets if m.end_at is not None]
    return Past(
        wallet=WALLET, from_at=deeds[0].at - 60, to_at=max(ends) + 3_600, deeds=deeds,
        markets={m.condition_id: m for m in markets},
    )  # fmt: skip


def judged(history: History, every: dict[str, BookTrack], outcomes: dict[str, int]) -> LookBack:
    past = planted(history, every, outcomes)
    found = look_back(past, policy_from({}), Grounds(books=every), curves=False)
    assert found.books == ()
    assert found.tiers == {"book": 1.0}, "every fill rests on a real book"
    return found


def test_who_knows_the_outcome_has_a_sure_edge_but_eighteen_events_are_too_few_for_a_verdict(
    history: History, every: dict[str, BookTrack]
) -> None:
    knows = {m.condition_id: m.payouts.index(MICRO) for m in markets_of(history) if m.payouts is not None}
    found = judged(history, every, knows)
    past = planted(history, every, knows)
    read_for_it = look_back(past, policy_from({}), Grounds(books=books_of(history, past)), curves=False)
    assert read_for_it == found, "what is read for a past is all of the books that it needs"
    assert found.verdict is Verdict.CANNOT_TELL, "a verdict takes 30 events, and the package has 18 markets"
    assert found.events == MARKETS
    assert found.interval is not None
    assert found.interval[0] > 0, "what is sure of the edge lies above zero"
    assert found.result_micro[Band.PESSIMISTIC] > 0


def test_no_coin_flipper_on_real_books_is_copyable_and_the_spread_and_fees_cost_them(
    history: History, every: dict[str, BookTrack]
) -> None:
    edges: list[float] = []
    for seed in range(12):
        coin = random.Random(seed)
        found = judged(history, every, {m.condition_id: coin.randrange(2) for m in markets_of(history)})
        assert found.verdict is not Verdict.COPYABLE
        steps = {step.cause: step.amount_micro for step in found.steps}
        assert steps["spread"] < 0
        assert steps["fees"] < 0
        edges.append(found.edge_per_usdc or 0.0)
    assert min(edges) < 0 < max(edges), "luck goes both ways"
