"""One portfolio's books in memory: cash, positions and their running sums, intents, and the decisions that wait."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TypeAlias

import msgspec

from pilotfish.core import ledger
from pilotfish.core.events import Market, PortfolioState
from pilotfish.core.leader_orders import LeaderOrder, LeaderOrders
from pilotfish.core.ledger import Position
from pilotfish.core.orders import Order
from pilotfish.core.reasons import Reason
from pilotfish.core.settings import Policy
from pilotfish.core.timers import Waited
from pilotfish.core.trade import BUY, SELL, Side, Trade
from pilotfish.core.units import MICRO, PPM

DAY = 86_400 * MICRO
DeskKey: TypeAlias = tuple[str, str]
"""(leader, token_id)"""


_UNCOUNTED = (-1, 0, 0, 0, 0)


class Waiting(msgspec.Struct, gc=False):
    """A decision that is not final yet."""

    decision_id: int
    trade: Trade
    adjustment_id: int | None = None
    book_attempts: int = 0
    market_attempts: int = 0
    written: bool = False
    reason: Reason | None = None
    """Why it was not final at the last look."""
    retry: tuple[Waited, int] | None = None
    """What it waits for and when (µs) that is looked at again, where time is what ends the wait."""
    ideal: int = 0
    """USDC that the ideal takes of a BUY at their price, if this fill is the one of its order that counts."""
    by_order: bool = False
    """True where sizing is by order, at the time at which the trade came in."""
    order: LeaderOrder | None = None


@dataclass(slots=True)
class Sums:
    """What all positions together amount to; kept up with each change, so that reading costs nothing."""

    worth: int = 0
    unmarked: int = 0
    """The part of ``worth`` that is only the last known value: nobody bids."""
    cost: int = 0
    realized: int = 0
    fees: int = 0
    open: int = 0


class Desk:
    """Positions are changed by the ledger and then handed to :meth:`count`, which keeps the sums right."""

    def __init__(self, state: PortfolioState, number: int = 0) -> None:
        self.name = state.name
        self.number = number
        """Its place among the portfolios."""
        self.policy: Policy = state.policy
        self.bankroll = state.bankroll
        self.cash = state.cash
        self.follows = None if state.follows is None else frozenset(state.follows)
        self.positions: dict[DeskKey, Position] = {(p.leader, p.token_id): p for p in state.positions}
        self.by_token: dict[str, list[Position]] = {}
        self.intents: dict[int, Order] = {}
        """Orders that are still being worked on; changed by :meth:`begin` and :meth:`end` alone."""
        self._intents_of: dict[DeskKey, dict[int, Order]] = {}
        self._buys_out: dict[int, Order] = {}
        self._promised = 0
        """The budgets of pending BUYs together."""
        self._promised_by: dict[str, int] = {}
        """The same by condition and by leader."""
        self.orders: dict[DeskKey, LeaderOrders] = {}
        """The leaders' orders, oldest first."""
        for order in state.orders:
            self.orders.setdefault((order.leader, order.token_id), LeaderOrders()).add(order)
        self.spent_day, self.spent_today = state.spent_day, state.spent_today
        self.buys: dict[str, int] = dict(state.buys)
        self.saved: dict[DeskKey, int] = {(leader, token): usdc for leader, token, usdc in state.saved}
        self.missed: dict[str, set[str]] = {}
        """Token -> leaders who bought it, of markets that are not resolved: valued also where we hold nothing of it."""
        for leader, token_id in state.missed:
            self.miss((leader, token_id))
        self.queues: dict[DeskKey, deque[Waiting]] = {}
        self.sums = Sums()
        self.day, self.day_equity = -1, state.day_equity
        self.peak, self.drawdown = max(state.peak, state.bankroll), state.drawdown
        self.marked: dict[DeskKey, Position] = {}
        """Positions with a mark that is not in their rows yet: it gets there with the portfolio's next equity."""
        self.last_equity: tuple[int, ...] | None = None
        self.last_equity_at = 0
        self.armed: dict[DeskKey, tuple[str, int]] = {}
        """Positions that a rule would sell -> which rule, and when (µs) it looks again."""
        self._counted: dict[DeskKey, tuple[int, int, int, int, int]] = {}
        self._cost_by: dict[str, int] = {}
        """Cost of open positions by condition and by leader (their texts cannot be mistaken for each other)."""
        self._open_by: dict[str, int] = {}
        """Open positions by leader."""
        for position in state.positions:
            self.by_token.setdefault(position.token_id, []).append(position)
            self.count(position)

    def wipe(self) -> None:
        """Back to the bankroll: what a reset of the paper state does."""
        self.bankroll = self.policy.bankroll
        self.cash = self.bankroll
        for table in (self.positions, self.by_token, self.orders, self.buys, self.saved, self.missed,
                      self.armed, self.marked, self._counted, self._cost_by, self._open_by):  # fmt: skip
            table.clear()
        self.end_all()
        self.sums = Sums()
        self.spent_today = 0
        self.last_equity, self.day, self.day_equity = None, -1, None
        self.peak, self.drawdown = self.bankroll, 0

    def miss(self, key: DeskKey) -> None:
        """A leader bought this token, whatever we make of it."""
        self.missed.setdefault(key[1], set()).add(key[0])

    def wants(self, leader: str) -> bool:
        """True if this portfolio copies the leader."""
        return self.follows is None or leader in self.follows

    # -- positions ---------------------------------------------------------------------------------------------

    def count(self, position: Position) -> None:
        """Bring the sums up to date after a change of ``position``."""
        key = (position.leader, position.token_id)
        value, unmarked, cost, realized, fees = self._counted.get(key, _UNCOUNTED)
        sums, worth, holds = self.sums, ledger.value_of(position), position.shares > 0
        sums.worth += worth - value if value > 0 else worth
        unknown = worth if position.unmarked_since is not None else 0
        sums.unmarked += unknown - unmarked
        sums.realized += position.realized_pnl - realized
        sums.fees += position.fees - fees
        if holds is not (value >= 0):
            opened = 1 if holds else -1
            sums.open += opened
            self._open_by[position.leader] = self._open_by.get(position.leader, 0) + opened
        if position.cost != cost:
            sums.cost += position.cost - cost
            for what in (position.condition_id, position.leader):
                self._cost_by[what] = self._cost_by.get(what, 0) + position.cost - cost
        if not holds:
            self.armed.pop(key, None)
        self._counted[key] = (worth if holds else -1, unknown, position.cost, position.realized_pnl, position.fees)

    def position(self, key: DeskKey, market: Market | None) -> Position:
        """The position in a leader's token, made when there is none yet."""
        position = self.positions.get(key)
        if position is None:
            position = Position(
                leader=key[0],
                token_id=key[1],
                condition_id=market.condition_id if market else "",
                outcome=market.outcome if market else "",
            )
            self.positions[key] = position
            self.by_token.setdefault(key[1], []).append(position)
        return position

    def name_market(self, position: Position, market: Market) -> None:
        """Put a position that was opened without knowing its market where it belongs."""
        before = self._cost_by.get("", 0)
        if before:
            self._cost_by[""] = before - position.cost
            self._cost_by[market.condition_id] = self._cost_by.get(market.condition_id, 0) + position.cost
        position.condition_id, position.outcome = market.condition_id, market.outcome

    def held(self, key: DeskKey) -> int:
        """Shares held and not yet promised to a SELL that is out: one that a reorg holds back promises nothing."""
        position = self.positions.get(key)
        if position is None:
            return 0
        out = self._intents_of.get(key)
        if out is None:
            return position.shares
        promised = sum([i.shares - i.filled_shares for i in out.values() if i.side is SELL and not i.held])
        return max(0, position.shares - promised)

    @property
    def equity(self) -> int:
        """Cash and what the positions would bring."""
        return self.cash + self.sums.worth

    # -- intents and limits ------------------------------------------------------------------------------------

    def begin(self, order: Order) -> None:
        """Work on an order from now on."""
        self.intents[order.id] = order
        self._intents_of.setdefault((order.leader, order.token_id), {})[order.id] = order
        if order.side is BUY:
            self._buys_out[order.id] = order
            self._promise(order, order.budget)

    def rebudget(self, order: Order, budget: int) -> None:
        """Change what a pending BUY may spend."""
        if order.id in self._buys_out:
            self._promise(order, budget - order.budget)
        order.budget = budget

    def _promise(self, order: Order, more: int) -> None:
        self._promised += more
        by = self._promised_by
        for what in (order.condition_id, order.leader):
            left = by.get(what, 0) + more
            if left:
                by[what] = left
            else:
                by.pop(what, None)

    def end(self, order_id: int) -> None:
        """An order is over."""
        order = self.intents.pop(order_id, None)
        if order is not None:
            if self._buys_out.pop(order_id, None) is not None:
                self._promise(order, -order.budget)
            key = (order.leader, order.token_id)
            mine = self._intents_of[key]
            del mine[order_id]
            if not mine:
                del self._intents_of[key]

    def end_all(self) -> None:
        """Nothing is being worked on any more."""
        self.intents.clear()
        self._intents_of.clear()
        self._buys_out.clear()
        self._promised = 0
        self._promised_by.clear()

    def open_intents(self, key: DeskKey, side: Side | None = None) -> list[Order]:
        """Intents of this leader and token that are still being worked on."""
        mine = self._intents_of.get(key)
        return [i for i in mine.values() if side is None or i.side is side] if mine is not None else []

    def free_cash(self) -> int:
        """Cash that no pending BUY has promised away, fees included at their highest documented rate."""
        return self.cash - self._promised - self._promised * 70_000 // PPM

    def spendable(self, order: Order) -> int:
        """Cash that a BUY order of ours may use up, its fee included: what the other pending BUYs leave."""
        others = self._promised - (order.budget if order.id in self._buys_out else 0)
        return max(0, self.cash - others - others * 70_000 // PPM)

    def positions_to_be(self, leader: str | None = None) -> int:
        """Open positions and those that pending BUYs will open, of one leader if named."""
        pending = {(i.leader, i.token_id) for i in self._buys_out.values() if leader in (None, i.leader)}
        held = self.sums.open if leader is None else self._open_by.get(leader, 0)
        return held + sum(1 for key in pending if key not in self.positions or not self.positions[key].shares)

    def cost_where(self, *, condition_id: str | None = None, leader: str | None = None) -> int:
        """Cost of open positions, of one market or one leader if named, with pending BUYs."""
        what = condition_id if condition_id is not None else leader
        if what is None:
            return self.sums.cost + self._promised
        return self._cost_by.get(what, 0) + self._promised_by.get(what, 0)

    def spend(self, at: int, amount: int) -> None:
        """Count a BUY towards its UTC day."""
        day = at // DAY
        if day != self.spent_day:
            self.spent_day, self.spent_today = day, 0
        self.spent_today += amount

    def unspend(self, created_at: int, amount: int) -> None:
        """Give back what a BUY intent of ``created_at`` did not spend in the end, while its UTC day lasts."""
        if created_at // DAY == self.spent_day:
            self.spent_today = max(0, self.spent_today - amount)

    def begin_day(self, at: int) -> None:
        """Note the equity at which a UTC day begins."""
        day = at // DAY
        if day != self.day:
            if self.day >= 0 or self.day_equity is None:
                self.day_equity = self.equity
            self.day = day

    @property
    def lost_today(self) -> int:
        """How far equity is below where the UTC day began; 0 if it is not."""
        return max(0, (self.day_equity if self.day_equity is not None else self.equity) - self.equity)
