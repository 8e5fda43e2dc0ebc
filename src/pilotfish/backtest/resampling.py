"""How far chance alone moves an edge: clusters drawn again and again with replacement (cluster bootstrap-t).

Sources: B. Efron and R. Tibshirani, *An Introduction to the Bootstrap* (1993), section 12.5 (bootstrap-t); A. C.
Cameron, J. Gelbach and D. Miller, *Bootstrap-Based Improvements for Inference with Clustered Errors*, Review of
Economics and Statistics 90 (2008): whole clusters are drawn, and each draw is measured in its own error.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
from scipy import special

from pilotfish.backtest.clusters import Clusters, Floats

RESAMPLES = 2_000
TAIL = 0.05
"""What lies beyond each end of the 90 % interval."""
FAR_TAIL = 0.005
"""Where the tail of resamples is looked at a second time, for p-values below :data:`TAIL`."""
MOST_CLUSTERS = 256
"""More clusters than these are put together at random: groups of independent clusters are as independent."""
FEW_CLUSTERS = 10
"""With fewer, resamples have too few shapes: Student's t is the least that is allowed for."""
LEAST_ERROR = 0.5
"""A resample's own error counts as at least this share of the error of all: a draw without the one big loss would
else seem to know its edge exactly."""
AT_A_TIME = 100
"""Resamples that are counted together."""


@dataclass(frozen=True, slots=True)
class Spread:
    """``error`` is the standard error of the edge, ``low`` and ``high`` its 90 % interval, ``p_value`` how often luck
    alone brings as much where the edge is zero (one-sided)."""

    error: float
    low: float
    high: float
    p_value: float


def resampled(clusters: Clusters, resamples: int = RESAMPLES) -> Spread | None:
    """The spread of ``Σ result / Σ paid`` by drawing clusters with replacement; ``None`` with fewer than two.

    The error of the ratio is the linearised one (W. Cochran, *Sampling Techniques*, 1977, section 6.4). The draws
    depend on the names of the clusters alone, so that the same bets give the same answer, whatever their amounts and
    their order.
    """
    if len(clusters) < 2:
        return None
    random = np.random.Generator(np.random.PCG64(_seed(clusters)))
    total = float(clusters.paid.sum())
    paid: Floats = clusters.paid / total
    result: Floats = clusters.result / total
    if len(clusters) > MOST_CLUSTERS:
        group = np.arange(len(clusters)) % MOST_CLUSTERS
        mixed = random.permutation(len(clusters))
        paid = np.bincount(group, paid[mixed]).astype(np.float64)
        result = np.bincount(group, result[mixed]).astype(np.float64)
    edge = float(result.sum())
    error = float(_errors(edge, np.ones((1, len(paid))) @ _moments(paid, result), len(paid))[0])
    if error == 0.0:
        return Spread(0.0, edge, edge, 1.0 if edge <= 0 else 0.0)
    draws = _drawn(random, _moments(paid, result), resamples)
    edges = draws[:, 1] / draws[:, 0]
    scores = (edges - edge) / np.maximum(_errors(edges, draws, len(paid)), LEAST_ERROR * error)
    return _spread(edge, error, scores, len(paid))


def _spread(edge: float, error: float, scores: Floats, clusters: int) -> Spread:
    freedom = clusters - 1
    least, near, far = np.quantile(scores, [TAIL, 1 - TAIL, 1 - FAR_TAIL])
    student, student_far = special.stdtrit(freedom, 1 - TAIL), special.stdtrit(freedom, 1 - FAR_TAIL)
    if clusters < FEW_CLUSTERS:
        least, near = min(least, -student), max(near, student)
    # Beyond what resamples can count, Student's tail, stretched to meet them at 5 % and at 0.5 %.
    stretch = max(near / student, far / student_far, LEAST_ERROR)
    p_value = float(special.stdtr(freedom, -edge / error / stretch))
    return Spread(error, edge - error * float(near), edge - error * float(least), p_value)


def _moments(paid: Floats, result: Floats) -> Floats:
    return np.stack([paid, result, paid * paid, paid * result, result * result], axis=1)


def _errors(edges: Floats | float, sums: Floats, clusters: int) -> Floats:
    squares = sums[:, 4] - 2 * edges * sums[:, 3] + edges * edges * sums[:, 2]
    squares[squares < 1e-15 * sums[:, 4]] = 0.0  # all clusters made the same: what is left is rounding
    found: Floats = np.sqrt(squares * clusters / (clusters - 1)) / sums[:, 0]
    return found


def _drawn(random: np.random.Generator, moments: Floats, resamples: int) -> Floats:
    """The sums of each resample, a row each; a hundred at a time, so that they stay in the processor's cache."""
    clusters = len(moments)
    rows = np.arange(AT_A_TIME)[:, None] * clusters
    sums = []
    for start in range(0, resamples, AT_A_TIME):
        size = min(AT_A_TIME, resamples - start)
        drawn = random.integers(0, clusters, size=(size, clusters), dtype=np.int16) + rows[:size]
        counts = np.bincount(drawn.ravel(), minlength=size * clusters).reshape(size, clusters)
        sums.append(counts @ moments)
    return np.concatenate(sums)


def _seed(clusters: Clusters) -> int:
    names = "\n".join(str(name) for name in clusters.names)
    return int.from_bytes(hashlib.blake2b(names.encode(), digest_size=16).digest())
