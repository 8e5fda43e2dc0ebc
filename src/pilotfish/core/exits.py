"""Sells that no leader triggers: take-profit and stop-loss as portfolio rules, and a person closing a position."""

from __future__ import annotations

from pilotfish.core import ledger, sizing
from pilotfish.core.book import bid_value
from pilotfish.core.bookkeeping import Bookkeeping
from pilotfish.core.desk import Desk, DeskKey
from pilotfish.core.effects import Insert, NeedBook, SetTimer
from pilotfish.core.facts import Verdict
from pilotfish.core.ledger import Position
from pilotfish.core.numerals import plural, shares
from pilotfish.core.orders import Order
from pilotfish.core.reasons import Reason
from pilotfish.core.recording import decision_record
from pilotfish.core.records import CheckRow
from pilotfish.core.settings import Policy
from pilotfish.core.state import State
from pilotfish.core.timers import RuleAgain
from pilotfish.core.trade import Side
from pilotfish.core.units import BPS, MICRO, SECOND

EXITS_NAMED, TITLE_SHOWN, TOKEN_SHOWN = 5, 80, 12
"""How many exits a person is told by name, and how much of a name."""


class Exits:
    """Watches marks; writes a decision with its trace and an intent for each exit."""

    def __init__(self, state: State, bookkeeping: Bookkeeping) -> None:
        self.state = state
        self.bookkeeping = bookkeeping

    def look(self, desk: Desk, position: Position, at: int) -> None:
        """Apply the portfolio's rules to a position that has just been valued. A rule fires at its second look, some
        seconds after the first; a value that nobody bids for is not known, and fires none."""
        policy = desk.policy.of(position.leader)
        unruled = not policy.take_profit_bps and not policy.stop_loss_bps
        if unruled and not desk.armed and position.shares >= ledger.DUST_SHARES:
            return None
        key = (position.leader, position.token_id)
        if position.shares < ledger.DUST_SHARES and not desk.open_intents(key):
            return self._sweep(desk, position, at)
        rule = None if unruled else self._rule(desk, position, policy)
        if rule is None:
            desk.armed.pop(key, None)
            return None
        name, reason, check = rule
        armed = desk.armed.get(key)
        if armed is None or armed[0] != name:
            armed = desk.armed[key] = (name, at + policy.rule_confirm_sec * SECOND)
            if armed[1] > at:
                self.state.ask(SetTimer(RuleAgain(desk.name, *key), armed[1]))
        if at >= armed[1]:
            del desk.armed[key]
            self.bookkeeping.open(desk, self._order(desk, position, name, reason, check, at), at)
        return None

    def look_again(self, desk: Desk, key: DeskKey) -> None:
        """It is time for a rule's second look: at a book of now."""
        if key in desk.armed:
            self.state.ask(NeedBook(key[1]))

    def open_timers(self, at: int) -> list[SetTimer]:
        """When each rule that has seen its limit passed looks again."""
        return [
            SetTimer(RuleAgain(desk.name, *key), max(at, again))
            for desk in self.state.desks.values()
            for key, (_, again) in desk.armed.items()
        ]

    def _rule(self, desk: Desk, position: Position, policy: Policy) -> tuple[str, Reason, CheckRow] | None:
        """The rule whose limit the position's value has passed, if any."""
        if policy.paused or position.cost <= 0 or position.mark_price is None or position.unmarked_since is not None:
            return None
        if desk.open_intents((position.leader, position.token_id), Side.SELL):
            return None
        change = (ledger.value_of(position) - position.cost) * BPS // position.cost
        profit, loss = policy.take_profit_bps, policy.stop_loss_bps
        if profit and change >= profit:
            return "take_profit", Reason.EXIT_TAKE_PROFIT, ["value_over_cost_bps", change, profit, True]
        if loss and change <= -loss:
            return "stop_loss", Reason.EXIT_STOP_LOSS, ["value_over_cost_bps", change, -loss, True]
        return None

    def _sweep(self, desk: Desk, position: Position, at: int) -> None:
        """Close a position that is dust and that nothing is about to sell."""
        check = ["held_shares_micro", position.shares, ledger.DUST_SHARES, True]
        order = self._order(desk, position, "dust", Reason.EXIT_DUST, check, at)
        order.held = True
        self.bookkeeping.note(desk, order)
        self.bookkeeping.write_off(desk, position, order, at)

    def close(self, desk: Desk, leader: str | None, token_id: str | None, at: int) -> list[tuple[Order, int]]:
        """Sell what a person asked to sell; returns the orders, one a position, each with the shares it began with."""
        chosen = [
            p
            for p in desk.positions.values()
            if desk.held((p.leader, p.token_id)) and leader in (None, p.leader) and token_id in (None, p.token_id)
        ]
        orders = []
        for position in chosen:
            check = ["held_shares_micro", position.shares, 1, True]
            order = self._order(desk, position, "close", Reason.EXIT_BY_HAND, check, at)
            orders.append((order, order.shares))
            self.bookkeeping.open(desk, order, at)
        return orders

    def told(self, orders: list[tuple[Order, int]]) -> str:
        """What closing by hand has begun, for the person: how many exits, and of the first ones what and how much."""
        named = [f"{shares(n)} of {self._name(order.token_id)}" for order, n in orders[:EXITS_NAMED]]
        more = f" and {len(orders) - EXITS_NAMED} more" if len(orders) > EXITS_NAMED else ""
        what = ", ".join(named) + more if orders else "nothing of that is held, or it is being sold already"
        return f"{plural(len(orders), 'exit')} begun: {what}"

    def _name(self, token_id: str) -> str:
        market = self.state.markets.get(token_id)
        if market is None or not market.title:
            return f"token {token_id[:TOKEN_SHOWN]}{'…' if len(token_id) > TOKEN_SHOWN else ''}"
        return f"{market.title[:TITLE_SHOWN]} / {market.outcome[:TITLE_SHOWN]}"

    def limit(self, desk: Desk, position: Position, policy: Policy) -> int:
        """The lowest price to take where no trade of the leader's says one: by what the bids pay for what they take,
        else by what a share was last worth."""
        book, market = self.state.books.get(position.token_id), self.state.markets.get(position.token_id)
        price, depth = ledger.reference_of(position), 0
        if book is not None and position.unmarked_since is None:
            depth = min(position.shares, sum(level.size for level in book.bids))
        if book is not None and depth:
            price = max(price, bid_value(book, position.shares) * MICRO // depth)
        tick = min(market.tick if market else MICRO, book.tick if book else MICRO)
        return sizing.sell_limit(price, MICRO, policy.sell_max_slippage_bps, tick, policy.sell_max_slippage_ticks)

    def _order(self, desk: Desk, position: Position, rule: str, reason: Reason, check: CheckRow, at: int) -> Order:
        """The order of an exit of our own, after its decision was written."""
        state, policy = self.state, desk.policy.of(position.leader)
        key = (position.leader, position.token_id)
        number = state.next_id("decision")
        book, market = state.books.get(position.token_id), state.markets.get(position.token_id)
        reference = position.mark_price or 0
        if book is not None and book.mid2:
            reference = book.mid2 // 2
        limit = 1 if rule == "close" else self.limit(desk, position, policy)
        record = decision_record(
            number,
            Verdict("exit", reason, [check]),
            at,
            rule=rule,
            portfolio=desk.name,
            leader=position.leader,
            token_id=position.token_id,
            side=Side.SELL,
        )
        state.out.append(Insert(record))
        latency = sizing.latency_of(policy, desk.name, rule, position.token_id, number)
        due = at + latency * 1000 + (market.delay_ms * 1000 if market else 0)
        return Order(
            id=state.next_id("intent"),
            decision_id=number,
            trade_id=0,
            portfolio=desk.name,
            leader=position.leader,
            token_id=position.token_id,
            condition_id=position.condition_id,
            side=Side.SELL,
            shares=desk.held(key),
            budget=0,
            limit_price=limit,
            leader_price=reference,
            traded_at=at,
            created_at=at,
            due_at=due,
            give_up_at=due + policy.sell_retry_sec * SECOND,
            rule=rule,
        )
