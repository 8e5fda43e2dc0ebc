"""A word out of a list, on the command line: what is none of them is refused with the nearest."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import typer

from pilotfish.core.names import nearest


def one_of(choices: Sequence[str]) -> Callable[[str], str]:
    """A parser for an argument or option; what it refuses ends the command with exit code 2."""

    def parse(given: str) -> str:
        if given in choices:
            return given
        near = nearest(given, choices)
        hint = f" Did you mean {near}?" if near is not None else ""
        raise typer.BadParameter(f"{given[:60]!r} is not one of {', '.join(map(repr, choices))}.{hint}")

    return parse
