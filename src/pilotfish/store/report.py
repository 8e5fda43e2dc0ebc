"""The answer to "would copying have paid?": per portfolio and leader, from the append-only tables."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import Connection, func, select

from pilotfish.core.shortfall import FillCost
from pilotfish.core.units import SECOND
from pilotfish.store import tables as t
from pilotfish.store.accounts import Account, Accounts, Books, Decided, Key, Line, Ordered
from pilotfish.store.views.report import Shortfall, shortfall

STRETCH = 5_000
"""Decisions gone through at a time."""
SETTLED_AFTER = 3_600 * SECOND
"""A decision that is so much older than the newest one is out of a reorg's reach."""


@dataclass(slots=True, frozen=True)
class Scope:
    """Which decisions: of a portfolio or leader if named; ``since`` (µs) begins later: what was held then is taken
    over at its last traded price."""

    portfolio: str | None = None
    leader: str | None = None
    since: int | None = None


def lines(
    c: Connection, *, portfolio: str | None = None, leader: str | None = None, since: int | None = None
) -> dict[tuple[str, str], Line]:
    """(portfolio, leader) -> what their prices would have earned, what we earned, and the parts between. All decisions
    are gone through; :class:`Reports` goes on from where it was."""
    scope = Scope(portfolio, leader, since)
    accounts = Accounts(begun=since is None)
    _advance(c, accounts, scope, 0, _newest(c), _resets(c))
    return _summed(c, accounts, scope)


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

    def lines(self, c: Connection, between: Callable[[], None] | None = None) -> dict[tuple[str, str], Line]:
        """The lines as of now. ``between`` is called after each :data:`STRETCH`: whoever warms up can let others go
        first."""
        scope = Scope()
        with self._lock:
            newest, resets = _newest(c), _resets(c)
            if newest < self._upto or any(resets.get(name) != at for name, at in self._resets.items()):
                self._accounts, self._upto = Accounts(), 0
            self._resets = resets
            final = _final(c, newest)
            if final > self._upto:
                _advance(c, self._accounts, scope, self._upto, final, resets, between)
                self._upto = final
            young = Accounts(settled=self._accounts)
            _advance(c, young, scope, self._upto, newest, resets)
            self.ready = True
            return _summed(c, {**self._accounts, **young}, scope)

    def report(self, c: Connection, *, portfolio: str | None = None, leader: str | None = None) -> list[Shortfall]:
        """:func:`report` as of now."""
        if leader is not None and not self.ready:
            return report(c, portfolio=portfolio, leader=leader)
        mine = {k: line for k, line in self.lines(c).items() if portfolio in (None, k[0]) and leader in (None, k[1])}
        return shortfall(c, mine, None)


def report(
    c: Connection, *, portfolio: str | None = None, leader: str | None = None, since: int | None = None
) -> list[Shortfall]:
    """The lines as pages, REST and commands show them, the largest turnover first."""
    return shortfall(c, lines(c, portfolio=portfolio, leader=leader, since=since), since)


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
        select(func.min(i.decision_id)).where(i.state.in_(("pending", "working"))),
        select(func.min(d.id + 0)).where(d.decided_at >= last - SETTLED_AFTER),
    )
    found = [int(first) - 1 for query in moving if (first := c.execute(query).scalar()) is not None]
    return min([newest, *found])


def _advance(
    c: Connection, accounts: Accounts, scope: Scope, above: int, upto: int, resets: dict[str, int],
    between: Callable[[], None] | None = None,
) -> None:  # fmt: skip
    """Take decisions in, in their order, a stretch at a time; those of one leader at once: an index finds them."""
    while above < upto:
        end = min(upto, above + STRETCH) if scope.leader is None else upto
        books = _read(c, scope, above, end)
        for decided in _decided(c, scope, above, end):
            if decided.decided_at <= resets.get(decided.portfolio, 2**63):
                continue
            account = accounts[decided.key]
            if not account.begun and scope.since is not None and decided.came_at >= scope.since:
                account.begin()
            account.take(decided, books)
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
    if scope.leader is not None:
        statement = statement.where(d.leader == scope.leader)
    return [Decided(*row) for row in c.execute(statement)]


def _read(c: Connection, scope: Scope, above: int, upto: int) -> Books:
    """Orders of a stretch of decisions, and what they got."""
    books = Books()
    i, f = t.intents.c, t.fills.c
    mine = [i.decision_id > above, i.decision_id <= upto]
    mine += [i.portfolio == scope.portfolio] if scope.portfolio is not None else []
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


def _summed(c: Connection, accounts: dict[Key, Account], scope: Scope) -> dict[tuple[str, str], Line]:
    """All accounts valued: what is resolved at its payout, the rest at what bids would pay."""
    p, m = t.positions.c, t.markets.c
    held = select(p.portfolio, p.leader, p.token_id, p.mark_price_micro).where(p.mark_price_micro.is_not(None))
    marks = {(name, wallet, token): mark for name, wallet, token, mark in c.execute(held).all()}
    known = select(t.marks.c.token_id, t.marks.c.bid_micro).where(t.marks.c.bid_micro.is_not(None))
    bids: dict[str, int] = dict(c.execute(known).all())
    settled = select(m.token_id, m.payout_micro).where(m.payout_micro.is_not(None))
    payouts: dict[str, int] = dict(c.execute(settled).all())
    ended = select(t.portfolios.c.name).where(t.portfolios.c.status != "active")
    archived = set(c.execute(ended).scalars())  # their books stay as they were: what they held is not paid out
    result: dict[tuple[str, str], Line] = defaultdict(Line)
    for key in sorted(accounts):
        account, line = accounts[key], result[key[:2]]
        tally = account.tally
        if not account.begun:
            tally.open_at(tally.last_price)
        bid = bids.get(key[2], tally.last_price)
        payout = payouts.get(key[2]) if not (tally.held and key[0] in archived) else None
        ideal, actual, parts = tally.valued(*((payout, payout) if payout is not None else (marks.get(key, 0), bid)))
        line.ideal += ideal
        line.actual += actual
        line.parts.add(parts)
        line.count(account.line)
        line.open += tally.held > 0 and payout is None
    return dict(result)
