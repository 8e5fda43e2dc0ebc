"""Reading somebody's past from the venue that is configured, within its limits."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from pilotfish.app.config import process_value
from pilotfish.core.settings import Value
from pilotfish.history.folder import History
from pilotfish.history.pull import Pulled, Told, pull
from pilotfish.polymarket.history_api import history_api
from pilotfish.polymarket.http import make_session


async def pulled_of(
    env: Mapping[str, Value], history: History, wallet: str, from_at: int, now: int, budget: int | None, again: bool,
    told: Callable[[Told], None],
) -> Pulled:  # fmt: skip
    """:func:`~pilotfish.history.pull.pull` on a session of its own."""
    async with make_session() as http:
        api = history_api(http, process_value(env, "data_api_url"), process_value(env, "gamma_api_url"))
        return await pull(history, api, wallet, from_at=from_at, now=now, budget=budget, again=again, told=told)
