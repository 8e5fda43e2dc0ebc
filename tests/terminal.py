"""A program at a terminal of so many columns: what it writes there, and what a person types."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import struct
import termios
import time
from collections.abc import Callable, Sequence
from typing import Protocol

PATIENCE = 60.0
"""Seconds after which a program counts as never to end."""


class Started(Protocol):
    """A program that runs."""

    def wait(self, timeout: float) -> int: ...

    def kill(self) -> None: ...


def at_terminal(start: Callable[[int], Started], *, columns: int = 80, typed: Sequence[tuple[str, str]] = ()) -> str:
    """Start a program at a terminal, given as a file's number, and wait for its end; gives all that was shown.
    ``typed``: what is typed, each as soon as its prompt is shown after the one before. Raises ``TimeoutError``, naming
    what was shown."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    process = start(theirs)
    os.close(theirs)
    shown, waiting, told = b"", list(typed), 0
    until = time.monotonic() + PATIENCE
    try:
        while True:
            ready, _, _ = select.select([ours], [], [], max(0.0, until - time.monotonic()))
            if not ready:
                raise TimeoutError(f"it did not end; it showed {shown!r}")
            try:
                more = os.read(ours, 65_536)
            except OSError:  # nobody has the terminal open any more
                break
            if not more:
                break
            shown += more
            while waiting and (at := shown.find(waiting[0][0].encode(), told)) >= 0:
                told = at + 1
                os.write(ours, waiting.pop(0)[1].encode() + b"\n")
        process.wait(PATIENCE)
    finally:
        process.kill()
        process.wait(PATIENCE)
        os.close(ours)
    return shown.decode().replace("\r\n", "\n")
