"""``config``: leaders, portfolios and settings as one file."""

from __future__ import annotations

import sys
from pathlib import Path

import typer
from sqlalchemy import Connection

from pilotfish import __version__
from pilotfish.cli import printed, session
from pilotfish.cli.printed import Column, Table, say
from pilotfish.core.numerals import plural
from pilotfish.core.settings import Value
from pilotfish.store.database import snapshot
from pilotfish.store.setup_file import Setup, SetupError, read_setup, setup_lines
from pilotfish.store.setup_store import Difference, differences, stored_setup, take_in

app = typer.Typer(help="Leaders, portfolios and settings as one file: write it, compare it, take it in.",
                  no_args_is_help=True)  # fmt: skip
_FILE = typer.Argument(metavar="FILE", help="A TOML file; - is standard input.")
DIFFERENCES: Table[Difference] = Table(
    Column("sign", lambda d: d.sign.value, 1),
    Column("what", lambda d: d.what, 2),
    Column("here", lambda d: d.here, 3, least=12),
    Column("in the file", lambda d: d.there, 4, least=12),
)


@app.command("export")
def export(
    file: Path | None = typer.Argument(None, metavar="[FILE]", help="Where to; standard output if it is not named."),
) -> None:
    """Write what was set up as TOML. Secrets and what the environment says are not in it."""
    env = session.begin()
    with snapshot(session.reading(env, as_json=True)) as c:
        setup = stored_setup(c, env)
    about = f"pilotfish {__version__}: leaders, portfolios and settings, without secrets. pilotfish config import FILE"
    text = "\n".join(setup_lines(setup, about)) + "\n"
    if file is None:
        sys.stdout.write(text)
        return
    file.write_text(text)
    say(f"{file}: {_told(setup)}")


@app.command("diff")
def diff(
    file: Path = _FILE,
    as_json: bool = typer.Option(False, "--json", help="Print JSON."),
    columns: str = DIFFERENCES.option,
    wide: bool = printed.WIDE,
) -> None:
    """How a file differs from what is set up: + only in the file, - only here, ~ otherwise. Exit code 1 if it does."""
    view = DIFFERENCES.view(columns, wide=wide)
    env, there = session.begin(), _read(file)
    with snapshot(session.reading(env, as_json=True)) as c:
        found = differences(stored_setup(c, env), there)
    if as_json:
        session.print_json([d._asdict() for d in found])
    elif found:
        view.print(found)
    else:
        say("the same")
    raise typer.Exit(1 if found else 0)


@app.command("import")
def import_(
    file: Path = _FILE,
    exact: bool = typer.Option(False, "--exact", help="Take back what the file does not name: settings unset, leaders"
                               " left, portfolios archived."),
) -> None:  # fmt: skip
    """Take a file in, all of it or nothing; a running worker takes it up at once. What the file does not name stays,
    unless --exact."""
    env, there = session.begin(), _read(file)
    with session.database(env).begin() as c:
        before = _left(c, env, there)
        take_in(c, there, env, at=session.now(), by="terminal", exact=exact)
        after = _left(c, env, there)
    say(f"taken in: {_told(there)}; {plural(len(before) - len(after), 'difference')} settled")
    for one in after:
        say(f"note: only here: {one.what} {one.here}")


def _left(c: Connection, env: dict[str, Value], there: Setup) -> list[Difference]:
    return differences(stored_setup(c, env), there)


def _read(file: Path) -> Setup:
    if str(file) == "-":
        return read_setup(sys.stdin.read(), "standard input")
    try:
        return read_setup(file.read_text(), str(file))
    except UnicodeDecodeError:
        raise SetupError(f"{file} is no text file") from None


def _told(setup: Setup) -> str:
    return (
        f"{plural(len(setup.leaders), 'leader')}, {plural(len(setup.portfolios), 'portfolio')},"
        f" {plural(len(setup.settings), 'setting')}"
    )
