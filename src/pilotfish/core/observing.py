"""What the sources report of leaders' trades, taken in: which trade it is, what it does to their holdings, which source
has yet to show it. ``copying`` decides what becomes of a new one.
"""

from __future__ import annotations

from pilotfish.core import events as ev
from pilotfish.core import lateness
from pilotfish.core.copied import Sold, sold_of
from pilotfish.core.copying import Copying
from pilotfish.core.dedupe import Sighting
from pilotfish.core.effects import Answered, CheckChain, Insert, SetTimer, Update
from pilotfish.core.leading import Leading
from pilotfish.core.patience import given_up_at
from pilotfish.core.recall import Recall
from pilotfish.core.recording import trade_change, trade_record
from pilotfish.core.records import TradeRaw
from pilotfish.core.reorgs import Reorgs
from pilotfish.core.settings import TriggerMode
from pilotfish.core.state import Leader, State
from pilotfish.core.timers import ApiOverdue, LogOverdue, ReorgOver, Waited
from pilotfish.core.trade import LeaderFill, Source, Trade, first_seen
from pilotfish.core.units import SECOND

UNTIMED_GRACE = 300 * SECOND
"""A log whose block's time could not be had may be of before its leader was followed: so soon after that, the trade is
left to the API, which knows its time."""
_POLYGON, _WAITED_CHAIN, _WAITED_API = Source.POLYGON, Waited.CHAIN, Waited.API


