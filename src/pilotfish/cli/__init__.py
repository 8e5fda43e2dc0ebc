"""The terminal: one module a command group. ``--json`` on every reading command; exit codes that scripts can use.

A command's module is imported when the command is called: what one needs is not paid for by the start of all others.
"""

from __future__ import annotations

import os
import sys
from functools import cache
from importlib import import_module
from typing import Any, NamedTuple

import typer
from typer.core import TyperCommand, TyperGroup

from pilotfish import __version__
from pilotfish.core.exit_codes import ExitCode, WorkerDiedError
from pilotfish.core.problem import Problem


class Command(NamedTuple):
    """Where a command is, and its line in the list of commands: the first sentence of its own help."""

    module: str
    attribute: str
    told: str


TASKS: dict[str, dict[str, Command]] = {
    "Begin": {
        "demo": Command(
            "demo", "demo",
            "Watch leaders trade on a stand-in venue: no account, no key, nothing leaves this "
            "machine.",
        ),
        "init": Command(
            "setup", "init",
            "Write .env from a few answers, and follow the first leaders.",
        ),
        "doctor": Command(
            "setup", "doctor",
            "Check every service and setting; a fix for whatever is wrong.",
        ),
        "run": Command(
            "run", "run",
            "Run the worker and the dashboard until Ctrl-C.",
        ),
        "web": Command(
            "run", "web",
            "Run the dashboard alone, on the same database as a worker; makes the database where "
            "there is none yet.",
        ),
    },
    "Look": {
        "status": Command(
            "status", "status",
            "Is it working, how are we doing.",
        ),
        "report": Command(
            "report", "report",
            "Would copying have paid: an answer in a sentence, then the leaders' prices at our size against what"
            " we got, where the difference went, and the total over all leaders.",
        ),
        "trades": Command(
            "report", "trades",
            "Leaders' trades with what became of each: filled, order out, not filled, skipped or "
            "waiting, and why; --why ID shows every check of one.",
        ),
        "positions": Command(
            "positions", "app",
            "What the portfolios hold.",
        ),
        "latency": Command(
            "status", "latency",
            "Chain against API: who sees trades first, and how late the other is.",
        ),
        "verify": Command(
            "verify", "verify",
            "Recompute the books from what only grows, and name every difference; --against-venue: read"
            " the leaders' own history again, too.",
        ),
        "export": Command(
            "export", "export",
            "Write all rows of a kind to standard output.",
        ),
        "sql": Command(
            "sql", "sql",
            "Answer one SELECT over what is kept and over pulled history; nothing can be changed by it.",
        ),
    },
    "Before following": {
        "backtest": Command(
            "backtest", "backtest",
            "Would copying somebody have paid: their past through the engine that runs live, with its uncertainty.",
        ),
        "books": Command(
            "books", "app",
            "Order books that were recorded, or are brought along.",
        ),
        "calibrate": Command(
            "calibrate", "calibrate_command",
            "How far the tape and the price line are from recorded order books on the same instants; a backtest's band"
            " is made of that once there is enough.",
        ),
        "discover": Command(
            "discover", "discover",
            "Which of many wallets would have paid to be copied: the survivors of a funnel, luck and their number"
            " reckoned in.",
        ),
        "history": Command(
            "history", "app",
            "Read the past of wallets before they are followed.",
        ),
    },
    "Change": {
        "leaders": Command(
            "leaders", "app",
            "Follow, list, pause and leave wallets.",
        ),
        "portfolio": Command(
            "portfolio", "app",
            "Try policies side by side on the same leaders.",
        ),
        "settings": Command(
            "settings", "app",
            "Look at settings and change them; a running worker takes changes up at once.",
        ),
        "backup": Command(
            "backup", "backup",
            "Write everything that the database holds into a file, while a worker runs or not.",
        ),
        "restore": Command(
            "backup", "restore",
            "Put a backup into an empty database and verify it; nothing changes unless all of it is there and right.",
        ),
        "config": Command(
            "config", "app",
            "Leaders, portfolios and settings as one file: write it, compare it, take it in.",
        ),
        "reset": Command(
            "reset", "reset",
            "Wipe the paper state: positions, intents, fills, ledger, equity.",
        ),
    },
    "Try out": {
        "replay": Command(
            "replay", "replay",
            "Run what entered the engine through a fresh one: identical, or the first difference by "
            "name.",
        ),
        "simtest": Command(
            "simtest", "simtest",
            "Run the real engine and store through simulated worlds whose truth is known; a seed that"
            " fails prints the shortest story that still fails, and is the same again with --seeds 1 "
            "--seed N.",
        ),
        "bench": Command(
            "bench", "bench",
            "Measure the hot paths against the alternatives, side by side in one run.",
        ),
        "sim": Command(
            "sim", "sim",
            "Run the stand-in venue until Ctrl-C; prints the URLs to put into the environment.",
        ),
    },
}  # fmt: skip
"""What one wants to do, and the commands for it."""
COMMANDS = {name: one for commands in TASKS.values() for name, one in commands.items()}


