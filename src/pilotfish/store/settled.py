"""Accounts of the shortfall report as they stood after each stretch of decisions, kept in the database: what a period
came to is the difference between two of them, and only the ends of the period are gone through.

The worker writes a stretch once nothing in it can change any more (:func:`next_stretch`). An account's states carry the
reset that they count from, so what a reset has wiped is never read again.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from itertools import accumulate, chain, pairwise, takewhile
from typing import TypeAlias

import msgspec
from sqlalchemy import Connection, and_, func, select

from pilotfish.core.shortfall import Line, Parts, Tally
from pilotfish.core.units import SECOND, Micros
from pilotfish.store import tables as t
from pilotfish.store.accounts import Account, Decided, Key, LeaderOrderSeen
from pilotfish.store.mapping import Plain, Values

STRETCH = 10_000
"""Decisions from one state of the accounts to the next."""
VERSION = 2
"""Of the rules and of how a state is written: states of another version are not read, and made anew."""


class Stretch(msgspec.Struct, frozen=True):
    """Decisions up to ``upto``. ``first_came_at``: when the first of them came in; ``last_came_at``: the last of them,
    or of any before (µs)."""

    upto: int
    first_came_at: Micros
    last_came_at: Micros


class _State(msgspec.Struct, array_like=True):
    """An account, as it is written."""

    tally: tuple[int, int, int, int, dict[str, int], int, int, int, int, bool]
    parts: tuple[int, int, int, int, dict[str, int]]
    line: tuple[int, int, int, int, dict[str, int], int, int, int]
    ideal: tuple[int, int]
    sales: int
    seen: tuple[int, int]
    causes: list[str | None]
    orders: tuple[list[int], list[int], list[int], list[int]]
    """Decision and last instant of each order, as steps from the one before, and which of ``causes`` it has and was
    passed over for; there can be a hundred of them."""


def written(account: Account) -> bytes:
    """An account as it is kept."""
    tally, line, p = account.tally, account.line, account.tally.parts
    orders = account.orders.values()
    causes = list(dict.fromkeys(cause for o in orders for cause in (o.cause, o.passed)))
    state = _State(
        (tally.wants, tally.held, tally.last_price, tally.bought, tally.missing, tally.spent, tally.paid,
         tally.ideal_paid, tally.actual, tally.sold),
        (p.delay, p.spread, p.fees, p.catch_up, p.missed),
        (line.trades, line.copied, line.orders, line.orders_copied, line.passed, line.buys, line.fills, line.turnover),
        (tally.ideal, 0), account.sales, account.seen,
        causes, (_steps(account.orders), _steps(o.last_at for o in orders), [causes.index(o.cause) for o in orders],
                 [causes.index(o.passed) for o in orders]),
    )  # fmt: skip
    return zlib.compress(msgspec.msgpack.encode(state))


def _steps(numbers: Iterable[int]) -> list[int]:
    """Each number as a step from the one before; in whole seconds where all steps are."""
    steps = [after - before for before, after in pairwise(chain((0,), numbers))]
    whole = all(step % SECOND == 0 for step in steps)
    return [SECOND if whole else 1, *(step // SECOND if whole else step for step in steps)]


def _numbers(steps: list[int]) -> list[int]:
    unit = steps[0]
    return [step * unit for step in accumulate(steps[1:])]


_decoder = msgspec.msgpack.Decoder(_State)
_seen: Callable[[Iterable[object]], LeaderOrderSeen] = partial(tuple.__new__, LeaderOrderSeen)
"""Made without a call of Python's own: there are a hundred of each account."""


def read(blob: bytes) -> Account:
    """An account as :func:`written` left it."""
    s = _decoder.decode(zlib.decompress(blob))
    wants, held, last_price, bought, missing, spent, paid, ideal_paid, actual, sold = s.tally
    trades, copied, orders, orders_copied, passed, buys, fills, turnover = s.line
    tally = Tally(
        s.ideal[0], actual, wants, held, missing, Parts(*s.parts), last_price, bought, spent, paid, ideal_paid, sold
    )
    line = Line(
        trades=trades, copied=copied, orders=orders, orders_copied=orders_copied, passed=passed, buys=buys, fills=fills,
        turnover=turnover,
    )  # fmt: skip
    numbers, times, which, passed_for = s.orders
    ats = _numbers(times)
    cause = s.causes.__getitem__
    seen = map(_seen, zip(map(cause, which), ats, map(cause, passed_for), strict=True))
    kept = dict(zip(_numbers(numbers), seen, strict=True))
    return Account(tally, line, s.seen, s.sales, kept, Micros(min(ats, default=0)))


