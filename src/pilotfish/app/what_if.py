"""What other settings would have made of a recorded stream: a second engine, in virtual time, beside the first.

What came from outside comes again at its instant; timers are the second engine's own; what it asks for is answered
from the record, as :data:`WITHIN` and :data:`AGE` say. Nothing is made up: what was not recorded is missing.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TypeAlias

import msgspec

from pilotfish.app import journal_format as form
from pilotfish.app.outcome import Outcome, Tally
from pilotfish.app.replay import Original, Replayed, whole_runs
from pilotfish.core import checks
from pilotfish.core import events as ev
from pilotfish.core.drive import Ask, Drive
from pilotfish.core.effects import Effect, NeedBook, NeedHoldings, NeedMarket
from pilotfish.core.engine import Engine
from pilotfish.core.settings import BY_NAME, Globals, Policy, Scope, SettingError, Value, globals_from, policy_from
from pilotfish.core.units import SECOND

WITHIN = {"books": 3 * SECOND, "markets": 10 * SECOND, "holdings": 60 * SECOND}
"""A question is answered by the next recorded answer, if it came within so many µs"""
AGE = {"books": 15 * SECOND, "markets": 3600 * SECOND, "holdings": 600 * SECOND}
"""– else by the latest one of before, if it is no older than this (µs); else it is missing."""
LOOK_AHEAD = max(WITHIN.values())
Subject: TypeAlias = tuple[str, str]
"""What is asked for (a key of :data:`WITHIN`), and of which token or leader."""


class Answers(msgspec.Struct, kw_only=True):
    """How many questions were answered how."""

    next: int = 0
    older: int = 0
    missing: int = 0


class Compared(msgspec.Struct, kw_only=True):
    """Two sides of one stream. ``books``: what does not hold of the changed side's books."""

    replayed: Replayed
    original: dict[str, Outcome]
    changed: dict[str, Outcome]
    answered: dict[str, Answers]
    books: list[str]


class Change:
    """Other values for settings: of one portfolio, or of all. They hold for every leader, those with values of their
    own included. Raises :class:`~pilotfish.core.settings.SettingError` for what no recorded event depends on."""

    def __init__(self, values: Mapping[str, Value], portfolio: str | None) -> None:
        self.values, self.portfolio = dict(values), portfolio
        of_policy, of_globals = set(Policy.__struct_fields__), set(Globals.__struct_fields__)
        for name in values:
            if name not in of_policy | of_globals:
                raise SettingError(
                    f"{name} changes what is read, not what is decided: a recorded stream is the same whatever it is"
                )
            if portfolio is not None and BY_NAME[name].scope is not Scope.PORTFOLIO:
                raise SettingError(f"{name} belongs to no portfolio; leave --portfolio out")
        asked = policy_from(values)
        self._policy = {name: getattr(asked, name) for name in values if name in of_policy}
        shared = globals_from(values)
        self._globals = {n: getattr(shared, n) for n in values if n in of_globals and portfolio is None}

    def policy(self, name: str, policy: Policy) -> Policy:
        """A portfolio's settings as they would have been."""
        if self.portfolio not in (None, name) or not self._policy:
            return policy
        own = {who: msgspec.structs.replace(p, **self._policy) for who, p in policy.by_leader.items()}
        return msgspec.structs.replace(policy, **self._policy, by_leader=own)

    def globals(self, found: Globals) -> Globals:
        """The settings that belong to no portfolio."""
        return msgspec.structs.replace(found, **self._globals)

    def state(self, state: ev.PortfolioState) -> ev.PortfolioState:
        """A portfolio as it would have begun: another bankroll counts where nothing was done with it yet."""
        policy = self.policy(state.name, state.policy)
        fresh = state.cash == state.bankroll and not state.positions and not state.intents
        if fresh and "bankroll" in self._policy and self.portfolio in (None, state.name):
            peak = max(0, state.peak - state.bankroll) + policy.bankroll
            return msgspec.structs.replace(
                state, policy=policy, bankroll=policy.bankroll, cash=policy.bankroll, peak=peak, day_equity=None
            )
        return msgspec.structs.replace(state, policy=policy)


