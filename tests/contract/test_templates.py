"""Markup is made by templates alone, which escape; and each template shows exactly what its page's struct holds."""

from __future__ import annotations

import ast
import importlib
import pkgutil
import re
from pathlib import Path

import pytest
from jinja2 import meta, nodes

import pilotfish.web
from pilotfish.web.render import Page, environment

WEB = Path(pilotfish.web.__file__).parent
TEMPLATES = WEB / "templates"
GIVEN = {"frame", "live"}
"""What every template has besides its page's fields."""
TAG = re.compile(r"</?[a-zA-Z!][^>]*>?")
EVERY_TEMPLATE = sorted(path.name for path in TEMPLATES.iterdir())


def pages() -> list[type[Page]]:
    """Every page of the dashboard."""
    for module in pkgutil.walk_packages([str(WEB)], "pilotfish.web."):
        importlib.import_module(module.name)
    found, left = [], [Page]
    while left:
        some = left.pop().__subclasses__()
        found += some
        left += some
    return sorted((p for p in found if p.__module__.startswith("pilotfish.")), key=lambda p: p.__qualname__)


EVERY_PAGE = pages()


def whole(name: str, seen: frozenset[str] = frozenset()) -> list[nodes.Template]:
    """A template with all that it extends and includes; macros that it imports see nothing of it."""
    env = environment()
    assert env.loader is not None
    tree = env.parse(env.loader.get_source(env, name)[0])
    found = [tree]
    named: list[nodes.Expr] = [node.template for node in tree.find_all(nodes.Extends)]
    named += [node.template for node in tree.find_all(nodes.Include)]
    for other in (node.value for node in named if isinstance(node, nodes.Const)):
        if other not in seen:
            found += whole(other, seen | {name})
    return found


def asked_of(tree: nodes.Template) -> set[str]:
    """Names that a template takes from outside: not those that it imports, defines or sets itself."""
    own = {node.name for node in tree.find_all(nodes.Macro)}
    own |= {node.name for node in tree.find_all(nodes.Name) if node.ctx == "store"}
    for imported in tree.find_all(nodes.FromImport):
        own |= {name if isinstance(name, str) else name[1] for name in imported.names}
    return meta.find_undeclared_variables(tree) - own


@pytest.mark.parametrize("page", EVERY_PAGE, ids=lambda p: p.__qualname__)
def test_a_template_shows_exactly_what_its_page_holds(page: type[Page]) -> None:
    asked = {name for tree in whole(page.template) for name in asked_of(tree)} - set(environment().globals)
    assert asked - GIVEN == set(page.__struct_fields__), page.template


def test_every_template_is_a_pages_or_a_part_of_one() -> None:
    own = {page.template for page in EVERY_PAGE}
    assert [
        n for n in EVERY_TEMPLATE if n not in own and not n.startswith("_") and n not in ("base.html", "plain.html")
    ] == []
    assert len(own) == len([page for page in EVERY_PAGE if "template" in vars(page)])


@pytest.mark.parametrize("path", sorted(WEB.rglob("*.py")), ids=lambda p: p.name)
def test_no_markup_is_written_in_python(path: Path) -> None:
    tree = ast.parse(path.read_text())
    docs = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef))
        and node.body and isinstance(node.body[0], ast.Expr)
    } | {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}  # fmt: skip
    constants = [n for n in ast.walk(tree) if isinstance(n, ast.Constant) and id(n) not in docs]
    assert [n.value for n in constants if isinstance(n.value, str) and TAG.search(n.value)] == []
    names = {n.id for n in ast.walk(tree) if isinstance(n, ast.Name)} | {
        n.attr for n in ast.walk(tree) if isinstance(n, ast.Attribute)
    }
    assert names & {"Markup", "safe", "format_html"} == set()


@pytest.mark.parametrize("name", EVERY_TEMPLATE)
def test_templates_switch_no_escaping_off_and_quote_what_they_put_into_attributes(name: str) -> None:
    text = (TEMPLATES / name).read_text()
    assert "|safe" not in text.replace(" ", "")
    assert "autoescape" not in text
    assert not re.search(r"\son[a-z]+=", text), "handlers stand in page.js"
    assert not re.search(r"\sstyle=", text), "looks stand in style.css"
    assert not re.search(r"<script(?! src=\"\{\{ asset\()", text)
    tags = re.findall(r"<[a-zA-Z][^<>]*(?:\{\{.*?\}\}[^<>]*)+>", re.sub(r"\{#.*?#\}", "", text, flags=re.S))
    for tag in tags:
        outside = re.sub(r'"[^"]*"', '""', re.sub(r"\{%.*?%\}", lambda m: m[0].replace('"', "'"), tag))
        assert "{{" not in outside, tag
    addresses = re.findall(r'(?:href|action|src)="([^"]*)"', text)
    for address in addresses:
        assert address.startswith(("/", "#", "{{ url(", "{{ asset(", "{{ address }}")), (
            f"{address}: addresses come from one place"
        )
