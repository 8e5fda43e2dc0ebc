"""Whatever waits has something that ends its wait, over a restart as well; late trades are judged the same twice."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from sqlalchemy import insert

from pilotfish.core import events as ev
from pilotfish.core.effects import CheckChain, Effect, NeedHoldings, RowEffect, SetTimer
from pilotfish.core.engine import Engine
from pilotfish.core.leader_orders import LeaderOrder
from pilotfish.core.settings import Globals, Value, policy_from
from pilotfish.core.trade import Source, TradeClass
from pilotfish.core.units import SECOND
from pilotfish.store import exports, following, leaders_store, portfolios_store, restore
from pilotfish.store import tables as t
from pilotfish.store.batch import write
from tests.desk import CONDITION, LEADER, START, TOKEN, Desk, api_fill, chain_fill, tx, usd
from tests.fresh import fresh_database


class Stored(Desk):
    """A desk whose rows are in a real store, from which it can be started anew."""

    def __init__(self, folder: Path, globals_: Globals = Globals(), *, told: bool = True, **settings: Value) -> None:
        """``told``: the first snapshot says at once that the leader holds nothing."""
        self.database = fresh_database(folder / "x.db")
        self.globals = globals_
        with self.database.begin() as c:
            portfolios_store.ensure_main(c, policy_from(settings), START)
            c.execute(
                insert(t.leaders).values(wallet=LEADER, label="", status="active", added_at=START, updated_at=START)
            )
        super().__init__(settings=dict(settings), holdings={} if told else None)

    def took(self, event: ev.Event, effects: list[Effect]) -> None:
        """See an event, and write what came of it."""
        super().took(event, effects)
        with self.database.begin() as c:
            write(c, [e for e in effects if isinstance(e, RowEffect)])

    def restart(self, after: float = 1.0, *, healthy: bool = True) -> None:
        """Stop at once and begin anew from the store, ``after`` seconds later. Timers that were set are gone."""
        self.begin(Engine(), self.at + round(after * SECOND))
        with self.database.begin() as c:
            first = restore.restored(c, {"main": policy_from(self.settings)}, self.globals, self.at)
            leader = following.leaders(c)[0]
            left, followed = following.taken_up(c, leader, self.at, started_at=self.at, left=False)
        self.send(first)
        if healthy:
            self.send(ev.HealthChanged(at=self.at, source=Source.POLYGON, healthy=True))
        if left is not None:
            self.send(left)
        self.send(followed)

    def stored(self, table: str) -> list[Any]:
        """A table's rows as they are in the store."""
        with self.database.connect() as c:
            return list(c.execute(t.metadata.tables[table].select()).all())


def test_a_restart_within_a_minute_of_a_reorg_leaves_no_order_open_and_nothing_waits_behind_it(tmp_path: Path) -> None:
    desk = Stored(tmp_path)
    fill = chain_fill(1, "BUY", 100, 0.50)
    desk.chain(fill)
    desk.chain(fill, removed=True)
    desk.restart()
    assert desk.engine.state.desks["main"].intents, "the order still waits whether the trade is mined again"
    desk.advance(70)
    assert [i.state for i in desk.stored("intents")] == ["cancelled"]
    desk.buy(2)
    assert desk.held() == usd(50)
    desk.sell(3, 100)
    assert desk.held() == 0


def test_a_retracted_trade_that_is_mined_again_after_the_restart_goes_on(tmp_path: Path) -> None:
    desk = Stored(tmp_path)
    fill = chain_fill(1, "BUY", 100, 0.50)
    desk.chain(fill)
    desk.chain(fill, removed=True)
    desk.restart()
    desk.advance(10)
    desk.chain(chain_fill(1, "BUY", 100, 0.50, block_number=101, block_hash="0x" + "2" * 64))
    desk.advance(5)
    assert desk.held() == usd(50)
    desk.advance(100)
    assert [i.state for i in desk.stored("intents")] == ["filled"]


