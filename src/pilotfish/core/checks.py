"""The invariants of a run (DESIGN.md section 10), checked on the engine's own state: after every event in simulation.

What needs the rows (cash against the ledger, fills against orders) is ``store/verify.py``'s.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TypeAlias

from pilotfish.core import ledger
from pilotfish.core.desk import Desk, Waiting
from pilotfish.core.effects import CheckChain, NeedBook, NeedHoldings, NeedMarket
from pilotfish.core.engine import Engine
from pilotfish.core.orders import OPEN, Order
from pilotfish.core.reasons import Reason
from pilotfish.core.timers import HoldingsAgain, LookAgain, OrderDue, ReorgOver, RuleAgain, Timer, Waited
from pilotfish.core.trade import Side, Source, Trade, TradeKey

Ask: TypeAlias = NeedBook | NeedMarket | NeedHoldings | CheckChain


def broken(engine: Engine, timers: Collection[Timer], asks: Collection[Ask], *, whole: bool = True) -> list[str]:
    """Every invariant that does not hold, in words. ``timers`` are running, ``asks`` not answered yet. ``whole`` =
    False leaves out what only trades and bookings can break."""
    found = [*_trades(engine), *_holdings(engine)] if whole else []
    for desk in engine.state.desks.values():
        if whole:
            found += _books(desk)
        for order in desk.intents.values():
            found += _order(engine, desk, order, timers, asks)
        for queue in desk.queues.values():
            if queue:
                found += _wait(engine, desk, queue[0], timers, asks)
        if whole:
            found += _rules(engine, desk, timers)
    return [*found, *_comparisons(engine, timers)] if whole else found


def _trades(engine: Engine) -> list[str]:
    """One trade a key and occurrence, numbered from 1 without a gap."""
    seen: dict[TradeKey, list[Trade]] = {}
    for trade in engine.state.index:
        seen.setdefault(trade.key, []).append(trade)
    return [
        f"trades {[t.id for t in trades]} of one key have occurrences {[t.occurrence for t in trades]}"
        for trades in seen.values()
        if [t.occurrence for t in trades] != list(range(1, len(trades) + 1))
    ]


def _holdings(engine: Engine) -> list[str]:
    """Nobody holds less than nothing, and what is written is what is held."""
    s = engine.state
    return [
        f"holding {key}: {holding.shares} held, {s.holding_sums.get(key, 0)} written"
        for key, holding in s.holdings.items()
        if holding.shares < 0 or holding.shares != s.holding_sums.get(key, 0)
    ] + [
        f"holding {key}: trade {trade.id} counts in it and was taken back"
        for key, holding in s.holdings.items()
        for trade in holding.trades
        if not trade.active
    ]


def _rules(engine: Engine, desk: Desk, timers: Collection[Timer]) -> list[str]:
    """A rule that has seen its limit passed looks again."""
    return [
        f"nothing makes the {rule} of {desk.name} look at {key} again"
        for key, (rule, again) in desk.armed.items()
        if again > engine.at and RuleAgain(desk.name, *key) not in timers
    ]


def _comparisons(engine: Engine, timers: Collection[Timer]) -> list[str]:
    """Holdings that are to be compared once more will be."""
    leaders = engine.state.leaders.values()
    due = [x.wallet for x in leaders if x.recheck_at is not None and HoldingsAgain(x.wallet) not in timers]
    return [f"nothing compares the holdings of {wallet} again" for wallet in due]


def _books(desk: Desk) -> list[str]:
    """Nothing negative, and the running sums are the sums."""
    found = [f"portfolio {desk.name}: cash is {desk.cash}"] if desk.cash < 0 else []
    held = [p for p in desk.positions.values() if p.shares]
    found += [f"portfolio {desk.name}: position {p} is negative" for p in held if p.shares < 0 or p.cost < 0]
    every = desk.positions.values()
    sums = (
        sum(ledger.value_of(p) for p in held),
        sum(p.cost for p in every),
        sum(p.realized_pnl for p in every),
        sum(p.fees for p in every),
        len(held),
    )
    have = (desk.sums.worth, desk.sums.cost, desk.sums.realized, desk.sums.fees, desk.sums.open)
    if sums != have:
        found.append(f"portfolio {desk.name}: sums are {have}, the positions say {sums}")
    for position in held:
        key = (position.leader, position.token_id)
        promised = sum(o.shares - o.filled_shares for o in desk.open_intents(key, Side.SELL) if not o.held)
        if promised > position.shares:
            found.append(f"portfolio {desk.name}: {promised} of {position.shares} are promised to orders of {key}")
    return found


def _order(engine: Engine, desk: Desk, order: Order, timers: Collection[Timer], asks: Collection[Ask]) -> list[str]:
    """An open order is in an open state, and something ends its wait."""
    found = []
    if order.state not in OPEN:
        found.append(f"order {order.id} is open and {order.state}")
    if order.held:
        ends = ReorgOver(order.trade_id) in timers
    elif engine.paper is not None:
        ends = OrderDue(order.id) in timers or NeedBook(order.token_id) in asks
    else:
        ends = True
    return found if ends else [*found, f"nothing ends the wait of order {order.id} of {desk.name}"]


def _wait(engine: Engine, desk: Desk, item: Waiting, timers: Collection[Timer], asks: Collection[Ask]) -> list[str]:
    """A decision that waits has something that ends its wait."""
    token, healthy = item.trade.token_id, engine.state.healthy
    ends = {
        Reason.WAIT_BOOK: NeedBook(token) in asks or LookAgain(Waited.BOOK, token) in timers,
        Reason.WAIT_MARKET: NeedMarket(token) in asks or LookAgain(Waited.MARKET, token) in timers,
        Reason.WAIT_CHAIN: LookAgain(Waited.CHAIN, token) in timers,
        Reason.WAIT_API: LookAgain(Waited.API, token) in timers,
        Reason.WAIT_HOLDINGS: LookAgain(Waited.HOLDINGS, token) in timers,
        Reason.WAIT_REORG: ReorgOver(item.trade.id) in timers,
        Reason.WAIT_POLYGON_UNHEALTHY: not healthy[Source.POLYGON],
        Reason.WAIT_API_UNHEALTHY: not healthy[Source.API],
    }
    if item.reason is not None and ends.get(item.reason, False):
        return []
    return [f"nothing ends the wait of decision {item.decision_id} of {desk.name} ({item.reason})"]
