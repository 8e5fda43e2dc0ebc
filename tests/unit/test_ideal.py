"""What their prices would have earned depends on their trades and on how sizes are set, and on no guard."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pilotfish.core import events as ev
from pilotfish.core.effects import RowEffect
from pilotfish.core.engine import Engine
from pilotfish.core.fees import FeeSchedule
from pilotfish.core.settings import Globals, Value
from pilotfish.core.trade import Source
from pilotfish.core.units import MICRO, SECOND
from pilotfish.store import following, report, restore
from pilotfish.store import tables as t
from pilotfish.store.batch import write
from pilotfish.store.verify import verify
from pilotfish.store.views.report import Shortfall
from tests.desk import CONDITION, LEADER, NO_TOKEN, START, TOKEN, Desk, api_fill, chain_fill, usd
from tests.fresh import fresh_database

OPEN: dict[str, Value] = {"buy_max_slippage_bps": 10_000, "max_spread_bps": 20_000}


class World:
    """A desk whose rows are in a database, so that its engine can be thrown away and made from them."""

    def __init__(self, desk: Desk, folder: Path) -> None:
        self.desk = desk
        self.database = fresh_database(folder / "books.db")
        self._written = 0
        with self.database.begin() as c:
            for name in desk.policies:
                c.execute(t.portfolios.insert().values(name=name, bankroll_micro=usd(10_000), created_at=START))
            row = {"wallet": LEADER, "label": "", "status": "active", "added_at": START, "updated_at": START}
            c.execute(t.leaders.insert().values(**row))

    def store(self) -> None:
        """Write what was not written yet."""
        with self.database.begin() as c:
            fresh = self.desk.effects[self._written :]
            write(c, [e for e in fresh if isinstance(e, RowEffect)])
            self._written = len(self.desk.effects)

    def restart(self) -> None:
        """The engine is thrown away; another one goes on from the store."""
        self.store()
        desk = self.desk
        with self.database.connect() as c:
            first = restore.restored(c, desk.policies, Globals(), desk.at)
            (leader,) = following.leaders(c)
            again = following.follow_again(c, leader, desk.at)
        assert again is not None
        healthy = desk.engine.state.healthy
        desk.begin(Engine(), desk.at)
        desk.send(first)
        for source in Source:
            desk.send(ev.HealthChanged(at=desk.at, source=source, healthy=healthy[source]))
        desk.send(again)

    def report(self) -> dict[str, Shortfall]:
        """Portfolio -> its line; the parts add up, and the books are right."""
        self.store()
        with self.database.connect() as c:
            assert verify(c) == []
            rows = report.report(c)
            assert report.Reports().report(c) == rows
        for row in rows:
            assert row.ideal_micro == row.actual_micro + sum(msgspec.structs.astuple(row.parts))
        return {row.portfolio: row for row in rows}


@contextmanager
def world(desk: Desk, folder: Path) -> Iterator[World]:
    made = World(desk, folder)
    yield made
    made.database.dispose()


def fill(desk: Desk, n: int, price: float, order: int, shares: float = 100, **more: Any) -> None:
    """One of several fills of an order of theirs, seen on chain."""
    desk.buy(n, shares, price, order_hash=f"0x{order:x}", **more)


def pay(desk: Desk, payout: int) -> None:
    desk.send(ev.MarketSeen(at=desk.at, market=desk.market(TOKEN, closed=True, payout=payout)))


def test_an_order_counts_once_at_their_prices_whatever_became_of_its_fills(tmp_path: Path) -> None:
    """25 USDC at 0.50, the first fill's price, are 50 shares; with all 21 fills of it skipped as with one copied."""
    desk = Desk(dict(OPEN), others={"tight": {"max_spread_bps": 1, "max_spread_ticks": 0}})
    for n in range(1, 22):
        fill(desk, n, 0.50 + n // 7 / 100, order=1)
    pay(desk, MICRO)
    with world(desk, tmp_path) as made:
        lines = made.report()
        assert lines["main"].ideal_micro == lines["tight"].ideal_micro == usd(25)
        assert lines["tight"].skipped_by_reason == {"SKIP_SPREAD": usd(25)}
        assert [(x.orders, x.orders_copied, x.trades, x.copied) for x in lines.values()] == [
            (1, 1, 21, 1),
            (1, 0, 21, 0),
        ]


def test_what_waiting_for_a_later_fill_made_goes_to_the_reason_of_the_first(tmp_path: Path) -> None:
    """Skipped at 0.50, copied at 0.40 when the spread was narrow: 12.5 shares more for the same 25 USDC."""
    desk = Desk({**OPEN, "max_spread_bps": 500}, bids=[(0.30, 1e6)], asks=[(0.50, 1e6)], others={"free": OPEN})
    fill(desk, 1, 0.50, order=1)
    desk.bids, desk.asks = [(0.399999, 1e6)], [(0.40, 1e6)]
    desk.advance(5)
    fill(desk, 2, 0.40, order=1)
    fill(desk, 3, 0.40, order=1)
    pay(desk, MICRO)
    with world(desk, tmp_path) as made:
        lines = made.report()
        assert lines["main"].ideal_micro == lines["free"].ideal_micro == usd(25)
        assert lines["main"].actual_micro == usd(62.5 - 25)
        assert lines["main"].skipped_by_reason == {"SKIP_SPREAD": -usd(12.5)}
        assert lines["main"].orders_copied == 1


def test_an_order_that_a_later_fill_copied_is_not_also_counted_as_passed_over(tmp_path: Path) -> None:
    """Three orders: one copied at its second fill, one never, one at once; a period has those that began in it."""
    desk = Desk({**OPEN, "max_spread_bps": 500}, bids=[(0.30, 1e6)], asks=[(0.50, 1e6)])
    fill(desk, 1, 0.50, order=1)
    fill(desk, 2, 0.50, order=2)
    desk.advance(5)
    later = desk.at
    desk.bids, desk.asks = [(0.399999, 1e6)], [(0.40, 1e6)]
    fill(desk, 3, 0.40, order=1)
    fill(desk, 4, 0.40, order=1)
    fill(desk, 5, 0.40, order=3)
    with world(desk, tmp_path) as made:
        line = made.report()["main"]
        assert (line.orders, line.orders_copied, line.orders_passed_by_reason) == (3, 2, {"SKIP_SPREAD": 1})
        with made.database.connect() as c:
            (line,) = report.report(c, since=later)
            assert (line.orders, line.orders_copied, line.orders_passed_by_reason) == (1, 1, {})


@pytest.mark.parametrize("restarted", [False, True])
def test_a_resting_order_is_one_order_over_days_and_over_a_restart(tmp_path: Path, restarted: bool) -> None:
    desk = Desk(dict(OPEN), others={"tight": {"max_spread_bps": 1, "max_spread_ticks": 0}})
    with world(desk, tmp_path) as made:
        fill(desk, 1, 0.50, order=1)
        for n in range(2, 5):
            desk.advance(2 * 86_400)
            if restarted:
                made.restart()
            fill(desk, n, 0.50, order=1)
        lines = made.report()
        assert lines["main"].fills == 1
        assert [d["reason"] for d in desk.rows("decisions") if d["portfolio"] == "main"][1:] == ["SKIP_SAME_ORDER"] * 3
        assert lines["main"].orders == lines["tight"].orders == 1
        assert lines["main"].ideal_micro == lines["tight"].ideal_micro


def test_an_order_first_seen_by_the_api_is_known_by_its_hash_later(tmp_path: Path) -> None:
    """Two fills at one price, one seen by the API first: one order, also after a restart, and for the fill hours on."""
    desk = Desk(dict(OPEN), others={"tight": {"max_spread_bps": 1, "max_spread_ticks": 0}})
    with world(desk, tmp_path) as made:
        desk.api(api_fill(1, "BUY", 100, 0.50, traded_at=desk.at))
        desk.advance(1)
        desk.chain(chain_fill(1, "BUY", 100, 0.50, traded_at=START, order_hash="0x7"))
        desk.advance(7200)
        made.restart()
        fill(desk, 2, 0.52, order=7)
        lines = made.report()
        assert lines["main"].orders == lines["tight"].orders == 1
        assert lines["main"].ideal_micro == lines["tight"].ideal_micro


def test_with_the_first_fill_taken_back_the_first_that_stands_counts(tmp_path: Path) -> None:
    desk = Desk(dict(OPEN), others={"tight": {"max_spread_bps": 1, "max_spread_ticks": 0}})
    gone = chain_fill(1, "BUY", 100, 0.50, traded_at=desk.at, order_hash="0x1")
    desk.chain(gone)
    desk.advance(1)
    fill(desk, 2, 0.40, order=1)
    desk.chain(gone, removed=True)
    desk.advance(120)
    fill(desk, 3, 0.50, order=1)
    pay(desk, MICRO)
    with world(desk, tmp_path) as made:
        lines = made.report()
        assert lines["main"].ideal_micro == lines["tight"].ideal_micro == usd(62.5 - 25)


def test_an_exit_without_a_trade_leaves_the_ideal_of_everybody_at_one_price(tmp_path: Path) -> None:
    """A merge takes all that they hold: the ideal sells, also where we hold nothing of it."""
    desk = Desk(dict(OPEN), others={"tight": {"max_spread_bps": 1, "max_spread_ticks": 0}}, holdings={})
    fill(desk, 1, 0.50, order=1, shares=100)
    desk.advance(60)
    move = ev.Move(kind="MERGE", tx_hash="0xaa", condition_id=CONDITION, amount=usd(100), at=desk.at)
    second = desk.at // SECOND
    desk.send(ev.ApiWindowRead(at=desk.at, leader=LEADER, fills=(), cursor_ts=second, moves=(move,)))
    desk.send(ev.HoldingsSnapshot(at=desk.at, leader=LEADER, as_of=desk.at, holdings=()))
    desk.advance(30)
    pay(desk, MICRO)
    with world(desk, tmp_path) as made:
        lines = made.report()
        assert lines["main"].ideal_micro == lines["tight"].ideal_micro == usd(50 * 0.49 - 25)


def test_a_bankroll_ratio_is_measured_by_the_bankroll_and_what_equity_changed_has_a_name(tmp_path: Path) -> None:
    """1 % of theirs: 100 USDC of a bankroll of 10,000. Ours was halved by then, so 50 was asked for."""
    sizing: dict[str, Value] = {**OPEN, "sizing_mode": "bankroll_ratio", "per_trade_cap_usdc": 0}
    desk = Desk(sizing, others={"tight": {**sizing, "max_spread_bps": 1}}, asks=[(0.50, 1e6)], bids=[(0.499999, 1e6)])
    desk.send(ev.HoldingsSnapshot(at=desk.at, leader=LEADER, as_of=desk.at, holdings=(), value=usd(10_000)))
    desk.engine.state.desks["main"].cash -= usd(5_000)
    fill(desk, 1, 0.50, order=1, shares=200)
    main, tight = (d for d in desk.rows("decisions"))
    assert main["wanted_usdc_micro"] == tight["wanted_usdc_micro"] == usd(100)
    assert (main["asked_usdc_micro"], tight["asked_usdc_micro"]) == (usd(50), usd(100))
    with world(desk, tmp_path) as made:
        made.store()
        with made.database.connect() as c:
            lines = {k[0]: line for k, line in report.lines(c).items()}
        assert lines["main"].ideal == lines["tight"].ideal
        assert lines["main"].parts.missed.keys() <= {"RESIZED", "FEWER_SHARES"}


LIMITS: dict[str, list[Value]] = {
    "max_spread_bps": [1, 300, 20_000],
    "buy_max_slippage_bps": [0, 100, 10_000],
    "sell_max_slippage_bps": [0, 10_000],
    "min_depth_usdc": [0, usd(1000)],
    "per_trade_cap_usdc": [usd(5), usd(250)],
    "per_market_cap_usdc": [usd(20), usd(1000)],
    "daily_cap_usdc": [0, usd(30)],
    "max_open_positions": [0, 1],
    "max_copy_usdc": [0, usd(7)],
    "min_copy_usdc": [usd(1), usd(20)],
    "below_min": ["skip", "accumulate", "raise"],
    "min_price": [0, usd(0.45)],
    "min_leader_usdc": [0, usd(30)],
    "skip_keywords": ["", "market"],
    "copy_side": ["both", "buy", "sell"],
    "paused": [False, True],
    "catch_up_buy_max_age_sec": [10, 300],
    "catch_up_buy_require_better_price": [False, True],
    "daily_loss_stop_usdc": [0, usd(1)],
    "take_profit_bps": [0, 500],
    "stop_loss_bps": [0, 500],
    "order_latency_ms": [0, 300, 2000],
    "max_buys_per_outcome": [0, 1],
    "cap_mode": ["cut", "skip"],
    "orphan_policy": ["keep", "exit"],
}
GUARDS = st.lists(
    st.sampled_from([(name, value) for name, values in LIMITS.items() for value in values]), max_size=3
).map(dict)
"""A few at a time: with all of them nothing would ever be copied."""
SIZES: list[dict[str, Value]] = [
    {},
    {"size_tiers": "20:2"},
    {"sizing_mode": "fixed_shares", "fixed_shares": 20 * MICRO},
    {"sizing_mode": "leader_ratio", "leader_ratio": 300_000},
    {"sizing_mode": "bankroll_ratio"},
]
STEP = st.tuples(
    st.sampled_from(
        [
            "buy",
            "buy",
            "buy",
            "buy",
            "buy",
            "sell",
            "restart",
            "reorg",
            "value",
            "merge",
            "close",
            "reading",
            "change",
            "change",
        ]
    ),
    st.integers(1, 2),  # order
    st.sampled_from([TOKEN, TOKEN, TOKEN, NO_TOKEN]),
    st.integers(5, 300),  # shares
    st.integers(20, 80),  # cents
    st.sampled_from(["chain", "chain", "api", "api, then chain"]),
    st.sampled_from([1, 3, 30]),  # spread in cents
    st.sampled_from([True, True, True, False]),  # whether books can be read
    st.sampled_from([0, 1, 5, 30, 90, 4000]),  # what passes then, in seconds
)

BEGIN = [
    ("buy", 1, TOKEN, 100, 50, "chain", 1, True, 1),
    ("change", 1, TOKEN, 100, 50, "chain", 1, True, 1),
    ("buy", 1, TOKEN, 100, 40, "chain", 1, True, 1),
]
"""One portfolio is paused at an order's first fill and not at its second."""


@pytest.mark.slow
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.lists(STEP, min_size=2, max_size=12), st.sampled_from(SIZES), GUARDS, GUARDS, st.sampled_from([None, 0, MICRO])
)
def test_no_guard_changes_what_their_prices_would_have_earned(
    tmp_path_factory: Any,
    steps: list[tuple[str, int, str, int, int, str, int, bool, int]],
    sizes: dict[str, Value],
    one: dict[str, Value],
    other: dict[str, Value],
    payout: int | None,
) -> None:
    desk = Desk({**OPEN, **sizes}, others={"one": {**OPEN, **sizes, "paused": True}, "other": {**sizes, **other}},
                fee=FeeSchedule(40_000), holdings={TOKEN: 20})  # fmt: skip
    seen: list[Any] = []
    moments = []
    with world(desk, tmp_path_factory.mktemp("books")) as made:
        story = [*BEGIN, *steps]
        for n, (what, order, token, shares, cents, source, spread, readable, pause) in enumerate(story, start=1):
            desk.answer_books = readable
            desk.bids, desk.asks = [(cents / 100, 300.0)], [(min(99, cents + spread) / 100, 200.0)]
            at = desk.at // SECOND * SECOND
            if what in ("buy", "sell"):
                of: dict[str, Any] = {"traded_at": at, "token_id": token}
                log = chain_fill(n, what.upper(), shares, cents / 100, order_hash=f"0x{order:x}", **of)
                if source != "chain":
                    fee = 1.01 if source == "api, then chain" else 1.0
                    desk.api(api_fill(n, what.upper(), shares, cents / 100 * fee, **of))
                    desk.advance(2)
                if source != "api":
                    desk.chain(log)
                    seen.append(log)
            elif what == "restart":
                made.restart()
            elif what == "reorg" and seen:
                desk.chain(seen.pop(order % len(seen)), removed=True)
            elif what == "value":
                told = {t: h.shares for (_, t), h in desk.engine.state.holdings.items()}
                snapshot = ev.HoldingsSnapshot(
                    at=desk.at, leader=LEADER, as_of=desk.at, holdings=tuple(sorted(told.items())),
                    value=usd(shares * 10),
                )  # fmt: skip
                desk.send(snapshot)
            elif what == "merge":
                desk.advance(15)
                held = desk.leader_holds(token)
                move = ev.Move(kind="MERGE", tx_hash=f"0x{n}", condition_id=CONDITION, amount=held, at=desk.at)
                second = desk.at // SECOND
                desk.send(ev.ApiWindowRead(at=desk.at, leader=LEADER, fills=(), cursor_ts=second, moves=(move,)))
                desk.send(ev.HoldingsSnapshot(at=desk.at, leader=LEADER, as_of=desk.at, holdings=()))
            elif what == "change":
                now = {} if desk.others["one"].get("paused") else {"paused": True}
                desk.others["one"] = {**OPEN, **sizes, **one, "paused": False, **now}
                policy = desk.policies["one"]
                desk.send(ev.PolicyChanged(at=desk.at, portfolio="one", policy=policy))
            elif what == "close":
                desk.send(ev.CloseAsked(at=desk.at, portfolio="one"))
            else:
                desk.send(desk.book_event(token))
            desk.advance(pause)
            moments.append(desk.at)
        desk.answer_books = True
        if payout is not None:
            pay(desk, payout)
        lines = made.report()
        ideals = {name: line.ideal_micro for name, line in lines.items()}
        assert len(set(ideals.values())) <= 1, ideals
        assert len({line.orders for line in lines.values()}) <= 1
        with made.database.connect() as c:
            for since in moments[:: max(1, len(moments) // 3)]:
                later = {r.portfolio: r.ideal_micro for r in report.report(c, since=since + 1)}
                assert len(set(later.values())) <= 1, (since, later)
