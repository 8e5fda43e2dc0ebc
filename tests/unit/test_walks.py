"""Walking a book: what is taken of each level, by the plain rule, whatever was taken before."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pilotfish.core.book import CENT, LiquidityMemory, Take, in_steps, make_book, share_step, walk_buy, walk_sell
from pilotfish.core.trade import Side
from pilotfish.core.units import MAX_TRADE, MICRO, ceil_div

levels = st.lists(
    st.tuples(
        st.integers(1, 999).map(lambda n: n * 1000),
        st.one_of(st.integers(1, 50), st.integers(1, 10**9), st.just(MAX_TRADE)),
    ),
    max_size=6,
    unique_by=lambda level: level[0],
)


@given(
    bids=levels, asks=levels, budget=st.one_of(st.integers(0, 10**10), st.integers(0, 10**14)),
    limit=st.integers(0, 1000).map(lambda n: n * 1000), most=st.one_of(st.just(0), st.integers(0, 10**10)),
    taken=st.lists(st.tuples(st.integers(0, 5), st.integers(1, 10**9)), max_size=4),
    tick=st.sampled_from([100_000, 10_000, 1_000]),
)  # fmt: skip
def test_each_level_gives_what_is_left_of_it_within_money_shares_and_price(
    bids: list[tuple[int, int]], asks: list[tuple[int, int]], budget: int, limit: int, most: int,
    taken: list[tuple[int, int]], tick: int,
) -> None:  # fmt: skip
    book = make_book("7", bids, asks, requested_at=0, received_at=0, tick=tick)
    memory = LiquidityMemory()
    for where, shares in taken:
        for side, there in ((Side.BUY, book.asks), (Side.SELL, book.bids)):
            if where < len(there):
                memory.take("me", "7", side, there[where].price, shares)
    cash, wanted, bought = budget // CENT * CENT, most or MAX_TRADE, []
    for level in book.asks:
        if level.price > limit or cash <= 0 or wanted <= 0:
            break
        free = memory.available("me", "7", Side.BUY, level)
        shares = min(free, cash * MICRO // level.price, wanted)
        if shares > 0:
            bought.append(Take(level.price, shares))
            cash -= ceil_div(shares * level.price, MICRO)
            wanted -= shares
            if shares < free:
                break
    assert walk_buy(book, budget, limit, memory, "me", most) == in_steps(bought, share_step(tick))
    left, sold = budget, []
    for level in book.bids:
        if level.price < limit or left <= 0:
            break
        shares = min(left, memory.available("me", "7", Side.SELL, level))
        if shares > 0:
            sold.append(Take(level.price, shares))
            left -= shares
    assert walk_sell(book, budget, limit, memory, "me") == sold
