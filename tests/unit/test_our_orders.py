"""Our orders: what each was for, what it got, what it cost and why it ended; filtered, in pages, and added up."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from pilotfish.core import events as ev
from pilotfish.core.effects import RowEffect
from pilotfish.core.fees import FeeSchedule
from pilotfish.core.reasons import Outcome, Reason
from pilotfish.store import leaders_store
from pilotfish.store.batch import write
from pilotfish.store.copies import State
from pilotfish.store.database import snapshot
from pilotfish.store.mapping import Plain
from pilotfish.store.views.our_orders import OrderFilter, OurOrder, read_our_order, read_our_orders, read_our_totals
from tests.desk import LEADER, NO_TOKEN, OTHER, START, TOKEN, Desk
from tests.fresh import fresh_database

MICRO = 1_000_000


@pytest.fixture
def database(tmp_path: Path) -> Engine:
    made = fresh_database(tmp_path / "pilotfish.db")
    with made.begin() as c:
        write(c, [Plain("portfolios", {"name": "main", "bankroll_micro": 10**10, "created_at": START})])
        leaders_store.add(c, LEADER, "A leader", START, by="test")
    return made


def four_orders(database: Engine) -> Desk:
    """A BUY that is filled, half of it sold, a BUY of the other outcome that finds nothing, and the rest sold by hand;
    the market has a fee."""
    desk = Desk(holdings={}, fee=FeeSchedule(rate_ppm=20_000))
    desk.buy(1)
    desk.sell(2, 50)
    desk.chain_buy(3, token_id=NO_TOKEN)
    desk.asks = [(0.90, 100_000)]
    desk.advance(1)
    desk.asks = [(0.50, 100_000)]
    desk.send(ev.CloseAsked(at=desk.at, portfolio="main"))
    desk.advance(1)
    with database.begin() as c:
        write(c, [e for e in desk.effects if isinstance(e, RowEffect)])
    desk.effects = []
    return desk


def ours(database: Engine, limit: int = 50, before: int | None = None, **more: Any) -> list[OurOrder]:
    with snapshot(database) as c:
        return read_our_orders(c, OrderFilter(**more), limit=limit, before=before).data


def test_an_order_says_what_it_was_for_what_it_got_what_it_cost_and_why_it_ended(database: Engine) -> None:
    desk = four_orders(database)
    by_hand, nothing, sold, bought = ours(database)
    assert (bought.side, bought.state, bought.order_usdc_micro, bought.our_shares_micro) == (
        "BUY", State.FILLED, 25 * MICRO, 50 * MICRO,
    )  # fmt: skip
    assert (bought.label, bought.title, bought.outcome, bought.limit_price) == ("A leader", "A market", "Yes", 0.51)
    assert (bought.our_price, bought.trade_id, bought.reason) == (0.5, 1, Reason.COPY)
    assert bought.delay_ms == 300
    fees = {row["id"]: row["fee_micro"] for row in desk.rows("fills")}
    assert bought.fees_micro == fees[1] > 0
    assert (sold.side, sold.order_shares_micro, sold.our_shares_micro) == ("SELL", 25 * MICRO, 25 * MICRO)
    assert (nothing.state, nothing.intent_reason, nothing.why) == (
        State.NOT_FILLED, Outcome.UNFILLED_PRICE, "nothing on offer within the limit",
    )  # fmt: skip
    assert (nothing.fees_micro, nothing.delay_ms, nothing.our_price) == (0, None, None)
    assert (by_hand.trade_id, by_hand.reason, by_hand.delay_ms) == (None, Reason.EXIT_BY_HAND, None)


def test_orders_are_filtered_and_their_totals_are_of_what_is_filtered(database: Engine) -> None:
    four_orders(database)
    every = [order.id for order in ours(database)]
    assert every == [4, 3, 2, 1]
    expected: dict[str, tuple[dict[str, Any], list[int]]] = {
        "filled": ({"state": State.FILLED}, [4, 2, 1]),
        "not filled": ({"state": State.NOT_FILLED}, [3]),
        "out": ({"state": State.OUT}, []),
        "sells": ({"side": "SELL"}, [4, 2]),
        "a leader": ({"leader": LEADER, "side": "BUY"}, [3, 1]),
        "a leader's filled": ({"leader": LEADER, "state": State.FILLED}, [4, 2, 1]),
        "nobody": ({"leader": OTHER}, []),
        "another portfolio": ({"portfolio": "another"}, []),
        "a market, by any of its tokens": ({"market": TOKEN}, [4, 3, 2, 1]),
        "an unknown market": ({"market": "77"}, []),
        "words": ({"words": "market"}, [4, 3, 2, 1]),
        "other words": ({"words": "rain"}, []),
    }
    for name, (asked, numbers) in expected.items():
        assert [order.id for order in ours(database, **asked)] == numbers, name
        with snapshot(database) as c:
            totals = read_our_totals(c, OrderFilter(**asked))
        assert (totals.orders, totals.more) == (len(numbers), False), name
        assert totals.filled + totals.not_filled + totals.out == len(numbers), name


def test_totals_add_up_what_was_spent_what_came_back_and_the_fees(database: Engine) -> None:
    desk = four_orders(database)
    fills = desk.rows("fills")
    with snapshot(database) as c:
        totals = read_our_totals(c, OrderFilter())
        assert (totals.filled, totals.not_filled, totals.out) == (3, 1, 0)
        assert totals.bought_micro == sum(f["usdc_micro"] for f in fills if f["side"] == "BUY") == 25 * MICRO
        assert totals.sold_micro == sum(f["usdc_micro"] for f in fills if f["side"] == "SELL") > 0
        assert totals.fees_micro == sum(f["fee_micro"] for f in fills) > 0
        newest = read_our_totals(c, OrderFilter(), most=2)
        assert (newest.orders, newest.filled + newest.not_filled, newest.more) == (2, 2, True)
        assert newest.bought_micro == 0, "the newest two bought nothing"
        assert not read_our_totals(c, OrderFilter(), most=4).more


def test_a_page_goes_on_where_the_one_before_it_ended(database: Engine) -> None:
    four_orders(database)
    with snapshot(database) as c:
        first = read_our_orders(c, OrderFilter(), limit=3)
        assert ([order.id for order in first.data], first.next_before) == ([4, 3, 2], 2)
        last = read_our_orders(c, OrderFilter(), limit=3, before=first.next_before)
        assert ([order.id for order in last.data], last.next_before) == ([1], None)


def test_an_orders_history_holds_its_fills_with_the_levels_and_what_they_moved_in_the_ledger(database: Engine) -> None:
    four_orders(database)
    with snapshot(database) as c:
        found = read_our_order(c, 1)
        assert found is not None
        assert found.order == ours(database)[-1]
        (filled,) = found.fills
        assert [(level.price, level.shares_micro) for level in filled.levels] == [(0.5, 50 * MICRO)]
        assert [(entry.kind, entry.amount_micro) for entry in found.entries] == [
            ("buy", -25 * MICRO), ("fee", -filled.fee_micro),
        ]  # fmt: skip
        unfilled = read_our_order(c, 3)
        assert unfilled is not None
        assert (unfilled.fills, unfilled.entries) == ([], [])
        assert read_our_order(c, 99) is None
