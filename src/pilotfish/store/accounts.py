"""One account of the shortfall report: what the decisions on a leader's trades in a token come to in a portfolio.

Decisions are taken in one by one, in their order, each with its orders and what those got. There can be very many, so
their rows become structs by place, as the database has them: codes stay text.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias

import msgspec

from pilotfish.core.leader_orders import ORDER_LIFE, ORDERS_KEPT
from pilotfish.core.orders import OPEN
from pilotfish.core.reasons import NEVER_COPIED
from pilotfish.core.shortfall import (
    CLIPPED,
    FEWER_SHARES,
    MADE_UP,
    ORPHANED,
    PENDING,
    RESIZED,
    FillCost,
    Line,
    Tally,
    Waited,
)
from pilotfish.core.units import MICRO, SECOND, Micros, Price, Shares, Usdc, price_of

Key: TypeAlias = tuple[str, str, str]
"""(portfolio, leader, token)"""
DAY = 86_400 * SECOND
"""µs of a day."""


class Decided(msgspec.Struct, frozen=True, gc=False):
    """A decision with the trade that it is on, or with what moved the leader's holding without one; nothing of either
    for an exit of our own. ``kind`` is the decision's class, ``moved_at`` when the holding was moved."""

    id: int
    trade_id: int | None
    portfolio: str
    leader: str | None
    token_id: str | None
    side: str | None
    action: str
    reason: str
    rule: str | None
    decided_at: Micros
    kind: str | None
    wanted_usdc_micro: Usdc | None
    asked_usdc_micro: Usdc | None
    granted_usdc_micro: Usdc | None
    order_decision_id: int | None
    sized_by_order: bool | None
    exit_price_micro: Price | None
    shares_micro: Shares | None
    usdc_micro: Usdc | None
    traded_at: Micros | None
    leader_pre_sell_shares_micro: Shares | None
    retracted_at: Micros | None
    first_source: str | None
    first_seen_by_api_at: Micros | None
    first_seen_by_polygon_at: Micros | None
    before_micro: Shares | None
    delta_micro: Shares | None
    moved_at: Micros | None

    @property
    def price(self) -> Price:
        """What they paid or got for a share; 0 without a trade."""
        return price_of(self.usdc_micro or 0, self.shares_micro or 0)

    @property
    def came_at(self) -> Micros:
        """When the trade or exit came in; how long the decision waited does not matter."""
        if self.trade_id is None:
            seen = self.moved_at
        else:
            seen = self.first_seen_by_api_at if self.first_source == "api" else self.first_seen_by_polygon_at
        return seen if seen is not None else self.decided_at

    @property
    def key(self) -> Key:
        """The account that it goes into."""
        return self.portfolio, self.leader or "", self.token_id or ""


class Ordered(msgspec.Struct, frozen=True, gc=False):
    """An order that a decision led to. ``trade_id`` is 0 for the way out of what a reorg orphaned."""

    id: int
    decision_id: int
    trade_id: int
    leader_price_micro: Price
    state: str
    reason: str | None
    dust_micro: Shares


@dataclass(slots=True)
class Books:
    """What decisions are looked up in: orders by their decision, costs of fills by their order."""

    orders: dict[int, list[Ordered]] = field(default_factory=lambda: defaultdict(list))
    fills: dict[int, list[FillCost]] = field(default_factory=lambda: defaultdict(list))


class LeaderOrderSeen(NamedTuple):
    """An order of the leader: why that of its fills that the ideal counts was not copied, ``None`` while none of its
    fills stands; when the newest was traded; and for which reason it counts as not copied, ``None`` once it was."""

    cause: str | None
    last_at: int
    passed: str | None = None


