"""What the engine is measured on, in memory: BUYs and SELLs of many leaders over many tokens, eaten in several fills,
seen by both sources, decided with books of their own instants, ordered, filled, valued; every record made.

The mix is driven once in virtual time, with the world's answers, and what entered the engine is kept; measured is a
fresh engine that the same events are played to, so neither the world nor the driver's heap is in the figure.
"""

from __future__ import annotations

import gc
import hashlib
import random
import time
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

import msgspec

from pilotfish.core import events as ev
from pilotfish.core.book import Book, make_book
from pilotfish.core.drive import Ask, Drive, played
from pilotfish.core.effects import Effect, Insert, NeedBook, NeedMarket
from pilotfish.core.engine import Engine
from pilotfish.core.records import FillRecord, IntentRecord
from pilotfish.core.settings import Policy, policy_from
from pilotfish.core.trade import LeaderFill, Side, Source, Trade, TradeClass, first_seen
from pilotfish.core.units import MICRO, SECOND
from pilotfish.polymarket.contracts import CTF_EXCHANGE_V2, order_filled
from pilotfish.polymarket.decode import decode_order_filled

BEGIN = 1_800_000_000 * SECOND
TOKENS, LEADERS, TRADES, PAST = 500, 50, 20_000, 1_000
WARM, OPEN, TICKS, FOLLOWED = 2_000, 400, 200, 10
"""Trades before those that are measured; orders that leaders hold at a time; trades from one tick to the next; leaders
that each of many portfolios follows."""
DAY = 86_400 * SECOND
BETWEEN = 5_000
"""µs from one fill to the next: 200 a second."""
API_LATE = 4 * SECOND
POLLED_TOGETHER = 5
"""Fills of a leader that one page of the API shows, in the mean."""
BOOK_AFTER, LOG_LATE = 2_000, 2 * SECOND
RAW = '{"address":"0xe111180000d2663c0091e4f400237545b87b996b"}' * 10
"""As long as a log is."""


class Mix(NamedTuple):
    """What entered an engine: ``before`` the measured part, which holds ``trades``; and what came of it all."""

    before: list[ev.Event]
    events: list[ev.Event]
    trades: int
    copied: int
    filled: int


class World:
    """Markets and books that answer, each book as of when it is asked for, and leaders that trade at them."""

    def __init__(self, tokens: int, seed: int) -> None:
        self._chance = random.Random(seed)
        self._mids = [self._chance.randrange(10, 90) for _ in range(tokens)]

    def token(self, number: int) -> str:
        """A token's id, as long as real ones."""
        return f"1{number:076d}"

    def market(self, number: int, at: int) -> ev.Market:
        """What is known of a token's market."""
        return ev.Market(
            token_id=self.token(number), condition_id=f"0x{number // 2:064x}", outcome="Yes" if number % 2 else "No",
            title=f"Will event {number // 2} happen?", slug=f"event-{number // 2}", index=number % 2, tick=10_000,
            fetched_at=at,
        )  # fmt: skip

    def book(self, number: int, at: int) -> Book:
        """A book of ten levels a side; it moves by a tick now and then."""
        if self._chance.random() < 0.1:
            self._mids[number] = min(90, max(10, self._mids[number] + self._chance.choice((-1, 1))))
        mid = self._mids[number]
        sizes = [(100 + 13 * n + mid) * MICRO for n in range(10)]
        bids = [((mid - n) * 10_000, size) for n, size in enumerate(sizes) if mid - n > 0]
        asks = [((mid + 1 + n) * 10_000, size) for n, size in enumerate(sizes) if mid + 1 + n < 100]
        return make_book(self.token(number), bids, asks, requested_at=at, received_at=at + BOOK_AFTER)

    def price(self, number: int, side: Side) -> int:
        """At what a leader trades now: at the touch, or some ticks beside it, so that some are not copied."""
        beside = self._chance.choice((0, 0, 0, 0, 0, 0, 1, -1, -3))
        cents = self._mids[number] + (1 if side is Side.BUY else 0) + beside
        return min(99, max(1, cents)) * 10_000


