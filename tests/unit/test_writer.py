"""The writer: one commit for many events, nothing lost when the disk says no, a barrier at a reset."""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path
from typing import Any

import msgspec
import pytest
from sqlalchemy import Engine, event, func, insert, select
from sqlalchemy.exc import IntegrityError

from pilotfish.core.effects import Delete, Insert, Update, Upsert, WipePaper
from pilotfish.core.reasons import Reason
from pilotfish.core.records import (
    DecisionChange,
    DecisionRecord,
    EntryRecord,
    LevelRecordKey,
    LevelTaken,
    MarkRecord,
    NoBidRecord,
    Record,
)
from pilotfish.core.trade import Side
from pilotfish.core.units import Micros, Price, Shares, Usdc
from pilotfish.store import tables as t
from pilotfish.store.batch import write
from pilotfish.store.mapping import Plain, columns_of, read, read_row, row_of, table_of
from pilotfish.store.writer import MANY, Writer, WriterFailedError
from tests.fresh import fresh_database


@pytest.fixture
def database(tmp_path: Path) -> Engine:
    return fresh_database(tmp_path / "x.db")


def entry(number: int, amount: int = 1) -> EntryRecord:
    return EntryRecord(
        id=number, portfolio="main", at=Micros(1), kind="buy", amount_micro=Usdc(amount), leader="l", token_id="1",
        fill_id=None,
    )  # fmt: skip


def ledger(number: int) -> Insert:
    return Insert(entry(number))


def change(number: int, action: str, reason: Reason, **more: Any) -> DecisionChange:
    fields: dict[str, Any] = {"decided_at": Micros(2), "trade_class": None, "asked_usdc_micro": Usdc(0), "trace": []}
    return DecisionChange(id=number, action=action, reason=reason, granted_usdc_micro=Usdc(0), **{**fields, **more})


def decision(number: int, **more: Any) -> Insert:
    first = msgspec.structs.asdict(change(number, "wait", Reason.WAIT_BOOK))
    of = {"trade_id": number, "adjustment_id": None, "rule": None, "portfolio": "main", "leader": "l", "token_id": "1"}
    return Insert(DecisionRecord(**{**first, **of, "side": Side.BUY, "wanted_usdc_micro": Usdc(0), **more}))


def test_an_update_in_the_same_group_is_merged_into_its_insert(database: Engine) -> None:
    last = change(1, "copy", Reason.COPY, trace=[["a", 1, None, True]])
    with database.begin() as c:
        write(c, [decision(1), Update(last)])
        row = c.execute(select(t.decisions)).one()
    assert (row.action, row.reason, row.trace) == ("copy", "COPY", [["a", 1, None, True]])


def test_a_later_update_finds_its_row_and_the_last_one_counts(database: Engine) -> None:
    with database.begin() as c:
        write(c, [decision(1)])
    with database.begin() as c:
        write(c, [Update(change(1, "skip", why)) for why in (Reason.SKIP_CASH, Reason.SKIP_DEPTH)])
        assert c.execute(select(t.decisions.c.reason)).scalar_one() == "SKIP_DEPTH"


def test_of_several_changes_of_a_row_that_is_inserted_with_them_the_last_one_counts(database: Engine) -> None:
    changes = [Update(change(1, "skip", why)) for why in (Reason.SKIP_CASH, Reason.SKIP_DEPTH)]
    with database.begin() as c:
        write(c, [decision(1), decision(2), *changes])
        rows = c.execute(
            select(t.decisions.c.id, t.decisions.c.reason, t.decisions.c.leader).order_by(t.decisions.c.id)
        )
        assert rows.all() == [(1, "SKIP_DEPTH", "l"), (2, "WAIT_BOOK", "l")]


def test_a_change_reaches_what_rows_are_found_by_where_it_differs(database: Engine) -> None:
    asked = msgspec.structs.replace(change(1, "wait", Reason.WAIT_BOOK), granted_usdc_micro=Usdc(7))
    with database.begin() as c:
        write(c, [decision(1), decision(2)])
        write(c, [Update(asked), Update(change(2, "copy", Reason.COPY))])
        for reason, found in ((Reason.WAIT_BOOK, [(1, 7)]), (Reason.COPY, [(2, 0)])):
            by_reason = select(t.decisions.c.id, t.decisions.c.granted_usdc_micro).where(
                t.decisions.c.portfolio == "main", t.decisions.c.reason == reason
            )
            assert c.execute(by_reason).all() == found
        assert c.exec_driver_sql("PRAGMA integrity_check").scalar() == "ok"