@dataclass(slots=True)
class Account:
    """The tally, what was counted, where both results were at the last decision, how many decisions sold something, and
    the leader's orders by the decision on the first fill; none of those was filled last before ``oldest`` (µs)."""

    tally: Tally = field(default_factory=Tally)
    line: Line = field(default_factory=Line)
    seen: tuple[int, int] = (0, 0)
    sales: int = 0
    orders: dict[int, LeaderOrderSeen] = field(default_factory=dict)
    oldest: Micros = field(default=Micros(0), compare=False)

    def copy(self) -> Account:
        """One that can go on without this one."""
        line = Line()
        line.count(self.line)
        return Account(self.tally.copy(), line, self.seen, self.sales, dict(self.orders), self.oldest)

    def since(self, before: Account) -> Account:
        """What it came to since it stood as ``before``: as if the period had begun there."""
        opened, now, then = before.tally.copy(), self.tally, before.tally
        opened.open_at(opened.last_price)
        parts = opened.parts
        parts.add(now.parts)
        parts.take_off(then.parts)
        tally = Tally(
            ideal=opened.ideal + now.ideal - then.ideal,
            actual=opened.actual + now.actual - then.actual,
            wants=now.wants,
            held=now.held,
            missing=dict(now.missing),
            parts=parts,
            last_price=now.last_price,
            bought=opened.bought + now.bought - then.bought,
            spent=opened.spent + now.spent - then.spent,
            paid=opened.paid + now.paid - then.paid,
            ideal_paid=opened.ideal_paid + now.ideal_paid - then.ideal_paid,
            sold=self.sales > before.sales,
        )
        line = Line()
        line.count(self.line)
        line.discount(before.line)
        return Account(tally, line, self.seen, self.sales - before.sales, dict(self.orders))

    def take(self, d: Decided, books: Books) -> None:
        """Take the next decision in."""
        sold, self.tally.sold = self.tally.sold, False
        self._take(d, books)
        self.sales += self.tally.sold
        self.tally.sold = self.tally.sold or sold

    def _take(self, d: Decided, books: Books) -> None:
        line, tally = self.line, self.tally
        every: Sequence[Ordered] = books.orders.get(d.id, ())
        orders: Sequence[Ordered] = ()
        costs: Sequence[FillCost] = ()
        if every:
            orders = [o for o in every if d.trade_id is None or o.trade_id]
            costs = [cost for o in orders for cost in books.fills.get(o.id, ())]
            line.fills += len(costs)
            line.turnover += sum(cost.usdc for cost in costs)
        late, gone = d.kind == "catch-up", d.retracted_at is not None
        if d.rule is not None:
            tally.own_exit(orders[0].leader_price_micro if orders else 0, costs, d.reason)
        elif d.side == "BUY":
            line.buys += bool(costs)
            self._bought(d, orders, costs, late=late, gone=gone)
        elif gone:
            tally.own_exit(d.price, costs, ORPHANED)
        else:
            price, sold, before = _their_sale(d, orders)
            tally.sell(price, sold, before, costs, _cause(d, orders), late=late)
        for order in every:
            if d.trade_id is not None and not order.trade_id:
                tally.own_exit(order.leader_price_micro, books.fills.get(order.id, ()), ORPHANED)
            if order.dust_micro:
                tally.write_off(order.dust_micro)
        if d.rule is None and d.reason not in NEVER_COPIED:
            self._count(d, copied=d.action == "copy")

    def _count(self, d: Decided, *, copied: bool) -> None:
        """Count their trade, and their order: one that was passed over at first and copied at a later fill was
        copied, and nothing else."""
        line, known = self.line, self.orders.get(d.order_decision_id or d.id)
        line.trades += 1
        line.copied += copied
        line.orders_copied += copied
        if d.sized_by_order and d.order_decision_id:
            if copied and known is not None and known.passed is not None:
                self._passed(known.passed, -1)
                self.orders[d.order_decision_id] = known._replace(passed=None)
            return
        line.orders += 1
        if not copied:
            self._passed(d.reason, 1)
            if d.sized_by_order and known is not None:
                self.orders[d.id] = known._replace(passed=d.reason)

    def _passed(self, reason: str, n: int) -> None:
        """So many more orders that were not copied for a reason."""
        left = self.line.passed.get(reason, 0) + n
        self.line.passed[reason] = left
        if not left:
            del self.line.passed[reason]

    @property
    def counted(self) -> Line:
        """What was counted. An order that was passed over before the period and copied in it is not the period's."""
        if all(n > 0 for n in self.line.passed.values()):
            return self.line
        line = Line()
        line.count(self.line)
        line.orders_copied += sum(n for n in line.passed.values() if n < 0)
        line.passed = {reason: n for reason, n in line.passed.items() if n > 0}
        return line

    def _bought(
        self, d: Decided, orders: Sequence[Ordered], costs: Sequence[FillCost], *, late: bool, gone: bool
    ) -> None:
        """A BUY. Where sizing is by order the ideal has an order once, at its first fill that stands, whatever became
        of its fills: what a later one gets is moved from the reason for which the first was not copied."""
        price = d.price
        number = d.order_decision_id or d.id
        theirs = self._order(number, d) if d.sized_by_order is not None else LeaderOrderSeen(None, 0)
        if gone:
            self.tally.buy(price, 0, costs, {}, ORPHANED, late=late)
            return
        wanted = _shares(d.wanted_usdc_micro, price)
        asked = _shares(d.asked_usdc_micro if d.asked_usdc_micro is not None else d.wanted_usdc_micro, price)
        waited = None
        if theirs.cause is not None and d.sized_by_order:
            waited, wanted = Waited(cause=theirs.cause), asked if orders else 0
        elif theirs.cause is None and d.sized_by_order is not None:
            self.orders[number] = theirs._replace(cause=_cause(d, orders))
        causes: dict[str, int] = {}
        if orders:
            granted = _shares(d.granted_usdc_micro, price)
            causes = {RESIZED: wanted - asked, CLIPPED: max(0, asked - granted)}
            rest = MADE_UP if granted > asked else _cause(d, orders)
        else:
            rest = d.reason
        self.tally.buy(price, wanted, costs, causes, rest, late=late, waited=waited)

    def _order(self, number: int, d: Decided) -> LeaderOrderSeen:
        """The order that a fill is of; those are forgotten that the engine has forgotten, too."""
        traded_at = d.traded_at or 0
        known = self.orders.get(number)
        if known is None:
            at = d.came_at
            if at - self.oldest > ORDER_LIFE:
                self.orders = {n: o for n, o in self.orders.items() if at - o.last_at <= ORDER_LIFE}
                self.oldest = Micros(min((o.last_at for o in self.orders.values()), default=traded_at))
            known = self.orders[number] = LeaderOrderSeen(None, traded_at)
            self.oldest = Micros(min(self.oldest, traded_at))
            if len(self.orders) > ORDERS_KEPT:
                del self.orders[next(iter(self.orders))]
        elif known.last_at < traded_at:
            known = self.orders[number] = known._replace(last_at=traded_at)
        return known


