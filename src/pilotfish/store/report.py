"""The answer to "would copying have paid?": per portfolio and leader, from the append-only tables."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeAlias

from sqlalchemy import Connection, func, select

from pilotfish.core.leader_orders import ORDER_LIFE, ORDERS_KEPT
from pilotfish.core.numerals import count
from pilotfish.core.reasons import NEVER_COPIED, known
from pilotfish.core.shortfall import (
    CLIPPED,
    FEWER_SHARES,
    MADE_UP,
    ORPHANED,
    PENDING,
    RESIZED,
    FillCost,
    Parts,
    Tally,
    Waited,
)
from pilotfish.core.units import MICRO, SECOND, price_of
from pilotfish.store import tables as t
from pilotfish.store.queries import Row, iso

STRETCH = 5_000
"""Decisions gone through at a time."""
SETTLED_AFTER = 3_600 * SECOND
"""A decision that is so much older than the newest one is out of a reorg's reach."""
Key: TypeAlias = tuple[str, str, str]
"""(portfolio, leader, token)"""


@dataclass(slots=True)
class Line:
    """One portfolio and leader."""

    ideal: int = 0
    actual: int = 0
    parts: Parts = field(default_factory=Parts)
    trades: int = 0
    copied: int = 0
    orders: int = 0
    orders_copied: int = 0
    fills: int = 0
    turnover: int = 0
    open: int = 0

    def count(self, other: Line) -> None:
        """Add another's numbers of things."""
        self.trades += other.trades
        self.copied += other.copied
        self.orders += other.orders
        self.orders_copied += other.orders_copied
        self.fills += other.fills
        self.turnover += other.turnover


class _Order(NamedTuple):
    """An order of the leader: why that of its fills that the ideal counts was not copied, ``None`` while none of its
    fills stands; and when the newest was traded."""

    cause: str | None
    last_at: int


@dataclass(slots=True)
class _Account:
    """One portfolio, leader and token: the tally, what was counted, whether the period has begun, and the leader's
    orders by the decision on the first fill."""

    tally: Tally = field(default_factory=Tally)
    line: Line = field(default_factory=Line)
    begun: bool = True
    orders: dict[int, _Order] = field(default_factory=dict)

    def copy(self) -> _Account:
        line = Line()
        line.count(self.line)
        return _Account(self.tally.copy(), line, self.begun, dict(self.orders))

    def order(self, number: int, traded_at: int, at: int) -> _Order:
        """The order of a fill that came in at ``at``; those are forgotten that the engine has forgotten, too."""
        known = self.orders.get(number)
        if known is None:
            self.orders = {n: o for n, o in self.orders.items() if at - o.last_at <= ORDER_LIFE}
            known = self.orders[number] = _Order(None, traded_at)
            if len(self.orders) > ORDERS_KEPT:
                del self.orders[next(iter(self.orders))]
        elif known.last_at < traded_at:
            known = self.orders[number] = known._replace(last_at=traded_at)
        return known


@dataclass(slots=True)
class _Books:
    """What decisions are looked up in."""

    intents: dict[int, list[Any]] = field(default_factory=lambda: defaultdict(list))
    fills: dict[int, list[Any]] = field(default_factory=lambda: defaultdict(list))


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
    accounts = _Accounts(begun=since is None)
    _advance(c, accounts, scope, 0, _newest(c), _resets(c))
    return _summed(c, accounts, scope)


class Reports:
    """:func:`lines` of everything, kept up from the last look. One for each database that is read from.

    A decision is taken in for good once nothing of it can change any more: it and what was decided before it are
    final, their intents have ended, and it is out of a reorg's reach. What is younger is gone through at each look.
    """

    def __init__(self) -> None:
        self._accounts = _Accounts()
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
                self._accounts, self._upto = _Accounts(), 0
            self._resets = resets
            final = _final(c, newest)
            if final > self._upto:
                _advance(c, self._accounts, scope, self._upto, final, resets, between)
                self._upto = final
            young = _Accounts(settled=self._accounts)
            _advance(c, young, scope, self._upto, newest, resets)
            self.ready = True
            return _summed(c, {**self._accounts, **young}, scope)

    def report(self, c: Connection, *, portfolio: str | None = None, leader: str | None = None) -> list[Row]:
        """:func:`report` as of now."""
        if leader is not None and not self.ready:
            return report(c, portfolio=portfolio, leader=leader)
        found = self.lines(c)
        mine = {k: line for k, line in found.items() if portfolio in (None, k[0]) and leader in (None, k[1])}
        return _rows(c, mine, None)


