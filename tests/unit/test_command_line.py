"""Mistakes on the command line are told in a line, with an exit code that scripts can use."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import Connection, Engine, event
from typer.testing import CliRunner

from pilotfish import cli
from pilotfish.cli import COMMANDS, app
from pilotfish.cli.session import clean_environment
from tests import processes
from tests.fresh import fresh_database


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The program as a person starts it."""
    env = {**clean_environment(), "DATABASE_URL": f"sqlite:///{folder / 'x.db'}"}
    return subprocess.run(
        [sys.executable, "-m", "pilotfish", *arguments], capture_output=True, text=True, env=env, cwd=folder, timeout=60
    )


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (("nonsense",), 2, "No such command"),
        (("export", "nothing"), 2, "'trades'"),
        (("export", "trades", "--format", "xls"), 2, "xls"),
        (("bench", "nothing"), 2, "there are: decode"),
        (("leaders", "add", "0x12"), 1, "expected 0x and 40 hex digits"),
        (("settings", "set", "fixed_usdc", "lots"), 1, "expected a number"),
        (("settings", "set", "fixed_usd", "5"), 1, "did you mean fixed_usdc"),
        (("report", "--since", "yesterday"), 2, "expected 7d"),
        (("report", "--since", "9" * 30 + "d"), 2, "expected 7d"),
        (("trades", "--why", "0"), 2, "--why"),
        (("trades", "--why", "9" * 30), 2, "--why"),
        (("demo", "--port", "99999"), 2, "--port"),
        (("demo", "--for", "nan"), 2, "--for"),
        (("sim", "--port", "-1"), 2, "--port"),
        (("sim", "--replay", "nowhere"), 1, "there is no folder nowhere"),
        (("discover", "--from", "nowhere.txt"), 1, "'nowhere.txt' is no file, and neither leaderboard nor markets"),
        (("books", "export", "."), 1, "exists already; name another place"),
        (("calibrate", "0x" + "1" * 40), 1, "there is no history of 0x1111"),
        (("restore", "nowhere"), 1, "there is no file nowhere"),
        (("config", "import", "nowhere"), 1, "nowhere"),
        (("replay", "nowhere"), 1, "there is no folder nowhere"),
        (("history", "show", "0x" + "1" * 40), 1, "there is no history of 0x1111"),
        (("sim", "--speed", "nan"), 2, "--speed"),
    ],
)
def test_a_mistake_is_told_in_a_line_without_a_traceback(
    tmp_path: Path, arguments: tuple[str, ...], code: int, told: str
) -> None:
    env = {**clean_environment(), "DATABASE_URL": f"sqlite:///{tmp_path / 'x.db'}"}
    done = processes.run(*arguments, cwd=tmp_path, env=env)
    assert done.returncode == code, done.stderr
    assert told in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


@pytest.mark.slow
@pytest.mark.parametrize(
    "words", [("status", "--json"), ("status",), ("settings", "list", "--json"), ("settings", "list"), ("--help",)]
)
def test_output_that_cannot_be_written_is_told_in_a_line_and_a_closed_one_is_none(
    tmp_path: Path, words: tuple[str, ...]
) -> None:
    env = {**clean_environment(), "DATABASE_URL": f"sqlite:///{tmp_path / 'x.db'}"}
    assert processes.run("leaders", "add", "0x" + "1" * 40, cwd=tmp_path, env=env).returncode == 0
    started = f"{sys.executable} -m pilotfish {' '.join(words)}"
    usual = processes.run(*words, cwd=tmp_path, env=env).returncode
    for where, code in (("> /dev/full", 1), (">&-", usual), (">&- 2>&-", usual)):
        done = subprocess.run(["sh", "-c", f"{started} {where}"], capture_output=True, text=True, env=env, cwd=tmp_path)
        assert done.returncode == code, (where, done.stderr)
        assert "Traceback" not in done.stderr
        assert "Exception ignored" not in done.stderr
        assert where != "> /dev/full" or done.stderr.count("\n") == 1


def test_without_words_it_shows_what_there_is(tmp_path: Path) -> None:
    done = run(tmp_path)
    shown = done.stdout + done.stderr
    for command in ("init", "doctor", "run", "demo", "status", "report", "leaders", "settings", "export"):
        assert command in shown
    assert "Traceback" not in shown


