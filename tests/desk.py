"""An engine with one portfolio and one leader in virtual time: events in, what came of them out."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from pilotfish.core import events as ev
from pilotfish.core.book import make_book
from pilotfish.core.drive import Ask, Drive
from pilotfish.core.effects import Delete, Effect, Insert, NeedBook, NeedMarket, Update, Upsert
from pilotfish.core.engine import Engine
from pilotfish.core.fees import NO_FEE, FeeSchedule
from pilotfish.core.settings import Policy, Value, policy_from
from pilotfish.core.trade import LeaderFill, Side, Source
from pilotfish.core.units import MICRO, SECOND
from pilotfish.store.mapping import row_of

START = 1_800_000_000 * SECOND
LEADER = "0x" + "a1" * 20
OTHER = "0x" + "b2" * 20
TOKEN = "1001"
NO_TOKEN = "1002"
_KEYS = ("name", "portfolio", "leader", "token_id")
CONDITION = "0x" + "c3" * 32


def usd(amount: float) -> int:
    """Millionths."""
    return round(amount * MICRO)


def tx(n: int) -> str:
    """A transaction hash."""
    return f"0x{n:064x}"


def api_fill(n: int, side: str, shares: float, price: float, **more: Any) -> LeaderFill:
    """What the API says of a fill in transaction ``n``."""
    defaults: dict[str, Any] = {
        "source": Source.API,
        "leader": LEADER,
        "tx_hash": tx(n),
        "token_id": TOKEN,
        "side": Side(side),
        "shares": usd(shares),
        "usdc": round(usd(shares) * price),
        "traded_at": START,
        "condition_id": CONDITION,
        "outcome": "Yes",
        "title": "A market",
        "raw": "{}",
    }
    return LeaderFill(**{**defaults, **more})


def chain_fill(n: int, side: str, shares: float, price: float, **more: Any) -> LeaderFill:
    """What the chain says of a fill in transaction ``n``."""
    defaults: dict[str, Any] = {
        "source": Source.POLYGON,
        "leader": LEADER,
        "tx_hash": tx(n),
        "token_id": TOKEN,
        "side": Side(side),
        "shares": usd(shares),
        "usdc": round(usd(shares) * price),
        "traded_at": START,
        "fee": 0,
        "role": "taker",
        "order_hash": f"0x{n:064x}",
        "block_number": 100,
        "block_hash": "0x" + "1" * 64,
        "log_index": n,
        "raw": "{}",
    }
    return LeaderFill(**{**defaults, **more})


@dataclass
class Desk:
    """Answers what the engine asks for by itself: the market at once, books from :attr:`book`, timers in time."""

    settings: dict[str, Value] = field(default_factory=dict)
    bids: list[tuple[float, float]] = field(default_factory=lambda: [(0.49, 100_000)])
    asks: list[tuple[float, float]] = field(default_factory=lambda: [(0.50, 100_000)])
    fee: FeeSchedule = NO_FEE
    holdings: dict[str, float] | None = field(default_factory=dict)
    """What the first snapshot says of each leader; ``None`` = it does not come."""
    follow: bool = True
    tick: int = 10_000
    answer_books: bool = True
    answer_markets: bool = True
    others: dict[str, dict[str, Value]] = field(default_factory=dict)
    """Further portfolios and their settings."""

    def __post_init__(self) -> None:
        self.begin(Engine(), START)
        self.effects: list[Effect] = []
        self._did: list[Effect] = []
        self.tables: dict[str, dict[Any, dict[str, Any]]] = {}
        self.asked_books: list[str] = []
        states = []
        for name, policy in self.policies.items():
            bankroll = policy.bankroll
            states.append(ev.PortfolioState(name=name, bankroll=bankroll, cash=bankroll, policy=policy))
        self.send(ev.Restored(at=self.at, portfolios=tuple(states)))
        self.send(ev.HealthChanged(at=self.at, source=Source.POLYGON, healthy=True))
        if self.follow:
            self.follow_leader(LEADER)

    def begin(self, engine: Engine, at: int) -> None:
        """Go on with an engine that knows nothing yet; timers and questions of the one before are gone."""
        self.engine = engine
        self.drive = Drive(engine, self.answer, self.took)
        self.drive.at = at

    @property
    def at(self) -> int:
        """Now (µs)."""
        return self.drive.at

    @at.setter
    def at(self, at: int) -> None:
        """Let it be later; what is due meanwhile happens with what happens next."""
        self.drive.at = at

    @property
    def policies(self) -> dict[str, Policy]:
        """Each portfolio's settings."""
        return {name: policy_from(s) for name, s in {"main": self.settings, **self.others}.items()}

    def follow_leader(self, leader: str) -> None:
        """Follow from now on; holdings come at once if given."""
        second = self.at // SECOND
        self.send(
            ev.LeaderFollowed(
                at=self.at, leader=leader, follow_from=self.at, floor_ts=second - 900, cursor_ts=second, is_new=True
            )
        )
        if self.holdings is not None:
            held = tuple(sorted((t, usd(s)) for t, s in self.holdings.items()))
            self.send(ev.HoldingsSnapshot(at=self.at, leader=leader, as_of=self.at, holdings=held, bootstrap=True))

    # -- driving -----------------------------------------------------------------------------------------------

    def send(self, event: ev.Event) -> list[Effect]:
        """Let an event happen, and all that follows at once from it; returns what it did itself."""
        self._sent = event
        self._did = []
        self.drive.push(event)
        self.drive.run(max(self.at, event.at))
        return self._did

    def took(self, event: ev.Event, effects: list[Effect]) -> None:
        """See an event, and keep what came of it."""
        if event is self._sent:
            self._did = effects
        self.effects += effects
        for effect in effects:
            match effect:
                case Insert(record):
                    row, rows = row_of(record), self.tables.setdefault(record.table, {})
                    rows[row.get("id", row.get("trade_id", len(rows)))] = row
                case Update(record):
                    row = row_of(record)
                    self.tables[record.table][row["id"]].update(row)
                case Upsert(record):
                    row = row_of(record)
                    key = tuple(row[k] for k in _KEYS if k in row)
                    self.tables.setdefault(record.table, {})[key] = row
                case Delete(record):
                    gone = row_of(record)
                    self.tables.get(record.table, {}).pop(tuple(gone[k] for k in _KEYS if k in gone), None)
                case NeedBook(token_id):
                    self.asked_books.append(token_id)
                case _:
                    pass

    def answer(self, ask: Ask, at: int) -> list[ev.Event]:
        """What the world says, at once."""
        match ask:
            case NeedMarket(token_id) if self.answer_markets:
                return [ev.MarketSeen(at=at, market=self.market(token_id))]
            case NeedBook(token_id) if self.answer_books:
                return [self.book_event(token_id)]
            case _:
                return []

    def market(self, token_id: str, **more: Any) -> ev.Market:
        """The token's market."""
        defaults: dict[str, Any] = {
            "token_id": token_id,
            "condition_id": CONDITION,
            "outcome": "Yes",
            "title": "A market",
            "fee": self.fee,
            "fetched_at": self.at,
        }
        return ev.Market(**{**defaults, **more})

    def book_event(self, token_id: str) -> ev.BookSeen:
        """The book as it stands now."""
        book = make_book(
            token_id,
            [(usd(p), usd(s)) for p, s in self.bids],
            [(usd(p), usd(s)) for p, s in self.asks],
            requested_at=self.at,
            received_at=self.at,
            tick=self.tick,
        )
        return ev.BookSeen(at=self.at, book=book)

    def value(self) -> None:
        """Let the worker's clock tick: marks and equity get into their rows."""
        self.send(ev.Tick(at=self.at))

    def advance(self, seconds: float) -> None:
        """Let time pass; timers fire on the way."""
        self.drive.run(self.at + round(seconds * SECOND))

    def chain(self, *fills: LeaderFill, removed: bool = False) -> None:
        """Logs arrive."""
        for fill in fills:
            self.send(ev.ChainFillSeen(at=self.at, fill=fill, removed=removed))

    def api(self, *fills: LeaderFill, leader: str = LEADER) -> None:
        """A poll's window arrives."""
        last = max((f.traded_at or 0) for f in fills) // SECOND
        self.send(ev.ApiWindowRead(at=self.at, leader=leader, fills=fills, cursor_ts=last + 1))

    def chain_buy(self, n: int, shares: float = 100, price: float = 0.50, **more: Any) -> None:
        """The leader buys (seen on chain, now); our copy is still on its way."""
        self.last_fill = chain_fill(n, "BUY", shares, price, traded_at=self.at // SECOND * SECOND, **more)
        self.chain(self.last_fill)

    def chain_sell(self, n: int, shares: float, price: float = 0.49, **more: Any) -> None:
        """The leader sells (seen on chain, now); our copy is still on its way."""
        self.chain(chain_fill(n, "SELL", shares, price, traded_at=self.at // SECOND * SECOND, **more))

    def buy(self, n: int, shares: float = 100, price: float = 0.50, **more: Any) -> None:
        """The leader buys (seen on chain, now), and our copy has time to fill."""
        self.chain_buy(n, shares, price, **more)
        self.advance(1)

    def sell(self, n: int, shares: float, price: float = 0.49, **more: Any) -> None:
        """The leader sells (seen on chain, now), and our copy has time to fill."""
        self.chain_sell(n, shares, price, **more)
        self.advance(1)

    # -- looking -----------------------------------------------------------------------------------------------

    def rows(self, table: str) -> list[dict[str, Any]]:
        """A table's rows as they would be in the store."""
        return list(self.tables.get(table, {}).values())

    @property
    def reasons(self) -> list[str]:
        """Reasons of all decisions, in order."""
        return [r["reason"] for r in self.rows("decisions")]

    def held(self, token: str = TOKEN, leader: str = LEADER) -> int:
        """Our shares, in millionths."""
        position = self.engine.state.desks["main"].positions.get((leader, token))
        return position.shares if position else 0

    def leader_holds(self, token: str = TOKEN, leader: str = LEADER) -> int:
        """The leader's shares, in millionths."""
        holding = self.engine.state.holdings.get((leader, token))
        return holding.shares if holding else 0

    @property
    def cash(self) -> int:
        """Our cash, in millionths."""
        return self.engine.state.desks["main"].cash
