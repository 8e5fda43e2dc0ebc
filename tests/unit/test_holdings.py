"""What leaders hold: every trade moves it, snapshots correct it, nothing takes it below zero."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilotfish.core import events as ev
from pilotfish.core.units import SECOND
from tests.desk import LEADER, NO_TOKEN, START, TOKEN, Desk, chain_fill, usd


def snapshot(desk: Desk, shares: float, *, after: float = 0) -> None:
    desk.advance(after)
    held = ((TOKEN, usd(shares)),) if shares else ()
    desk.send(ev.HoldingsSnapshot(at=desk.at, leader=LEADER, as_of=desk.at - 5 * SECOND, holdings=held))


def test_bootstrap_gives_the_first_sell_of_an_old_position_its_ratio() -> None:
    desk = Desk(holdings={TOKEN: 1000})
    desk.buy(1, 100)
    desk.sell(2, 550)
    assert [t["leader_pre_sell_shares_micro"] for t in desk.rows("trades")] == [None, usd(1100)]
    assert desk.held() == usd(25)


def test_a_skipped_buy_still_counts_for_the_leader() -> None:
    desk = Desk(holdings={}, settings={"paused": True})
    desk.buy(1, 100)
    assert desk.reasons == ["SKIP_PAUSED"]
    assert desk.leader_holds() == usd(100)


def test_a_sell_of_more_than_we_knew_of_ends_at_zero_with_an_adjustment() -> None:
    desk = Desk(holdings={TOKEN: 10})
    desk.sell(1, 25)
    assert desk.leader_holds() == 0
    assert sum(a["delta_micro"] for a in desk.rows("holding_adjustments")) == usd(25)


def test_a_snapshot_corrects_only_when_it_disagrees_twice() -> None:
    desk = Desk(holdings={TOKEN: 100})
    snapshot(desk, 40, after=60)
    assert desk.leader_holds() == usd(100)
    snapshot(desk, 40, after=20)
    assert desk.leader_holds() == usd(40)
    assert desk.rows("holding_adjustments")[-1]["cause"] == "reconciled"


def test_a_trade_between_two_snapshots_starts_the_count_anew() -> None:
    desk = Desk(holdings={TOKEN: 100})
    snapshot(desk, 40, after=60)
    desk.buy(1, 10)
    snapshot(desk, 40, after=20)
    assert desk.leader_holds() == usd(110)


def test_backfill_does_not_move_a_bootstrapped_holding() -> None:
    desk = Desk(holdings={TOKEN: 100})
    desk.chain(chain_fill(1, "BUY", 50, 0.5, traded_at=START - 60 * SECOND))
    assert desk.reasons == ["SKIP_BACKFILL"]
    assert desk.leader_holds() == usd(100)


def test_backfill_moves_a_holding_where_no_snapshot_could_be_had() -> None:
    desk = Desk(holdings=None)
    desk.chain(chain_fill(1, "BUY", 50, 0.5, traded_at=START - 60 * SECOND))
    assert desk.leader_holds() == usd(50)


@given(
    st.lists(st.tuples(st.sampled_from(["BUY", "SELL"]), st.integers(1, 50)), min_size=1, max_size=25),
    st.randoms(use_true_random=False),
)
def test_the_order_of_delivery_does_not_matter_and_nothing_is_negative(
    trades: list[tuple[str, int]], rng: object
) -> None:
    fills = [chain_fill(i, side, shares, 0.5, traded_at=START + i * SECOND) for i, (side, shares) in enumerate(trades)]
    held, before = 0, {}
    for i, (side, shares) in enumerate(trades):
        if side == "SELL":
            before[i] = usd(held)
        held = held + shares if side == "BUY" else max(0, held - shares)
    shuffled = list(fills)
    rng.shuffle(shuffled)  # type: ignore[attr-defined]
    desk = Desk(holdings={}, settings={"paused": True})
    desk.at = START + 100 * SECOND
    desk.chain(*shuffled)
    assert desk.leader_holds() == usd(held)
    got = {int(t["tx_hash"], 16): t["leader_pre_sell_shares_micro"] for t in desk.rows("trades") if t["side"] == "SELL"}
    assert got == before


def test_the_first_snapshot_tells_what_was_held_before_the_trades_that_it_contains() -> None:
    """A leader sells half of what they hold before the first look at their positions is answered."""
    desk = Desk(holdings=None)
    desk.chain(chain_fill(1, "BUY", 20, 0.50))
    desk.advance(5)
    desk.chain(chain_fill(2, "SELL", 110, 0.49, traded_at=desk.at))
    desk.advance(5)
    held = ((TOKEN, usd(110)),)
    desk.send(ev.HoldingsSnapshot(at=desk.at, leader=LEADER, as_of=desk.at, holdings=held, bootstrap=True))
    assert desk.leader_holds() == usd(110)
    (sale,) = [t for t in desk.rows("trades") if t["side"] == "SELL"]
    assert sale["leader_pre_sell_shares_micro"] == usd(220)


def test_a_trade_that_the_first_snapshot_contains_and_that_comes_later_finds_what_was_held_before_it() -> None:
    desk = Desk(holdings=None)
    desk.advance(10)
    held = ((TOKEN, usd(110)),)
    desk.send(ev.HoldingsSnapshot(at=desk.at, leader=LEADER, as_of=desk.at, holdings=held, bootstrap=True))
    desk.chain(chain_fill(1, "SELL", 110, 0.49, traded_at=START + 5 * SECOND))
    (sale,) = [t for t in desk.rows("trades") if t["side"] == "SELL"]
    assert (sale["leader_pre_sell_shares_micro"], desk.leader_holds()) == (usd(220), usd(110))


def told_of_another(desk: Desk, **more: Any) -> None:
    """The first snapshot, ten seconds after the beginning, lists another token only."""
    desk.advance(10)
    held = ((NO_TOKEN, usd(7)),)
    desk.send(ev.HoldingsSnapshot(at=desk.at, leader=LEADER, as_of=desk.at, holdings=held, bootstrap=True, **more))


@pytest.mark.parametrize("sold", [[110], [30, 80]])
def test_a_sell_of_all_that_the_first_snapshot_contains_and_that_comes_later_finds_what_was_sold(
    sold: list[float],
) -> None:
    desk = Desk(holdings=None)
    told_of_another(desk)
    for n, shares in reversed(list(enumerate(sold))):
        desk.chain(chain_fill(1 + n, "SELL", shares, 0.49, traded_at=START + (5 + n) * SECOND))
    before = {t["id"]: t["leader_pre_sell_shares_micro"] for t in desk.rows("trades")}
    assert sorted(before.values(), reverse=True) == [usd(sum(sold[n:])) for n in range(len(sold))]
    assert desk.leader_holds() == 0
    desk.sell(9, 5)
    assert desk.rows("trades")[-1]["leader_pre_sell_shares_micro"] == 0, "one after the snapshot is of what nobody saw"


@pytest.mark.parametrize("said", [{"unread": (TOKEN,)}, {"whole": False}])
def test_of_a_token_that_the_first_snapshot_says_nothing_of_nothing_is_known(said: dict[str, Any]) -> None:
    desk = Desk(holdings=None)
    told_of_another(desk, **said)
    desk.chain(chain_fill(1, "SELL", 110, 0.49, traded_at=START + 5 * SECOND))
    assert desk.rows("trades")[0]["leader_pre_sell_shares_micro"] == 0


# -- left and followed again -----------------------------------------------------------------------------------


def followed_again(desk: Desk) -> None:
    """The leader is left; a minute later they are followed again, from then on."""
    desk.send(ev.LeaderRemoved(at=desk.at, leader=LEADER))
    desk.advance(60)
    now = desk.at // SECOND
    again = ev.LeaderFollowed(at=desk.at, leader=LEADER, follow_from=desk.at, floor_ts=now, cursor_ts=now, is_new=True)
    desk.send(again)


def first_snapshot(desk: Desk, shares: float) -> None:
    held = ((TOKEN, usd(shares)),)
    desk.send(ev.HoldingsSnapshot(at=desk.at, leader=LEADER, as_of=desk.at, holdings=held, bootstrap=True))


def held_before(desk: Desk) -> list[float]:
    """What was held before each SELL."""
    return [t["leader_pre_sell_shares_micro"] for t in desk.rows("trades") if t["side"] == "SELL"]


def test_what_was_held_before_a_sell_stays_whatever_the_first_snapshot_of_a_new_following_says() -> None:
    desk = Desk(holdings={})
    desk.buy(1, 100)
    desk.sell(2, 50)
    followed_again(desk)
    first_snapshot(desk, 80)
    assert (held_before(desk), desk.leader_holds()) == ([usd(100)], usd(80))
    desk.sell(3, 40)
    assert held_before(desk) == [usd(100), usd(80)]


def test_the_first_snapshot_of_a_new_following_tells_what_was_held_when_it_began() -> None:
    desk = Desk(holdings={TOKEN: 100})
    desk.sell(1, 50)
    followed_again(desk)
    desk.advance(2)
    desk.sell(2, 40)
    assert held_before(desk) == [usd(100), usd(50)], "nothing is known yet of what happened in between"
    desk.advance(5)
    first_snapshot(desk, 120)
    assert (held_before(desk), desk.leader_holds()) == ([usd(100), usd(160)], usd(120))


@pytest.mark.parametrize("said", [50, 100])
def test_a_trade_of_the_second_of_the_first_snapshot_is_in_it_where_that_says_what_the_trade_left(said: int) -> None:
    """A log without a time is dated by our clock, so it can stand a second too late, and in the snapshot's own."""
    desk = Desk(holdings={})
    desk.buy(1, 100)
    desk.advance(20)
    desk.chain(chain_fill(2, "SELL", 50, 0.49, traded_at=desk.at))
    desk.send(ev.LeaderRemoved(at=desk.at, leader=LEADER))
    now = desk.at // SECOND
    again = ev.LeaderFollowed(at=desk.at, leader=LEADER, follow_from=desk.at, floor_ts=now, cursor_ts=now, is_new=True)
    desk.send(again)
    first_snapshot(desk, said)
    assert (held_before(desk), desk.leader_holds()) == ([usd(100)], usd(50)), "whether it contains the trade or not"
    desk.advance(2)
    desk.sell(3, 25)
    assert (held_before(desk), desk.leader_holds()) == ([usd(100), usd(50)], usd(25))
