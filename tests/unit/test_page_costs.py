"""A page costs the same in ten times as many trades. Counted in steps of SQLite's virtual machine, not timed."""

from __future__ import annotations

import pytest
from sqlalchemy import Connection, Engine

from pilotfish.cli.benches import pages as bench_pages
from pilotfish.store import report
from pilotfish.store.copies import State
from pilotfish.store.database import snapshot
from pilotfish.store.report import Reports
from pilotfish.store.rollup import DecisionCounts, TradeCounts
from pilotfish.store.views.base import Page
from pilotfish.store.views.order_feed import read_leader_orders
from pilotfish.store.views.our_orders import OrderFilter, read_our_orders
from pilotfish.store.views.trades import TradeFilter, read_trades
from tests.fresh import fresh_database

pytestmark = pytest.mark.slow

FEW, MANY = 1_500, 15_000
STEP = 50
GROWS = {
    "overview: sources": "samples the newest 20,000 trades",
    "latency: pace": "samples the newest 2,000 copies",
    "latency: over time": "samples the newest 6,000 trades",
    "latency: missing": "looks at the newest 20,000 trades",
    "leaders: figures": "adds up all positions",
    "leaders: report": "values every position, and goes through the last hour",
    "positions, open": "sorts the open positions",
    "positions, closed": "sorts the closed positions",
    "positions, held, by worth": "sorts the open positions",
    "positions, all": "sorts the open positions",
    "positions, sold, by return": "works it out for all round trips of the portfolio",
    "positions, sold, by exit price": "works it out for all round trips of the portfolio",
    "positions, sold, by market": "sorts all round trips of the portfolio",
    "positions, sold, of a market": "sorts the round trips of the market",
    "position: its history": "goes through all that happened to the position, and to its leader in the token",
    "overview: equity curve": "one look-up for each of 400 points",
    "status: counts": "counts fills and open positions",
    "trades by words": "finds the markets first",
    "trades of a market": "sorts the market's trades",
    "orders of a market": "sorts the market's trades",
    "our orders in a market": "sorts our orders in the market",
    "our orders: totals": "adds up the newest 5,000 orders",
    "search: its board by everything": "looks through the board of one search",
    "search: how many": "looks through the board of one search",
    "search: categories": "looks through the board of one search",
    "search: all of it": "reads the board of one search",
    "overview: what just happened to another portfolio": "looks through the newest 10,000 decisions",
}
"""What may grow with something other than the number of trades, or up to a bound."""


@pytest.fixture(scope="module")
def sizes(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Engine]:
    made = {}
    for trades in (FEW, MANY):
        made[trades] = fresh_database(tmp_path_factory.mktemp("size") / "x.db")
        bench_pages.fill_database(made[trades], trades)
    return made


def steps(c: Connection, ask: object) -> int:
    """Virtual machine steps of a question, in units of :data:`STEP`; asked twice, since the first look may learn."""
    raw = c.connection.dbapi_connection
    assert raw is not None
    count = 0

    def counting() -> int:
        nonlocal count
        count += 1
        return 0

    assert callable(ask)
    ask(c)
    raw.set_progress_handler(counting, STEP)
    ask(c)
    raw.set_progress_handler(None, STEP)
    return count


def test_what_pages_ask_costs_the_same_in_ten_times_as_many_trades(sizes: dict[int, Engine]) -> None:
    costs: dict[str, dict[int, int]] = {}
    for trades, database in sizes.items():
        with snapshot(database) as c:
            for name, ask in bench_pages.questions(DecisionCounts(), TradeCounts(), Reports()).items():
                costs.setdefault(name, {})[trades] = steps(c, ask)
    assert set(GROWS) < set(costs)
    for name, cost in costs.items():
        if name not in GROWS:
            assert cost[MANY] <= 1.5 * cost[FEW] + 20, (name, cost)


def test_no_filter_of_a_leader_goes_through_everybody_elses_trades(sizes: dict[int, Engine]) -> None:
    """The dearest case: a filter that nothing matches."""
    nobody = "0x" + "f" * 40
    rare = [
        TradeFilter(leader=nobody),
        TradeFilter(leader=nobody, reason="SKIP_SPREAD"),
        TradeFilter(leader=nobody, action="skip"),
        TradeFilter(reason="SKIP_RESET"),
        TradeFilter(action="wait"),
        TradeFilter(status="retracted"),
        TradeFilter(kind="backfill"),
        TradeFilter(token_id="5"),
        TradeFilter(portfolio="another", action="copy"),
        TradeFilter(portfolio="another", state="filled"),
        TradeFilter(leader=nobody, state="filled"),
        TradeFilter(leader=nobody, state="not_filled"),
        TradeFilter(leader=nobody, state="out"),
        TradeFilter(state="out"),
        TradeFilter(state="waiting"),
    ]
    for wanted in rare:
        with snapshot(sizes[MANY]) as c:
            assert read_trades(c, wanted, limit=50) == Page(data=[], next_before=None)
            cost = steps(c, lambda c, wanted=wanted: read_trades(c, wanted, limit=50))
            assert cost < 60, (wanted, cost)


def test_no_filter_of_orders_goes_through_everybody_elses_trades(sizes: dict[int, Engine]) -> None:
    """The dearest case: a filter that nothing matches."""
    nobody = "0x" + "f" * 40
    for wanted in (
        TradeFilter(leader=nobody),
        TradeFilter(leader=nobody, state="filled"),
        TradeFilter(state="out"),
        TradeFilter(state="waiting"),
        TradeFilter(reason="SKIP_RESET"),
        TradeFilter(status="retracted"),
        TradeFilter(market="5"),
        TradeFilter(portfolio="another", state="skipped"),
    ):
        with snapshot(sizes[MANY]) as c:
            assert read_leader_orders(c, wanted, limit=50) == Page(data=[], next_before=None)
            cost = steps(c, lambda c, wanted=wanted: read_leader_orders(c, wanted, limit=50))
            assert cost < 60, (wanted, cost)
    for asked in (
        OrderFilter(leader=nobody),
        OrderFilter(portfolio="another"),
        OrderFilter(state=State.OUT),
        OrderFilter(state=State.OUT, leader=nobody),
        OrderFilter(market="5"),
    ):
        with snapshot(sizes[MANY]) as c:
            assert read_our_orders(c, asked, limit=50) == Page(data=[], next_before=None)
            cost = steps(c, lambda c, asked=asked: read_our_orders(c, asked, limit=50))
            assert cost < 60, (asked, cost)


def test_the_report_is_kept_up_to_the_same_figures(sizes: dict[int, Engine]) -> None:
    """A decision a second: what is older than an hour is settled, so 3,600 are gone through again, of few all 1,500."""
    with snapshot(sizes[FEW]) as c:
        few = steps(c, Reports().report)
    with snapshot(sizes[MANY]) as c:
        reports = Reports()
        readiness = [reports.ready]
        first = reports.report(c)
        assert [*readiness, reports.ready] == [False, True]
        assert reports.report(c) == first == Reports().report(c)
        again = steps(c, reports.report)
        whole = steps(c, lambda c: Reports().report(c))
        assert again < whole / 2, "what is settled is not gone through again"
        assert again < few * 3600 / FEW * 1.2
        assert steps(c, lambda c: report._final(c, MANY)) < 500, "looks at the last hour only"
