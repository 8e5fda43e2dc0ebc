"""The answer to "would copying have paid?": per portfolio and leader, from the append-only tables."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from sqlalchemy import Connection, func, select

from pilotfish.core.shortfall import FillCost, Line, Parts
from pilotfish.core.units import SECOND
from pilotfish.store import settled
from pilotfish.store import tables as t
from pilotfish.store.accounts import DAY, Account, Accounts, Books, Days, Decided, Key, Ordered
from pilotfish.store.mapping import Plain
from pilotfish.store.views.report import Reported, Shortfall, by_portfolio, reported, shortfall

STRETCH = 5_000
"""Decisions gone through at a time."""
SETTLED_AFTER = 3_600 * SECOND
"""A decision that is so much older than the newest one is out of a reorg's reach."""


@dataclass(slots=True, frozen=True)
class Scope:
    """Which decisions: of a portfolio or leader if named, or ``among`` some portfolios; ``since`` (µs) begins later:
    what was held then is taken over at its last traded price."""

    portfolio: str | None = None
    leader: str | None = None
    since: int | None = None
    among: tuple[str, ...] | None = None


class TokenResult(NamedTuple):
    """What came of one token: results in millionths, what BUYs got (``bought`` shares for ``spent``, fees included
    ``paid``), how many there were, and whether it is still held."""

    token_id: str
    ideal: int
    actual: int
    bought: int
    spent: int
    paid: int
    buys: int
    held: bool


class DayResult(NamedTuple):
    """Both results at the end of a day (µs since the epoch, when it began)."""

    at: int
    ideal: int
    actual: int


class Results(NamedTuple):
    """One portfolio and leader in detail: ``tokens`` and the last of ``days`` come to the line, to the millionth.

    Within ``days`` what is held counts at the leader's last price of it; payouts are of the day on which our position
    was paid, else of the day on which the market was to end; what bids pay otherwise than the last price is of today.
    """

    line: Line
    tokens: tuple[TokenResult, ...]
    days: tuple[DayResult, ...]


def lines(
    c: Connection, *, portfolio: str | None = None, leader: str | None = None, since: int | None = None
) -> dict[tuple[str, str], Line]:
    """(portfolio, leader) -> what their prices would have earned, what we earned, and the parts between. All decisions
    are gone through; :class:`Reports` goes on from where it was."""
    scope = Scope(portfolio, leader, since)
    if since is not None:
        return _summed(c, _of_period(c, scope, since))
    accounts = Accounts()
    _advance(c, accounts, scope, 0, _newest(c), _resets(c))
    return _summed(c, accounts)


def _of_period(c: Connection, scope: Scope, since: int) -> dict[Key, Account]:
    """The accounts of a period: how far each has come since it stood as it did when the first decision came in that is
    of the period. Where both are in stretches that are kept, only the ends are gone through."""
    kept, newest, resets = settled.stretches(c), _newest(c), _resets(c)
    last = kept[-1].upto if kept else 0
    first = max((s.upto for s in kept if s.last_came_at < since), default=0)
    mixed = max([first, *(s.upto for s in kept if s.first_came_at < since)])
    before = settled.States(c, first, portfolio=scope.portfolio, leader=scope.leader)
    accounts = Accounts(before.account, by_day=False)
    begun: dict[Key, Account] = {}
    jump = mixed < last
    _advance(c, accounts, scope, first, mixed, resets, begun=begun, only_begun=jump)
    states = before
    if jump:
        then = Accounts(settled.States(c, mixed, portfolio=scope.portfolio, leader=scope.leader).account)
        states = settled.States(c, last, portfolio=scope.portfolio, leader=scope.leader)
        accounts = Accounts(states.account, by_day=False)
        begun |= {key: then[key] for key in states if key not in begun and states.changed(key) > mixed}
    _advance(c, accounts, scope, last, newest, resets, begun=begun)
    whole = {key: accounts[key] for key in {*states, *accounts}}
    return {key: account.since(begun.get(key, account)) for key, account in whole.items()}


def next_stretch(c: Connection) -> list[Plain]:
    """What is to be written of the next stretch of decisions (:mod:`pilotfish.store.settled`); nothing while it is not
    whole, or something in it can still change."""
    kept, newest, resets = settled.stretches(c), _newest(c), _resets(c)
    before = kept[-1] if kept else None
    begin = before.upto if before else 0
    upto = begin + settled.STRETCH
    if upto > newest or upto > _final(c, newest):
        return []
    accounts = Accounts(settled.States(c, begin).account)
    decided: list[Decided] = []
    _advance(c, accounts, Scope(), begin, upto, resets, seen=decided)
    return settled.rows_of(c, before, upto, accounts, decided)