Days: TypeAlias = dict[int, tuple[int, int]]
"""By day (UTC, since the epoch): by how much the ideal and we moved on it, what is held at the leader's last price."""


class Accounts(dict[Key, Account]):
    """Accounts made as they are needed: what ``known`` gives of a key, for these to go on with, or new ones. ``days``:
    how the results of a portfolio and leader moved, where that is wanted (``by_day``)."""

    def __init__(self, known: Callable[[Key], Account | None] | None = None, *, by_day: bool = True) -> None:
        super().__init__()
        self._by_day = by_day
        self.days: dict[tuple[str, str], Days] = defaultdict(dict)
        self._known = known

    def take(self, d: Decided, books: Books) -> None:
        """Take the next decision in."""
        key = d.key
        account = self[key]
        account.take(d, books)
        if not self._by_day:
            return
        (ideal, actual), before = account.tally.at_last, account.seen
        account.seen = ideal, actual
        days, day = self.days[key[:2]], d.decided_at // DAY
        moved = days.get(day, (0, 0))
        days[day] = moved[0] + ideal - before[0], moved[1] + actual - before[1]

    def __missing__(self, key: Key) -> Account:
        known = self._known(key) if self._known is not None else None
        account = self[key] = known if known is not None else Account()
        return account


def _shares(usdc: int | None, price: int) -> int:
    """Shares for so much at a price."""
    return (usdc or 0) * MICRO // price if price else 0


def _their_sale(d: Decided, orders: Sequence[Ordered]) -> tuple[int, int, int | None]:
    """(price, shares sold, shares before) of their SELL, or of an exit without a trade."""
    if d.shares_micro is not None:
        return d.price, d.shares_micro, d.leader_pre_sell_shares_micro
    price = d.exit_price_micro if d.exit_price_micro is not None else orders[0].leader_price_micro if orders else 0
    return price, -(d.delta_micro or 0), d.before_micro


def _cause(d: Decided, orders: Sequence[Ordered]) -> str:
    if not orders:
        return d.reason
    last = orders[-1]
    return PENDING if last.state in OPEN else last.reason or FEWER_SHARES
