"""What the engine remembers between events, and the outbox that one event fills."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

from pilotfish.core.book import Book, LiquidityMemory
from pilotfish.core.dedupe import TradeIndex
from pilotfish.core.desk import Desk, DeskKey
from pilotfish.core.effects import Effect, Insert, NeedBook, NeedHoldings, NeedMarket, SetTimer, Upsert
from pilotfish.core.events import Market, Move, PortfolioState
from pilotfish.core.gaps import Gap
from pilotfish.core.holdings import Holding
from pilotfish.core.ledger import Entry, Position, end_trip
from pilotfish.core.recording import position_record, trip_record
from pilotfish.core.records import EntryRecord
from pilotfish.core.settings import Globals
from pilotfish.core.trade import Source
from pilotfish.core.units import Micros, Shares, Usdc
from pilotfish.core.whose import Whose

Ask: TypeAlias = NeedBook | NeedMarket | NeedHoldings | SetTimer


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
    told_at: int = 0
    """As of when the first snapshot of this following told of all tokens (µs); 0 = none has."""
    value: int | None = None
    """What all his positions are worth, as the venue last said."""
    suspects: dict[str, int] = field(default_factory=dict)
    """Tokens on which the last snapshot disagreed, and what it said."""
    agreed: dict[str, int] = field(default_factory=dict)
    """Token -> as of when a snapshot last said what is held of it, and our books followed or said so too (µs)."""
    looked_at: int = 0
    """As of when a snapshot last told of all tokens (µs): of one that was in neither, both said that none is held."""
    recheck_at: int | None = None
    """When holdings are compared once more (µs), if they are."""
    moves: dict[tuple[str, str, str], Move] = field(default_factory=dict)
    """Recent moves without a trade, by (tx, kind, condition)."""
    gaps: set[Gap] = field(default_factory=set)
    """What is missing of the history: seconds (from, to) of which not all rows could be had."""
    gone: dict[str, int] = field(default_factory=dict)
    """Tokens that fell to zero for an unknown reason, and as of when (µs)."""


class State:
    """Everything the engine knows."""

    def __init__(self) -> None:
        self.out: list[Effect] = []
        """What the event asks for and writes so far, in its order."""
        self.asked: set[Ask] = set()
        """What it has asked for, and the timers that it has set."""
        self.booked: dict[str, Desk] = {}
        """Portfolios whose cash or positions an event has changed: what they are worth is written with it."""
        self.leaders: dict[str, Leader] = {}
        self.desks: dict[str, Desk] = {}
        """Portfolios that take part, in their order; changed by :meth:`add_desk` and :meth:`remove_desk` alone."""
        self.holders: Whose[str] = Whose()
        """Token -> portfolios that have or had a position in it."""
        self.copiers: Whose[DeskKey] = Whose()
        """(leader, token) -> portfolios that know orders of theirs."""
        self.owners: dict[int, Desk] = {}
        """Order of ours that is being worked on -> whose it is."""
        self._followers: dict[str, list[Desk]] = {}
        self._numbered = 0
        self.index = TradeIndex()
        self.kept_since = 0
        """Trades of before (µs) are not in memory and come with the event that needs them; 0 = all are."""
        self.recalled: set[DeskKey] = set()
        """Leaders and tokens whose orders the portfolios have; with ``kept_since`` 0 it does not matter."""
        self.holdings: dict[DeskKey, Holding] = {}
        self.holding_sums: dict[DeskKey, int] = {}
        self.markets: dict[str, Market] = {}
        self.books: dict[str, Book] = {}
        self.memory = LiquidityMemory()
        self.healthy: dict[Source, bool] = {Source.API: True, Source.POLYGON: False}
        self.healthy_since: dict[Source, int] = {Source.API: 0, Source.POLYGON: 0}
        self.conditions: dict[str, str] = {}
        """Token -> condition, from trades, markets and snapshots; written by :meth:`is_of` alone."""
        self.tokens_of: dict[str, dict[str, None]] = {}
        self.globals = Globals()
        self.started_at = 0
        """When this run began (µs)."""
        self.traded_at: dict[str, int] = {}
        """Token -> when a followed leader last traded it (µs)."""
        self.ids = {"trade": 0, "decision": 0, "intent": 0, "fill": 0, "entry": 0, "adjustment": 0}

    def ask(self, what: Ask) -> None:
        """Ask for something, or set a timer: once an event, however many wait for it."""
        if what not in self.asked:
            self.asked.add(what)
            self.out.append(what)

    def is_of(self, token_id: str, condition_id: str) -> None:
        """A token belongs to a condition."""
        before = self.conditions.get(token_id)
        if before == condition_id:
            return
        if before is not None:
            self.tokens_of[before].pop(token_id, None)
        self.conditions[token_id] = condition_id
        self.tokens_of.setdefault(condition_id, {})[token_id] = None

    def next_id(self, what: str) -> int:
        """The next number of a kind; numbers are given in order and never again."""
        number = self.ids[what] = self.ids[what] + 1
        return number

    def add_desk(self, portfolio: PortfolioState) -> Desk:
        """A portfolio takes part from now on."""
        self._numbered += 1
        desk = self.desks[portfolio.name] = Desk(portfolio, self._numbered)
        for token_id in desk.by_token:
            self.holders.add(token_id, desk)
        for key in desk.orders:
            self.copiers.add(key, desk)
        self._followers.clear()
        return desk

    def remove_desk(self, desk: Desk) -> None:
        """A portfolio takes part no longer."""
        del self.desks[desk.name]
        for number in [n for n, owner in self.owners.items() if owner is desk]:
            del self.owners[number]
        self.holders.forget(desk)
        self.copiers.forget(desk)
        self._followers.clear()

    def follow(self, desk: Desk, leaders: frozenset[str] | None) -> None:
        """A portfolio copies these leaders from now on (``None`` = all)."""
        desk.follows = leaders
        self._followers.clear()

    def followers(self, leader: str) -> list[Desk]:
        """The portfolios that copy a leader."""
        found = self._followers.get(leader)
        if found is None:
            found = self._followers[leader] = [desk for desk in self.desks.values() if desk.wants(leader)]
        return found

    def put_position(self, desk: Desk, position: Position, ended: str = "leader") -> None:
        """Count a position that has changed, and write its row; ``ended`` says what a round trip that is over now was
        ended by: the leader, one of our own rules, a reorg or the market's result."""
        desk.count(position)
        desk.marked.pop((position.leader, position.token_id), None)
        self.booked[desk.name] = desk
        trip = end_trip(position)
        if trip is not None:
            self.out.append(Insert(trip_record(desk.name, position, trip, ended)))
        self.out.append(Upsert(position_record(desk.name, position)))

    def book_cash(
        self, desk: Desk, entries: list[Entry], at: int, leader: str, token_id: str, fill_id: int | None
    ) -> None:
        """Move cash and write the ledger."""
        self.booked[desk.name] = desk
        for entry in entries:
            desk.cash += entry.amount
            shares = None if entry.shares is None else Shares(entry.shares)
            record = EntryRecord(
                self.next_id("entry"), desk.name, Micros(at), entry.kind, Usdc(entry.amount), leader, token_id, fill_id,
                shares,
            )  # fmt: skip
            self.out.append(Insert(record))
        assert desk.cash >= 0, "cash never goes below zero"
