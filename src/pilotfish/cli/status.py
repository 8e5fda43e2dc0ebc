"""``status``, ``verify`` and ``latency``."""

from __future__ import annotations

import time

import msgspec
import typer
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.markup import escape
from rich.table import Table
from sqlalchemy import Engine

from pilotfish.cli import session
from pilotfish.core.numerals import duration, money
from pilotfish.store import worker_state
from pilotfish.store.copies import WORDS
from pilotfish.store.database import snapshot
from pilotfish.store.verify import verify as recompute
from pilotfish.store.views.latency import Latency, Percentiles, read_latency
from pilotfish.store.views.leaders import Leader, became, read_leaders
from pilotfish.store.views.portfolios import Counts, Portfolio, read_counts, read_portfolios
from pilotfish.store.views.sources import BadInputTold, Gap, read_bad_inputs, read_gaps
from pilotfish.store.worker_state import (
    ApiState,
    BooksState,
    ChainState,
    DashboardState,
    DatabaseState,
    Ended,
    WorkerState,
)

WATCH_SECONDS = 2.0


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that ``status`` shows, for machines; ``worker`` is what it says of itself."""

    running: bool
    ended: Ended | None
    last_sign_of_life_sec: float | None
    not_ready: list[str]
    mode: dict[str, str | None]
    worker: dict[str, object] | None
    leaders: list[Leader]
    portfolios: list[Portfolio]
    counts: Counts
    latency: Latency
    incomplete: list[Gap]
    bad_inputs: int
    newest_bad_inputs: list[BadInputTold]


def collect(database: Engine) -> tuple[WorkerState | None, Status]:
    """What the worker says of itself, and everything that ``status`` shows."""
    with snapshot(database) as c:
        worker, age = worker_state.read(c)
        bad = read_bad_inputs(c)
        return worker, Status(
            running=worker_state.alive(worker, age),
            ended=worker.ended if worker is not None else None,
            last_sign_of_life_sec=round(age, 1) if age is not None else None,
            not_ready=worker_state.not_ready(worker, age),
            mode=worker.mode.as_json() if worker is not None else {},
            worker=worker.as_json() if worker is not None else None,
            leaders=read_leaders(c),
            portfolios=read_portfolios(c),
            counts=read_counts(c),
            latency=read_latency(c),
            incomplete=read_gaps(c),
            bad_inputs=len(bad),
            newest_bad_inputs=[BadInputTold(at=one.at, source=one.source, error=one.error) for one in bad[:5]],
        )


def status(
    as_json: bool = typer.Option(False, "--json", help="Print JSON."),
    watch: bool = typer.Option(False, "--watch", help="Show it again every two seconds, until Ctrl-C."),
) -> None:
    """Is it working, how are we doing. Exit code 0 while a worker runs and copying can go on."""
    database = session.reading(session.begin(), as_json=as_json, code=1)
    if watch and not as_json:
        _watch(database)
    worker, state = collect(database)
    if as_json:
        session.print_json(state)
    else:
        Console().print(_screen(worker, state))
    raise typer.Exit(1 if state.not_ready else 0)


def _watch(database: Engine) -> None:
    with Live(_screen(*collect(database)), auto_refresh=False) as live:
        while True:
            time.sleep(WATCH_SECONDS)  # between two looks
            live.update(_screen(*collect(database)), refresh=True)


def _screen(worker: WorkerState | None, state: Status) -> Group:
    """One screen."""
    lines: list[RenderableType] = []
    if worker is None:
        lines.append("No worker has run on this database yet: pilotfish run")
        return Group(*lines)
    running, mode = state.running, worker.mode
    life = _sign_of_life(worker, state)
    lines.append(f"worker {life}   mode {mode.effective or 'not known yet'} (from {mode.source or 'nothing'})")
    sources = Table("source", "state", "detail")
    parts: list[tuple[str, ApiState | ChainState | BooksState | DatabaseState | DashboardState]] = [
        ("Data API", worker.api), ("Polygon", worker.polygon), ("books", worker.books), ("database", worker.database),
    ]  # fmt: skip
    parts += [("dashboard", worker.dashboard)] if worker.dashboard.enabled else []
    for name, part in parts:
        off = part.off if isinstance(part, ChainState) else ""
        sources.add_row(name, "off" if off else _light(part.healthy, running), escape(off or part.detail))
    if not worker.journal.healthy:
        sources.add_row("journal", "[yellow]▲ not written[/]", escape(worker.journal.detail))
    lines.append(sources)
    lines += [
        f"{escape(p.name)}: equity {money(p.equity_micro)}, cash {money(p.cash_micro)},"
        f" realised {money(p.realized_pnl_micro)}, unrealised {money(p.unrealized_pnl_micro)},"
        f" fees {money(p.fees_micro)}, {p.open_positions} open positions"
        + (
            f"; nobody bids for {money(p.unmarked_value_micro)} of it, without that the equity is"
            f" {money(p.equity_pessimistic_micro)}"
            if p.unmarked_value_micro
            else ""
        )
        for p in state.portfolios
    ]
    counts = state.counts
    told = ", ".join(f"{n} {WORDS[s]}" for s, n in became(counts.decisions).items())
    lines.append(
        f"{len(state.leaders)} leaders, {counts.trades} trades ({counts.seen_by_both} seen by both sources),"
        f" {counts.decisions.copied} copied ({told}), {sum(counts.decisions.skipped.values())} skipped,"
        f" {counts.fills} fills"
    )
    lines += [f"[yellow]▲[/] {escape(gap.told)}" for gap in state.incomplete]
    lines += [
        f"[red]▲[/] {escape(name)}: an error of this program, {fault.count} times: {escape(fault.error)}"
        for name, fault in worker.faults.items()
    ]
    lines += [
        f"[yellow]▲[/] {bad.at[:19]} {escape(bad.source)}: {escape((bad.error or '')[:160])}"
        for bad in state.newest_bad_inputs
    ]
    if worker.alerts.error:
        lines.append(f"[yellow]▲[/] alerts cannot be sent: {escape(worker.alerts.error)}")
    return Group(*lines)


def _light(healthy: bool, running: bool) -> str:
    """A part's light; of a worker that does not run only what was."""
    if not running:
        return "[dim]○ was ok[/]" if healthy else "[red]▲ was down[/]"
    return "[green]● ok[/]" if healthy else "[red]▲ down[/]"


