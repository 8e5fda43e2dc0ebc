"""About how long a step still takes: by how fast it goes, nothing while that is not known, and as rough as it is."""

from __future__ import annotations

import pytest
from rich.progress import Progress

from pilotfish.cli.progress import Left
from pilotfish.core.numerals import about
from pilotfish.core.pace import LEAST_DONE, LEAST_MS, WINDOW_MS, Pace


def test_nothing_is_said_before_enough_is_done_for_long_enough() -> None:
    pace = Pace()
    assert pace.left_sec("tape", 0, 100, 0) is None
    assert pace.left_sec("tape", 50, 100, LEAST_MS - 1) is None
    assert pace.left_sec("tape", 50, 100, LEAST_MS) == LEAST_MS // 1000
    pace = Pace()
    pace.left_sec("tape", 0, 100, 0)
    assert pace.left_sec("tape", LEAST_DONE - 1, 100, 10 * LEAST_MS) is None


def test_a_step_takes_as_long_as_it_goes_fast() -> None:
    pace = Pace()
    for second in range(21):
        left = pace.left_sec("tape", 2 * second, 100, 1_000 * second)
    assert left == 30


def test_what_was_there_already_at_the_beginning_says_nothing_of_the_end() -> None:
    pace = Pace()
    pace.left_sec("history", 0, 1_000, 0)
    pace.left_sec("history", 900, 1_000, 1_000)
    for second in range(2, 2 + 2 * WINDOW_MS // 1000):
        left = pace.left_sec("history", 900 + second // 4, 1_000, 1_000 * second)
    assert left is not None
    assert 270 <= left <= 300, "four seconds each, as of late"


def test_where_nothing_goes_on_it_takes_longer_and_longer() -> None:
    pace = Pace()
    for second in range(11):
        soon = pace.left_sec("tape", second, 20, 1_000 * second)
    later = pace.left_sec("tape", 10, 20, 40_000)
    assert soon is not None and later is not None
    assert later > soon


def test_another_step_begins_anew_and_one_that_is_done_takes_nothing() -> None:
    pace = Pace()
    for second in range(11):
        pace.left_sec("tape", second, 20, 1_000 * second)
    assert pace.left_sec("prices", 15, 20, 11_000) is None
    assert pace.left_sec("prices", 20, 20, 30_000) is None
    pace.left_sec("prices", 3, 20, 31_000)
    assert pace.left_sec("prices", 9, 20, 32_000) is None, "a step that began again"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(1, "about 10 s"), (24, "about 20 s"), (54, "about 50 s"), (55, "about 1 min"), (119, "about 2 min"),
     (3_000, "about 50 min"), (5_399, "about 90 min"), (5_400, "about 2 h"), (20_000, "about 6 h")],
)  # fmt: skip
def test_a_time_that_is_guessed_is_said_as_roughly_as_it_is_known(seconds: int, words: str) -> None:
    assert about(seconds) == words


def test_a_bar_at_a_terminal_says_how_long_its_step_takes_by_the_work_where_parts_are_not_alike() -> None:
    now = [0]
    column = Left(lambda: now[0])
    with Progress(column, disable=True) as progress:
        progress.add_task("history", total=100)
        (task,) = progress.tasks
        assert column.render(task).plain == ""
        for second in range(1, 11):
            now[0] = 1_000 * second
            task.completed = 9 * second
            assert task.total == 100
            last = column.render(task).plain
        assert last == "about 10 s left in this step"
        task.fields["worked"] = (100, 1_000)
        now[0] += 1_000
        assert column.render(task).plain == "about 2 min left in this step"
