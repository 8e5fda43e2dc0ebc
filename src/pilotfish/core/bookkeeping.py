"""Orders and what became of them, booked: the portfolio's side. It places and cancels orders and books the fills that
it is told of; of books and of how orders are filled it knows nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from pilotfish.core import fills, lateness, ledger
from pilotfish.core.desk import Desk
from pilotfish.core.effects import Insert, Refused, Update
from pilotfish.core.events import OrderEnded, OrderFilled, OrderTried
from pilotfish.core.orders import CancelOrder, How, Order, OrderState, PlaceOrder
from pilotfish.core.reasons import Outcome
from pilotfish.core.recording import intent_change, intent_record
from pilotfish.core.records import FillRecord
from pilotfish.core.sizing import FINEST, Slack, is_priced
from pilotfish.core.state import State
from pilotfish.core.trade import BUY, SELL, Trade, TradeClass
from pilotfish.core.units import MICRO, SECOND, Micros, Price, Shares, Usdc, price_of

ENDS: dict[How, tuple[OrderState, Outcome | None]] = {
    How.FILLED: (OrderState.FILLED, None),
    How.PARTIAL: (OrderState.PARTIAL, None),
    How.UNFILLED: (OrderState.CANCELLED, Outcome.UNFILLED_PRICE),
    How.NO_CASH: (OrderState.CANCELLED, Outcome.CANCELLED_NO_CASH),
    How.NO_BOOK: (OrderState.FAILED, Outcome.FAILED_NO_BOOK),
    How.LIMIT: (OrderState.FAILED, Outcome.FAILED_LIMIT),
    How.CANCELLED: (OrderState.CANCELLED, None),
    How.REJECTED: (OrderState.FAILED, Outcome.FAILED_REJECTED),
}
"""What an end means in the books."""
_WORKING, _FAILED = OrderState.WORKING, OrderState.FAILED


class Executor(Protocol):
    """Takes orders, and tells the books what becomes of them."""

    def place(self, order: PlaceOrder, at: int) -> None:
        """Send an order."""

    def cancel(self, cancel: CancelOrder, at: int) -> None:
        """Take one back."""


class Bookkeeping:
    def __init__(self, state: State) -> None:
        self.state = state
        self.executor: Executor | None = None
        """Who fills orders within this run; ``None``: whoever takes them from the effects."""
        self.booked: Callable[[Desk, Order, int, int], None] = lambda desk, order, fill_id, at: None
        """Told of every fill that was booked; reorgs remember it."""

    # -- placing -----------------------------------------------------------------------------------------------

    def open(self, desk: Desk, order: Order, at: int) -> None:
        """A new order: write it and send it out."""
        self.note(desk, order)
        self._place(desk, order, at)

    def note(self, desk: Desk, order: Order) -> None:
        """Write a new order."""
        desk.begin(order)
        self.state.owners[order.id] = desk
        self.state.out.append(Insert(intent_record(order)))

    def resume(self, desk: Desk, order: Order, trade: Trade | None, at: int) -> None:
        """An order that was open when the run before ended is decided anew: never filled blindly, never lost."""
        desk.begin(order)
        self.state.owners[order.id] = desk
        order.resumed = True
        if trade is not None:
            order.leader_usdc, order.leader_shares = trade.usdc, trade.shares
            order.held = not trade.active
        if order.side is SELL:
            patience = desk.policy.of(order.leader).sell_retry_sec * SECOND
            order.give_up_at = max(order.give_up_at, at + patience)
        if not order.held and self._in_time(desk, order, at):
            self._place(desk, order, at)

    def _in_time(self, desk: Desk, order: Order, at: int) -> bool:
        """Judge an order of the run before by how late it will be at the venue. False for a BUY that is too old: it
        ends; a late one pays no more than a missed BUY may."""
        policy, due = desk.policy.of(order.leader), max(at, order.due_at)
        late = lateness.classify(order.traded_at, due, policy.max_live_lag_sec) is TradeClass.CATCH_UP
        if order.side is SELL or not late:
            return True
        if lateness.too_old(order.traded_at, due, policy):
            self._finish(desk, order, OrderState.CANCELLED, Outcome.CANCELLED_TOO_OLD)
            return False
        usdc, shares = order.leader_usdc, order.leader_shares
        if not shares:
            usdc, shares = order.leader_price, MICRO
        order.limit_price = min(order.limit_price, lateness.catch_up_limit(usdc, shares, policy, FINEST))
        return True

    def _place(self, desk: Desk, order: Order, at: int) -> None:
        buy = order.side is BUY
        order.placed = order.budget
        policy = desk.policy
        placed = PlaceOrder(
            order.id,
            desk.name,
            order.token_id,
            order.side,
            order.share_cap if buy else order.shares - order.filled_shares,
            order.budget,
            desk.spendable(order) if buy else 0,
            order.limit_price,
            None if buy else self._slack(desk, order),
            order.due_at,
            order.give_up_at,
            policy.retry_interval_ms * 1000,
            policy.book_attempts,
            order.attempts,
            order.fills,
        )
        self.state.out.append(placed)
        if self.executor is not None:
            self.executor.place(placed, at)

    def _slack(self, desk: Desk, order: Order) -> Slack | None:
        if not order.leader_shares or not is_priced(order.leader_usdc, order.leader_shares, FINEST):
            return None
        policy, market = desk.policy.of(order.leader), self.state.markets.get(order.token_id)
        bps, ticks = policy.sell_max_slippage_bps, policy.sell_max_slippage_ticks
        return Slack(order.leader_usdc, order.leader_shares, bps, ticks, market.tick if market is not None else MICRO)

    def _take_back(self, number: int, at: int) -> None:
        cancel = CancelOrder(number)
        self.state.out.append(cancel)
        if self.executor is not None:
            self.executor.cancel(cancel, at)

    # -- changing ----------------------------------------------------------------------------------------------

    def change(self, desk: Desk, order: Order, at: int) -> None:
        """An order's size was changed while it is out: it is sent anew."""
        self.state.out.append(Update(intent_change(order)))
        if not order.held:
            self._place(desk, order, at)

    def cancel(self, desk: Desk, order: Order, why: Outcome, at: int) -> None:
        """Take an order back; it ends once whoever has it says so."""
        if order.ending is not None:
            return
        if order.held:
            state, reason = (OrderState.FILLED, None) if order.dust else (OrderState.CANCELLED, why)
            self._finish(desk, order, state, reason)
        else:
            order.ending = why
            self._take_back(order.id, at)

    def hold(self, order: Order, at: int) -> None:
        """A reorg took the leader's trade back: the order waits whether it stands again."""
        if not order.held:
            order.held = True
            self._take_back(order.id, at)

    def release(self, desk: Desk, order: Order, at: int) -> None:
        """The leader's trade stands again: the order goes out again, a SELL for what others have left of its shares."""
        if not order.held:
            return
        if order.side is SELL and not self._has_room(desk, order):
            self.cancel(desk, order, Outcome.CANCELLED_REORG, at)
            return
        order.held = False
        if not order.resumed or self._in_time(desk, order, at):
            self._place(desk, order, at)

    def _has_room(self, desk: Desk, order: Order) -> bool:
        """Cut a SELL to what is held and not promised to others meanwhile; False where that is nothing."""
        left = desk.held(order.key)
        if 0 < left < order.shares - order.filled_shares:
            order.shares = order.filled_shares + left
            self.state.out.append(Update(intent_change(order)))
        return left > 0

    def forget(self, desk: Desk, at: int) -> None:
        """A portfolio's paper state is wiped: take its orders back without writing what became of them."""
        out = [order.id for order in desk.intents.values() if not order.held]
        for number in desk.intents:
            self.state.owners.pop(number, None)
        desk.end_all()
        for number in out:
            self._take_back(number, at)

    # -- what became of them -----------------------------------------------------------------------------------

    def filled(self, e: OrderFilled) -> None:
        """Book a fill. One that cannot be (of an unknown or ended order, told twice, beyond the order) is refused."""
        desk, order = self._find(e.order_id)
        why = "no open order has this number" if desk is None or order is None else _impossible(desk, order, e)
        if desk is None or order is None or why:
            if order is None or e.number > order.fills:
                self.state.out.append(Refused("orders", f"fill of order {e.order_id}: {why}", repr(e)))
            return
        x, state, out = e.execution, self.state, self.state.out
        position = desk.positions.get(order.key)
        if position is None:
            position = desk.position(order.key, state.markets.get(order.token_id))
            state.holders.add(order.token_id, desk)
        move = ledger.buy if order.side is BUY else ledger.sell
        entries = move(position, x.shares, x.usdc, x.fee, e.at)
        order.fills, order.filled_shares = e.number, order.filled_shares + x.shares
        order.limit_price = x.limit
        order.move(_WORKING)
        out.append(Update(intent_change(order)))
        order.spent += x.usdc
        fill_id = state.next_id("fill")
        out.append(Insert(_fill_record(fill_id, order, e)))
        state.book_cash(desk, entries, e.at, order.leader, order.token_id, fill_id)
        state.put_position(desk, position, order.rule or "leader")
        self.booked(desk, order, fill_id, e.at)
        if order.side is SELL and position.shares and ledger.is_dust(position.shares, x.takes[-1].price):
            self.write_off(desk, position, order, e.at)

    def tried(self, e: OrderTried) -> None:
        """An order goes on being tried; whoever looks sees how often there was no book, and when it is tried next."""
        desk, order = self._find(e.order_id)
        if desk is None or order is None or order.held:
            return
        order.attempts, order.due_at = e.attempts, e.due_at
        if e.limit is not None:
            order.limit_price = e.limit
            order.move(_WORKING)
        self.state.out.append(Update(intent_change(order)))

    def ended(self, e: OrderEnded) -> None:
        """An order is over."""
        desk, order = self._find(e.order_id)
        if desk is None or order is None:
            return
        if order.held and e.how is How.CANCELLED and order.ending is None:
            return
        order.attempts, order.due_at = e.attempts, e.due_at if e.due_at is not None else order.due_at
        state, reason = ENDS[e.how]
        if order.dust:
            state, reason = OrderState.FILLED, None
        elif e.how is How.CANCELLED:
            reason = order.ending
        elif state is _FAILED and order.filled_shares:
            state = OrderState.PARTIAL
        self._finish(desk, order, state, reason)

    def _finish(self, desk: Desk, order: Order, state: OrderState, reason: Outcome | None) -> None:
        order.move(state, reason)
        desk.end(order.id)
        self.state.owners.pop(order.id, None)
        if order.side is BUY:
            desk.unspend(order.created_at, max(0, order.budget - order.spent))
        self.state.out.append(Update(intent_change(order)))

    def _find(self, order_id: int) -> tuple[Desk | None, Order | None]:
        desk = self.state.owners.get(order_id)
        return (desk, desk.intents[order_id]) if desk is not None else (None, None)

    # -- what is too little to sell ----------------------------------------------------------------------------

    def write_off(self, desk: Desk, position: ledger.Position, order: Order, at: int) -> None:
        """Close what a SELL left of a position, with an entry of its own; nothing is left to sell."""
        order.dust = position.shares
        entries = ledger.write_off(position, at)
        self.state.book_cash(desk, entries, at, position.leader, position.token_id, None)
        self.state.put_position(desk, position, "dust")
        for other in desk.open_intents(order.key, SELL):
            self.cancel(desk, other, Outcome.CANCELLED_NOTHING_LEFT, at)