class Reports:
    """:func:`lines` of everything, kept up from the last look. One for each database that is read from.

    A decision is taken in for good once nothing of it can change any more: it and what was decided before it are
    final, their intents have ended, and it is out of a reorg's reach. What is younger is gone through at each look.
    """

    def __init__(self) -> None:
        self._accounts = Accounts()
        self._upto = 0
        self._resets: dict[str, int] = {}
        self._lock = threading.Lock()
        self.ready = False
        """False until everything was gone through once, which takes its time in a large database."""

    def lines(
        self, c: Connection, between: Callable[[], None] | None = None, *, portfolios: Collection[str] | None = None
    ) -> dict[tuple[str, str], Line]:
        """The lines as of now; of some portfolios if named, for which less is gone through. ``between`` is called after
        each :data:`STRETCH`: whoever warms up can let others go first."""
        with self._lock:
            young = self._young(c, portfolios, between)
            accounts = {
                k: a for k, a in {**self._accounts, **young}.items() if portfolios is None or k[0] in portfolios
            }
            return _summed(c, accounts)

    def _young(
        self, c: Connection, portfolios: Collection[str] | None, between: Callable[[], None] | None = None
    ) -> Accounts:
        """Take in for good what is final, and give the accounts in which there is more, of these portfolios (``None`` =
        all); under the lock."""
        newest, resets = _newest(c), _resets(c)
        if newest < self._upto or any(resets.get(name) != at for name, at in self._resets.items()):
            self._accounts, self._upto = Accounts(), 0
        self._resets = resets
        final = _final(c, newest)
        if final > self._upto:
            _advance(c, self._accounts, Scope(), self._upto, final, resets, between)
            self._upto = final
        young = Accounts(self._copied)
        among = None if portfolios is None else tuple(sorted(portfolios))
        _advance(c, young, Scope(among=among), self._upto, newest, resets)
        self.ready = True
        return young

    def _copied(self, key: Key) -> Account | None:
        """What is settled stays as it is: others go on with a copy."""
        known = self._accounts.get(key)
        return None if known is None else known.copy()

    def report(
        self, c: Connection, *, portfolio: str | None = None, leader: str | None = None, archived: bool = False
    ) -> list[Shortfall]:
        """:func:`report` as of now."""
        if leader is not None and not self.ready:
            return report(c, portfolio=portfolio, leader=leader, archived=archived)
        found = self.lines(c, portfolios=None if portfolio is None else (portfolio,))
        mine = {key: line for key, line in found.items() if leader in (None, key[1])}
        return shortfall(c, mine if portfolio or archived else _of_active(c, mine), None)

    def among(self, c: Connection, portfolios: Collection[str]) -> list[Shortfall]:
        """The same of some portfolios."""
        return shortfall(c, self.lines(c, portfolios=portfolios), None)

    def of_portfolio(self, c: Connection, portfolio: str) -> Reported:
        """A portfolio's rows and their total, as of now."""
        mine = self.lines(c, portfolios=(portfolio,))
        return reported(portfolio, mine, shortfall(c, mine, None))

    def results(self, c: Connection, portfolio: str, leader: str, now: int) -> Results:
        """One leader in one portfolio in detail, as of now (µs)."""
        mine = (portfolio, leader)
        with self._lock:
            young = self._young(c, (portfolio,))
            accounts = {k: a for k, a in {**self._accounts, **young}.items() if k[:2] == mine}
            return _results(c, accounts, (self._accounts.days.get(mine, {}), young.days.get(mine, {})), mine, now)


def results(c: Connection, portfolio: str, leader: str, now: int) -> Results:
    """:meth:`Reports.results` without what was learned before: all decisions on the leader are gone through."""
    accounts = Accounts()
    _advance(c, accounts, Scope(portfolio, leader), 0, _newest(c), _resets(c))
    return _results(c, accounts, (accounts.days.get((portfolio, leader), {}),), (portfolio, leader), now)


def report(
    c: Connection, *, portfolio: str | None = None, leader: str | None = None, since: int | None = None,
    archived: bool = False,
) -> list[Shortfall]:  # fmt: skip
    """The lines as pages, REST and commands show them, the largest turnover first. Those of archived portfolios are
    there if asked for, by name or with ``archived``."""
    return shortfall(c, _wanted(c, portfolio, leader, since, archived=archived), since)


def totals(
    c: Connection, *, portfolio: str | None = None, leader: str | None = None, since: int | None = None,
    archived: bool = False,
) -> list[Reported]:  # fmt: skip
    """The same by portfolio, each with its total."""
    return by_portfolio(c, _wanted(c, portfolio, leader, since, archived=archived), since)


def _wanted(
    c: Connection, portfolio: str | None, leader: str | None, since: int | None, *, archived: bool
) -> dict[tuple[str, str], Line]:
    found = lines(c, portfolio=portfolio, leader=leader, since=since)
    return found if portfolio or archived else _of_active(c, found)


