"""``bench discover``: looking back at many invented wallets on all cores, against one process; seconds of the clock."""

from __future__ import annotations

import os
import time

from pilotfish.cli.benches.figure import Figure, Options, figure
from pilotfish.sim.known_truth import crowd_of, jobs_of, locally, look

WALLETS = 100
"""Of 300 events each."""


def figures(_options: Options) -> list[Figure]:
    """Wallets a second."""
    jobs, cores = jobs_of(1, crowd_of(1, WALLETS, 0)), os.cpu_count() or 1
    begun = time.perf_counter()
    locally(cores)(look, jobs)
    half = time.perf_counter()
    locally(1)(look, jobs)
    end = time.perf_counter()
    ours, other = WALLETS / (half - begun), WALLETS / (end - half)
    return [figure(f"look backs on {cores} cores", "wallets/s", ours, "1 process", other)]
