"""A leader's order is one row, however many fills it is eaten in, with what its copies came to together."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from pilotfish.core import events as ev
from pilotfish.core.effects import RowEffect
from pilotfish.core.reasons import Reason
from pilotfish.store import leaders_store
from pilotfish.store.batch import write
from pilotfish.store.copies import State
from pilotfish.store.database import snapshot
from pilotfish.store.mapping import Plain
from pilotfish.store.views.order_feed import read_fills_of_order, read_happened, read_leader_orders
from pilotfish.store.views.order_rows import OrderRow
from pilotfish.store.views.trades import TradeFilter
from tests.desk import LEADER, OTHER, START, Desk, api_fill, tx
from tests.fresh import fresh_database

MICRO = 1_000_000
ONE, TWO = f"0x{1:064x}", f"0x{2:064x}"
"""What orders are known by."""


@pytest.fixture
def database(tmp_path: Path) -> Engine:
    made = fresh_database(tmp_path / "pilotfish.db")
    with made.begin() as c:
        write(c, [Plain("portfolios", {"name": "main", "bankroll_micro": 10**10, "created_at": START})])
        leaders_store.add(c, LEADER, "A leader", START, by="test")
    return made


def stored(desk: Desk, database: Engine) -> None:
    """Write what the desk's engine did since the last time."""
    with database.begin() as c:
        write(c, [e for e in desk.effects if isinstance(e, RowEffect)])
    desk.effects = []


def orders(database: Engine, limit: int = 50, before: int | None = None, **more: Any) -> list[OrderRow]:
    with snapshot(database) as c:
        return read_leader_orders(c, TradeFilter(**more), limit=limit, before=before).data


def happened(database: Engine) -> list[OrderRow]:
    with snapshot(database) as c:
        return read_happened(c, "main", 50)


def three_fills_of_one_and_another_order(database: Engine) -> Desk:
    """Order one is eaten in three fills, between which order two is eaten in one."""
    desk = Desk(holdings={})
    desk.buy(1, 100, 0.50, order_hash=ONE)
    desk.buy(2, 40, 0.50, order_hash=ONE)
    desk.buy(3, 10, 0.50, order_hash=TWO, token_id="7777")
    desk.buy(4, 60, 0.45, order_hash=ONE)
    stored(desk, database)
    return desk


def test_an_order_that_is_eaten_in_fills_is_one_row_whose_size_was_spent_once(database: Engine) -> None:
    three_fills_of_one_and_another_order(database)
    first, second = orders(database)
    assert (first.side, first.fills, first.shares_micro, first.usdc_micro) == ("BUY", 3, 200 * MICRO, 97 * MICRO)
    assert first.price == 0.485
    assert (first.label, first.title, first.began_at < first.at) == ("A leader", "A market", True)
    copied = first.decision
    assert copied is not None
    assert (copied.state, copied.our_shares_micro, copied.our_price) == (State.FILLED, 50 * MICRO, 0.5)
    assert copied.skipped == {}, "fills of an order that was copied already are not skips"
    assert first.trade_id == 1, "the fill that was copied tells most"
    assert (second.fills, second.key) == (1, "t3")
    assert [row.key for row in happened(database)] == [first.key, second.key] == ["t1", "t3"]
    assert happened(database) == [first, second]


def test_a_row_keeps_its_key_and_grows_while_its_order_is_eaten(database: Engine) -> None:
    desk = three_fills_of_one_and_another_order(database)
    before = orders(database)[0]
    desk.buy(5, 100, 0.50, order_hash=ONE)
    stored(desk, database)
    after = orders(database)[0]
    assert (before.key, before.fills) == (after.key, after.fills - 1)
    assert after.shares_micro == before.shares_micro + 100 * MICRO


def test_fills_are_one_order_by_price_and_time_where_no_source_says_which(database: Engine) -> None:
    """The engine spends a size once on them, so a page does not call the others skipped."""
    desk = Desk({"trigger_mode": "api"}, holdings={})
    for n in (1, 2, 3):
        desk.api(api_fill(n, "BUY", 100, 0.50, traded_at=desk.at))
        desk.advance(1)
    desk.api(api_fill(4, "BUY", 100, 0.40, traded_at=desk.at))
    stored(desk, database)
    newer, older = orders(database)
    assert (older.fills, older.shares_micro) == (3, 300 * MICRO)
    assert older.decision is not None
    assert (older.decision.state, older.decision.skipped) == (State.FILLED, {})
    assert (newer.fills, newer.price) == (1, 0.4)


def test_sells_are_grouped_by_what_the_chain_says_and_their_copies_added_up(database: Engine) -> None:
    desk = Desk(holdings={})
    desk.buy(1, 100, 0.50, order_hash=ONE)
    desk.sell(2, 40, 0.49, order_hash=TWO)
    desk.sell(3, 30, 0.49, order_hash=TWO)
    stored(desk, database)
    sold, bought = orders(database)
    assert (sold.side, sold.fills, sold.shares_micro) == ("SELL", 2, 70 * MICRO)
    assert sold.decision is not None
    assert sold.decision.our_shares_micro == 35 * MICRO, "half of what was sold, as we hold half"
    assert sold.decision.state is State.FILLED
    assert bought.fills == 1


