"""The process that works off long work of one kind. The dashboard starts it; it is no command of its own."""

from __future__ import annotations

import os
import signal
import sys
import threading

from pilotfish.app import look_backs, searches
from pilotfish.app.jobs import work_off
from pilotfish.app.logs import redact
from pilotfish.cli import session
from pilotfish.cli.run import end_with_parent
from pilotfish.core.exit_codes import ExitCode
from pilotfish.core.problem import Problem
from pilotfish.store.searches_store import JOBS

NICE = 10
"""How much the process gives way to the worker and to pages."""


def main(kind: str) -> None:
    """Work off what waits, then end; or end with the dashboard."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=end_with_parent, name="parent", daemon=True).start()
    os.nice(NICE)
    try:
        env = session.begin()
        database = session.database(env)
        if kind == JOBS.kind:
            work_off(database, searches.work(database, env))
        else:
            work_off(database, look_backs.work(database, env))
    except Problem as problem:
        print(f"Error: {redact(str(problem))}", file=sys.stderr)
        sys.exit(ExitCode.PROBLEM)
    finally:
        session.close()


if __name__ == "__main__":
    main(sys.argv[1])