@pytest.mark.parametrize("count", [1, 7, 8, 9, 63, 64, 65, 71, 72, 73, 137, 1_000])
def test_however_many_rows_a_commit_has_each_is_written_once_as_it_is(database: Engine, count: int) -> None:
    at = Micros(1)
    reasons = (Reason.SKIP_CASH, Reason.SKIP_DEPTH, Reason.SKIP_SPREAD)
    with database.begin() as c:
        write(c, [effect for n in range(1, count + 1) for effect in (decision(n), ledger(n))])
        write(c, [Upsert(MarkRecord(f"t{n}", Price(n), None, at)) for n in range(count)])
    with database.begin() as c:
        write(c, [Update(change(n, "skip", reasons[n % 3], asked_usdc_micro=Usdc(n))) for n in range(1, count + 1)])
        write(c, [Upsert(MarkRecord(f"t{n}", Price(n + 1), Price(n + 2), at)) for n in range(count + 1)])
        d, m, e = t.decisions.c, t.marks.c, t.ledger_entries.c
        decided = list(c.execute(select(d.id, d.action, d.reason, d.asked_usdc_micro).order_by(d.id)))
        marks = {
            row.token_id: (row.bid_micro, row.ask_micro)
            for row in c.execute(select(m.token_id, m.bid_micro, m.ask_micro))
        }
        entries = list(c.execute(select(e.id).order_by(e.id)).scalars())
    assert decided == [(n, "skip", reasons[n % 3].value, n) for n in range(1, count + 1)]
    assert marks == {f"t{n}": (n + 1, n + 2) for n in range(count + 1)}
    assert entries == list(range(1, count + 1))


def test_a_wipe_is_a_barrier(database: Engine) -> None:
    with database.begin() as c:
        write(c, [ledger(1), WipePaper("main"), ledger(2)])
        assert list(c.execute(select(t.ledger_entries.c.id)).scalars()) == [2]


def test_upserts_with_different_columns_keep_what_they_do_not_name(database: Engine) -> None:
    with database.begin() as c:
        write(c, [Plain("portfolios", {"name": "main", "bankroll_micro": 5, "created_at": 7})])
        write(c, [Plain("portfolios", {"name": "main", "bankroll_micro": 6, "reset_at": 9})])
        p = c.execute(select(t.portfolios)).one()
        assert (p.name, p.bankroll_micro, p.created_at, p.reset_at) == ("main", 6, 7, 9)


def test_a_deletion_takes_back_what_was_upserted_before_and_not_what_comes_after(database: Engine) -> None:
    key: dict[str, Any] = {"portfolio": "main", "token_id": "1", "side": Side.BUY, "price_micro": Price(5)}
    gone = Delete(LevelRecordKey(**key))

    def taken(shares: int) -> Upsert:
        return Upsert(LevelTaken(**key, taken_micro=Shares(shares), at=Micros(1)))

    stories: list[tuple[list[Upsert | Delete], list[int]]] = [
        ([taken(1), gone], []),
        ([taken(1), gone, taken(2)], [2]),
        ([gone], []),
        ([taken(3)], [3]),
    ]
    for effects, left in stories:
        with database.begin() as c:
            write(c, effects)
            assert list(c.execute(select(t.liquidity_taken.c.taken_micro)).scalars()) == left


def test_every_record_has_its_tables_columns_and_comes_back_as_it_was(database: Engine) -> None:
    kinds = list(Record.__subclasses__())
    kinds += [sub for kind in kinds for sub in kind.__subclasses__()]
    assert len(kinds) > 20
    for kind in kinds:
        table = table_of(kind)
        assert set(columns_of(kind)) <= {c.name for c in table.columns}, kind
        if not kind.__name__.endswith(("Record", "Raw", "Taken")) or kind in (NoBidRecord, MarkRecord):
            continue
        needed = {c.name for c in table.columns if not c.nullable and c.server_default is None}
        assert needed - {"id"} <= set(columns_of(kind)), kind
    with database.begin() as c:
        wait = decision(1).record
        write(c, [ledger(1), Insert(wait)])
        assert read_row(c, EntryRecord, read(EntryRecord)) == entry(1)
        assert read_row(c, DecisionRecord, read(DecisionRecord)) == wait


def test_a_database_that_refuses_for_a_while_loses_nothing(database: Engine) -> None:
    refusals = [OSError("disk full")] * 2
    refused = threading.Event()

    @event.listens_for(database, "begin")
    def refuse(_connection: object) -> None:
        if refusals:
            refused.set()
            raise refusals.pop()

    writer = Writer(database)
    writer.start()
    writer.submit([ledger(1)])
    writer.submit([ledger(2)])
    assert refused.wait(5)
    assert writer.flush(10)
    assert writer.failure is None
    with database.connect() as c:
        assert c.execute(select(func.count()).select_from(t.ledger_entries)).scalar_one() == 2
    assert writer.stop()


def test_a_row_that_is_an_error_of_ours_stops_the_program_loudly(database: Engine) -> None:
    with database.begin() as c:
        c.execute(insert(t.ledger_entries).values(row_of(entry(1))))
    writer = Writer(database)
    writer.start()
    writer.submit([ledger(1)])
    assert not writer.flush(2)
    with pytest.raises(WriterFailedError):
        writer.submit([ledger(2)])
    assert not writer.stop()


def test_many_events_share_a_commit(database: Engine) -> None:
    writer = Writer(database)
    for number in range(1, 501):
        writer.submit([ledger(number)])
    writer.start()
    assert writer.flush()
    assert writer.commits <= 2
    assert writer.stop()


