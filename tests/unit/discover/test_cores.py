"""Many jobs on all cores: in order, and none is lost with a process that dies."""

from __future__ import annotations

import os
import signal
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

import pytest

from pilotfish.backtest.cores import on_cores
from tests import processes
from tests.rig import until

pytestmark = pytest.mark.slow


class Deadly(NamedTuple):
    """A number to be doubled; whoever does it dies once where ``marker`` is not there yet, or each time."""

    number: int
    marker: str = ""
    always: bool = False


def double(job: Deadly) -> int:
    if job.always:
        os.kill(os.getpid(), signal.SIGKILL)
    if job.marker and not Path(job.marker).exists():
        Path(job.marker).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    if job.number < 0:
        raise ValueError("below zero")
    return 2 * job.number


def none(_job: Deadly) -> int:
    return -1


@pytest.mark.parametrize("processes", [1, 2])
def test_results_come_in_the_order_of_the_jobs(processes: int) -> None:
    told: list[int] = []
    found = on_cores(double, [Deadly(n) for n in range(7)], processes, lost=none, told=told.append)
    assert found == [0, 2, 4, 6, 8, 10, 12]
    assert told == [1, 2, 3, 4, 5, 6, 7]


def test_a_process_that_is_killed_loses_no_job(tmp_path: Path) -> None:
    jobs = [Deadly(n, str(tmp_path / "died") if n == 2 else "") for n in range(5)]
    assert on_cores(double, jobs, 2, lost=none) == [0, 2, 4, 6, 8]
    assert (tmp_path / "died").exists()


def test_a_job_that_kills_its_process_each_time_is_said_and_the_others_are_done() -> None:
    jobs = [Deadly(n, always=n == 1) for n in range(3)]
    assert on_cores(double, jobs, 2, lost=none) == [0, -1, 4]


@pytest.mark.parametrize("processes", [1, 2])
def test_what_a_job_raises_ends_all(processes: int) -> None:
    with pytest.raises(ValueError, match="below zero"):
        on_cores(double, [Deadly(n) for n in (1, -1, 2)], processes, lost=none)


def stay(folder: str) -> int:
    (Path(folder) / str(os.getpid())).touch()
    signal.pause()
    return 0


def test_the_processes_of_one_that_is_killed_end_with_it(tmp_path: Path) -> None:
    first = get_context("spawn").Process(target=_hand_out, args=(str(tmp_path),))
    first.start()
    pids = until(
        "both are at work", lambda: found if len(found := [int(x.name) for x in tmp_path.iterdir()]) == 2 else []
    )
    first.kill()
    first.join()
    until("both have ended, too", lambda: all(processes.gone(pid) for pid in pids))


def _hand_out(folder: str) -> None:
    on_cores(stay, [folder, folder], 2, lost=lambda _: -1)
