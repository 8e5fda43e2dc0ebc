"""``discover``: which of many wallets would have paid to be copied."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TypeAlias

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from pilotfish.app.config import history_place, process_value
from pilotfish.backtest.asking import Asked, Span, ask
from pilotfish.backtest.candidates import Candidate, of_leaderboards, of_markets
from pilotfish.backtest.cluster import checked_address
from pilotfish.backtest.discover import look_back_at, span_of
from pilotfish.backtest.found import Found, read_found, write_found
from pilotfish.backtest.judgement import Verdict
from pilotfish.backtest.wallet_file import MOST_NAMED, read_wallets
from pilotfish.cli import found_told, session
from pilotfish.cli.choice import one_of
from pilotfish.cli.stopping import keeps_what_is_read
from pilotfish.core.numerals import count
from pilotfish.core.problem import Problem
from pilotfish.core.settings import Policy, Value, policy_from
from pilotfish.history.folder import History
from pilotfish.history.spending import Budget
from pilotfish.polymarket.history_api import HistoryApi, history_api
from pilotfish.polymarket.http import VenueError, make_session
from pilotfish.store import settings_store
from pilotfish.store.database import snapshot
from pilotfish.store.portfolios_store import MAIN

LEADERBOARD, MARKETS = "leaderboard", "markets"
VERDICTS = tuple(verdict.value.replace("_", " ") for verdict in Verdict)
_ANY = "any"
Told: TypeAlias = Callable[[str, int, int], None]
"""Hears what is done, how much of it, and of how much."""
Asking: TypeAlias = Callable[[HistoryApi, Span, Budget, Told], Awaitable[list[Candidate]]]


class NobodyError(Problem):
    """There is nobody to look back at."""


def discover(
    source: str = typer.Option(
        LEADERBOARD,
        "--from",
        metavar="leaderboard|markets|FILE",
        help="Whom to look at: the venue's leaderboards; who traded in the most traded markets; or a file of wallets,"
        " one a line, CSV or JSON.",
    ),
    most: int = typer.Option(500, "--most", min=1, max=10_000, help="Most candidates."),
    category: list[str] = typer.Option([], "--category", help="Leaderboards of this category alone; repeatable."),
    budget: int = typer.Option(5_000, "--budget", min=0, help="Most requests; 0 = only what was read before."),
    days: int = typer.Option(90, "--days", min=2, max=4000, help="How far back, in whole days (UTC) before today."),
    verdict: str = typer.Option(
        _ANY, "--verdict", callback=one_of([_ANY, *VERDICTS]), help="Show only: copyable, not copyable, cannot tell."
    ),
    min_events: int = typer.Option(0, "--min-events", min=0, help="Show only who has so many independent events."),
    columns: str = found_told.BOARD.option,
    wide: bool = found_told.WIDE,
    out: Path | None = typer.Option(None, "--out", help="Keep what is found in this file, as JSON."),
    show: Path | None = typer.Option(None, "--show", help="Show what was found before, from such a file; ask nothing."),
    processes: int = typer.Option(0, "--processes", min=0, help="Processes; 0 = one a core."),
    dask: str = typer.Option("", "--dask", metavar="tcp://HOST:PORT", help="Look back on this Dask cluster."),
    as_json: bool = typer.Option(False, "--json", help="Print one object."),
) -> None:
    """Which of many wallets would have paid to be copied: the survivors of a funnel, luck and their number reckoned
    in."""
    env = session.begin()
    if show is not None:
        found = read_found(show)
    else:
        if dask:
            checked_address(dask)
        found = _search(env, source, most, category, budget, days, processes, dask)
        if out is not None:
            write_found(found, out)
    wanted = None if verdict == _ANY else Verdict(verdict.replace(" ", "_"))
    rows = [r for r in found.rows if (wanted is None or r.verdict is wanted) and r.events >= min_events]
    if as_json:
        session.print_json(found_told.answer_of(found, rows))
    else:
        found_told.print_found(found, rows, found_told.BOARD.view(columns, wide=wide))


def _search(
    env: dict[str, Value], source: str, most: int, categories: Sequence[str], budget: int, days: int, processes: int,
    dask: str,
) -> Found:  # fmt: skip
    history, span, policy = History(history_place(env)), span_of(int(time.time()), days), _policy(env)
    allowed = Budget(budget)
    given = _from_file(source, most) if source not in (LEADERBOARD, MARKETS) else None
    with keeps_what_is_read():
        with _bar() as told:
            source_of = given or partial(_candidates, source, most, categories)
            candidates, asked = asyncio.run(_asked(env, history, span, allowed, told, source_of))
        with _bar() as told:
            many = len(asked.known)
            return look_back_at(
                history, candidates, asked, span, policy, processes=processes or os.cpu_count() or 1, cluster=dask,
                told=lambda done: told("looking back", done, many),
            )  # fmt: skip


def _policy(env: dict[str, Value]) -> Policy:
    """The settings in effect for the main portfolio."""
    with snapshot(session.reading(env, as_json=True)) as c:
        return policy_from({n: e.value for n, e in settings_store.effective(env, settings_store.load(c), MAIN).items()})


def _from_file(source: str, most: int) -> list[Candidate]:
    """The wallets of a file; lines that hold none are named."""
    if not Path(source).exists():
        raise typer.BadParameter(f"{source!r} is no file, and neither {LEADERBOARD} nor {MARKETS}", param_hint="--from")
    read = read_wallets(Path(source))
    for line in read.bad[:MOST_NAMED]:
        print(f"{source}, {line}; left out", file=sys.stderr)
    if len(read.bad) > MOST_NAMED:
        print(f"{source}: and {count(len(read.bad) - MOST_NAMED)} more without a wallet", file=sys.stderr)
    return read.candidates[:most]


async def _asked(
    env: dict[str, Value], history: History, span: Span, budget: Budget, told: Told, source: list[Candidate] | Asking
) -> tuple[list[Candidate], Asked]:
    async with make_session() as http:
        api = history_api(http, process_value(env, "data_api_url"), process_value(env, "gamma_api_url"))
        candidates = source if isinstance(source, list) else await source(api, span, budget, told)
        return candidates, await ask(history, api, candidates, span, budget, told)


async def _candidates(
    source: str, most: int, categories: Sequence[str], api: HistoryApi, span: Span, budget: Budget, told: Told
) -> list[Candidate]:
    """Whom the venue names."""
    try:
        if source == LEADERBOARD:
            found = await of_leaderboards(api, budget, most, categories or [""])
        else:
            found = await of_markets(api, budget, most, span.from_at, lambda done, of: told("markets", done, of))
    except VenueError as problem:
        raise NobodyError(
            f"the venue does not say whom to look at ({problem}); try again, or give a file of wallets: --from FILE"
        ) from None
    if not found:
        raise NobodyError(
            f"--from {source} takes requests, and --budget allows none; give more, or a file of wallets: --from FILE"
            if budget.spent
            else "the venue names nobody; give a file of wallets: --from FILE"
        )
    return found


@contextmanager
def _bar() -> Iterator[Told]:
    """A bar of what is done, at a terminal."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description:>12}"), BarColumn(), TextColumn("{task.completed}/{task.total}"),
               TimeRemainingColumn())  # fmt: skip
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("asking", total=None)
        doing = ""

        def told(what: str, done: int, of: int) -> None:
            nonlocal doing
            if what != doing:
                doing = what
                progress.reset(task, total=of, description=what)
            progress.update(task, completed=done, total=of)

        yield told
