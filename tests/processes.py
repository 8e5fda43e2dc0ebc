"""``pilotfish`` as processes, each forked from one that has imported the program already.

Importing costs more than most of what a worker then does in a test. So one process imports, once for each process of
tests, and forks for every start: what runs is the same ``main``, in a process of its own with its own arguments,
environment, folder, output and signals. That the program also starts from nothing is tested with ``python -m
pilotfish``: by the demo, by ``run`` with its dashboard, and on the command line.
"""

from __future__ import annotations

import atexit
import gc
import json
import mmap
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import IO, Any, NamedTuple

PROJECT = Path(__file__).resolve().parent.parent
IMPORTED = (
    "alembic.command", "pydantic.type_adapter", "sqlalchemy.dialects.sqlite", "uvloop",
    "pilotfish.__main__", "pilotfish.app.runtime", "pilotfish.cli.demo", "pilotfish.cli.export",
    "pilotfish.cli.leaders", "pilotfish.cli.portfolio", "pilotfish.cli.positions", "pilotfish.cli.report",
    "pilotfish.cli.reset", "pilotfish.cli.run", "pilotfish.cli.settings", "pilotfish.cli.setup", "pilotfish.cli.sim",
    "pilotfish.cli.status", "pilotfish.sim.server", "pilotfish.sim.venue", "pilotfish.web.server",
)  # fmt: skip
"""What is imported before anything is forked."""
LOOK_SECONDS = 0.02
CLOCK = "CLOCK_OF_TESTS"
"""The environment's name of the file that a process's clock is set by (:class:`SetClock`)."""


class SetClock:
    """A clock that tests set. ``environment``: for the processes that go by it."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "clock"
        self.environment = {CLOCK: str(self._file)}
        self.set(0)

    def set(self, ahead_sec: float) -> None:
        """From now on it is so much ahead of the machine's."""
        with self._file.open("r+b" if self._file.exists() else "wb") as file:
            file.write(int(ahead_sec * 1e9).to_bytes(8, "little", signed=True))


class Program:
    """A started ``pilotfish``, with what tests need of :class:`subprocess.Popen`."""

    def __init__(self, source: _Source, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._source = source

    def poll(self) -> int | None:
        """Its exit code, negative for the signal that ended it; ``None`` while it runs."""
        if self.returncode is None:
            self.returncode = self._source.ask([], ended=self.pid)
        return self.returncode

    def wait(self, timeout: float) -> int:
        """Its exit code, as soon as it has ended. Raises :class:`subprocess.TimeoutExpired`."""
        deadline = time.monotonic() + timeout
        while (code := self.poll()) is None:
            if time.monotonic() > deadline:
                raise subprocess.TimeoutExpired("pilotfish", timeout)
            time.sleep(LOOK_SECONDS)  # between two looks at a condition
        return code

    def send_signal(self, number: int) -> None:
        """Send it a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        """Ask it to end."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """kill -9."""
        self.send_signal(signal.SIGKILL)


def gone(pid: int) -> bool:
    """True once a process has ended, also where nobody has asked for its exit code yet."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except FileNotFoundError:
        return True


def start(
    *arguments: str, cwd: Path, env: dict[str, str], stdout: IO[str] | int | None = None, stderr: IO[str] | int
) -> Program:
    """Start ``pilotfish`` with these arguments; without ``stdout`` what it writes there goes nowhere."""
    with Path(os.devnull).open("r+") as nothing:
        files = [_number(file) for file in (nothing, nothing if stdout is None else stdout, stderr)]
        source = _source()
        return Program(source, source.ask(files, arguments=["pilotfish", *arguments], cwd=str(cwd), env=env))


def run(*arguments: str, cwd: Path, env: dict[str, str], timeout: float = 60) -> subprocess.CompletedProcess[str]:
    """Run ``pilotfish`` with these arguments to its end. Raises :class:`subprocess.TimeoutExpired`."""
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        program = start(*arguments, cwd=cwd, env=env, stdout=out, stderr=err)
        try:
            code = program.wait(timeout)
        finally:
            program.kill()
        for written in (out, err):
            written.seek(0)
        return subprocess.CompletedProcess(["pilotfish", *arguments], code, out.read(), err.read())


def _number(file: IO[str] | int) -> int:
    return file if isinstance(file, int) else file.fileno()


class _Source:
    """The process that has imported everything, as its user sees it."""

    def __init__(self) -> None:
        self._socket, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.processes", str(theirs.fileno())],
                cwd=PROJECT, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL,
            )  # fmt: skip
        self._answers = self._socket.makefile("r")
        self._one_at_a_time = threading.Lock()
        atexit.register(self.close)

    def ask(self, files: list[int], **what: Any) -> Any:
        """One question, one answer."""
        with self._one_at_a_time:
            socket.send_fds(self._socket, [b"?"], files)
            self._socket.sendall(json.dumps(what).encode() + b"\n")
            return json.loads(self._answers.readline())

    def close(self) -> None:
        """End it, and with it what still runs of what it started."""
        self._answers.close()
        self._socket.close()
        self._process.wait(10)


_source = cache(_Source)


# -- in the process that forks -------------------------------------------------------------------------------------


class _Asked(NamedTuple):
    files: list[int]
    what: dict[str, Any]


def _asked(link: socket.socket) -> _Asked | None:
    first, files, _, _ = socket.recv_fds(link, 1, 3)
    if not first:
        return None
    line = b""
    while not line.endswith(b"\n"):
        line += link.recv(65_536)
    return _Asked(files, json.loads(line))


def _serve(link: socket.socket) -> bool:
    """Fork whenever asked to. Returns True in what was forked, and False where nobody can ask any more."""
    running: set[int] = set()
    while (asked := _asked(link)) is not None:
        if "ended" in asked.what:
            answer = _ended(asked.what["ended"])
            running -= {asked.what["ended"]} if answer is not None else set()
        else:
            answer = os.fork()
            if answer == 0:
                link.close()
                _become(asked)
                return True
            running.add(answer)
            for number in asked.files:
                os.close(number)
        link.sendall(json.dumps(answer).encode() + b"\n")
    for pid in running:
        os.kill(pid, signal.SIGKILL)
    return False


def _ended(pid: int) -> int | None:
    found, status = os.waitpid(pid, os.WNOHANG)
    return os.waitstatus_to_exitcode(status) if found else None


def _become(asked: _Asked) -> None:
    for number, given in enumerate(asked.files):
        os.dup2(given, number)
        os.close(given)
    os.chdir(asked.what["cwd"])
    os.environ.clear()
    os.environ.update(asked.what["env"])
    sys.argv = asked.what["arguments"]
    if CLOCK in os.environ:
        _go_by(Path(os.environ.pop(CLOCK)))
    signal.signal(signal.SIGINT, signal.default_int_handler)


def _go_by(file: Path) -> None:
    """Let this process's clock be set by whoever writes into the file by how many nanoseconds it differs from the
    machine's. What measures how long something takes goes on as it is, as on a machine whose clock is set."""
    with file.open("rb") as opened:
        ahead = mmap.mmap(opened.fileno(), 8, prot=mmap.PROT_READ)
    machine = time.time_ns

    def time_ns() -> int:
        return machine() + int.from_bytes(ahead[:8], "little", signed=True)

    time.time_ns, time.time = time_ns, lambda: time_ns() / 1e9


def _main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for name in IMPORTED:
        import_module(name)
    gc.collect()
    gc.freeze()  # pages of memory that nobody writes to stay shared
    if _serve(socket.socket(fileno=int(sys.argv[1]))):
        from pilotfish.__main__ import main

        main()


if __name__ == "__main__":
    _main()