class Changed:
    """The changed side. Runs are one stream to it: it is not restarted with the worker."""

    def __init__(self, change: Change) -> None:
        self.change = change
        self.tally = Tally()
        self.engine = Engine()
        self.answered = {what: Answers() for what in WITHIN}
        self.drive = Drive(self.engine, self._answer, lambda _, effects: self._saw(effects))
        self._begun = False
        self._coming: dict[Subject, deque[int]] = {}
        """When (µs) recorded answers come that were read ahead."""
        self._latest: dict[Subject, ev.BookSeen | ev.MarketSeen | ev.HoldingsSnapshot] = {}
        self._asked: dict[str, int] = {}
        """Token -> since when (µs) a book must have been asked for to count as newer than what is known."""

    def follow(self, entries: Iterable[form.Entry]) -> Iterator[form.Entry]:
        """Pass a run's entries on, each after this side has taken it in."""
        source = iter(entries)
        ahead: deque[tuple[form.Entry, ev.Event]] = deque()
        more = True
        while more or ahead:
            while more and (not ahead or ahead[-1][1].at <= ahead[0][1].at + LOOK_AHEAD):
                entry = next(source, None)
                if entry is None:
                    more = False
                    break
                event = form.decode_event(entry.event)
                ahead.append((entry, event))
                subject = _subject(event)
                if subject is not None:
                    self._coming.setdefault(subject, deque()).append(event.at)
            if ahead:
                entry, event = ahead.popleft()
                self._take(event)
                yield entry

    def _saw(self, effects: list[Effect]) -> None:
        self.tally.see(self.engine, effects)

    # -- what came from outside --------------------------------------------------------------------------------

    def _take(self, event: ev.Event) -> None:
        self.drive.run(event.at)
        subject = _subject(event)
        if subject is not None:
            self._coming[subject].popleft()
        for instead in self._instead(event):
            self.drive.push(instead)
        self.drive.run(event.at)

    def _instead(self, event: ev.Event) -> Iterable[ev.Event]:
        """A recorded event as it happens to this side."""
        change = self.change
        match event:
            case ev.TimerFired() | ev.OrderFilled() | ev.OrderTried() | ev.OrderEnded():
                return []
            case ev.Restored():
                return self._restored(event)
            case ev.PortfolioAdded(state=state):
                return self._added(event.at, state)
            case ev.PolicyChanged(portfolio=name, policy=policy):
                return [msgspec.structs.replace(event, policy=change.policy(name, policy))]
            case ev.GlobalsChanged(globals=found):
                return [msgspec.structs.replace(event, globals=change.globals(found))]
            case ev.LeaderFollowed(leader=leader, is_new=False):
                known = self.engine.state.leaders.get(leader)
                if known is not None and known.active:
                    paused = known.paused != event.paused
                    return [ev.LeaderPaused(at=event.at, leader=leader, paused=event.paused)] if paused else []
                return [event]
            case ev.BookSeen(book=book):
                stamp = max(book.requested_at, self._asked.get(book.token_id, 0))
                stamped = ev.BookSeen(at=event.at, book=msgspec.structs.replace(book, requested_at=stamp))
                self._latest["books", book.token_id] = stamped
                return [stamped]
            case ev.MarketSeen(market=market):
                self._latest["markets", market.token_id] = event
                return [event]
            case ev.HoldingsSnapshot(leader=leader):
                self._latest["holdings", leader] = event
                return [event]
            case _:
                return [event]

    def _added(self, at: int, state: ev.PortfolioState) -> list[ev.Event]:
        begun = self.change.state(state)
        self.tally.begin([begun])
        return [ev.PortfolioAdded(at=at, state=begun)]

    def _restored(self, event: ev.Restored) -> list[ev.Event]:
        """The first run's beginning; of a later one, what was changed while the worker was down."""
        if not self._begun:
            self._begun = True
            states = tuple(self.change.state(p) for p in event.portfolios)
            self.tally.begin(states)
            return [msgspec.structs.replace(event, portfolios=states, globals=self.change.globals(event.globals))]
        at, desks = event.at, self.engine.state.desks
        now = {p.name: p for p in event.portfolios}
        found: list[ev.Event] = [ev.GlobalsChanged(at=at, globals=self.change.globals(event.globals))]
        found += [ev.PortfolioArchived(at=at, portfolio=name) for name in desks if name not in now]
        for name, state in now.items():
            if name not in desks:
                found += self._added(at, state)
                continue
            policy, follows = self.change.policy(name, state.policy), state.follows
            found.append(ev.PolicyChanged(at=at, portfolio=name, policy=policy))
            if desks[name].follows != (None if follows is None else frozenset(follows)):
                found.append(ev.FollowsChanged(at=at, portfolio=name, leaders=follows))
        return found

    # -- what it asks for --------------------------------------------------------------------------------------

    def _answer(self, ask: Ask, at: int) -> Iterable[ev.Event]:
        match ask:
            case NeedBook(token):
                return self._from_record("books", token, at)
            case NeedMarket(token):
                return self._from_record("markets", token, at)
            case NeedHoldings(leader):
                return self._from_record("holdings", leader, at)
            case _:
                return []

    def _from_record(self, what: str, whose: str, at: int) -> Iterable[ev.Event]:
        count, coming = self.answered[what], self._coming.get((what, whose))
        if what == "books":
            self._asked[whose] = at
        if coming and coming[0] <= at + WITHIN[what]:
            count.next += 1
            return []
        latest = self._latest.get((what, whose))
        if latest is None or at - latest.at > AGE[what]:
            count.missing += 1
            return _missing(what, whose, at)
        count.older += 1
        return [_again(latest, at)]


