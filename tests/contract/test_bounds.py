"""Everything that can grow, wait or go round again has a line in ``docs/bounds.md``, and the line is true."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator
from importlib import import_module
from typing import NamedTuple

import pytest

from pilotfish.core.settings import BY_NAME
from tests.conftest import PROJECT

SOURCE = PROJECT / "src" / "pilotfish"
ELSEWHERE = ("sim/", "simtest/", "cli/benches/")
"""The stand-in venue, simulated worlds and measurements: they run beside a product, not in it."""
QUEUES = {"deque", "Queue", "PriorityQueue", "LifoQueue", "SimpleQueue", "OrderedDict"}
CACHES = {"lru_cache", "cache"}
RETRIES = {"retry_context"}


class Row(NamedTuple):
    where: str
    kind: str
    bound: str
    value: str
    told: str


def rows() -> list[Row]:
    """All lines of all tables."""
    lines = (PROJECT / "docs" / "bounds.md").read_text().splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("| ")]
    return [Row(*[cell.replace("`", "") for cell in row]) for row in cells if row[0] != "where"]


ROWS = rows()


def called(node: ast.expr) -> str:
    """The last name of what is called or decorates."""
    if isinstance(node, ast.Call):
        return called(node.func)
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""


def sites(node: ast.AST, path: tuple[str, ...] = ()) -> Iterator[tuple[str, str]]:
    """(function, kind) of whatever must have a bound."""
    for child in ast.iter_child_nodes(node):
        inner = path
        if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            inner = (*path, child.name)
            yield from ((".".join(inner), "cache") for d in child.decorator_list if called(d) in CACHES)
        if isinstance(child, ast.Call) and called(child) in QUEUES:
            yield ".".join(inner), "queue"
        if isinstance(child, ast.Call) and called(child) in RETRIES:
            yield ".".join(inner), "retry"
        if isinstance(child, ast.While) and isinstance(child.test, ast.Constant):
            yield ".".join(inner), "loop"
        yield from sites(child, inner)


def found() -> Counter[tuple[str, str]]:
    """Every site in the code, with how many of its kind there are."""
    files = {str(file.relative_to(SOURCE)): file for file in sorted(SOURCE.rglob("*.py"))}
    return Counter(
        (f"{name}:{function}", kind)
        for name, file in files.items()
        if not name.startswith(ELSEWHERE)
        for function, kind in sites(ast.parse(file.read_text()))
    )


def test_every_queue_cache_retry_and_loop_has_its_line_and_every_line_something_it_is_about() -> None:
    told = Counter((row.where, row.kind) for row in ROWS if ":" in row.where)
    assert told == found()
    assert len(ROWS) > 70


@pytest.mark.parametrize("row", ROWS, ids=[f"{row.where} {row.bound}" for row in ROWS])
def test_every_bound_is_the_codes_own(row: Row) -> None:
    assert len(row.told) >= 5
    if row.bound == "–":
        assert row.value == ""
        assert row.kind in ("queue", "cache", "loop")
        return
    value = ast.literal_eval(row.value)
    if row.bound == "in place":
        assert value in sizes(row.where)
    elif row.bound.startswith("setting:"):
        assert BY_NAME[row.bound.removeprefix("setting:")].default == value
    else:
        path, name = row.bound.split(":")
        assert getattr(import_module("pilotfish." + path.removesuffix(".py").replace("/", ".")), name) == value


def sizes(where: str) -> set[object]:
    """The sizes that stand at a cache's decorator."""
    path, function = where.split(":")
    tree = ast.parse((SOURCE / path).read_text())
    (node,) = [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef) and n.name == function]
    calls = [d for d in node.decorator_list if isinstance(d, ast.Call)]
    return {a.value for d in calls for a in [*d.args, *(k.value for k in d.keywords)] if isinstance(a, ast.Constant)}


def test_no_queue_is_made_without_a_bound_where_one_can_be_given() -> None:
    for file in sorted(SOURCE.rglob("*.py")):
        for call in (n for n in ast.walk(ast.parse(file.read_text())) if isinstance(n, ast.Call)):
            if called(call) in ("Queue", "PriorityQueue", "LifoQueue"):
                assert call.args or call.keywords, f"{file.name}:{call.lineno}"


def test_the_table_is_read_as_it_is_written() -> None:
    text = (PROJECT / "docs" / "bounds.md").read_text()
    assert len(ROWS) == len(re.findall(r"^\| (?!where)", text, re.MULTILINE))
