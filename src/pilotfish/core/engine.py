"""The state machine: ``Engine.apply(event) -> list[Effect]``. One thread, no I/O, no clock.

This module takes observations in (identity, holdings, sightings); ``copying`` decides, ``bookkeeping`` books.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from pilotfish.core import events as ev
from pilotfish.core import lateness
from pilotfish.core.bookkeeping import Bookkeeping
from pilotfish.core.copying import Copying
from pilotfish.core.dedupe import Sighting
from pilotfish.core.effects import (
    Answered,
    CheckChain,
    Effect,
    Insert,
    NeedBook,
    NeedHoldings,
    NeedMarket,
    SetTimer,
    Update,
    Upsert,
    WipePaper,
)
from pilotfish.core.exits import Exits
from pilotfish.core.holdings import Holding
from pilotfish.core.leading import Leading
from pilotfish.core.orders import CancelOrder, PlaceOrder
from pilotfish.core.paper import Paper
from pilotfish.core.patience import given_up_at
from pilotfish.core.reasons import Outcome, Reason
from pilotfish.core.recall import Recall
from pilotfish.core.recording import micros, trade_change, trade_record
from pilotfish.core.records import HealthRecord, IdsRecord, MarketRecord, PortfolioReset, TradeRaw
from pilotfish.core.reorgs import Reorgs
from pilotfish.core.settings import TriggerMode
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
from pilotfish.core.trade import LeaderFill, Source, Trade, first_seen
from pilotfish.core.units import SECOND, Micros, Price, Usdc
from pilotfish.core.valuing import Valuing

UNTIMED_GRACE = 300 * SECOND
"""A log whose block's time could not be had may be of before its leader was followed: so soon after that, the trade is
left to the API, which knows its time."""
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
        self.bookkeeping = Bookkeeping(self.state, self._execute)
        self.paper = Paper(self.state.memory, self.state.markets, self._say, self._told) if paper else None
        self.exits = Exits(self.state, self.bookkeeping)
        self.copying = Copying(self.state, self.bookkeeping)
        self.reorgs = Reorgs(self.state, self.bookkeeping, self.exits)
        self.settlement = Settlement(self.state, self.bookkeeping)
        self.valuing = Valuing(self.state, self.exits)
        self.leading = Leading(self.state, self.copying)
        self.recall = Recall(self.state)
        self._last_forget = 0
        self._watched: dict[int, tuple[Trade, SetTimer]] = {}
        """Trades that one source has yet to show -> when that is overdue."""
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
            ev.ChainFillSeen: self._chain,
            ev.ApiWindowRead: self._window,
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
            ApiOverdue: self._api_overdue,
            LogOverdue: self._log_overdue,
        }

    def apply(self, event: ev.Event) -> list[Effect]:
        """Apply one event; the returned effects belong into one commit, in this order."""
        assert event.at >= self.at, f"time goes back from {self.at} to {event.at}"
        self.at = event.at
        self._handlers[type(event)](event)
        state = self.state
        if state.booked:
            booked, state.booked = state.booked, {}
            self.valuing.value(booked.values(), event.at)
        out, state.out = state.out, []
        return _once(out)

    def _say(self, effect: Effect) -> None:
        self.state.out.append(effect)

    def _execute(self, what: PlaceOrder | CancelOrder, at: int) -> None:
        if self.paper is not None:
            if isinstance(what, PlaceOrder):
                self.paper.place(what, at)
            else:
                self.paper.cancel(what, at)

    def _told(self, event: ev.OrderFilled | ev.OrderTried | ev.OrderEnded) -> None:
        self._handlers[type(event)](event)

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
            self._watch(trade, e.at)
        s.out.extend(self.timers(e.at))

    def timers(self, at: int) -> list[SetTimer]:
        """Every open timer, worked out of the state: what ends each wait, none before ``at`` (µs)."""
        leaders = self.state.leaders.values()
        return [
            *(self.paper.timers(at) if self.paper is not None else ()),
            *self.reorgs.timers(at),
            *self.exits.open_timers(at),
            *self.copying.open_timers(at),
            *(SetTimer(HoldingsAgain(x.wallet), max(at, x.recheck_at)) for x in leaders if x.recheck_at is not None),
            *(SetTimer(timer.timer, max(at, timer.at)) for _, timer in self._watched.values()),
        ]

    def _watch(self, trade: Trade, at: int) -> SetTimer | None:
        """Note by when the source that has not shown a trade yet should have; its log only where that is ahead."""
        timer = None
        if trade.first_seen_by_polygon_at is None:
            overdue = (trade.first_seen_by_api_at or at) + self.state.globals.polygon_gap_grace_ms * 1000
            if self.state.globals.trigger_mode is not TriggerMode.API and overdue >= at:
                timer = SetTimer(LogOverdue(trade.id), overdue)
        elif trade.first_seen_by_api_at is None and not trade.api_lagged:
            overdue = trade.first_seen_by_polygon_at + self.state.globals.api_lag_fallback_ms * 1000
            timer = SetTimer(ApiOverdue(trade.id), overdue)
        if timer is not None:
            self._watched[trade.id] = (trade, timer)
        return timer

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
            s.out.append(NeedHoldings(e.leader, bootstrap=True))
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

    # -- observations ------------------------------------------------------------------------------------------

    def _chain(self, e: ev.ChainFillSeen) -> None:
        s, fill = self.state, e.fill
        self.recall.take(e.past)
        leader = s.leaders.get(fill.leader)
        if leader is None or not leader.active:
            return
        if e.removed:
            trade = s.index.see_removed(fill, e.at)
            if trade is not None:
                self._retract(trade, e.at)
            return
        if fill.traded_at is None:
            if e.at - leader.follow_from < UNTIMED_GRACE and not s.index.knows(fill.key):
                return
        elif fill.traded_at < leader.floor_ts * SECOND:
            return
        sighting = s.index.see_chain(fill, e.at)
        self._place(leader, sighting, e.at)

    def _window(self, e: ev.ApiWindowRead) -> None:
        s = self.state
        self.recall.take(e.past)
        leader, before = s.leaders.get(e.leader), s.ids["trade"]
        if leader is None or not leader.active:
            if e.command is not None:
                self._say(Answered(e.command, "nothing taken in: they are not followed any more"))
            return
        fills = [f for f in e.fills if (f.traded_at or 0) >= leader.floor_ts * SECOND]
        for sighting in s.index.see_api_window(fills, e.at):
            self._place(leader, sighting, e.at, backfill=e.backfill)
        if e.command is not None:
            self._say(Answered(e.command, f"{s.ids['trade'] - before} taken in"))
        self.leading.moves(leader, e.moves, e.at)
        self.leading.coverage(leader, e)
        if e.cursor_ts > leader.cursor_ts:
            leader.cursor_ts = e.cursor_ts
            self.leading.write_cursor(leader, e.at)

    def _place(self, leader: Leader, sighting: Sighting, at: int, *, backfill: bool = False) -> None:
        if sighting.trade is None:
            self._new_trade(leader, sighting.fill, sighting.occurrence, at, backfill=backfill)
            return
        trade = sighting.trade
        if not sighting.changed:
            return
        from_chain = sighting.fill.source is Source.POLYGON
        touched = self._reordered(trade)
        if from_chain:
            touched += self._sort_occurrences(trade)
        changed = _unique([trade, *touched]) if touched else [trade]
        for seen in changed:
            self.copying.learned(seen)
        if sighting.revived:
            if trade.moves_holding:
                touched += self.leading.holding(trade.leader, trade.token_id).add_trade(trade)
                self.leading.write_holding(trade.leader, trade.token_id, trade.signed_shares, at)
            self.reorgs.revive(trade, at)
            changed = _unique([trade, *touched])
        self.leading.settle_holding(trade, at)
        for each in changed:
            self.state.out.append(Update(trade_change(each)))
        if from_chain or sighting.revived:
            self.copying.wake(Waited.CHAIN, trade.token_id, at)
        if not from_chain:
            self.copying.wake(Waited.API, trade.token_id, at)

    def _sort_occurrences(self, trade: Trade) -> list[Trade]:
        """Identical fills in the order of their logs, in the index and in the holding; returns what changed."""
        moved = self.state.index.sort_occurrences(trade.key)
        if not moved:
            return moved
        return [*moved, *(other for each in moved for other in self._reordered(each))]

    def _reordered(self, trade: Trade) -> list[Trade]:
        holding = self.state.holdings.get((trade.leader, trade.token_id))
        return holding.reorder(trade) if holding is not None else []

    def _new_trade(self, leader: Leader, fill: LeaderFill, occurrence: int, at: int, *, backfill: bool) -> None:
        s = self.state
        traded_at = fill.traded_at if fill.traded_at is not None else at // SECOND * SECOND
        history = backfill or traded_at < leader.follow_from // SECOND * SECOND
        kind = lateness.classify(traded_at, at, s.globals.max_live_lag_sec, backfill=history)
        trade = first_seen(fill, s.next_id("trade"), occurrence, traded_at, kind, at)
        s.index.add(trade)
        s.traded_at[trade.token_id] = max(traded_at, s.traded_at.get(trade.token_id, 0))
        market = s.markets.get(trade.token_id)
        if market is not None:
            trade.condition_id = trade.condition_id or market.condition_id
            trade.outcome = trade.outcome or market.outcome
            trade.title = trade.title or market.title
            trade.slug = trade.slug or market.slug
        if trade.condition_id:
            s.is_of(trade.token_id, trade.condition_id)
        trade.moves_holding = not (trade.is_backfill and leader.bootstrapped)
        moved = []
        if trade.moves_holding:
            moved = self.leading.holding(trade.leader, trade.token_id).add_trade(trade)
            leader.suspects.pop(trade.token_id, None)
        s.out.append(Insert(trade_record(trade)))
        s.out.append(Insert(TradeRaw(trade_id=trade.id, source=fill.source, payload=fill.raw)))
        for other in moved:
            if other is not trade:
                s.out.append(Update(trade_change(other)))
        if trade.moves_holding:
            self.leading.write_holding(trade.leader, trade.token_id, trade.signed_shares, at)
        if fill.source is Source.POLYGON:
            sorted_anew = self._sort_occurrences(trade)
            if sorted_anew:
                s.out.extend(Update(trade_change(t)) for t in _unique(sorted_anew))
            if trade.moves_holding:
                self.leading.settle_holding(trade, at)
        watched = self._watch(trade, at)
        if watched is not None:
            s.out.append(watched)
        self.copying.new_trade(trade, at)

    def _retract(self, trade: Trade, at: int) -> None:
        touched: list[Trade] = []
        if trade.moves_holding:
            touched = self.leading.holding(trade.leader, trade.token_id).remove_trade(trade, at)
            self.leading.write_holding(trade.leader, trade.token_id, -trade.signed_shares, at)
        for changed in _unique([trade, *touched]):
            self.state.out.append(Update(trade_change(changed)))
        self.reorgs.retract(trade, at)
        self.state.out.append(SetTimer(ReorgOver(trade.id), given_up_at(trade, self.state.started_at)))

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

    def _api_overdue(self, timer: ApiOverdue, _at: int) -> None:
        watched = self._watched.pop(timer.trade_id, None)
        if watched is not None and watched[0].first_seen_by_api_at is None:
            watched[0].api_lagged = True
            self.state.out.append(Update(trade_change(watched[0])))

    def _log_overdue(self, timer: LogOverdue, _at: int) -> None:
        watched = self._watched.pop(timer.trade_id, None)
        if watched is not None:
            self._log_missing(watched[0])

    def _log_missing(self, trade: Trade) -> None:
        """The API has shown a trade whose log should have come through subscriptions that look healthy."""
        s = self.state
        heard = s.healthy[Source.POLYGON] and s.healthy_since[Source.POLYGON] < trade.traded_at
        if trade.first_seen_by_polygon_at is None and trade.active and heard:
            s.out.append(CheckChain(f"no log of transaction {trade.tx_hash}, which the API shows"))

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
        return waiting | working | resuming | self._watched.keys() | self.reorgs.retracted


_ONCE = frozenset((NeedBook, NeedMarket, NeedHoldings, SetTimer))


def _once(effects: list[Effect]) -> list[Effect]:
    """What is asked for, and each timer, once an event, however many wait for it."""
    if len(effects) < 2:
        return effects
    asked = [effect for effect in effects if type(effect) in _ONCE]
    if len(asked) < 2 or len(set(asked)) == len(asked):
        return effects
    seen: set[Effect] = set()
    kept = []
    for effect in effects:
        if type(effect) in _ONCE:
            if effect in seen:
                continue
            seen.add(effect)
        kept.append(effect)
    return kept


def _leader_of(pending: ev.PendingDecision, trades: dict[int, Trade]) -> str | None:
    trade = pending.exit if pending.trade_id is None else trades.get(pending.trade_id)
    return trade.leader if trade else None


def _unique(trades: list[Trade]) -> list[Trade]:
    return list({t.id: t for t in trades}.values())
