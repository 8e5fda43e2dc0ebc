"""Looking back at many wallets on a Dask cluster: a real scheduler and real workers, each a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import distributed
import msgspec
import pytest

from pilotfish.backtest.asking import Asked, Span
from pilotfish.backtest.candidates import Candidate
from pilotfish.backtest.cluster import ClusterError, on_cluster
from pilotfish.backtest.discover import look_back_at
from pilotfish.backtest.found import Found
from pilotfish.backtest.one_wallet import Dropped, Looked, SharedHistoryError, WalletJob, look_at
from pilotfish.core.settings import policy_from
from pilotfish.history.folder import History
from pilotfish.sim.past_people import Kind, crowd
from tests import processes
from tests.conftest import PROJECT
from tests.dask_cluster import Cluster, cluster
from tests.kept_past import DAY, DAYS, TO_AT, kept_world
from tests.rig import Pilot

SPAN = Span(TO_AT - DAYS * DAY, TO_AT - 1, TO_AT)
PEOPLE = (
    *crowd(5, Kind.FLIPPER, 5, events=34),
    *crowd(5, Kind.SKILLED, 2, events=40, edge_ppm=400_000),
    *crowd(5, Kind.GAMBLER, 1),
)
CANDIDATES = [Candidate(wallet=person.wallet, name=person.name) for person in PEOPLE]
KNOWN = Asked(CANDIDATES, CANDIDATES, [], [], 0)
PATIENCE = 60.0
CLIENT: Any = distributed.Client


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> History:
    kept = History(str(tmp_path_factory.mktemp("history")))
    kept_world(kept, 5, PEOPLE)
    return kept


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with cluster(tmp_path_factory.mktemp("dask")) as made:
        yield made


def bits(found: Found) -> bytes:
    return msgspec.json.encode(found)


def jobs(history: History) -> list[WalletJob]:
    return [
        WalletJob(
            wallet=one.wallet, name=one.name, history_url=history.url, from_at=SPAN.from_at, to_at=SPAN.to_at,
            policy=policy_from({}),
        )
        for one in CANDIDATES
    ]  # fmt: skip


def lost(job: WalletJob) -> Looked:
    return Looked(wallet=job.wallet, dropped=Dropped.DIED)


@pytest.mark.slow
def test_two_workers_find_bit_for_bit_what_one_process_and_two_find(history: History, two: Cluster) -> None:
    alone = look_back_at(history, CANDIDATES, KNOWN, SPAN, policy_from({}), processes=1)
    side_by_side = look_back_at(history, CANDIDATES, KNOWN, SPAN, policy_from({}), processes=2)
    told: list[int] = []
    spread = look_back_at(history, CANDIDATES, KNOWN, SPAN, policy_from({}), cluster=two.address, told=told.append)
    assert alone.tested == len(PEOPLE)
    assert bits(spread) == bits(side_by_side) == bits(alone)
    assert told == list(range(1, len(PEOPLE) + 1)), "progress is told of each wallet"


@pytest.mark.slow
def test_the_command_prints_the_same_from_a_cluster_and_from_one_process(two: Cluster, tmp_path: Path) -> None:
    some = PEOPLE[3:6]
    kept_world(History(str(tmp_path / "history")), 5, some, to_at=int(time.time()) // DAY * DAY)
    (tmp_path / "wallets.txt").write_text("\n".join(person.wallet for person in some))
    command = ("discover", "--from", "wallets.txt", "--budget", "0", "--days", str(DAYS), "--json")
    env = Pilot(tmp_path, {}).environment
    alone = processes.run(*command, "--processes", "1", cwd=tmp_path, env=env)
    spread = processes.run(*command, "--dask", two.address, cwd=tmp_path, env=env)
    assert (alone.returncode, spread.returncode, spread.stderr) == (0, 0, "")
    assert spread.stdout == alone.stdout
    assert len(json.loads(spread.stdout)["rows"]) >= 2


@pytest.mark.slow
def test_a_worker_that_is_killed_loses_nothing(history: History, tmp_path: Path) -> None:
    alone = look_back_at(history, CANDIDATES, KNOWN, SPAN, policy_from({}))
    with cluster(tmp_path) as made:

        def kill_one(done: int) -> None:
            if done == 1:
                made.workers[0].kill()
                made.workers[0].wait()

        with CLIENT(made.address, set_as_default=False) as watching:
            watching.wait_for_workers(2, timeout=PATIENCE)
        spread = look_back_at(history, CANDIDATES, KNOWN, SPAN, policy_from({}), cluster=made.address, told=kill_one)
    assert bits(spread) == bits(alone)


@pytest.mark.slow
def test_ctrl_c_takes_what_is_left_off_the_cluster(history: History, two: Cluster) -> None:
    def stop(_done: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        on_cluster(two.address, look_at, jobs(history) * 5, lost=lost, told=stop)
    with CLIENT(two.address, set_as_default=False) as watching:
        until = time.monotonic() + PATIENCE
        while left := watching.run_on_scheduler(_tasks):
            assert time.monotonic() < until, f"{left} jobs are still on the cluster"


def _tasks(dask_scheduler: Any) -> int:
    return len(dask_scheduler.tasks)


@pytest.mark.slow
def test_a_worker_that_does_not_reach_the_history_is_told_and_not_ranked_as_nothing(
    history: History, two: Cluster
) -> None:
    elsewhere = [msgspec.structs.replace(job, history_url="/nowhere/at/all") for job in jobs(history)]
    with pytest.raises(SharedHistoryError, match="HISTORY_URL has to be a folder or an object store"):
        on_cluster(two.address, look_at, elsewhere, lost=lost)


def test_without_a_scheduler_it_is_said_how_to_start_one() -> None:
    with pytest.raises(ClusterError, match=r"no Dask scheduler answers at tcp://127\.0\.0\.1:9 .*`dask scheduler`"):
        on_cluster("tcp://127.0.0.1:9", look_at, [], lost=lost)


def test_a_scheduler_without_workers_is_waited_for_no_longer_than_said(history: History, tmp_path: Path) -> None:
    with (
        cluster(tmp_path, workers=0) as made,
        pytest.raises(ClusterError, match=r"had no worker for 1 s; `dask worker"),
    ):
        on_cluster(made.address, look_at, jobs(history), lost=lost, no_worker_sec=1.0)


@pytest.mark.parametrize("address", ["8786", "http://host:8786", "tcp://host", "tcp://:1", "tcp://a b:1"])
def test_what_is_no_address_is_refused_before_anything_is_asked(address: str) -> None:
    with pytest.raises(ClusterError, match="expected tcp://host:8786"):
        on_cluster(address, look_at, [], lost=lost)


def test_without_the_extra_it_is_said_what_to_install(tmp_path: Path) -> None:
    """Where ``distributed`` cannot be imported, as where the extra is not installed."""
    (tmp_path / "distributed.py").write_text("raise ImportError('not here')\n")
    code = (
        "from pilotfish.backtest.cluster import ClusterError, on_cluster\n"
        "try:\n    on_cluster('tcp://127.0.0.1:8786', print, [], lost=print)\n"
        "except ClusterError as problem:\n    print(problem)\n"
    )
    shown = subprocess.run(
        [sys.executable, "-c", code], env={"PYTHONPATH": f"{tmp_path}:{PROJECT / 'src'}"}, capture_output=True,
        text=True, check=True,
    )  # fmt: skip
    assert "pip install 'pilotfish[cluster]'" in shown.stdout
