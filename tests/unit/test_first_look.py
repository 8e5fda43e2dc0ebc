"""A SELL that comes before the first snapshot of what its leader holds waits for it, and so sells the right part."""

from __future__ import annotations

from pathlib import Path

import pytest

from pilotfish.core import events as ev
from pilotfish.core.settings import Value
from pilotfish.core.trade import Source
from pilotfish.core.units import SECOND
from tests.desk import LEADER, OTHER, START, TOKEN, Desk, api_fill, chain_fill, usd
from tests.unit.test_holdings import followed_again
from tests.unit.test_restarts import Stored


def told(desk: Desk, shares: float, *, as_of: int | None = None, leader: str = LEADER) -> None:
    """The first snapshot comes, as of now if nothing else is said; what that lets us do has time to be filled."""
    held, at = ((TOKEN, usd(shares)),) if shares else (), desk.at if as_of is None else as_of
    desk.send(ev.HoldingsSnapshot(at=desk.at, leader=leader, as_of=at, holdings=held, bootstrap=True))
    desk.advance(1)


def held_before(desk: Desk) -> list[int]:
    """What was held before each SELL, as it is stored."""
    return [t["leader_pre_sell_shares_micro"] for t in desk.rows("trades") if t["side"] == "SELL"]


def waiting(desk: Desk) -> list[str]:
    """Reasons of the decisions that wait."""
    return [d["reason"] for d in desk.rows("decisions") if d["action"] == "wait"]


def trace(desk: Desk, check: str) -> list[object]:
    """What the last decision's trace says of a check."""
    return next(
        ([value, limit, passed] for name, value, limit, passed in desk.rows("decisions")[-1]["trace"] if name == check),
        [],
    )


@pytest.fixture
def untold() -> Desk:
    """A leader who is followed from now on, of whom no snapshot has come, and whose BUY was copied: 50 shares."""
    desk = Desk(holdings=None)
    desk.buy(1, 100)
    assert desk.held() == usd(50)
    desk.advance(4)
    return desk


# -- what it costs not to wait ---------------------------------------------------------------------------------


def test_a_sell_before_the_first_snapshot_sells_the_part_that_the_leader_sold_of_all_they_hold(untold: Desk) -> None:
    """They hold 900 of before. Going by what was seen, the SELL of what they have just bought is one of all."""
    untold.sell(2, 100)
    assert (waiting(untold), untold.held()) == (["WAIT_HOLDINGS"], usd(50))
    untold.advance(4)
    told(untold, 900)
    assert (untold.reasons, untold.held()) == (["COPY", "COPY"], usd(45))
    assert (held_before(untold), untold.leader_holds()) == ([usd(1000)], usd(900))
    assert trace(untold, "holdings_missing_ms") == []


@pytest.mark.parametrize(("left_with", "sold", "ours"), [(300, 100, 37.5), (0, 25, 0), (50, 50, 25)])
def test_a_sell_after_following_again_goes_by_what_is_held_now_and_not_when_they_were_left(
    left_with: float, sold: float, ours: float
) -> None:
    """They held 100 when they were left, and now hold what the SELL leaves them."""
    desk = Desk(holdings={})
    desk.buy(1, 100)
    followed_again(desk)
    desk.advance(2)
    desk.sell(2, sold)
    assert waiting(desk) == ["WAIT_HOLDINGS"]
    desk.advance(2)
    told(desk, left_with)
    assert (desk.held(), desk.leader_holds()) == (usd(ours), usd(left_with))
    assert held_before(desk) == [usd(left_with + sold)]


# -- once, whatever comes first --------------------------------------------------------------------------------


@pytest.mark.parametrize(("as_of_sec", "said"), [(5, 1000), (6, 900)])
def test_the_sale_is_the_same_whether_the_snapshot_contains_it_or_not(
    untold: Desk, as_of_sec: int, said: float
) -> None:
    untold.chain(chain_fill(2, "SELL", 100, 0.49, traded_at=START + 5 * SECOND))
    untold.advance(3)
    told(untold, said, as_of=START + as_of_sec * SECOND)
    assert (held_before(untold), untold.leader_holds(), untold.held()) == ([usd(1000)], usd(900), usd(45))


