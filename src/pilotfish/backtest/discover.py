"""Searching many wallets for those that would have paid to be copied.

In: candidates, and what is known of them (:func:`~.asking.ask`). Out: :class:`~.found.Found`, which depends on the
history and the policy alone: not on how many processes or machines looked, nor on which was done first.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from pilotfish.backtest.asking import Asked, Span
from pilotfish.backtest.candidates import Candidate
from pilotfish.backtest.cluster import on_cluster
from pilotfish.backtest.cores import on_cores
from pilotfish.backtest.found import Found, found_of
from pilotfish.backtest.one_wallet import Dropped, Looked, WalletJob, look_at
from pilotfish.core.settings import Policy
from pilotfish.history.folder import History

DAY = 86_400


def span_of(now: int, days: int) -> Span:
    """The last so many whole days (UTC) before today: all searches of a day look at the same seconds, so what one has
    read costs the next nothing."""
    to_at = now // DAY * DAY - 1
    return Span(from_at=to_at + 1 - days * DAY, to_at=to_at, now=now)


def look_back_at(
    history: History, candidates: Sequence[Candidate], asked: Asked, span: Span, policy: Policy, *,
    processes: int = 1, cluster: str = "", told: Callable[[int], None] = lambda _done: None,
) -> Found:  # fmt: skip
    """Look back at all whose history is known, in so many processes or on the Dask cluster at an address, and rank
    them. ``told`` hears how many are done. Raises :class:`~.cluster.ClusterError`."""
    jobs = [
        WalletJob(
            wallet=one.wallet, name=one.name, history_url=_everywhere(history), from_at=span.from_at,
            to_at=span.to_at, policy=policy,
        )
        for one in asked.known
    ]  # fmt: skip
    if cluster:
        looked = on_cluster(cluster, look_at, jobs, lost=_died, told=told)
    else:
        looked = on_cores(look_at, jobs, processes, lost=_died, told=told)
    return found_of(candidates, asked, looked, (span.from_at, span.to_at))


def _everywhere(history: History) -> str:
    """The place of a history as any process finds it, wherever it runs."""
    return history.url if "://" in history.url else str(Path(history.url).expanduser().absolute())


def _died(job: WalletJob) -> Looked:
    return Looked(wallet=job.wallet, name=job.name, dropped=Dropped.DIED)
