"""The state machine: ``Engine.apply(event) -> list[Effect]``. One thread, no I/O, no clock.

``observing`` takes in what the sources report (identity, holdings, sightings), ``copying`` decides, ``bookkeeping``
books, ``life_cycle`` knows who comes and goes; this module puts them together and passes answers and timers on.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from pilotfish.core import events as ev
from pilotfish.core.bookkeeping import Bookkeeping
from pilotfish.core.copied import Copied
from pilotfish.core.copying import Copying
from pilotfish.core.effects import (
    Effect,
    Insert,
    SetTimer,
    Upsert,
)
from pilotfish.core.exits import Exits
from pilotfish.core.leading import Leading
from pilotfish.core.life_cycle import LifeCycle
from pilotfish.core.observing import Observing
from pilotfish.core.paper import Paper
from pilotfish.core.recall import Recall
from pilotfish.core.recording import market_record
from pilotfish.core.records import HealthRecord
from pilotfish.core.reorgs import Reorgs
from pilotfish.core.settlement import Settlement
from pilotfish.core.state import State
from pilotfish.core.timers import (
    ApiOverdue,
    HoldingsAgain,
    LogOverdue,
    LookAgain,
    OrderDue,
    ReorgOver,
    RuleAgain,
    Waited,
)
from pilotfish.core.units import SECOND, Micros
from pilotfish.core.valuing import Valuing

FORGET_AFTER = 8 * 86_400 * SECOND
"""How long identities are kept in memory; above the longest warm start."""


class Engine:
    """Holds the state of one run. The first event is :class:`~pilotfish.core.events.Restored`.

    Orders are filled by the paper venue; with ``paper=False`` by whoever takes ``PlaceOrder`` and ``CancelOrder`` from
    the effects and answers with ``OrderFilled`` and ``OrderEnded``.
    """

    def __init__(self, *, paper: bool = True) -> None:
        self.state = State()
        self.at = 0
        """The instant of the last event (µs); time never goes back."""
        self.bookkeeping = Bookkeeping(self.state)
        self.paper = Paper(self.state, self.bookkeeping) if paper else None
        self.bookkeeping.executor = self.paper
        self.exits = Exits(self.state, self.bookkeeping)
        copied = Copied(self.state)
        self.copying = Copying(self.state, self.bookkeeping, copied)
        self.reorgs = Reorgs(self.state, self.bookkeeping, self.exits, copied)
        self.settlement = Settlement(self.state, self.bookkeeping)
        self.valuing = Valuing(self.state, self.exits)
        self.leading = Leading(self.state, self.copying)
        self.recall = Recall(self.state)
        self.observing = Observing(self.state, self.recall, self.leading, self.copying, self.reorgs)
        self.life = LifeCycle(
            self.state, self.bookkeeping, self.copying, self.exits, self.reorgs, self.observing, self.timers
        )
        self._last_forget = 0
        self._handlers: dict[type, Callable[[Any], None]] = {
            ev.Restored: self.life.restored,
            ev.LeaderFollowed: self.life.followed,
            ev.LeaderPaused: self.life.paused,
            ev.LeaderRemoved: self.life.removed,
            ev.PolicyChanged: self.life.policy_changed,
            ev.GlobalsChanged: self.life.globals_changed,
            ev.PortfolioAdded: self.life.portfolio_added,
            ev.PortfolioArchived: self.life.archived,
            ev.FollowsChanged: self.life.follows_changed,
            ev.CloseAsked: self.life.close_asked,
            ev.PaperReset: self.life.reset,
            ev.ChainFillSeen: self.observing.chain,
            ev.ApiWindowRead: self.observing.window,
            ev.HoldingsSnapshot: self._snapshot,
            ev.MarketSeen: self._market,
            ev.MarketMissing: self._no_market,
            ev.BookSeen: self._book,
            ev.BookMissing: self._no_book,
            ev.OrderFilled: self.bookkeeping.filled,
            ev.OrderTried: self.bookkeeping.tried,
            ev.OrderEnded: self.bookkeeping.ended,
            ev.HealthChanged: self._health,
            ev.TimerFired: self._timer,
            ev.Tick: self._tick,
        }
        self._timers: dict[type, Callable[[Any, int], None]] = {
            OrderDue: self._order_due,
            LookAgain: self._look_again,
            ReorgOver: self._reorg_over,
            HoldingsAgain: self._holdings_again,
            RuleAgain: self._rule_again,
            ApiOverdue: self.observing.api_overdue,
            LogOverdue: self.observing.log_overdue,
        }

    def apply(self, event: ev.Event) -> list[Effect]:
        """Apply one event; the returned effects belong into one commit, in this order."""
        at, state = event.at, self.state
        assert at >= self.at, f"time goes back from {self.at} to {at}"
        self.at = at
        self._handlers[type(event)](event)
        if state.booked:
            booked, state.booked = state.booked, {}
            self.valuing.value(booked.values(), at)
        if state.asked:
            state.asked.clear()
        out, state.out = state.out, []
        return out

    def timers(self, at: int) -> list[SetTimer]:
        """Every open timer, worked out of the state: what ends each wait, none before ``at`` (µs)."""
        leaders = self.state.leaders.values()
        return [
            *(self.paper.timers(at) if self.paper is not None else ()),
            *self.reorgs.timers(at),
            *self.exits.open_timers(at),
            *self.copying.waits.open_timers(at),
            *(SetTimer(HoldingsAgain(x.wallet), max(at, x.recheck_at)) for x in leaders if x.recheck_at is not None),
            *self.observing.timers(at),
        ]

    # -- answers and time --------------------------------------------------------------------------------------

    def _snapshot(self, e: ev.HoldingsSnapshot) -> None:
        self.recall.take(e.past)
        self.leading.snapshot(e)

    def _market(self, e: ev.MarketSeen) -> None:
        market = e.market
        known = self.state.markets.get(market.token_id)
        if market.payout is None and known is not None and known.payout is not None:
            market = msgspec.structs.replace(market, payout=known.payout, closed=True)
        self.state.markets[market.token_id] = market
        self.state.is_of(market.token_id, market.condition_id)
        self.state.out.append(Upsert(market_record(market)))
        for desk in self.state.holders.of(market.token_id):
            for position in desk.by_token.get(market.token_id, ()):
                if not position.condition_id:
                    desk.name_market(position, market)
                    self.state.put_position(desk, position)
        if market.payout is not None:
            self._settle(market, e.at)
        self.copying.wake(Waited.MARKET, market.token_id, e.at)

    def _settle(self, market: ev.Market, at: int) -> None:
        if self.paper is not None:
            self.paper.drop(market.token_id)
        self.settlement.settle(market, at)

    def _no_market(self, e: ev.MarketMissing) -> None:
        self.copying.waits.failed(Waited.MARKET, e.token_id, e.at)

    def _book(self, e: ev.BookSeen) -> None:
        book = e.book
        if book.crossed:
            return self._without_book(book.token_id, e.at)
        known = self.state.books.get(book.token_id)
        if known is not None and known.requested_at > book.requested_at:
            return None
        self.state.books[book.token_id] = book
        if self.paper is not None:
            self.paper.on_book(book, e.at)
        self.valuing.mark(book, e.at)
        return self.copying.wake(Waited.BOOK, book.token_id, e.at)

    def _no_book(self, e: ev.BookMissing) -> None:
        self._without_book(e.token_id, e.at, gone=e.gone)

    def _without_book(self, token_id: str, at: int, *, gone: bool = False) -> None:
        """No book, or one that cannot be: nothing is filled or valued; what waits for it tries again within bounds."""
        if self.paper is not None:
            self.paper.on_no_book(token_id, at)
        self.copying.waits.failed(Waited.BOOK, token_id, at, final=gone)

    def _health(self, e: ev.HealthChanged) -> None:
        if self.state.healthy[e.source] != e.healthy:
            self.state.healthy[e.source] = e.healthy
            self.state.healthy_since[e.source] = e.at
            record = HealthRecord(at=Micros(e.at), source=e.source, healthy=e.healthy, detail=e.detail)
            self.state.out.append(Insert(record))
            self.copying.wake_all(e.at)

    def _timer(self, e: ev.TimerFired) -> None:
        self._timers[type(e.timer)](e.timer, e.at)

    def _order_due(self, timer: OrderDue, at: int) -> None:
        if self.paper is not None:
            self.paper.due(timer.order_id, at)

    def _look_again(self, timer: LookAgain, at: int) -> None:
        self.copying.retry(timer.what, timer.token_id, at)

    def _reorg_over(self, timer: ReorgOver, at: int) -> None:
        self.copying.give_up_reorg(timer.trade_id, at)
        self.reorgs.give_up(timer.trade_id, at)

    def _holdings_again(self, timer: HoldingsAgain, _at: int) -> None:
        self.leading.recheck(timer.leader)

    def _rule_again(self, timer: RuleAgain, _at: int) -> None:
        desk = self.state.desks.get(timer.portfolio)
        if desk is not None:
            self.exits.look_again(desk, (timer.leader, timer.token_id))

    def _tick(self, e: ev.Tick) -> None:
        self.valuing.tick(e.at)
        self.life.take_up(e.at)
        self.copying.forget_orders(e.at)
        if self.state.kept_since:
            if self.recall.is_due(e.at):
                self.recall.forget(e.at, self._needed())
        elif e.at - self._last_forget > 3600 * SECOND:
            self._last_forget = e.at
            cursors = [leader.cursor_ts * SECOND - 3600 * SECOND for leader in self.state.leaders.values()]
            self.state.index.forget_before(min([e.at - FORGET_AFTER, *cursors]))

    def _needed(self) -> set[int]:
        """Trades that something still hangs on, by their ids."""
        s = self.state
        waiting = {item.trade.id for desk in s.desks.values() for queue in desk.queues.values() for item in queue}
        working = {order.trade_id for desk in s.desks.values() for order in desk.intents.values()}
        resuming = {trade_id for _, _, trades in self.life.resuming for trade_id in trades}
        return waiting | working | resuming | self.observing.watched.keys() | self.reorgs.retracted
