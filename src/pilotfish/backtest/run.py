"""One run through a past: the engine that runs live, in virtual time, and what came of it."""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import msgspec

from pilotfish.backtest.assumptions import Assumptions
from pilotfish.backtest.bets import Bet
from pilotfish.backtest.over import Over
from pilotfish.backtest.quotes import PLENTY, Quotes, Tier
from pilotfish.backtest.shelf import Shelf
from pilotfish.backtest.source import (
    LAST,
    PORTFOLIO,
    STRETCH,
    Holdings,
    Seen,
    Stretch,
    Windows,
    beginning,
    market_at,
    resolutions,
    stretches,
)
from pilotfish.core import events as ev
from pilotfish.core.book import Book, Level
from pilotfish.core.drive import Ask, Drive
from pilotfish.core.effects import CheckChain, Effect, Insert, NeedBook, NeedHoldings, NeedMarket, Update
from pilotfish.core.engine import Engine
from pilotfish.core.orders import PlaceOrder
from pilotfish.core.records import DecisionChange, DecisionRecord, EquityRecord, FillRecord, RoundTripRecord
from pilotfish.core.settings import Globals, Policy, TriggerMode
from pilotfish.core.trade import Side
from pilotfish.core.units import SECOND
from pilotfish.history.book_track import BookTrack
from pilotfish.history.records import Past, PastMarket

DAY = 86_400
LOOKED_BACK = 600
"""Seconds: of what moved no longer ago a look at the wallet's holdings tells; the rest is as it was."""
TOLD_AGAIN = 300 * SECOND
"""µs after which a market is told again with a trade in it."""
QUIET = 120 * SECOND
"""How long after the last second orders may still be out."""
ENDLESS = 10**12
"""More events than this are a loop without an end; a past of some years has a thousandth of it."""
Sink = Callable[[ev.Event, list[Effect]], None]


class Whole(msgspec.Struct, frozen=True, kw_only=True):
    """A past, and what is known beside it. ``books`` by token; ``seen``: when each trade was seen where that is known,
    of all others the assumed delay holds."""

    past: Past
    books: Mapping[str, BookTrack] = {}
    seen: Seen = {}


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """One run that is wanted. ``as_seen``: trades whose sighting is known are seen then, whatever the delay. ``sink``
    sees every event with what came of it."""

    policy: Policy
    assumed: Assumptions
    as_seen: bool = False
    sink: Sink | None = None


