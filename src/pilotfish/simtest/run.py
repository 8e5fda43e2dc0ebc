"""A story is played: the real engine and store, feeds that behave like ours, and a process that may die at any time.

After every event the invariants are checked; :class:`BrokenPromise` says which does not hold, and when.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable
from random import Random

import msgspec
from sqlalchemy import Connection
from sqlalchemy import Engine as Database

from pilotfish.core import checks
from pilotfish.core import events as ev
from pilotfish.core.book import Book
from pilotfish.core.drive import Ask, Drive
from pilotfish.core.effects import CheckChain, Effect, Insert, NeedBook, NeedMarket, RowEffect, Update, Upsert
from pilotfish.core.engine import Engine
from pilotfish.core.orders import ENDED
from pilotfish.core.recall import Forgotten
from pilotfish.core.records import CursorRecord, IntentChange, TradeRecord
from pilotfish.core.settings import Globals, Policy, Value, globals_from, policy_from
from pilotfish.core.trade import LeaderFill, Source, TradeKey
from pilotfish.core.units import SECOND
from pilotfish.simtest import steps as st
from pilotfish.simtest.feeds import Span, Venue
from pilotfish.simtest.store import wipe
from pilotfish.store import following, leaders_store, portfolios_store, recalled, restore
from pilotfish.store.batch import write

POLL, OVERLAP, SLOW, REACH = 5, 60, 600, 7_200
"""Seconds: how often leaders are polled, how far back; how often the slow second reading runs, how far back."""
AGAIN = 4
"""Of readings that say what the last one said, so many to one that the engine is told of: the rest are only slow."""
QUIET = 28 * 60 * SECOND
"""How long a story goes on after its last step, so that all that is late has come."""
KEEP = 100 * SECOND
"""How long trades stay in memory, in worlds that look the others up: far shorter than a worker's."""
MOST_EVENTS = 100_000


class BrokenPromise(Exception):  # noqa: N818 - what it is
    """A promise that does not hold. ``promise`` names it in a few words, ``detail`` says what was seen."""

    def __init__(self, promise: str, detail: str) -> None:
        super().__init__(f"{promise}: {detail}")
        self.promise, self.detail = promise, detail


