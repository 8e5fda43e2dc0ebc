"""The documents say what the code does."""

from __future__ import annotations

import re
from pathlib import Path

from pilotfish.cli import app
from pilotfish.core.exit_codes import EXIT_MEANING, ExitCode
from pilotfish.core.reasons import MEANING, OUTCOMES, Reason
from pilotfish.web.addresses import PAGES
from tests.conftest import PROJECT

BEHAVIOUR = (PROJECT / "docs" / "behaviour.md").read_text()


def defined(folder: Path) -> set[str]:
    """Names of the tests in a folder."""
    return {
        name
        for f in folder.rglob("test_*.py")
        for name in re.findall(r"^(?:async )?def (test_\w+)", f.read_text(), re.M)
    }


def test_every_rule_names_a_test_that_exists_and_every_scenario_proves_a_rule() -> None:
    named = set(re.findall(r"`(test_\w+)`", BEHAVIOUR))
    assert named - defined(PROJECT / "tests") == set()
    assert defined(PROJECT / "tests" / "scenario") - named == set()
    rules = [line for line in BEHAVIOUR.splitlines() if line.startswith("- ")]
    assert len(rules) > 40
    assert [line for line in rules if "`test_" not in line] == []


def test_the_reasons_in_the_documents_are_the_ones_in_the_code() -> None:
    shown = dict(re.findall(r"^\| `([A-Z_]+)` \| (.+) \|$", BEHAVIOUR, re.M))
    assert shown == {r.value: m for r, m in MEANING.items()} | {o.value: m for o, m in OUTCOMES.items()}
    assert len(shown) > len(Reason)


def test_the_readme_names_the_commands_that_there_are() -> None:
    readme = (PROJECT / "README.md").read_text()
    commands = {c.name for c in app.registered_commands} | {g.name for g in app.registered_groups}
    table = "\n".join(line for line in readme.splitlines() if line.startswith("| `pilotfish"))
    named = set(re.findall(r"`(?:pilotfish )?([a-z]+)", table))
    assert commands <= named
    assert set(re.findall(r"`pilotfish ([a-z]+)", readme)) <= commands


def test_the_readme_names_the_pages_that_there_are_in_their_order() -> None:
    readme = (PROJECT / "README.md").read_text()
    told = readme.partition("## The dashboard")[2].partition(";")[0].lower()
    places = [told.find(name.lower()) for _, name in PAGES]
    assert -1 not in places, dict(zip(PAGES, places, strict=True))
    assert places == sorted(places)


def test_the_readme_lists_the_exit_codes_that_there_are() -> None:
    listed = dict(re.findall(r"^\| (\d+) \| (.+) \|$", (PROJECT / "README.md").read_text(), re.M))
    assert listed == {str(int(code)): meaning for code, meaning in EXIT_MEANING.items()}
    assert set(EXIT_MEANING) == set(ExitCode)
