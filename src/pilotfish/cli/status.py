"""``status``, ``verify``, ``latency`` and ``reset``."""

from __future__ import annotations

import time
from typing import Any

import typer
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.markup import escape
from rich.table import Table
from sqlalchemy import Engine

from pilotfish.app.health import not_ready
from pilotfish.app.lease import LeaseError
from pilotfish.app.reset import reset_now
from pilotfish.cli import session
from pilotfish.core.numerals import duration, money
from pilotfish.store import commands_store, latencies, portfolios_store, queries, summaries
from pilotfish.store.database import snapshot
from pilotfish.store.verify import verify as recompute

RESET_SECONDS = 15.0
WATCH_SECONDS = 2.0


def collect(database: Engine) -> dict[str, Any]:
    """Everything that ``status`` shows."""
    with snapshot(database) as c:
        worker, age = summaries.worker(c)
        return {
            "running": age is not None and age < summaries.ALIVE_SECONDS,
            "last_sign_of_life_sec": round(age, 1) if age is not None else None,
            "mode": (worker or {}).get("mode", {}),
            "worker": worker,
            "leaders": queries.leaders(c),
            "portfolios": summaries.portfolios(c),
            "counts": summaries.counts(c),
            "latency": latencies.latency(c),
            "bad_inputs": len(bad := summaries.bad_inputs(c)),
            "newest_bad_inputs": [{k: row[k] for k in ("at", "source", "error")} for row in bad[:5]],
        }


def status(
    as_json: bool = typer.Option(False, "--json", help="Print JSON."),
    watch: bool = typer.Option(False, "--watch", help="Show it again every two seconds, until Ctrl-C."),
) -> None:
    """Is it working, how are we doing. Exit code 0 while a worker runs and copying can go on."""
    database = session.database(session.begin())
    if watch and not as_json:
        _watch(database)
    state = collect(database)
    if as_json:
        session.print_json(state)
    else:
        Console().print(_screen(state))
    raise typer.Exit(1 if not_ready(state["worker"], state["last_sign_of_life_sec"]) else 0)


def _watch(database: Engine) -> None:
    with Live(_screen(collect(database)), auto_refresh=False) as live:
        while True:
            time.sleep(WATCH_SECONDS)  # between two looks
            live.update(_screen(collect(database)), refresh=True)


def _screen(state: dict[str, Any]) -> Group:
    """One screen."""
    lines: list[RenderableType] = []
    worker = state["worker"]
    if worker is None:
        lines.append("No worker has run on this database yet: pilotfish run")
        return Group(*lines)
    age = state["last_sign_of_life_sec"]
    mode = state["mode"]
    stopped = f"[red]○ stopped {duration(round(1000 * age))} ago[/]"
    lines.append(
        f"worker {'[green]● running[/]' if state['running'] else stopped}"
        f"   mode {mode.get('effectiveTriggerMode')} (from {mode.get('source')})"
    )
    sources = Table("source", "state", "detail")
    for name, key in (("Data API", "api"), ("Polygon", "polygon"), ("books", "books"), ("database", "database")):
        part = worker[key]
        off = key == "polygon" and not part["enabled"]
        sign = "off" if off else "[green]● ok[/]" if part["healthy"] else "[red]▲ down[/]"
        sources.add_row(name, sign, escape(str(part.get("detail", ""))))
    lines.append(sources)
    lines += [
        f"{escape(p['name'])}: equity {money(p['equity_micro'])},"
        f" cash {money(p['cash_micro'])},"
        f" realised {money(p['realized_pnl_micro'])},"
        f" unrealised {money(p['unrealized_pnl_micro'])},"
        f" fees {money(p['fees_micro'])}, {p['open_positions']} open positions"
        for p in state["portfolios"]
    ]
    counts = state["counts"]
    lines.append(
        f"{len(state['leaders'])} leaders, {counts['trades']} trades ({counts['seen_by_both']} seen by both sources),"
        f" {counts['decisions']['copied']} copied, {sum(counts['decisions']['skipped'].values())} skipped,"
        f" {counts['fills']} fills"
    )
    lines += [
        f"[yellow]▲[/] {bad['at'][:19]} {escape(bad['source'])}: {escape(bad['error'][:160])}"
        for bad in state["newest_bad_inputs"]
    ]
    if worker.get("alerts", {}).get("error"):
        lines.append(f"[yellow]▲[/] alerts cannot be sent: {escape(worker['alerts']['error'])}")
    return Group(*lines)


def verify(as_json: bool = typer.Option(False, "--json", help="Print JSON.")) -> None:
    """Recompute the books from what only grows, and name every difference."""
    database = session.database(session.begin())
    with snapshot(database) as c:
        found = recompute(c)
    if as_json:
        session.print_json({"verify": found or "ok"})
    else:
        print("\n".join(found) or "ok: identities, decisions, positions, cash and holdings agree")
    raise typer.Exit(1 if found else 0)


def reset(
    yes: bool = typer.Option(False, "--yes", help="Do it without asking."),
    portfolio: str = typer.Option("", "--portfolio", help="Only this portfolio."),
) -> None:
    """Wipe the paper state: positions, intents, fills, ledger, equity. Trades, leaders and settings stay."""
    reset_paper(portfolio, yes=yes)


def reset_paper(portfolio: str, *, yes: bool) -> None:
    """Reset one portfolio, or all (empty): by the worker if one runs, else here."""
    if not yes:
        typer.confirm(f"Wipe positions, fills and ledger of {portfolio or 'all portfolios'}?", abort=True)
    database = session.database(session.begin())
    name = portfolio or None
    if name is not None:
        with snapshot(database) as c:
            portfolios_store.find(c, name)
    try:
        reset_now(database, name, by="terminal")
    except LeaseError:
        _ask_worker(database, name)
    print(f"paper state of {portfolio or 'all portfolios'} is reset")


def _ask_worker(database: Engine, portfolio: str | None) -> None:
    """A worker runs: it does the reset, between two events."""
    with database.begin() as c:
        number = commands_store.ask(c, "reset", {"portfolio": portfolio}, at=session.now(), by="terminal")
    if commands_store.wait(database, number, RESET_SECONDS) is None:
        raise LeaseError(f"the worker did not do the reset within {RESET_SECONDS:.0f} s; it stays asked for")


def latency(as_json: bool = typer.Option(False, "--json", help="Print JSON.")) -> None:
    """Chain against API: who sees trades first, and how late the other is."""
    with snapshot(session.database(session.begin())) as c:
        figures = latencies.latency(c)
    if as_json:
        session.print_json(figures)
        return
    console = Console()
    behind = ", ".join(f"{p} {ms} ms" for p, ms in figures["api_behind_chain_ms"].items())
    console.print(f"{figures['seen_by_both']} trades seen by both; API behind the chain: {behind}")
    console.print(f"first: chain {figures['chain_first']}, API {figures['api_first']}")
    console.print(
        f"only chain {figures['only_polygon']}, only API {figures['only_api']}, lagged {figures['api_lagged']}"
    )
    table = Table("API behind the chain by", "trades", "")
    most = max((b["trades"] for b in figures["histogram"]), default=0)
    for bucket in figures["histogram"]:
        low, high = bucket["from_ms"], bucket["to_ms"]
        name = f"under {high} ms" if low is None else f"{low} ms and more" if high is None else f"{low} … {high} ms"
        table.add_row(name, str(bucket["trades"]), "█" * round(30 * bucket["trades"] / most) if most else "")
    console.print(table)