def test_all_commits_go_by_one_connection_and_by_another_after_a_failure(database: Engine) -> None:
    taken: list[object] = []
    refusals: list[Exception] = []

    @event.listens_for(database, "checkout")
    def take(connection: object, _record: object, _proxy: object) -> None:
        taken.append(connection)

    @event.listens_for(database, "begin")
    def refuse(_connection: object) -> None:
        if refusals:
            raise refusals.pop()

    writer = Writer(database)
    writer.start()
    for number in range(1, 6):
        writer.submit([ledger(number)])
        assert writer.flush()
    assert (writer.commits, len(taken)) == (5, 1)
    refusals.append(OSError("disk full"))
    writer.submit([ledger(6)])
    assert writer.flush()
    assert len(taken) == 2
    assert writer.stop()
    assert stored(database) == [1, 2, 3, 4, 5, 6]


def test_while_much_comes_whoever_waits_for_it_is_not_put_off(database: Engine) -> None:
    writer = Writer(database)
    writer.start()
    for first in range(1, 10 * MANY, MANY):
        for number in range(first, first + MANY):
            writer.submit([ledger(number)])
        assert writer.flush()
        assert len(stored(database)) == first + MANY - 1
    assert writer.stop()


class Ended:
    """What the writer says when it ends by an error."""

    def __init__(self) -> None:
        self.told = threading.Event()
        self.cause: BaseException | None = None

    def __call__(self, cause: BaseException) -> None:
        self.cause = cause
        self.told.set()


def stored(database: Engine) -> list[int]:
    with database.connect() as c:
        return list(c.execute(select(t.ledger_entries.c.id).order_by(t.ledger_entries.c.id)).scalars())


def refusing(database: Engine, when: str, what: str) -> None:
    """The database refuses, by a trigger."""
    with database.begin() as c:
        c.exec_driver_sql(
            f"CREATE TRIGGER no BEFORE INSERT ON ledger_entries WHEN {when} BEGIN SELECT RAISE(ABORT, '{what}'); END"
        )


def test_what_was_queued_before_a_refused_row_is_stored_and_stop_says_that_not_all_is(database: Engine) -> None:
    refusing(database, "NEW.id = 3", "not this one")
    ended = Ended()
    writer = Writer(database, ended)
    for number in (1, 2, 3, 4):
        writer.submit([ledger(number)])
    writer.start()
    assert ended.told.wait(10)
    assert isinstance(ended.cause, IntegrityError)
    assert stored(database) == [1, 2]
    assert writer.backlog == 2
    assert not writer.flush(1)
    assert not writer.stop()


@pytest.mark.parametrize("amount", [object(), 2**70])
def test_a_value_that_no_database_takes_ends_the_writer_and_is_not_tried_again(database: Engine, amount: Any) -> None:
    ended = Ended()
    writer = Writer(database, ended)
    writer.start()
    writer.submit([Insert(msgspec.structs.replace(entry(1), amount_micro=amount))])
    assert ended.told.wait(10)
    assert writer.failures == 0
    assert not writer.stop()
    with pytest.raises(WriterFailedError):
        writer.submit([ledger(2)])


def test_a_dropped_table_is_no_outage(database: Engine) -> None:
    with database.begin() as c:
        c.exec_driver_sql("DROP TABLE ledger_entries")
    ended = Ended()
    writer = Writer(database, ended)
    writer.start()
    writer.submit([ledger(1)])
    assert ended.told.wait(10)
    assert not writer.stop()


def test_an_error_in_what_is_called_after_a_commit_ends_the_writer_loudly(database: Engine) -> None:
    def fails() -> None:
        raise KeyError("unforeseen")

    ended = Ended()
    writer = Writer(database, ended)
    writer.start()
    writer.submit([ledger(1)], fails)
    assert ended.told.wait(10)
    assert isinstance(ended.cause, KeyError)
    assert stored(database) == [1]
    assert not writer.flush(1)
    assert not writer.stop()


def test_stop_is_true_only_if_all_that_was_ever_queued_is_stored(database: Engine) -> None:
    never_started = Writer(database)
    never_started.submit([ledger(1)])
    assert not never_started.stop()
    writer = Writer(database)
    writer.start()
    writer.submit([ledger(1)])
    assert writer.stop()
    assert stored(database) == [1]
    with pytest.raises(WriterFailedError):
        writer.submit([ledger(2)])


def test_a_locked_database_is_waited_for_and_given_up_only_when_stopping(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    database = fresh_database(path)

    @event.listens_for(database, "connect")
    def impatient(connection: sqlite3.Connection, _record: object) -> None:
        connection.execute("PRAGMA busy_timeout=1")

    database.dispose()
    ended = Ended()
    other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    writer = Writer(database, ended)
    writer.start()
    writer.submit([ledger(1)])
    assert not writer.flush(0.5)
    assert "locked" in (writer.failure or "")
    assert writer.fatal is None
    other.execute("ROLLBACK")
    assert writer.flush(10)
    assert writer.failure is None
    other.execute("BEGIN IMMEDIATE")
    writer.submit([ledger(2)])
    assert not writer.stop()
    assert stored(database) == [1]
    other.close()