def _sign_of_life(worker: WorkerState, state: Status) -> str:
    """The worker's light: running, stopped, ended by a fault (with the cause), or silent."""
    if state.running:
        return "[green]● running[/]"
    if worker.ended is not None:
        told = escape(worker.ended.told())
        return f"[yellow]○ {told}[/]" if worker.ended.clean else f"[red]✗ ended by a fault: {told}[/]"
    return f"[red]▲ said nothing for {duration(round(1000 * (state.last_sign_of_life_sec or 0)))}[/]"


def verify(as_json: bool = typer.Option(False, "--json", help="Print JSON.")) -> None:
    """Recompute the books from what only grows, and name every difference. What is missing of a leader's history is a
    note: the books are right without it."""
    with snapshot(session.reading(session.begin(), as_json=as_json)) as c:
        found = recompute(c)
        gaps = read_gaps(c)
    if as_json:
        session.print_json({"verify": found or "ok", **({"incomplete": gaps} if gaps else {})})
    else:
        print("\n".join(found) or "ok: identities, decisions, positions, cash and holdings agree")
        print("\n".join(f"note: {gap.told}" for gap in gaps), end="\n" if gaps else "")
    raise typer.Exit(1 if found else 0)


def latency(as_json: bool = typer.Option(False, "--json", help="Print JSON.")) -> None:
    """Chain against API: who sees trades first, and how late the other is."""
    with snapshot(session.reading(session.begin(), as_json=as_json)) as c:
        figures = read_latency(c)
    if as_json:
        session.print_json(figures)
        return
    console = Console()
    after = _told(figures.seen_after_match_ms.api)
    console.print(f"the API showed trades after their match: {after or 'none yet'}")
    if figures.off.get("polygon"):
        console.print(f"Polygon is off: {figures.off['polygon']}")
    if figures.chain_first is None:
        console.print("chain and API cannot be compared: the chain was off when these trades were made")
        return
    behind = _told(figures.api_behind_chain_ms)
    console.print(f"{figures.seen_by_both} trades seen by both; API behind the chain: {behind or 'none yet'}")
    console.print(f"first: chain {figures.chain_first}, API {figures.api_first}")
    console.print(f"only chain {figures.only_polygon}, only API {figures.only_api}, lagged {figures.api_lagged}")
    table = Table("API behind the chain by", "trades", "")
    most = max((b.trades for b in figures.histogram), default=0)
    for bucket in figures.histogram:
        low, high = bucket.from_ms, bucket.to_ms
        name = f"under {high} ms" if low is None else f"{low} ms and more" if high is None else f"{low} … {high} ms"
        table.add_row(name, str(bucket.trades), "█" * round(30 * bucket.trades / most) if most else "")
    console.print(table)


def _told(p: Percentiles) -> str:
    """Percentiles on a line; nothing of nothing."""
    named = (("p50", p.p50), ("p90", p.p90), ("p99", p.p99))
    return ", ".join(f"{name} {ms} ms" for name, ms in named if ms is not None)
