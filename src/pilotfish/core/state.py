"""What the engine remembers between events, and the outbox that one event fills."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from pilotfish.core.book import Book, LiquidityMemory
from pilotfish.core.dedupe import TradeIndex
from pilotfish.core.effects import Effect, Insert, Upsert, position_row
from pilotfish.core.events import IntentState, Market, Move, PortfolioState, SpentOrder
from pilotfish.core.holdings import Holding
from pilotfish.core.ledger import Entry, Position
from pilotfish.core.settings import Policy
from pilotfish.core.trade import Source, Trade
from pilotfish.core.units import MICRO, PPM

DAY = 86_400 * MICRO
DeskKey = tuple[str, str]
"""(leader, token_id)"""


@dataclass(slots=True)
class Leader:
    """One followed wallet."""

    wallet: str
    follow_from: int
    floor_ts: int
    cursor_ts: int
    paused: bool = False
    active: bool = True
    bootstrapped: bool = False
    suspects: dict[str, int] = field(default_factory=dict)
    """Tokens on which the last snapshot disagreed, and what it said."""
    moves: dict[tuple[str, str, str], Move] = field(default_factory=dict)
    """Recent moves without a trade, by (tx, kind, condition)."""


@dataclass(slots=True)
class Waiting:
    """A decision that is not final yet."""

    decision_id: int
    trade: Trade
    adjustment_id: int | None = None
    book_attempts: int = 0
    market_attempts: int = 0
    written: bool = False
    reset: bool = False


class Desk:
    """One portfolio's books: cash, positions, intents, and the decisions that wait, first in first out per token."""

    def __init__(self, state: PortfolioState) -> None:
        self.name = state.name
        self.policy: Policy = state.policy
        self.bankroll = state.bankroll
        self.cash = state.cash
        self.positions: dict[DeskKey, Position] = {(p.leader, p.token_id): p for p in state.positions}
        self.intents: dict[int, IntentState] = {}
        self.by_token: dict[str, list[Position]] = {}
        for position in state.positions:
            self.by_token.setdefault(position.token_id, []).append(position)
        self.spent: dict[DeskKey, list[SpentOrder]] = {}
        self.spent_day, self.spent_today = state.spent_day, state.spent_today
        self.buys: dict[str, int] = dict(state.buys)
        self.queues: dict[DeskKey, deque[Waiting]] = {}
        self.last_equity: tuple[int, ...] | None = None
        self.last_equity_at = 0

    def wipe(self) -> None:
        """Back to the bankroll: what a reset of the paper state does."""
        self.bankroll = self.policy.bankroll
        self.cash = self.bankroll
        self.positions.clear()
        self.by_token.clear()
        self.intents.clear()
        self.spent.clear()
        self.buys.clear()
        self.spent_today = 0
        self.last_equity = None

    def held(self, key: DeskKey) -> int:
        """Shares held and not yet promised to an open SELL intent."""
        position = self.positions.get(key)
        if position is None:
            return 0
        promised = sum(i.shares - i.filled_shares for i in self.open_intents(key, "SELL"))
        return max(0, position.shares - promised)

    def open_intents(self, key: DeskKey, side: str | None = None) -> list[IntentState]:
        """Intents of this leader and token that are still being worked on."""
        return [
            i for i in self.intents.values() if (i.leader, i.token_id) == key and (side is None or i.side == side)
        ]  # fmt: skip

    def free_cash(self) -> int:
        """Cash that no pending BUY has promised away, fees included at their highest documented rate."""
        promised = sum(i.budget for i in self.intents.values() if i.side == "BUY")
        return self.cash - promised - promised * 70_000 // PPM

    def cost_where(self, *, condition_id: str | None = None, leader: str | None = None) -> int:
        """Cost of open positions, of one market or one leader if named, with pending BUYs."""
        cost = sum(
            p.cost
            for p in self.positions.values()
            if p.shares and condition_id in (None, p.condition_id) and leader in (None, p.leader)
        )
        return cost + sum(
            i.budget
            for i in self.intents.values()
            if i.side == "BUY" and leader in (None, i.leader) and condition_id in (None, i.condition_id)
        )

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

    def spend(self, at: int, amount: int) -> None:
        """Count a BUY towards its UTC day."""
        day = at // DAY
        if day != self.spent_day:
            self.spent_day, self.spent_today = day, 0
        self.spent_today += amount


class State:
    """Everything the engine knows."""

    def __init__(self) -> None:
        self.out: list[Effect] = []
        self.leaders: dict[str, Leader] = {}
        self.follows: dict[str, list[str]] = {}
        self.desks: dict[str, Desk] = {}
        self.index = TradeIndex()
        self.holdings: dict[DeskKey, Holding] = {}
        self.holding_sums: dict[DeskKey, int] = {}
        self.markets: dict[str, Market] = {}
        self.books: dict[str, Book] = {}
        self.memory = LiquidityMemory()
        self.healthy: dict[Source, bool] = {Source.API: True, Source.POLYGON: False}
        self.healthy_since: dict[Source, int] = {Source.API: 0, Source.POLYGON: 0}
        self.conditions: dict[str, str] = {}
        """Token -> condition, from trades, markets and snapshots."""
        self.ids = {"trade": 0, "decision": 0, "intent": 0, "fill": 0, "entry": 0, "adjustment": 0}

    def next_id(self, what: str) -> int:
        """The next number of a kind; numbers are given in order and never again."""
        self.ids[what] += 1
        return self.ids[what]

    def put_position(self, desk: Desk, position: Position) -> None:
        """Write a position's row."""
        self.out.append(Upsert("positions", position_row(desk.name, position)))

    def book_cash(
        self, desk: Desk, entries: list[Entry], *, at: int, leader: str, token_id: str, fill_id: int | None
    ) -> None:
        """Move cash and write the ledger."""
        for entry in entries:
            desk.cash += entry.amount
            self.out.append(
                Insert(
                    "ledger_entries",
                    {
                        "id": self.next_id("entry"),
                        "portfolio": desk.name,
                        "at": at,
                        "kind": entry.kind,
                        "amount_micro": entry.amount,
                        "leader": leader,
                        "token_id": token_id,
                        "fill_id": fill_id,
                    },
                )
            )
        assert desk.cash >= 0, "cash never goes below zero"
