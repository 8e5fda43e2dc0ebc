"""Ctrl-C in the middle of long reading: what is open is closed in order, and it is said that nothing is lost."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def keeps_what_is_read() -> Iterator[None]:
    """Within this, Ctrl-C is a :class:`KeyboardInterrupt`: asyncio cancels its tasks, and pools and clusters drop their
    jobs. The program's own handler would end it at any line, in the middle of a callback."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    except KeyboardInterrupt:
        print("Stopped: what was read is kept; the same command goes on from there.", file=sys.stderr)
        raise
    finally:
        signal.signal(signal.SIGINT, before)
