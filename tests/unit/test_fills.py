"""Fills never flatter: never better than the book, never beyond budget, limit or cash, never the same shares twice."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilotfish.core.book import Book, LiquidityMemory, Take, make_book, share_step, walk_buy, walk_sell
from pilotfish.core.fees import FeeSchedule, taker_fee
from pilotfish.core.fills import PaperFill, costs, simulate_buy, simulate_sell
from pilotfish.core.trade import Side
from pilotfish.core.units import MICRO, cost_of, micro_from_decimal, proceeds_of

LEVELS = st.lists(st.tuples(st.integers(1, 99), st.integers(1, 40)), max_size=4, unique_by=lambda x: x[0])
RATES = st.sampled_from([0, 40_000, 50_000, 70_000])


def book_of(bids: list[tuple[int, int]], asks: list[tuple[int, int]]) -> Book:
    """Prices in cents, sizes in shares."""
    return make_book(
        "1",
        [(p * 10_000, s * MICRO) for p, s in bids],
        [(p * 10_000, s * MICRO) for p, s in asks],
        requested_at=0,
        received_at=0,
    )


def commit(fill: PaperFill, side: Side, book: Book, memory: LiquidityMemory, who: str) -> None:
    for take in fill.takes:
        memory.take(who, book.token_id, side, take.price, take.shares)


def cheapest(book: Book, shares: int) -> int | None:
    """By brute force, what so many whole shares cost at best: every share taken from the cheapest that is left."""
    units = sorted(level.price for level in book.asks for _ in range(level.size // MICRO))
    return sum(units[:shares]) if len(units) >= shares else None


@given(LEVELS, st.integers(1, 60), st.integers(1, 99), RATES)
def test_a_buy_costs_at_least_the_best_achievable(
    asks: list[tuple[int, int]], budget: int, limit: int, rate: int
) -> None:
    book = book_of([], asks)
    fill = simulate_buy(book, budget * MICRO, limit * 10_000, 10**12, FeeSchedule(rate), LiquidityMemory(), "main")
    if fill is None:
        assert not book.asks or book.asks[0].price > limit * 10_000
        return
    assert fill.shares % 100 == 0, "shares of a marketable BUY have four decimals"
    assert fill.usdc <= budget * MICRO
    assert all(t.price <= limit * 10_000 for t in fill.takes)
    best = cheapest(book, fill.shares // MICRO)
    assert best is not None
    assert fill.usdc >= best
    assert fill.fee == taker_fee(fill.takes, FeeSchedule(rate))


@given(LEVELS, st.integers(1, 60 * MICRO), st.integers(1, 99))
def test_a_sell_brings_at_most_the_best_achievable(bids: list[tuple[int, int]], shares: int, limit: int) -> None:
    book = book_of(bids, [])
    fill = simulate_sell(book, shares, limit * 10_000, FeeSchedule(), LiquidityMemory(), "main")
    if fill is None:
        assert not book.bids or book.bids[0].price < limit * 10_000
        return
    assert fill.shares <= shares
    left, most = fill.shares, 0
    for level in book.bids:
        taken = min(left, level.size)
        most += taken * level.price
        left -= taken
    assert fill.usdc * MICRO <= most


@given(LEVELS, st.integers(1, 60), st.integers(0, 40 * MICRO), RATES)
def test_a_buy_never_spends_more_than_the_cash_with_its_fee(
    asks: list[tuple[int, int]], budget: int, cash: int, rate: int
) -> None:
    fill = simulate_buy(book_of([], asks), budget * MICRO, 990_000, cash, FeeSchedule(rate), LiquidityMemory(), "main")
    assert fill is None or fill.usdc + fill.fee <= cash


@given(LEVELS, LEVELS, st.lists(st.tuples(st.booleans(), st.integers(1, 30)), max_size=8))
def test_no_level_gives_more_than_it_has_however_often_it_is_asked(
    bids: list[tuple[int, int]], asks: list[tuple[int, int]], orders: list[tuple[bool, int]]
) -> None:
    book, memory = book_of(bids, asks), LiquidityMemory()
    taken: dict[tuple[bool, int], int] = {}
    for buys, size in orders:
        fill = (
            simulate_buy(book, size * MICRO, 990_000, 10**12, FeeSchedule(), memory, "main")
            if buys
            else simulate_sell(book, size * MICRO, 10_000, FeeSchedule(), memory, "main")
        )
        if fill is not None:
            commit(fill, Side.BUY if buys else Side.SELL, book, memory, "main")
            for take in fill.takes:
                taken[(buys, take.price)] = taken.get((buys, take.price), 0) + take.shares
    sizes = {(True, lv.price): lv.size for lv in book.asks} | {(False, lv.price): lv.size for lv in book.bids}
    assert all(shares <= sizes[key] for key, shares in taken.items())


def test_what_was_taken_of_a_level_comes_back_only_when_the_level_has_left_the_book() -> None:
    memory = LiquidityMemory()
    memory.take("main", "1", Side.BUY, 500_000, 10 * MICRO)

    def left(size: int) -> int:
        book = book_of([], [(50, size), (60, 1)])
        memory.refresh(book)
        return sum(t.shares for t in walk_buy(book, 100 * MICRO, 500_000, memory, "main"))

    assert left(10) == 0
    assert left(4) == 0, "a level that shrank gives nothing back"
    assert left(12) == 2 * MICRO, "a level that grew gives its growth"
    assert left(10) == 0
    memory.refresh(book_of([(30, 5)], [(60, 1)]))
    assert left(10) == 10 * MICRO


@given(
    st.lists(
        st.tuples(st.dictionaries(st.integers(50, 53), st.integers(1, 40), max_size=4), st.integers(0, 30)),
        max_size=30,
    )
)
def test_between_two_disappearances_no_more_is_taken_of_a_level_than_its_largest_size(
    changes: list[tuple[dict[int, int], int]],
) -> None:
    memory = LiquidityMemory()
    taken: dict[int, int] = {}
    largest: dict[int, int] = {}
    for asks, budget in changes:
        book = book_of([], list(asks.items()))
        memory.refresh(book)
        for price in [p for p in taken if p not in asks]:
            del taken[price], largest[price]
        for price, size in asks.items():
            largest[price] = max(largest.get(price, 0), size * MICRO)
            taken.setdefault(price, 0)
        for _ in range(2):
            fill = simulate_buy(book, budget * MICRO, 990_000, 10**12, FeeSchedule(), memory, "main")
            if fill is not None:
                commit(fill, Side.BUY, book, memory, "main")
                for take in fill.takes:
                    taken[take.price // 10_000] += take.shares
        assert all(taken[price] <= largest[price] for price in taken)


@given(
    LEVELS, st.integers(1, 60 * MICRO), st.integers(0, 60 * MICRO), st.integers(0, MICRO), st.integers(0, 20),
    st.sampled_from([100, 1_000, 10_000, 100_000]),
)  # fmt: skip
def test_for_any_fee_a_buy_spends_no_more_than_budget_and_cash_and_takes_what_they_pay_for(
    asks: list[tuple[int, int]], budget: int, cash: int, rate: int, halves: int, tick: int
) -> None:
    fee = FeeSchedule(rate, halves)
    book = msgspec.structs.replace(book_of([], asks), tick=tick)
    fill = simulate_buy(book, budget, 990_000, cash, fee, LiquidityMemory(), "main")
    step = share_step(tick)
    whole = walk_buy(book, budget, 990_000, LiquidityMemory(), "main")
    if fill is None:
        assert not whole or cost_of(step, whole[0].price) + taker_fee([Take(whole[0].price, step)], fee) > cash
        return
    assert fill.usdc <= budget and fill.usdc + fill.fee <= cash
    assert fill.shares % step == 0
    if fill.takes != tuple(whole):
        more = [*fill.takes[:-1], Take(fill.takes[-1].price, fill.takes[-1].shares + step)]
        more_costs = sum(cost_of(t.shares, t.price) for t in more) + taker_fee(more, fee)
        level = next(lv for lv in book.asks if lv.price == fill.takes[-1].price)
        assert more_costs > cash or more[-1].shares > level.size, "cash for another step was left over"


@pytest.mark.parametrize(
    ("tick", "shares"), [(100_000, "10.131"), (10_000, "10.1319"), (1_000, "10.1319"), (100, "10.1319")]
)
def test_shares_of_a_marketable_buy_are_cut_to_what_the_venue_gives(tick: int, shares: str) -> None:
    book = make_book("1", [], [(985_000, 100 * MICRO)], requested_at=0, received_at=0, tick=tick)
    assert walk_buy(book, 9_980_000, 990_000, LiquidityMemory(), "x") == [Take(985_000, micro_from_decimal(shares))]
    assert walk_buy(book, 9_989_999, 990_000, LiquidityMemory(), "x") == [Take(985_000, micro_from_decimal(shares))]


def test_a_fee_that_no_market_charges_is_refused() -> None:
    for rate, halves in ((-1, 2), (MICRO + 1, 2), (0, -1), (0, 10**9)):
        with pytest.raises(ValueError, match="expected 0 to"):
            FeeSchedule(rate, halves)


def test_one_portfolio_does_not_eat_anothers_shares() -> None:
    memory, book = LiquidityMemory(), book_of([(40, 10)], [])
    fill = simulate_sell(book, 10 * MICRO, 10_000, FeeSchedule(), memory, "a")
    assert fill is not None
    commit(fill, Side.SELL, book, memory, "a")
    assert walk_sell(book, MICRO, 10_000, memory, "a") == []
    assert walk_sell(book, MICRO, 10_000, memory, "b") == [Take(400_000, MICRO)]


@given(LEVELS, LEVELS, st.integers(1, 60), st.integers(10_000, 990_000))
def test_delay_and_spread_add_up_to_the_difference_from_the_leaders_price(
    bids: list[tuple[int, int]], asks: list[tuple[int, int]], budget: int, leader_price: int
) -> None:
    book = book_of(bids, asks)
    buy = simulate_buy(book, budget * MICRO, 990_000, 10**12, FeeSchedule(), LiquidityMemory(), "x")
    if buy is not None:
        delay, spread = costs(Side.BUY, buy.shares, buy.usdc, buy.mid2, leader_price)
        assert delay + spread == buy.usdc - cost_of(buy.shares, leader_price)
    sell = simulate_sell(book, budget * MICRO, 10_000, FeeSchedule(), LiquidityMemory(), "x")
    if sell is not None:
        delay, spread = costs(Side.SELL, sell.shares, sell.usdc, sell.mid2, leader_price)
        assert delay + spread == proceeds_of(sell.shares, leader_price) - sell.usdc


def test_a_book_in_any_order_is_best_first_and_impossible_levels_are_left_out() -> None:
    book = make_book(
        "1",
        [(100_000, 5), (300_000, 7), (200_000, 1), (0, 9), (300_000, 3)],
        [(900_000, 5), (400_000, 2), (1_000_000, 4), (500_000, 0)],
        requested_at=0,
        received_at=0,
    )
    assert [(lv.price, lv.size) for lv in book.bids] == [(300_000, 10), (200_000, 1), (100_000, 5)]
    assert [(lv.price, lv.size) for lv in book.asks] == [(400_000, 2), (900_000, 5)]
    assert book.spread_bps == 2858


def test_the_fee_is_floored_at_five_decimals_once_per_order() -> None:
    assert taker_fee([Take(520_000, 22_840_000)], FeeSchedule(50_000)) == 285_040
    assert taker_fee([Take(500_000, 10)], FeeSchedule(50_000)) == 0
    halves = [Take(500_000, 1_500_000)] * 2
    assert taker_fee(halves, FeeSchedule(70_000)) == taker_fee([Take(500_000, 3_000_000)], FeeSchedule(70_000))
    assert taker_fee([Take(500_000, MICRO)], FeeSchedule(40_000, half_exponent=1)) == 20_000
