"""A stand-in venue and a worker as real processes, driven through the public commands and controls only."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from typer.testing import CliRunner

from pilotfish.cli import app
from pilotfish.cli.session import clean_environment
from pilotfish.cli.stand import free_port
from pilotfish.core.settings import ALL, find
from tests import processes
from tests.processes import Program

T = TypeVar("T")
PATIENCE = 60.0
"""Seconds after which a condition counts as never to hold; far above what it takes, for busy machines."""
WALLET = "0x" + "a1" * 20
WALLET_2 = "0x" + "b2" * 20


def until(what: str, condition: Callable[[], T], seconds: float = PATIENCE) -> T:
    """Wait for a condition to hold, and give what it gave; fails with ``what`` was waited for."""
    deadline = time.monotonic() + seconds
    while True:
        began = time.monotonic()
        value = condition()
        if value:
            return value
        looked = time.monotonic()
        if looked > deadline:
            raise AssertionError(f"not within {seconds:.0f} s: {what}; last seen: {value!r}")
        time.sleep(max(0.05, 3 * (looked - began)))  # between two looks: what is waited for needs the processor more


async def until_async(what: str, condition: Callable[[], Any], seconds: float = PATIENCE) -> Any:
    """The same in an event loop whose own tasks make the condition hold."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, f"not within {seconds:.0f} s: {what}; last seen: {value!r}"
        await asyncio.sleep(0.02)  # between two looks
    return value


