"""Faults, each planted into the rules for as long as its context lasts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any
from unittest.mock import patch

from sqlalchemy import Connection

from pilotfish.core import events as ev
from pilotfish.core import lateness
from pilotfish.core.book import Level, LevelKey, LiquidityMemory
from pilotfish.core.copied import Copied
from pilotfish.core.copying import Copying
from pilotfish.core.dedupe import Sighting, TradeIndex
from pilotfish.core.desk import Desk, DeskKey
from pilotfish.core.effects import SetTimer
from pilotfish.core.engine import Engine
from pilotfish.core.fees import UNKNOWN_FEE, FeeSchedule
from pilotfish.core.holdings import Holding
from pilotfish.core.orders import Order
from pilotfish.core.paper import Paper
from pilotfish.core.reasons import Outcome
from pilotfish.core.reorgs import Reorgs
from pilotfish.core.settlement import Settlement
from pilotfish.core.timers import ReorgOver
from pilotfish.core.trade import LeaderFill, Side, Trade, TradeClass, TradeKey
from pilotfish.store import following


@contextmanager
def key_without_occurrence() -> Iterator[None]:
    """Identical fills of one transaction are taken for one trade."""
    see_chain, see_api_window = TradeIndex.see_chain, TradeIndex.see_api_window

    def chain(self: TradeIndex, fill: LeaderFill, at: int) -> Sighting:
        sighting = see_chain(self, fill, at)
        if sighting.trade is None and sighting.occurrence > 1:
            return Sighting(fill, next(t for t in self if t.key == fill.key), 1)
        return sighting

    def window(self: TradeIndex, fills: Iterable[LeaderFill], at: int) -> Iterator[Sighting]:
        return see_api_window(self, {fill.key: fill for fill in fills}.values(), at)

    with patch.object(TradeIndex, "see_chain", chain), patch.object(TradeIndex, "see_api_window", window):
        yield


@contextmanager
def cursor_before_its_trades() -> Iterator[None]:
    """The cursor is written with a window's arrival, its trades only with the next event."""
    apply = Engine.apply
    late: dict[int, ev.ApiWindowRead] = {}

    def applied(self: Engine, event: ev.Event) -> Any:
        window = late.pop(id(self), None)
        before: list[Any] = []
        if window is not None:
            before = apply(self, ev.ApiWindowRead(**{**_fields(window), "at": event.at}))
        if isinstance(event, ev.ApiWindowRead) and event.fills:
            late[id(self)] = event
            event = ev.ApiWindowRead(**{**_fields(event), "fills": ()})
        return [*before, *apply(self, event)]

    with patch.object(Engine, "apply", applied):
        yield


def sell_from_the_total() -> AbstractContextManager[Any]:
    """A SELL of one leader sells what was copied from any."""

    def held(self: Desk, key: DeskKey) -> int:
        total = sum(p.shares for p in self.by_token.get(key[1], ()))
        return max(0, total - sum(i.shares - i.filled_shares for i in self.open_intents(key, Side.SELL)))

    return patch.object(Desk, "held", held)


def timer_lost_at_restart() -> AbstractContextManager[Any]:
    """After a restart nothing ends the wait for a trade that a reorg took back."""
    timers = Engine.timers

    def lost(self: Engine, at: int) -> list[SetTimer]:
        return [t for t in timers(self, at) if not isinstance(t.timer, ReorgOver)]

    return patch.object(Engine, "timers", lost)


def occurrence_order() -> AbstractContextManager[Any]:
    """Identical fills stay in the order in which they arrived."""

    def unsorted(self: TradeIndex, key: TradeKey) -> list[Trade]:
        return []

    return patch.object(TradeIndex, "sort_occurrences", unsorted)


def fee_from_another_market() -> AbstractContextManager[Any]:
    """A fill is charged what another market charges."""

    def other(self: Paper, token_id: str) -> FeeSchedule:
        others = [m.fee for token, m in self._markets.items() if token[:-1] != token_id[:-1]]
        return others[0] if others else UNKNOWN_FEE

    return patch.object(Paper, "_schedule", other)


def liquidity_counted_twice() -> AbstractContextManager[Any]:
    """What was taken of a level is there again."""

    def whole(taken: dict[LevelKey, int], who: str, side: Side, level: Level) -> int:
        return level.size

    return patch.object(LiquidityMemory, "left", staticmethod(whole))


