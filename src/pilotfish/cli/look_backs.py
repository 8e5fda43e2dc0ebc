"""The process that works off look backs. The dashboard starts it; it is no command of its own."""

from __future__ import annotations

import os
import signal
import sys
import threading

from pilotfish.app.logs import redact
from pilotfish.app.look_backs import work_off
from pilotfish.cli import session
from pilotfish.cli.run import end_with_parent
from pilotfish.core.exit_codes import ExitCode
from pilotfish.core.problem import Problem

NICE = 10
"""How much the process gives way to the worker and to pages."""


def main() -> None:
    """Work off what waits, then end; or end with the dashboard."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=end_with_parent, name="parent", daemon=True).start()
    os.nice(NICE)
    try:
        env = session.begin()
        work_off(session.database(env), env)
    except Problem as problem:
        print(f"Error: {redact(str(problem))}", file=sys.stderr)
        sys.exit(ExitCode.PROBLEM)
    finally:
        session.close()


if __name__ == "__main__":
    main()
