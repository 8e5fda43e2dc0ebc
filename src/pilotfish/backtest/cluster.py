"""Many jobs on a Dask cluster (``pilotfish[cluster]``): the same results as on one machine, in the order of the jobs.

A worker that dies loses nothing: the scheduler gives its jobs to another one. Workers need the same version of
pilotfish and its libraries as whoever asks; ``work`` and its jobs travel pickled.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from pilotfish.core.problem import Problem

J = TypeVar("J")
R = TypeVar("R")
CONNECT_SEC = 10
"""How long the scheduler may take to answer."""
NO_WORKER_SEC = 60.0
"""How long a cluster may be without any worker."""
LOOK_SEC = 1.0
"""How often it is looked whether there are workers, while nothing is done."""
_ADDRESS = re.compile(r"(tcp|tls)://[^\s/:]+:\d{1,5}|(tcp|tls)://\[[0-9a-fA-F:]+\]:\d{1,5}")


class ClusterError(Problem):
    """The cluster cannot be used; the message says why and what to do."""


def on_cluster(
    address: str,
    work: Callable[[J], R],
    jobs: Sequence[J],
    *,
    lost: Callable[[J], R],
    told: Callable[[int], None] = lambda _done: None,
    no_worker_sec: float = NO_WORKER_SEC,
) -> list[R]:
    """``work(job)`` of every job, by the workers of the scheduler at ``address`` (``tcp://host:port``). ``lost`` is
    what becomes of a job that several workers died of; ``told`` hears how many are done. Whatever ends this, Ctrl-C
    included, takes the jobs that are left off the cluster. Raises :class:`ClusterError`."""
    library = _library()
    found: dict[int, R] = {}
    with _client(library, address) as client:
        _await_worker(client, address, no_worker_sec)
        futures = {client.submit(work, job, pure=False): place for place, job in enumerate(jobs)}
        try:
            for future in _done(library, client, address, list(futures), no_worker_sec):
                place = futures[future]
                found[place] = _result(library, future, jobs[place], lost, address)
                told(len(found))
        finally:
            if client.status == "running":
                client.cancel(list(futures))
    return [found[place] for place in range(len(jobs))]


def checked_address(address: str) -> str:
    """The address of a scheduler as it was given. Raises :class:`ClusterError`."""
    if not _ADDRESS.fullmatch(address):
        raise ClusterError(f"{address[:80]!r} is no address of a Dask scheduler: expected tcp://host:8786")
    return address


def _library() -> Any:
    try:
        import distributed
    except ImportError:
        raise ClusterError(
            "a Dask cluster needs the extra `cluster`, which is not installed: pip install 'pilotfish[cluster]'"
        ) from None
    return distributed


@contextmanager
def _client(library: Any, address: str) -> Iterator[Any]:
    checked_address(address)
    try:
        client = library.Client(address, timeout=CONNECT_SEC)
    except (OSError, TimeoutError) as problem:
        raise ClusterError(
            f"no Dask scheduler answers at {address} ({type(problem).__name__}); `dask scheduler` starts one, and "
            f"`dask worker {address}` a worker of it"
        ) from None
    try:
        yield client
    finally:
        client.close()


def _await_worker(client: Any, address: str, seconds: float) -> None:
    try:
        client.wait_for_workers(1, timeout=seconds)
    except TimeoutError:
        raise _nobody(address, seconds) from None


def _done(library: Any, client: Any, address: str, futures: list[Any], no_worker_sec: float) -> Iterator[Any]:
    """Futures as they are done."""
    waiting, seen_at = set(futures), time.monotonic()
    while waiting:
        try:
            done, _ = library.wait(waiting, timeout=LOOK_SEC, return_when="FIRST_COMPLETED")
        except TimeoutError:
            if _workers(client, address):
                seen_at = time.monotonic()
            elif time.monotonic() - seen_at > no_worker_sec:
                raise _nobody(address, no_worker_sec) from None
            continue
        except library.client.FutureCancelledError:
            raise _gone(address) from None
        seen_at = time.monotonic()
        waiting -= done
        yield from (future for future in futures if future in done)


def _workers(client: Any, address: str) -> int:
    try:
        return len(client.scheduler_info(n_workers=-1)["workers"]) if client.status == "running" else 0
    except OSError:
        raise _gone(address) from None


def _result(library: Any, future: Any, job: J, lost: Callable[[J], R], address: str) -> R:
    try:
        result: R = future.result(timeout=NO_WORKER_SEC)
    except library.KilledWorker:
        return lost(job)
    except ImportError as problem:
        raise ClusterError(
            f"a worker of {address} cannot run this ({problem}); install the same version of pilotfish on every worker"
        ) from None
    except (library.client.FutureCancelledError, library.comm.CommClosedError, TimeoutError):
        raise _gone(address) from None
    return result


def _nobody(address: str, seconds: float) -> ClusterError:
    return ClusterError(
        f"the Dask scheduler at {address} had no worker for {seconds:g} s; `dask worker {address} --nthreads 1 "
        "--nworkers auto` starts some"
    )


def _gone(address: str) -> ClusterError:
    return ClusterError(f"the Dask scheduler at {address} went away; start it and its workers, then do the same again")
