"""Look backs as rows: in order, one at a time, bounded, and taken up again after a death."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Connection

from pilotfish.core.settings import SettingError
from pilotfish.store import leaders_store, look_backs_store, settings_store
from pilotfish.store.jobs import ATTEMPTS, At, JobError, JobState
from pilotfish.store.look_backs_store import JOBS, KEPT, Job
from pilotfish.store.views.look_backs import read_latest, read_look_back, read_look_backs
from tests.fresh import fresh_database

WALLET, OTHER = "0x" + "a1" * 20, "0x" + "b2" * 20
AT = 1_800_000_000_000_000


@pytest.fixture
def c(tmp_path: Path) -> Iterator[Connection]:
    database = fresh_database(tmp_path / "x.db")
    with database.connect() as connection:
        yield connection
    database.dispose()


def ask(c: Connection, wallet: str = WALLET, days: int = 90) -> int:
    return look_backs_store.ask(c, wallet, name="", days=days, values={"fixed_usdc": 5}, at=AT, by="test")


def taken(c: Connection) -> int:
    job = JOBS.take(c, Job, AT)
    assert job is not None
    return job[0]


def state(c: Connection, number: int) -> JobState:
    found = read_look_back(c, number)
    assert found is not None
    return found.state


def test_what_waits_is_taken_in_the_order_in_which_it_was_asked_for(c: Connection) -> None:
    first, second = ask(c), ask(c, OTHER)
    assert [taken(c), taken(c)] == [first, second]
    assert JOBS.take(c, Job, AT) is None


def test_what_is_asked_for_twice_and_has_not_ended_is_one_look_back(c: Connection) -> None:
    number = ask(c)
    assert ask(c) == number
    assert ask(c, days=30) != number
    assert taken(c) == number
    assert ask(c) == number, "while it runs, too"
    look_backs_store.finish(c, number, AT, "copyable", "Copyable.", {})
    assert ask(c) != number


def test_no_more_than_a_bound_waits(c: Connection) -> None:
    for days in range(1, JOBS.most_waiting + 1):
        ask(c, days=days)
    with pytest.raises(JobError, match=f"{JOBS.most_waiting} look backs wait already; cancel some"):
        ask(c, days=999)


def test_what_is_cancelled_is_taken_by_nobody_and_keeps_that_state(c: Connection) -> None:
    waiting, running = ask(c), ask(c, OTHER)
    JOBS.cancel(c, waiting, AT)
    assert taken(c) == running
    JOBS.cancel(c, running, AT)
    assert not JOBS.progress(c, running, At("tape", 1, 2, 3, 4)), "its process hears of it"
    assert not look_backs_store.finish(c, running, AT, "copyable", "Copyable.", {})
    assert state(c, running) is JobState.CANCELLED
    with pytest.raises(JobError, match="has ended: cancelled"):
        JOBS.cancel(c, running, AT)
    with pytest.raises(JobError, match="there is no look back 77"):
        JOBS.cancel(c, 77, AT)


def test_what_ran_in_a_process_that_died_is_taken_up_again_a_few_times(c: Connection) -> None:
    number = ask(c)
    for _ in range(ATTEMPTS):
        JOBS.take_up(c, AT)
        assert taken(c) == number
    JOBS.take_up(c, AT)
    found = read_look_back(c, number)
    assert found is not None
    assert found.state is JobState.FAILED
    assert found.error is not None and "try fewer days" in found.error
    assert not JOBS.anything_to_do(c)


def test_the_newest_that_have_ended_are_kept_and_what_waits_is_never_dropped(c: Connection) -> None:
    waits = ask(c, days=1)
    numbers = [
        look_backs_store.keep(
            c, WALLET, name="", days=2, values={}, at=AT, by="test", verdict="copyable", why="", result={}
        )
        for _ in range(KEPT + 3)
    ]
    assert [row.id for row in read_look_backs(c, limit=1000).data] == [*numbers[: -KEPT - 1 : -1], waits]


def test_the_latest_of_a_wallet_is_what_is_known_not_what_was_cancelled(c: Connection) -> None:
    assert read_latest(c, WALLET) is None
    failed = ask(c)
    JOBS.fail(c, taken(c), AT, "no trades")
    latest = read_latest(c, WALLET)
    assert latest is not None and (latest.id, latest.error) == (failed, "no trades")
    done = ask(c)
    look_backs_store.finish(c, taken(c), AT, "copyable", "Copyable.", {})
    JOBS.cancel(c, ask(c), AT)
    ask(c, OTHER)
    latest = read_latest(c, WALLET)
    assert latest is not None and (latest.id, latest.verdict) == (done, "copyable")


def test_a_look_back_goes_by_the_settings_for_that_wallet_in_that_portfolio(c: Connection) -> None:
    leaders_store.add(c, WALLET, "A", AT, by="test")
    settings_store.change(c, {"fixed_usdc": 50}, at=AT, by="test", leader=WALLET)
    stored = settings_store.load(c)

    def size(wallet: str, **changes: object) -> object:
        return settings_store.policy_values({}, stored, "main", wallet, changes)["fixed_usdc"]

    assert size(WALLET) == 50_000_000
    assert size(OTHER) == 25_000_000
    assert size(WALLET, fixed_usdc="7.5") == 7_500_000
    with pytest.raises(SettingError, match="belongs to no policy"):
        size(WALLET, poll_overlap_sec=5)
