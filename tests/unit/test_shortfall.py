"""His prices at our size against what we got: worked out on paper, and for any trades and books the parts add up."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, update

from pilotfish.core import events as ev
from pilotfish.core.effects import RowEffect
from pilotfish.core.fees import FeeSchedule
from pilotfish.core.settings import Value
from pilotfish.core.units import MICRO, SECOND
from pilotfish.store import report
from pilotfish.store import tables as t
from pilotfish.store.batch import write
from pilotfish.store.verify import verify
from pilotfish.store.views.report import Shortfall
from tests.desk import LEADER, START, TOKEN, Desk, chain_fill, usd
from tests.fresh import fresh_database

NO_SLIPPAGE_CAP: dict[str, Value] = {"buy_max_slippage_bps": 10_000, "max_spread_bps": 20_000}


def stored(desk: Desk, folder: Path) -> Engine:
    """Everything that the engine asked to be written, in a database, after a tick of its clock."""
    desk.value()
    database = fresh_database(folder / "books.db")
    with database.begin() as c:
        c.execute(t.portfolios.insert().values(name="main", bankroll_micro=usd(10_000), created_at=START))
        write(c, [e for e in desk.effects if isinstance(e, RowEffect)])
    return database


def row_of(database: Engine, **more: Any) -> Shortfall:
    with database.connect() as c:
        (row,) = report.report(c, **more)
        assert verify(c) == []
    assert row.ideal_micro == row.actual_micro + sum(msgspec.structs.astuple(row.parts))
    return row


def in_detail(found: report.Results) -> None:
    """Tokens and days come to the line, to the millionth."""
    line = found.line
    for name in ("ideal", "actual", "paid"):
        assert sum(getattr(token, name) for token in found.tokens) == getattr(line, name), name
    assert sum(token.buys for token in found.tokens) == line.buys
    assert sum(token.held for token in found.tokens) == line.open
    if found.days:
        assert found.days[-1][1:] == (line.ideal, line.actual)
    assert [day.at for day in found.days] == sorted({day.at for day in found.days})


def near(micro: int, amount: float) -> bool:
    """Within what flooring two fees at five decimals can make."""
    return abs(micro - usd(amount)) <= 20


def test_a_round_trip_on_paper(tmp_path: Path) -> None:
    """He buys at 0.50 and sells all at 0.60; we pay 0.52 and get 0.58, at 4 % × p × (1 − p).

    Ideal: 25 / 0.50 = 50 shares, 50 × 0.10 = 5.00. We: 25 / 0.52 = 48.076923 shares.
    """
    desk = Desk(dict(NO_SLIPPAGE_CAP), bids=[(0.49, 1e6)], asks=[(0.52, 1e6)], fee=FeeSchedule(40_000))
    desk.buy(1, 1000, 0.50)
    desk.bids, desk.asks = [(0.58, 1e6)], [(0.60, 1e6)]
    desk.sell(2, 1000, 0.60)
    database = stored(desk, tmp_path)
    row = row_of(database)
    shares = 25 / 0.52
    fees = shares * 0.04 * 0.52 * 0.48 + shares * 0.04 * 0.58 * 0.42
    assert near(row.ideal_micro, 5.0)
    assert near(row.actual_micro, shares * 0.58 - 25 - fees)
    assert near(row.parts.delay_micro, shares * (0.505 - 0.50) + shares * (0.60 - 0.59))
    assert near(row.parts.spread_micro, shares * (0.52 - 0.505) + shares * (0.59 - 0.58))
    assert near(row.parts.fees_micro, fees)
    assert near(row.parts.clipped_micro, (50 - shares) * 0.10)
    assert row.clipped_by_cause.keys() == {"FEWER_SHARES"}
    assert (row.trades, row.copied, row.fills, row.open_positions) == (2, 2, 2, 0)
    database.dispose()


def test_what_was_skipped_is_worth_what_it_became(tmp_path: Path) -> None:
    """25 USDC at 0.50 that were not copied are 50 shares, and pay 50 when the market resolves."""
    desk = Desk({"copy_side": "sell"})
    desk.buy(1, 1000, 0.50)
    desk.send(ev.MarketSeen(at=desk.at, market=desk.market(TOKEN, closed=True, payout=MICRO)))
    database = stored(desk, tmp_path)
    row = row_of(database)
    assert (row.ideal_micro, row.actual_micro) == (usd(25), 0)
    assert row.skipped_by_reason == {"SKIP_SIDE": usd(25)}
    database.dispose()


def test_a_size_that_was_cut_and_one_that_was_late(tmp_path: Path) -> None:
    """The cap cuts 25 to 10, the book is his price: 30 shares of 50 are missing and gain 0.10 each until the mark."""
    desk = Desk({"per_trade_cap_usdc": usd(10)}, asks=[(0.50, 1e6)], bids=[(0.50, 1e6)])
    desk.bids = [(0.499999, 1e6)]
    desk.buy(1, 1000, 0.50)
    desk.bids, desk.asks = [(0.60, 1e6)], [(0.61, 1e6)]
    desk.send(desk.book_event(TOKEN))
    database = stored(desk, tmp_path)
    row = row_of(database)
    assert row.clipped_by_cause == {"CLIPPED": usd(3)}
    assert near(row.ideal_micro, 5.0)
    assert near(row.actual_micro, 2.0)
    database.dispose()


def test_a_late_copy_books_its_delay_under_catch_up(tmp_path: Path) -> None:
    desk = Desk({"catch_up_buy_require_better_price": False, "catch_up_buy_max_worse_bps": 1000, **NO_SLIPPAGE_CAP},
                bids=[(0.53, 1e6)], asks=[(0.54, 1e6)])  # fmt: skip
    desk.advance(60)
    desk.chain(chain_fill(1, "BUY", 1000, 0.50, traded_at=START))
    desk.advance(1)
    database = stored(desk, tmp_path)
    row = row_of(database)
    shares = 46.2962  # of 25 USDC at 0.54, in steps of 0.0001
    assert near(row.parts.catch_up_micro, shares * (0.535 - 0.50))
    assert row.parts.delay_micro == 0
    assert near(row.parts.spread_micro, shares * 0.005)
    database.dispose()


def test_an_exit_of_our_own_is_measured_against_keeping(tmp_path: Path) -> None:
    """Sold by hand at 0.49; the leader keeps, and the bids rise to 0.60: 50 × 0.11 given away."""
    desk = Desk()
    desk.buy(1, 1000, 0.50)
    desk.send(ev.CloseAsked(at=desk.at, portfolio="main"))
    desk.advance(1)
    desk.bids, desk.asks = [(0.60, 1e6)], [(0.61, 1e6)]
    desk.send(desk.book_event(TOKEN))
    database = stored(desk, tmp_path)
    row = row_of(database)
    assert near(row.ideal_micro, 5.0)
    assert near(row.actual_micro, -0.5)
    assert row.own_exits_by_cause.keys() == {"EXIT_BY_HAND"}
    database.dispose()


def test_a_period_begins_with_what_was_held_and_the_periods_add_up(tmp_path: Path) -> None:
    desk = Desk()
    desk.buy(1, 1000, 0.50, order_hash="0x01")
    middle = desk.at + 1
    desk.advance(5)
    desk.bids, desk.asks = [(0.55, 1e6)], [(0.56, 1e6)]
    desk.buy(2, 1000, 0.56, order_hash="0x02")
    desk.sell(3, 2000, 0.55)
    database = stored(desk, tmp_path)
    whole, later = row_of(database), row_of(database, since=middle)
    assert later.trades == 2
    first = 50 * (0.55 - 0.50) + 25 / 0.56 * (0.55 - 0.56)
    assert near(whole.ideal_micro, first)
    assert near(later.ideal_micro, first)
    assert row_of(database, leader=LEADER, portfolio="main").actual_micro == whole.actual_micro
    database.dispose()


def test_a_changed_row_is_named(tmp_path: Path) -> None:
    desk = Desk(fee=FeeSchedule(40_000))
    desk.buy(1, 1000, 0.50)
    database = stored(desk, tmp_path)
    for change, word in (
        (update(t.fills).values(fee_micro=t.fills.c.fee_micro + 10), "fee"),
        (update(t.fills).values(spread_cost_micro=t.fills.c.spread_cost_micro - 1), "spread cost"),
        (update(t.fills).values(usdc_micro=t.fills.c.usdc_micro + 1), "USDC"),
        (update(t.positions).values(realized_pnl_micro=5), "realised PnL"),
        (update(t.ledger_entries).values(amount_micro=t.ledger_entries.c.amount_micro + 1), "portfolio main"),
        (update(t.leader_holdings).values(shares_micro=1), "holding"),
    ):
        with database.connect() as c:
            c.execute(change)
            assert any(word in line for line in verify(c)), word
            c.rollback()
            assert verify(c) == []
    database.dispose()


@pytest.mark.slow
@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.lists(
        st.tuples(st.sampled_from(["BUY", "BUY", "SELL", "close", "reorg", "wait"]), st.sampled_from(["1", "2"]),
                  st.integers(1, 300), st.integers(20, 60), st.sampled_from([1, 1, 30, 4000])),
        min_size=1, max_size=14,
    )
)  # fmt: skip
def test_a_report_kept_up_from_look_to_look_is_the_one_that_goes_through_everything(
    tmp_path_factory: Any, steps: list[tuple[str, str, int, int, int]]
) -> None:
    """Whatever happens between two looks, hours later or at once, also where books, decisions and trades come late."""
    desk = Desk({**NO_SLIPPAGE_CAP, "sell_retry_sec": 20}, fee=FeeSchedule(40_000))
    database = stored(desk, tmp_path_factory.mktemp("books"))
    reports, written = report.Reports(), len(desk.effects)
    for n, (what, token, shares, cents, pause) in enumerate(steps, start=1):
        desk.bids, desk.asks = [(cents / 100, 40.0)], [((cents + 2) / 100, 60.0)]
        fill = chain_fill(n, "SELL" if what == "SELL" else "BUY", shares, cents / 100, traded_at=desk.at,
                          token_id=token, order_hash=f"0x{n:x}")  # fmt: skip
        desk.answer_books = what != "wait"
        if what == "close":
            desk.send(ev.CloseAsked(at=desk.at, portfolio="main"))
        else:
            desk.chain(fill)
        desk.advance(pause)
        if what == "reorg":
            desk.chain(fill, removed=True)
        desk.answer_books = True
        with database.begin() as c:
            write(c, [e for e in desk.effects[written:] if isinstance(e, RowEffect)])
            written = len(desk.effects)
        with database.connect() as c:
            assert reports.report(c) == report.report(c)
            kept, fresh = (look(c, "main", LEADER, desk.at) for look in (reports.results, report.results))
            assert kept == fresh
            in_detail(fresh)
    desk.advance(8000)
    with database.begin() as c:
        write(c, [e for e in desk.effects[written:] if isinstance(e, RowEffect)])
    with database.connect() as c:
        assert reports.report(c) == report.report(c)
        assert verify(c) == []
    database.dispose()


CENTS = st.integers(5, 95)
STEP = st.tuples(
    st.sampled_from(["BUY", "BUY", "SELL"]),
    st.integers(1, 400),
    CENTS,
    CENTS,
    st.integers(1, 5),
    st.integers(1, 200),
    st.booleans(),
)


@pytest.mark.slow
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.lists(STEP, min_size=1, max_size=12),
    st.sampled_from(["fixed_usdc", "leader_ratio", "fixed_shares"]),
    st.sampled_from([0, 40_000, 70_000]),
    st.sampled_from([None, 0, MICRO // 2, MICRO]),
    st.booleans(),
)
def test_the_parts_add_up_for_any_trades_and_books(
    tmp_path_factory: Any,
    steps: list[tuple[str, int, int, int, int, int, bool]],
    mode: str,
    rate: int,
    payout: int | None,
    stops: bool,
) -> None:
    given_: dict[str, Value] = {"sizing_mode": mode, "leader_ratio": 300_000, "fixed_shares": 20 * MICRO,
                                "below_min": "accumulate", "sell_retry_sec": 2, "max_spread_bps": 3000,
                                "buy_max_slippage_bps": 4000, "per_market_cap_usdc": 60 * MICRO}  # fmt: skip
    if stops:
        given_ |= {"take_profit_bps": 2000, "stop_loss_bps": 2000}
    desk = Desk(given_, fee=FeeSchedule(rate))
    ideal, held = 0.0, 0.0
    for n, (side, shares, cents, bid, spread, depth, late) in enumerate(steps, start=1):
        ask = min(99, bid + spread)
        desk.bids, desk.asks = [(bid / 100, depth), ((bid - 1) / 100, depth)], [(ask / 100, depth)]
        if late:
            desk.advance(20)
        (desk.buy if side == "BUY" else desk.sell)(n, shares, cents / 100, order_hash=f"0x{n:x}")
        desk.advance(4)
    if payout is not None:
        desk.send(ev.MarketSeen(at=desk.at, market=desk.market(TOKEN, closed=True, payout=payout)))
    folder = tmp_path_factory.mktemp("books")
    database = stored(desk, folder)
    for decision in desk.rows("decisions"):
        if decision.get("rule") or decision["trade_id"] is None:
            continue
        trade = desk.tables["trades"][decision["trade_id"]]
        price = trade["usdc_micro"] / trade["shares_micro"]
        if trade["side"] == "BUY":
            held += decision["wanted_usdc_micro"] / price
            ideal -= decision["wanted_usdc_micro"]
        else:
            before = trade["leader_pre_sell_shares_micro"]
            part = min(1.0, trade["shares_micro"] / before) if before else 1.0
            ideal += held * part * price
            held -= held * part
    with database.connect() as c:
        assert verify(c) == []
        (row,) = report.report(c)
        assert row.ideal_micro == row.actual_micro + sum(msgspec.structs.astuple(row.parts))
        found = report.results(c, "main", LEADER, desk.at)
        in_detail(found)
        assert (found.line.ideal, found.line.actual) == (row.ideal_micro, row.actual_micro)
        bought = [f for f in desk.rows("fills") if f["side"] == "BUY"]
        assert row.paid_micro == sum(f["usdc_micro"] + f["fee_micro"] for f in bought)
        assert row.turnover_micro == sum(f["usdc_micro"] for f in desk.rows("fills"))
        assert row.orders_copied + sum(row.orders_passed_by_reason.values()) == row.orders
    if payout is not None:
        assert abs(row.ideal_micro - (ideal + held * payout / MICRO)) < 100 * len(steps)
    earned = desk.cash - usd(10_000)
    mark = desk.engine.state.desks["main"].sums.worth
    assert row.actual_micro == earned + mark
    assert desk.at > START + SECOND
    database.dispose()
