"""Cash and positions: conserved, never negative, profit net of fees."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pilotfish.core import ledger
from pilotfish.core.ledger import Position
from pilotfish.core.units import MICRO

STEPS = st.lists(
    st.tuples(st.sampled_from(["buy", "sell"]), st.integers(1, 10**9), st.integers(0, 10**9), st.integers(0, 10**6)),
    max_size=30,
)


@given(STEPS, st.sampled_from([0, MICRO // 2, MICRO]))
def test_cash_moved_is_profit_when_everything_is_closed(steps: list[tuple[str, int, int, int]], payout: int) -> None:
    position, cash = Position(leader="l", token_id="1"), 0
    for kind, shares, usdc, fee in steps:
        if kind == "buy":
            entries = ledger.buy(position, shares, usdc, fee, 1)
        elif position.shares:
            entries = ledger.sell(position, min(shares, position.shares), usdc, min(fee, usdc), 1)
        else:
            continue
        cash += sum(e.amount for e in entries)
        assert position.shares >= 0
        assert position.cost >= 0
        assert cash == position.realized_pnl - position.cost
    if position.shares:
        cash += sum(e.amount for e in ledger.settle(position, payout, 2))
    assert (position.shares, position.cost) == (0, 0)
    assert cash == position.realized_pnl


def test_the_cost_taken_out_by_a_sell_rounds_against_us() -> None:
    position = Position(leader="l", token_id="1")
    ledger.buy(position, 3, 10, 0, 1)
    ledger.sell(position, 1, 5, 0, 1)
    assert (position.cost, position.realized_pnl) == (6, 1)


def test_a_position_without_a_bid_is_worth_nothing() -> None:
    position = Position(leader="l", token_id="1", shares=10 * MICRO)
    assert ledger.value_of(position) == 0
    position.mark_price = 333_333
    assert ledger.value_of(position) == 3_333_330