def _subject(event: ev.Event) -> Subject | None:
    """The question that an event answers."""
    match event:
        case ev.BookSeen(book=book):
            return ("books", book.token_id)
        case ev.BookMissing(token_id=token):
            return ("books", token)
        case ev.MarketSeen(market=market):
            return ("markets", market.token_id)
        case ev.MarketMissing(token_id=token):
            return ("markets", token)
        case ev.HoldingsSnapshot(leader=leader):
            return ("holdings", leader)
        case _:
            return None


def _again(latest: ev.BookSeen | ev.MarketSeen | ev.HoldingsSnapshot, at: int) -> ev.Event:
    """An older answer, given once more: it counts as read now."""
    match latest:
        case ev.BookSeen(book=book):
            return ev.BookSeen(at=at, book=msgspec.structs.replace(book, requested_at=at, received_at=at))
        case ev.MarketSeen(market=market):
            return ev.MarketSeen(at=at, market=msgspec.structs.replace(market, fetched_at=at))
        case _:
            return msgspec.structs.replace(latest, at=at)


def _missing(what: str, whose: str, at: int) -> list[ev.Event]:
    if what == "books":
        return [ev.BookMissing(at=at, token_id=whose, detail="not recorded")]
    return [ev.MarketMissing(at=at, token_id=whose, detail="not recorded")] if what == "markets" else []


def compare(folder: Path, wanted: str, change: Change) -> Compared:
    """Both sides of a recorded stream; the original one is checked on the way. Raises :class:`SettingError` for a
    portfolio that is not in it, :class:`~pilotfish.app.journal_format.JournalError` where there is no journal."""
    chosen, notes = whole_runs(form.choose(form.runs(folder), wanted))
    original, changed = Original(go_on=True), Changed(change)
    original.play(chosen, changed.follow)
    original.result.notes[:0] = notes
    only = change.portfolio
    if only is not None and original.result.difference is None and only not in original.engine.state.desks:
        names = ", ".join(original.engine.state.desks)
        raise SettingError(f"there is no portfolio {only[:60]!r} in what was recorded; there are: {names}")
    books = [
        *changed.tally.wrong_cash(changed.engine),
        *checks.broken(changed.engine, changed.drive.timers, changed.drive.asks),
    ]
    return Compared(
        replayed=original.result,
        original=original.tally.outcomes(original.engine, only),
        changed=changed.tally.outcomes(changed.engine, only),
        answered=changed.answered,
        books=books,
    )