@pytest.mark.parametrize(
    ("away", "ask", "held", "end"),
    [
        (400, 0.50, 0, ("cancelled", "CANCELLED_TOO_OLD")),
        (60, 0.51, 0, ("cancelled", "UNFILLED_PRICE")),
        (60, 0.50, 50, ("filled", None)),
    ],
)
def test_an_order_that_a_reorg_held_over_a_restart_is_judged_as_late_when_it_goes_out_again(
    tmp_path: Path, away: float, ask: float, held: float, end: tuple[str, str | None]
) -> None:
    desk = Stored(tmp_path)
    fill = chain_fill(1, "BUY", 100, 0.50)
    desk.chain(fill)
    desk.chain(fill, removed=True)
    desk.asks = [(ask, 1000)]
    desk.restart(after=away)
    desk.advance(20)
    desk.chain(chain_fill(1, "BUY", 100, 0.50, block_number=101, block_hash="0x" + "2" * 64))
    desk.advance(5)
    assert [(i.state, i.reason) for i in desk.stored("intents")] == [end]
    assert desk.held() == usd(held)


def test_an_order_is_judged_by_how_late_it_is_at_the_venue_when_it_was_open_over_a_restart(tmp_path: Path) -> None:
    desk = Stored(tmp_path, order_latency_ms=20_000)
    desk.chain(chain_fill(1, "BUY", 100, 0.50))
    desk.asks = [(0.51, 1000)]
    desk.restart()
    desk.advance(25)
    assert [(i.state, i.reason) for i in desk.stored("intents")] == [("cancelled", "UNFILLED_PRICE")]


def test_books_that_were_missing_before_a_restart_count(tmp_path: Path) -> None:
    desk = Stored(tmp_path, catch_up_buy_require_better_price=False)
    desk.chain(chain_fill(1, "BUY", 100, 0.50))
    desk.answer_books = False
    for n in (1, 2):
        desk.advance(1)
        desk.send(ev.BookMissing(at=desk.at, token_id=TOKEN))
        assert [(i.state, i.attempts, i.due_at) for i in desk.stored("intents")] == [("pending", n, desk.at + SECOND)]
    desk.restart()
    desk.advance(2)
    desk.send(ev.BookMissing(at=desk.at, token_id=TOKEN))
    assert [(i.state, i.reason, i.attempts) for i in desk.stored("intents")] == [("failed", "FAILED_NO_BOOK", 3)]


@pytest.mark.parametrize("restart", [False, True])
def test_the_limit_of_an_exit_follows_a_finer_tick_over_a_restart_too(tmp_path: Path, *, restart: bool) -> None:
    desk = Stored(tmp_path, sell_max_slippage_bps=500, sell_max_slippage_ticks=0)
    desk.buy(1)
    desk.chain_sell(2, 100, 0.50)
    desk.tick, desk.bids = 1_000, [(0.476, 1000)]
    if restart:
        desk.restart()
    desk.advance(5)
    (exit_,) = [i for i in desk.stored("intents") if i.side == "SELL"]
    assert (exit_.state, exit_.limit_price_micro) == ("filled", 475_000)


def test_a_decision_that_waited_for_a_reorg_is_ended_after_a_restart(tmp_path: Path) -> None:
    desk = Stored(tmp_path)
    desk.answer_markets = False
    fill = chain_fill(1, "BUY", 100, 0.50)
    desk.chain(fill)
    desk.chain(fill, removed=True)
    desk.answer_markets = True
    desk.restart()
    desk.advance(70)
    assert [(d.action, d.reason) for d in desk.stored("decisions")] == [("skip", "SKIP_RETRACTED")]