class Run:
    """One story on one store. ``watch`` sees each event with what came of it."""

    def __init__(
        self,
        database: Database,
        story: list[st.Step],
        seed: int,
        watch: Callable[[ev.Event, list[Effect]], None] | None = None,
    ) -> None:
        self.database = database
        self.story = story
        self._watch = watch
        self.r = Random(seed)
        self.keep = None if seed % 2 else KEEP
        """How long (µs) trades stay in memory; in half of the worlds as long as without a store."""
        self.venue = Venue(story)
        self.values: dict[str, dict[str, Value]] = {st.MAIN: {}}
        self.policies_seen: list[tuple[int, str, Policy]] = []
        self.books_seen: list[Book] = []
        self.told: list[tuple[str, int]] = []
        """Leaders and when a first snapshot of what they hold was taken in and stored (µs)."""
        self._telling: list[tuple[str, int]] = []
        self.ended: dict[int, int] = {}
        """Order -> when it ended (µs)."""
        self.statuses: dict[int, str] = {}
        self.down: dict[str, int] = {}
        self.alive = False
        self.cursors: dict[int, int] = {}
        self.floors: dict[int, int] = {}
        self._agenda: list[tuple[int, int, Callable[[], None]]] = []
        self._number = 0
        self._batch: list[RowEffect] = []
        self._taken_back: set[str] = set()
        """Transactions taken back by a reorg in what is not committed yet: nobody would tell of them again."""
        self._life = 0
        self.starts: list[int] = []
        """When the process started (µs)."""
        self._covered: dict[str, list[tuple[int, TradeKey, int]]] = {}
        """Leader -> rows that were read since their cursor was at (second, key, occurrence), until they are stored."""
        self._stored: Counter[TradeKey] = Counter()
        self._said: dict[int, tuple[tuple[LeaderFill, ...], tuple[ev.Move, ...]]] = {}
        """Leader -> what the last reading of their rows was, in this life of the process."""
        self._alike: dict[int, int] = {}
        self.drive = Drive(Engine(), self._answer)

    # -- the clock ---------------------------------------------------------------------------------------------

    @property
    def now(self) -> int:
        """Now (µs since the epoch)."""
        return self.drive.at

    def later(self, at: int, what: Callable[[], None]) -> None:
        """Do something at an instant (µs since the epoch)."""
        self._number += 1
        heapq.heappush(self._agenda, (at, self._number, what))

    def play(self) -> None:
        """Play the story to its end. Raises :class:`BrokenPromise`."""
        with self.database.begin() as c:
            wipe(c)
            portfolios_store.ensure_main(c, self._policy(st.MAIN), st.START)
        self.drive.at = st.START
        begin = [s for s in self.story if s.at == 0]
        for step in begin:
            self._perform(step)
        self._begin()
        for step in self.story:
            if step.at > 0 or isinstance(step, st.Trade | st.Move | st.Kill):
                self._plan(step)
        end = st.START + max((s.at for s in self.story), default=0) + QUIET
        while self._agenda and self._agenda[0][0] <= end:
            at, _, what = heapq.heappop(self._agenda)
            self._run(at)
            what()
        self._run(end)
        self._commit()

    def _run(self, until: int) -> None:
        if not self.alive:
            self.drive.at = max(self.drive.at, until)
            return
        try:
            self.drive.run(until)
        except AssertionError as problem:
            raise BrokenPromise("an assertion of the core", str(problem) or repr(problem)) from problem

    # -- the process -------------------------------------------------------------------------------------------

    def _begin(self) -> None:
        """The process starts: what the store knows becomes the engine's state; the feeds begin."""
        self.alive = True
        self._life += 1
        self._said.clear()
        at = self.now
        self.drive = Drive(Engine(), self._answer, self._sink, most=MOST_EVENTS, look_up=self._look_up)
        self.drive.at = at
        with self.database.begin() as c:
            names = portfolios_store.active(c)
            policies = {n: self._policy(n) for n in names}
            self.drive.push(restore.restored(c, policies, self._globals(), at, keep=self.keep))
            rows = following.leaders(c)
            taken = {row.wallet: following.taken_up(c, row, at, started_at=at, left=False) for row in rows}
        self.drive.push(ev.HealthChanged(at=at, source=Source.API, healthy=self._up("api")))
        self.drive.push(ev.HealthChanged(at=at, source=Source.POLYGON, healthy=self._up("chain")))
        self.starts.append(at)
        for row in rows:
            if row.status == "removed":
                self.drive.push(ev.LeaderRemoved(at=at, leader=row.wallet))
            else:
                self._follow(row, taken[row.wallet])
        self._run(at)
        for period, work in ((POLL, self._poll), (SLOW, self._slow), (20, self._tick), (300, self._reconcile)):
            self._every(period, work, self._life)

    def _look_up(self, forgotten: tuple[Forgotten, ...]) -> tuple[ev.Past, ...]:
        """What the store knows of the past, with all that was applied so far."""
        self._commit()
        with self.database.connect() as c:
            return recalled.past(c, list(self.drive.engine.state.desks), forgotten, self.now)

    def _every(self, period: int, work: Callable[[], None], life: int) -> None:
        def again() -> None:
            if self.alive and life == self._life:
                work()
                self.later(self.now + period * SECOND, again)

        self.later(self.now + (1 if period > POLL else 0) * SECOND + self.r.randrange(SECOND), again)

    def _die(self, away_us: int) -> None:
        if not self.alive:
            return
        self.alive = False
        if self._batch and self.r.random() < 0.5:
            self._commit()
        if self._batch:
            self.venue.unsure |= self._taken_back
        self._batch.clear()
        self._telling.clear()
        self._taken_back.clear()
        self._covered.clear()
        self.later(self.now + away_us, self._begin)

    def _sink(self, event: ev.Event, effects: list[Effect]) -> None:
        if self._watch is not None:
            self._watch(event, effects)
        if isinstance(event, ev.BookSeen):
            self.books_seen.append(msgspec.structs.replace(event.book, received_at=event.at))
        rows = [e for e in effects if isinstance(e, RowEffect)]
        self._batch += rows
        for e in rows:
            if isinstance(e, Update) and isinstance(e.record, IntentChange) and e.record.state in ENDED:
                self.ended[e.record.id] = event.at
        if isinstance(event, ev.HoldingsSnapshot) and event.bootstrap and rows:
            self._telling.append((event.leader, event.at))
        if isinstance(event, ev.ChainFillSeen) and event.removed:
            self._taken_back.add(event.fill.tx_hash)
        if rows and self.r.random() < 0.1:
            self._commit()
        drive = self.drive
        found = checks.broken(drive.engine, drive.timers, drive.asks, whole=any(isinstance(e, Insert) for e in rows))
        if found:
            raise BrokenPromise("an invariant", f"{found[0]} after {type(event).__name__}")

    def _commit(self) -> None:
        if self._batch:
            with self.database.begin() as c:
                write(c, self._batch)
            self._look_at_cursors()
            self._batch = []
        self.told += self._telling
        self._telling.clear()
        self._taken_back.clear()

    def _look_at_cursors(self) -> None:
        """No commit moves a cursor past a trade that is not stored."""
        cursors: dict[str, int] = {}
        for record in [e.record for e in self._batch if isinstance(e, Insert | Upsert)]:
            if isinstance(record, CursorRecord):
                cursors[record.leader] = record.api_cursor_ts
            elif isinstance(record, TradeRecord):
                key = (record.leader, record.tx_hash, record.token_id, record.side, int(record.shares_micro))
                self._stored[key] = max(self._stored[key], record.occurrence)
        for leader, cursor in cursors.items():
            left = [r for r in self._covered.get(leader, ()) if r[2] > self._stored[r[1]]]
            self._covered[leader] = left
            missing = [key[1] for second, key, _ in left if second < cursor]
            if missing:
                detail = f"it is at {cursor}, and transaction {int(missing[0], 16)} is not stored"
                raise BrokenPromise("the cursor passes no trade that is not stored", detail)

    def read(self, look: Callable[[Connection], object]) -> object:
        """Look at the store."""
        with self.database.connect() as c:
            return look(c)

    # -- settings ----------------------------------------------------------------------------------------------

    def _policy(self, name: str) -> Policy:
        shared = {k: v for k, v in self.values[st.MAIN].items() if k in _GLOBAL}
        policy = policy_from({**self.values.get(name, {}), **shared})
        self.policies_seen.append((self.now, name, policy))
        return policy

    def _globals(self) -> Globals:
        return globals_from({k: v for k, v in self.values[st.MAIN].items() if k in _GLOBAL})

    def _up(self, source: str) -> bool:
        return self.now >= self.down.get(source, 0)

    # -- steps -------------------------------------------------------------------------------------------------

    def _plan(self, step: st.Step) -> None:
        at = st.START + step.at
        if isinstance(step, st.Trade):
            self._plan_logs(step)
        elif isinstance(step, st.Move):
            pass
        else:
            self.later(at, lambda: self._perform(step))

    def _plan_logs(self, trade: st.Trade) -> None:
        if trade.chain_us is None:
            return
        seen = st.START + trade.at + trade.chain_us
        logs = self.venue.logs(trade)
        ordered = list(reversed(logs)) if trade.backwards else logs
        for n, fill in enumerate(ordered):
            self.later(seen + n * 1000, lambda fill=fill: self._log(fill))  # type: ignore[misc]
            if trade.again_us is not None:
                again = seen + trade.again_us
                if not trade.reorg or trade.again_us < trade.reorg_us:
                    self.later(again + n * 1000, lambda fill=fill: self._log(fill))  # type: ignore[misc]
            if trade.reorg:
                gone = seen + trade.reorg_us + 10_000
                self.later(gone + n * 1000, lambda fill=fill: self._log(fill, removed=True))  # type: ignore[misc]
        if trade.reorg == "again":
            for n, fill in enumerate(self.venue.logs(trade, block=1)):
                at = seen + trade.reorg_us + 4 * SECOND + n * 1000
                self.later(at, lambda fill=fill: self._log(fill))  # type: ignore[misc]

    def _log(self, fill: LeaderFill, *, removed: bool = False) -> None:
        watched = self.statuses.get(st.LEADERS.index(fill.leader), "removed") != "removed"
        if self.alive and self._up("chain") and watched:
            self.drive.push(ev.ChainFillSeen(at=self.now, fill=fill, removed=removed))
        elif removed:
            self.venue.unsure.add(fill.tx_hash)

    def _perform(self, step: st.Step) -> None:
        at = self.now
        match step:
            case st.Kill():
                self._die(step.away_us)
            case st.Down():
                self.down[step.source] = at + step.lasts_us
                if step.source in ("chain", "api"):
                    source = Source.POLYGON if step.source == "chain" else Source.API
                    self._tell(ev.HealthChanged(at=at, source=source, healthy=False))
                    self.later(at + step.lasts_us, lambda: self._tell(self._back(source)))
            case st.Book():
                self.venue.books[st.token(step.market, step.outcome)] = step
            case st.Fee():
                self.venue.fees[step.market] = step.rate_ppm
            case st.Resolve():
                self.venue.payouts[step.market] = step.payout
                for outcome in (0, 1):
                    self.later(at + 60 * SECOND, lambda o=outcome: self._refresh(st.token(step.market, o)))  # type: ignore[misc]
            case _:
                self._people(step)

    def _back(self, source: Source) -> ev.HealthChanged:
        name = "chain" if source is Source.POLYGON else "api"
        return ev.HealthChanged(at=self.now, source=source, healthy=self._up(name))

    def _people(self, step: st.Step) -> None:
        at = self.now
        with self.database.begin() as c:
            match step:
                case st.Follow() if self.statuses.get(step.leader, "removed") == "removed":
                    leaders_store.add(c, st.LEADERS[step.leader], "", at, by="story")
                    self.statuses[step.leader] = "active"
                    row = next(r for r in following.leaders(c) if r.wallet == st.LEADERS[step.leader])
                    if self.alive:
                        self._follow(row, following.taken_up(c, row, at, started_at=self.starts[-1], left=True))
                case st.Leave() if self.statuses.get(step.leader, "removed") != "removed":
                    leaders_store.set_status(c, st.LEADERS[step.leader], "removed", at, by="story")
                    self.statuses[step.leader] = "removed"
                    for span in self.venue.followed.get(step.leader, ())[-1:]:
                        span.until = at
                    self._covered.pop(st.LEADERS[step.leader], None)
                    self._said.pop(step.leader, None)
                    self._tell(ev.LeaderRemoved(at=at, leader=st.LEADERS[step.leader]))
                case st.Pause() if self.statuses.get(step.leader, "removed") != "removed":
                    status = "paused" if step.paused else "active"
                    leaders_store.set_status(c, st.LEADERS[step.leader], status, at, by="story")
                    self.statuses[step.leader] = status
                    self._tell(ev.LeaderPaused(at=at, leader=st.LEADERS[step.leader], paused=step.paused))
                case st.Settings():
                    self.values[step.portfolio] = dict(step.values)
                    for name in self._active(c):
                        self._tell(ev.PolicyChanged(at=at, portfolio=name, policy=self._policy(name)))
                    self._tell(ev.GlobalsChanged(at=at, globals=self._globals()))
                case st.Portfolio():
                    self.values[step.name] = dict(step.values)
                    policy = self._policy(step.name)
                    portfolios_store.add(c, step.name, step.values, at=at, by="story")
                    self._tell(ev.PortfolioAdded(at=at, state=restore.portfolio(c, step.name, policy, at)))
                case st.Archive() if step.name in self._active(c):
                    portfolios_store.archive(c, step.name, at=at, by="story")
                    self._tell(ev.PortfolioArchived(at=at, portfolio=step.name))
                case st.Follows():
                    known = {r.wallet for r in following.leaders(c)}
                    chosen = None
                    if step.leaders is not None:
                        chosen = tuple(w for w in (st.LEADERS[n] for n in step.leaders) if w in known)
                    portfolios_store.set_follows(c, step.portfolio, chosen, at=at, by="story")
                    self._tell(ev.FollowsChanged(at=at, portfolio=step.portfolio, leaders=chosen))
                case st.Reset():
                    self._tell(ev.PaperReset(at=at, portfolio=step.portfolio, command=1))
                case st.Close():
                    self._tell(ev.CloseAsked(at=at, portfolio=step.portfolio, command=2))
                case _:
                    pass

    def _active(self, c: Connection) -> list[str]:
        return portfolios_store.active(c)

    def _tell(self, event: ev.Event) -> None:
        if self.alive:
            self.drive.push(event)

    def _follow(self, row: following.LeaderRow, taken: tuple[ev.LeaderRemoved | None, ev.LeaderFollowed]) -> None:
        number, (ended, event) = st.LEADERS.index(row.wallet), taken
        self.cursors[number], self.floors[number] = event.cursor_ts, event.floor_ts
        spans = self.venue.followed.setdefault(number, [])
        if event.is_new:
            if spans and spans[-1].until is None:
                spans.pop()  # nothing of it was stored when the process died
            spans.append(Span(event.floor_ts * SECOND))
        if ended is not None:
            self.drive.push(ended)
        self.drive.push(event)

    # -- feeds -------------------------------------------------------------------------------------------------

    def _watched(self) -> list[int]:
        return [n for n, status in self.statuses.items() if status != "removed" and n in self.cursors]

    def _poll(self) -> None:
        for n in self._watched() if self._up("api") else ():
            self._read(n, max(self.floors[n], self.cursors[n] - OVERLAP))

    def _slow(self) -> None:
        for n in self._watched() if self._up("api") else ():
            self._read(n, max(self.floors[n], self.now // SECOND - REACH))

    def _read(self, leader: int, start: int) -> None:
        fills, moves = self.venue.rows(leader, start, self.now)
        last = max([(f.traded_at or 0) // SECOND for f in fills] + [m.at // SECOND for m in moves], default=0)
        cursor = max(self.cursors[leader], last + 1) if last else self.cursors[leader]
        said = (fills, moves)
        self._alike[leader] = self._alike.get(leader, 0) + 1 if said == self._said.get(leader) else 0
        self._said[leader] = said
        if (fills or moves) and self._alike[leader] % AGAIN == 0:
            wallet = st.LEADERS[leader]
            rows: Counter[TradeKey] = Counter()
            for fill in fills:
                rows[fill.key] += 1
                second = (fill.traded_at or 0) // SECOND
                if second >= self.cursors[leader]:
                    self._covered.setdefault(wallet, []).append((second, fill.key, rows[fill.key]))
            self.cursors[leader] = cursor
            self.drive.push(ev.ApiWindowRead(at=self.now, leader=wallet, fills=fills, cursor_ts=cursor, moves=moves))

    def _tick(self) -> None:
        self.drive.push(ev.Tick(at=self.now))
        held = {p.token_id for d in self.drive.engine.state.desks.values() for p in d.positions.values() if p.shares}
        for token in sorted(held):
            self.drive.ask(NeedBook(token))

    def _reconcile(self) -> None:
        for n in self._watched() if self._up("api") and self._up("positions") else ():
            self.drive.push(self.venue.snapshot(n, self.now, bootstrap=False))

    def _refresh(self, token: str) -> None:
        if self.alive:
            self.drive.ask(NeedMarket(token))
            self.later(self.now + 120 * SECOND, lambda: self._refresh(token))
        else:
            self.later(self.now + 60 * SECOND, lambda: self._refresh(token))

    def _answer(self, ask: Ask, at: int) -> list[ev.Event]:
        delay = self.r.randrange(20_000, 400_000)
        if isinstance(ask, CheckChain):
            return []
        if isinstance(ask, NeedBook):
            return [self.venue.book(ask.token_id, at, delay, up=self._up("books"))]
        if isinstance(ask, NeedMarket):
            return [self.venue.market(ask.token_id, at + delay, up=self._up("markets"))]
        n = st.LEADERS.index(ask.leader)
        back = max(self.down.get("api", 0), self.down.get("positions", 0))
        while at + delay < back:
            delay += 5 * SECOND
        return [self.venue.snapshot(n, at + delay, bootstrap=ask.bootstrap)]


_GLOBAL = ("trigger_mode", "strict_both", "max_live_lag_sec")