def answers(url: str) -> bool:
    """True where something answers well."""
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def _alone(work: Callable[[], T]) -> T:
    """Do it where no event loop runs: a command may run one of its own, and the browser's driver keeps one here."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return work()
    with ThreadPoolExecutor(1) as other:
        return other.submit(work).result()


class Stand:
    """``pilotfish sim`` as a process."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        told, out = os.pipe()
        with (folder / "sim.err").open("w") as errors:
            self.process = processes.start(
                "sim", "--port", "0", *arguments, cwd=folder, env=clean_environment(), stdout=out, stderr=errors
            )
        os.close(out)
        self.urls: dict[str, str] = {}
        with os.fdopen(told) as lines:
            for line in lines:
                name, _, url = line.strip().partition("=")
                if url and not name.startswith("#"):
                    self.urls[name] = url
                if line.strip() == "# ready":
                    break
        assert self.urls, (folder / "sim.err").read_text()
        self.base = self.urls["DATA_API_URL"].removesuffix("/data")

    def close(self) -> None:
        """End it, at once: nothing of it is looked at any more."""
        self.process.kill()
        self.process.wait(PATIENCE)

    def get(self, path: str) -> Any:
        """GET a control."""
        with urllib.request.urlopen(f"{self.base}/_sim{path}", timeout=10) as answer:
            return json.load(answer)

    def post(self, path: str, **body: Any) -> Any:
        """POST a control."""
        request = urllib.request.Request(
            f"{self.base}/_sim{path}", json.dumps(body).encode(), {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)

    @contextmanager
    def holding(self, route: str) -> Iterator[None]:
        """Answer this route only after the block, so that what waits for it can be looked at."""
        self.post("/faults", service=route, mode="hang")
        try:
            yield
        finally:
            self.post("/faults", service=route, mode="off")

    def market(self, **more: Any) -> str:
        """List a market with a wide, deep book around 0.50; gives its first token."""
        tokens: list[str] = self.post("/markets", **more)["tokens"]
        self.book(tokens[0], bids=[(0.49, 100_000)], asks=[(0.50, 100_000)])
        return tokens[0]

    def book(self, token: str, bids: list[tuple[float, float]], asks: list[tuple[float, float]]) -> None:
        """Set a token's book."""
        self.post("/books", token_id=token, bids=bids, asks=asks)

    def fill(self, token: str, side: str, shares: float, price: float = 0.50, **more: Any) -> dict[str, Any]:
        """A fill of the followed wallet."""
        body = {"wallet": WALLET, "token_id": token, "side": side, "shares": shares, "price": price, **more}
        result: dict[str, Any] = self.post("/fills", **body)
        return result


class Pilot:
    """One database, its worker as a process, and the commands."""

    def __init__(self, folder: Path, urls: dict[str, str], **settings: object) -> None:
        self.folder = folder
        self.environment = {
            "DATABASE_URL": f"sqlite:///{folder / 'pilotfish.db'}",
            "POLL_INTERVAL_MS": "300",
            "LEADER_STAGGER_MS": "0",
            "LOG_FORMAT": "json",
            **urls,
            **{find(name).env_name: str(value) for name, value in settings.items()},
        }
        self.process: Program | None = None
        self.web: Program | None = None
        self.runs = 0

    # -- commands ----------------------------------------------------------------------------------------------

    def cli(self, *arguments: str, code: int | None = 0) -> str:
        """Run a command; gives its standard output."""
        before = {name: os.environ.get(name) for name in {s.env_name for s in ALL}}
        try:
            for name in before:
                os.environ.pop(name, None)
            result = _alone(lambda: CliRunner().invoke(app, list(arguments), env=self.environment))
        finally:
            for name, value in before.items():
                if value is not None:
                    os.environ[name] = value
        if code is not None:
            assert result.exit_code == code, (arguments, result.output, result.exception)
        return result.stdout

    def export(self, kind: str) -> list[dict[str, Any]]:
        """All rows of a kind."""
        rows: list[dict[str, Any]] = json.loads(self.cli("export", kind, "--format", "json"))
        return rows

    def status(self) -> dict[str, Any]:
        """What ``status --json`` says."""
        state: dict[str, Any] = json.loads(self.cli("status", "--json", code=None))
        return state

    def reasons(self) -> list[str]:
        """Reasons of all decisions, by trade."""
        return [d["reason"] for d in sorted(self.export("decisions"), key=lambda d: d["trade_id"])]

    def held(self) -> dict[str, int]:
        """Our open positions: token -> shares, in millionths."""
        return {p["token_id"]: p["shares_micro"] for p in self.export("positions") if p["shares_micro"]}

    def leader_holds(self, token: str) -> int:
        """The leader's shares, in millionths."""
        return sum(h["shares_micro"] for h in self.export("holdings") if h["token_id"] == token)

    def verify(self) -> None:
        """The books agree."""
        assert json.loads(self.cli("verify", "--json")) == {"verify": "ok"}

    # -- the worker --------------------------------------------------------------------------------------------

    def start(self, *, ready: bool = True) -> None:
        """Start the worker; wait until it polls everybody and hears the chain."""
        self.runs += 1
        self.log = self.folder / f"run-{self.runs}.log"
        with self.log.open("w") as log:
            self.process = processes.start(
                "run", "--no-web", cwd=self.folder, env={**clean_environment(), **self.environment}, stderr=log
            )
        if ready:
            until("the worker is ready", self.ready)

    def start_with_web(self) -> str:
        """Start the worker with its dashboard beside it; gives the dashboard's address once it answers."""
        self.runs += 1
        self.log = self.folder / f"run-{self.runs}.log"
        port = free_port()
        with self.log.open("w") as log:
            env = {**clean_environment(), **self.environment, "WEB_PORT": str(port)}
            self.process = processes.start("run", cwd=self.folder, env=env, stderr=log)
        address = f"http://127.0.0.1:{port}"
        until("the dashboard answers", lambda: answers(f"{address}/healthz"))
        return address

    def start_web(self, port: int = 0) -> str:
        """Start the dashboard's process, on a free port unless one is given; gives its address."""
        port = port or free_port()
        with (self.folder / "web.log").open("w") as log:
            env = {**clean_environment(), **self.environment, "WEB_PORT": str(port)}
            self.web = processes.start("web", cwd=self.folder, env=env, stderr=log)
        address = f"http://127.0.0.1:{port}"
        until("the dashboard answers", lambda: self._answers(f"{address}/healthz"))
        return address

    def rest(self, address: str, method: str, path: str, body: object = None) -> Any:
        """What REST of a dashboard at that address answers to the admin."""
        request = urllib.request.Request(
            f"{address}/api/v1{path}", json.dumps(body).encode() if body is not None else None,
            {"Authorization": f"Bearer {self.environment.get('ADMIN_TOKEN', '')}", "Content-Type": "application/json"},
            method=method,
        )  # fmt: skip
        with urllib.request.urlopen(request, timeout=20) as answer:
            return json.load(answer)

    def _answers(self, url: str) -> bool:
        assert self.web is not None
        assert self.web.poll() is None, (self.folder / "web.log").read_text()
        return answers(url)

    def ready(self) -> bool:
        """True when every leader is polled and the chain is heard (where it is wanted)."""
        assert self.process is not None
        assert self.process.poll() is None, self.log.read_text()
        state = self.status()
        worker = state["worker"]
        if not state["running"] or worker is None or worker["pid"] != self.process.pid:
            return False
        wanted = {leader["wallet"] for leader in state["leaders"]}
        polled = {w for w, p in worker["leaders"].items() if p["last_ok_at"]}
        chain = worker["polygon"]
        heard = not chain["enabled"] or not self.environment.get("POLYGON_WS_URL") or chain["healthy"]
        return wanted == polled and heard and chain["watched"] == (len(wanted) if chain["healthy"] else 0)

    def follow(self, wallet: str = WALLET) -> None:
        """Follow a wallet, and wait until a running worker does."""
        self.cli("leaders", "add", wallet)
        if self.process is not None:
            until(f"{wallet} is followed", self.ready)

    def stop(self) -> None:
        """Ctrl-C; it must end well within five seconds."""
        assert self.process is not None
        self.process.send_signal(signal.SIGINT)
        assert self.process.wait(20) == 0, self.log.read_text()
        self.process = None

    def kill(self) -> None:
        """kill -9."""
        assert self.process is not None
        self.process.kill()
        self.process.wait(20)
        self.process = None

    def close(self) -> None:
        """End whatever runs."""
        for process in (self.process, self.web):
            if process is not None and process.poll() is None:
                process.kill()
                process.wait(20)

    # -- waiting -----------------------------------------------------------------------------------------------

    def trades(self, n: int, seconds: float = PATIENCE) -> list[dict[str, Any]]:
        """Wait for n trades."""
        return until(f"{n} trades", lambda: t if len(t := self.export("trades")) >= n else None, seconds) or []

    def decided(self, *reasons: str, seconds: float = PATIENCE) -> None:
        """Wait until the decisions are exactly these, in the order of the trades."""
        try:
            until(f"decisions {reasons}", lambda: self.reasons() == list(reasons), seconds)
        except AssertionError as problem:
            raise AssertionError(f"{problem}; got {self.reasons()}") from None

    def fills(self, n: int, seconds: float = PATIENCE) -> list[dict[str, Any]]:
        """Wait for n fills."""
        return until(f"{n} fills", lambda: f if len(f := self.export("fills")) >= n else None, seconds) or []

    def logged(self, event: str) -> list[dict[str, Any]]:
        """Log lines of the current run."""
        lines = [json.loads(line) for line in self.log.read_text().splitlines() if line.startswith("{")]
        return [line for line in lines if line.get("event") == event]


@contextmanager
def rig(folder: Path, *sim: str, **settings: object) -> Iterator[tuple[Stand, Pilot]]:
    """A quiet venue and a pilot that points at it; both are ended afterwards."""
    stand = Stand(folder, *(sim or ("--scenario", "quiet")))
    pilot = Pilot(folder, stand.urls, **settings)
    stand.post("/api", lag=[0.5, 0.5], late_logs=0)
    try:
        yield stand, pilot
    finally:
        pilot.close()
        stand.close()
