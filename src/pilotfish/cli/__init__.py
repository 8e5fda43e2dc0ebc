"""The terminal: one module a command group. ``--json`` on every reading command; exit codes that scripts can use."""

from __future__ import annotations

import os
import sys

import typer
from sqlalchemy.exc import SQLAlchemyError

from pilotfish import __version__
from pilotfish.app.logs import redact
from pilotfish.cli import (
    bench,
    demo,
    export,
    leaders,
    portfolio,
    replay,
    report,
    run,
    session,
    settings,
    setup,
    sim,
    simtest,
    status,
)
from pilotfish.core.exit_codes import ExitCode, WorkerDiedError
from pilotfish.core.problem import Problem

app = typer.Typer(
    name="pilotfish",
    help="Follow Polymarket wallets and copy their trades into honest paper portfolios.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
_START, _LOOK, _CHANGE, _TOOLS = "Start", "Look", "Change", "Tools"
app.command("init", rich_help_panel=_START)(setup.init)
app.command("doctor", rich_help_panel=_START)(setup.doctor)
app.command("run", rich_help_panel=_START)(run.run)
app.command("web", rich_help_panel=_START)(run.web)
app.command("demo", rich_help_panel=_START)(demo.demo)
app.command("status", rich_help_panel=_LOOK)(status.status)
app.command("latency", rich_help_panel=_LOOK)(status.latency)
app.command("verify", rich_help_panel=_LOOK)(status.verify)
app.command("report", rich_help_panel=_LOOK)(report.report)
app.command("trades", rich_help_panel=_LOOK)(report.trades)
app.add_typer(report.positions_app, name="positions", rich_help_panel=_LOOK)
app.command("export", rich_help_panel=_LOOK)(export.export)
app.command("replay", rich_help_panel=_LOOK)(replay.replay)
app.add_typer(leaders.app, name="leaders", rich_help_panel=_CHANGE)
app.add_typer(settings.app, name="settings", rich_help_panel=_CHANGE)
app.add_typer(portfolio.app, name="portfolio", rich_help_panel=_CHANGE)
app.command("reset", rich_help_panel=_CHANGE)(status.reset)
app.command("sim", rich_help_panel=_TOOLS)(sim.sim)
app.command("simtest", rich_help_panel=_TOOLS)(simtest.simtest)
app.command("bench", rich_help_panel=_TOOLS)(bench.bench)


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
    context.call_on_close(session.close)


def main() -> None:
    """The program's entry; ``core/exit_codes.py`` says what the codes mean."""
    try:
        try:
            app()
        finally:
            sys.stdout.flush()
    except WorkerDiedError as problem:
        _refuse(str(problem), problem.code)
    except Problem as problem:
        _refuse(str(problem), ExitCode.PROBLEM)
    except SQLAlchemyError as problem:
        _refuse(f"the database: {str(problem).splitlines()[0]}", ExitCode.PROBLEM)
    except KeyboardInterrupt:
        sys.exit(ExitCode.INTERRUPTED)
    except BrokenPipeError:
        _write_nowhere()
        sys.exit(ExitCode.OK)
    except OSError as problem:
        _write_nowhere()
        _refuse(f"{problem.strerror or problem}{f': {problem.filename}' if problem.filename else ''}", ExitCode.PROBLEM)


def _write_nowhere() -> None:
    """What is left to be written cannot be: nobody is told of it once more when the program ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _refuse(told: str, code: ExitCode) -> None:
    print(f"Error: {redact(told)}", file=sys.stderr)
    sys.exit(code)