class _Accounts(dict[Key, _Account]):
    """Accounts made as they are needed: copies of ``settled`` ones, which stay as they are, or new ones."""

    def __init__(self, *, begun: bool = True, settled: Mapping[Key, _Account] | None = None) -> None:
        super().__init__()
        self._begun = begun
        self._settled = settled or {}

    def __missing__(self, key: Key) -> _Account:
        known = self._settled.get(key)
        account = self[key] = known.copy() if known is not None else _Account(begun=self._begun)
        return account


def _newest(c: Connection) -> int:
    return int(c.execute(select(func.max(t.decisions.c.id))).scalar() or 0)


def _resets(c: Connection) -> dict[str, int]:
    return {r.name: r.reset_at or 0 for r in c.execute(select(t.portfolios.c.name, t.portfolios.c.reset_at))}


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
    c: Connection, accounts: _Accounts, scope: Scope, above: int, upto: int, resets: dict[str, int],
    between: Callable[[], None] | None = None,
) -> None:  # fmt: skip
    """Take decisions in, in their order, a stretch at a time; those of one leader at once: an index finds them."""
    while above < upto:
        end = min(upto, above + STRETCH) if scope.leader is None else upto
        books = _read(c, scope, above, end)
        for r in c.execute(_decisions(scope, above, end)).all():
            if r.decided_at <= resets.get(r.portfolio, 2**63):
                continue
            account = accounts[(r.portfolio, r.leader or "", r.token_id or "")]
            if not account.begun and scope.since is not None and _came_at(r) >= scope.since:
                account.tally.open_at(account.tally.last_price)
                account.begun = True
            _step(account, r, books, account.line if account.begun else Line())
        above = end
        if between is not None:
            between()


def _decisions(scope: Scope, above: int, upto: int) -> Any:
    d, trade, moved = t.decisions.c, t.trades.c, t.holding_adjustments.c
    statement = (
        select(d.id, d.trade_id, d.portfolio, d.leader, d.token_id, d.side, d.action, d.reason, d.rule, d.decided_at,
               d["class"].label("kind"), d.wanted_usdc_micro, d.asked_usdc_micro, d.granted_usdc_micro,
               d.order_decision_id, d.sized_by_order, d.exit_price_micro, trade.shares_micro, trade.usdc_micro,
               trade.traded_at, trade.leader_pre_sell_shares_micro, trade.retracted_at, trade.first_source,
               trade.first_seen_by_api_at, trade.first_seen_by_polygon_at, moved.before_micro, moved.delta_micro,
               moved.at.label("moved_at"))
        .outerjoin(t.trades, trade.id == d.trade_id)
        .outerjoin(t.holding_adjustments, moved.id == d.adjustment_id)
        .where(d.id > above, d.id <= upto, func.coalesce(trade["class"], "") != "backfill")
        .order_by(d.id)
    )  # fmt: skip
    if scope.portfolio is not None:
        statement = statement.where(d.portfolio == scope.portfolio)
    return statement.where(d.leader == scope.leader) if scope.leader is not None else statement


def _read(c: Connection, scope: Scope, above: int, upto: int) -> _Books:
    books = _Books()
    i, f = t.intents.c, t.fills.c
    mine = [i.decision_id > above, i.decision_id <= upto]
    mine += [i.portfolio == scope.portfolio] if scope.portfolio is not None else []
    mine += [i.leader == scope.leader] if scope.leader is not None else []
    wanted = select(i.id, i.decision_id, i.trade_id, i.leader_price_micro, i.state, i.reason, i.dust_micro)
    for intent in c.execute(wanted.where(*mine).order_by(i.id)):
        books.intents[intent.decision_id].append(intent)
    got = select(f.intent_id, f.shares_micro, f.usdc_micro, f.fee_micro, f.delay_cost_micro, f.spread_cost_micro)
    if books.intents:
        for fill in c.execute(got.join(t.intents, i.id == f.intent_id).where(*mine).order_by(f.id)):
            books.fills[fill.intent_id].append(fill)
    return books


