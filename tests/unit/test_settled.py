"""What a period came to is the difference between two states of the accounts, to the millionth."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import Connection, Engine, delete, func, select

from pilotfish.core.shortfall import Line
from pilotfish.store import report, settled
from pilotfish.store import tables as t
from pilotfish.store.accounts import Account, Accounts, Key
from pilotfish.store.batch import write
from pilotfish.store.database import snapshot
from tests.story import make, play

SEEDS = (0, 3, 5)
Lines = dict[tuple[str, str], Line]


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stretches that a story has many of, and nothing that is too young for them."""
    monkeypatch.setattr(settled, "STRETCH", 20)
    monkeypatch.setattr(report, "SETTLED_AFTER", 0)


@pytest.fixture(scope="module", params=SEEDS)
def database(request: pytest.FixtureRequest) -> Iterator[Engine]:
    story = play(request.param)
    yield story.database
    story.database.dispose()


def keep_stretches(database: Engine) -> int:
    """Write all stretches that can be; how many."""
    for count in range(500):
        with snapshot(database) as c:
            rows = report.next_stretch(c)
        if not rows:
            return count
        with database.begin() as c:
            write(c, rows)
    raise AssertionError("there is always another stretch")


def gone_through(c: Connection, since: int) -> Lines:
    """The same by its definition: all decisions one by one, each account opened anew where the period begins."""
    accounts, begun = Accounts(), set[Key]()
    newest = c.execute(select(func.max(t.decisions.c.id))).scalar_one()
    resets = dict(c.execute(select(t.portfolios.c.name, func.coalesce(t.portfolios.c.reset_at, 0))).all())
    books = report._read(c, report.Scope(), 0, newest)
    for decided in report._decided(c, report.Scope(), 0, newest):
        if decided.decided_at <= resets[decided.portfolio]:
            continue
        account = accounts[decided.key]
        if decided.key not in begun and decided.came_at >= since:
            begun.add(decided.key)
            opened(account)
        accounts.take(decided, books)
    for key, account in accounts.items():
        if key not in begun:
            opened(account)
    return report._summed(c, accounts)


def opened(account: Account) -> None:
    account.tally.open_at(account.tally.last_price)
    account.line = Line()


def told(lines: Lines) -> dict[tuple[str, str], object]:
    """What can be compared: a cause of which nothing is left is as good as none."""
    for line in lines.values():
        line.parts.missed = {cause: amount for cause, amount in line.parts.missed.items() if amount}
        assert line.orders_copied + sum(line.passed.values()) == line.orders
    return dict(lines)


def moments(database: Engine) -> list[int]:
    """Instants all over a story, and those before and after it."""
    with database.connect() as c:
        decided = list(c.execute(select(t.decisions.c.decided_at).order_by(t.decisions.c.decided_at)).scalars())
    return [decided[0] - 1, *decided[:: max(1, len(decided) // 25)], decided[-1], decided[-1] + 1]


def test_a_period_is_the_same_with_states_without_and_by_its_definition(database: Engine) -> None:
    with database.begin() as c:
        for table in (t.settled_stretches, t.settled_states, t.settled_accounts):
            c.execute(delete(table))
    with snapshot(database) as c:
        without = {since: told(report.lines(c, since=since)) for since in moments(database)}
        for since, lines in without.items():
            assert lines == told(gone_through(c, since)), since
    assert keep_stretches(database) > 3
    with snapshot(database) as c:
        for since, lines in without.items():
            assert told(report.lines(c, since=since)) == lines, since
        since = moments(database)[8]
        for name, leader in without[since]:
            mine = told(report.lines(c, since=since, portfolio=name, leader=leader))
            assert mine == {(name, leader): without[since][(name, leader)]}


def test_a_reset_makes_states_of_before_it_unread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settled, "STRETCH", 5)
    story = make(3)
    kept = 0

    def keep(*_: object) -> None:
        nonlocal kept
        if story.commits % 40 == 0:
            kept += keep_stretches(story.database)

    story.watch = keep
    story.play()
    assert kept > 3
    with snapshot(story.database) as c:
        assert c.execute(select(func.count()).where(t.portfolios.c.reset_at.is_not(None))).scalar_one() > 0
        for since in moments(story.database):
            assert told(report.lines(c, since=since)) == told(gone_through(c, since)), since
    story.database.dispose()


def test_states_of_another_version_are_not_read(database: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    keep_stretches(database)
    with snapshot(database) as c:
        assert settled.stretches(c)
        monkeypatch.setattr(settled, "VERSION", settled.VERSION + 1)
        assert settled.stretches(c) == []


def test_states_of_another_version_are_made_anew_one_after_the_other(
    database: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep_stretches(database)
    with snapshot(database) as c:
        before = settled.stretches(c)
    monkeypatch.setattr(settled, "VERSION", settled.VERSION + 1)
    assert keep_stretches(database) == len(before)
    with snapshot(database) as c:
        assert settled.stretches(c) == before
        for since in moments(database)[::5]:
            assert told(report.lines(c, since=since)) == told(gone_through(c, since)), since


def test_an_account_comes_back_as_it_was_written(database: Engine) -> None:
    accounts = Accounts()
    with snapshot(database) as c:
        newest = c.execute(select(func.max(t.decisions.c.id))).scalar_one()
        report._advance(c, accounts, report.Scope(), 0, newest, report._resets(c))
    assert len(accounts) > 3
    for account in accounts.values():
        assert settled.read(settled.written(account)) == account
