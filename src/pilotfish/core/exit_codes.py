"""How a command ends: every exit code, declared once; the README's list is compared with it."""

from __future__ import annotations

from enum import IntEnum

from pilotfish.core.problem import Problem


class ExitCode(IntEnum):
    """What a script can tell from how a command ended."""

    OK = 0
    PROBLEM = 1
    USAGE = 2
    INTERNAL = 70
    STORE = 74
    TAKEN_OVER = 75
    STALLED = 76
    INTERRUPTED = 130


EXIT_MEANING: dict[ExitCode, str] = {
    ExitCode.OK: "Good; for `run` and `web`: stopped when asked to, with everything taken in stored.",
    ExitCode.PROBLEM: "Something expected: refused, not there, not ready, books that differ. One line says what to do.",
    ExitCode.USAGE: "The words of the command are wrong.",
    ExitCode.INTERNAL: "`run`: a part that must not end ended, or a rule was broken; the line before names the part.",
    ExitCode.STORE: "`run`: not everything that was taken in could be stored; it is read again at the next start.",
    ExitCode.TAKEN_OVER: "`run`: another worker took the database over.",
    ExitCode.STALLED: "`run`, `web`: something hung (the loop, a feed, the writer); the log has where. Start it again.",
    ExitCode.INTERRUPTED: "Interrupted while it worked (Ctrl-C), other than `run` and `web`.",
}


class WorkerDiedError(Problem):
    """The worker ended by a fault; ``code`` is the process's exit code."""

    def __init__(self, told: str, code: ExitCode) -> None:
        super().__init__(told)
        self.code = code
