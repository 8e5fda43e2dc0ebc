"""Who took, in which direction, and how much of it a copy could have had."""

from __future__ import annotations

from itertools import permutations

from hypothesis import given
from hypothesis import strategies as st

from pilotfish.backtest.takes import Took
from pilotfish.backtest.tape import Had, Tape, bought, price_of_token
from pilotfish.core.trade import Side
from pilotfish.core.units import MICRO, SECOND
from pilotfish.history.records import Print
from tests.unit.backtest.pasts import BEGIN, CONDITION, LEADER, NO, YES, bought_from, sold_to


def row(at: int, side: str, price: float, shares: float, *, number: int, wallet: str, token: str = YES) -> Print:
    return Print(
        at=BEGIN + at, tx_hash=f"0x{number:064x}", wallet=wallet, condition_id=CONDITION, token_id=token,
        side=Side(side), shares=round(shares * MICRO), price=round(price * MICRO),
    )  # fmt: skip


def test_the_one_order_that_meets_several_is_the_takers() -> None:
    up, down = sold_to(1, 0.50, 100, number=1), bought_from(2, 0.49, 60, number=2)
    takes = Tape([*up, *down], YES, LEADER).takes
    assert [(t.up, t.price, t.shares) for t in takes] == [
        (True, 500_000, 50 * MICRO), (True, 500_000, 50 * MICRO),
        (False, 490_000, 30 * MICRO), (False, 490_000, 30 * MICRO),
    ]  # fmt: skip


def test_each_level_that_a_taker_ate_is_at_its_own_price_the_nearest_first() -> None:
    rows = [
        row(1, "BUY", 0.515, 200, number=1, wallet="0xt"),
        row(1, "SELL", 0.53, 100, number=1, wallet="0xm1"),
        row(1, "SELL", 0.50, 100, number=1, wallet="0xm2"),
    ]
    assert [t.price for t in Tape(rows, YES, LEADER).takes] == [500_000, 530_000]


def test_one_against_one_goes_by_the_tick_test() -> None:
    def pair(at: int, price: float) -> list[Print]:
        return [row(at, "BUY", price, 10, number=at, wallet="0xb"), row(at, "SELL", price, 10, number=at, wallet="0xs")]

    rows = [*sold_to(1, 0.50, 10, number=100), *pair(2, 0.51), *pair(3, 0.49), *pair(4, 0.49), *pair(5, 0.52)]
    assert [t.up for t in Tape(rows, YES, LEADER).takes] == [True, True, True, False, False, True]


def test_buying_one_outcome_is_selling_the_other_at_one_minus_its_price() -> None:
    minted = [
        row(1, "BUY", 0.60, 100, number=1, wallet="0xt"),
        row(1, "BUY", 0.40, 50, number=1, wallet="0xm1", token=NO),
        row(1, "SELL", 0.60, 50, number=1, wallet="0xm2"),
    ]
    takes = Tape(minted, YES, LEADER).takes
    assert {(t.up, t.price) for t in takes} == {(True, 600_000)}
    assert sum(t.shares for t in takes) == 100 * MICRO
    took = takes[0]
    assert (price_of_token(took, 1), bought(took, 0), bought(took, 1)) == (400_000, True, False)


def test_nothing_of_what_the_leader_had_a_part_in_is_there_for_a_copy() -> None:
    mine = sold_to(1, 0.50, 100, number=1, wallet=LEADER)
    against = [*bought_from(2, 0.50, 40, number=2)]
    against[1] = row(2, "BUY", 0.50, 20, number=2, wallet=LEADER)
    tape = Tape([*mine, *against, *sold_to(3, 0.50, 100, number=3)], YES, LEADER)
    free = [Had().left(n, took, MICRO) for n, took in enumerate(tape.takes)]
    assert sum(free) == 100 * MICRO
    assert {tape.takes[n].at for n, shares in enumerate(free) if shares} == {BEGIN + 3}


def test_what_was_had_is_gone_for_this_run_alone() -> None:
    took = Tape(sold_to(1, 0.50, 100, number=1), YES, LEADER).takes[0]
    had = Had()
    assert had.left(0, took, 250_000) == 12_500_000
    had.have(0, 10_000_000)
    assert had.left(0, took, 250_000) == 2_500_000
    assert had.left(0, took, 100_000) == 0
    assert Had().left(0, took, 250_000) == 12_500_000


def test_after_an_instant_means_after_it() -> None:
    tape = Tape([*sold_to(1, 0.50, 2, number=1), *sold_to(2, 0.51, 2, number=2)], YES, LEADER)

    def prices(at: int) -> list[int]:
        return [took.price for _, took in tape.after(at, at + 10 * SECOND)]

    assert prices((BEGIN + 1) * SECOND) == [510_000, 510_000]
    assert prices((BEGIN + 1) * SECOND - 1) == [500_000, 500_000, 510_000, 510_000]
    assert prices((BEGIN + 2) * SECOND) == []
    last = tape.last_before((BEGIN + 1) * SECOND + 999_999)
    assert last is not None and last.price == 500_000
    assert tape.last_before(BEGIN * SECOND) is None


def test_the_order_of_rows_in_an_answer_changes_nothing() -> None:
    rows = [*sold_to(1, 0.50, 100, number=1), *bought_from(1, 0.49, 60, number=2)]
    want: list[Took] = sorted(Tape(rows, YES, LEADER).takes, key=repr)
    for other in list(permutations(rows))[:100]:
        assert sorted(Tape(other, YES, LEADER).takes, key=repr) == want


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(1, 99), st.integers(2, 500), st.booleans()), max_size=20))
def test_no_more_is_taken_than_was_traded(matches: list[tuple[int, int, int, bool]]) -> None:
    rows = [
        one
        for number, (at, cents, shares, up) in enumerate(matches)
        for one in (sold_to if up else bought_from)(at, cents / 100, 2 * shares, number=number)
    ]
    tape = Tape(rows, YES, LEADER)
    assert sum(t.shares for t in tape.takes) == sum(2 * shares for _, _, shares, _ in matches) * MICRO
    assert [t.at for t in tape.takes] == sorted(t.at for t in tape.takes)
