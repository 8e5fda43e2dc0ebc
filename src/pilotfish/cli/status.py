"""``status`` and ``latency``."""

from __future__ import annotations

import sys
import time
from typing import NamedTuple, TypeAlias

import msgspec
import typer
from rich.console import Group
from rich.live import Live
from rich.text import Text
from sqlalchemy import Engine

from pilotfish.cli import printed, session
from pilotfish.cli.decided import decided
from pilotfish.cli.printed import Column, Part, Table, say, sentence
from pilotfish.core.numerals import count, duration, gain, money, plural
from pilotfish.store import worker_state
from pilotfish.store.database import snapshot
from pilotfish.store.views.foremost import foremost
from pilotfish.store.views.latency import Bucket, Latency, Percentiles, read_latency
from pilotfish.store.views.leaders import Leader, read_leaders
from pilotfish.store.views.portfolios import Counts, Portfolio, read_counts, read_portfolios
from pilotfish.store.views.sources import BadInputTold, Gap, read_bad_inputs, read_gaps
from pilotfish.store.worker_state import (
    ApiState,
    BooksState,
    ChainState,
    DashboardState,
    DatabaseState,
    Ended,
    StandbyState,
    WorkerState,
    process_told,
)

WATCH_SECONDS = 2.0
MOST_PORTFOLIOS = 20
"""Portfolios that a terminal shows."""
NOTE = ("▲ ", "yellow")


class _Source(NamedTuple):
    """A part of the worker."""

    name: str
    state: Part
    detail: str


SOURCES: Table[_Source] = Table(
    Column("source", lambda one: one.name, 1),
    Column("state", lambda one: one.state, 2),
    Column("detail", lambda one: one.detail, 3, least=20),
)
PORTFOLIOS: Table[Portfolio] = Table(
    Column("portfolio", lambda p: p.name, 1),
    Column("equity", lambda p: money(p.equity_micro), 2, right=True),
    Column("cash", lambda p: money(p.cash_micro), 3, right=True),
    Column("realised", lambda p: gain(p.realized_pnl_micro), 4, right=True),
    Column("unrealised", lambda p: gain(p.unrealized_pnl_micro), 5, right=True),
    Column("fees", lambda p: money(p.fees_micro), 7, right=True),
    Column("open", lambda p: count(p.open_positions), 6, right=True),
)


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that ``status`` shows, for machines; ``worker`` is what it says of itself."""

    running: bool
    ended: Ended | None
    last_sign_of_life_sec: float | None
    not_ready: list[str]
    mode: dict[str, str | None]
    worker: dict[str, object] | None
    standby: list[StandbyState]
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
        worker, age = worker_state.read(c, leaders=True)
        bad = read_bad_inputs(c)
        return worker, Status(
            running=worker_state.alive(worker, age),
            ended=worker.ended if worker is not None else None,
            last_sign_of_life_sec=round(age, 1) if age is not None else None,
            not_ready=worker_state.not_ready(worker, age),
            mode=worker.mode.as_json() if worker is not None else {},
            worker=worker.as_json() if worker is not None else None,
            standby=worker_state.standbys(c),
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
    columns: str = PORTFOLIOS.option,
    wide: bool = printed.WIDE,
) -> None:
    """Is it working, how are we doing. Exit code 0 while a worker runs and copying can go on."""
    view = PORTFOLIOS.view(columns, wide=wide)
    database = session.reading(session.begin(), as_json=as_json, code=1)
    if watch and not as_json:
        _watch(database, view)
    worker, state = collect(database)
    if as_json:
        session.print_json(state)
    else:
        printed.print_lines(_screen(worker, state, view))
    raise typer.Exit(1 if state.not_ready else 0)


def _watch(database: Engine, view: printed.View[Portfolio]) -> None:
    with Live(Group(*_screen(*collect(database), view)), auto_refresh=False) as live:
        while True:
            time.sleep(WATCH_SECONDS)  # between two looks
            live.update(Group(*_screen(*collect(database), view)), refresh=True)


def _screen(worker: WorkerState | None, state: Status, view: printed.View[Portfolio]) -> list[Text]:
    """One screen."""
    if worker is None:
        return [sentence("No worker has run on this database yet: pilotfish run")]
    mode, counts = worker.mode, state.counts
    lines = [
        sentence(
            "worker ", _sign_of_life(worker, state),
            f"; mode {mode.effective or 'not known yet'} (from {mode.source or 'nothing'})",
        )
    ]  # fmt: skip
    lines += [
        sentence(f"a standby waits to take over: {s.process}, for {duration(round(1000 * (time.time() - s.since)))}")
        for s in state.standby
    ]
    if (last := worker.took_over) is not None:
        ago = duration(round(1000 * (time.time() - last.at)))
        lines.append(sentence(f"last taken over {ago} ago: by {process_told(last.pid, last.host)}, from {last.over}"))
    lines += SOURCES.view(wide=view.wide, more="--wide").lines(_sources(worker, running=state.running))
    active = [p for p in state.portfolios if p.status == "active"]
    some = foremost(active, MOST_PORTFOLIOS) if sys.stdout.isatty() else active
    lines += [sentence(""), *view.lines(some)]
    if len(some) < len(active):
        lines.append(
            sentence(
                f"main, the best and the worst by what they made of their bankroll; {count(len(active) - len(some))}"
                " more: pilotfish portfolio list"
            )
        )
    lines.append(sentence(""))
    lines += [
        sentence(
            f"{p.name}: nobody bids for {money(p.unmarked_value_micro)} of it, without that the equity is"
            f" {money(p.equity_pessimistic_micro)}"
        )
        for p in some
        if p.unmarked_value_micro
    ]
    lines.append(
        sentence(
            f"{plural(len(state.leaders), 'leader')}, {plural(counts.trades, 'trade')} ({count(counts.seen_by_both)}"
            f" seen by both sources); {decided(counts.decisions, len(state.portfolios))};"
            f" {plural(counts.fills, 'fill')}"
        )
    )
    lines += [sentence(NOTE, gap.told) for gap in state.incomplete]
    lines += [
        sentence(("▲ ", "red"), f"{name}: an error of this program, {plural(fault.count, 'time')}: {fault.error}")
        for name, fault in worker.faults.items()
    ]
    lines += [
        sentence(NOTE, f"{bad.at[:19].replace('T', ' ')} {bad.source}: {bad.error or ''}")
        for bad in state.newest_bad_inputs
    ]
    if worker.provider.events or worker.provider.calls:
        lines.append(sentence(worker.provider.told()))
    if worker.alerts.error:
        lines.append(sentence(NOTE, f"alerts cannot be sent: {worker.alerts.error}"))
    return lines


def _sources(worker: WorkerState, *, running: bool) -> list[_Source]:
    """What the worker is made of, and how each part is."""
    parts: list[tuple[str, ApiState | ChainState | BooksState | DatabaseState | DashboardState]] = [
        ("Data API", worker.api), ("Polygon", worker.polygon), ("books", worker.books), ("database", worker.database),
    ]  # fmt: skip
    parts += [("dashboard", worker.dashboard)] if worker.dashboard.enabled else []
    found = []
    for name, part in parts:
        off = part.off if isinstance(part, ChainState) else ""
        told = off or part.detail
        if not off and not running and isinstance(part, ApiState | ChainState):
            told = part.was(time.time())
        if isinstance(part, ChainState) and not off and (delivery := part.delivery()):
            told = f"{told}; {delivery}"
        found.append(_Source(name, "off" if off else _light(part.healthy, running), told))
    if not worker.journal.healthy:
        found.append(_Source("journal", ("▲ not written", "yellow"), worker.journal.detail))
    if not worker.recording.healthy:
        found.append(_Source("recorded books", ("▲ not written", "yellow"), worker.recording.detail))
    return found


def _light(healthy: bool, running: bool) -> Part:
    """A part's light; of a worker that does not run only what was."""
    if not running:
        return ("○ was ok", "dim") if healthy else ("▲ was down", "red")
    return ("● ok", "green") if healthy else ("▲ down", "red")