def test_a_sell_that_comes_after_the_snapshot_that_contains_it_waits_for_nothing(untold: Desk) -> None:
    untold.advance(3)
    told(untold, 900)
    untold.chain(chain_fill(2, "SELL", 100, 0.49, traded_at=START + 5 * SECOND))
    untold.advance(1)
    assert (held_before(untold), untold.leader_holds(), untold.held()) == ([usd(1000)], usd(900), usd(45))


# -- what ends the wait ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("settings", [{}, {"sell_retry_sec": 5}, {"sell_retry_sec": 0}])
def test_where_no_snapshot_comes_in_time_it_goes_by_what_was_seen_and_the_trace_says_so(
    settings: dict[str, Value],
) -> None:
    bound = int(str(settings.get("sell_retry_sec", 60)))
    desk = Desk(holdings=None, settings=settings)
    desk.buy(1, 100)
    desk.chain_sell(2, 40)
    desk.advance(bound - 0.1)
    assert waiting(desk) == (["WAIT_HOLDINGS"] if bound else [])
    desk.advance(1.1)
    assert (desk.reasons, desk.held()) == (["COPY", "COPY"], usd(30))
    assert trace(desk, "holdings_missing_ms") == [bound * 1000, bound * 1000, True]
    told(desk, 960)
    assert (held_before(desk), desk.held()) == ([usd(1000)], usd(30)), "what was sold stays sold"


def test_a_sell_that_was_seen_late_waits_as_long_and_is_copied_as_missed(untold: Desk) -> None:
    untold.advance(600)
    untold.api(api_fill(2, "SELL", 100, 0.49, traded_at=START + 5 * SECOND))
    untold.advance(59)
    assert waiting(untold) == ["WAIT_HOLDINGS"]
    told(untold, 900)
    assert (untold.reasons[-1], untold.held()) == ("COPY", usd(45))
    assert untold.rows("decisions")[-1]["class"] == "catch-up"


def test_each_leaders_snapshot_ends_the_wait_for_that_leader() -> None:
    desk = Desk(holdings=None)
    desk.follow_leader(OTHER)
    for n, leader in enumerate((LEADER, OTHER)):
        desk.buy(10 + n, 100, leader=leader)
        desk.sell(20 + n, 100, leader=leader)
    told(desk, 900, leader=OTHER)
    assert (desk.held(), desk.held(leader=OTHER), waiting(desk)) == (usd(50), usd(45), ["WAIT_HOLDINGS"])
    told(desk, 300)
    assert (desk.held(), desk.held(leader=OTHER), waiting(desk)) == (usd(37.5), usd(45), [])


def test_leaving_the_leader_ends_it_and_following_again_copies_nothing_of_it(untold: Desk) -> None:
    untold.sell(2, 100)
    untold.send(ev.LeaderRemoved(at=untold.at, leader=LEADER))
    assert (waiting(untold), untold.reasons[-1]) == ([], "SKIP_PAUSED")
    untold.advance(2)
    untold.follow_leader(LEADER)
    told(untold, 900)
    untold.advance(70)
    assert (len(untold.reasons), untold.held()) == (2, usd(50))


def test_a_reset_and_an_archive_end_it() -> None:
    desk = Desk(holdings=None, others={"second": {}})
    desk.buy(1, 100)
    desk.sell(2, 100)
    assert waiting(desk) == ["WAIT_HOLDINGS"] * 2
    desk.send(ev.PaperReset(at=desk.at, portfolio="main"))
    desk.send(ev.PortfolioArchived(at=desk.at, portfolio="second"))
    assert [d["reason"] for d in desk.rows("decisions") if d["side"] == "SELL"] == ["SKIP_RESET", "SKIP_PAUSED"]
    told(desk, 900)
    desk.advance(70)
    assert (desk.held(), len(desk.rows("intents"))) == (0, 2)


