"""The state machine: ``Engine.apply(event) -> list[Effect]``. One thread, no I/O, no clock.

``observing`` takes in what the sources report (identity, holdings, sightings), ``copying`` decides, ``bookkeeping``
books; this module puts them together and passes answers and timers on.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from pilotfish.core import events as ev
from pilotfish.core.bookkeeping import Bookkeeping
from pilotfish.core.copying import Copying
from pilotfish.core.effects import (
    Answered,
    Effect,
    Insert,
    NeedHoldings,
    SetTimer,
    Upsert,
    WipePaper,
)
from pilotfish.core.exits import Exits
from pilotfish.core.holdings import Holding
from pilotfish.core.leading import Leading
from pilotfish.core.observing import Observing
from pilotfish.core.paper import Paper
from pilotfish.core.reasons import Outcome, Reason
from pilotfish.core.recall import Recall
from pilotfish.core.recording import micros
from pilotfish.core.records import HealthRecord, IdsRecord, MarketRecord, PortfolioReset
from pilotfish.core.reorgs import Reorgs
from pilotfish.core.settlement import Settlement
from pilotfish.core.state import Leader, State
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
from pilotfish.core.trade import Trade
from pilotfish.core.units import SECOND, Micros, Price, Usdc
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
        self.copying = Copying(self.state, self.bookkeeping)
        self.reorgs = Reorgs(self.state, self.bookkeeping, self.exits)
        self.settlement = Settlement(self.state, self.bookkeeping)
        self.valuing = Valuing(self.state, self.exits)
        self.leading = Leading(self.state, self.copying)
        self.recall = Recall(self.state)
        self.observing = Observing(self.state, self.recall, self.leading, self.copying, self.reorgs)
        self._last_forget = 0
        self._moved: dict[tuple[str, str], list[Trade]] = {}
        """Trades of the run before that holdings are rebuilt from once their leader is followed again."""
        self._resuming: list[tuple[str, tuple[ev.PendingDecision, ...], dict[int, Trade]]] = []
        self._handlers: dict[type, Callable[[Any], None]] = {
            ev.Restored: self._restored,
            ev.LeaderFollowed: self._followed,
            ev.LeaderPaused: self._paused,
            ev.LeaderRemoved: self._removed,
            ev.PolicyChanged: self._policy,
            ev.GlobalsChanged: self._globals,
            ev.PortfolioAdded: self._portfolio,
            ev.PortfolioArchived: self._archive,
            ev.FollowsChanged: self._follows,
            ev.CloseAsked: self._close,
            ev.PaperReset: self._reset,
            ev.ChainFillSeen: self.observing.chain,
            ev.ApiWindowRead: self.observing.window,
            ev.HoldingsSnapshot: self.leading.snapshot,
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

    def _say(self, effect: Effect) -> None:
        self.state.out.append(effect)

    # -- life cycle --------------------------------------------------------------------------------------------

    def _restored(self, e: ev.Restored) -> None:
        s = self.state
        s.globals, s.started_at = e.globals, e.at
        if e.keep:
            self.recall.begin(e.at, e.keep)
            s.recalled.update(e.recalled)
        s.ids.update(
            trade=e.last_trade_id,
            decision=e.last_decision_id,
            intent=e.last_intent_id,
            fill=e.last_fill_id,
            entry=e.last_entry_id,
            adjustment=e.last_adjustment_id,
        )
        trades = {t.id: t for t in e.trades}
        for trade in sorted(e.trades, key=lambda t: t.occurrence):
            s.index.add(trade)
            if trade.moves_holding and trade.active:
                self._moved.setdefault((trade.leader, trade.token_id), []).append(trade)
            s.traded_at[trade.token_id] = max(trade.traded_at, s.traded_at.get(trade.token_id, 0))
        for portfolio in e.portfolios:
            s.add_desk(portfolio)
            for token_id, side, price, shares in portfolio.taken:
                s.memory.take(portfolio.name, token_id, side, price, shares)
        for portfolio in e.portfolios:
            desk = s.desks[portfolio.name]
            for order in portfolio.intents:
                self.bookkeeping.resume(desk, order, trades.get(order.trade_id), e.at)
        self.reorgs.restore(trades, [(s.desks[p.name], p.recent) for p in e.portfolios])
        self._resuming = [(p.name, p.pending, trades) for p in e.portfolios if p.pending]
        for trade in e.trades:
            self.observing.watch(trade, e.at)
        for timer in self.timers(e.at):
            s.ask(timer)

    def timers(self, at: int) -> list[SetTimer]:
        """Every open timer, worked out of the state: what ends each wait, none before ``at`` (µs)."""
        leaders = self.state.leaders.values()
        return [
            *(self.paper.timers(at) if self.paper is not None else ()),
            *self.reorgs.timers(at),
            *self.exits.open_timers(at),
            *self.copying.open_timers(at),
            *(SetTimer(HoldingsAgain(x.wallet), max(at, x.recheck_at)) for x in leaders if x.recheck_at is not None),
            *self.observing.timers(at),
        ]

    def _portfolio(self, e: ev.PortfolioAdded) -> None:
        self.state.booked[e.state.name] = self.state.add_desk(e.state)

    def _archive(self, e: ev.PortfolioArchived) -> None:
        desk = self.state.desks.get(e.portfolio)
        if desk is not None:
            self._requeue(e.portfolio)
            self.copying.close_all(desk, Reason.SKIP_PAUSED, e.at)
            for order in list(desk.intents.values()):
                self.bookkeeping.cancel(desk, order, Outcome.CANCELLED_ARCHIVED, e.at)
            self.state.memory.forget(desk.name)
            self.state.remove_desk(desk)

    def _follows(self, e: ev.FollowsChanged) -> None:
        desk = self.state.desks.get(e.portfolio)
        if desk is not None:
            self.state.follow(desk, None if e.leaders is None else frozenset(e.leaders))
            self.copying.wake_all(e.at)

    def _close(self, e: ev.CloseAsked) -> None:
        desk = self.state.desks.get(e.portfolio)
        begun = self.exits.close(desk, e.leader, e.token_id, e.at) if desk is not None else []
        if e.command is not None:
            unknown = f"0 exits begun: no portfolio {e.portfolio[:100]} takes part"
            self._say(Answered(e.command, self.exits.told(begun) if desk is not None else unknown))

    def _followed(self, e: ev.LeaderFollowed) -> None:
        s = self.state
        leader = s.leaders[e.leader] = Leader(
            wallet=e.leader,
            follow_from=e.follow_from,
            floor_ts=e.floor_ts,
            cursor_ts=e.cursor_ts,
            paused=e.paused,
            bootstrapped=e.bootstrapped,
            value=e.value,
            gaps=set(e.gaps),
            gone=dict(e.gone),
            agreed={token_id: as_of for token_id, _, as_of, _ in sorted(e.sets, key=lambda told: told[2])},
        )
        told: dict[str, list[tuple[int, int, bool]]] = {}
        for token_id, said, as_of, first in e.sets:
            if as_of >= s.kept_since:
                told.setdefault(token_id, []).append((said, as_of, first))
        for token_id, shares in e.holdings:
            if e.is_new and (e.leader, token_id) in s.holdings:
                continue  # left and followed again in one run: what is kept here is newer
            trades = self._moved.pop((e.leader, token_id), ())
            since = e.floor_ts * SECOND
            whole, said_of = self.recall.known_from((e.leader, token_id), trades, told.get(token_id, ()))
            s.holdings[(e.leader, token_id)] = Holding.rebuilt(shares, whole, said_of, since)
            s.holding_sums[(e.leader, token_id)] = shares
        if e.is_new:
            self.leading.write_cursor(leader, e.at)
        if not e.bootstrapped:
            s.ask(NeedHoldings(e.leader, bootstrap=True))
        elif not e.is_new:
            self.leading.recheck_later(leader, e.at)
        self._take_up_pending(e.leader, e.at)

    def _take_up_pending(self, leader: str, at: int) -> None:
        """Decisions that waited at the last stop go on once their leader is followed again."""
        rest = []
        for name, pending, trades in self._resuming:
            mine = tuple(p for p in pending if _leader_of(p, trades) == leader)
            other = tuple(p for p in pending if p not in mine)
            if mine and name in self.state.desks:
                self.copying.restore(self.state.desks[name], mine, trades, at)
            if other:
                rest.append((name, other, trades))
        self._resuming = rest

    def _paused(self, e: ev.LeaderPaused) -> None:
        leader = self.state.leaders.get(e.leader)
        if leader is not None:
            leader.paused = e.paused
            self.copying.wake_all(e.at)

    def _removed(self, e: ev.LeaderRemoved) -> None:
        leader = self.state.leaders.get(e.leader)
        if leader is not None:
            leader.active = False
            self.copying.wake_all(e.at)
        self._take_up_pending(e.leader, e.at)

    def _policy(self, e: ev.PolicyChanged) -> None:
        desk = self.state.desks.get(e.portfolio)
        if desk is not None:
            desk.policy = e.policy
            self.copying.wake_all(e.at)

    def _globals(self, e: ev.GlobalsChanged) -> None:
        self.state.globals = e.globals

    def _reset(self, e: ev.PaperReset) -> None:
        self._requeue(e.portfolio)
        for name, desk in self.state.desks.items():
            if e.portfolio in (None, name):
                self.copying.close_all(desk, Reason.SKIP_RESET, e.at)
                self.bookkeeping.forget(desk, e.at)
                desk.wipe()
                self.state.memory.forget(name)
                self.state.out.append(WipePaper(name))
        ids = {"intents": self.state.ids["intent"], "fills": self.state.ids["fill"]}
        ids["ledger_entries"] = self.state.ids["entry"]
        self.state.out.append(Upsert(IdsRecord(name="ids", at=Micros(e.at), data=ids)))
        for name, desk in self.state.desks.items():
            if e.portfolio in (None, name):
                fresh = PortfolioReset(name=name, bankroll_micro=Usdc(desk.bankroll), reset_at=Micros(e.at))
                self.state.out.append(Upsert(fresh))
                self.state.booked[name] = desk
        if e.command is not None:
            self._say(Answered(e.command, "done"))

    def _requeue(self, portfolio: str | None) -> None:
        """Decisions of a portfolio (``None`` = all) that wait to be taken up wait in its queues instead."""
        for name, pending, trades in self._resuming:
            if portfolio in (None, name):
                self.copying.requeue(self.state.desks[name], pending, trades)
        self._resuming = [r for r in self._resuming if portfolio not in (None, r[0])]

    # -- answers and time --------------------------------------------------------------------------------------

    def _market(self, e: ev.MarketSeen) -> None:
        market = e.market
        known = self.state.markets.get(market.token_id)
        if market.payout is None and known is not None and known.payout is not None:
            market = msgspec.structs.replace(market, payout=known.payout, closed=True)
        self.state.markets[market.token_id] = market
        self.state.is_of(market.token_id, market.condition_id)
        record = MarketRecord(
            token_id=market.token_id,
            condition_id=market.condition_id,
            outcome=market.outcome,
            title=market.title,
            slug=market.slug,
            category=market.category,
            closed=market.closed,
            accepting_orders=market.accepting_orders,
            tick_micro=Price(market.tick),
            fee_rate_ppm=market.fee.rate_ppm,
            fee_half_exponent=market.fee.half_exponent,
            delay_ms=market.delay_ms,
            end_at=micros(market.end_at),
            payout_micro=None if market.payout is None else Price(market.payout),
            fetched_at=Micros(market.fetched_at),
        )
        self.state.out.append(Upsert(record))
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
        self.copying.failed(Waited.MARKET, e.token_id, e.at)

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
        self.copying.failed(Waited.BOOK, token_id, at, final=gone)

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
        self.valuing.value(self.state.desks.values(), e.at)
        for name, pending, trades in self._resuming:
            self.copying.restore(self.state.desks[name], pending, trades, e.at)
        self._resuming = []
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
        resuming = {trade_id for _, _, trades in self._resuming for trade_id in trades}
        return waiting | working | resuming | self.observing.watched.keys() | self.reorgs.retracted


def _leader_of(pending: ev.PendingDecision, trades: dict[int, Trade]) -> str | None:
    trade = pending.exit if pending.trade_id is None else trades.get(pending.trade_id)
    return trade.leader if trade else None