@pytest.mark.parametrize("name", COMMANDS)
def test_a_line_of_the_list_is_the_first_sentence_of_the_commands_own_help(name: str) -> None:
    line = COMMANDS[name].told
    told = " ".join(cli.command(name).help.split())
    assert f"{told} ".startswith(f"{line} ")
    assert line.endswith(".")


WORKERS = {"aiohttp", "uvicorn", "fastapi", "jinja2", "apprise", "alembic", "psycopg", "sqlalchemy.dialects.postgresql"}
COMPUTING = {"numpy", "scipy", "pyarrow", "duckdb", "dask"}
LOOKING = WORKERS | COMPUTING | {"pilotfish.core.engine", "pilotfish.feeds", "pilotfish.cli.bench"}
"""What nothing that only looks at a database on this machine needs."""
LOADED = "import sys; sys.argv = ['pilotfish', *sys.argv[1:]]\nfrom pilotfish.cli import main\ntry: main()\n"
LOADED += "finally: print(*sys.modules, file=sys.stderr)"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "needless"),
    [
        (["--help"], {"sqlalchemy", "aiohttp", "structlog", "rich"}),
        (["run", "--help"], {"sqlalchemy", "aiohttp", "pilotfish.cli.bench"}),
        (["sim", "--help"], {"sqlalchemy", "aiohttp", "pilotfish.cli.bench"}),
        (["report", "--help"], LOOKING),
        (["report", "--since", "7d"], LOOKING),
        (["trades"], LOOKING),
        (["positions", "list"], LOOKING),
        (["leaders", "list"], LOOKING),
        (["settings", "list"], LOOKING),
        (["status", "--json"], LOOKING),
    ],
    ids=lambda given: "-".join(given) if isinstance(given, list) else "",
)
def test_a_command_starts_without_what_other_commands_need(
    tmp_path: Path, words: list[str], needless: set[str]
) -> None:
    env = {**clean_environment(), "DATABASE_URL": f"sqlite:///{tmp_path / 'x.db'}"}
    fresh_database(tmp_path / "x.db").dispose()
    done = subprocess.run(
        [sys.executable, "-c", LOADED, *words], capture_output=True, text=True, env=env, cwd=tmp_path, timeout=60
    )
    loaded = set(done.stderr.split())
    assert words == ["--help"] or f"pilotfish.cli.{COMMANDS[words[0]].module}" in loaded, done.stderr
    assert loaded & needless == set()


ENDED = """import atexit, sys, threading
from pilotfish.__main__ import main
def after():
    threading.main_thread().join()
    print("a thread went on")
atexit.register(print, "the end was told")
if sys.argv[1] == "thread":
    threading.Thread(target=after).start()
sys.argv = ["pilotfish", *sys.argv[2:]]
main()
"""


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["alone", "--version"], 0, ["the end was told"]),
        (["alone", "nonsense"], 2, ["the end was told"]),
        (["thread", "--version"], 0, ["a thread went on", "the end was told"]),
    ],
    ids=["done", "refused", "thread"],
)
def test_a_command_that_is_done_ends_with_its_code_and_all_that_was_to_be_written_and_told(
    tmp_path: Path, words: list[str], code: int, told: list[str]
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", ENDED, *words], capture_output=True, text=True, env=clean_environment(), cwd=tmp_path
    )
    assert done.returncode == code, done.stderr
    written = done.stdout.splitlines()
    assert written[-len(told) :] == told
    assert code != 0 or written[0].startswith("pilotfish ")


def test_a_command_closes_the_database_that_it_opened(tmp_path: Path) -> None:
    opened, closed = set(), set()

    @event.listens_for(Engine, "engine_connect")
    def connected(connection: Connection) -> None:
        opened.add(connection.engine)

    @event.listens_for(Engine, "engine_disposed")
    def disposed(engine: Engine) -> None:
        closed.add(engine)

    try:
        for words in (["leaders", "list", "--json"], ["leaders", "remove", "0x12"], ["verify", "--json"]):
            CliRunner().invoke(app, words, env={"DATABASE_URL": f"sqlite:///{tmp_path / 'x.db'}"})
    finally:
        event.remove(Engine, "engine_connect", connected)
        event.remove(Engine, "engine_disposed", disposed)
    assert len(opened) >= 2
    assert opened == closed