def _sign_of_life(worker: WorkerState, state: Status) -> Part:
    """The worker's light: running, stopped, ended by a fault (with the cause), or silent."""
    if state.running:
        return "● running", "green"
    if worker.ended is not None:
        told = worker.ended.told()
        return (f"○ {told}", "yellow") if worker.ended.clean else (f"✗ ended by a fault: {told}", "red")
    return f"▲ said nothing for {duration(round(1000 * (state.last_sign_of_life_sec or 0)))}", "red"


_Lateness: TypeAlias = tuple[Bucket, int]
"""A class of the histogram, and how many trades the fullest has."""


def _between(one: _Lateness) -> str:
    low, high = one[0].from_ms, one[0].to_ms
    if low is None or high is None:
        return f"{count(low)} ms and more" if low is not None else f"under {count(high or 0)} ms"
    return f"{count(low)} to {count(high)} ms"


BEHIND: Table[_Lateness] = Table(
    Column("API behind the chain by", _between, 1),
    Column("trades", lambda one: count(one[0].trades), 2, right=True),
    Column("share", lambda one: "█" * round(30 * one[0].trades / one[1]) if one[1] else "", 3),
)


def latency(
    as_json: bool = typer.Option(False, "--json", help="Print JSON."),
    columns: str = BEHIND.option,
    wide: bool = printed.WIDE,
) -> None:
    """Chain against API: who sees trades first, and how late the other is."""
    view = BEHIND.view(columns, wide=wide)
    with snapshot(session.reading(session.begin(), as_json=as_json)) as c:
        figures = read_latency(c)
    if as_json:
        session.print_json(figures)
        return
    after = _told(figures.seen_after_match_ms.api)
    say(f"the API showed trades after their match: {after or 'none yet'}")
    if figures.off.get("polygon"):
        say(f"Polygon is off: {figures.off['polygon']}")
    if figures.chain_first is None:
        say("chain and API cannot be compared: the chain was off when these trades were made")
        return
    behind = _told(figures.api_behind_chain_ms)
    say(f"{plural(figures.seen_by_both, 'trade')} seen by both; API behind the chain: {behind or 'none yet'}")
    say(f"first: chain {count(figures.chain_first)}, API {count(figures.api_first or 0)}")
    say(f"only chain {figures.only_polygon}, only API {figures.only_api}, lagged {figures.api_lagged}")
    still = f", {count(figures.api_pending)} not known yet" if figures.api_pending else ""
    say(f"confirmed by the API in time: {figures.confirmed_in_time} of what the chain showed first{still}")
    most = max((b.trades for b in figures.histogram), default=0)
    view.print((bucket, most) for bucket in figures.histogram)


def _told(p: Percentiles) -> str:
    """Percentiles on a line; nothing of nothing."""
    named = (("p50", p.p50), ("p90", p.p90), ("p99", p.p99))
    return ", ".join(f"{name} {ms} ms" for name, ms in named if ms is not None)