def _impossible(desk: Desk, order: Order, e: OrderFilled) -> str:
    """Why a fill cannot be; empty = it can."""
    x = e.execution
    if e.number != order.fills + 1:
        return f"it is fill {e.number}, after {order.fills}"
    if x.shares <= 0 or x.usdc < 0 or x.fee < 0 or not x.takes:
        return "its amounts cannot be"
    if order.side is BUY:
        if x.usdc > order.placed - order.spent:
            return f"it costs {x.usdc}, and {order.placed - order.spent} is left to spend"
        return f"it costs {x.usdc + x.fee}, and the cash is {desk.cash}" if x.usdc + x.fee > desk.cash else ""
    position = desk.positions.get(order.key)
    held = position.shares if position else 0
    if x.shares > min(order.shares - order.filled_shares, held):
        return f"it sells {x.shares} of {order.shares - order.filled_shares} ordered and {held} held"
    return "its fee is more than it brings" if x.fee > x.usdc else ""


def _fill_record(number: int, order: Order, e: OrderFilled) -> FillRecord:
    x = e.execution
    delay, spread = fills.costs(order.side, x.shares, x.usdc, x.mid2, order.leader_price)
    return FillRecord(
        number,
        "orphaned" if order.held else "ok",
        order.id,
        order.portfolio,
        order.leader,
        order.token_id,
        order.side,
        Shares(x.shares),
        Usdc(x.usdc),
        price_of(x.usdc, x.shares),
        Usdc(x.fee),
        Micros(e.at),
        [[t.price, t.shares] for t in x.takes],
        Usdc(delay),
        Usdc(spread),
        Price(order.leader_price),
        Price(x.mid2),
        x.schedule.rate_ppm,
        x.schedule.half_exponent,
    )
