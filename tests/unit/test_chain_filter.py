"""Which subscriptions wallets need, and which logs are wanted of those that come."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from pilotfish.feeds.chain_filter import DAY, VENUE_LOGS_A_DAY, Filter, LogFilter, Wanted, filters_for
from pilotfish.polymarket.contracts import CTF_EXCHANGE_V2, order_filled
from pilotfish.store.worker_state import ChainState

WALLETS = [f"0x{n:040x}" for n in range(1, 400)]
ANN, BEN, EVE = WALLETS[:3]


def log(maker: str, taker: str, index: int = 0, **more: Any) -> dict[str, Any]:
    said = order_filled("0x" + "1" * 64, maker, taker, "BUY", "123", 10, 5, 0)
    where = {"transactionHash": "0x" + "2" * 64, "blockHash": "0x" + "3" * 64, "logIndex": hex(index)}
    return {"address": CTF_EXCHANGE_V2, **said, **where, "removed": False, **more}


@given(
    wallets=st.lists(st.sampled_from(WALLETS), unique=True),
    chunk=st.integers(1, 100),
    takers=st.booleans(),
    above=st.integers(0, 300),
    unfiltered=st.booleans(),
)
def test_each_wallet_is_in_one_filter_of_each_kind_or_there_is_no_filter_at_all(
    wallets: list[str], chunk: int, takers: bool, above: int, unfiltered: bool
) -> None:
    planned = filters_for(wallets, chunk=chunk, takers=takers, above=above, unfiltered=unfiltered)
    if planned == (Filter(),):
        assert above
        assert len(wallets) > above or (unfiltered and len(wallets) > above - max(1, above // 10))
        return
    assert not above or len(wallets) <= above
    assert all(0 < len(one.wallets) <= chunk for one in planned)
    for as_maker in (True, False):
        named = [w for one in planned if one.as_maker is as_maker for w in one.wallets]
        assert sorted(named) == (sorted(wallets) if as_maker or takers else [])


def test_one_wallet_more_and_one_less_changes_the_kind_of_subscription_once() -> None:
    def planned(count: int, *, unfiltered: bool) -> bool:
        filters = filters_for(WALLETS[:count], chunk=100, takers=True, above=100, unfiltered=unfiltered)
        return Filter() in filters

    assert not planned(100, unfiltered=False)
    assert planned(101, unfiltered=False)
    assert planned(100, unfiltered=True)
    assert planned(91, unfiltered=True)
    assert not planned(90, unfiltered=True)


def test_a_log_is_a_leaders_own_evidence_of_one_or_nothing() -> None:
    filter_ = LogFilter()
    filter_.watch([ANN])
    assert filter_.take(log(ANN, EVE)) is Wanted.OWN
    assert filter_.take(log(EVE, ANN)) is Wanted.COUNTERPARTY
    assert filter_.take(log(EVE, BEN)) is Wanted.NOTHING
    upper = log(ANN, EVE)
    upper["topics"] = [topic.upper().replace("0X", "0x") for topic in upper["topics"]]
    assert filter_.take(upper) is Wanted.OWN
    strange_ones: tuple[Any, ...] = (None, [], {"topics": None}, {"topics": ["0x"]}, {"topics": [1, 2, 3, 4]})
    for strange in strange_ones:
        assert filter_.take(strange) is Wanted.UNREADABLE


def test_a_log_that_comes_twice_came_before_and_one_that_was_taken_back_did_not() -> None:
    filter_ = LogFilter()
    there, gone = log(ANN, EVE), log(ANN, EVE, removed=True)
    assert [filter_.came_before(x) for x in (there, there, gone, gone, there, there)] == [
        False, True, False, True, False, True,
    ]  # fmt: skip
    assert not filter_.came_before(log(ANN, EVE, index=1))
    assert not filter_.came_before(log(ANN, EVE, blockHash="0x" + "4" * 64))
    unnamed = log(ANN, EVE, logIndex=None)
    assert [filter_.came_before(unnamed), filter_.came_before(unnamed)] == [False, False]
    filter_.forget()
    assert not filter_.came_before(there)


def test_what_each_way_costs_in_logs_a_day_is_measured_where_it_can_be() -> None:
    filter_ = LogFilter()
    filter_.watch([ANN])
    assert filter_.a_day(1.0) == (None, VENUE_LOGS_A_DAY)
    filter_.begin(1.0, unfiltered=False)
    for _ in range(10):
        filter_.take(log(ANN, EVE))
    assert filter_.a_day(10.0) == (None, VENUE_LOGS_A_DAY)
    assert filter_.a_day(101.0) == (10 * DAY // 100, VENUE_LOGS_A_DAY)
    filter_.begin(101.0, unfiltered=True)
    assert filter_.a_day(110.0) == (None, None)
    for _ in range(10):
        filter_.take(log(ANN, EVE))
    for _ in range(990):
        filter_.take(log(BEN, EVE))
    assert filter_.a_day(201.0) == (10 * DAY // 100, 1000 * DAY // 100)


def test_how_logs_are_delivered_is_told_with_what_the_other_way_would_cost() -> None:
    assert ChainState().delivery() == ""
    filtered = ChainState(subscriptions=2, watched=3, filtered_a_day=12_345, unfiltered_a_day=960_000)
    assert filtered.delivery() == (
        "2 subscriptions with wallet filters; logs delivered a day: 12,345,"
        " without filters it would be at least 960,000"
    )
    whole = ChainState(subscriptions=1, unfiltered=True, filtered_a_day=12_345, unfiltered_a_day=2_000_000)
    assert whole.delivery() == ("no wallet filter; logs delivered a day: 2,000,000, with filters it would be 12,345")
