"""Everything enters the engine through one door: the live loop's queue, or the driver in virtual time."""

from __future__ import annotations

import ast

from tests.conftest import PROJECT

DOORS = {"src/pilotfish/core/drive.py", "src/pilotfish/app/runtime.py"}
ITS_OWN_TESTS = {"tests/unit/test_drive.py"}
OF_THE_LOOP = {
    ("src/pilotfish/app/runtime.py", "self"),
    ("src/pilotfish/app/control.py", "w"),
    ("src/pilotfish/app/control.py", "self.worker"),
}
"""The live loop's own method of this name, on the way to the engine."""


def callers() -> set[str]:
    """Files that call an engine's ``apply``."""
    found = set()
    for path in [*PROJECT.glob("src/pilotfish/**/*.py"), *PROJECT.glob("tests/**/*.py")]:
        name = path.relative_to(PROJECT).as_posix()
        for node in ast.walk(ast.parse(path.read_text())):
            called = node.func if isinstance(node, ast.Call) else None
            ours = isinstance(called, ast.Attribute) and called.attr == "apply"
            if ours and (name, ast.unparse(called.value)) not in OF_THE_LOOP:  # type: ignore[union-attr]
                found.add(name)
    return found


def test_the_live_loop_and_the_driver_are_the_only_callers_of_the_engine() -> None:
    assert callers() - ITS_OWN_TESTS == DOORS
