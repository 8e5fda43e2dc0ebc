"""Searching many wallets with the services, the history and the settings that are configured: what the command and the
process beside the dashboard have in common."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from functools import partial

from pilotfish.app.config import history_place, process_value
from pilotfish.backtest.asking import Asked, Span, Told, ask
from pilotfish.backtest.candidates import Candidate, of_leaderboards, of_markets
from pilotfish.backtest.discover import look_back_at, span_of
from pilotfish.backtest.found import Found
from pilotfish.core.problem import Problem
from pilotfish.core.settings import Value, policy_from
from pilotfish.history.folder import History
from pilotfish.history.spending import Budget
from pilotfish.polymarket.history_api import HistoryApi, history_api
from pilotfish.polymarket.http import VenueError, make_session
from pilotfish.store.searches_store import SearchSource, Wanted

STAGES = ("markets", "activity", "history", "looking back")
"""What a search does, in the order in which it does it."""


class NobodyError(Problem):
    """There is nobody to look back at."""


def found_by(
    environment: Mapping[str, Value], wanted: Wanted, now: int, told: Callable[[Told], None], *,
    processes: int, cluster: str = "", part: float = 1.0, began: Callable[[HistoryApi], None] = lambda _: None,
) -> Found:  # fmt: skip
    """Search: read what is not there yet, look back at everybody, rank them. ``now`` is in epoch seconds; ``part`` is
    how much of the venue's limits is used, ``began`` is given the services once they are there. Raises
    :class:`NobodyError` and other :class:`~pilotfish.core.problem.Problem`s."""
    history, span = History(history_place(environment)), span_of(now, wanted.days)

    async def asked() -> tuple[list[Candidate], Asked]:
        async with make_session() as http:
            urls = [process_value(environment, name) for name in ("data_api_url", "gamma_api_url")]
            api = history_api(http, *urls, part=part)
            began(api)
            budget = Budget(wanted.budget)
            candidates = await _candidates(api, wanted, span, budget, told)
            return candidates, await ask(history, api, candidates, span, budget, told)

    candidates, known = asyncio.run(asked())
    done = partial(_looking_back, told, len(known.known), known.requests)
    done(0)
    return look_back_at(
        history, candidates, known, span, policy_from(wanted.values), processes=processes, cluster=cluster, told=done
    )


def _looking_back(told: Callable[[Told], None], of: int, requests: int, done: int) -> None:
    told(Told(STAGES[-1], done, of, requests))


async def _candidates(
    api: HistoryApi, wanted: Wanted, span: Span, budget: Budget, told: Callable[[Told], None]
) -> list[Candidate]:
    """Whom to look at: who is named, or whom the venue names."""
    if wanted.source is SearchSource.WALLETS:
        return [Candidate(wallet=one.wallet, name=one.name) for one in wanted.wallets][: wanted.most]

    def read(done: int, of: int) -> None:
        told(Told(STAGES[0], done, of, budget.made))

    try:
        if wanted.source is SearchSource.LEADERBOARD:
            found = await of_leaderboards(api, budget, wanted.most, wanted.categories or ("",))
        else:
            found = await of_markets(api, budget, wanted.most, span.from_at, read)
    except VenueError as problem:
        raise NobodyError(
            f"the venue does not say whom to look at ({problem}); try again, or name wallets: --from FILE, or a list on"
            " the page"
        ) from None
    if not found:
        raise NobodyError(
            f"--from {wanted.source} takes requests, and --budget allows none; give more, or name wallets: --from FILE"
            if budget.spent
            else "the venue names nobody; name wallets: --from FILE, or a list on the page"
        )
    return found
