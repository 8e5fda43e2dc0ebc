"""A Dask scheduler and its workers, each a process of its own on loopback."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
PATIENCE = 120.0
"""Seconds after which a process counts as never to begin."""
LOOK_SECONDS = 0.05


@dataclass
class Cluster:
    """``address`` of the scheduler, and the processes of the workers."""

    address: str
    folder: Path
    workers: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def add_worker(self) -> None:
        """Start a worker with one thread and no nanny, so that killing it kills what it works on."""
        name = f"worker-{len(self.workers)}"
        alone = ("--nthreads", "1", "--no-nanny", "--no-dashboard")
        self.workers.append(
            _start("worker", self.address, *alone, "--name", name, "--local-directory", str(self.folder))
        )


@contextmanager
def cluster(folder: Path, workers: int = 2) -> Iterator[Cluster]:
    """A scheduler with so many workers, until the end of the block."""
    file = folder / "scheduler.json"
    scheduler = _start(
        "scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--scheduler-file", str(file)
    )
    made = Cluster("", folder)
    try:
        until = time.monotonic() + PATIENCE
        while not file.exists():
            if scheduler.poll() is not None or time.monotonic() > until:
                raise RuntimeError(f"the scheduler did not begin ({scheduler.poll()})")
            time.sleep(LOOK_SECONDS)  # between two looks at a condition
        made.address = json.loads(file.read_text())["address"]
        for _ in range(workers):
            made.add_worker()
        yield made
    finally:
        for process in [*made.workers, scheduler]:
            process.kill()
            process.wait()


def _start(*arguments: str) -> subprocess.Popen[bytes]:
    paths = os.pathsep.join([str(PROJECT / "src"), str(PROJECT)])
    return subprocess.Popen(
        [sys.executable, "-m", "dask", *arguments],
        env={**os.environ, "PYTHONPATH": paths},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=PROJECT,
    )