class Observing:
    """Keeps ``state.index``, and knows which trades one source has yet to show."""

    def __init__(self, state: State, recall: Recall, leading: Leading, copying: Copying, reorgs: Reorgs) -> None:
        self.state = state
        self.recall = recall
        self.leading = leading
        self.copying = copying
        self.reorgs = reorgs
        self.watched: dict[int, tuple[Trade, SetTimer]] = {}
        """Trades that one source has yet to show -> when that is overdue."""

    # -- what comes in -----------------------------------------------------------------------------------------

    def chain(self, e: ev.ChainFillSeen) -> None:
        """A log."""
        s, fill = self.state, e.fill
        if e.past:
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
        self._place(leader, s.index.see_chain(fill, e.at), e.at)

    def window(self, e: ev.ApiWindowRead) -> None:
        """A page of the API, or several, read to their end."""
        s = self.state
        self.recall.take(e.past)
        leader, before = s.leaders.get(e.leader), s.ids["trade"]
        if leader is None or not leader.active:
            if e.command is not None:
                s.out.append(Answered(e.command, "nothing taken in: they are not followed any more"))
            return
        floor = leader.floor_ts * SECOND
        fills = [f for f in e.fills if (f.traded_at or 0) >= floor]
        for sighting in s.index.see_api_window(fills, e.at):
            self._place(leader, sighting, e.at, e.backfill)
        if e.command is not None:
            s.out.append(Answered(e.command, f"{s.ids['trade'] - before} taken in"))
        self.leading.moves(leader, e.moves, e.at)
        self.leading.coverage(leader, e)
        if e.cursor_ts > leader.cursor_ts:
            leader.cursor_ts = e.cursor_ts
            self.leading.write_cursor(leader, e.at)

    def _place(self, leader: Leader, sighting: Sighting, at: int, backfill: bool = False) -> None:
        trade = sighting.trade
        if trade is None:
            self._new_trade(leader, sighting.fill, sighting.occurrence, at, backfill)
        elif sighting.fill.source is _POLYGON or sighting.revived or sighting.timed:
            if sighting.changed:
                self._changed(trade, sighting, at)
        elif sighting.changed:
            self.state.out.append(Update(trade_change(trade)))
            self.copying.wake(_WAITED_API, trade.token_id, at)

    # -- what is known already -------------------------------------------------------------------------------------

    def _changed(self, trade: Trade, sighting: Sighting, at: int) -> None:
        """More is known of a trade than its names: its place among others, its order, that it stands again."""
        from_chain = sighting.fill.source is _POLYGON
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
            self.copying.wake(_WAITED_CHAIN, trade.token_id, at)
        if not from_chain:
            self.copying.wake(_WAITED_API, trade.token_id, at)

    def _sort_occurrences(self, trade: Trade) -> list[Trade]:
        """Identical fills in the order of their logs, in the index and in the holding; returns what changed."""
        moved = self.state.index.sort_occurrences(trade.key)
        if not moved:
            return moved
        return [*moved, *(other for each in moved for other in self._reordered(each))]

    def _reordered(self, trade: Trade) -> list[Trade]:
        holding = self.state.holdings.get((trade.leader, trade.token_id))
        return holding.reorder(trade) if holding is not None else []

    def _retract(self, trade: Trade, at: int) -> None:
        touched: list[Trade] = []
        sold: list[Sold] = []
        if trade.moves_holding:
            holding = self.leading.holding(trade.leader, trade.token_id)
            sold = sold_of(holding.after(trade))
            touched = holding.remove_trade(trade, at)
            self.leading.write_holding(trade.leader, trade.token_id, -trade.signed_shares, at)
        for changed in _unique([trade, *touched]):
            self.state.out.append(Update(trade_change(changed)))
        self.reorgs.retract(trade, sold, at)
        self.state.ask(SetTimer(ReorgOver(trade.id), given_up_at(trade, self.state.started_at)))

    # -- what is new -----------------------------------------------------------------------------------------------

    def _new_trade(self, leader: Leader, fill: LeaderFill, occurrence: int, at: int, backfill: bool) -> None:
        s, token = self.state, fill.token_id
        traded_at = fill.traded_at if fill.traded_at is not None else at // SECOND * SECOND
        history = backfill or traded_at < leader.follow_from // SECOND * SECOND
        kind = lateness.classify(traded_at, at, s.globals.max_live_lag_sec, backfill=history)
        trade = first_seen(fill, s.next_id("trade"), occurrence, traded_at, kind, at)
        s.index.add(trade)
        if traded_at >= s.traded_at.get(token, 0):
            s.traded_at[token] = traded_at
        market = s.markets.get(token)
        if market is not None:
            trade.condition_id = trade.condition_id or market.condition_id
            trade.outcome = trade.outcome or market.outcome
            trade.title = trade.title or market.title
            trade.slug = trade.slug or market.slug
        if trade.condition_id:
            s.is_of(token, trade.condition_id)
        moves = trade.moves_holding = not (history and leader.bootstrapped)
        moved: list[Trade] = []
        if moves:
            moved = self.leading.moved(trade)
            if leader.suspects:
                leader.suspects.pop(token, None)
        out = s.out
        out.append(Insert(trade_record(trade)))
        out.append(Insert(TradeRaw(trade.id, fill.source, fill.raw)))
        for other in moved:
            if other is not trade:
                out.append(Update(trade_change(other)))
        if moves:
            self.leading.write_holding(fill.leader, token, trade.signed_shares, at)
        if occurrence > 1 and fill.source is _POLYGON:
            out.extend(Update(trade_change(t)) for t in _unique(self._sort_occurrences(trade)))
            if moves:
                self.leading.settle_holding(trade, at)
        watched = self.watch(trade, at)
        if watched is not None:
            out.append(watched)
        self.copying.new_trade(trade, at)

    # -- which source has yet to show it ---------------------------------------------------------------------------

    def watch(self, trade: Trade, at: int) -> SetTimer | None:
        """Note by when the source that has not shown a trade yet should have; its log only where that is ahead."""
        timer, by_api, by_polygon = None, trade.first_seen_by_api_at, trade.first_seen_by_polygon_at
        if by_polygon is None:
            overdue = (by_api or at) + self.state.globals.polygon_gap_grace_ms * 1000
            if self.state.globals.trigger_mode is not TriggerMode.API and overdue >= at:
                timer = SetTimer(LogOverdue(trade.id), overdue)
        elif by_api is None and not trade.api_lagged:
            timer = SetTimer(ApiOverdue(trade.id), by_polygon + self.state.globals.api_lag_fallback_ms * 1000)
        if timer is not None:
            self.watched[trade.id] = (trade, timer)
        return timer

    def timers(self, at: int) -> list[SetTimer]:
        """When each of them is overdue, none before ``at``."""
        return [SetTimer(timer.timer, max(at, timer.at)) for _, timer in self.watched.values()]

    def api_overdue(self, timer: ApiOverdue, _at: int) -> None:
        """A trade seen on chain should have been confirmed by the API by now."""
        watched = self.watched.pop(timer.trade_id, None)
        if watched is not None and watched[0].first_seen_by_api_at is None:
            watched[0].api_lagged = True
            self.state.out.append(Update(trade_change(watched[0])))

    def log_overdue(self, timer: LogOverdue, _at: int) -> None:
        """The API has shown a trade whose log should have come through subscriptions that look healthy."""
        watched = self.watched.pop(timer.trade_id, None)
        if watched is None:
            return
        s, trade = self.state, watched[0]
        heard = s.healthy[_POLYGON] and s.healthy_since[_POLYGON] < trade.traded_at
        if trade.first_seen_by_polygon_at is None and trade.active and heard:
            s.out.append(CheckChain(f"no log of transaction {trade.tx_hash}, which the API shows"))


def _unique(trades: list[Trade]) -> list[Trade]:
    return list({t.id: t for t in trades}.values())