class _ByTask(TyperGroup):
    """Lists its commands by what one wants to do."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        for task, commands in TASKS.items():
            with formatter.section(task):
                formatter.write_dl([(name, one.told) for name, one in commands.items()])


app = typer.Typer(
    name="pilotfish",
    cls=_ByTask,
    help="Follow Polymarket wallets and copy their trades into honest paper portfolios.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


@cache
def command(name: str) -> Any:
    """The command itself, or group of commands; imports its module."""
    where = COMMANDS[name]
    found = getattr(import_module(f"pilotfish.cli.{where.module}"), where.attribute)
    alone = typer.Typer(rich_markup_mode=None, add_completion=False)
    if isinstance(found, typer.Typer):
        alone.add_typer(found, name=name)
        return typer.main.get_group(alone).commands[name]
    alone.command(name)(found)
    return typer.main.get_command(alone)


class _Later(TyperCommand):
    """A command of which no more is known than its line in the list, until it is called."""

    def make_context(self, info_name: str | None, args: list[str], *rest: Any, **more: Any) -> Any:
        assert self.name is not None
        return command(self.name).make_context(info_name, args, *rest, **more)


for _name, _one in COMMANDS.items():
    app.command(_name, cls=_Later, help=_one.told)(lambda: None)


def _version(shown: bool) -> None:
    if shown:
        print(f"pilotfish {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    context: typer.Context,
    version: bool = typer.Option(False, "--version", help="Show the version.", callback=_version, is_eager=True),
) -> None:
    """Root of all commands."""
    from pilotfish.cli import session

    context.call_on_close(session.close)


def main() -> None:
    """The program's entry; ``core/exit_codes.py`` says what the codes mean."""
    try:
        try:
            app()
        finally:
            sys.stdout.flush()
    except SystemExit:
        raise
    except WorkerDiedError as problem:
        _refuse(str(problem), problem.code)
    except Problem as problem:
        _refuse(str(problem), ExitCode.PROBLEM)
    except KeyboardInterrupt:
        sys.exit(ExitCode.INTERRUPTED)
    except BrokenPipeError:
        _write_nowhere()
        sys.exit(ExitCode.OK)
    except OSError as problem:
        _write_nowhere()
        _refuse(f"{problem.strerror or problem}{f': {problem.filename}' if problem.filename else ''}", ExitCode.PROBLEM)
    except _database_error() as problem:
        _refuse(f"the database: {str(problem).splitlines()[0]}", ExitCode.PROBLEM)


def _database_error() -> type[Exception]:
    """What the database's library raises; it is slow to import, and asked for only when something was raised."""
    from sqlalchemy.exc import SQLAlchemyError

    return SQLAlchemyError


def _write_nowhere() -> None:
    """What is left to be written cannot be: nobody is told of it once more when the program ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _refuse(told: str, code: ExitCode) -> None:
    from pilotfish.app.logs import redact

    print(f"Error: {redact(told)}", file=sys.stderr)
    sys.exit(code)
