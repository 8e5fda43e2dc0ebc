"""``history``: the past of wallets, before they are followed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import msgspec
import typer

from pilotfish.app.config import history_place, process_value
from pilotfish.app.pulls import pulled_of
from pilotfish.cli import printed, session
from pilotfish.cli.printed import Column, Table
from pilotfish.cli.progress import bar
from pilotfish.cli.stopping import keeps_what_is_read
from pilotfish.core.numerals import count
from pilotfish.core.problem import Problem
from pilotfish.core.settings import Value
from pilotfish.history.check import Checked
from pilotfish.history.check import check as check_history
from pilotfish.history.columns import SHAPES
from pilotfish.history.folder import History, damaged
from pilotfish.history.pull import BEGINNING, Pulled, Told
from pilotfish.history.records import Missing
from pilotfish.history.summary import Summary, forget, span_of, summarize
from pilotfish.polymarket.contracts import is_wallet
from pilotfish.polymarket.history_api import history_api
from pilotfish.polymarket.http import make_session
from pilotfish.store import names
from pilotfish.store.database import snapshot
from pilotfish.store.leaders_store import wallet_of
from pilotfish.web.preview import Preview

app = typer.Typer(help="Read the past of wallets before they are followed.", no_args_is_help=True)
DAY = 86_400
SHOWN = 20
"""Missing windows that are printed one by one."""
LIST: Table[Summary] = Table(
    Column("wallet", lambda s: s.wallet, 1),
    Column("from", lambda s: _day(s.first_at or s.from_at), 4),
    Column("to", lambda s: _day(s.to_at), 5),
    Column("trades", lambda s: count(s.trades), 2, right=True),
    Column("markets", lambda s: count(s.markets), 6, right=True),
    Column("settled", lambda s: count(s.settled), 7, right=True),
    Column("MB", lambda s: f"{s.bytes / 1e6:.1f}", 8, right=True),
    Column("complete", lambda s: "yes" if not s.missing else f"no, {count(len(s.missing))} missing", 3),
    Column("combos", lambda s: count(s.combos), 9, right=True, extra=True),
    Column("tokens", lambda s: count(s.tokens), 10, right=True, extra=True),
    Column("files", lambda s: count(s.files), 11, right=True, extra=True),
)
_WHO = typer.Argument(metavar="WHO...", help="A wallet, a leader's label, a user name, or the URL of a profile.")


class NoHistoryError(Problem):
    """There is no history of a wallet."""


@app.command("pull")
def pull(
    who: list[str] = _WHO,
    days: int = typer.Option(90, "--days", min=1, max=4000, help="How far back."),
    everything: bool = typer.Option(False, "--all", help="From the very beginning."),
    budget: int = typer.Option(0, "--budget", min=0, help="Most requests for each wallet; 0 = any number."),
    again: bool = typer.Option(False, "--again", help="Ask once more for what the venue did not give whole."),
    as_json: bool = typer.Option(False, "--json", help="Print JSON."),
) -> None:
    """Read what is not there yet of somebody's past. Stopped with Ctrl-C, or killed, it goes on where it was."""
    env = session.begin()
    history = History(history_place(env))
    now = int(time.time())
    from_at = BEGINNING if everything else now - days * DAY
    answers: list[dict[str, object]] = []
    failed = False
    for wallet in wallets_of(env, who):
        with keeps_what_is_read(), progress_bar() as told:
            pulled = asyncio.run(pulled_of(env, history, wallet, from_at, now, budget or None, again, told))
        summary = summarize(history, wallet, from_at, now)
        failed = failed or any(m.kind == "activity" for m in summary.missing)
        answers.append({**_answer(summary), **msgspec.to_builtins(pulled)})
        if not as_json:
            _print_pulled(pulled, summary)
    if as_json:
        session.print_json(answers)
    if failed:
        raise typer.Exit(1)


@contextmanager
def progress_bar() -> Iterator[Callable[[Told], None]]:
    """One bar for all that a pull does, on the terminal alone."""
    of = "{task.fields[rows]:,} rows, {task.fields[requests]:,} requests"
    with bar(of, rows=0, requests=0) as (progress, task):
        stage = ""

        def told(at: Told) -> None:
            nonlocal stage
            if at.stage != stage:
                stage = at.stage
                progress.reset(task, total=at.of if at.of > 1 else None, description=stage)
            progress.update(task, completed=at.done, rows=at.rows, requests=at.requests)

        yield told


def _print_pulled(pulled: Pulled, summary: Summary) -> None:
    print(summary.sentence)
    print(f"{pulled.wallet}: {count(pulled.rows)} rows read with {count(pulled.requests)} requests.")
    if not summary.trades:
        print(f"No trades {_span(summary)}: there is nothing to look back at.")
    elif summary.combos and not summary.markets:
        print(f"All {count(summary.trades)} trades are combos, which are not copied: there is nothing to look back at.")
    if pulled.budget_spent:
        print("The requests are used up; the same command goes on from here.")
    for why in pulled.failures[:SHOWN]:
        print(f"  {why}")
    if len(pulled.failures) > SHOWN:
        print(f"  and {count(len(pulled.failures) - SHOWN)} more")


@app.command("list")
def list_(
    as_json: bool = typer.Option(False, "--json", help="Print JSON."),
    columns: str = LIST.option,
    wide: bool = printed.WIDE,
) -> None:
    """Whose past there is."""
    view = LIST.view(columns, wide=wide)
    env = session.begin()
    history = History(history_place(env))
    summaries = [
        summarize(history, wallet, *span)
        for wallet in history.keys("activity")
        if (span := span_of(history, wallet)) is not None
    ]
    if as_json:
        session.print_json([_answer(s) for s in summaries])
        return
    if not summaries:
        print(f"No history at {history}: pilotfish history pull WALLET --days 90")
        return
    view.print(summaries)