def test_the_api_fallback_and_the_missing_log_are_watched_for_after_a_restart(tmp_path: Path) -> None:
    desk = Stored(tmp_path)
    desk.chain(chain_fill(1, "BUY", 100, 0.50))
    desk.at += 3 * SECOND
    desk.api(api_fill(2, "BUY", 100, 0.50, traded_at=START + 2 * SECOND))
    desk.restart(after=2)
    desk.engine.state.healthy_since[Source.POLYGON] = START
    desk.advance(20)
    lagged = {trade.tx_hash[-1]: bool(trade.api_lagged) for trade in desk.stored("trades")}
    assert lagged == {"1": True, "2": False}
    assert any(isinstance(e, CheckChain) for e in desk.effects)


def test_holdings_are_compared_soon_after_a_restart(tmp_path: Path) -> None:
    desk = Stored(tmp_path)
    desk.buy(1)
    desk.effects.clear()
    desk.restart()
    desk.advance(30)
    assert NeedHoldings(LEADER, bootstrap=False) in desk.effects


@pytest.mark.parametrize("moment", [0.0, 0.1, 0.5], ids=["at once", "before the order arrives", "after its fill"])
def test_an_order_is_never_left_open_wherever_the_restart_comes(tmp_path: Path, moment: float) -> None:
    desk = Stored(tmp_path)
    desk.chain(chain_fill(1, "BUY", 100, 0.50))
    desk.advance(moment)
    desk.restart()
    desk.advance(30)
    assert [i.state for i in desk.stored("intents")] == ["filled"]
    assert desk.held() == usd(50)


def test_every_timer_that_is_running_can_be_worked_out_of_the_state(tmp_path: Path) -> None:
    desk = Stored(tmp_path)
    fill = chain_fill(1, "BUY", 100, 0.50)
    desk.chain(fill)
    desk.chain(chain_fill(2, "BUY", 50, 0.50, token_id="2002"))
    desk.chain(fill, removed=True)
    running = {(e.timer, e.at) for e in desk.effects if isinstance(e, SetTimer) and e.timer in desk.drive.timers}
    open_now = desk.engine.timers(desk.at)
    assert {(timer.timer, timer.at) for timer in open_now} <= running
    assert {type(timer.timer).__name__ for timer in open_now} == {"OrderDue", "ReorgOver", "ApiOverdue"}


# -- one rule for late trades ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("usdc", "ask", "held"),
    [(49.99999, 0.50, 0), (49.99999, 0.49, 51.0204), (50, 0.50, 50), (49.5, 0.495, 50.5050)],
)
def test_the_catch_up_price_is_the_same_in_the_decision_and_in_the_second_look(
    tmp_path: Path, usdc: float, ask: float, held: float
) -> None:
    for restart in (False, True):
        folder = tmp_path / str(restart)
        folder.mkdir()
        desk = Stored(folder)
        fill = chain_fill(1, "BUY", 100, 0.50, usdc=usd(usdc))
        if restart:
            desk.asks, desk.bids = [(0.49, 1000)], [(0.48, 1000)]
            desk.chain(fill)
            desk.asks, desk.bids = [(ask, 1000)], [(0.48, 1000)]
            desk.restart(after=60)
        else:
            desk.at += 60 * SECOND
            desk.asks, desk.bids = [(ask, 1000)], [(0.48, 1000)]
            desk.chain(fill)
        desk.advance(5)
        assert desk.held() == usd(held), "restarted" if restart else "decided late"


def test_a_trades_class_does_not_depend_on_the_portfolios_and_their_order(tmp_path: Path) -> None:
    for own in (1, 3600):
        folder = tmp_path / str(own)
        folder.mkdir()
        desk = Stored(folder, max_live_lag_sec=own)
        desk.at += 20 * SECOND
        desk.chain(chain_fill(1, "BUY", 100, 0.50))
        assert [trade._mapping["class"] for trade in desk.stored("trades")] == [TradeClass.CATCH_UP]
        desk.send(ev.GlobalsChanged(at=desk.at, globals=Globals(max_live_lag_sec=30)))
        desk.chain(chain_fill(2, "BUY", 100, 0.50))
        assert desk.stored("trades")[-1]._mapping["class"] == TradeClass.LIVE


