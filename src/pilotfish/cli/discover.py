"""``discover``: which of many wallets would have paid to be copied."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec
import typer

from pilotfish.app.searching import found_by
from pilotfish.backtest.asking import Told
from pilotfish.backtest.cluster import checked_address
from pilotfish.backtest.found import Found, read_found, write_found
from pilotfish.backtest.judgement import Verdict
from pilotfish.backtest.wallet_file import MOST_NAMED, read_wallets
from pilotfish.cli import found_told, session
from pilotfish.cli.choice import one_of
from pilotfish.cli.progress import bar
from pilotfish.cli.stopping import keeps_what_is_read
from pilotfish.core.names import UnknownNameError
from pilotfish.core.numerals import count
from pilotfish.core.settings import Value
from pilotfish.store import searches_store, settings_store
from pilotfish.store.database import snapshot
from pilotfish.store.portfolios_store import MAIN
from pilotfish.store.searches_store import (
    BUDGET,
    DAYS,
    LEAST_DAYS,
    LONGEST_DAYS,
    MOST,
    MOST_CANDIDATES,
    Candidate,
    SearchSource,
    Wanted,
)

VERDICTS = tuple(verdict.value.replace("_", " ") for verdict in Verdict)
_ANY = "any"


def discover(
    source: str = typer.Option(
        SearchSource.LEADERBOARD.value,
        "--from",
        metavar="leaderboard|markets|FILE",
        help="Whom to look at: the venue's leaderboards; who traded in the most traded markets; or a file of wallets,"
        " one a line, CSV or JSON.",
    ),
    most: int = typer.Option(MOST, "--most", min=1, max=MOST_CANDIDATES, help="Most candidates."),
    category: list[str] = typer.Option([], "--category", help="Leaderboards of this category alone; repeatable."),
    budget: int = typer.Option(BUDGET, "--budget", min=0, help="Most requests; 0 = only what was read before."),
    days: int = typer.Option(
        DAYS, "--days", min=LEAST_DAYS, max=LONGEST_DAYS, help="How far back, in whole days (UTC) before today."
    ),
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
        found = _search(env, _wanted(env, source, most, category, budget, days), processes, dask)
        if out is not None:
            write_found(found, out)
    wanted = None if verdict == _ANY else Verdict(verdict.replace(" ", "_"))
    rows = [r for r in found.rows if (wanted is None or r.verdict is wanted) and r.events >= min_events]
    if as_json:
        session.print_json(found_told.answer_of(found, rows))
    else:
        found_told.print_found(found, rows, found_told.BOARD.view(columns, wide=wide))


def _search(env: dict[str, Value], wanted: Wanted, processes: int, dask: str) -> Found:
    with keeps_what_is_read(), _bar() as told:
        found = found_by(
            env, wanted, int(time.time()), told, processes=processes or os.cpu_count() or 1, cluster=dask
        )  # fmt: skip
    _keep(env, wanted, found)
    return found


def _wanted(env: dict[str, Value], source: str, most: int, categories: Sequence[str], budget: int, days: int) -> Wanted:
    """What is searched, with the settings in effect for the main portfolio."""
    with snapshot(session.reading(env, as_json=True)) as c:
        values = settings_store.policy_values(env, settings_store.load(c), MAIN, None, {})
    given = () if source in (SearchSource.LEADERBOARD, SearchSource.MARKETS) else _from_file(source, most)
    return Wanted(
        source=SearchSource.WALLETS if given else SearchSource(source), wallets=given, categories=tuple(categories),
        most=most, budget=budget, days=days, values=values,
    )  # fmt: skip


def _from_file(source: str, most: int) -> tuple[Candidate, ...]:
    """The wallets of a file; lines that hold none are named."""
    if not Path(source).exists():
        raise UnknownNameError(
            f"--from {source!r} is no file, and neither {SearchSource.LEADERBOARD} nor {SearchSource.MARKETS}"
        )
    read = read_wallets(Path(source))
    for line in read.bad[:MOST_NAMED]:
        print(f"{source}, {line}; left out", file=sys.stderr)
    if len(read.bad) > MOST_NAMED:
        print(f"{source}: and {count(len(read.bad) - MOST_NAMED)} more without a wallet", file=sys.stderr)
    return tuple(Candidate(wallet=one.wallet, name=one.name) for one in read.candidates[:most])


def _keep(env: dict[str, Value], wanted: Wanted, found: Found) -> None:
    """Keep what was found where the dashboard finds it; where there is no database to write to, it is only shown."""
    kept = msgspec.to_builtins(found)
    session.keep(env, lambda c: searches_store.keep(c, wanted, at=session.now(), by="terminal", found=kept))


@contextmanager
def _bar() -> Iterator[Callable[[Told], None]]:
    """A bar of what is done."""
    with bar() as (progress, task):
        doing = ""

        def told(at: Told) -> None:
            nonlocal doing
            if at.stage != doing:
                doing = at.stage
                progress.reset(task, total=at.of, description=doing)
            progress.update(task, completed=at.done, total=at.of, worked=at.worked)

        yield told
