"""A program at a terminal of so many columns: what it writes there, and what a person types."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import struct
import subprocess
import termios
import time
from collections.abc import Mapping
from pathlib import Path

PATIENCE = 60.0
"""Seconds after which a program counts as never to end."""


def at_terminal(
    *command: str,
    env: Mapping[str, str],
    cwd: Path | None = None,
    columns: int = 80,
    typed: Mapping[str, str] | None = None,
) -> str:
    """Run a command at a terminal to its end; gives all that was shown. ``typed``: what is typed once a prompt is
    shown, by the prompt. Raises ``TimeoutError``, naming what was shown."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    known = {k: v for k, v in env.items() if k not in ("COLUMNS", "LINES")}
    process = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, cwd=cwd, env=known)
    os.close(theirs)
    shown, waiting = b"", dict(typed or {})
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
            for prompt in [p for p in waiting if p.encode() in shown]:
                os.write(ours, waiting.pop(prompt).encode() + b"\n")
        process.wait(PATIENCE)
    finally:
        process.kill()
        process.wait(PATIENCE)
        os.close(ours)
    return shown.decode().replace("\r\n", "\n")
