"""``demo``: the whole program on the stand-in venue, on books of its own that are thrown away afterwards."""

from __future__ import annotations

import asyncio
import secrets
import signal
import tempfile
import time
from asyncio.subprocess import Process
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import typer
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from sqlalchemy import Engine, func, select

from pilotfish.app.listening import check_port
from pilotfish.cli import session, stand
from pilotfish.cli.decided import decided
from pilotfish.cli.printed import say
from pilotfish.core.numerals import count, money, plural
from pilotfish.store import leaders_store, look_backs_store, report, searches_store, settings_store, worker_state
from pilotfish.store import tables as t
from pilotfish.store.database import open_database, snapshot
from pilotfish.store.portfolios_store import MAIN
from pilotfish.store.searches_store import Candidate, SearchSource, Wanted
from pilotfish.store.verify import verify
from pilotfish.store.views.portfolios import Counts, read_counts, read_portfolios

if TYPE_CHECKING:
    import aiohttp

PAST_DAYS = 90
"""So long have the leaders of a demonstration been trading."""
DRAIN_SECONDS = 40.0
SETTINGS = {"POLL_INTERVAL_MS": "2000", "MARK_INTERVAL_MS": "2000", "LEADER_STAGGER_MS": "200"}
"""A demonstration is looked at for a minute, so it polls more often than the real thing."""


def demo(
    for_: float = typer.Option(0.0, "--for", help="End by itself after so many seconds.", min=0.0),
    seed: int = typer.Option(7, "--seed", help="The same seed tells the same story."),
    port: int = typer.Option(8080, "--port", min=0, max=65_535, help="Port of the dashboard; 0 = any free one."),
    as_json: bool = typer.Option(False, "--json", help="Print the result as one JSON object."),
) -> None:
    """Watch leaders trade on a stand-in venue: no account, no key, nothing leaves this machine."""
    session.begin()
    port = check_port("127.0.0.1", port)
    with tempfile.TemporaryDirectory(prefix="pilotfish-demo-") as folder:
        result = asyncio.run(_Demo(Path(folder), for_, seed, port).run())
    if as_json:
        session.print_json(result.as_json())
    else:
        print_result(result)
    if result.verify != "ok" or result.counts.trades != result.venue_trades:
        raise typer.Exit(1)


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """What a demonstration came to. ``equity_micro`` is of all ``portfolios`` (how many) together; ``verdicts`` says of
    each what copying came to; ``verify`` is ``ok``, or every difference in the books."""

    seed: int
    seconds: float
    venue_trades: int
    counts: Counts
    portfolios: int
    equity_micro: int
    verdicts: dict[str, str]
    verify: str | list[str]

    def as_json(self) -> dict[str, object]:
        """For machines: the counts stand beside the rest."""
        told: dict[str, object] = {"seed": self.seed, "seconds": self.seconds, "venue_trades": self.venue_trades}
        told |= msgspec.to_builtins(self.counts)
        return {**told, "equity_micro": self.equity_micro, "verdicts": self.verdicts, "verify": self.verify}


class _Leader(msgspec.Struct):
    """Somebody who trades on the stand-in venue."""

    wallet: str
    label: str


class _Venue(msgspec.Struct):
    """What the stand-in venue says of itself."""

    leaders: list[_Leader]


class _Truth(msgspec.Struct):
    """What the stand-in venue made: how many trades, and whether both sources have shown them all."""

    trades: int
    settled: bool


