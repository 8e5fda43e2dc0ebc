"""What a leader sells while a reorg has another trade of theirs taken back: right whether it is mined again or not."""

from __future__ import annotations

from pathlib import Path

import pytest

from pilotfish.core import events as ev
from pilotfish.core.trade import LeaderFill
from pilotfish.core.units import SECOND
from tests.desk import Desk, chain_fill, usd
from tests.unit.test_restarts import Stored


def of_now(desk: Desk, n: int, side: str, shares: float) -> LeaderFill:
    return chain_fill(n, side, shares, 0.50 if side == "BUY" else 0.49, traded_at=desk.at // SECOND * SECOND)


def states(desk: Desk, side: str = "SELL") -> list[tuple[str, str | None]]:
    return [(i["state"], i["reason"]) for i in desk.rows("intents") if i["side"] == side]


# -- a BUY is taken back, and its way out waits ----------------------------------------------------------------------


def bought_and_taken_back(desk: Desk, *others: float) -> LeaderFill:
    """The leader buys 100, and ``others`` after that; a reorg takes the first BUY back, once all are copied by half."""
    bought = of_now(desk, 1, "BUY", 100)
    desk.chain(bought)
    for n, shares in enumerate(others):
        desk.advance(2)
        desk.chain(of_now(desk, 2 + n, "BUY", shares))
    desk.advance(3)
    desk.chain(bought, removed=True)
    desk.advance(1)
    return bought


@pytest.mark.parametrize(("sold", "left"), [(100, 0), (50, 25), (1, 49.5)])
@pytest.mark.parametrize("again", [False, True])
def test_a_sell_between_a_reorg_and_the_buys_second_coming_leaves_its_part_of_it(
    sold: float, left: float, *, again: bool
) -> None:
    desk = Desk(holdings={})
    bought = bought_and_taken_back(desk)
    desk.sell(9, sold)
    if again:
        desk.chain(bought)
    desk.advance(100)
    assert desk.held() == (usd(left) if again else 0)


@pytest.mark.parametrize(("sold", "left"), [(200, 0), (50, 75), (150, 25)])
def test_it_takes_its_part_of_all_that_was_bought(sold: float, left: float) -> None:
    desk = Desk(holdings={})
    bought = bought_and_taken_back(desk, 100)
    desk.sell(9, sold)
    desk.chain(bought)
    desk.advance(100)
    assert (desk.held(), desk.leader_holds()) == (usd(left), usd(200 - sold))


def test_a_way_out_is_called_off_whole_where_nothing_was_sold_since() -> None:
    desk = Desk(holdings={})
    desk.buy(8, 100)
    desk.sell(9, 50)
    bought = bought_and_taken_back(desk)
    desk.chain(bought)
    desk.advance(100)
    assert desk.held() == usd(75)
    assert states(desk) == [("filled", None), ("cancelled", "CANCELLED_REORG")]


def test_over_a_restart_what_was_sold_between_reorg_and_second_coming_stays_sold(tmp_path: Path) -> None:
    desk = Stored(tmp_path)
    bought = bought_and_taken_back(desk)
    desk.sell(9, 50)
    desk.restart(after=1)
    desk.chain(bought)
    desk.advance(100)
    assert desk.held() == usd(25)


# -- a SELL is taken back while ours is out --------------------------------------------------------------------------


def selling_and_taken_back(desk: Desk, sold: float) -> LeaderFill:
    """They hold 200, we 100; they sell, and a reorg takes that back before ours is filled."""
    for n in (1, 2):
        desk.buy(n)
    sale = of_now(desk, 3, "SELL", sold)
    desk.chain(sale)
    desk.chain(sale, removed=True)
    return sale


@pytest.mark.parametrize(("first", "second", "left"), [(200, 200, 0), (200, 100, 50), (100, 200, 0), (100, 100, 50)])
def test_a_sell_after_one_that_a_reorg_took_back_for_good_sells_its_part_of_all(
    first: float, second: float, left: float
) -> None:
    desk = Desk(holdings={})
    selling_and_taken_back(desk, first)
    desk.sell(4, second)
    desk.advance(100)
    assert (desk.held(), desk.leader_holds()) == (usd(left), usd(200 - second))


@pytest.mark.parametrize(("first", "second", "left"), [(100, 100, 0), (50, 150, 0), (50, 50, 50)])
def test_a_sell_that_is_mined_again_sells_what_the_one_in_between_has_left(
    first: float, second: float, left: float
) -> None:
    desk = Desk(holdings={})
    sale = selling_and_taken_back(desk, first)
    desk.sell(4, second)
    desk.chain(sale)
    desk.advance(100)
    assert (desk.held(), desk.leader_holds()) == (usd(left), usd(200 - first - second))


@pytest.mark.parametrize("first", ["BUY", "SELL"])
def test_a_buy_and_the_sell_of_half_of_it_are_as_before_once_both_are_mined_again(first: str) -> None:
    desk = Desk(holdings={})
    bought = of_now(desk, 1, "BUY", 100)
    desk.chain(bought)
    desk.advance(3)
    sold = of_now(desk, 2, "SELL", 50)
    desk.chain(sold)
    for fill in (bought, sold) if first == "BUY" else (sold, bought):
        desk.chain(fill, removed=True)
    desk.advance(2)
    desk.chain(bought, sold)
    desk.advance(100)
    assert desk.held() == usd(25)


def test_a_person_closes_also_what_a_sell_was_to_sell_that_a_reorg_took_back() -> None:
    desk = Desk(holdings={})
    sale = selling_and_taken_back(desk, 100)
    desk.send(ev.CloseAsked(at=desk.at, portfolio="main"))
    desk.advance(1)
    desk.chain(sale)
    desk.advance(100)
    assert desk.held() == 0
    assert states(desk) == [("cancelled", "CANCELLED_REORG"), ("filled", None)]
