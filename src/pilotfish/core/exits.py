"""Sells that no leader triggers: take-profit and stop-loss as portfolio rules, and a person closing a position."""

from __future__ import annotations

from pilotfish.core import ledger, sizing
from pilotfish.core.copying import draw
from pilotfish.core.desk import Desk
from pilotfish.core.effects import Insert, Row, SetTimer, decision_row, intent_row
from pilotfish.core.events import IntentState
from pilotfish.core.ledger import Position
from pilotfish.core.policy import Check, Verdict
from pilotfish.core.reasons import Reason
from pilotfish.core.state import State
from pilotfish.core.units import BPS, MICRO, SECOND


class Exits:
    """Watches marks; writes a decision with its trace and an intent for each exit."""

    def __init__(self, state: State) -> None:
        self.state = state

    def look(self, desk: Desk, position: Position, at: int) -> None:
        """Apply the portfolio's rules to a position that has just been valued."""
        policy = desk.policy.of(position.leader)
        if not (policy.take_profit_bps or policy.stop_loss_bps) or policy.paused or position.cost <= 0:
            return
        if desk.open_intents((position.leader, position.token_id), "SELL"):
            return
        change = (ledger.value_of(position) - position.cost) * BPS // position.cost
        if policy.take_profit_bps and change >= policy.take_profit_bps:
            check = Check("value_over_cost_bps", change, policy.take_profit_bps, True)
            self._exit(desk, position, "take_profit", Reason.EXIT_TAKE_PROFIT, check, at)
        elif policy.stop_loss_bps and change <= -policy.stop_loss_bps:
            check = Check("value_over_cost_bps", change, -policy.stop_loss_bps, True)
            self._exit(desk, position, "stop_loss", Reason.EXIT_STOP_LOSS, check, at)

    def close(self, desk: Desk, leader: str | None, token_id: str | None, at: int) -> int:
        """Sell what a person asked to sell; returns how many positions that is."""
        chosen = [
            p
            for p in desk.positions.values()
            if desk.held((p.leader, p.token_id)) and leader in (None, p.leader) and token_id in (None, p.token_id)
        ]
        for position in chosen:
            check = Check("held_shares_micro", position.shares, 1, True)
            self._exit(desk, position, "close", Reason.EXIT_BY_HAND, check, at)
        return len(chosen)

    def _exit(self, desk: Desk, position: Position, rule: str, reason: Reason, check: Check, at: int) -> None:
        state, policy = self.state, desk.policy.of(position.leader)
        key = (position.leader, position.token_id)
        number = state.next_id("decision")
        book, market = state.books.get(position.token_id), state.markets.get(position.token_id)
        reference = position.mark_price or 0
        if book is not None and book.mid2:
            reference = book.mid2 // 2
        limit = 1
        if rule != "close" and position.mark_price:
            limit = sizing.sell_limit(position.mark_price, MICRO, policy.sell_max_slippage_bps, 1)
        of: Row = {"trade_id": None, "adjustment_id": None, "rule": rule, "portfolio": desk.name, "side": "SELL"}
        of |= {"leader": position.leader, "token_id": position.token_id, "wanted_usdc_micro": 0}
        verdict = Verdict("exit", reason, [check])
        state.out.append(Insert("decisions", {**decision_row(number, verdict, at), **of}))
        latency = sizing.latency_ms(policy, draw(desk.name, rule, position.token_id, number))
        due = at + latency * 1000 + (market.delay_ms * 1000 if market else 0)
        intent = IntentState(
            id=state.next_id("intent"),
            decision_id=number,
            trade_id=0,
            portfolio=desk.name,
            leader=position.leader,
            token_id=position.token_id,
            condition_id=position.condition_id,
            side="SELL",
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
        desk.intents[intent.id] = intent
        state.out.append(Insert("intents", intent_row(intent)))
        state.out.append(SetTimer(f"due|{desk.name}|{intent.id}", due))
