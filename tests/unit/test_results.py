"""One leader in detail: slices by category and price of entry, and days, on paper."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import Connection, update

from pilotfish.core import events as ev
from pilotfish.core.effects import RowEffect
from pilotfish.core.units import MICRO, Price, Usdc
from pilotfish.store import portfolios_store, report
from pilotfish.store import tables as t
from pilotfish.store.accounts import DAY
from pilotfish.store.batch import write
from pilotfish.store.report import Reports
from pilotfish.store.views.base import iso
from pilotfish.store.views.results import LeaderResults, Slice, band, read_results
from tests.desk import LEADER, OTHER, START, TOKEN, Desk, chain_fill, usd
from tests.fresh import fresh_database

DAYS = DAY // MICRO
"""Seconds of a day."""


@contextmanager
def books(desk: Desk, folder: Path) -> Iterator[Connection]:
    """A database with all that the engine wrote."""
    desk.value()
    database = fresh_database(folder / "books.db")
    with database.begin() as c:
        c.execute(t.portfolios.insert().values(name="main", bankroll_micro=usd(10_000), created_at=START))
        write(c, [e for e in desk.effects if isinstance(e, RowEffect)])
    with database.connect() as c:
        yield c
    database.dispose()


def resolved(desk: Desk, payout: int, token: str = TOKEN) -> None:
    desk.send(ev.MarketSeen(at=desk.at, market=desk.market(token, closed=True, payout=payout)))


def look(c: Connection, desk: Desk) -> LeaderResults:
    found = read_results(c, "main", LEADER, desk.at)
    assert found == read_results(c, "main", LEADER, desk.at, Reports())
    for slices in (found.categories, found.bands):
        assert sum(x.pnl_micro for x in slices) == found.report.actual_micro
        assert sum(x.spent_micro for x in slices) == found.report.paid_micro
    return found


def test_results_by_category_and_by_price_of_entry_add_up_to_what_we_made(tmp_path: Path) -> None:
    """25 USDC at 0.50, at 0.05 and at 0.95; the first pays out, the second is sold at half, the third is held."""
    desk = Desk({"min_price": 0, "max_price": MICRO, "max_spread_bps": 20_000})
    for n, (token, cents) in enumerate((("1001", 50), ("1002", 5), ("1003", 95)), start=1):
        desk.bids, desk.asks = [((cents - 1) / 100, 1e6)], [(cents / 100, 1e6)]
        desk.chain(chain_fill(n, "BUY", 1000, cents / 100, token_id=token, traded_at=desk.at))
        desk.advance(2)
    desk.bids, desk.asks = [(0.025, 1e6)], [(0.05, 1e6)]
    desk.chain(chain_fill(4, "SELL", 1000, 0.025, token_id="1002", traded_at=desk.at))
    desk.advance(2)
    desk.bids, desk.asks = [(0.96, 1e6)], [(0.97, 1e6)]
    desk.send(desk.book_event("1003"))
    resolved(desk, MICRO, "1001")
    with books(desk, tmp_path) as c:
        c.execute(update(t.markets).where(t.markets.c.token_id == "1003").values(category=""))
        c.execute(update(t.markets).where(t.markets.c.token_id == "1002").values(category="sports"))
        c.execute(update(t.markets).where(t.markets.c.token_id == "1001").values(category="sports"))
        found = look(c, desk)
    assert [(x.name, x.orders, x.spent_micro, x.open) for x in found.bands] == [
        ("under 0.10", 1, usd(25), 0), ("0.30 to 0.70", 1, usd(25), 0), ("over 0.90", 1, found.bands[2].spent_micro, 1),
    ]  # fmt: skip
    assert [x.pnl_micro for x in found.bands[:2]] == [usd(-12.5), usd(25)]
    sports, other = found.categories
    assert sports == Slice(name="sports", orders=2, spent_micro=Usdc(usd(50)), pnl_micro=Usdc(usd(12.5)), open=0)
    assert (other.name, other.orders, other.open) == ("no category", 1, 1)
    assert found.report.sold_positions == 2


@pytest.mark.parametrize(
    ("price", "name"),
    [(0, "under 0.10"), (99_999, "under 0.10"), (100_000, "0.10 to 0.30"), (300_000, "0.30 to 0.70"),
     (699_999, "0.30 to 0.70"), (700_000, "0.70 to 0.90"), (900_000, "0.70 to 0.90"), (900_001, "over 0.90"),
     (MICRO, "over 0.90")],
)  # fmt: skip
def test_each_price_is_in_one_band(price: int, name: str) -> None:
    assert band(Price(price)) == name


def test_the_curve_moves_on_the_day_of_each_trade_and_on_the_day_of_the_payout(tmp_path: Path) -> None:
    """50 shares at 0.50; a day later the leader sells half at 0.60, and two days after that the rest pays 1."""
    desk = Desk({"max_spread_bps": 20_000}, bids=[(0.50, 1e6)], asks=[(0.50, 1e6)])
    desk.bids = [(0.499999, 1e6)]
    desk.buy(1, 1000, 0.50)
    begun = START // DAY * DAY
    desk.advance(DAYS)
    desk.bids, desk.asks = [(0.60, 1e6)], [(0.61, 1e6)]
    desk.sell(2, 500, 0.60)
    desk.advance(2 * DAYS)
    resolved(desk, MICRO)
    desk.advance(5 * DAYS)
    with books(desk, tmp_path) as c:
        found = look(c, desk)
    assert [(p.at, p.ideal_micro, p.actual_micro) for p in found.curve] == [
        (iso(begun), 0, 0),
        (iso(begun + DAY), usd(5), usd(5)),
        (iso(begun + 3 * DAY), usd(15), usd(15)),
    ]


def test_a_total_adds_up_and_archived_portfolios_are_there_if_asked_for(tmp_path: Path) -> None:
    desk = Desk(others={"old": {}})
    desk.follow_leader(OTHER)
    desk.buy(1, 1000, 0.50)
    desk.chain(chain_fill(2, "BUY", 1000, 0.50, leader=OTHER, traded_at=desk.at, order_hash="0xb2"))
    desk.advance(2)
    with books(desk, tmp_path) as c:
        c.execute(t.portfolios.insert().values(name="old", bankroll_micro=usd(10_000), created_at=START))
        portfolios_store.archive(c, "old", at=desk.at, by="test")
        (main,) = report.totals(c)
        assert (main.portfolio, len(main.rows)) == ("main", 2)
        for name in ("ideal_micro", "actual_micro", "difference_micro", "paid_micro", "turnover_micro", "orders",
                     "orders_copied", "trades", "fills", "open_positions"):  # fmt: skip
            assert getattr(main.total, name) == sum(getattr(row, name) for row in main.rows), name
        assert main.total.verdict.startswith("Copying all 2 leaders: ")
        assert {row.portfolio for row in report.report(c)} == {"main"} == {row.portfolio for row in Reports().report(c)}
        for rows in (report.report(c, archived=True), Reports().report(c, archived=True)):
            assert {row.portfolio for row in rows} == {"main", "old"}
        assert [x.portfolio for x in report.totals(c, portfolio="old")] == ["old"]
        (one,) = report.totals(c, leader=OTHER)
        assert one.total == one.rows[0]
        nothing = Reports().of_portfolio(c, "another")
        assert (nothing.rows, nothing.total.verdict) == (
            [],
            "Nothing to judge yet: no trade so far that could be copied.",
        )