def stretches(c: Connection) -> list[Stretch]:
    """Those that are kept, in their order, up to the first that another version wrote."""
    s = t.settled_stretches.c
    found = c.execute(select(s.upto, s.first_came_at, s.last_came_at, s.version).order_by(s.upto)).all()
    mine = takewhile(lambda row: row[-1] == VERSION, found)
    return [Stretch(upto, first, last) for upto, first, last, _ in mine]


_Numbers: TypeAlias = dict[Key, int]


class States:
    """Accounts as they stood after a stretch, read as they are asked for. ``upto`` 0 = before the first decision."""

    def __init__(
        self, c: Connection, upto: int, *, portfolio: str | None = None, leader: str | None = None
    ) -> None:  # fmt: skip
        a, s, p = t.settled_accounts.c, t.settled_states.c, t.portfolios.c
        since = func.coalesce(p.reset_at, 0)
        newest = (
            select(s.account_id, func.max(s.upto).label("upto")).where(s.upto <= upto)
            .group_by(s.account_id).subquery()
        )  # fmt: skip
        found = (
            select(a.portfolio, a.leader, a.token_id, s.upto, s.state)
            .select_from(newest)
            .join(t.settled_states, and_(s.account_id == newest.c.account_id, s.upto == newest.c.upto))
            .join(t.settled_accounts, a.id == s.account_id)
            .join(t.portfolios, p.name == a.portfolio)
            .where(s.reset_at == since)
        )
        if portfolio is not None:
            found = found.where(a.portfolio == portfolio)
        if leader is not None:
            found = found.where(a.leader == leader)
        self._blobs: dict[Key, tuple[int, bytes]] = {}
        if upto:
            self._blobs = {(name, who, token): (at, blob) for name, who, token, at, blob in c.execute(found).all()}

    def __iter__(self) -> Iterator[Key]:
        return iter(self._blobs)

    def changed(self, key: Key) -> int:
        """The stretch in which an account was last changed; 0 where there is none."""
        return self._blobs[key][0] if key in self._blobs else 0

    def account(self, key: Key) -> Account | None:
        """An account, for whoever asks to go on with."""
        found = self._blobs.get(key)
        return None if found is None else read(found[1])


def rows_of(
    c: Connection, before: Stretch | None, upto: int, accounts: Mapping[Key, Account], decided: Iterable[Decided]
) -> list[Plain]:
    """What is written of a stretch: the accounts that it changed, as they stand after it."""
    came = [d.came_at for d in decided]
    a = t.settled_accounts.c
    numbers: _Numbers = {(name, who, token): n for n, name, who, token in c.execute(
        select(a.id, a.portfolio, a.leader, a.token_id)
    ).all()}  # fmt: skip
    resets = {name: at or 0 for name, at in c.execute(select(t.portfolios.c.name, t.portfolios.c.reset_at))}
    given = max(numbers.values(), default=0)
    rows: list[Plain] = []
    for key, account in accounts.items():
        number = numbers.get(key)
        if number is None:
            given = number = given + 1
            named: Values = {"id": number, "portfolio": key[0], "leader": key[1], "token_id": key[2]}
            rows.append(Plain("settled_accounts", named))
        state: Values = {
            "account_id": number,
            "upto": upto,
            "reset_at": resets.get(key[0], 0),
            "state": written(account),
        }
        rows.append(Plain("settled_states", state))
    last = max(came, default=before.last_came_at if before else 0)
    stretch: Values = {
        "upto": upto, "first_came_at": min(came, default=last), "version": VERSION,
        "last_came_at": max(last, before.last_came_at) if before else last,
    }  # fmt: skip
    return [*rows, Plain("settled_stretches", stretch)]