def _summed(c: Connection, accounts: dict[Key, _Account], scope: Scope) -> dict[tuple[str, str], Line]:
    """All accounts valued: what is resolved at its payout, the rest at what bids would pay."""
    p, m = t.positions.c, t.markets.c
    held = select(p.portfolio, p.leader, p.token_id, p.mark_price_micro).where(p.mark_price_micro.is_not(None))
    marks = {(name, wallet, token): mark for name, wallet, token, mark in c.execute(held).all()}
    known = select(t.marks.c.token_id, t.marks.c.bid_micro).where(t.marks.c.bid_micro.is_not(None))
    bids = {r.token_id: r.bid_micro for r in c.execute(known).all()}
    settled = select(m.token_id, m.payout_micro).where(m.payout_micro.is_not(None))
    payouts = {r.token_id: r.payout_micro for r in c.execute(settled).all()}
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


def _came_at(r: Any) -> int:
    """When the trade or exit that a decision is on came in; how long the decision waited does not matter."""
    if r.trade_id is None:
        return int(r.moved_at if r.moved_at is not None else r.decided_at)
    seen = r.first_seen_by_api_at if r.first_source == "api" else r.first_seen_by_polygon_at
    return int(seen if seen is not None else r.decided_at)


def _step(account: _Account, r: Any, books: _Books, line: Line) -> None:
    tally = account.tally
    every: Sequence[Any] = books.intents.get(r.id, ())
    intents: Sequence[Any] = ()
    costs: Sequence[FillCost] = ()
    if every:
        intents = [i for i in every if r.trade_id is None or i.trade_id]
        costs = [_cost(f, i) for i in intents for f in books.fills.get(i.id, ())]
        line.fills += len(costs)
        line.turnover += sum(f.usdc for f in costs)
    late, gone = r.kind == "catch-up", r.retracted_at is not None
    if r.rule is None and r.reason not in NEVER_COPIED:
        line.trades += 1
        line.copied += r.action == "copy"
        line.orders += not (r.sized_by_order and r.order_decision_id)
        line.orders_copied += r.action == "copy"
    if r.rule is not None:
        tally.own_exit(intents[0].leader_price_micro if intents else 0, costs, r.reason)
    elif r.side == "BUY":
        _bought(account, r, intents, costs, late=late, gone=gone)
    elif gone:
        tally.own_exit(price_of(r.usdc_micro, r.shares_micro), costs, ORPHANED)
    else:
        price, sold, before = _their_sale(r, intents)
        tally.sell(price, sold, before, costs, _cause(r, intents), late=late)
    for i in every:
        if r.trade_id is not None and not i.trade_id:
            way_out = [_cost(f, i) for f in books.fills.get(i.id, ())]
            tally.own_exit(i.leader_price_micro, way_out, ORPHANED)
        if i.dust_micro:
            tally.write_off(i.dust_micro)


def _bought(
    account: _Account, r: Any, intents: Sequence[Any], costs: Sequence[FillCost], *, late: bool, gone: bool
) -> None:
    """A BUY. Where sizing is by order the ideal has an order once, at its first fill that stands, whatever became of
    its fills: what a later one gets is moved from the reason for which the first was not copied."""
    price = price_of(r.usdc_micro or 0, r.shares_micro or 0)
    number = r.order_decision_id or r.id
    order = account.order(number, r.traded_at, _came_at(r)) if r.sized_by_order is not None else _Order(None, 0)
    if gone:
        account.tally.buy(price, 0, costs, {}, ORPHANED, late=late)
        return
    wanted = _shares(r.wanted_usdc_micro, price)
    asked = _shares(r.asked_usdc_micro if r.asked_usdc_micro is not None else r.wanted_usdc_micro, price)
    waited = None
    if order.cause is not None and r.sized_by_order:
        waited, wanted = Waited(cause=order.cause), asked if intents else 0
    elif order.cause is None and r.sized_by_order is not None:
        account.orders[number] = order._replace(cause=_cause(r, intents))
    causes: dict[str, int] = {}
    if intents:
        granted = _shares(r.granted_usdc_micro, price)
        causes = {RESIZED: wanted - asked, CLIPPED: max(0, asked - granted)}
        rest = MADE_UP if granted > asked else _cause(r, intents)
    else:
        rest = r.reason
    account.tally.buy(price, wanted, costs, causes, rest, late=late, waited=waited)


