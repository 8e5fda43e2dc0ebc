"""A reorg takes a leader's trade back: what hangs on it waits, its fills are marked, and who wants it leaves the
position; the same fill mined again puts all that right. How long everybody is patient stands here, too."""

from __future__ import annotations

from typing import TypeAlias

from pilotfish.core.bookkeeping import Bookkeeping
from pilotfish.core.copied import Copied, Sold
from pilotfish.core.desk import Desk
from pilotfish.core.effects import SetTimer, Update
from pilotfish.core.exits import Exits
from pilotfish.core.orders import Order
from pilotfish.core.patience import ORPHAN_PATIENCE, given_up_at
from pilotfish.core.reasons import Outcome
from pilotfish.core.records import FillStatus
from pilotfish.core.state import State
from pilotfish.core.timers import ReorgOver
from pilotfish.core.trade import Side, Trade
from pilotfish.core.units import SECOND

Recent: TypeAlias = tuple[tuple[Order, tuple[int, ...]], ...]
"""Orders with the ids of their fills."""


class Reorgs:
    """Knows which fills rest on which trade."""

    def __init__(self, state: State, bookkeeping: Bookkeeping, exits: Exits, copied: Copied) -> None:
        self.state = state
        self.copied = copied
        self.exits = exits
        self.bookkeeping = bookkeeping
        bookkeeping.booked = self._booked
        self._retracted: dict[int, Trade] = {}
        """Trades that are taken back: what hangs on them waits."""

    def restore(self, trades: dict[int, Trade], recent: list[tuple[Desk, Recent]]) -> None:
        """Retracted trades, and fills from before a restart that a reorg could still touch."""
        self._retracted.update({t.id: t for t in trades.values() if not t.active})
        for desk, orders in recent:
            for order, fill_ids in orders:
                self.copied.add(desk, desk.intents.get(order.id, order), fill_ids)

    @property
    def retracted(self) -> set[int]:
        """Trades that are taken back, by their ids."""
        return set(self._retracted)

    def timers(self, at: int) -> list[SetTimer]:
        """When each retracted trade that an order waits for is given up."""
        held = [i.trade_id for desk in self.state.desks.values() for i in desk.intents.values() if i.held]
        mine = [self._retracted[t] for t in dict.fromkeys(held) if t in self._retracted]
        return [SetTimer(ReorgOver(t.id), max(at, given_up_at(t, self.state.started_at))) for t in mine]

    def _booked(self, desk: Desk, order: Order, fill_id: int, at: int) -> None:
        self.copied.add(desk, order, (fill_id,))
        if order.held:
            self._leave(desk, order, order.filled_shares, at)

    def retract(self, trade: Trade, sold: list[Sold], at: int) -> None:
        """A trade was taken back: hold its open orders, mark its fills, leave the position if that is the policy.
        ``sold``: the SELLs after it, which took their part of what was bought on it."""
        self._retracted[trade.id] = trade
        for desk in self.state.desks.values():
            for order in [i for i in desk.intents.values() if i.trade_id == trade.id]:
                self.bookkeeping.hold(order, at)
        for name, order, fill_ids in self.copied.of(trade.id):
            owner = self.state.desks.get(name)
            if owner is None:
                continue
            for fill_id in fill_ids:
                self.state.out.append(Update(FillStatus(id=fill_id, status="orphaned")))
            self._leave(owner, order, self.copied.left(owner, trade.id, sold), at)

    def _leave(self, desk: Desk, order: Order, bought: int, at: int) -> None:
        """Sell what was copied from a retracted trade, after some patience, where that is the policy."""
        policy = desk.policy.of(order.leader)
        shares = min(bought, desk.held(order.key))
        if policy.orphan_policy != "exit" or order.side is not Side.BUY or shares <= 0:
            return
        way_out = Order(
            id=self.state.next_id("intent"),
            decision_id=order.decision_id,
            trade_id=0,
            portfolio=desk.name,
            leader=order.leader,
            token_id=order.token_id,
            condition_id=order.condition_id,
            side=Side.SELL,
            shares=shares,
            budget=0,
            limit_price=self.exits.limit(desk, desk.positions[order.key], policy),
            leader_price=order.leader_price,
            traded_at=at,
            created_at=at,
            due_at=at + ORPHAN_PATIENCE + policy.order_latency_ms * 1000,
            give_up_at=at + ORPHAN_PATIENCE + policy.sell_retry_sec * SECOND,
            rule="reorg",
        )
        self.bookkeeping.open(desk, way_out, at)

    def revive(self, trade: Trade, at: int) -> None:
        """The trade stands again: its orders go on, its fills count, a way out that has not begun is called off but for
        what the leader has sold since."""
        self._retracted.pop(trade.id, None)
        for desk in self.state.desks.values():
            for order in [i for i in desk.intents.values() if i.trade_id == trade.id]:
                self.bookkeeping.release(desk, order, at)
        for name, order, fill_ids in self.copied.of(trade.id):
            for fill_id in fill_ids:
                self.state.out.append(Update(FillStatus(id=fill_id, status="ok")))
            owner = self.state.desks.get(name)
            if owner is None:
                continue
            for way_out in list(owner.intents.values()):
                mine = way_out.decision_id == order.decision_id and way_out.trade_id == 0
                if mine and not way_out.filled_shares:
                    self._call_off(owner, way_out, self.copied.later(owner, trade), at)

    def _call_off(self, desk: Desk, way_out: Order, later: list[Trade], at: int) -> None:
        """What came while a BUY was taken back found nothing of it: as much as that would leave of it stays."""
        stays = self.copied.bought_late(desk, way_out.key, later, way_out.shares)
        if stays == way_out.shares:
            self.bookkeeping.cancel(desk, way_out, Outcome.CANCELLED_REORG, at)
        elif stays:
            way_out.shares -= stays
            self.bookkeeping.change(desk, way_out, at)

    def give_up(self, trade_id: int, at: int) -> None:
        """A retracted trade was not mined again in time: its open orders end."""
        if trade_id in self._retracted:
            for desk in self.state.desks.values():
                for order in [i for i in desk.intents.values() if i.trade_id == trade_id]:
                    self.bookkeeping.cancel(desk, order, Outcome.CANCELLED_REORG, at)
