"""Terms: an earlier worker stores nothing more, and no commit is there twice or missing."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import Engine, select, update

from pilotfish.store import tables as t
from pilotfish.store.fence import Fence, LostCommitsError, TakenOverError
from pilotfish.store.writer import Writer, WriterFailedError
from tests.fresh import fresh_database
from tests.unit.test_writer import ledger

NAME = "worker"


@pytest.fixture
def database(tmp_path: Path) -> Engine:
    return fresh_database(tmp_path / "x.db")


def begun(database: Engine) -> Fence:
    with database.begin() as c:
        return Fence.begin(c, NAME)


def stored(database: Engine) -> list[int]:
    with database.connect() as c:
        return list(c.execute(select(t.ledger_entries.c.id).order_by(t.ledger_entries.c.id)).scalars())


def test_terms_have_rising_numbers_and_only_the_last_one_holds(database: Engine) -> None:
    first, second = begun(database), begun(database)
    assert first.number < second.number
    with database.connect() as c:
        assert (first.holds(c), second.holds(c)) == (False, True)


def test_a_commit_is_admitted_once_and_known_when_it_is_there(database: Engine) -> None:
    fence = begun(database)
    for number in (1, 2):
        with database.begin() as c:
            assert fence.admit(c, number)
    with database.begin() as c:
        assert not fence.admit(c, 2), "its connection was lost after it was stored"


def test_a_commit_of_an_earlier_term_is_refused(database: Engine) -> None:
    first = begun(database)
    begun(database)
    with database.begin() as c, pytest.raises(TakenOverError):
        first.admit(c, 1)


def test_an_older_copy_of_the_database_is_noticed(database: Engine) -> None:
    fence = begun(database)
    for number in (1, 2, 3):
        with database.begin() as c:
            fence.admit(c, number)
    with database.begin() as c:
        c.execute(update(t.terms).values(commits=1))
    with database.begin() as c, pytest.raises(LostCommitsError, match="has 1 of 3"):
        fence.admit(c, 4)
    with database.begin() as c:
        c.execute(update(t.terms).values(number=0))
    with database.begin() as c, pytest.raises(LostCommitsError):
        fence.admit(c, 4)


def test_a_writer_whose_term_is_over_ends_and_stores_nothing_more(database: Engine) -> None:
    ended: list[BaseException] = []
    writer = Writer(database, ended.append)
    writer.start(begun(database))
    writer.submit([ledger(1)])
    assert writer.flush()
    begun(database)
    writer.submit([ledger(2)])
    assert not writer.stop()
    assert isinstance(writer.fatal, TakenOverError)
    assert ended == [writer.fatal]
    with pytest.raises(WriterFailedError):
        writer.submit([ledger(3)])
    assert stored(database) == [1]


def test_a_commit_whose_answer_was_lost_is_not_stored_twice(database: Engine) -> None:
    fence = begun(database)
    with database.begin() as c:  # as if the first try had been stored, and only its answer had not come
        fence.admit(c, 1)
    writer = Writer(database)
    writer.start(fence)
    writer.submit([ledger(1)])
    writer.submit([])
    assert writer.flush()
    writer.submit([ledger(2)])
    assert writer.stop()
    assert stored(database) == [2]