def _of_active(c: Connection, found: Mapping[tuple[str, str], Line]) -> dict[tuple[str, str], Line]:
    archived = _archived(c)
    return {key: line for key, line in found.items() if key[0] not in archived}


def _archived(c: Connection) -> set[str]:
    return set(c.execute(select(t.portfolios.c.name).where(t.portfolios.c.status != "active")).scalars())


def _newest(c: Connection) -> int:
    return int(c.execute(select(func.max(t.decisions.c.id))).scalar() or 0)


def _resets(c: Connection) -> dict[str, int]:
    return {name: at or 0 for name, at in c.execute(select(t.portfolios.c.name, t.portfolios.c.reset_at))}


def _final(c: Connection, newest: int) -> int:
    """The highest decision up to which nothing can change any more."""
    d, i = t.decisions.c, t.intents.c
    last = int(c.execute(select(func.max(d.decided_at))).scalar() or 0)
    # + 0: SQLite would look for the lowest id from the first row on, instead of among the few that the index names
    moving = (
        select(func.min(d.id)).where(d.action == "wait"),
        select(func.min(i.decision_id + 0)).where(t.INTENT_OUT),
        select(func.min(d.id + 0)).where(d.decided_at >= last - SETTLED_AFTER),
    )
    found = [int(first) - 1 for query in moving if (first := c.execute(query).scalar()) is not None]
    return min([newest, *found])


def _advance(
    c: Connection, accounts: Accounts, scope: Scope, above: int, upto: int, resets: dict[str, int],
    between: Callable[[], None] | None = None, *, begun: dict[Key, Account] | None = None, only_begun: bool = False,
    seen: list[Decided] | None = None,
) -> None:  # fmt: skip
    """Take decisions in, in their order, a stretch at a time; those of one leader at once: an index finds them.
    ``begun`` is told how each account stood before the first decision of the period (``only_begun``: nothing else is
    wanted of it), ``seen`` what was gone through."""
    while above < upto:
        end = min(upto, above + STRETCH) if scope.leader is None else upto
        books = _read(c, scope, above, end)
        for decided in _decided(c, scope, above, end):
            if seen is not None:
                seen.append(decided)
            if decided.decided_at <= resets.get(decided.portfolio, 2**63):
                continue
            if begun is not None:
                known = decided.key in begun
                if not known and decided.came_at >= (scope.since or 0):
                    begun[decided.key] = accounts[decided.key].copy()
                    known = True
                if known and only_begun:
                    continue
            accounts.take(decided, books)
        above = end
        if between is not None:
            between()


def _decided(c: Connection, scope: Scope, above: int, upto: int) -> list[Decided]:
    d, trade, moved = t.decisions.c, t.trades.c, t.holding_adjustments.c
    of_trade = ("shares_micro", "usdc_micro", "traded_at", "leader_pre_sell_shares_micro", "retracted_at",
                "first_source", "first_seen_by_api_at", "first_seen_by_polygon_at")  # fmt: skip
    elsewhere = {name: trade[name] for name in of_trade}
    elsewhere |= {"before_micro": moved.before_micro, "delta_micro": moved.delta_micro, "moved_at": moved.at}
    elsewhere["kind"] = d["class"]
    statement = (
        select(*(elsewhere[name] if name in elsewhere else d[name] for name in Decided.__struct_fields__))
        .outerjoin(t.trades, trade.id == d.trade_id)
        .outerjoin(t.holding_adjustments, moved.id == d.adjustment_id)
        .where(d.id > above, d.id <= upto, func.coalesce(trade["class"], "") != "backfill")
        .order_by(d.id)
    )
    if scope.portfolio is not None:
        statement = statement.where(d.portfolio == scope.portfolio)
    if scope.among is not None:
        statement = statement.where(t.unindexed(d.portfolio).in_(scope.among))
    if scope.leader is not None:
        statement = statement.where(d.leader == scope.leader)
        if scope.portfolio is None:  # in every one: an index has a portfolio's leaders
            statement = statement.where(d.portfolio.in_(select(t.portfolios.c.name)))
    return [Decided(*row) for row in c.execute(statement)]


def _read(c: Connection, scope: Scope, above: int, upto: int) -> Books:
    """Orders of a stretch of decisions, and what they got."""
    books = Books()
    i, f = t.intents.c, t.fills.c
    mine = [i.decision_id > above, i.decision_id <= upto]
    mine += [i.portfolio == scope.portfolio] if scope.portfolio is not None else []
    mine += [t.unindexed(i.portfolio).in_(scope.among)] if scope.among is not None else []
    mine += [i.leader == scope.leader] if scope.leader is not None else []
    wanted = select(*(i[name] for name in Ordered.__struct_fields__)).where(*mine).order_by(i.id)
    for order in (Ordered(*row) for row in c.execute(wanted)):
        books.orders[order.decision_id].append(order)
    got = select(f.intent_id, f.shares_micro, f.usdc_micro, f.fee_micro, f.delay_cost_micro, f.spread_cost_micro,
                 i.leader_price_micro).join(t.intents, i.id == f.intent_id)  # fmt: skip
    if books.orders:
        for number, shares, usdc, fee, delay, spread, price in c.execute(got.where(*mine).order_by(f.id)):
            cost = FillCost(shares=shares, usdc=usdc, fee=fee, delay=delay, spread=spread, price=price)
            books.fills[number].append(cost)
    return books