def test_an_order_of_which_a_part_was_copied_says_which_of_its_fills_were_not(database: Engine) -> None:
    """Ratio sizes follow each fill."""
    desk = Desk({"sizing_mode": "leader_ratio", "leader_ratio": 100_000, "min_leader_usdc": 20_000_000}, holdings={})
    desk.buy(1, 100, 0.50, order_hash=ONE)
    desk.buy(2, 10, 0.50, order_hash=ONE)
    desk.buy(3, 100, 0.50, order_hash=ONE)
    stored(desk, database)
    (row,) = orders(database)
    assert row.decision is not None
    assert (row.fills, row.decision.state, row.decision.our_shares_micro) == (3, State.FILLED, 20 * MICRO)
    assert row.decision.skipped == {Reason.SKIP_LEADER_SIZE: 1}


def test_an_order_that_was_not_copied_says_why_and_is_found_by_that(database: Engine) -> None:
    desk = Desk(holdings={})
    desk.bids = [(0.10, 100)]
    desk.buy(1, 100, 0.50, order_hash=ONE)
    desk.buy(2, 100, 0.50, order_hash=ONE)
    stored(desk, database)
    desk.bids = [(0.49, 100_000)]
    desk.advance(60)
    desk.buy(3, 100, 0.50, order_hash=TWO)
    desk.buy(4, 100, 0.50, order_hash=TWO)
    stored(desk, database)
    copied, skipped = orders(database)
    assert skipped.decision is not None
    assert (skipped.decision.state, skipped.decision.reason) == (State.SKIPPED, Reason.SKIP_SPREAD)
    assert skipped.decision.skipped == {Reason.SKIP_SPREAD: 2}
    found = {state: [row.key for row in orders(database, state=state)] for state in ("skipped", "filled", "out")}
    assert found == {"skipped": ["t1"], "filled": ["t3"], "out": []}, "a further fill of a copied order is no skip"
    assert orders(database, reason="SKIP_SPREAD") == [skipped]
    assert orders(database, reason="SKIP_SAME_ORDER") == [copied]
    assert orders(database, leader=OTHER) == []


def test_an_order_stands_where_the_newest_fill_is_that_matches(database: Engine) -> None:
    """On the first page or a later one, but never on two."""
    desk = three_fills_of_one_and_another_order(database)
    desk.buy(5, 10, 0.50, order_hash=f"0x{3:064x}", token_id="8888")
    stored(desk, database)
    with snapshot(database) as c:
        seen, before = list[str](), None
        while True:
            page = read_leader_orders(c, TradeFilter(), limit=1, before=before)
            seen += [row.key for row in page.data]
            before = page.next_before
            if before is None:
                break
        assert seen == ["t5", "t1", "t3"]
        late = read_leader_orders(c, TradeFilter(), limit=5, before=5)
        assert [row.key for row in late.data] == ["t1", "t3"]


def test_the_fills_of_an_order_are_told_with_what_was_decided_on_each(database: Engine) -> None:
    three_fills_of_one_and_another_order(database)
    with snapshot(database) as c:
        for number in (1, 2, 4):
            fills = read_fills_of_order(c, "main", number)
            assert [(f.tx_hash, f.decision and f.decision.reason) for f in fills] == [
                (tx(4), Reason.SKIP_SAME_ORDER), (tx(2), Reason.SKIP_SAME_ORDER), (tx(1), Reason.COPY),
            ]  # fmt: skip
        assert [f.id for f in read_fills_of_order(c, "main", 3)] == [3]
        assert [f.id for f in read_fills_of_order(c, "another", 2)] == [4, 2, 1], "the chain says so to everybody"
        assert read_fills_of_order(c, "main", 99) == []


def test_what_a_portfolio_never_decided_on_is_shown_and_is_none_of_what_happened_to_it(database: Engine) -> None:
    three_fills_of_one_and_another_order(database)
    rows = orders(database, portfolio="another")
    assert [(row.key, row.fills, row.decision) for row in rows] == [("t1", 3, None), ("t3", 1, None)]
    with snapshot(database) as c:
        assert read_happened(c, "another", 50) == []


def test_an_exit_of_our_own_is_a_row_without_a_trade(database: Engine) -> None:
    desk = Desk(holdings={})
    desk.buy(1)
    desk.send(ev.CloseAsked(at=desk.at, portfolio="main", leader=None, token_id=None))
    desk.advance(1)
    stored(desk, database)
    sold, bought = happened(database)
    assert (sold.trade_id, sold.side, sold.price, sold.fills) == (None, "SELL", None, 1)
    assert sold.decision is not None
    assert (sold.decision.state, sold.decision.reason) == (State.FILLED, Reason.EXIT_BY_HAND)
    assert sold.shares_micro == sold.decision.our_shares_micro == 50 * MICRO
    assert bought.trade_id == 1


def test_what_a_reorg_took_back_is_counted_and_found(database: Engine) -> None:
    desk = three_fills_of_one_and_another_order(database)
    desk.chain(desk.last_fill, removed=True)
    stored(desk, database)
    row, _ = orders(database)
    assert (row.fills, row.taken_back) == (3, 1)
    assert [one.key for one in orders(database, status="retracted")] == [row.key]
    assert [one.key for one in orders(database, status="active")] == ["t3", "t1"], "by its newest fill that stands"
