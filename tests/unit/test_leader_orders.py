"""Which of a leader's orders a fill belongs to, however many are known."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pilotfish.core.leader_orders import ORDER_LIFE, LeaderOrder, LeaderOrders, _at_price
from pilotfish.core.trade import LeaderFill, Side, Source, Trade, TradeClass, first_seen
from pilotfish.core.units import SECOND

BEGIN = 1_800_000_000 * SECOND
WINDOW = 60


def fill(number: int, shares: int, usdc: int, at: int, order: str | None) -> Trade:
    """The ``number``-th trade of a leader."""
    seen = LeaderFill(
        source=Source.API, leader="0xa", tx_hash=f"0x{number}", token_id="1", side=Side.BUY, shares=shares, usdc=usdc,
        traded_at=at, order_hash=order,
    )  # fmt: skip
    return first_seen(seen, number, 1, at, TradeClass.LIVE, at)


def looked_for(orders: LeaderOrders, trade: Trade, at: int) -> LeaderOrder | None:
    """What going through all of them finds."""
    for order in reversed(list(orders)):
        if trade.names_its_order and any(h in order.hashes for h in trade.order_known_by(())):
            return order
    for order in reversed(list(orders)):
        if trade.fills_order(order.hashes) is False or at - order.last_at > ORDER_LIFE:
            continue
        if abs(trade.traded_at - order.last_at) <= WINDOW * SECOND and _at_price(trade, order.price):
            return order
    return None


fills = st.tuples(
    st.sampled_from([1, 7, 30_000, 39_999, 40_000, 40_001, 1_000_000, 77_777_777]),
    st.sampled_from([333_333, 333_300, 333_350, 333_349, 333_250, 333_400, 500_000, 499_950, 1, 999_999]),
    st.integers(0, 90),
    st.sampled_from([None, None, None, "0x1", "0x2"]),
    st.integers(-2, 2),
)


@given(st.lists(fills, min_size=1, max_size=25))
def test_looking_by_price_finds_what_going_through_all_orders_finds(
    given: list[tuple[int, int, int, str | None, int]],
) -> None:
    orders, at = LeaderOrders(), BEGIN
    for number, (shares, price, seconds, order, off) in enumerate(given, start=1):
        at += seconds * SECOND
        trade = fill(number, shares, max(0, shares * price // 1_000_000 + off), at, order)
        expected = looked_for(orders, trade, at)
        assert orders.find(trade, WINDOW, at) is expected
        found, first = orders.join(trade, number, WINDOW, at)
        assert first is (expected is None)
        assert expected is None or found is expected


def test_orders_that_no_fill_can_belong_to_any_more_are_expired() -> None:
    orders = LeaderOrders()
    orders.join(fill(1, 1_000_000, 500_000, BEGIN, None), 1, WINDOW, BEGIN)
    assert not orders.expired(BEGIN + ORDER_LIFE)
    assert orders.expired(BEGIN + ORDER_LIFE + 1)