class Played(msgspec.Struct, kw_only=True):
    """What one run came to. Amounts in millionths of a USDC.

    ``wanted`` is what the BUYs would have cost at the leader's prices, each order once; ``spent`` what BUYs cost with
    fees. ``at_their_prices``: what the same shares would have made at the leader's own prices without fees. ``tiers``
    are the USDC that fills of each tier moved; ``skipped`` counts decisions by reason; ``equity`` are (µs, amount), the
    last of each day.
    ``open`` are the tokens still held at the end, with what they are marked at. ``thin``: orders that met a tape on
    which nobody traded; only of a run with a sink.
    """

    bets: list[Bet] = []
    result: int = 0
    at_their_prices: int = 0
    fees: int = 0
    wanted: int = 0
    spent: int = 0
    fills: int = 0
    orders: int = 0
    orders_filled: int = 0
    decisions: int = 0
    skipped: dict[str, int] = {}
    tiers: dict[Tier, int] = {}
    equity: list[tuple[int, int]] = []
    open: dict[str, int] = {}
    thin: list[int] = []

    @property
    def filled_ppm(self) -> int:
        """Which part of what was wanted was had, in millionths."""
        return min(1_000_000, self.spent * 1_000_000 // self.wanted) if self.wanted else 0


def play(
    whole: Whole, policy: Policy, assumed: Assumptions, sink: Sink | None = None, *, as_seen: bool = False
) -> Played:
    """Copy a wallet through its past with one policy."""
    return play_all(whole, [Job(policy=policy, assumed=assumed, sink=sink, as_seen=as_seen)])[0]


def play_all(
    whole: Whole,
    jobs: Sequence[Job],
    told: Callable[[int, int], None] = lambda _done, _of: None,
    *,
    stretch_of: int = STRETCH,
) -> list[Played]:
    """The same with several, side by side: what is read is read once for all of them. ``told`` hears how many of how
    many deeds are taken up; that is done ``stretch_of`` at a time, on which nothing depends but memory. What is in
    memory does not depend on how long the past is."""
    shelf, of = Shelf(whole.past), len(whole.past.deeds)
    runs = [_Run(whole, shelf, job) for job in jobs]
    with _collected_seldom():
        for stretch in stretches(whole.past, stretch_of):
            for run in runs:
                run.through(stretch)
            shelf.forget(min((run.drive.at for run in runs), default=0))
            told(stretch.done, of)
        return [run.played() for run in runs]


@contextmanager
def _collected_seldom() -> Iterator[None]:
    """Python's collector goes through what is new after tens of thousands of objects instead of hundreds: hardly
    anything here is part of a circle, and it would be a tenth of a run."""
    usual = gc.get_threshold()
    gc.set_threshold(50_000, 20, 20)
    try:
        yield
    finally:
        gc.set_threshold(*usual)


class _Run:
    def __init__(self, whole: Whole, shelf: Shelf, job: Job) -> None:
        past, policy, assumed = whole.past, job.policy, job.assumed
        self.past, self._markets = past, shelf.markets
        mode = msgspec.structs.replace(policy, trigger_mode=TriggerMode.API, paused=False, by_leader={})
        shared = Globals(trigger_mode=TriggerMode.API, max_live_lag_sec=policy.max_live_lag_sec)
        self.engine = Engine()
        self._recorded = whole.books.keys()
        self.quotes = Quotes(shelf, whole.books, assumed)
        self.held = Holdings(past)
        self._needs_worth = policy.sizing_mode == "bankroll_ratio"
        self.told = _Told(shelf.markets)
        self._over = Over(self.engine)
        self._further = job.sink
        self._tier: dict[str, Tier] = {}
        """Token -> what the book rests on that its orders met last."""
        self.drive = Drive(self.engine, self._answer, self._saw, most=ENDLESS)
        self.drive.at = past.from_at * SECOND
        for event in beginning(past, mode, shared):
            self.drive.push(event)
        self._days = iter(range(past.from_at // DAY * DAY + DAY, past.to_at, DAY))
        self._day = next(self._days, None)
        self._sells_too = policy.copy_side != "buy"
        ahead = (assumed.horizon_sec + 1) * SECOND  # to the end of the last second in which a print can fill
        self._windows = Windows(past.wallet, assumed.delay_us, whole.seen if job.as_seen else None, ahead=ahead)

    def through(self, stretch: Stretch) -> None:
        """Take up a part of it, and go on as far as all is known of what the wallet did."""
        self.held.add(stretch.deeds)
        for at, token in resolutions(stretch.first, self._markets, self.past):
            market, index = self._markets[token]
            self.drive.push(ev.MarketSeen(at=at, market=market_at(market, index, at, self.past.to_at)))
            self._over.settles(token, at)
        self._see(self._windows.of(stretch.seconds))
        self.held.before(self.drive.at // SECOND)
        self.quotes.forget()
        self._tier = {token: tier for token, tier in self._tier.items() if self._waits(token)}

    def _waits(self, token: str) -> bool:
        assert self.engine.paper is not None
        return bool(self.engine.paper.waiting(token))

    def _see(self, windows: Iterator[ev.ApiWindowRead]) -> None:
        for window in windows:
            self._value_days(window.at)
            self.drive.run(window.at - 1)
            self._over.let_go(self.drive.at)
            self._prepare(window)
            self.drive.push(window)

    def _value_days(self, until: int) -> None:
        while self._day is not None and self._day * SECOND <= until:
            self._value(self._day * SECOND)
            self._day = next(self._days, None)

    def played(self) -> Played:
        """Go to its end, and say what came of it."""
        self._see(self._windows.rest())
        end = self.past.to_at * SECOND
        self._value_days(end)
        self.drive.run(max(end, self.drive.at) + QUIET)
        self._value(self.drive.at)
        return self.told.played(self.engine)

    def _prepare(self, window: ev.ApiWindowRead) -> None:
        """What the engine would ask for once it sees these trades, told before it asks: one decision, not three. Books
        that were recorded it asks for itself: live it may have gone by one that it had been given a moment before."""
        for token in dict.fromkeys(fill.token_id for fill in window.fills):
            listed, known = self._markets.get(token), self.engine.state.markets.get(token)
            if listed is None:
                continue
            if known is None or window.at - known.fetched_at > TOLD_AGAIN:
                self.drive.push(ev.MarketSeen(at=window.at, market=market_at(*listed, window.at, self.past.to_at)))
            quote = self.quotes.at(token, window.at, ()) if token not in self._recorded else None
            if quote is not None:
                self.drive.push(ev.BookSeen(at=window.at, book=quote.book))

    def _value(self, at: int) -> None:
        """What is held, by what is known at an instant."""
        self.drive.run(at)
        desk = self.engine.state.desks[PORTFOLIO]
        for token in sorted({p.token_id for p in desk.positions.values() if p.shares}):
            quote = self.quotes.at(token, at, ())
            if quote is not None:
                self.drive.push(ev.BookSeen(at=at, book=quote.book))
        self.drive.push(ev.Tick(at=at))
        self.drive.run(at)

    # -- what the engine asks for ------------------------------------------------------------------------------

    def _answer(self, ask: Ask, at: int) -> Iterable[ev.Event]:
        match ask:
            case NeedMarket(token):
                listed = self._markets.get(token)
                if listed is None:
                    return [ev.MarketMissing(at=at, token_id=token, detail="not in the history")]
                return [ev.MarketSeen(at=at, market=market_at(*listed, at, self.past.to_at))]
            case NeedBook(token):
                return self._book(token, at)
            case NeedHoldings(leader, bootstrap):
                second = max(self.past.from_at, at // SECOND)
                held = self.held.before(second)
                said = tuple(sorted(held.items())) if bootstrap else self.held.moved_since(second - LOOKED_BACK)
                return [
                    ev.HoldingsSnapshot(
                        at=at, leader=leader, as_of=second * SECOND, holdings=said, bootstrap=bootstrap,
                        whole=bootstrap, value=self._worth(held, at) if self._needs_worth else None,
                    )
                ]  # fmt: skip
            case CheckChain():
                return []

    def _book(self, token: str, at: int) -> list[ev.Event]:
        assert self.engine.paper is not None
        waiting = self.engine.paper.waiting(token)
        out = self._windows.next_sell(token, at) if self._sells_too else LAST
        quote = self.quotes.asked(token, at) or self.quotes.at(token, at, waiting, out)
        if quote is None:
            return [ev.BookMissing(at=at, token_id=token, detail="nothing is known of it then")]
        self._tier[token] = quote.tier
        if quote.thin and self._further is not None:
            self.told.out.thin.extend(order.order_id for order in waiting if order.side is Side.BUY)
        book = self._whole_again(quote.book, waiting) if quote.tier is Tier.TAPE else quote.book
        answers: list[ev.Event] = [ev.BookSeen(at=max(at, book.received_at), book=book)]
        if quote.after is not None:
            answers.append(ev.BookSeen(at=at, book=quote.after))
        return answers

    def _whole_again(self, book: Book, waiting: Sequence[PlaceOrder]) -> Book:
        """What the tape had on offer, with what the engine remembers of earlier copies put on top: it takes that away
        again. Those met other prints; what they had of these is away already."""
        sides = {order.side for order in waiting}
        bids = self._untaken(book, Side.SELL, book.bids) if Side.SELL in sides else book.bids
        asks = self._untaken(book, Side.BUY, book.asks) if Side.BUY in sides else book.asks
        return book if (bids, asks) == (book.bids, book.asks) else msgspec.structs.replace(book, bids=bids, asks=asks)

    def _untaken(self, book: Book, side: Side, levels: tuple[Level, ...]) -> tuple[Level, ...]:
        left = self.engine.state.memory.available
        return tuple(
            Level(price, size + PLENTY - left(PORTFOLIO, book.token_id, side, Level(price, PLENTY)))
            for price, size in ((level.price, level.size) for level in levels)
        )

    def _worth(self, held: Mapping[str, int], at: int) -> int:
        """What the wallet's shares are worth at what is known of prices."""
        worth = 0
        for token, shares in held.items():
            if not shares:
                continue
            quote = self.quotes.at(token, at, ())
            bid = quote.book.best_bid if quote is not None else None
            worth += shares * (bid or 0) // 1_000_000
        return worth

    def _saw(self, event: ev.Event, effects: list[Effect]) -> None:
        for effect in effects:
            if type(effect) is Insert or type(effect) is Update:
                record = effect.record
                if type(record) is FillRecord:
                    self._filled(record, event.at)
                elif type(record) in _TOLD:
                    self.told.see(record)
        if self._further is not None:
            self._further(event, effects)

    def _filled(self, record: FillRecord, at: int) -> None:
        tier = self._tier.get(record.token_id, Tier.LINE)
        self.told.fill(record, tier)
        if tier is Tier.TAPE:
            for price, shares in record.levels:
                self.quotes.filled(record.token_id, record.side, price, shares, at)


_TOLD: frozenset[type] = frozenset((DecisionRecord, DecisionChange, RoundTripRecord, EquityRecord))
"""Records beside fills that say what a run comes to; all others are passed by."""


class _Told:
    """Counts what one run's records say."""

    def __init__(self, markets: Mapping[str, tuple[PastMarket, int]]) -> None:
        self._markets = markets
        self._waiting: dict[int, DecisionRecord] = {}
        self._trip: dict[str, list[int]] = {}
        """Token -> costs against the leader's prices, USDC and shares bought since it was flat."""
        self._tiers: Counter[Tier] = Counter()
        self._skipped: Counter[str] = Counter()
        self._days: dict[int, tuple[int, int]] = {}
        """Day -> the last instant of it at which the worth was written, and that."""
        self.out = Played()

    def fill(self, record: FillRecord, tier: Tier) -> None:
        """A fill of ours."""
        out = self.out
        out.fills += 1
        out.fees += record.fee_micro
        self._tiers[tier] += record.usdc_micro
        trip = self._trip.setdefault(record.token_id, [0, 0, 0])
        trip[0] += record.delay_cost_micro + record.spread_cost_micro + record.fee_micro
        if record.side is Side.BUY:
            out.spent += record.usdc_micro + record.fee_micro
            trip[1] += record.usdc_micro
            trip[2] += record.shares_micro

    def see(self, record: object) -> None:
        """Another record."""
        match record:
            case DecisionRecord():
                self._decided(record, record)
            case DecisionChange() if record.id in self._waiting:
                self._decided(self._waiting[record.id], record)
            case RoundTripRecord():
                self._ended(record)
            case EquityRecord():
                self._days[record.at // (DAY * SECOND)] = (record.at, record.equity_micro)
            case _:
                pass

    def _decided(self, first: DecisionRecord, now: DecisionChange) -> None:
        if now.action == "wait":
            self._waiting[first.id] = first
            return
        self._waiting.pop(first.id, None)
        out = self.out
        out.decisions += 1
        if now.action == "copy" and first.side is Side.BUY:
            out.orders_filled += 1
        elif now.action == "skip":
            self._skipped[now.reason.value] += 1
        if first.side is Side.BUY and first.order_decision_id is None and first.wanted_usdc_micro:
            out.wanted += first.wanted_usdc_micro
            out.orders += 1

    def _ended(self, trip: RoundTripRecord) -> None:
        assert trip.closed_at is not None
        self._bet(trip.token_id, trip.opened_at, trip.closed_at, trip.paid_micro, trip.pnl_micro, settled=True)

    def _bet(self, token: str, opened: int, ended: int, paid: int, result: int, *, settled: bool) -> None:
        costs, usdc, shares = self._trip.pop(token, [0, 0, 0])
        market, _ = self._markets.get(token, (None, 0))
        self.out.bets.append(
            Bet(
                token_id=token,
                condition_id=market.condition_id if market else "",
                event=(market.event or market.condition_id) if market else token,
                category=market.category if market else "",
                opened_at=opened // SECOND,
                ended_at=ended // SECOND,
                price=usdc * 1_000_000 // shares if shares else 0,
                paid=paid,
                result=result,
                theirs=result + costs,
                settled=settled,
            )
        )

    def played(self, engine: Engine) -> Played:
        """All of it, with what is still held at its mark."""
        desk, out = engine.state.desks[PORTFOLIO], self.out
        for position in sorted(desk.positions.values(), key=lambda p: p.token_id):
            if not position.shares:
                continue
            worth = position.shares * (position.mark_price or 0) // 1_000_000
            trip = position.trip
            out.open[position.token_id] = worth
            self._bet(
                position.token_id, position.opened_at, engine.at, trip.paid, trip.got - trip.paid + worth, settled=False
            )
        out.equity = list(self._days.values())
        out.result = desk.equity - desk.bankroll
        out.at_their_prices = sum(bet.theirs for bet in out.bets)
        out.skipped = dict(sorted(self._skipped.items()))
        out.tiers = {tier: self._tiers[tier] for tier in Tier if self._tiers[tier]}
        return out