def catch_up_as_live() -> AbstractContextManager[Any]:
    """A trade is live however late it is."""

    def live(traded_at: int, at: int, max_live_lag_sec: int, *, backfill: bool = False) -> TradeClass:
        return TradeClass.BACKFILL if backfill else TradeClass.LIVE

    return patch.object(lateness, "classify", live)


def reorg_without_holding() -> AbstractContextManager[Any]:
    """A trade that is taken back still counts in what its leader holds."""

    def kept(self: Holding, trade: Trade, at: int) -> list[Trade]:
        return []

    return patch.object(Holding, "remove_trade", kept)


def settlement_twice() -> AbstractContextManager[Any]:
    """A market that is shown as resolved once more pays once more."""
    settle = Settlement.settle

    def twice(self: Settlement, market: ev.Market, at: int) -> None:
        held = [(p, p.shares) for d in self.state.desks.values() for p in d.by_token.get(market.token_id, ())]
        settle(self, market, at)
        for position, shares in held:
            position.shares = shares
        settle(self, market, at)

    return patch.object(Settlement, "settle", twice)


def left_and_taken_up_where_it_was() -> AbstractContextManager[Any]:
    """Who was left and is followed again is read from where they were left."""
    taken_up = following.taken_up

    def resumed(c: Connection, leader: following.LeaderRow, at: int, **how: Any) -> Any:
        was = following.follow_again(c, leader, at)
        return taken_up(c, leader, at, **how) if was is None else (None, was)

    return patch.object(following, "taken_up", resumed)


def what_waited_goes_on_when_followed_again() -> AbstractContextManager[Any]:
    """Nobody is told that a leader was left while the worker was stopped."""
    taken_up = following.taken_up

    def untold(c: Connection, leader: following.LeaderRow, at: int, **how: Any) -> Any:
        return None, taken_up(c, leader, at, **how)[1]

    return patch.object(following, "taken_up", untold)


def former_following_rewritten() -> AbstractContextManager[Any]:
    """The first snapshot of a following tells of the one before, too."""
    begin_with = Holding.begin_with

    def all_of_it(self: Holding, shares: int, as_of: int, since: int) -> list[Trade]:
        return begin_with(self, shares, as_of, 0)

    return patch.object(Holding, "begin_with", all_of_it)


def an_exit_without_a_trade_is_not_copied() -> AbstractContextManager[Any]:
    """Redemptions, merges and conversions are corrections only."""

    def nothing(self: Copying, trade: Trade, adjustment_id: int, at: int) -> None:
        return None

    return patch.object(Copying, "exit", nothing)


def what_waits_is_taken_for_done() -> AbstractContextManager[Any]:
    """A trade that waits behind another counts as one that was decided before it."""

    def later(self: Copied, desk: Desk, trade: Trade) -> list[Trade]:
        holding = self.state.holdings.get((trade.leader, trade.token_id))
        return holding.after(trade) if holding is not None else []

    return patch.object(Copied, "later", later)


def a_way_out_is_called_off_whole() -> AbstractContextManager[Any]:
    """Of a BUY that stands again after a reorg all is kept, whatever the leader has sold meanwhile."""

    def whole(self: Reorgs, desk: Desk, way_out: Order, later: list[Trade], at: int) -> None:
        self.bookkeeping.cancel(desk, way_out, Outcome.CANCELLED_REORG, at)

    return patch.object(Reorgs, "_call_off", whole)


def _fields(struct: Any) -> dict[str, Any]:
    return {name: getattr(struct, name) for name in struct.__struct_fields__}


FAULTS: dict[str, Callable[[], AbstractContextManager[Any]]] = {
    f.__name__: f
    for f in (
        key_without_occurrence, cursor_before_its_trades, sell_from_the_total, timer_lost_at_restart, occurrence_order,
        fee_from_another_market, liquidity_counted_twice, catch_up_as_live, reorg_without_holding, settlement_twice,
        left_and_taken_up_where_it_was, what_waited_goes_on_when_followed_again, former_following_rewritten,
        an_exit_without_a_trade_is_not_copied, what_waits_is_taken_for_done, a_way_out_is_called_off_whole,
    )
}  # fmt: skip
