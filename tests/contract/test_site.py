"""The documentation: what it tells to type can be typed, what it shows runs, and its site is whole by itself."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from typer.core import TyperGroup

from pilotfish.cli import COMMANDS, command
from pilotfish.cli.session import clean_environment
from pilotfish.core.advice import ADVICE, OUTCOME_ADVICE
from pilotfish.core.reasons import MEANING, OUTCOMES, Outcome, Reason
from pilotfish.core.setting_titles import TITLES
from pilotfish.core.settings import ALL, BY_NAME
from pilotfish.store.backup import backup
from pilotfish.store.refill import refill
from tests.conftest import PROJECT
from tests.fresh import fresh_database
from tests.story import play

DOCUMENTS = [PROJECT / "README.md", PROJECT / "CONTRIBUTING.md", *sorted((PROJECT / "docs").rglob("*.md"))]
FENCE = re.compile(r"^(<!-- run -->\n)?```(\w+)\n(.*?)^```$", re.M | re.S)
RUN, EXAMPLE = "<!-- run -->", "# example"


class Block(NamedTuple):
    """A block of code in a document."""

    document: Path
    language: str
    text: str
    runs: bool

    def __str__(self) -> str:
        return f"{self.document.relative_to(PROJECT)}: {self.text.splitlines()[0]}"


def blocks(language: str) -> list[Block]:
    """All blocks of a language, in every document."""
    return [
        Block(document, found[2], found[3], bool(found[1]))
        for document in DOCUMENTS
        for found in FENCE.finditer(document.read_text())
        if found[2] == language
    ]


def typed(text: str) -> Iterator[list[str]]:
    """The words of each `pilotfish …` in a block of shell, without what stands before it or is done with its output."""
    for line in text.replace("\\\n", " ").splitlines():
        words = shlex.split(line, comments=True)
        while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
            words.pop(0)
        if words and words[0] == "pilotfish":
            end = next((n for n, word in enumerate(words) if word in ("|", ">", "&&", ";")), len(words))
            yield words[1:end]


def parsed(words: list[str]) -> None:
    """Parse a command line as the program does, without doing it; raises the program's own error."""
    name, *rest = words
    one: Any = command(name)
    context = one.make_context(name, rest)
    while isinstance(one, TyperGroup):
        _, one, rest = one.resolve_command(context, [*context._protected_args, *context.args])
        context = one.make_context(one.name, rest, parent=context)


@pytest.mark.parametrize("block", blocks("sh"), ids=str)
def test_every_command_in_a_document_is_one_that_the_program_understands(block: Block) -> None:
    for words in typed(block.text):
        assert words[0] in COMMANDS, words
        parsed(words)
    made = set(re.findall(r"^make ([a-z-]+)", block.text, re.M))
    assert made <= set(re.findall(r"^([a-z-]+)(?: [a-z]+)*:", (PROJECT / "Makefile").read_text(), re.M)) | {"soak"}


def test_a_command_that_there_is_not_would_be_found() -> None:
    for wrong in ("trades --no-such-option", "leaders nobody", "backtest", "trades --limit none"):
        with pytest.raises(Exception, match=r"(?i)no such|missing|valid integer"):
            parsed(wrong.split())


def test_no_document_names_an_option_that_there_is_not() -> None:
    known = {name: options_of(command(name)) for name in COMMANDS}
    seen = 0
    for document in DOCUMENTS:
        for name, rest in re.findall(r"`pilotfish ([a-z]+)([^`\n]*)`", document.read_text()):
            for option in re.findall(r"(?<=\s)--[a-z-]+", rest):
                assert option in known[name], (document.name, name, option)
                seen += 1
    assert seen > 10