# -- what was used up ------------------------------------------------------------------------------------------


def test_liquidity_that_was_used_up_is_used_up_after_a_restart(tmp_path: Path) -> None:
    desk = Stored(tmp_path)
    desk.asks = [(0.50, 60)]
    desk.buy(1)
    desk.restart()
    desk.buy(2)
    assert desk.held() == usd(60)
    desk.asks = [(0.51, 60)]
    desk.send(desk.book_event(TOKEN))
    assert desk.stored("liquidity_taken") == []
    desk.send(ev.PaperReset(at=desk.at))
    desk.asks = [(0.50, 60)]
    desk.buy(3)
    desk.send(ev.PaperReset(at=desk.at))
    assert desk.stored("liquidity_taken") == []
    desk.buy(4)
    assert desk.held() == usd(50), "a reset begins with whole books"


def known_orders(desk: Stored) -> dict[tuple[str, str], list[LeaderOrder]]:
    return {key: list(orders) for key, orders in desk.engine.state.desks["main"].orders.items()}


def test_an_order_of_a_leader_that_takes_longer_than_trades_are_remembered_is_one_order_after_a_restart(
    tmp_path: Path,
) -> None:
    desk = Stored(tmp_path)
    desk.buy(1, order_hash="0xaa")
    desk.advance(7 * 86_400)
    desk.buy(2, order_hash="0xaa")
    desk.api(api_fill(2, "BUY", 100, 0.50, traded_at=desk.last_fill.traded_at))
    desk.advance(2 * 86_400)
    before = known_orders(desk)
    desk.restart()
    assert [trade.tx_hash for trade in desk.engine.state.index] == [tx(2)]
    assert known_orders(desk) == before
    desk.buy(3, order_hash="0xaa")
    assert desk.reasons == ["COPY", "SKIP_SAME_ORDER", "SKIP_SAME_ORDER"]


def test_what_waited_when_a_leader_was_left_and_followed_again_between_two_runs_is_never_copied(tmp_path: Path) -> None:
    desk = Stored(tmp_path, trigger_mode="polygon")
    desk.buy(1)
    desk.send(ev.HealthChanged(at=desk.at, source=Source.POLYGON, healthy=False))
    desk.chain_sell(2, 100)
    assert [d.reason for d in desk.stored("decisions")] == ["COPY", "WAIT_POLYGON_UNHEALTHY"]
    with desk.database.begin() as c:
        leaders_store.set_status(c, LEADER, "removed", desk.at + 5 * SECOND, by="test")
        leaders_store.add(c, LEADER, "", desk.at + 6 * SECOND, by="test")
    desk.restart(10)
    assert [d.reason for d in desk.stored("decisions")] == ["COPY", "SKIP_PAUSED"]
    assert desk.held() == usd(50)
    desk.chain(chain_fill(3, "BUY", 200, 0.50, traded_at=desk.at - 7 * SECOND))
    assert len(desk.stored("trades")) == 2, "what they did in between is not even recorded"
    desk.restart(10)
    desk.buy(4)
    assert desk.held() == usd(100), "the next restart goes on where this following is"


def test_a_row_that_comes_late_finds_its_place_in_the_holding_after_a_restart(tmp_path: Path) -> None:
    for restart in (False, True):
        folder = tmp_path / str(restart)
        folder.mkdir()
        desk = Stored(folder)
        desk.at += 60 * SECOND
        for _ in range(2):
            desk.at += 60 * SECOND
            held = ((TOKEN, usd(700)),)
            desk.send(ev.HoldingsSnapshot(at=desk.at, leader=LEADER, as_of=desk.at - 5 * SECOND, holdings=held))
        assert desk.leader_holds() == usd(700), "what nobody has seen yet was corrected"
        if restart:
            desk.restart()
        desk.api(api_fill(1, "BUY", 700, 0.50, traded_at=START + 30 * SECOND))
        assert desk.leader_holds() == usd(700), "the late row is in what the snapshot said"
        desk.sell(2, 350)
        assert desk.stored("trades")[-1].leader_pre_sell_shares_micro == usd(700)