@pytest.mark.parametrize("again", [False, True])
def test_a_waiting_sell_that_a_reorg_takes_back_is_given_up_or_sold_once_it_is_mined_again(
    untold: Desk, *, again: bool
) -> None:
    sale = chain_fill(2, "SELL", 100, 0.49, traded_at=START + 5 * SECOND)
    untold.chain(sale)
    untold.chain(sale, removed=True)
    untold.advance(2)
    told(untold, 900 if again else 1000)
    assert waiting(untold) == ["WAIT_REORG"]
    if again:
        untold.chain(sale)
    untold.advance(70)
    assert untold.reasons[-1] == ("COPY" if again else "SKIP_RETRACTED")
    assert (untold.leader_holds(), untold.held()) == (usd(900 if again else 1000), usd(45 if again else 50))


def test_over_a_restart_it_waits_anew_and_the_snapshot_ends_it(tmp_path: Path) -> None:
    desk = Stored(tmp_path, told=False)
    desk.buy(1, 100)
    desk.sell(2, 100)
    desk.restart(after=100)
    assert [d.reason for d in desk.stored("decisions")][-1:] == ["WAIT_HOLDINGS"]
    desk.advance(59)
    assert desk.held() == usd(50), "the run that asks for the snapshot gives it time"
    told(desk, 900)
    assert ([d.reason for d in desk.stored("decisions")], desk.held()) == (["COPY", "COPY"], usd(45))


def test_over_a_restart_it_ends_without_a_snapshot_too(tmp_path: Path) -> None:
    desk = Stored(tmp_path, told=False)
    desk.buy(1, 100)
    desk.sell(2, 40)
    desk.restart(after=20)
    desk.advance(61)
    assert ([d.reason for d in desk.stored("decisions")], desk.held()) == (["COPY", "COPY"], usd(30))


# -- who waits -------------------------------------------------------------------------------------------------


def test_a_portfolio_that_has_nothing_to_sell_does_not_wait() -> None:
    desk = Desk(holdings=None, others={"second": {"copy_side": "sell"}, "third": {"copy_side": "buy"}})
    desk.buy(1, 100)
    desk.sell(2, 100)
    sells = {d["portfolio"]: d["reason"] for d in desk.rows("decisions") if d["side"] == "SELL"}
    assert sells == {"main": "WAIT_HOLDINGS", "second": "SKIP_NO_POSITION", "third": "SKIP_SIDE"}


def test_what_is_saved_up_for_a_buy_is_not_spent_by_what_may_be_a_small_part_of_a_holding() -> None:
    settings: dict[str, Value] = {"sizing_mode": "leader_ratio", "leader_ratio": 10_000, "below_min": "accumulate"}
    desk = Desk(holdings=None, settings=settings)
    desk.buy(1, 100)
    desk.sell(2, 100)
    assert waiting(desk) == ["WAIT_HOLDINGS"]
    told(desk, 900)
    assert (desk.reasons, desk.rows("savings")[-1]["usdc_micro"]) == (
        ["SKIP_ACCUMULATING", "SKIP_NO_POSITION"],
        usd(0.45),
    )


def test_a_buy_that_is_still_out_is_not_taken_back_by_what_may_be_a_small_part_of_a_holding() -> None:
    desk = Desk(holdings=None)
    desk.chain(chain_fill(1, "BUY", 100, 0.50), chain_fill(2, "SELL", 100, 0.49, log_index=9))
    assert waiting(desk) == ["WAIT_HOLDINGS"]
    desk.advance(2)
    assert desk.held() == usd(50)
    told(desk, 900)
    assert (desk.held(), desk.rows("intents")[0]["state"]) == (usd(45), "filled")


def test_a_buy_behind_it_waits_for_its_turn_and_is_not_sold_with_it(untold: Desk) -> None:
    untold.chain_sell(2, 100)
    untold.advance(1)
    untold.buy(3, 100)
    assert waiting(untold) == ["WAIT_HOLDINGS", "WAIT_TURN"]
    untold.advance(2)
    told(untold, 1000)
    assert (untold.reasons, untold.held()) == (["COPY"] * 3, usd(95))


