"""Searches as rows: asked for once, kept with their boards within a bound, and found by what people look for."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, func, select

from pilotfish.core.problem import Problem
from pilotfish.store import searches_store
from pilotfish.store import tables as t
from pilotfish.store.jobs import At
from pilotfish.store.searches_store import JOBS, KEPT, Candidate, SearchJob, SearchSource, Wanted
from pilotfish.store.views.searches import (
    BoardFilter,
    categories_of,
    count_board,
    read_board,
    read_search,
    read_search_to_show,
    read_searches,
)
from tests.found import FOUND, row
from tests.fresh import fresh_database

AT = 1_800_000_000_000_000
NAMED = Wanted(
    source=SearchSource.WALLETS, wallets=(Candidate(wallet="0x" + "a" * 40, name="A"),), values={"bankroll": 5}
)


@pytest.fixture
def c(tmp_path: Path) -> Iterator[Connection]:
    database = fresh_database(tmp_path / "x.db")
    with database.connect() as connection:
        yield connection
    database.dispose()


def keep(c: Connection, **more: Any) -> int:
    return searches_store.keep(c, NAMED, at=AT, by="test", found={**FOUND, **more})


def places(c: Connection, number: int, **wanted: Any) -> list[int]:
    found, _ = read_board(c, number, BoardFilter(**wanted), limit=100)
    assert count_board(c, number, BoardFilter(**wanted)) == len(found)
    return [one.place for one in found]


def test_a_search_is_taken_as_it_was_asked_for_and_comes_back_as_it_was_found(c: Connection) -> None:
    number = searches_store.ask(c, NAMED, at=AT, by="test")
    assert searches_store.ask(c, NAMED, at=AT + 1, by="test") == number, "asked for twice, it is one"
    assert searches_store.ask(c, Wanted(), at=AT, by="test") != number
    taken = JOBS.take(c, SearchJob, AT)
    assert taken is not None
    assert taken == (
        number,
        SearchJob(asked_at=AT, source=SearchSource.WALLETS, wallets=NAMED.wallets, values=NAMED.values),
    )
    assert JOBS.progress(c, number, At("activity", 3, 7, 20, 60))
    assert searches_store.finish(c, number, AT, FOUND)
    found = read_search(c, number)
    assert found is not None
    assert found.result == FOUND
    assert list(found.result) == list(FOUND), "in the same order"
    assert (found.tested, found.copyable, found.requests, found.left_sec) == (3, 1, 321, None)
    assert (found.done, found.of) == (7, 7), "what is done is done"


def test_of_a_search_that_was_cancelled_nothing_is_kept(c: Connection) -> None:
    number = searches_store.ask(c, NAMED, at=AT, by="test")
    JOBS.take(c, SearchJob, AT)
    JOBS.cancel(c, number, AT)
    assert not searches_store.finish(c, number, AT, FOUND)
    assert c.execute(select(func.count()).select_from(t.searched_wallets)).scalar_one() == 0


def test_what_cannot_be_searched_is_refused_and_no_more_than_a_bound_waits(c: Connection) -> None:
    with pytest.raises(Problem, match="no wallet is named"):
        searches_store.ask(c, Wanted(source=SearchSource.WALLETS), at=AT, by="test")
    with pytest.raises(Problem, match="takes requests, and none are allowed"):
        searches_store.ask(c, Wanted(source=SearchSource.MARKETS, budget=0), at=AT, by="test")
    for days in range(2, 2 + JOBS.most_waiting):
        searches_store.ask(c, Wanted(days=days), at=AT, by="test")
    with pytest.raises(Problem, match=f"{JOBS.most_waiting} searches wait already; cancel some"):
        searches_store.ask(c, Wanted(days=99), at=AT, by="test")


def test_the_newest_searches_are_kept_with_their_boards_and_the_others_go_with_theirs(c: Connection) -> None:
    numbers = [keep(c) for _ in range(KEPT + 2)]
    assert [one.id for one in read_searches(c, limit=1000).data] == numbers[: -KEPT - 1 : -1]
    assert c.execute(select(func.count()).select_from(t.searched_wallets)).scalar_one() == KEPT * len(FOUND["rows"])


def test_a_board_is_found_by_verdict_events_category_and_lower_end(c: Connection) -> None:
    keep(c)
    number = keep(c)
    assert places(c, number) == [1, 2, 3]
    assert places(c, number, verdict="cannot_tell") == [2]
    assert places(c, number, events=40) == [1, 3]
    assert places(c, number, category="politics") == [2]
    assert places(c, number, low=-0.02) == [1, 2], "who has no interval has no lower end"
    assert places(c, number, low=0.0, category="politics") == []
    assert categories_of(c, number) == ["sports", "politics"]
    first, after = read_board(c, number, BoardFilter(), limit=2)
    assert ([one.place for one in first], after) == ([1, 2], 2)
    rest, after = read_board(c, number, BoardFilter(), limit=2, after=2)
    assert ([one.place for one in rest], after) == ([3], None)


def test_the_newest_that_is_done_is_shown_where_none_is_named(c: Connection) -> None:
    assert read_search_to_show(c, None) is None
    done = keep(c, rows=[row(1, "copyable", 0.1)])
    waiting = searches_store.ask(c, NAMED, at=AT, by="test")
    newest, named = read_search_to_show(c, None), read_search_to_show(c, waiting)
    assert newest is not None and newest.id == done
    assert named is not None and named.result is None
    assert read_search_to_show(c, 99) is None