@pytest.mark.parametrize("sold, left", [(100, 50), (50, 75)])
def test_a_late_sell_sells_nothing_of_what_was_bought_after_it_over_a_restart_too(
    tmp_path: Path, sold: float, left: float
) -> None:
    desk = Stored(tmp_path)
    desk.buy(1)
    desk.advance(10)
    sale = api_fill(2, "SELL", sold, 0.49, traded_at=desk.at // SECOND * SECOND)
    desk.advance(2)
    desk.buy(3, 200)
    desk.restart(after=1_800)
    desk.api(sale)
    desk.advance(3)
    assert desk.held() == usd(left)


def test_two_sells_in_the_other_order_leave_nothing_over_a_restart_too(tmp_path: Path) -> None:
    desk = Stored(tmp_path)
    desk.buy(1, 200)
    desk.advance(10)
    sale = api_fill(2, "SELL", 100, 0.49, traded_at=desk.at // SECOND * SECOND)
    desk.advance(2)
    desk.sell(3, 100)
    desk.restart(after=1_800)
    desk.api(sale)
    desk.advance(3)
    assert (desk.leader_holds(), desk.held()) == (0, 0)


@pytest.mark.parametrize("bought", [0, 20])
def test_a_trade_that_the_first_snapshot_contains_finds_what_was_held_before_it_after_a_restart(
    tmp_path: Path, bought: int
) -> None:
    desk = Stored(tmp_path, told=False)
    if bought:
        desk.chain(chain_fill(9, "BUY", bought, 0.50, traded_at=START + SECOND))
    desk.advance(10)
    held = ((TOKEN, usd(110)),)
    desk.send(ev.HoldingsSnapshot(at=desk.at, leader=LEADER, as_of=desk.at, holdings=held, bootstrap=True))
    desk.restart()
    desk.chain(chain_fill(1, "SELL", 110, 0.49, traded_at=START + 5 * SECOND))
    assert desk.leader_holds() == usd(110)
    (sale,) = [t for t in desk.stored("trades") if t.side == "SELL"]
    assert sale.leader_pre_sell_shares_micro == usd(220)


def test_a_snapshot_that_only_says_what_the_trades_say_is_exported_as_no_correction(tmp_path: Path) -> None:
    desk = Stored(tmp_path, told=False)
    desk.buy(1)
    held = ((TOKEN, usd(100)), ("2002", usd(7)))
    desk.send(ev.HoldingsSnapshot(at=desk.at, leader=LEADER, as_of=desk.at, holdings=held, bootstrap=True))
    assert [a.delta_micro for a in desk.stored("holding_adjustments")] == [0, usd(7)]
    with desk.database.connect() as c:
        rows = [msgspec.to_builtins(row) for row in exports.rows(c, "adjustments")]
    found = [(a["token_id"], a["before_micro"], a["delta_micro"]) for a in rows]
    assert found == [("2002", 0, usd(7))]


def test_a_decision_waits_for_a_market_that_was_asked_for_and_taken_back_within_bounds() -> None:
    desk = Desk(holdings={TOKEN: 0.0})
    desk.buy(1)
    redeemed = ev.Move(kind="REDEEM", tx_hash=tx(9), condition_id=CONDITION, amount=usd(1), at=desk.at)
    for n in (1, 2):
        move = msgspec.structs.replace(redeemed, tx_hash=tx(n))
        desk.send(ev.ApiWindowRead(at=desk.at, leader=LEADER, fills=(), cursor_ts=desk.at // SECOND + 1, moves=(move,)))
    desk.chain_buy(2)
    desk.advance(15)
    assert desk.reasons[-1].startswith("SKIP_CATCHUP") or desk.reasons[-1] == "COPY"
    assert not desk.engine.state.desks["main"].queues