def test_a_buy_between_two_sells_that_wait_is_bought_whole_and_sold_in_part(untold: Desk) -> None:
    """They hold 200, sell 100, buy 100 and sell half of the 200: each halves what we have by then."""
    untold.chain_sell(2, 100)
    untold.chain_buy(3, 100)
    untold.chain_sell(4, 100)
    assert waiting(untold) == ["WAIT_HOLDINGS", "WAIT_TURN", "WAIT_TURN"]
    untold.advance(2)
    told(untold, 100)
    assert held_before(untold) == [usd(200), usd(200)]
    assert (untold.reasons, untold.held()) == (["COPY"] * 4, usd(37.5))


@pytest.mark.parametrize("restarted", [False, True])
def test_what_waits_is_decided_in_the_order_in_which_it_happened(tmp_path: Path, *, restarted: bool) -> None:
    """They hold 100, sell all, buy 100, sell half and buy 100. Of that the second SELL comes first."""
    desk = Stored(tmp_path, told=False)
    desk.buy(1, 100)
    desk.advance(5)
    fills = [
        chain_fill(2 + n, side, shares, 0.50 if side == "BUY" else 0.49, traded_at=START + (2 + n) * SECOND)
        for n, (side, shares) in enumerate([("SELL", 100), ("BUY", 100), ("SELL", 50), ("BUY", 100)])
    ]
    desk.chain(*[fills[n] for n in (2, 0, 3, 1)])
    assert waiting(desk) == ["WAIT_HOLDINGS", "WAIT_HOLDINGS", "WAIT_TURN", "WAIT_TURN"]
    if restarted:
        desk.restart(after=1)
    told(desk, 150)
    before = {int(r.tx_hash, 16): r.leader_pre_sell_shares_micro for r in desk.stored("trades")}
    assert (before[2], before[4]) == (usd(100), usd(100))
    assert ([d.action for d in desk.stored("decisions") if d.action == "wait"], desk.held()) == ([], usd(75))


def test_a_buy_from_before_a_sell_that_waits_does_not_wait_for_it(untold: Desk) -> None:
    untold.advance(4)
    untold.chain(chain_fill(3, "SELL", 100, 0.49, traded_at=START + 4 * SECOND))
    untold.chain(chain_fill(2, "BUY", 100, 0.50, traded_at=START + 3 * SECOND))
    untold.advance(1)
    assert (waiting(untold), untold.held()) == (["WAIT_HOLDINGS"], usd(100))
    told(untold, 100)
    assert untold.held() == usd(50)


@pytest.mark.parametrize("mode", ["api", "polygon", "both"])
def test_it_waits_whichever_source_is_copied(mode: str) -> None:
    desk = Desk(holdings=None, settings={"trigger_mode": mode})
    for fill in (api_fill(1, "BUY", 100, 0.50), api_fill(2, "SELL", 100, 0.49, traded_at=START + SECOND)):
        desk.api(fill)
        chain = chain_fill(int(fill.tx_hash, 16), fill.side, 100, 0.5, usdc=fill.usdc, traded_at=fill.traded_at)
        desk.chain(chain)
        desk.advance(1)
    assert waiting(desk) == ["WAIT_HOLDINGS"]
    told(desk, 900)
    assert (desk.reasons, desk.held()) == (["COPY", "COPY"], usd(45))


def test_with_both_sources_needed_it_waits_for_health_first() -> None:
    desk = Desk(holdings=None, settings={"strict_both": True})
    desk.buy(1, 100)
    desk.send(ev.HealthChanged(at=desk.at, source=Source.API, healthy=False))
    desk.sell(2, 100)
    assert waiting(desk) == ["WAIT_API_UNHEALTHY"]
    desk.advance(10)
    desk.send(ev.HealthChanged(at=desk.at, source=Source.API, healthy=True))
    assert waiting(desk) == ["WAIT_HOLDINGS"]
    told(desk, 900)
    assert desk.held() == usd(45)
