"""The program's entry: ``pilotfish`` and ``python -m pilotfish``."""

from __future__ import annotations

import atexit
import gc
import os
import signal
import sys
import threading
from pathlib import Path
from types import FrameType

LONG_RUNNING = ("run", "web", "demo", "sim")
"""Commands for which being stopped is the normal end, also while they are still starting."""
GC_SELDOM = (100_000, 50, 50)
"""New objects after which Python looks for circles, of which a command that ends soon makes few; usually it is 700."""


def _long_running() -> bool:
    return bool(sys.argv[1:2]) and sys.argv[1] in LONG_RUNNING


def _stop(number: int, _frame: FrameType | None) -> None:
    sys.exit(0 if _long_running() else 128 + number)


def _open_what_is_closed() -> None:
    """Started with standard output or error closed, what is written there goes nowhere; Python has ``None`` for it."""
    sys.stdout = sys.stdout or Path(os.devnull).open("w")  # noqa: SIM115 - for as long as the program runs
    sys.stderr = sys.stderr or Path(os.devnull).open("w")  # noqa: SIM115 - for as long as the program runs


def main() -> None:
    """Run the command line; a signal that comes while it is being loaded ends it quietly."""
    signal.signal(signal.SIGINT, _stop)
    signal.signal(signal.SIGTERM, _stop)
    _open_what_is_closed()
    if not _long_running():
        gc.set_threshold(*GC_SELDOM)
    from pilotfish.cli import main as command_line

    try:
        command_line()
    except SystemExit as end:
        if _long_running():
            raise
        _end(end)


def _end(end: SystemExit) -> None:
    """End a command that is done, without taking apart all that was imported: that takes a tenth of a second, as long
    as most of what a command does. What it opened is closed by then; where a thread still runs, Python ends it."""
    if threading.active_count() > 1 or not isinstance(end.code, int | None):
        raise end
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(end.code or 0)


if __name__ == "__main__":
    main()