def options_of(one: Any) -> set[str]:
    """Every option of a command and of those below it."""
    own = {name for p in one.params for name in (*p.opts, *p.secondary_opts)} | {"--help"}
    return own.union(*(options_of(sub) for sub in getattr(one, "commands", {}).values()))


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with a story in it."""
    folder = tmp_path_factory.mktemp("kept")
    backup(play(3, minutes=6, deeds=60).database, folder / "x.backup")
    database = fresh_database(folder / "x.db")
    refill(database, folder / "x.backup")
    database.dispose()
    return folder / "x.db"


def environment(folder: Path, kept: Path) -> dict[str, str]:
    """That of somebody who installed it and has that database, in a copy of its own."""
    mine = folder / "pilotfish.db"
    mine.write_bytes(kept.read_bytes())
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return clean_environment() | {"DATABASE_URL": f"sqlite:///{mine}", "PATH": path, "HOME": str(folder)}


@pytest.mark.slow
@pytest.mark.parametrize("block", [b for b in blocks("sh") if b.runs], ids=str)
def test_what_is_marked_to_run_runs(block: Block, kept: Path, tmp_path: Path) -> None:
    assert list(typed(block.text))
    done = subprocess.run(
        ["sh", "-e"], input=block.text, cwd=tmp_path, env=environment(tmp_path, kept), capture_output=True, text=True,
        timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    assert done.stdout


@pytest.mark.parametrize("block", [b for b in blocks("python") if not b.text.startswith(EXAMPLE)], ids=str)
def test_python_in_a_document_runs(block: Block, kept: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", block.text], cwd=tmp_path, env=environment(tmp_path, kept), capture_output=True,
        text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_there_is_something_to_run() -> None:
    assert sum(block.runs for block in blocks("sh")) >= 5
    assert any(not block.text.startswith(EXAMPLE) for block in blocks("python"))


def test_every_reason_says_what_to_do_and_names_settings_that_there_are() -> None:
    assert set(ADVICE) == set(Reason)
    assert set(OUTCOME_ADVICE) == set(Outcome)
    for advice in (*ADVICE.values(), *OUTCOME_ADVICE.values()):
        assert advice.endswith(".")
        for name in re.findall(r"`([a-z_]+)`", advice):
            assert name in BY_NAME, advice


def test_settings_that_documents_name_are_there() -> None:
    written = {n for d in DOCUMENTS for n in re.findall(r"reference/settings\.md#([a-z0-9_]+)", d.read_text())}
    assert len(written) > 20
    assert written <= set(BY_NAME)


# -- pages that are made of the code -----------------------------------------------------------------------------------

TOOL = spec_from_file_location("site_pages", PROJECT / "tools" / "site_pages.py")
assert TOOL is not None
assert TOOL.loader is not None
site_pages: Any = module_from_spec(TOOL)
TOOL.loader.exec_module(site_pages)


def test_every_setting_is_told_with_its_meaning_default_and_bounds() -> None:
    page = site_pages.settings_page()
    for one in ALL:
        assert f"### `{one.name}` {{ #{one.name} }}" in page
        assert f"**{TITLES[one.name]}.** {one.help}" in page
        assert f"| environment | `{one.env_name}` |" in page
    assert "| default | 25 USDC |" in page
    assert "| between | 1 and 1,000,000 USDC |" in page
    assert "| values | `api`, `polygon`, `both` |" in page
    assert len(re.findall(r"^### ", page, re.M)) == len(ALL)


def test_every_reason_is_told_with_its_meaning_and_what_to_do() -> None:
    page = site_pages.reasons_page()
    told = dict(re.findall(r"^### (\w+) .*\n\n(.*)\n\n\*\*To do:\*\* \S", page, re.M))
    meanings = {r.value: m for r, m in MEANING.items()} | {o.value: m for o, m in OUTCOMES.items()}
    assert {code: text.partition(".* ")[2] for code, text in told.items()} == meanings


def test_every_command_is_told_with_every_option() -> None:
    page = site_pages.commands_page()

    def look(path: str, one: Any) -> None:
        part = page.partition(f"### `{path}` {{")[2].partition("\n### ")[0]
        assert part, path
        for p in one.params:
            assert getattr(p, "hidden", False) or all(f"`{n}`" in part for n in p.opts if n.startswith("--")), path
        for name, sub in getattr(one, "commands", {}).items():
            look(f"{path} {name}", sub)

    for name in COMMANDS:
        look(f"pilotfish {name}", command(name))


def test_every_route_is_told_and_every_record_that_is_linked_is_there() -> None:
    page = site_pages.rest_page()
    for route in ("GET `/api/v1/trades`", "PATCH `/api/v1/settings`", "POST `/api/v1/leaders`", "GET `/api/v1/stream`"):
        assert f"### {route}\n" in page
    linked, there = (set(re.findall(pattern, page)) for pattern in (r"\(#record-(\w+)\)", r"\{ #record-(\w+) \}"))
    assert {"Fill", "Decision", "Portfolio"} <= there
    assert linked <= there
