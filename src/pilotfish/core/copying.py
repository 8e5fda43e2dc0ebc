"""From a trade to its decision: one per portfolio, in the order of the trades, final once."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from pilotfish.core import ledger, sizing
from pilotfish.core.bookkeeping import Bookkeeping
from pilotfish.core.copied import Copied
from pilotfish.core.desk import DAY, Desk, DeskKey, Waiting
from pilotfish.core.effects import (
    Insert,
    Update,
    Upsert,
)
from pilotfish.core.events import PendingDecision
from pilotfish.core.facts import Facts, Verdict
from pilotfish.core.leader_orders import LeaderOrders
from pilotfish.core.ledger import Position
from pilotfish.core.orders import Order
from pilotfish.core.policy import decide
from pilotfish.core.reasons import Outcome, Reason
from pilotfish.core.recording import decision_change, decision_record
from pilotfish.core.records import CheckRow, SavingRecord
from pilotfish.core.settings import Policy
from pilotfish.core.state import State
from pilotfish.core.timers import Waited
from pilotfish.core.trade import BUY, SELL, Trade
from pilotfish.core.units import SECOND, Micros, Usdc, price_of
from pilotfish.core.waits import Waits, line_up

FORGET_EVERY = 3_600 * SECOND
_DOWN = (Reason.SKIP_POLYGON_UNHEALTHY, Reason.SKIP_API_UNHEALTHY)
_EXITS = (Reason.COPY, Reason.COPY_GONE, Reason.SKIP_NO_POSITION, Reason.SKIP_BELOW_MIN)


class Copying:
    """Decides trades. Decisions that miss something wait in a queue per (portfolio, leader, token)."""

    def __init__(self, state: State, bookkeeping: Bookkeeping, copied: Copied) -> None:
        self.state = state
        self.bookkeeping = bookkeeping
        self.copied = copied
        self.waits = Waits(state)
        self._forgotten_at = 0

    def restore(self, desk: Desk, pending: tuple[PendingDecision, ...], trades: dict[int, Trade], at: int) -> None:
        """Take up the decisions that were waiting when the worker stopped."""
        for key in sorted(self.requeue(desk, pending, trades)):
            self.advance(desk, key, at)

    def requeue(self, desk: Desk, pending: tuple[PendingDecision, ...], trades: dict[int, Trade]) -> set[DeskKey]:
        """Put waiting decisions back into their queues; returns which."""
        touched: set[DeskKey] = set()
        for item in sorted(pending, key=lambda p: p.id):
            trade = item.exit if item.trade_id is None else trades.get(item.trade_id)
            if trade is None:
                continue
            key = (trade.leader, trade.token_id)
            waiting = Waiting(item.id, trade, adjustment_id=item.adjustment_id, written=True)
            mine = item.order_decision_id or item.id
            waiting.order = next((o for o in desk.orders.get(key, ()) if o.decision_id == mine), None)
            line_up(desk.queues.setdefault(key, deque()), waiting)
            touched.add(key)
        return touched

    def new_trade(self, trade: Trade, at: int) -> None:
        """Decide a new trade for every portfolio that follows its leader."""
        for desk in self.state.followers(trade.leader):
            self._enqueue(desk, trade, None, at)

    def exit(self, trade: Trade, adjustment_id: int, at: int) -> None:
        """Decide a leader's exit without a trade, for every portfolio that holds something of it, or would had it
        copied everything."""
        for desk in self.state.followers(trade.leader):
            key = (trade.leader, trade.token_id)
            if key[0] in desk.missed.get(key[1], ()) or desk.held(key) or desk.open_intents(key):
                self._enqueue(desk, trade, adjustment_id, at)

    def _enqueue(self, desk: Desk, trade: Trade, adjustment_id: int | None, at: int) -> None:
        key = (trade.leader, trade.token_id)
        item = Waiting(self.state.next_id("decision"), trade, adjustment_id)
        if trade.side is BUY and not trade.is_backfill and not trade.is_combo:
            self._begin_buy(desk, key, item, at)
        queue = desk.queues.get(key)
        if queue:
            if trade.side is BUY and self._skipped_while_down(desk, key, item, at):
                return
            if line_up(queue, item):
                self._write_wait(desk, item, Reason.WAIT_TURN, [], at)
            else:
                self.advance(desk, key, at)
        elif not self._settle(desk, key, item, at):
            desk.queues[key] = deque((item,))

    def _skipped_while_down(self, desk: Desk, key: DeskKey, item: Waiting, at: int) -> bool:
        """A BUY that comes while a source that it needs is down is skipped at once, whatever it would wait behind."""
        if all(self.state.healthy.values()):
            return False
        policy = desk.policy.of(key[0])
        verdict = self._decide(desk, policy, key, item, at)
        if verdict.reason not in _DOWN:
            return False
        self._finish(desk, policy, key, item, verdict, at)
        return True

    def _begin_buy(self, desk: Desk, key: DeskKey, item: Waiting, at: int) -> None:
        """What the ideal takes of a BUY is settled as it comes in, before any guard or wait: which order it belongs to
        and how large it is at their price."""
        policy, leader = desk.policy.of(key[0]), self.state.leaders.get(key[0])
        item.ideal = sizing.ideal_usdc(policy, item.trade, leader.value if leader else None, desk.bankroll)
        item.by_order = sizing.by_order(policy)
        orders = desk.orders.get(key)
        if orders is None:
            orders = desk.orders[key] = LeaderOrders()
            self.state.copiers.add(key, desk)
        item.order, _ = orders.join(item.trade, item.decision_id, policy.burst_window_sec, at)
        market = self.state.markets.get(key[1])
        if market is None or market.payout is None:
            desk.miss(key)

    def advance(self, desk: Desk, key: DeskKey, at: int) -> None:
        """Decide from the head of a queue until one has to wait."""
        queue = desk.queues.get(key)
        while queue:
            if not self._settle(desk, key, queue[0], at):
                return
            queue.popleft()
        desk.queues.pop(key, None)

    def _settle(self, desk: Desk, key: DeskKey, item: Waiting, at: int) -> bool:
        """Decide what is next; False where it has to wait."""
        policy = desk.policy.of(key[0])
        verdict = self._decide(desk, policy, key, item, at)
        if verdict.action == "wait":
            self._write_wait(desk, item, verdict.reason, verdict.trace, at)
            item.reason, item.retry = verdict.reason, None
            self.waits.begin(desk, key, item, verdict.reason, at)
            return False
        self._finish(desk, policy, key, item, verdict, at)
        return True

    def wake(self, what: Waited, token_id: str, at: int) -> None:
        """Something that queues wait for has come."""
        for name, key in self.waits.over(what, token_id):
            desk = self.state.desks.get(name)
            if desk is not None:
                self.advance(desk, key, at)

    def retry(self, what: Waited, token_id: str, at: int) -> None:
        """It is time to look at what waits for it again."""
        if self.waits.is_due(what, token_id, at):
            self.wake(what, token_id, at)

    def told_holdings(self, leader: str, at: int) -> None:
        """What a leader holds is known: what waits for that is looked at again."""
        tokens = {key[1] for desk in self.state.desks.values() for key in desk.queues if key[0] == leader}
        for token_id in sorted(tokens):
            self.wake(Waited.HOLDINGS, token_id, at)

    def wake_all(self, at: int) -> None:
        """Health, settings or a pause changed: everything that waits is looked at again."""
        for desk in self.state.desks.values():
            for key in list(desk.queues):
                self.advance(desk, key, at)

    def close_all(self, desk: Desk, reason: Reason, at: int) -> None:
        """Close every waiting decision of a portfolio that was wiped or archived."""
        for key in list(desk.queues):
            for item in desk.queues[key]:
                self._finish(desk, desk.policy.of(key[0]), key, item, Verdict("skip", reason), at)
            del desk.queues[key]

    # -- one decision ------------------------------------------------------------------------------------------

    def _decide(self, desk: Desk, policy: Policy, key: DeskKey, item: Waiting, at: int) -> Verdict:
        state, trade = self.state, item.trade
        wallet, token = key
        desk.begin_day(at)
        leader, market = state.leaders.get(wallet), state.markets.get(token)
        position = desk.positions.get(key)
        has_position = position is not None and position.shares > 0
        sold_before = position is not None and leader is not None and leader.gone and self._sold_before(trade, position)
        facts = Facts(
            at,
            desk.name,
            policy,
            trade,
            leader is None or leader.paused or not leader.active or not desk.wants(wallet),
            state.healthy,
            market,
            item.market_attempts >= policy.market_attempts,
            state.books.get(token),
            item.book_attempts >= policy.book_attempts,
            state.memory,
            0 if position is None or sold_before else desk.held(key),
            has_position,
            item.order is not None and item.order.spent,
            leader.value if leader is not None else None,
            desk.cash + desk.sums.worth,
            ledger.reference_of(position) if position is not None and trade.side is SELL else 0,
        )
        if trade.side is BUY:
            self._tell_limits(facts, desk, key, at)
        else:
            facts.untold_since = self.waits.untold_since(desk, key, trade)
            if facts.held:
                self._tell_turn(facts, desk)
        return decide(facts)

    def _tell_turn(self, facts: Facts, desk: Desk) -> None:
        """What matters to a SELL that comes after later trades of its token; one that finds nothing of its own left
        finds nothing."""
        later = self.copied.later(desk, facts.trade)
        if later:
            facts.later = len(later)
            facts.late_shares = self.copied.sold_late(desk, facts.trade, later, facts.held)
            if not facts.late_shares:
                facts.held = 0

    def _tell_limits(self, facts: Facts, desk: Desk, key: DeskKey, at: int) -> None:
        """What matters to a BUY alone: cash, and what counts towards the limits that are set."""
        policy, market = facts.policy, facts.market
        wallet, token = key
        facts.cash = desk.free_cash()
        if market is not None and market.condition_id:
            facts.market_cost = desk.cost_where(condition_id=market.condition_id)
        if policy.per_leader_cap_usdc:
            facts.leader_cost = desk.cost_where(leader=wallet)
        if policy.total_cap_usdc:
            facts.total_cost = desk.cost_where()
        if desk.spent_day == at // DAY:
            facts.spent_today = desk.spent_today
        if policy.max_open_positions:
            facts.open_positions = desk.positions_to_be()
        if policy.max_positions_per_leader:
            facts.leader_positions = desk.positions_to_be(wallet)
        facts.opens_new = not (facts.has_position or desk.open_intents(key, BUY))
        facts.buys_of_outcome = desk.buys.get(token, 0)
        facts.saved = desk.saved.get(key, 0)
        if policy.daily_loss_stop_usdc:
            facts.lost_today = desk.lost_today

    def _sold_before(self, trade: Trade, position: Position) -> bool:
        """True for a late SELL of shares whose going was copied already, where what is held was bought after that."""
        leader = self.state.leaders.get(trade.leader)
        gone = leader.gone.get(trade.token_id) if leader is not None and leader.gone else None
        if gone is None or trade.side is not SELL or trade.unexplained or trade.traded_at > gone:
            return False
        return position.shares > 0 and position.opened_at > gone

    def _finish(self, desk: Desk, policy: Policy, key: DeskKey, item: Waiting, verdict: Verdict, at: int) -> None:
        trade = item.trade
        if trade.side is SELL and verdict.reason in _EXITS:
            self._shrink_pending(desk, policy, key, trade, verdict, at)
        if verdict.saved or desk.saved:
            self._save_up(desk, policy, key, trade, verdict, at)
        copied = verdict.action == "copy"
        later = self.copied.later(desk, trade) if copied and trade.side is BUY else []
        if not any(other.side is SELL for other in later):
            later = []  # after BUYs alone it buys what it would have bought
        if later:
            verdict.trace.append(["later_trades", len(later), None, True])
        self._write(desk, item, verdict, at)
        if copied:
            if item.order is not None:
                item.order.spent = True
            order = self._open_intent(desk, policy, item, verdict, at)
            if later or (trade.side is BUY and self.copied.gone(key)):
                self._in_turn(desk, order, later, at)

    def _open_intent(self, desk: Desk, policy: Policy, item: Waiting, verdict: Verdict, at: int) -> Order:
        state, trade = self.state, item.trade
        market = state.markets.get(trade.token_id)
        due = at + sizing.latency_of(policy, desk.name, trade.tx_hash, trade.token_id, trade.occurrence) * 1000
        if market is not None:
            due += market.delay_ms * 1000
        order = Order(
            state.next_id("intent"),
            item.decision_id,
            trade.id,
            desk.name,
            trade.leader,
            trade.token_id,
            market.condition_id if market is not None else "",
            trade.side,
            verdict.shares,
            verdict.budget,
            verdict.limit,
            price_of(trade.usdc, trade.shares),
            trade.traded_at,
            at,
            due,
            due + policy.sell_retry_sec * SECOND,
        )
        order.share_cap = verdict.share_cap
        if trade.id:
            order.leader_usdc, order.leader_shares = trade.usdc, trade.shares
        self.bookkeeping.open(desk, order, at)
        if trade.side is BUY:
            desk.buys[trade.token_id] = desk.buys.get(trade.token_id, 0) + 1
            desk.spend(at, verdict.budget)
        return order

    def _shrink_pending(
        self, desk: Desk, policy: Policy, key: DeskKey, trade: Trade, verdict: Verdict, at: int
    ) -> None:
        """A quick in-and-out leaves nothing behind: his SELL shrinks our BUYs that are not filled yet."""

        def left(amount: int) -> int:
            return sizing.shrink(amount, trade.shares, trade.leader_pre_sell_shares, policy.exit_all_ratio)

        orders = desk.open_intents(key, BUY)
        later = {t.id for t in self.copied.later(desk, trade)} if orders else set()
        for order in orders:
            if order.trade_id not in later:
                was = order.budget
                self._resize(desk, order, left, at)
                verdict.trace.append(["pending_buy_left_micro", order.budget, was, True])

    def _in_turn(self, desk: Desk, order: Order, later: list[Trade], at: int) -> None:
        """A BUY that comes after ``later`` trades, or after what it brought is gone, becomes as large as what would be
        left of it had it come before."""
        full = order.shares
        wanted = self.copied.bought_late(desk, order.key, later, full)
        if wanted < full:
            self._resize(desk, order, lambda amount: amount * wanted // full, at)

    def _resize(self, desk: Desk, order: Order, to: Callable[[int], int], at: int) -> None:
        """A BUY that is out becomes smaller, or ends."""
        budget = to(order.budget)
        desk.unspend(order.created_at, order.budget - budget)
        desk.rebudget(order, budget)
        order.shares = to(order.shares)
        if order.share_cap:
            order.share_cap = max(1, to(order.share_cap))
        if budget == 0:
            self.bookkeeping.cancel(desk, order, Outcome.CANCELLED_LEADER_SOLD, at)
        else:
            self.bookkeeping.change(desk, order, at)

    def _save_up(self, desk: Desk, policy: Policy, key: DeskKey, trade: Trade, verdict: Verdict, at: int) -> None:
        """BUYs below the minimum are saved up; a copy spends what was saved, a SELL of his shrinks it."""
        before = desk.saved.get(key, 0)
        if trade.side is SELL:
            ratio = policy.exit_all_ratio
            after = sizing.shrink(before, trade.shares, trade.leader_pre_sell_shares, ratio) if before else 0
        else:
            after = 0 if verdict.action == "copy" else before + verdict.saved
        if after != before:
            desk.saved[key] = after
            record = SavingRecord(
                portfolio=desk.name, leader=key[0], token_id=key[1], usdc_micro=Usdc(after), updated_at=Micros(at)
            )
            self.state.out.append(Upsert(record))

    def give_up_reorg(self, trade_id: int, at: int) -> None:
        """A retracted trade was not mined again in time."""
        for desk in self.state.desks.values():
            for key, queue in list(desk.queues.items()):
                for item in [w for w in queue if w.trade.id == trade_id and not w.trade.active]:
                    queue.remove(item)
                    self._finish(desk, desk.policy.of(key[0]), key, item, Verdict("skip", Reason.SKIP_RETRACTED), at)
                    self.advance(desk, key, at)

    # -- fixed sizes once per leader order ---------------------------------------------------------------------

    def learned(self, trade: Trade) -> None:
        """The other source has seen a trade, too: its order may be known by hash from now on."""
        key = (trade.leader, trade.token_id)
        for desk in self.state.copiers.of(key):
            orders = desk.orders.get(key)
            if orders is not None:
                orders.learned(trade)

    def forget_orders(self, at: int) -> None:
        """Once an hour: what is known of orders that no fill can belong to any more is dropped."""
        if at - self._forgotten_at < FORGET_EVERY:
            return
        self._forgotten_at = at
        for desk in self.state.desks.values():
            for key in [key for key, orders in desk.orders.items() if orders.expired(at)]:
                del desk.orders[key]
                self.state.copiers.drop(key, desk)

    # -- rows --------------------------------------------------------------------------------------------------

    def _write_wait(self, desk: Desk, item: Waiting, reason: Reason, trace: list[CheckRow], at: int) -> None:
        self._write(desk, item, Verdict("wait", reason, trace), at)

    def _write(self, desk: Desk, item: Waiting, verdict: Verdict, at: int) -> None:
        if item.written:
            self.state.out.append(Update(decision_change(item.decision_id, verdict, at)))
            return
        item.written = True
        trade, order = item.trade, item.order
        record = decision_record(
            item.decision_id,
            verdict,
            at,
            desk.name,
            trade.leader,
            trade.token_id,
            trade.side,
            item.ideal,
            trade.id or None,
            item.adjustment_id,
            None,
            order.decision_id if order is not None and order.decision_id != item.decision_id else None,
            item.by_order if order is not None else None,
            price_of(trade.usdc, trade.shares) if order is None and item.adjustment_id is not None else None,
        )
        self.state.out.append(Insert(record))