def _shares(usdc: int | None, price: int) -> int:
    """Shares for so much at a price."""
    return (usdc or 0) * MICRO // price if price else 0


def _their_sale(r: Any, intents: Sequence[Any]) -> tuple[int, int, int | None]:
    """(price, shares sold, shares before) of their SELL, or of an exit without a trade."""
    if r.shares_micro is not None:
        return price_of(r.usdc_micro, r.shares_micro), r.shares_micro, r.leader_pre_sell_shares_micro
    price = r.exit_price_micro if r.exit_price_micro is not None else intents[0].leader_price_micro if intents else 0
    return price, -r.delta_micro, r.before_micro


def _cause(r: Any, intents: Sequence[Any]) -> str:
    if not intents:
        return str(r.reason)
    last = intents[-1]
    if last.state in ("pending", "working"):
        return PENDING
    return str(last.reason or FEWER_SHARES)


def _cost(f: Any, intent: Any) -> FillCost:
    return FillCost(
        shares=f.shares_micro,
        usdc=f.usdc_micro,
        fee=f.fee_micro,
        delay=f.delay_cost_micro,
        spread=f.spread_cost_micro,
        price=intent.leader_price_micro,
    )


def report(
    c: Connection, *, portfolio: str | None = None, leader: str | None = None, since: int | None = None
) -> list[Row]:
    """The lines as pages, REST and commands show them, the largest turnover first."""
    return _rows(c, lines(c, portfolio=portfolio, leader=leader, since=since), since)


def _rows(c: Connection, found: dict[tuple[str, str], Line], since: int | None) -> list[Row]:
    labels = {r.wallet: r.label for r in c.execute(select(t.leaders.c.wallet, t.leaders.c.label))}
    rows = [
        {"portfolio": p, "leader": w, "label": labels.get(w, ""), "since": iso(since), **figures(line)}
        for (p, w), line in found.items()
    ]
    return sorted(rows, key=lambda r: (r["portfolio"], -r["turnover_micro"], r["leader"]))


def copied_of(row: Row) -> str:
    """How many of their orders were copied, in words; trades by themselves count as one each."""
    told = f"{count(row['orders_copied'])} of {count(row['orders'])} orders copied"
    return told + (f" ({count(row['trades'])} fills)" if row["trades"] > row["orders"] else "")


def figures(line: Line) -> Row:
    """One line's figures; ``ideal`` = ``actual`` + all parts, exactly."""
    missed = line.parts.missed
    why = {k: known(k) for k in missed}
    skipped = {k: v for k, v in sorted(missed.items()) if (r := why[k]) is not None and (r.skips or r.waits)}
    own = {k: v for k, v in sorted(missed.items()) if ((r := why[k]) is not None and r.own_exit) or k == ORPHANED}
    clipped = {k: v for k, v in sorted(missed.items()) if k not in skipped and k not in own}
    return {
        "ideal_micro": line.ideal,
        "actual_micro": line.actual,
        "difference_micro": line.parts.total,
        "parts": {
            "delay_micro": line.parts.delay,
            "spread_micro": line.parts.spread,
            "fees_micro": line.parts.fees,
            "catch_up_micro": line.parts.catch_up,
            "skipped_micro": sum(skipped.values()),
            "clipped_micro": sum(clipped.values()),
            "own_exits_micro": sum(own.values()),
        },
        "skipped_by_reason": skipped,
        "clipped_by_cause": clipped,
        "own_exits_by_cause": own,
        "trades": line.trades,
        "copied": line.copied,
        "orders": line.orders,
        "orders_copied": line.orders_copied,
        "fills": line.fills,
        "turnover_micro": line.turnover,
        "open_positions": line.open,
    }