def fills_of(world: World, leaders: int, tokens: int, trades: int, begin: int) -> Iterator[LeaderFill]:
    """``trades`` fills of the chain: orders of one to four fills, BUYs and SELLs of what is held in equal parts. What
    is bought and sold is the same however many leaders it is spread over."""
    chance = random.Random(leaders)
    mine = random.Random(1)
    held: list[tuple[int, int, int]] = []
    made = 0
    while made < trades:
        parts = min(mine.choice((1, 1, 1, 2, 4)), trades - made)
        selling = len(held) > OPEN and mine.random() < 0.5
        if selling:
            leader, number, whole = held.pop(mine.randrange(len(held)))
        else:
            leader, number, whole = chance.randrange(leaders), mine.randrange(tokens), mine.randrange(20, 2_000) * MICRO
            held.append((leader, number, whole))
        side = Side.SELL if selling else Side.BUY
        price, order = world.price(number, side), f"0x{made:064x}"
        for part in range(parts):
            shares = whole // parts if part < parts - 1 else whole - whole // parts * (parts - 1)
            at = (begin + (made + part) * BETWEEN) // SECOND * SECOND
            log = order_filled(
                order,
                f"0x{leader:040x}",
                "0x" + "c" * 40,
                side,
                world.token(number),
                shares,
                shares * price // MICRO,
                0,
            )
            log |= {
                "address": CTF_EXCHANGE_V2,
                "blockNumber": hex(93_000_000 + made // 400),
                "blockHash": f"0x{made // 400:064x}",
                "transactionHash": f"0x{made + part:064x}",
                "logIndex": hex((made + part) % 400),
            }
            yield decode_order_filled(log).observed(at, RAW)
        made += parts


def as_row(fill: LeaderFill) -> LeaderFill:
    """The same fill as the Data API shows it."""
    number = int(fill.token_id[1:])
    return LeaderFill(
        source=Source.API, leader=fill.leader, tx_hash=fill.tx_hash, token_id=fill.token_id, side=fill.side,
        shares=fill.shares, usdc=fill.usdc, traded_at=fill.traded_at, condition_id=f"0x{number // 2:064x}",
        outcome="Yes" if number % 2 else "No", title=f"Will event {number // 2} happen?", slug=f"event-{number // 2}",
        raw=RAW,
    )  # fmt: skip


def remembered(world: World, leaders: int, tokens: int, count: int) -> tuple[Trade, ...]:
    """So many trades of the day before, which both sources have shown."""
    chance, made = random.Random(count), []
    for n in range(count):
        at = BEGIN - DAY + n * DAY // (count + 1)
        fill = LeaderFill(
            source=Source.POLYGON, leader=f"0x{chance.randrange(leaders):040x}", tx_hash=f"0xff{n:062x}",
            token_id=world.token(chance.randrange(tokens)), side=Side.BUY, shares=MICRO + n, usdc=MICRO,
            traded_at=at // SECOND * SECOND, log_index=n % 400, block_number=92_000_000 + n,
        )  # fmt: skip
        trade = first_seen(fill, n + 1, 1, fill.traded_at or 0, TradeClass.LIVE, at)
        trade.first_seen_by_api_at = at
        made.append(trade)
    return tuple(made)


def settings() -> Policy:
    """Small copies, so that thousands of them fit the bankroll."""
    return policy_from({"bankroll_usdc": 10**13, "fixed_usdc": 5 * MICRO, "per_market_cap_usdc": 0})


def begun(leaders: int, past: tuple[Trade, ...] = (), portfolios: int = 1) -> list[ev.Event]:
    """A run's first events: so many leaders and portfolios, and the trades of before that are remembered."""
    policy, at = settings(), BEGIN
    desks = tuple(
        ev.PortfolioState(
            name=f"p{n}",
            bankroll=policy.bankroll,
            cash=policy.bankroll,
            policy=policy,
            follows=None if portfolios == 1 else tuple(f"0x{(n + k) % leaders:040x}" for k in range(FOLLOWED)),
        )
        for n in range(portfolios)
    )
    return [
        ev.Restored(at=at, portfolios=desks, trades=past, last_trade_id=len(past)),
        ev.HealthChanged(at=at, source=Source.POLYGON, healthy=True),
        *(
            ev.LeaderFollowed(
                at=at,
                leader=f"0x{n:040x}",
                follow_from=at,
                floor_ts=at // SECOND,
                cursor_ts=at // SECOND,
                is_new=True,
                bootstrapped=True,
            )
            for n in range(leaders)
        ),
    ]


def mix(
    trades: int = TRADES, *, leaders: int = LEADERS, tokens: int = TOKENS, past: int = PAST, portfolios: int = 1,
    seed: int = 1,
) -> Mix:  # fmt: skip
    """:data:`WARM` trades, then ``trades`` that are measured, as they enter an engine that remembers ``past`` more."""
    world = World(tokens, seed)
    entered: list[ev.Event] = []
    copied = filled = cut = 0

    def answer(ask: Ask, at: int) -> Iterable[ev.Event]:
        if isinstance(ask, NeedBook):
            yield ev.BookSeen(at=at + BOOK_AFTER, book=world.book(int(ask.token_id[1:]), at))
        elif isinstance(ask, NeedMarket):
            yield ev.MarketSeen(at=at + BOOK_AFTER, market=world.market(int(ask.token_id[1:]), at))

    def keep(event: ev.Event, effects: list[Effect]) -> None:
        nonlocal copied, filled
        entered.append(event)
        for effect in effects:
            if isinstance(effect, Insert):
                copied += isinstance(effect.record, IntentRecord)
                filled += isinstance(effect.record, FillRecord)

    drive = Drive(Engine(), answer, keep)
    for event in begun(leaders, remembered(world, leaders, tokens, past), portfolios):
        drive.push(event)
    drive.run(BEGIN)
    begin = drive.at + SECOND
    waiting: dict[str, list[LeaderFill]] = {}
    for n, fill in enumerate(fills_of(world, leaders, tokens, WARM + trades, begin)):
        at = begin + n * BETWEEN + LOG_LATE
        drive.run(at)
        if n == WARM:
            cut, copied, filled = len(entered), 0, 0
        drive.push(ev.ChainFillSeen(at=at, fill=fill))
        rows = waiting.setdefault(fill.leader, [])
        rows.append(as_row(fill))
        if len(rows) >= POLLED_TOGETHER:
            drive.push(_window(waiting.pop(fill.leader), at + API_LATE))
        if n % TICKS == 0:
            drive.push(ev.Tick(at=at))
    for rows in waiting.values():
        drive.push(_window(rows, drive.at + API_LATE))
    drive.run(drive.at + 60 * SECOND)
    return Mix(entered[:cut], entered[cut:], trades, copied, filled)


def _window(rows: list[LeaderFill], at: int) -> ev.ApiWindowRead:
    first = (rows[0].traded_at or 0) // SECOND
    return ev.ApiWindowRead(
        at=at, leader=rows[0].leader, fills=tuple(rows), cursor_ts=max(first - 1, BEGIN // SECOND),
        read_from=first - 1, read_to=at // SECOND,
    )  # fmt: skip


def prepared(mixed: Mix) -> Engine:
    """An engine that all has been played to that comes before the measured part."""
    engine = Engine()
    for event in mixed.before:
        played(engine, event)
    return engine


def spent(mixed: Mix) -> float:
    """Seconds of this process's own time that a fresh engine needs for the measured part, while Python's collector goes
    through memory as seldom as it does in a worker."""
    engine = prepared(mixed)

    def play() -> None:
        for event in mixed.events:
            played(engine, event)

    return own_time(play)


def own_time(work: Callable[[], None]) -> float:
    """Seconds of this process's own time for ``work``, with what is in memory before out of the collector's reach."""
    usual = gc.get_threshold()
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)
    try:
        started = time.process_time()
        work()
        return time.process_time() - started
    finally:
        gc.set_threshold(*usual)
        gc.unfreeze()


def digest(mixed: Mix) -> str:
    """Of all effects of the measured part: two engines with the same digest have done the same."""
    engine, found = prepared(mixed), hashlib.blake2b(digest_size=16)
    encode = msgspec.msgpack.Encoder().encode
    for event in mixed.events:
        found.update(encode(played(engine, event)) + encode(engine.at))
    return found.hexdigest()