class _Valued(NamedTuple):
    """An account with what is held valued: what is resolved at its payout, the rest at what bids would pay."""

    key: Key
    account: Account
    ideal: int
    actual: int
    parts: Parts
    settled: bool


def _valued(c: Connection, accounts: Mapping[Key, Account]) -> Iterator[_Valued]:
    p, m = t.positions.c, t.markets.c
    held = select(p.portfolio, p.leader, p.token_id, p.mark_price_micro).where(p.mark_price_micro.is_not(None))
    marks = {(name, wallet, token): mark for name, wallet, token, mark in c.execute(held).all()}
    known = select(t.marks.c.token_id, t.marks.c.bid_micro).where(t.marks.c.bid_micro.is_not(None))
    bids: dict[str, int] = dict(c.execute(known).all())
    paid_out = select(m.token_id, m.payout_micro).where(m.payout_micro.is_not(None))
    payouts: dict[str, int] = dict(c.execute(paid_out).all())
    archived = _archived(c)  # their books stay as they were: what they held is not paid out
    for key in sorted(accounts):
        account = accounts[key]
        tally = account.tally
        bid = bids.get(key[2], tally.last_price)
        payout = payouts.get(key[2]) if not (tally.held and key[0] in archived) else None
        ideal, actual, parts = tally.valued(*((payout, payout) if payout is not None else (marks.get(key, 0), bid)))
        yield _Valued(key, account, ideal, actual, parts, payout is not None)


def _take_in(line: Line, valued: _Valued) -> None:
    tally = valued.account.tally
    line.count(valued.account.counted)
    line.ideal += valued.ideal
    line.actual += valued.actual
    line.parts.add(valued.parts)
    line.paid += tally.paid
    line.ideal_paid += tally.ideal_paid
    line.open += tally.held > 0 and not valued.settled
    line.sold += tally.sold or (tally.bought > 0 and valued.settled)


def _summed(c: Connection, accounts: Mapping[Key, Account]) -> dict[tuple[str, str], Line]:
    """All accounts, by portfolio and leader."""
    result: dict[tuple[str, str], Line] = defaultdict(Line)
    for valued in _valued(c, accounts):
        _take_in(result[valued.key[:2]], valued)
    return dict(result)


def _results(
    c: Connection, accounts: Mapping[Key, Account], known: tuple[Days, ...], of: tuple[str, str], now: int
) -> Results:
    """The accounts of one portfolio and leader in detail; ``known`` is how both results moved so far."""
    line, tokens = Line(), []
    moved: dict[int, list[int]] = defaultdict(lambda: [0, 0])
    for days in known:
        for day, (ideal, actual) in days.items():
            moved[day][0] += ideal
            moved[day][1] += actual
    today = now // DAY
    begun = min(moved, default=today)
    ends = _ends(c, of)
    for valued in _valued(c, accounts):
        tally, token = valued.account.tally, valued.key[2]
        _take_in(line, valued)
        held = tally.held > 0 and not valued.settled
        tokens.append(
            TokenResult(token, valued.ideal, valued.actual, tally.bought, tally.spent, tally.paid,
                        valued.account.line.buys, held)
        )  # fmt: skip
        ideal, actual = tally.at_last
        day = max(begun, min(today, ends.get(token, today))) if valued.settled else today
        moved[day][0] += valued.ideal - ideal
        moved[day][1] += valued.actual - actual
    ideal = actual = 0
    ended = []
    for day in sorted(moved):
        ideal, actual = ideal + moved[day][0], actual + moved[day][1]
        ended.append(DayResult(day * DAY, ideal, actual))
    return Results(line, tuple(tokens), tuple(ended))


def _ends(c: Connection, of: tuple[str, str]) -> dict[str, int]:
    """Token -> the day on which it was paid out, or on which its market was to end."""
    p, m = t.positions.c, t.markets.c
    ended = select(m.token_id, m.end_at).where(m.payout_micro.is_not(None), m.end_at.is_not(None))
    paid = select(p.token_id, p.closed_at).where(
        p.portfolio == of[0], p.leader == of[1], p.status == "resolved", p.closed_at.is_not(None)
    )
    return {token: at // DAY for query in (ended, paid) for token, at in c.execute(query)}