@app.command("show")
def show(
    who: str = _WHO,
    as_json: bool = typer.Option(False, "--json", help="Print JSON."),
) -> None:
    """What there is of somebody's past, and what is missing of it."""
    env = session.begin()
    history = History(history_place(env))
    wallet = wallets_of(env, [who])[0]
    summary = summarize(history, wallet, *asked(history, wallet))
    if as_json:
        session.print_json(_answer(summary))
        return
    print(summary.sentence)
    print(f"{wallet} {_span(summary)}, at {history}")
    print("  ".join(f"{kind} {count(n)}" for kind, n in summary.deeds.items()) or "no activity")
    print(f"{count(summary.markets)} markets, {count(summary.settled)} settled; {count(summary.files)} files")
    for gap in summary.missing[:SHOWN]:
        print(f"  {_gap(gap)}")
    if len(summary.missing) > SHOWN:
        print(f"  and {count(len(summary.missing) - SHOWN)} more (--json names all)")


@app.command("check")
def check(
    who: list[str] = _WHO,
    offline: bool = typer.Option(False, "--offline", help="Do not ask the venue what was made."),
    as_json: bool = typer.Option(False, "--json", help="Print JSON."),
) -> None:
    """Compare balances by activity with positions, and what was made with the venue's figure; name damaged files."""
    env = session.begin()
    history = History(history_place(env))
    wallets = wallets_of(env, who)
    for wallet in wallets:
        asked(history, wallet)
    found = asyncio.run(_check(env, history, wallets, offline=offline))
    if as_json:
        session.print_json([{"check": "ok" if c.good else "differs", **msgspec.to_builtins(c)} for c in found])
    else:
        for checked in found:
            _print_checked(checked)
    if not all(checked.good for checked in found):
        raise typer.Exit(1)


async def _check(env: dict[str, Value], history: History, wallets: list[str], *, offline: bool) -> list[Checked]:
    async with make_session() as http:
        api = history_api(http, process_value(env, "data_api_url"), process_value(env, "gamma_api_url"))
        return [await check_history(history, None if offline else api, wallet) for wallet in wallets]


def _print_checked(checked: Checked) -> None:
    if checked.missing:
        print(f"Incomplete: activity lacks {count(len(checked.missing))} windows; this rests on the rest.")
    state = (
        "hangs together" if checked.good else f"{count(len(checked.differences) + len(checked.damaged))} differences"
    )
    print(f"{checked.wallet}: {state}; {count(checked.tokens)} tokens compared")
    for line in [*(d.told for d in checked.differences), *checked.damaged, *checked.notes]:
        print(f"  {line}")


@app.command("remove")
def remove(
    who: list[str] = typer.Argument(None, help="Whose history."),
    broken: bool = typer.Option(False, "--damaged", help="Every file that cannot be read, of anybody."),
    yes: bool = typer.Option(False, "--yes", help="Do it without asking."),
) -> None:
    """Remove somebody's history, and of markets what nobody else's needs; or damaged files."""
    env = session.begin()
    history = History(history_place(env))
    if broken:
        every = {kind: history.keys(kind) for kind in SHAPES}
        files = [kept for kept, _ in damaged(history, every)]
        for kept in files:
            history.remove(kept.kind, kept.key, kept.window)
        print(f"{count(len(files))} damaged files are removed; the next pull reads them anew")
    if not who and not broken:
        raise typer.BadParameter("say whose history, or --damaged")
    for wallet in wallets_of(env, who or []):
        asked(history, wallet)
        if not yes:
            typer.confirm(f"Remove the history of {wallet}?", abort=True)
        print(f"{count(forget(history, wallet))} files of {wallet} are removed")


# -- words and names ---------------------------------------------------------------------------------------------------


def wallets_of(env: dict[str, Value], who: list[str]) -> list[str]:
    """The wallets of what was given: wallets, labels of leaders, and what the venue has to be asked for."""
    with snapshot(session.reading(env, as_json=True)) as c:
        called = {label.casefold(): wallet for wallet, label in names.labels(c).items() if label}
    known = {text: wallet_of(text) if is_wallet(text.strip()) else called.get(text.casefold(), "") for text in who}
    asked = [text for text, wallet in known.items() if not wallet]
    return list(dict.fromkeys((known | (asyncio.run(_ask(env, asked)) if asked else {})).values()))


async def _ask(env: dict[str, Value], who: list[str]) -> dict[str, str]:
    venue = Preview(env)
    try:
        return {text: await venue.wallet_of(text) for text in who}
    finally:
        await venue.close()


def asked(history: History, wallet: str) -> tuple[int, int]:
    """From when to when (epoch seconds) a wallet's history was asked for. Raises :class:`NoHistoryError`."""
    span = span_of(history, wallet)
    if span is None:
        raise NoHistoryError(
            f"there is no history of {wallet} at {history}; `pilotfish history pull {wallet}` reads it"
        )
    return span


def _answer(summary: Summary) -> dict[str, object]:
    told: dict[str, object] = msgspec.to_builtins(summary)
    return {"complete": True if not summary.missing else told["missing"], **told}


def _gap(gap: Missing) -> str:
    return f"{gap.kind} {gap.key}: {_second(gap.from_at)} to {_second(gap.to_at)} {gap.why}"


def _span(summary: Summary) -> str:
    begun = "the beginning" if summary.from_at == BEGINNING else _day(summary.from_at)
    return f"from {begun} to {_day(summary.to_at)}"


def _day(second: int) -> str:
    return _second(second)[:10]


def _second(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).isoformat().replace("+00:00", "Z")