class _Demo:
    def __init__(self, folder: Path, seconds: float, seed: int, port: int) -> None:
        self.folder = folder
        self.seconds = seconds
        self.seed = seed
        self.port = port
        self.database_url = f"sqlite:///{folder / 'demo.db'}"
        self.console = Console(stderr=True)
        self.token = secrets.token_hex(8)
        self.stop = asyncio.Event()
        self.children: list[Process] = []
        self.controls = ""

    async def run(self) -> Result:
        """Bring everything up, wait, take the result, and end everything."""
        import aiohttp

        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, self.stop.set)
        with Progress(
            SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn(),
            console=self.console, transient=True, disable=not self.console.is_terminal,
        ) as progress:  # fmt: skip
            task = progress.add_task("starting the stand-in venue", total=None)
            try:
                async with aiohttp.ClientSession() as http:
                    urls = await self._venue(http)
                    progress.update(task, description="starting the worker and the dashboard")
                    database = await self._worker(urls)
                    await self._ready(http, database)
                    await self._control(http, "resume")
                    await asyncio.to_thread(self._look_back, database)
                    self.console.print(f"Dashboard: http://127.0.0.1:{self.port}", highlight=False)
                    self.console.print(f"Token to change things there: {self.token}", highlight=False)
                    until = f"for {self.seconds:g} s" if self.seconds else "until Ctrl-C"
                    progress.update(task, description=f"leaders are trading; running {until}")
                    await self._wait()
                    progress.update(task, description="the venue is paused; waiting until everything has arrived")
                    truth = await self._drain(http, database)
                    progress.update(task, description="stopping")
                    await stand.end(self.children)
            finally:
                await stand.end(self.children)
        return self._result(database, truth)

    # -- parts -------------------------------------------------------------------------------------------------

    def _environment(self, extra: dict[str, str]) -> dict[str, str]:
        """The user's environment without any setting of his: the demo is the same everywhere."""
        return {
            **session.clean_environment(),
            "LOG_LEVEL": "WARNING",
            **SETTINGS,
            **extra,
            "DATABASE_URL": self.database_url,
        }

    async def _spawn(self, env: dict[str, str], *arguments: str) -> Process:
        process = await stand.spawn(self.folder, env, *arguments)
        self.children.append(process)
        return process

    async def _venue(self, http: aiohttp.ClientSession) -> dict[str, str]:
        sim = await self._spawn(
            self._environment({}), "sim", "--port", "0", "--seed", str(self.seed), "--past", str(PAST_DAYS), "--paused"
        )
        urls = await stand.venue_urls(sim)
        self.controls = stand.controls_of(urls)
        async with http.get(self.controls) as answer:
            self.leaders = msgspec.json.decode(await answer.read(), type=_Venue).leaders
        return urls

    async def _worker(self, urls: dict[str, str]) -> Engine:
        database = await asyncio.to_thread(open_database, self.database_url)
        with database.begin() as c:
            for leader in self.leaders:
                leaders_store.add(c, leader.wallet, leader.label, session.now(), by="demo")
        extra = {**urls, "WEB_PORT": str(self.port), "ADMIN_TOKEN": self.token}
        await self._spawn(self._environment(extra), "run")
        return database

    async def _ready(self, http: aiohttp.ClientSession, database: Engine) -> None:
        """Until every leader was polled once, the chain is subscribed, and the dashboard answers."""
        until = time.monotonic() + stand.READY_SECONDS
        while time.monotonic() < until and not self.stop.is_set():
            with snapshot(database) as c:
                state, _ = worker_state.read(c, leaders=True)
            polled = [p for p in state.leaders.values() if p.last_ok_at] if state is not None else []
            works = state is not None and state.polygon.healthy and len(polled) == len(self.leaders)
            if works and await stand.answers(http, self.port):
                return
            self._check()
            await self._pause(0.2)
        if not self.stop.is_set():
            raise stand.StandError(f"the worker was not ready within {stand.READY_SECONDS:.0f} s")

    def _look_back(self, database: Engine) -> None:
        """Ask for look backs of all leaders, and for a search among them that goes by what those have read; processes
        of the dashboard work them off beside everything else."""
        with database.begin() as c:
            stored = settings_store.load(c)
            for leader in self.leaders:
                values = settings_store.policy_values({}, stored, MAIN, leader.wallet, {})
                look_backs_store.ask(
                    c, leader.wallet, name=leader.label, days=PAST_DAYS, values=values, at=session.now(), by="demo"
                )
            values = settings_store.policy_values({}, stored, MAIN, None, {})
            everybody = tuple(Candidate(wallet=leader.wallet, name=leader.label) for leader in self.leaders)
            wanted = Wanted(source=SearchSource.WALLETS, wallets=everybody, days=PAST_DAYS, values=values)
            searches_store.ask(c, wanted, at=session.now(), by="demo")

    def _check(self) -> None:
        for name, child in zip(("the stand-in venue", "the worker"), self.children, strict=False):
            if child.returncode is not None:
                raise stand.StandError(f"{name} ended by itself (exit code {child.returncode})")

    async def _pause(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self.stop.wait()
        except TimeoutError:
            return

    async def _wait(self) -> None:
        until = time.monotonic() + self.seconds if self.seconds else float("inf")
        while not self.stop.is_set() and time.monotonic() < until:
            await self._pause(min(1.0, until - time.monotonic()))
            self._check()

    async def _control(self, http: aiohttp.ClientSession, name: str) -> None:
        async with http.post(f"{self.controls}/{name}") as answer:
            answer.raise_for_status()

    async def _drain(self, http: aiohttp.ClientSession, database: Engine) -> _Truth:
        """Pause the venue and wait until all that it made has been taken in by both sources and worked off."""
        await self._control(http, "pause")
        until = time.monotonic() + DRAIN_SECONDS
        while True:
            async with http.get(f"{self.controls}/truth") as answer:
                truth = msgspec.json.decode(await answer.read(), type=_Truth)
            if truth.settled and await asyncio.to_thread(_worked_off, database, truth.trades):
                return truth
            if time.monotonic() > until:
                return truth
            self._check()
            await asyncio.sleep(0.25)

    def _result(self, database: Engine, truth: _Truth) -> Result:
        with snapshot(database) as c:
            made = read_portfolios(c)
            result = Result(
                seed=self.seed,
                seconds=self.seconds,
                venue_trades=truth.trades,
                counts=read_counts(c),
                portfolios=len(made),
                equity_micro=sum(p.equity_micro for p in made),
                verdicts={one.portfolio: one.total.verdict for one in report.totals(c)},
                verify=verify(c) or "ok",
            )
        database.dispose()
        return result


def _worked_off(database: Engine, trades: int) -> bool:
    """True when every trade is stored and seen by both, and decided; exits may go on in retries."""
    both = t.trades.c.first_seen_by_api_at.is_not(None) & t.trades.c.first_seen_by_polygon_at.is_not(None)
    with snapshot(database) as c:
        seen = c.execute(select(func.count()).where(both)).scalar_one()
        waiting = c.execute(select(func.count()).where(t.decisions.c.action == "wait")).scalar_one()
        pending = c.execute(select(func.count()).where(t.intents.c.state == "pending")).scalar_one()
    return seen >= trades and not waiting and not pending


def print_result(result: Result) -> None:
    """What it came to, for people."""
    counts = result.counts
    first = counts.trades_by_first_source
    say(
        f"{count(counts.trades)} trades of {count(result.venue_trades)} that the venue made"
        f" ({count(first.polygon)} first on chain, {count(first.api)} first from the API,"
        f" {count(counts.seen_by_both)} seen by both)"
    )
    say(decided(counts.decisions, result.portfolios, reasons=True))
    held = plural(counts.open_positions, "open position")
    together = f" in {result.portfolios} portfolios" if result.portfolios > 1 else ""
    say(f"{plural(counts.fills, 'fill')}, {held}, equity {money(result.equity_micro)} USDC{together}")
    for portfolio, verdict in result.verdicts.items():
        say(f"{portfolio}: {verdict}")
    say("books: " + ("ok" if result.verify == "ok" else msgspec.json.encode(result.verify).decode()))
